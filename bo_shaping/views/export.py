"""A study as one file for other programs: a table of its trials, everything as JSON, or the experiment for plain Ax."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any, Literal

from bo_shaping.errors import TrialResultError
from bo_shaping.storage.recommendation_file import read_recommendation
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.passwords import without_password
from bo_shaping.views.status import TrialStatus, study_status

Format = Literal["csv", "json", "ax-json", "optuna", "shaping"]


def export_csv(folder: StudyFolder) -> str:
    """One line per trial; weights are the columns `w_*`. Needs neither Ax nor torch."""
    trials = study_status(folder).trials
    space = folder.config().search_space
    measures = sorted({name for trial in trials for name in trial.record.measures})
    columns = ["index", "status", "origin", "seeds", "attempt", *(f"w_{name}" for name in space.components)]
    columns += [*space.parameters, "mean", "sem", "final", "kl", *measures, "step", "seconds", "reason", "earlier"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        record = trial.record
        writer.writerow(
            {
                name: getattr(record, name)
                for name in ("index", "origin", "attempt", "mean", "sem", "final", "kl", "step")
            }
            | {"status": trial.status, "seconds": record.seconds, "reason": visible_text(record.reason or "")}
            | {"earlier": visible_text("; ".join(record.earlier))}
            | {"seeds": " ".join(map(str, record.seeds))}
            | {f"w_{name}": weight for name, weight in record.weights.items()}
            | record.parameters
            | record.measures
        )
    return text.getvalue()


def export_json(folder: StudyFolder) -> str:
    """The configuration, every trial with its learning curves, and the recommendation. Needs neither Ax nor torch.

    `best` is null unless a recommendation is stored that rests on all completed trials.
    """
    stored = read_recommendation(folder)
    content = {
        "config": folder.config().model_dump(mode="json") | {"storage": without_password(folder.storage)},
        "trials": [trial.to_json() | {"curves": _curves(folder, trial)} for trial in study_status(folder).trials],
        "best": asdict(stored[0]) if stored is not None else None,
    }
    return json.dumps(content, indent=1)


def export_ax_json(folder: StudyFolder, *, keeps_responses: bool = False) -> str:
    """The Ax experiment as `ax.api.client.Client.load_from_json_file` reads it, which needs nothing of this package.

    Made from journal and database, so that no trial is missing; imports Ax.

    Args:
        folder: The study.
        keeps_responses: Whether explained responses go with it, for whoever wants to see them.
    """
    from bo_shaping.storage.lifecycle import reopen
    from bo_shaping.storage.portable import portable_study
    from bo_shaping.storage.snapshot import snapshot

    ledger = reopen(folder, folder.config(), allow_change=False)
    return snapshot(ledger.experiment, portable_study(folder, ledger.config, keeps_responses=keeps_responses))


def _curves(folder: StudyFolder, trial: TrialStatus) -> list[list[dict[str, Any]]]:
    """One learning curve per replicate; none where the result is missing or damaged."""
    if trial.status != "completed":
        return []
    try:
        results = folder.trial(trial.record.index).results()
    except TrialResultError:
        return []
    return [[point.model_dump(mode="json") for point in result.curve] for result in results]

"""A shaping function on disk: a folder with `shaping.json`, which is read, and `README.md`, its card for people.

The folder can be uploaded to a hub as it is. Reading one executes nothing and fetches nothing: names of code and of
models stay names until the reader has given a reward model or a permission.
"""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, NonNegativeInt, ValidationError

from inner_loop.io.atomic_file import write_atomically
from inner_loop.io.schema import StrictModel, describe_validation_error
from inner_loop.models.model_source import EMBEDDED
from inner_loop.spec import AttributionConfig, ScoringConfig, check_mixing_weights
from inner_loop.spec.task_config import is_function

FORMAT: Literal["bo-shaping/shaping-function/4"] = "bo-shaping/shaping-function/4"
"""Marks the files that are written now."""

OLDER_FORMATS = ("bo-shaping/shaping-function/2", "bo-shaping/shaping-function/3")
"""Single JSON files without evidence. The first had only the chat template in place of the whole scoring."""

FILE, README = "shaping.json", "README.md"

SURE = 0.999
"""A probability is never told as more than this, or less than its complement."""

PACKAGES = ("bo-shaping", "torch", "transformers")
"""Whose versions are written down."""


class ShapingEvidence(StrictModel):
    """What is known of a mixture: where it was learned, and how good it was there."""

    task: str
    """Policy, reward model and prompts, in words."""
    source: str
    """The study or experiment that it comes from."""
    objective: str
    """What `mean` is the expectation of."""
    mean: float | None = None
    """Expected reward."""
    interval: tuple[float, float] | None = None
    """Of the expected reward, with probability `credibility`."""
    credibility: float = Field(default=0.9, gt=0.0, lt=1.0)
    """Probability inside the interval."""
    kl: float | None = None
    """Expected KL to the reference, in nats per response."""
    trials: NonNegativeInt
    """Trainings behind it."""
    prob_better_than_sparse: float | None = Field(default=None, ge=0.0, le=1.0)
    """Probability of being better than the sparse reward with sparse's own best parameters; None if it is sparse, or
    was compared in another way."""
    parameters: dict[str, float | str] = Field(default_factory=dict)
    """Training parameters that go with the weights, such as `gae_lambda`: the mixture was good with these."""
    notes: tuple[str, ...] = ()
    """What a reader must know, in sentences."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of the packages that it was measured with."""


class ShapingCard(StrictModel):
    """What `shaping.json` holds."""

    format: Literal["bo-shaping/shaping-function/4"] = FORMAT
    weights: dict[str, float]
    attribution: AttributionConfig = AttributionConfig()
    gamma: float = Field(default=1.0, gt=0.0, le=1.0)
    reward_model: str = EMBEDDED
    scoring: ScoringConfig = ScoringConfig()
    evidence: ShapingEvidence | None = None

    def named_code(self, *, has_reward_model: bool) -> list[str]:
        """What would be imported if it was used: `module:function`, and packages of spaCy."""
        names = [self.attribution.parser, None if has_reward_model else self.reward_model]
        return [name for name in names if name is not None and (is_function(name) or name.startswith("spacy:"))]

    def named_models(self, *, has_reward_model: bool) -> list[str]:
        """What would be loaded from a folder or fetched from a hub if it was used."""
        implicit, token_model = self.attribution.implicit, self.attribution.token_model
        names = [
            *([] if has_reward_model or is_function(self.reward_model) else [self.reward_model]),
            *([] if implicit is None else [implicit.model, implicit.reference]),
            *([] if token_model is None else [token_model.model]),
        ]
        return [name for name in dict.fromkeys(names) if name != EMBEDDED]


def write_card(folder: Path, card: ShapingCard) -> None:
    """Write the two files into a folder, which is made.

    Raises:
        ValueError: If the folder is a file, or holds a README that is no card of a shaping function.
    """
    if folder.suffix == ".json" or folder.is_file():
        raise ValueError(f"A shaping function is saved to a folder, and {folder} names a file; name a folder.")
    if (folder / README).exists() and not (folder / FILE).exists():
        raise ValueError(f"{folder} has a {README} of something else, which would be lost; name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / README, readme_of(card))
    content = card.model_dump(mode="json", exclude_none=True)
    write_atomically(folder / FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_card(path: Path) -> ShapingCard:
    """The card in a folder, or in a single JSON file as older versions wrote it.

    Raises:
        ValueError: If it is none, is damaged, or comes from a newer version.
        MixingWeightsError: If its weights are not on the simplex, or name an unknown component.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("no object")
        card = ShapingCard(**_as_of_now(content))
    except FileNotFoundError:
        raise ValueError(f"There is no saved shaping function at {path}: {file} does not exist.") from None
    except ValidationError as error:
        raise ValueError(f"{file} is not a saved shaping function: {describe_validation_error(error)}.") from error
    except (KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} is not a saved shaping function, which is JSON that `save` writes; it may be cut short."
        ) from error
    check_mixing_weights(card.weights)
    return card


def installed_versions() -> dict[str, str]:
    """Versions that a result depends on, without importing the packages."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a checkout that was not installed
            versions[name] = "unknown"
    return versions


def without_folder(name: str) -> str:
    """A model or file by its name: where it is on somebody's machine is nobody else's business.

    >>> without_folder("/home/ada/models/judge"), without_folder("org/judge")
    ('judge', 'org/judge')
    """
    return Path(name).name if Path(name).is_absolute() else name


def readme_of(card: ShapingCard) -> str:
    """The card for people, with the metadata that hubs read at its top."""
    import yaml

    metadata = yaml.safe_dump(_metadata(card), sort_keys=False, allow_unicode=True, width=1000)
    weights = sorted(card.weights.items(), key=lambda item: -item[1])
    lines = [
        *("---", metadata.rstrip("\n"), "---", ""),
        *("# A learned reward shaping", ""),
        "Spreads the score of a response over its tokens: each token gets the weighted sum of these credits, and all",
        "tokens of a response together get its score.",
        *("", "| credit | weight |", "|---|---|"),
        *(f"| {_text(name)} | {weight:.4g} |" for name, weight in weights if weight > 0),
        "",
        f"Explained reward model: {_reward_model(card)}. Units: {card.attribution.units}, at most "
        f"{card.attribution.max_units} per response; {card.attribution.budget} evaluations per response. Discount: "
        f"{card.gamma:g}.",
        *("", "## Evidence", ""),
        *(_evidence_lines(card.evidence) if card.evidence else ["None is written down."]),
        *("", "## Use it", ""),
        *("```python", "from inner_loop import ShapingFunction", ""),
        f"shaping = ShapingFunction.load(FOLDER{_permission(card)})",
        *("shaped = shaping(prompts, responses, scores)", "```", ""),
        "`pip install bo-shaping`. Loading reads one JSON file; it runs no code and fetches no model.",
    ]
    return "\n".join(lines) + "\n"


def _as_of_now(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an older file as it would be written now."""
    known = content["format"]
    if known not in OLDER_FORMATS:
        return dict(content)
    now = {**content, "format": FORMAT}
    if known == OLDER_FORMATS[0]:
        now["scoring"] = {"chat_template": now.pop("chat_template")} if "chat_template" in now else {}
    return now


def _metadata(card: ShapingCard) -> dict[str, JsonValue]:
    metadata: dict[str, JsonValue] = {
        "library_name": "bo-shaping",
        "tags": ["bo-shaping", "reward-shaping", "credit-assignment", "rlhf"],
        "reward_model": without_folder(card.reward_model),
    }
    if card.scoring.reward_model_revision is not None:
        metadata["reward_model_revision"] = card.scoring.reward_model_revision
    if card.evidence is not None:
        evidence = card.evidence.model_dump(mode="json", exclude_none=True)
        metadata |= {"task": evidence.pop("task"), "versions": evidence.pop("versions"), "evidence": evidence}
    return metadata


def _reward_model(card: ShapingCard) -> str:
    if card.reward_model == EMBEDDED:
        return "the one that ships with the package"
    if Path(card.reward_model).is_absolute():
        return f"`{_text(without_folder(card.reward_model))}`, which was a folder where this was saved"
    revision = card.scoring.reward_model_revision
    return f"`{_text(card.reward_model)}`, " + (f"revision `{_text(revision)}`" if revision else "no revision pinned")


def _evidence_lines(evidence: ShapingEvidence) -> list[str]:
    lines = [
        f"- Task: {_text(evidence.task)}",
        f"- Learned in: {_text(evidence.source)}, {evidence.trials} trainings",
    ]
    if evidence.mean is not None:
        between = ""
        if evidence.interval is not None:
            low, high = evidence.interval
            between = f" ({evidence.credibility:.0%} between {low:.3f} and {high:.3f})"
        lines.append(f"- Expected {_text(evidence.objective)}: {evidence.mean:.3f}{between}")
    if evidence.kl is not None:
        lines.append(f"- Expected KL: {evidence.kl:.2f} nats per response")
    if evidence.prob_better_than_sparse is not None:
        # What a study has seen of its tasks is never enough to be certain.
        rounded = min(max(evidence.prob_better_than_sparse, 1 - SURE), SURE)
        sign = "above " if rounded == SURE else "below " if rounded == 1 - SURE else ""
        lines.append(f"- Probability of being better than the sparse reward: {sign}{rounded:.3g}")
    if evidence.parameters:
        listed = ", ".join(f"{_text(name)} {_value(value)}" for name, value in evidence.parameters.items())
        lines.append(f"- With these training parameters: {listed}")
    lines += [f"- {_text(note)}" for note in evidence.notes]
    if evidence.versions:
        listed = ", ".join(f"{_text(name)} {_text(value)}" for name, value in evidence.versions.items())
        lines.append(f"- Versions: {listed}")
    return lines


def _permission(card: ShapingCard) -> str:
    if card.named_code(has_reward_model=False):
        return ", allow_code=True"
    return ", allow_models=True" if card.named_models(has_reward_model=False) else ""


def _value(value: float | str) -> str:
    return _text(value) if isinstance(value, str) else f"{value:.4g}"


def _text(text: str) -> str:
    """In one line, and never HTML or the end of a code span."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'")

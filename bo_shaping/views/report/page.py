"""The HTML page of a study: what was learned, in words, pictures and tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from bo_shaping.config.sections import FINAL_REWARD
from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_probability, describe_value, is_pure
from bo_shaping.views.credit_similarity import similarity_html
from bo_shaping.views.html_table import html_table
from bo_shaping.views.report.frame import html_page, page_template
from bo_shaping.views.report.recommendation import rivals_html
from bo_shaping.views.report.style import component_colours, data_url
from bo_shaping.views.report.tokens import token_credit_html
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, Landmarks, component_names, finished_trials
from bo_shaping.views.report.trial_table import trial_table_html
from bo_shaping.views.report.verdict import Verdict
from bo_shaping.views.spread import spread_text
from inner_loop.spec import SPARSE, ExplainedResponse
from inner_loop.spec.credit_similarity import CreditSimilarity

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best, FrontPoint


def render_page(
    title: str,
    verdict: Verdict,
    pictures: Mapping[str, bytes],
    trials: pd.DataFrame,
    landmarks: Landmarks,
    *,
    best: "Best | None" = None,
    samples: list[ExplainedResponse] | None = None,
    similarity: CreditSimilarity | None = None,
    kl_budget: float | None = None,
    kl_held: bool = False,
    replicates: int = 1,
    reward: str = FINAL_REWARD,
    config_yaml: str = "",
    in_words: str = "",
    checks: str = "",
) -> str:
    """Fill the page template; every text that is not ours is escaped here or by the part that writes it.

    Args:
        title: Name of the study.
        verdict: Headline and notes.
        pictures: PNG files by name: `simplex`, `weights`, `curves`, and `front` if the study has one.
        trials: One row per trial.
        landmarks: Trials to highlight.
        best: The recommendation, if there is one.
        samples: Explained responses of the highlighted trial.
        similarity: How alike the components pay.
        kl_budget: Largest KL allowed.
        kl_held: Whether trainings stop at the budget: then none is over it.
        replicates: Seeds per trial: with more than one, the standard errors in the table are over seeds.
        reward: What the study maximises, in words.
        config_yaml: The resolved configuration, shown folded.
        in_words: The first paragraph, plain text.
        checks: HTML of further sections, as of `checks_html`.
    """
    body = page_template("page").substitute(
        title=escape(title),
        headline=escape(verdict.headline),
        in_words=f'<p class="in-words">{escape(in_words)}</p>' if in_words else "",
        checks=checks,
        tiles=_tiles(trials, best, kl_budget),
        notes=_notes(verdict.notes),
        simplex_lead=escape(_simplex_lead(best, len(component_names(trials)))),
        rivals=rivals_html(best) if best is not None else "",
        legend=_legend(component_names(trials), landmarks),
        standard_error=_standard_error(replicates, reward),
        trial_table=trial_table_html(trials, landmarks, kl_budget=kl_budget, kl_held=kl_held),
        token_credit=_token_section(samples or [], trials, landmarks),
        config=_config(config_yaml),
        similarity=similarity_html(similarity),
        front=_front(best, pictures.get("front")),
        **{f"{name}_png": data_url(pictures[name]) for name in ("simplex", "weights", "curves")},
    )
    return html_page(f"{title} · reward-shaping study", body)


def _tiles(trials: pd.DataFrame, best: "Best | None", kl_budget: float | None) -> str:
    tiles = []
    if best is not None:
        colours = component_colours(list(best.weights))
        for name, weight in best.weights.items():
            tiles.append(_tile(f"weight of {name}", f"{weight:.2f}", _range(best.interval[name]), colours[name]))
        for name, value in best.parameters.items():
            tiles.append(_tile(name, describe_value(value), spread_text(best, name)))
        tiles.append(_tile(f"expected {best.reward}", f"{best.mean:.2f}", _range(best.mean_interval)))
        tiles.append(_tile("expected regret", f"{best.regret:.3f}", "what the best point may give beyond this one"))
        budget = "no KL budget" if kl_budget is None else f"budget {kl_budget:g} nats per response"
        if best.kl is not None:
            tiles.append(_tile("expected KL", f"{best.kl:.1f}", budget))
        if best.prob_better_than_sparse is not None and not is_pure(best.weights, SPARSE):
            tiles.append(
                _tile(
                    "P(better than sparse)",
                    describe_probability(best.prob_better_than_sparse),
                    f"in {best.reward}, sparse with its own best settings",
                )
            )
    counted = f"of {len(trials)} in the study"
    tiles.append(_tile("finished trials", str(len(finished_trials(trials))), counted))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(what: str, value: str, detail: str, colour: str | None = None) -> str:
    attributes = f'class="tile weight" style="--c:{colour}"' if colour else 'class="tile"'
    return (
        f'<div {attributes}><p class="what">{escape(what)}</p><p class="value">{escape(value)}</p>'
        f'<p class="range">{escape(detail)}</p></div>'
    )


def _notes(notes: list[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="notes"><h2>Read this with the numbers</h2><ul>{items}</ul></section>'


def _simplex_lead(best: "Best | None", k: int) -> str:
    if best is None:
        return "Every trial is one short PPO training with its own mixture of credit components."
    where = ", ".join(f"{name} {describe_value(value)}" for name, value in best.parameters.items())
    at = f" at the recommended {where}" if where else ""
    surface = {
        2: f"The curve is the expected {best.reward}{at}; ",
        3: f"Colour is the expected {best.reward}{at}; ",
    }
    return (
        f"{surface.get(k, 'Every line is a trial; ')}trials show what was measured, each with its own settings. The "
        "recommendation maximises the posterior mean and is not the luckiest observation; the draws show where else "
        "the best weights may be."
    )


def _front(best: "Best | None", png: bytes | None) -> str:
    if best is None or png is None:
        return ""
    names = [*best.weights, *best.parameters, "reward", "90 %", "KL", "90 %"]
    table = html_table(names, [_front_row(point) for point in best.front], "The Pareto front")
    return (
        '<section><h2>Reward against KL</h2><p class="lead">The Pareto front: no point is expected to be better '
        f'in both than one on it.</p><img alt="Pareto front of reward and KL" src="{data_url(png)}">'
        f"{table}</section>"
    )


def _front_row(point: "FrontPoint") -> list[str]:
    (low, high), (least, most) = point.mean_interval, point.kl_interval
    arm = [f"{weight:.2f}" for weight in point.weights.values()] + [*map(describe_value, point.parameters.values())]
    return [*arm, f"{point.mean:.2f}", f"{low:.2f} to {high:.2f}", f"{point.kl:.1f}", f"{least:.1f} to {most:.1f}"]


def _legend(components: list[str], landmarks: Landmarks) -> str:
    names = [
        f'<span style="color:{colour}">&#9632;</span> {escape(name)}'
        for name, colour in component_colours(components).items()
    ]
    highlighted = f" Highlighted: #{landmarks.chosen}, {escape(landmarks.why)}." if landmarks.chosen is not None else ""
    return " ".join(names) + "." + highlighted


def _standard_error(replicates: int, reward: str) -> str:
    if reward != FINAL_REWARD:
        what = f"Reward is the {escape(reward)}; final is that at the end of the training."
        return f"{what} ± is the standard error over {replicates} seeds." if replicates > 1 else what
    if replicates > 1:
        return f"± is the standard error over {replicates} seeds."
    return "± is the standard error over validation prompts; it does not contain the variance between seeds."


def _token_section(samples: list[ExplainedResponse], trials: pd.DataFrame, landmarks: Landmarks) -> str:
    if not samples or landmarks.chosen is None:
        return ""
    row = finished_trials(trials).loc[[landmarks.chosen]]
    weights = {name: float(row[WEIGHT_PREFIX + name].iloc[0]) for name in component_names(trials)}
    return (
        f'<section><h2>What each token was paid</h2><p class="lead">Validation responses of trial '
        f"#{landmarks.chosen}: the credit that each component gives to each part of them, and the mixture that the "
        f"policy was trained on.</p>{token_credit_html(samples, weights)}</section>"
    )


def _config(config_yaml: str) -> str:
    if not config_yaml:
        return ""
    # Line breaks are layout here; everything else goes through the same escaping as all text.
    lines = "\n".join(escape(line) for line in config_yaml.splitlines())
    text = f'<pre tabindex="0">{lines}</pre>'
    return f"<section><details><summary>Configuration of the study</summary>{text}</details></section>"


def _range(interval: tuple[float, float], form: str = ".2f") -> str:
    return f"90 %: {interval[0]:{form}} to {interval[1]:{form}}"

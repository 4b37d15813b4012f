"""The five facts of a study that everybody asks for first."""

from bo_shaping.dashboard.frame import tile
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.text.wording import describe_probability, describe_value, describe_weights, is_pure
from bo_shaping.views.status import STATUSES
from inner_loop.spec import SPARSE


def facts_html(view: StudyView) -> str:
    """What is recommended, what it gives, whether it beats sparse, what it costs in KL, and how far the study is."""
    return "".join(tile(*fact) for fact in study_facts(view))


def study_facts(view: StudyView) -> list[tuple[str, str, str]]:
    """The facts as (what, value, detail)."""
    return [_mixture(view), _reward(view), _probability(view), _kl(view), _progress(view)]


def _mixture(view: StudyView) -> tuple[str, str, str]:
    if view.best is None:
        return "recommended mixture", "none yet", _why_none(view)
    settings = ", ".join(f"{name} {describe_value(value)}" for name, value in view.best.parameters.items())
    return "recommended mixture", describe_weights(view.best.weights), settings


def _reward(view: StudyView) -> tuple[str, str, str]:
    if view.best is None:
        done = [t.record for t in view.trials if t.status == "completed" and t.record.mean is not None]
        if not done:
            return "reward", "–", f"will be the {view.status.reward}"
        top = max(done, key=lambda record: record.mean or 0.0)
        return "highest reward so far", f"{top.mean:.2f}", f"of trial {top.index}: a lucky one looks better than it is"
    low, high = view.best.mean_interval
    return f"expected {view.best.reward}", f"{view.best.mean:.2f}", f"90 % between {low:.2f} and {high:.2f}"


def _probability(view: StudyView) -> tuple[str, str, str]:
    what = "P(better than sparse)"
    if view.best is None:
        return what, "–", "needs a recommendation"
    if is_pure(view.best.weights, SPARSE):
        return what, "–", "sparse itself is recommended"
    if view.best.prob_better_than_sparse is None:
        return what, "–", "sparse alone is not searched"
    return what, describe_probability(view.best.prob_better_than_sparse), "against sparse with its own best settings"


def _kl(view: StudyView) -> tuple[str, str, str]:
    objective = view.config.objective
    if objective.max_kl is None:
        budget = "no KL budget"
    elif objective.held_kl is not None:
        budget = f"trainings stop at {objective.max_kl:g} nats per response"
    else:
        budget = f"budget {objective.max_kl:g} nats per response"
    known = view.best is not None and view.best.kl is not None
    return "expected KL", f"{view.best.kl:.1f}" if known and view.best and view.best.kl is not None else "–", budget


def _progress(view: StudyView) -> tuple[str, str, str]:
    ended = sum(view.status.count(state) for state in ("completed", "stopped", "failed"))
    counts = ", ".join(f"{n} {word}" for word in STATUSES if (n := view.status.count(word)))
    return "trials", f"{ended} of {view.status.budget}", counts or "none has begun"


def _why_none(view: StudyView) -> str:
    ended = sum(view.status.count(state) for state in ("completed", "stopped"))
    if view.state == "running":
        return "comes with the study's next steps" if ended else "no trial has finished yet"
    return f"make it with: bo-shaping best {view.status.handle}" if ended else "no trial has finished yet"

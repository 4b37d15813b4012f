"""Every number that a trial or a study reports, from the text beside its definition."""

import ast
import dataclasses
import inspect
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import inner_loop.evaluation
from bo_shaping.storage.records import TrialRecord
from bo_shaping.surrogate.recommendation import Best
from experiments.docs.markdown import table
from inner_loop.spec import StepStats, TrialResult

HEAD = """# Metrics

Rewards and scores are in the reward model's own units (log-odds for the embedded one); KL is in nats per response,
summed over its tokens; lengths are in tokens of the policy; times in seconds.

This page is made from the code by `python -m experiments.docs`.
"""


def metrics_reference() -> str:
    """The page."""
    parts = [
        HEAD,
        "## The recommendation\n\nWhat `bo-shaping best --json` prints and `Study.best()` returns.\n",
        table(["field", "definition"], _documented(Best)),
        "\n## A trial in the table of trials\n\nRows of `Study.trials()` and of `bo-shaping trials`.\n",
        table(["field", "definition"], _described(TrialRecord)),
        "\n## The result of a training\n\nOne per seed: `Study.results()`.\n",
        table(["field", "definition"], _described(TrialResult)),
        "\n## A point of a learning curve\n\n`TrialResult.curve` and `Study.curves()`.\n",
        rows_in(inspect.getdoc(inner_loop.evaluation) or ""),
        "\n## A step of PPO\n\n`TrialResult.steps`. Tokens are response tokens; padding enters no mean.\n",
        rows_in(inspect.getdoc(StepStats) or ""),
    ]
    return "\n".join(parts) + "\n"


def rows_in(docstring: str) -> str:
    """The Markdown table that stands in a docstring."""
    rows = [line.strip() for line in docstring.splitlines() if line.strip().startswith("|")]
    if not rows:
        raise ValueError("there is no table in the docstring")
    return "\n".join(rows)


def _described(model: type[BaseModel]) -> list[list[str]]:
    return [[f"`{name}`", _text(name, field)] for name, field in model.model_fields.items()]


def _text(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"the field {name} has no text beside it")
    return field.description


def _documented(kind: type[Any]) -> list[list[str]]:
    """Fields of a dataclass with the string that follows each; one without shares the next one's."""
    (body,) = (node for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    texts: dict[str, str] = {}
    for field, following in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            texts[field.target.id] = str(following.value.value)
    return [[f"`{field.name}`", texts[field.name]] for field in dataclasses.fields(kind)]

"""The process that explains texts for the dashboard: one question at a time, a line of JSON each way.

It is on its own, so that a model that takes too long or too much memory is ended without the dashboard. It sees no
graphics card, whose memory is the trials', loads nothing from the network, and ends when nobody asks for a while.
"""

import json
import os
import resource
import select
import sys
from contextlib import suppress
from typing import IO, Any

IDLE_SECONDS = 900
MEMORY_SHARE = 0.5
"""Of the machine's memory, what this process may take."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def main() -> None:
    """Answer what comes in, until the other side closes or is silent for long."""
    os.environ.update(OFFLINE)
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _bound_memory()
    with suppress(OSError):
        os.nice(10)
    loaded: dict[str, Any] = {}
    while (line := _next_line(sys.stdin.buffer)) is not None:
        answers.write(json.dumps(_answer(json.loads(line), loaded)) + "\n")
        answers.flush()


def _next_line(questions: IO[bytes]) -> bytes | None:
    ready, _, _ = select.select([questions], [], [], IDLE_SECONDS)
    return (questions.readline() or None) if ready else None


def _answer(question: dict[str, Any], loaded: dict[str, Any]) -> dict[str, str]:
    """HTML of the credit by our methods, and of shap's own plot of the first; or an error in a sentence."""
    from bo_shaping.text.reasons import sentence_of
    from bo_shaping.views.report.explain_page import credits_html
    from bo_shaping.views.report.shap_plot import shap_text_html
    from inner_loop.attribution import explain
    from inner_loop.errors import InnerLoopError
    from inner_loop.models.reward_models import as_reward_model
    from inner_loop.spec import ScoringConfig

    try:
        key = json.dumps([question["reward_model"], question["scoring"]], sort_keys=True)
        if key not in loaded:
            loaded.clear()
            loaded[key] = as_reward_model(question["reward_model"], ScoringConfig.model_validate(question["scoring"]))
        credits_ = explain(
            loaded[key],
            [question["prompt"]],
            [question["response"]],
            methods=question["methods"],
            units=question["units"],
            budget=question["budget"],
        )
        return {"ours": credits_html(credits_), "shap": shap_text_html(credits_[0], question["methods"][0])}
    except (InnerLoopError, OSError, ValueError) as error:
        return {"error": sentence_of(error)}
    except MemoryError:
        return {"error": "There is not enough memory for this model and text; take a shorter text or a smaller budget."}


def _bound_memory() -> None:
    with suppress(OSError, ValueError):
        most = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    main()

"""Peak memory of a large batch on the embedded reward model, in a process of its own.

    python -m experiments.benchmarks.attribution.memory --responses 64

The responses fill the reward model's positions, special tokens included, and every token is a unit. They are random
words: no two masked versions are alike, so that no evaluation is saved.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

from experiments.benchmarks.bars import Bar

N_RESPONSES = 512
N_TOKENS = 128
N_COALITIONS = 128
LIMIT_GB = 4.0


def measure(*, responses: int = N_RESPONSES) -> dict[str, Any]:
    """Peak resident memory of `responses` responses, and of half of them to see what grows."""
    return {"runs": [_in_own_process(count) for count in (responses // 2, responses)]}


def _in_own_process(responses: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "experiments.benchmarks.attribution.memory", "--responses", str(responses)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def bars(result: dict[str, Any]) -> list[Bar]:
    """The larger run must stay within the limit."""
    run = result["runs"][-1]
    note = "" if run["responses"] == N_RESPONSES else f"the bar is for {N_RESPONSES} responses"
    return [
        Bar(
            f"GB at most for {run['responses']} x {run['tokens']:.0f} tokens x {run['coalitions']} coalitions",
            run["peak_gb"],
            "<=",
            LIMIT_GB,
            note=note,
        )
    ]


def table_of(result: dict[str, Any]) -> str:
    """One line per run."""
    return "\n".join(
        f"{run['responses']} responses of {run['tokens']:.0f} tokens, {run['evaluations']} evaluations: peak "
        f"{run['peak_gb']:.2f} GB ({run['loaded_gb']:.2f} GB before the first), {run['cpu_seconds']:.0f} CPU seconds"
        for run in result["runs"]
    )


def main() -> None:
    """One run; prints its result as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--responses", type=int, default=N_RESPONSES)
    count = parser.parse_args().responses

    import torch

    from experiments.benchmarks.attribution.reward_models import embedded
    from inner_loop.attribution import explain
    from inner_loop.trial import peak_memory_mb

    torch.set_num_threads(1)
    model = embedded()
    responses = random_responses(model.tokenizer, count)
    loaded = peak_memory_mb()
    start = time.process_time()
    credits = explain(model, [""] * count, responses, methods=("shapley", "lime"), units="tokens", budget=N_COALITIONS)
    print(
        json.dumps(
            {
                "responses": count,
                "tokens": sum(len(credit.units) for credit in credits) / count,
                "coalitions": N_COALITIONS,
                "evaluations": sum(credit.n_evaluations for credit in credits),
                "loaded_gb": loaded / 1024,
                "peak_gb": peak_memory_mb() / 1024,
                "cpu_seconds": time.process_time() - start,
            }
        )
    )


def random_responses(tokenizer: Any, count: int) -> list[str]:
    """Different words, each of one token, as many as fit beside the special ones."""
    words = [token for token in tokenizer.get_vocab() if token.isascii() and token.isalpha()]
    words = sorted(word for word in words if len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1)
    rng = np.random.default_rng(0)
    length = N_TOKENS - tokenizer.num_special_tokens_to_add()
    return [" ".join(rng.choice(words, length, replace=False)) for _ in range(count)]


if __name__ == "__main__":
    main()

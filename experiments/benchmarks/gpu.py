r"""At most eight minutes on a machine with a GPU: is it fast there, what does credit cost, does it learn alike?

    python -m experiments.benchmarks.gpu
    python -m experiments.benchmarks.gpu --device cpu    a smaller job, to see that it runs

Two parts. `speed`: wall seconds, response tokens per second and memory of a step of our PPO and GRPO, with the sparse
reward and with credit, and of trl's GRPO, on one job; each is a process of its own, one after the other, and its first
step is not counted. `curves`: the same trials of the embedded task on the device and on the CPU, in float32, with the
same seeds; their learning curves are compared point by point, paired by seed.

Nothing is fetched. The models of `speed` are drawn at random, which changes no time; those of `curves` ship with the
package. For a machine without a package index, bring what it lacks beside PyTorch as wheels for its Python
(`pip download` has `--python-version`):

    python -m pip download --dest wheels --no-deps --only-binary=:all: trl transformers huggingface-hub httpx2 \
        httpcore2 truststore datasets dill multiprocess pydantic pydantic-core annotated-types typing-inspection
    python -m pip install --no-index --no-deps wheels/*.whl    # there
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from tabulate import tabulate

from experiments.benchmarks.bars import Bar, as_json
from experiments.benchmarks.ppo import curves
from experiments.benchmarks.ppo.contenders import Contender, ContenderError, ours, trl_grpo
from experiments.benchmarks.ppo.jobs import EMBEDDED, PROMPT_TOKENS, Job, embedded_texts, pieces
from experiments.benchmarks.results_file import environment as machine
from experiments.benchmarks.results_file import installed, save
from inner_loop.models.model_source import model_source, without_progress_bars

OUTPUT = Path(__file__).parent / "results" / "gpu.json"
MINUTES = 8.0
SPEED_SHARE = 0.6
"""Of the time; the curves have the rest."""
SPARSE, DENSE, OUR_GRPO, TRL = "ours, PPO", "ours, PPO with credit", "ours, GRPO", "trl, GRPO"


@dataclass(frozen=True)
class Size:
    """How large the job is."""

    batch: int
    response_tokens: int
    hidden_size: int | None
    """Width of policy and reward model, both Llamas drawn at random; None for the embedded ones."""
    n_layers: int
    steps: int
    """At most, per contender."""
    seeds: int
    """Of the curves, at most."""
    trial_steps: int
    n_prompts: int


SIZES = {
    "cuda": Size(64, 128, 1024, 24, steps=8, seeds=8, trial_steps=20, n_prompts=128),
    "cpu": Size(8, 16, None, 0, steps=3, seeds=3, trial_steps=5, n_prompts=16),
    "quick": Size(8, 4, None, 0, steps=1, seeds=2, trial_steps=1, n_prompts=4),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"when to end, at the latest ({MINUTES:g})")
    parser.add_argument("--quick", action="store_true", help="very small, to see that it runs")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    arguments = parser.parse_args(argv)
    try:
        return run(arguments)
    except ContenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(arguments: argparse.Namespace) -> int:
    """Both parts, each saved when it is done.

    Raises:
        ContenderError: If there is no such device, or a worker ends badly.
    """
    import torch

    start, seconds = time.monotonic(), 60 * arguments.minutes
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise ContenderError("PyTorch sees no GPU here; --device cpu runs a smaller job without one.")
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    size = SIZES["quick" if arguments.quick else arguments.device]
    about = {
        "device": name,
        "size": asdict(size),
        "environment": machine(installed(("trl", "accelerate", "bo-shaping"))),
    }
    missed = 0
    for part, until in (("speed", start + SPEED_SHARE * seconds), ("curves", start + seconds)):
        print(f"\n# {part} on {name}", flush=True)
        bars: list[Bar] = []
        if part == "speed":  # nothing was promised of a GPU
            result = measure_speed(arguments.device, size, until)
            print(speed_table(result), flush=True)
        else:
            specs = curves.trial_specs(size.seeds, size.trial_steps, size.n_prompts)
            result = curves.measure(arguments.device, specs, until)
            bars = curves.bars(result)
            print(curves.table_of(result), *bars, sep="\n", flush=True)
        missed += sum(not bar.passed for bar in bars)
        save(arguments.output, part, {**about, "bars": as_json(bars), "result": result})
    print(f"\n{(time.monotonic() - start) / 60:.1f} minutes; results in {arguments.output}")
    return int(missed > 0)


def make_job(size: Size, folder: Path) -> Job:
    """The job of the part `speed`: responses of one length, on policies and reward models of the size."""
    policy, reward_model = (model_source(EMBEDDED, field).weights for field in ("policy", "reward_model"))
    tokenizer = model_source(EMBEDDED, "policy").tokenizer()
    prompts = pieces(tokenizer, embedded_texts(), PROMPT_TOKENS, 8 * size.batch)
    if size.hidden_size is not None:
        policy, reward_model = draw_models(size, tokenizer, folder)
    return Job(
        policy=policy,
        reward_model=reward_model,
        prompts=prompts,
        texts=tokenizer.batch_decode(prompts),
        batch=size.batch,
        response_tokens=size.response_tokens,
        epochs=2,
        learning_rate=1e-5,
        never_drawn="<pad>",
    )


def draw_models(size: Size, tokenizer: Any, folder: Path) -> tuple[str, str]:
    """The folders of a policy and a reward model with random weights, which take the same time as trained ones."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    length = 4 * (PROMPT_TOKENS + size.response_tokens)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden_size,
        intermediate_size=(size.hidden_size or 0) * 11 // 4,
        num_hidden_layers=size.n_layers,
        num_attention_heads=16,
        max_position_embeddings=length,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
    )
    tokenizer.model_max_length = length
    folders = []
    with torch.random.fork_rng(devices=[]), without_progress_bars():
        torch.manual_seed(0)
        for name, kind in (("policy", LlamaForCausalLM), ("reward_model", LlamaForSequenceClassification)):
            folders.append(str(folder / name))
            kind(config).save_pretrained(folders[-1])
            tokenizer.save_pretrained(folders[-1])
    return folders[0], folders[1]


def contenders(job: Path, precision: str) -> dict[str, list[str]]:
    """Who takes part, and what starts them on a job."""
    return {
        SPARSE: ours(job, precision),
        DENSE: ours(job, precision, dense=True),
        OUR_GRPO: ours(job, precision, algorithm="grpo"),
        TRL: trl_grpo(job),
    }


def measure_speed(device: str, size: Size, until: float) -> dict[str, Any]:
    """Per contender: wall seconds, tokens and, of ours, seconds by phase of every counted step; peak memory."""
    precision = "auto" if device == "cuda" else "float32"
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = make_job(size, folder).write(folder / "job.json")
        commands = contenders(job, precision)
        for number, (contender, command) in enumerate(commands.items()):
            share = (until - time.monotonic()) / (len(commands) - number)
            end = time.monotonic() + share
            with Contender(command, folder / "log", device=device) as worker:
                records = [worker.step()]
                while len(records) <= size.steps and (len(records) < 2 or time.monotonic() < end):
                    records.append(worker.step())
                peaks = worker.finish()
            measured[contender] = {key: [record[key] for record in records[1:]] for key in ("wall_seconds", "tokens")}
            measured[contender] |= peaks
            if "phases" in records[0]:
                measured[contender]["phases"] = [
                    {phase: after["phases"][phase] - before["phases"][phase] for phase in after["phases"]}
                    for before, after in pairwise(records)
                ]
            print(f"{contender}: {median(tokens_per_second(measured[contender])):.0f} tokens/s", flush=True)
    return measured


def tokens_per_second(measured: dict[str, Any]) -> list[float]:
    """Response tokens per wall second, step by step."""
    return [tokens / wall for tokens, wall in zip(measured["tokens"], measured["wall_seconds"], strict=True)]


def credit_share(result: dict[str, Any]) -> float:
    """What credit takes of a step: the phase that scores and explains, less the scores, which all steps need."""
    with_credit, without = (result[name]["phases"] for name in (DENSE, SPARSE))
    extra = median(step["attribute"] for step in with_credit) - median(step["attribute"] for step in without)
    return extra / median(sum(step.values()) for step in with_credit)


def speed_table(result: dict[str, Any]) -> str:
    """One row per contender, and what credit takes."""
    theirs = median(tokens_per_second(result[TRL]))
    rows = [
        [
            name,
            f"{median(measured['wall_seconds']):.3f}",
            f"{(speed := median(tokens_per_second(measured))):.0f}",
            f"{speed / theirs:.2f}x",
            f"{measured['peak_mb']:.0f}",
            f"{measured['peak_gpu_mb']:.0f}" if "peak_gpu_mb" in measured else "",
        ]
        for name, measured in result.items()
    ]
    headers = ["trainer", "s per step", "tokens/s", "to trl", "peak MB", "peak GPU MB"]
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    return f"{table}\ncredit takes {credit_share(result):.0%} of a step with credit"


if __name__ == "__main__":
    sys.exit(main())

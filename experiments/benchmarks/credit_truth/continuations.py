"""Many ways on from one beginning of a response: b beginnings of l tokens each, m continuations of every one.

`inner_loop.ppo.rollout.sample_rollout` would read every beginning m times; here it is read once, and its cache is
repeated. Tokens are drawn by the same function: equal numbers give equal responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inner_loop.models.prompts import Prompt
from inner_loop.ppo.rollout import left_pad
from inner_loop.ppo.sampling import draw
from inner_loop.ppo.tokens import TokenBatch


class Continuations(NamedTuple):
    """`b m` whole responses; those of one beginning are neighbours."""

    prompts: list[Prompt]
    batch: TokenBatch
    """Beginning and continuation, `b m x t`."""
    entropy: Tensor
    """`b m x t` entropy of the distribution of each token that was drawn here, in nats; zero in the beginning."""

    def texts(self, tokenizer: Any) -> list[str]:
        """The responses' texts, as `decode_responses` gives them."""
        lengths = self.batch.response_mask.sum(dim=1).tolist()
        rows = [ids[:length] for ids, length in zip(self.batch.response_ids.tolist(), lengths, strict=True)]
        anchors = [[prompt.ids[-1]] for prompt in self.prompts]
        whole = [[*anchor, *ids] for anchor, ids in zip(anchors, rows, strict=True)]
        anchored, texts = (_decoded(tokenizer, ids) for ids in (anchors, whole))
        return [text[len(anchor) :] for anchor, text in zip(anchored, texts, strict=True)]


@torch.no_grad()
def continue_responses(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], beginnings: Sequence[list[int]], uniforms: Tensor
) -> Continuations:
    """Continue every beginning m times, at temperature 1.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        prompts: `b`.
        beginnings: `b` token sequences of one length, none of which has ended.
        uniforms: `b x m x k` numbers in [0, 1); a response is cut after k more tokens.

    Raises:
        ValueError: If the beginnings differ in length.
    """
    if len({len(ids) for ids in beginnings}) != 1:
        raise ValueError(f"The beginnings must have one length, got {sorted({len(ids) for ids in beginnings})}.")
    n_copies = uniforms.shape[1]
    drawn_by = uniforms.flatten(0, 1)
    read, mask = left_pad(
        [prompt.ids + ids for prompt, ids in zip(prompts, beginnings, strict=True)], tokenizer, model.device
    )
    output = model.base_model(
        input_ids=read,
        attention_mask=mask.long(),
        position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
        use_cache=True,
    )
    cache = output.past_key_values
    cache.batch_repeat_interleave(n_copies)
    hidden = output.last_hidden_state[:, -1].repeat_interleave(n_copies, dim=0)
    mask = mask.repeat_interleave(n_copies, dim=0)
    is_over = torch.zeros(len(mask), dtype=torch.bool, device=model.device)
    start = torch.tensor(beginnings, dtype=torch.long, device=model.device).reshape(len(beginnings), -1)
    tokens = [start.repeat_interleave(n_copies, dim=0)]
    masks, entropies = [torch.ones_like(tokens[0], dtype=torch.bool)], [torch.zeros(tokens[0].shape)]
    for step in range(drawn_by.shape[1]):
        token, _, entropy = draw(model.get_output_embeddings()(hidden).float(), drawn_by[:, step])
        tokens.append(token.unsqueeze(1))
        masks.append(~is_over.unsqueeze(1))
        entropies.append(entropy.masked_fill(is_over, 0.0).unsqueeze(1))
        is_over = is_over | (token == tokenizer.eos_token_id)
        if step + 1 == drawn_by.shape[1] or is_over.all():
            break
        mask = torch.cat([mask, masks[-1]], dim=1)
        output = model.base_model(
            input_ids=token.unsqueeze(1),
            attention_mask=mask.long(),
            position_ids=(mask.cumsum(dim=1) - 1)[:, -1:],
            past_key_values=cache,
            use_cache=True,
        )
        hidden = output.last_hidden_state[:, -1]
    prompt_ids, prompt_mask = left_pad([prompt.ids for prompt in prompts], tokenizer, model.device)
    batch = TokenBatch(
        prompt_ids.repeat_interleave(n_copies, dim=0),
        prompt_mask.repeat_interleave(n_copies, dim=0),
        torch.cat(tokens, dim=1),
        torch.cat(masks, dim=1),
    )
    repeated = [prompt for prompt in prompts for _ in range(n_copies)]
    return Continuations(repeated, batch, torch.cat(entropies, dim=1))


def _decoded(tokenizer: Any, ids: list[list[int]]) -> list[str]:
    texts: list[str] = tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return texts

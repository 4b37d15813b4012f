"""Sample responses: a batched decode loop with its own generator, so that equal seeds give equal responses."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inner_loop.models.prompts import Prompt
from inner_loop.ppo.sampling import draw, likeliest
from inner_loop.ppo.tokens import TokenBatch

EVERY = slice(None)


class Rollout(NamedTuple):
    """Sampled responses of b prompts, as tokens and as text."""

    batch: TokenBatch
    prompts: list[str]
    """`b` prompt texts."""
    responses: list[str]
    """`b` response texts; the text scored is prompt + response."""
    token_ends: list[list[int]]
    """Per response, the end of each of its tokens in characters of the response text."""
    finished: Tensor
    """`b`, True where the response ended by itself, False where it was cut at the token limit."""
    logprobs: Tensor
    """`b x t` log-probability of each token as it was drawn; zero outside the response. Updates and evaluations make a
    pass of their own, which rounds as the reference's does: first ratios are exactly one, a start's KL exactly zero."""
    entropy: Tensor
    """`b x t` entropy of the distribution each token was drawn from, in nats; zero outside the response."""
    expected_worth: Tensor | None = None
    """`b x t` expectation of `worths` under the distribution each token was drawn from, if worths were given."""


@torch.no_grad()
def sample_rollout(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    temperature: float,
    generator: torch.Generator,
    top_k: int | None = None,
    top_p: float = 1.0,
    worths: Tensor | None = None,
    rows: slice = EVERY,
) -> Rollout:
    """Sample one response per prompt; with `worths`, one number per token of the vocabulary, their expectations too.

    Of several processes each samples its `rows` of the prompts, and draws the numbers of all.

    1. Left-pad the prompts and fill the cache.
    2. Draw every token by inverting the cumulative distribution at a uniform number. The numbers are drawn before the
       first token, `b x t`, so a response depends on its own row only, not on when the others end.
    3. Stop when all responses have ended. The end-of-sequence token is an action: it belongs to the response, and it
       alone ends it. Masks come from where responses ended, never from token ids, since pad may equal eos.
    4. Decode, with the character offset at which each token ends. A response may be empty: one token, no text.
    """
    uniforms = torch.rand(len(prompts), max_new_tokens, generator=generator)[rows].to(model.device)
    prompts = prompts[rows]
    prompt_ids, prompt_mask = left_pad([prompt.ids for prompt in prompts], tokenizer, model.device)
    finished = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    mask, cache, step_ids = prompt_mask, None, prompt_ids
    tokens, masks, logprobs, entropies, kept, expected = [], [], [], [], [], []
    for step in range(max_new_tokens):
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -step_ids.shape[1] :]
        output = model.base_model(
            input_ids=step_ids,
            attention_mask=mask.long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        cache = output.past_key_values
        logits = model.get_output_embeddings()(output.last_hidden_state[:, -1]).float()
        if temperature != 1.0:
            logits = logits / temperature
        if top_k is not None or top_p < 1.0:
            kept.append(likeliest(logits, top_k=top_k, top_p=top_p))
            logits = logits.masked_fill(~kept[-1], float("-inf"))
        token, logprob, entropy = draw(logits, uniforms[:, step])
        if worths is not None:
            expected.append(torch.softmax(logits, dim=-1) @ worths)
        tokens.append(token)
        masks.append(~finished)
        logprobs.append(logprob.masked_fill(finished, 0.0))
        entropies.append(entropy.masked_fill(finished, 0.0))
        finished = finished | (token == tokenizer.eos_token_id)
        if finished.all():
            break
        mask = torch.cat([mask, masks[-1].unsqueeze(1)], dim=1)
        step_ids = token.unsqueeze(1)
    batch = TokenBatch(
        prompt_ids,
        prompt_mask,
        torch.stack(tokens, dim=1),
        torch.stack(masks, dim=1),
        torch.stack(kept, dim=1) if kept else None,
    )
    responses, token_ends = decode_responses(tokenizer, prompts, batch)
    texts = [prompt.text for prompt in prompts]
    return Rollout(
        batch,
        texts,
        responses,
        token_ends,
        finished,
        torch.stack(logprobs, dim=1),
        torch.stack(entropies, dim=1),
        torch.stack(expected, dim=1) if expected else None,
    )


def left_pad(sequences: Sequence[list[int]], tokenizer: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """`(ids, mask)`, both `b x p`: sequences flushed right, the mask True on their tokens.

    Padding is never attended to; a tokenizer without a padding token pads with its end-of-sequence token.
    """
    width = max(len(ids) for ids in sequences)
    filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    padded = torch.tensor([[filler] * (width - len(ids)) + ids for ids in sequences], device=device)
    lengths = torch.tensor([len(ids) for ids in sequences], device=device)
    return padded, torch.arange(width, device=device) >= width - lengths.unsqueeze(1)


def decode_responses(tokenizer: Any, prompts: Sequence[Prompt], batch: TokenBatch) -> tuple[list[str], list[list[int]]]:
    """Response texts, and where in them each response token ends.

    Every beginning of a response is decoded after the last token of its prompt, since some tokenizers drop a leading
    space and some characters span several tokens: a token that leaves a character unfinished ends before it.
    """
    lengths = batch.response_mask.sum(dim=1).tolist()
    rows = [ids[:length] for ids, length in zip(batch.response_ids.tolist(), lengths, strict=True)]
    beginnings = [
        [prompt.ids[-1], *ids[:end]] for prompt, ids in zip(prompts, rows, strict=True) for end in range(len(ids) + 1)
    ]
    decoded = iter(tokenizer.batch_decode(beginnings, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    responses, token_ends = [], []
    for ids in rows:
        anchor = len(next(decoded))
        texts = [next(decoded)[anchor:] for _ in ids]
        response = texts[-1]
        ends = [len(text.rstrip("\ufffd")) for text in texts[:-1]]
        responses.append(response)
        token_ends.append([*_running_max(ends), len(response)])
    return responses, token_ends


def _running_max(values: list[int]) -> list[int]:
    highest, running = 0, []
    for value in values:
        highest = max(highest, value)
        running.append(highest)
    return running

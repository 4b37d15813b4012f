import copy

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inner_loop.models.prompts import Prompt
from inner_loop.ppo.rollout import decode_responses, left_pad, sample_rollout
from inner_loop.ppo.sampling import draw
from inner_loop.ppo.tokens import TokenBatch
from tests.inner_loop.ppo.token_outputs import token_outputs


def sample(tiny_policy, tokenizer, prompts, seed=0, n=12, temperature=1.0, **truncation):
    return sample_rollout(
        tiny_policy,
        tokenizer,
        prompts,
        max_new_tokens=n,
        temperature=temperature,
        generator=torch.Generator().manual_seed(seed),
        **truncation,
    )


def test_equal_seeds_give_equal_responses(tiny_policy, tokenizer, prompts):
    first, second = (sample(tiny_policy, tokenizer, prompts) for _ in range(2))
    assert first.responses == second.responses
    assert sample(tiny_policy, tokenizer, prompts, seed=1).responses != first.responses


def test_a_cached_decode_samples_what_the_full_pass_would(tiny_policy, tokenizer, prompts):
    rollout = sample(tiny_policy, tokenizer, prompts)
    uniforms = torch.rand(len(prompts), 12, generator=torch.Generator().manual_seed(0))
    for row, prompt in enumerate(prompts):
        ids = list(prompt.ids)
        for step in range(int(rollout.batch.response_mask[row].sum())):
            logits = tiny_policy(torch.tensor([ids])).logits[:, -1].float()
            ids.append(draw(logits, uniforms[row, step : step + 1])[0].item())
        assert ids[len(prompt.ids) :] == rollout.batch.response_ids[row, : len(ids) - len(prompt.ids)].tolist()


class EndsInOrder(torch.nn.Module):
    """A head: row i prefers token 9 until step i, then the end; from row 3 on it never ends."""

    def __init__(self, n_tokens, end):
        super().__init__()
        self.n_tokens, self.end, self.calls = n_tokens, end, 0

    def forward(self, hidden):
        logits = torch.zeros(hidden.shape[0], self.n_tokens)
        logits[:, 9] = 100.0
        logits[: min(self.calls + 1, 3), self.end] = 200.0
        self.calls += 1
        return logits


@pytest.mark.parametrize("pad_is_eos", [False, True])
def test_the_end_of_sequence_token_is_an_action_and_ends_the_mask(tiny_policy, tokenizer, prompts, pad_is_eos):
    tokenizer = copy.deepcopy(tokenizer)
    if pad_is_eos:
        tokenizer.pad_token = tokenizer.eos_token
    head = EndsInOrder(len(tokenizer), tokenizer.eos_token_id)
    tiny_policy.get_output_embeddings = lambda: head
    rollout = sample(tiny_policy, tokenizer, prompts, n=5)
    assert rollout.batch.response_ids[1, 1] == tokenizer.eos_token_id
    assert rollout.batch.response_mask.sum(dim=1).tolist() == [1, 2, 3, 5]
    assert rollout.finished.tolist() == [True, True, True, False]
    assert rollout.responses[0] == ""
    assert rollout.token_ends[0] == [0]


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.4, "temperature": 0.5}])
def test_logprobs_of_the_decode_are_those_of_the_full_pass(tiny_policy, tokenizer, prompts, sampling):
    rollout = sample(tiny_policy, tokenizer, prompts, **sampling)
    outputs = token_outputs(tiny_policy, rollout.batch, sampling.get("temperature", 1.0))
    expected = outputs.logprobs.masked_fill(~rollout.batch.response_mask, 0.0)
    torch.testing.assert_close(rollout.logprobs, expected, atol=1e-5, rtol=0)


def test_truncation_draws_the_likeliest_and_renormalises_over_them(tiny_policy, tokenizer, prompts):
    rollout = sample(tiny_policy, tokenizer, prompts[:1], n=6, top_k=3)
    ids = list(prompts[0].ids)
    for step, token in enumerate(rollout.batch.response_ids[0].tolist()):
        top = tiny_policy(torch.tensor([ids])).logits[0, -1].topk(3)
        assert token in top.indices.tolist()
        expected = torch.distributions.Categorical(logits=top.values)
        index = top.indices.tolist().index(token)
        torch.testing.assert_close(rollout.logprobs[0, step], expected.logits[index], atol=1e-5, rtol=0)
        torch.testing.assert_close(rollout.entropy[0, step], expected.entropy(), atol=1e-5, rtol=0)
        ids.append(token)


def test_a_tokenizer_without_padding_pads_with_the_end_and_samples_the_same(tiny_policy, tokenizer, prompts):
    without = copy.deepcopy(tokenizer)
    without.pad_token = None
    assert without.pad_token_id is None
    ids, mask = left_pad([[5], [6, 7]], without, torch.device("cpu"))
    assert ids.tolist() == [[tokenizer.eos_token_id, 5], [6, 7]]
    assert mask.tolist() == [[False, True], [True, True]]
    assert sample(tiny_policy, without, prompts).responses == sample(tiny_policy, tokenizer, prompts).responses


def test_a_response_does_not_depend_on_its_neighbours(tiny_policy, tokenizer, prompts):
    together = sample(tiny_policy, tokenizer, prompts)
    first = sample(tiny_policy, tokenizer, prompts[:1])
    assert first.responses[0] == together.responses[0]


def test_token_ends_cut_the_response_into_its_tokens(tiny_policy, tokenizer, prompts):
    rollout = sample(tiny_policy, tokenizer, prompts)
    for row, (response, ends) in enumerate(zip(rollout.responses, rollout.token_ends, strict=True)):
        length = int(rollout.batch.response_mask[row].sum())
        assert len(ends) == length
        assert ends == sorted(ends)
        assert ends[-1] == len(response)
    ids = tokenizer(" a wonderful film")["input_ids"]
    ids = [token for token in ids if token not in tokenizer.all_special_ids]
    mask = torch.ones(1, len(ids), dtype=torch.bool)
    batch = TokenBatch(
        torch.tensor([prompts[0].ids]), torch.ones(1, len(prompts[0].ids)).bool(), torch.tensor([ids]), mask
    )
    [response], [ends] = decode_responses(tokenizer, prompts[:1], batch)
    pieces = [response[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert response == " a wonderful film"
    assert pieces == [tokenizer.decode([token]) for token in ids]


def test_a_character_of_several_tokens_ends_with_the_last_of_them():
    # Every byte a token: é is two tokens, of which the first ends before it and the second after it.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    prompt, ids = Prompt("x", tokenizer("x")["input_ids"]), tokenizer("aé!")["input_ids"]
    batch = TokenBatch(
        torch.tensor([prompt.ids]), torch.ones(1, 1).bool(), torch.tensor([ids]), torch.ones(1, 4).bool()
    )
    assert decode_responses(tokenizer, [prompt], batch) == (["aé!"], [[1, 1, 2, 3]])

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inner_loop.ppo.actor_critic import TokenBatch, token_outputs
from inner_loop.ppo.rollout import decode_responses, draw, sample_rollout
from inner_loop.task import Prompt


def sample(tiny_policy, tokenizer, prompts, seed=0, n=12):
    return sample_rollout(
        tiny_policy,
        tokenizer,
        prompts,
        max_new_tokens=n,
        temperature=1.0,
        generator=torch.Generator().manual_seed(seed),
    )


def test_draws_follow_the_softmax():
    logits = torch.tensor([[0.0, 1.0, -2.0, 0.5]]).expand(200_000, 4)
    tokens, _, entropy = draw(logits, torch.rand(200_000, generator=torch.Generator().manual_seed(0)))
    expected = torch.softmax(logits[0], dim=0)
    counts = torch.bincount(tokens, minlength=4)
    chi_square = ((counts - 200_000 * expected) ** 2 / (200_000 * expected)).sum()
    assert chi_square < 16.3  # 99.9 % quantile with three degrees of freedom
    torch.testing.assert_close(entropy[0], torch.distributions.Categorical(logits=logits[0]).entropy())


def test_draws_at_the_ends_of_the_range_are_tokens():
    logits = torch.randn(2, 49_152, generator=torch.Generator().manual_seed(0))
    logits[:, 0] = float("-inf")
    tokens, logprobs, entropy = draw(logits, torch.tensor([0.0, 1 - 2**-24]))
    assert tokens.tolist()[0] >= 1
    assert tokens.max() < 49_152
    assert entropy.isfinite().all()
    expected = torch.log_softmax(logits, dim=-1).gather(1, tokens[:, None])[:, 0]
    torch.testing.assert_close(logprobs, expected)


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


def test_the_end_of_sequence_token_is_an_action_and_ends_the_mask(tiny_policy, tokenizer, prompts):
    class EndsAtThird(torch.nn.Module):
        """Row i prefers token 9 until step i, then the end."""

        calls = 0

        def forward(self, hidden):
            logits = torch.zeros(hidden.shape[0], len(tokenizer))
            logits[:, 9] = 100.0
            for row in range(hidden.shape[0]):
                if self.calls >= row and row < 3:
                    logits[row, tokenizer.eos_token_id] = 200.0
            self.calls += 1
            return logits

    head = EndsAtThird()
    tiny_policy.get_output_embeddings = lambda: head
    rollout = sample(tiny_policy, tokenizer, prompts, n=5)
    assert rollout.batch.response_mask.sum(dim=1).tolist() == [1, 2, 3, 5]
    assert rollout.finished.tolist() == [True, True, True, False]
    assert rollout.responses[0] == ""
    assert rollout.token_ends[0] == [0]


def test_logprobs_of_the_decode_are_those_of_the_full_pass(tiny_policy, tokenizer, prompts):
    rollout = sample(tiny_policy, tokenizer, prompts)
    expected = token_outputs(tiny_policy, rollout.batch, 1.0).logprobs.masked_fill(~rollout.batch.response_mask, 0.0)
    torch.testing.assert_close(rollout.logprobs, expected, atol=1e-5, rtol=0)


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

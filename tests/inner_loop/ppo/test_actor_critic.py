import copy

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM
from trl.trainer.utils import selective_log_softmax

from inner_loop.errors import TaskError
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.ppo.tokens import TokenBatch
from inner_loop.ppo.trunk import find_blocks
from tests.inner_loop.ppo.token_outputs import token_outputs
from tests.inner_loop.tiny_models import TINY

MODES = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "top layer": {"trainable_layers": 1},
    "top layer, bfloat16": {"trainable_layers": 1, "precision": "bfloat16"},
    "lora": {"lora_rank": 2},
    "lora on the top layer, bfloat16": {"lora_rank": 2, "trainable_layers": 1, "precision": "bfloat16"},
    "separate critic": {"critic": "separate"},
    "separate critic, top layer, bfloat16": {"critic": "separate", "trainable_layers": 1, "precision": "bfloat16"},
    "separate critic, lora": {"critic": "separate", "lora_rank": 2},
    "no critic": {"critic": "none"},
    "checkpointing": {"gradient_checkpointing": True},
}


def batch_of(rows, prompt_width, response_width, pad=7):
    """Prompt and response lists, padded with a token that is also an ordinary one: masks must come from lengths."""
    prompt_ids = [[pad] * (prompt_width - len(p)) + p for p, _ in rows]
    response_ids = [r + [pad] * (response_width - len(r)) for _, r in rows]
    return TokenBatch(
        torch.tensor(prompt_ids),
        torch.tensor([[False] * (prompt_width - len(p)) + [True] * len(p) for p, _ in rows]),
        torch.tensor(response_ids),
        torch.tensor([[True] * len(r) + [False] * (response_width - len(r)) for _, r in rows]),
    )


BATCH = batch_of([([5, 6, 7], [8, 9, 7, 10]), ([11, 12], [13, 7])], 3, 4)


def train(actor_critic, steps=3):
    """Make the batch likelier and its values one; the log-probabilities and values after that."""
    optimizer = actor_critic.make_optimizer(1e-2)
    prepared = actor_critic.prepare(BATCH)
    for _ in range(steps):
        optimizer.zero_grad()
        logprobs, values = actor_critic(prepared, 1.0)
        (((values - 1.0) ** 2).mean() - logprobs.mean()).backward()
        optimizer.clip(1.0)
        optimizer.step()
    with torch.no_grad():
        return actor_critic(prepared, 1.0)


@pytest.fixture(params=MODES)
def mode(request):
    return MODES[request.param]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_of_the_models_own_logits(tiny_policy, temperature):
    prompt, response = [5, 6, 7], [8, 9, 7, 10]
    batch = batch_of([(prompt, response)], 3, 4)
    logits = tiny_policy(torch.tensor([prompt + response])).logits[:, 2:-1] / temperature
    expected = selective_log_softmax(logits, torch.tensor([response]))
    torch.testing.assert_close(token_outputs(tiny_policy, batch, temperature).logprobs, expected)


def test_padding_on_either_side_changes_nothing(tiny_policy):
    row = ([5, 6, 7], [8, 9])
    tight = token_outputs(tiny_policy, batch_of([row], 3, 2), 1.0).logprobs
    padded = token_outputs(tiny_policy, batch_of([row, ([4] * 6, [3] * 5)], 6, 5), 1.0).logprobs
    torch.testing.assert_close(padded[:1, :2], tight, atol=1e-5, rtol=0)
    assert padded[0, 2:].abs().max() == 0


def test_probability_is_shared_among_the_kept_tokens_by_policy_and_reference(tiny_policy):
    logits = tiny_policy(torch.tensor([[5, 6, 7, 8]])).logits[0, 2]
    kept = torch.zeros(1, 1, len(logits), dtype=torch.bool)
    kept[0, 0, [8, 20]] = True
    batch = batch_of([([5, 6, 7], [8])], 3, 1)._replace(kept=kept)
    actor_critic = ActorCritic(tiny_policy)
    prepared = actor_critic.prepare(batch)
    expected = torch.log_softmax(logits[[8, 20]], dim=0)[0]
    torch.testing.assert_close(actor_critic(prepared.rows(torch.tensor([0])), 1.0)[0][0, 0], expected)
    torch.testing.assert_close(actor_critic.reference_logprobs(prepared, 1.0)[0, 0], expected.detach())


def test_every_mode_starts_at_the_reference_with_zero_values_and_learns(tiny_policy, mode):
    actor_critic = ActorCritic(tiny_policy, **mode)
    prepared = actor_critic.prepare(BATCH)
    logprobs, values = actor_critic(prepared, 1.0)
    reference = actor_critic.reference_logprobs(prepared, 1.0)
    assert torch.equal(logprobs, reference)
    assert values.abs().max() == 0
    after, values = train(actor_critic)
    assert after.sum() > logprobs.sum()
    assert (values.sum() > 0) == (mode.get("critic") != "none")
    assert torch.equal(actor_critic.reference_logprobs(prepared, 1.0), reference)


def test_reset_equals_a_fresh_load(tiny_policy, mode):
    fresh = train(ActorCritic(copy.deepcopy(tiny_policy), **mode))
    actor_critic = ActorCritic(tiny_policy, **mode)
    train(actor_critic, steps=2)
    actor_critic.reset()
    for own, expected in zip(train(actor_critic), fresh, strict=True):
        assert torch.equal(own, expected)


def test_a_checkpoint_continues_bit_for_bit(tiny_policy, mode):
    first = ActorCritic(copy.deepcopy(tiny_policy), **mode)
    first.make_optimizer(1e-2)
    train_on = [first]
    states = []
    for actor_critic in (first, ActorCritic(tiny_policy, **mode)):
        optimizer = actor_critic.make_optimizer(1e-2)
        if states:
            actor_critic.load_training_state(states[0])
            train_on.append(actor_critic)
        for step in range(2):
            if actor_critic is not first and step == 0:
                continue
            logprobs, values = actor_critic(actor_critic.prepare(BATCH), 1.0)
            (values.sum() - logprobs.sum()).backward()
            optimizer.step()
            if step == 0:
                states.append({name: tensor.clone() for name, tensor in actor_critic.training_state().items()})
    ends = [actor_critic.training_state() for actor_critic in train_on]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_checkpoint_of_other_modes_is_refused(tiny_policy):
    state = ActorCritic(copy.deepcopy(tiny_policy)).training_state()
    with pytest.raises(TaskError, match="other modes"):
        ActorCritic(tiny_policy, trainable_layers=1).load_training_state(state)


def test_a_saved_policy_is_an_ordinary_model_folder(tiny_policy, mode, tmp_path):
    actor_critic = ActorCritic(tiny_policy, **mode)
    logprobs, _ = train(actor_critic)
    actor_critic.save_policy(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float32
    assert {name for name, _ in loaded.named_parameters()} == {n for n, _ in tiny_policy_names(tiny_policy)}
    saved = token_outputs(loaded, BATCH, 1.0).logprobs
    (tmp_path / "other").touch()
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {(tmp_path / "other").stat().st_mode}
    atol = 0.05 if mode.get("precision") == "bfloat16" else 1e-5
    torch.testing.assert_close(saved, logprobs, atol=atol, rtol=0)


def tiny_policy_names(policy):
    """Parameters of the policy by the names they have without adapters."""
    return [(n.replace(".base_layer", ""), p) for n, p in policy.named_parameters() if "lora_" not in n]


def test_the_top_layers_gradients_are_those_of_the_whole_model(tiny_policy):
    cut, whole = ActorCritic(copy.deepcopy(tiny_policy), trainable_layers=1), ActorCritic(tiny_policy)
    outputs = []
    for actor_critic in (cut, whole):
        nn.init.ones_(actor_critic.value_head.weight)
        logprobs, values = actor_critic(actor_critic.prepare(BATCH), 1.0)
        (values.sum() - 3 * logprobs.sum()).backward()
        outputs.append((logprobs.detach(), values.detach()))
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-6, rtol=0)
    names = set(cut._weights)
    assert {name for name in names if ".layers." in name} == {n for n in whole._weights if ".layers.1." in n}
    assert {"policy.lm_head.weight", "policy.model.norm.weight", "value_head.weight"} < names
    for name in names:
        torch.testing.assert_close(cut._weights[name].grad, whole._weights[name].grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mode", [{"trainable_layers": 1}, {}, {"precision": "bfloat16"}])
def test_a_gpt2_with_tied_embeddings_works_too(mode):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    model = GPT2LMHeadModel(config).eval()
    batch = batch_of([([5, 6, 7], [8, 9])], 5, 2)
    expected = torch.log_softmax(model(torch.tensor([[5, 6, 7, 8, 9]])).logits, dim=-1)[0, [2, 3], [8, 9]]
    actor_critic = ActorCritic(model, **mode)
    logprobs, _ = actor_critic(actor_critic.prepare(batch), 1.0)
    torch.testing.assert_close(logprobs[0], expected, atol=2e-2 if "precision" in mode else 1e-5, rtol=0)
    # The output embedding is the input embedding: training it would change what the lower layers give.
    assert model.lm_head.weight.requires_grad == ("trainable_layers" not in mode)


def test_sliding_windows_and_biases_work_with_the_cut():
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=32,
        **TINY,
        num_key_value_heads=1,
        use_sliding_window=True,
        sliding_window=2,
        max_window_layers=1,
    )
    model = Qwen2ForCausalLM(config).eval()
    expected = token_outputs(model, BATCH, 1.0).logprobs
    actor_critic = ActorCritic(model, trainable_layers=1)
    torch.testing.assert_close(actor_critic(actor_critic.prepare(BATCH), 1.0)[0], expected, atol=1e-6, rtol=0)


def test_the_working_copy_computes_in_its_precision_and_the_masters_do_not(tiny_policy):
    actor_critic = ActorCritic(tiny_policy, precision="bfloat16")
    assert {parameter.dtype for parameter in actor_critic.sampler.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in actor_critic.parameters()} == {torch.float32}
    assert {buffer.dtype for buffer in actor_critic.sampler.buffers()} == {torch.float32}
    assert actor_critic(actor_critic.prepare(BATCH), 1.0)[0].dtype == torch.float32


def test_dropout_stays_off(tiny_policy):
    tiny_policy.config.attention_dropout = 0.5
    for layer in tiny_policy.model.layers:
        layer.self_attn.attention_dropout = 0.5
    actor_critic = ActorCritic(tiny_policy.train(), gradient_checkpointing=True)
    prepared = actor_critic.prepare(BATCH)
    assert torch.equal(actor_critic(prepared, 1.0)[0], actor_critic(prepared, 1.0)[0])


def test_adapters_start_alike_and_leave_the_global_generator_alone(tiny_policy):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = ActorCritic(copy.deepcopy(tiny_policy), lora_rank=2)
    assert torch.equal(torch.rand(1), expected)
    second = ActorCritic(tiny_policy, lora_rank=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert any(parameter.abs().max() > 0 for parameter in first.parameters())


@pytest.mark.parametrize("rank", [1, 3])
def test_an_adapter_has_its_rank_for_every_input_and_output_of_its_layer(tiny_policy, rank):
    # Per layer of 16 units with 32 inside: q, k, v, o are 16 to 16, gate and up 16 to 32, down 32 to 16; then the head.
    expected = 2 * rank * (4 * (16 + 16) + 3 * (16 + 32)) + 16 + 1
    actor_critic = ActorCritic(tiny_policy, lora_rank=rank)
    assert sum(parameter.numel() for parameter in actor_critic.parameters()) == expected


def test_a_checkpoint_of_another_rank_is_refused(tiny_policy):
    state = ActorCritic(copy.deepcopy(tiny_policy), lora_rank=1).training_state()
    with pytest.raises(TaskError, match="other modes"):
        ActorCritic(tiny_policy, lora_rank=3).load_training_state(state)


@pytest.mark.parametrize("mode", [{}, {"trainable_layers": 1}, {"lora_rank": 2}, {"critic": "separate"}])
def test_recomputed_activations_give_the_same_gradients(tiny_policy, mode):
    grads = []
    for recomputed in (False, True):
        actor_critic = ActorCritic(copy.deepcopy(tiny_policy), gradient_checkpointing=recomputed, **mode)
        nn.init.ones_(actor_critic.value_head.weight)
        top = find_blocks(actor_critic.sampler.base_model)[1][-1]
        calls = []
        top.input_layernorm.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        logprobs, values = actor_critic(actor_critic.prepare(BATCH), 1.0)
        before = len(calls)
        (values.sum() - 3 * logprobs.sum()).backward()
        assert len(calls) == before + recomputed
        grads.append({name: weight.grad for name, weight in actor_critic._weights.items()})
    assert any(grad is not None and grad.abs().max() > 0 for grad in grads[0].values())
    for name, grad in grads[0].items():
        assert torch.equal(grads[1][name], grad)


def test_a_policy_has_one_actor_critic(tiny_policy):
    with pytest.raises(TaskError, match="smaller than the 2 layers"):
        ActorCritic(tiny_policy, trainable_layers=2)
    spare = copy.deepcopy(tiny_policy)
    train(ActorCritic(tiny_policy))
    with pytest.raises(TaskError, match="LlamaForCausalLM already belongs to an ActorCritic"):
        ActorCritic(tiny_policy, precision="bfloat16")
    for policy in (spare, copy.deepcopy(tiny_policy)):
        train(ActorCritic(policy))


def test_adapters_are_all_that_is_trained(tiny_policy):
    names = set(ActorCritic(tiny_policy, lora_rank=2, trainable_layers=1)._weights)
    assert all(".layers.1." in name and "lora_" in name for name in names if not name.startswith("value_head"))
    assert len(names) == 2 * 7 + 2


def test_without_peft_adapters_are_an_error_that_says_what_to_install(tiny_policy, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(TaskError, match=r"bo-shaping\[lora\]"):
        ActorCritic(tiny_policy, lora_rank=2)


def test_a_model_that_changes_its_logits_is_refused(tiny_policy):
    class Capped(type(tiny_policy)):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits = 3.0 * output.logits
            return output

    capped = Capped(tiny_policy.config).eval()
    with pytest.raises(TaskError, match="Capped changes its logits"):
        ActorCritic(capped)

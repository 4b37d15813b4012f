import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel, OPTConfig, OPTModel, Qwen2Config, Qwen2Model

from inner_loop.errors import TaskError
from inner_loop.ppo.tokens import TokenBatch
from inner_loop.ppo.trunk import Trunk, checkpoint_blocks, find_blocks

ROTARY = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
MODELS = {
    "llama": lambda: LlamaModel(LlamaConfig(**ROTARY)),
    "sliding": lambda: Qwen2Model(
        Qwen2Config(**ROTARY, use_sliding_window=True, sliding_window=3, max_window_layers=1)
    ),
    "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=64, n_embd=16, n_layer=3, n_head=2, n_positions=64)),
    "opt": lambda: OPTModel(
        OPTConfig(vocab_size=64, hidden_size=16, ffn_dim=24, num_hidden_layers=3, num_attention_heads=2)
    ),
}
BATCH = TokenBatch(
    torch.arange(4, 14).view(2, 5),
    torch.tensor([[True] * 5, [False] * 2 + [True] * 3]),
    torch.arange(20, 28).view(2, 4),
    torch.tensor([[True] * 4, [True] * 2 + [False] * 2]),
)


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]().eval()


def test_the_two_halves_give_what_the_whole_gives(model):
    whole, cut = Trunk(model), Trunk(model, 1)
    prepared = cut.prepare(BATCH)
    assert prepared.lower.shape[:2] == (2, 8)
    torch.testing.assert_close(cut(prepared), whole(whole.prepare(BATCH)), atol=1e-6, rtol=0)


def test_gradients_of_the_upper_half_are_those_of_the_whole(model):
    whole, cut = Trunk(model), Trunk(model, 2)
    upper = cut.upper_parameters()
    model.requires_grad_(True)
    weight = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.autograd.grad((whole(whole.prepare(BATCH)) * weight).sum(), upper)
    for own, other in zip(torch.autograd.grad((cut(cut.prepare(BATCH)) * weight).sum(), upper), expected, strict=True):
        torch.testing.assert_close(own, other, atol=1e-6, rtol=1e-5)


def test_the_upper_half_is_its_blocks_and_the_final_norm(model):
    upper = {id(parameter) for parameter in Trunk(model, 1).upper_parameters()}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in upper}
    path, _ = find_blocks(model)
    blocks = {name for name in names if name.startswith(path)}
    assert blocks == {name for name, _ in model.named_parameters() if name.startswith(f"{path}.2.")}
    assert names - blocks
    assert all("norm" in name or "ln_f" in name for name in names - blocks)


def test_the_model_is_left_as_it_was(model):
    before = [(name, id(module)) for name, module in model.named_modules()]
    Trunk(model, 1).upper_parameters()
    assert [(name, id(module)) for name, module in model.named_modules()] == before
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_rows_of_a_prepared_batch_keep_their_lower_half(model):
    cut = Trunk(model, 1)
    prepared = cut.prepare(BATCH)
    torch.testing.assert_close(cut(prepared.rows(torch.tensor([1]))), cut(prepared)[4:], atol=1e-6, rtol=0)


def test_too_many_layers_are_an_error(model):
    with pytest.raises(TaskError, match="must be smaller than the 3 layers"):
        Trunk(model, 3)


def test_a_model_without_a_list_of_layers_is_an_error(model):
    model.config.num_hidden_layers = 7
    with pytest.raises(TaskError, match="no list of 7 layers was found"):
        find_blocks(model)


def test_a_model_whose_layers_share_more_than_their_output_is_an_error():
    class Skipping(LlamaModel):
        def forward(self, input_ids, **kwargs):
            output = super().forward(input_ids=input_ids, **kwargs)
            first = self.layers[0]
            output.last_hidden_state = output.last_hidden_state * getattr(first, "gain", 1.0)
            return output

    torch.manual_seed(0)
    model = Skipping(LlamaConfig(**ROTARY)).eval()
    model.layers[0].gain = 2.0
    with pytest.raises(TaskError, match="Skipping cannot be cut"):
        Trunk(model, 1)


def test_a_model_that_does_not_go_through_its_layers_is_an_error():
    class Idle(LlamaModel):
        def forward(self, input_ids, **kwargs):
            layers, self.layers = self.layers, nn.ModuleList()
            output = super().forward(input_ids=input_ids, **kwargs)
            self.layers = layers
            return output

    with pytest.raises(TaskError, match=r"Idle cannot be cut .* does not go through them all"):
        Trunk(Idle(LlamaConfig(**ROTARY)).eval(), 1)


def test_checkpointing_recomputes_blocks_and_changes_nothing(model):
    _, blocks = find_blocks(model)
    trunk = Trunk(model)
    parameters = list(blocks[0].parameters())
    expected = torch.autograd.grad(trunk(trunk.prepare(BATCH)).square().sum(), parameters)
    checkpoint_blocks(model)
    calls = []
    inner = next(module for module in blocks[1].modules() if not list(module.children()))
    inner.register_forward_pre_hook(lambda *_: calls.append(1))
    grads = torch.autograd.grad(trunk(trunk.prepare(BATCH)).square().sum(), parameters)
    assert len(calls) == 2
    assert all(torch.equal(own, other) for own, other in zip(grads, expected, strict=True))

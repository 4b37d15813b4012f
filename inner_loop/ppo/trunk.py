"""A decoder cut in two: frozen lower blocks, whose output is computed once per rollout, under trained upper ones.

The cut needs no knowledge of an architecture. The model's own forward pass runs twice, once with stand-ins for its
upper blocks that record what reaches them, once with stand-ins for its lower blocks that replay it: embeddings, masks,
positions and the final norm stay the model's own business.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from inner_loop.errors import TaskError
from inner_loop.libraries.torch_internals import own_modules
from inner_loop.ppo.tokens import PreparedBatch, TokenBatch, at_response_tokens, model_inputs

CUT_ATOL = 1e-4
"""How far the output of the two halves may be from that of the whole, relative to its largest entry."""

_UNCUT = "task.policy: {} cannot be cut between its layers ({}); leave out ppo.trainable_layers."


class Trunk:
    """A transformers decoder without its head, cut below its top blocks if only they are trained.

    Args:
        model: The decoder (`base_model` of a causal language model).
        n_upper: Blocks above the cut; None for no cut.

    Raises:
        TaskError: If the blocks cannot be found, there are too few, or the two halves do not give what the whole gives.
    """

    def __init__(self, model: Any, n_upper: int | None = None) -> None:
        self.model = model
        self._is_cut = n_upper is not None
        if n_upper is None:
            return
        path, blocks = find_blocks(model)
        if n_upper >= len(blocks):
            raise TaskError(
                f"ppo.trainable_layers must be smaller than the {len(blocks)} layers of {type(model).__name__}, "
                f"got {n_upper}; leave it out to train all of them."
            )
        n_lower = len(blocks) - n_upper
        self._record, self._replay = _Record(), _Replay()
        self._lower = with_blocks(model, path, [*blocks[:n_lower], *[self._record] * n_upper])
        self._upper = with_blocks(model, path, [*[self._replay] * n_lower, *blocks[n_lower:]])
        self._check_cut()

    @torch.no_grad()
    def prepare(self, batch: TokenBatch) -> PreparedBatch:
        """Run the lower blocks, if there is a cut."""
        if not self._is_cut:
            return PreparedBatch(batch, None)
        return PreparedBatch(batch, self._run_lower(model_inputs(batch)))

    def __call__(self, prepared: PreparedBatch) -> Tensor:
        """`n x d` states from which the n response tokens are predicted."""
        inputs = model_inputs(prepared.batch)
        if prepared.lower is None:
            states = self.model(**inputs, use_cache=False).last_hidden_state
        else:
            states = self._run_upper(inputs, prepared.lower)
        return at_response_tokens(states, prepared.batch)

    def upper_parameters(self) -> list[nn.Parameter]:
        """The parameters on which the output depends once the lower blocks' is given: found by differentiating."""
        parameters = list(self.model.parameters())
        required = [parameter.requires_grad for parameter in parameters]
        inputs = _probe(self.model)
        with torch.enable_grad():
            lower = self._run_lower(inputs).detach()
            self.model.requires_grad_(True)
            grads = torch.autograd.grad(self._run_upper(inputs, lower).sum(), parameters, allow_unused=True)
        for parameter, before in zip(parameters, required, strict=True):
            parameter.requires_grad_(before)
        return [parameter for parameter, grad in zip(parameters, grads, strict=True) if grad is not None]

    def _run_lower(self, inputs: dict[str, Tensor]) -> Tensor:
        self._lower(**inputs, use_cache=False)
        hidden, self._record.hidden = self._record.hidden, None
        if hidden is None:
            raise TaskError(_UNCUT.format(type(self.model).__name__, "its forward pass does not go through them all"))
        return hidden

    def _run_upper(self, inputs: dict[str, Tensor], lower: Tensor) -> Tensor:
        self._replay.hidden = lower
        states: Tensor = self._upper(**inputs, use_cache=False).last_hidden_state
        self._replay.hidden = None
        return states

    @torch.no_grad()
    def _check_cut(self) -> None:
        inputs = _probe(self.model)
        whole = self.model(**inputs, use_cache=False).last_hidden_state
        halves = self._run_upper(inputs, self._run_lower(inputs))
        if halves.shape != whole.shape or not torch.allclose(halves, whole, rtol=0, atol=CUT_ATOL * whole.abs().max()):
            raise TaskError(_UNCUT.format(type(self.model).__name__, "they share more than their output"))


def checkpoint_blocks(model: Any) -> None:
    """Let every block of a decoder recompute its activations on the way back, in place.

    transformers' own switch works in training mode only, which would turn dropout on: then the ratio of the first
    update would not be one.
    """
    for block in find_blocks(model)[1]:
        block.forward = partial(_recomputed, block.forward)


def _recomputed(forward: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def choose_attention(model: Any) -> None:
    """On a CPU, plain attention instead of the fused kernel, whose way back is slower for short sequences."""
    if model.device.type == "cpu":
        model.set_attn_implementation("eager")


def find_blocks(model: Any) -> tuple[str, list[nn.Module]]:
    """Path and contents of the list of decoder blocks: the outermost with as many entries as the model has layers.

    Raises:
        TaskError: If there is none.
    """
    n_layers = model.config.get_text_config().num_hidden_layers
    paths = [
        path for path, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    if not paths:
        raise TaskError(
            f"task.policy: no list of {n_layers} layers was found in {type(model).__name__}; leave out "
            "ppo.trainable_layers."
        )
    path = min(paths, key=lambda path: path.count("."))
    return path, list(model.get_submodule(path))


def with_blocks(model: nn.Module, path: str, blocks: Sequence[nn.Module]) -> nn.Module:
    """`model` with other blocks at `path`: a view that shares every parameter with it, and leaves it as it is."""
    view = copy.copy(model)
    own_modules(view, model)
    name, _, rest = path.partition(".")
    part = with_blocks(model.get_submodule(name), rest, blocks) if rest else nn.ModuleList(blocks)
    view.register_module(name, part)
    return view


class _Record(nn.Module):
    """Stands in for the blocks above the cut: keeps what reaches it."""

    hidden: Tensor | None = None

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.hidden = hidden_states
        return hidden_states


class _Replay(nn.Module):
    """Stands in for the blocks below the cut: gives what they would have given."""

    hidden: Tensor | None = None

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return hidden_states if self.hidden is None else self.hidden


def _probe(model: Any) -> dict[str, Tensor]:
    """Inputs of a few ordinary tokens."""
    ids = torch.arange(4, device=model.device).unsqueeze(0)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "position_ids": ids}

"""A causal language model in training, its critic and its reference: log-probabilities and values of response tokens.

Every trained weight exists three times: as a master (float32: what the optimizer changes and what is saved), as a
working copy in the precision that computes (in float32, the master itself), and in the reference: the policy as it was
at the start. Weights that are not trained are shared between the working copy and the reference.
"""

import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakSet

import torch
from torch import Tensor, nn

from inner_loop.errors import TaskError
from inner_loop.models.matrix_products import use_fast_float32
from inner_loop.ppo.logprobs import token_logprobs
from inner_loop.ppo.lora import add_adapters, merged
from inner_loop.ppo.optimizer import MasterAdamW
from inner_loop.ppo.precision import (
    Precision,
    TrainedWeight,
    cast_parameters,
    compute_dtype,
    copy_with,
)
from inner_loop.ppo.start import StartWeights
from inner_loop.ppo.stepwise import check_stepwise
from inner_loop.ppo.tokens import PreparedBatch, TokenBatch, to_rows
from inner_loop.ppo.trunk import Trunk, checkpoint_blocks, choose_attention, find_blocks

LOGIT_ATOL = 1e-3
"""How far our logits may be from the model's own forward pass (float32 rounding is some 1e-5)."""


_trained_policies: WeakSet[Any] = WeakSet()
"""Policies that have an actor-critic. A gradient goes to one optimizer: another actor-critic would never see it."""


class TokenOutputs(NamedTuple):
    """What a policy says about response tokens."""

    logprobs: Tensor
    """`b x t` float32 log-probability of each response token, at the sampling temperature; zero outside the mask."""
    hidden: Tensor
    """`n x d` trunk output from which each of the n response tokens was predicted."""


class ActorCritic:
    """One policy, its critic and its reference.

    The value head starts at zero, so that the first advantages are returns and not noise.

    Args:
        policy: A transformers causal language model in float32, on its device; its weights are trained in place.
        precision: Of the working copy that samples, predicts and is differentiated (see `compute_dtype` for `auto`);
            `float32` repeats bit for bit.
        trainable_layers: Train the top blocks only, with the final norm and the output embedding unless it is also the
            input embedding. What the blocks below give is computed once per rollout.
        lora_rank: Train adapters of this rank instead of the weights (of the top blocks, with `trainable_layers`).
        critic: A value head on the policy's trunk, on a trunk of its own, or none: then all values are zero.
        gradient_checkpointing: Recompute the blocks on the way back instead of keeping their activations.

    Raises:
        TaskError: If the model's logits are not its output embedding applied to its trunk's output, a mode does not fit
            the model, the model cannot be decoded token by token, or the policy belongs to another actor-critic.
    """

    def __init__(
        self,
        policy: Any,
        *,
        precision: Precision = "float32",
        trainable_layers: int | None = None,
        lora_rank: int = 0,
        critic: Literal["shared", "separate", "none"] = "shared",
        gradient_checkpointing: bool = False,
    ) -> None:
        if policy in _trained_policies:
            raise TaskError(
                f"This {type(policy).__name__} already belongs to an ActorCritic, which trains its weights in place: "
                "reset() that one to start again, or make a copy.deepcopy of the policy before the first."
            )
        use_fast_float32()
        self.policy = policy.eval()
        check_stepwise(policy)
        check_logits(policy)
        self._adapted = _choose_trained(policy, trainable_layers, lora_rank)
        self.value_head = _zero_head(policy) if critic != "none" else None
        critic_masters = _copy_trained(policy.base_model) if critic == "separate" else None
        masters = _named_parameters(policy=policy, critic=critic_masters)

        working = cast_parameters(masters.values(), compute_dtype(precision, policy.device))
        self._adapters = None if self._adapted is None else copy_with(self._adapted, working)
        self.sampler = copy_with(policy, working) if self._adapters is None else self._adapters.get_base_model()
        """The causal language model to decode with: the working copy."""
        choose_attention(self.sampler)
        # With adapters, the reference is the working copy with them switched off.
        start = {} if self._adapters else {weight: _as_it_is(weight) for weight in self.sampler.parameters()}
        self._reference = copy_with(self.sampler, start) if start else self.sampler
        self._trunk = Trunk(self.sampler.base_model, trainable_layers)
        self._reference_trunk = Trunk(self._reference.base_model, trainable_layers)
        self._critic_trunk = None
        if critic_masters is not None:
            critic_model = copy_with(critic_masters, working)
            choose_attention(critic_model)
            self._critic_trunk = Trunk(critic_model, trainable_layers)
        if gradient_checkpointing:
            for trunk in (self._trunk, self._critic_trunk):
                if trunk is not None:
                    checkpoint_blocks(trunk.model)

        masters |= _named_parameters(value_head=self.value_head)
        trained = {name: master for name, master in masters.items() if master.requires_grad}
        self._weights = {name: TrainedWeight(master, working.get(master, master)) for name, master in trained.items()}
        copies = {name: start[weight.working] for name, weight in self._weights.items() if weight.working in start}
        self._start = StartWeights({name: master.detach() for name, master in trained.items()}, copies)
        self._optimizer: MasterAdamW | None = None
        _trained_policies.add(policy)

    def parameters(self) -> list[nn.Parameter]:
        """The masters of everything that is trained."""
        return [weight.master for weight in self._weights.values()]

    def prepare(self, batch: TokenBatch) -> PreparedBatch:
        """What no optimizer step changes about `batch`: to be called once per rollout."""
        return self._trunk.prepare(batch)

    def __call__(self, prepared: PreparedBatch, temperature: float) -> tuple[Tensor, Tensor]:
        """`(logprobs, values)`, both `b x t` in float32, zero outside the response mask."""
        logprobs, hidden = _outputs(self.sampler, self._trunk, prepared, temperature)
        if self.value_head is None:
            return logprobs, torch.zeros_like(logprobs)
        if self._critic_trunk is not None:
            hidden = self._critic_trunk(prepared)
        return logprobs, to_rows(self.value_head(hidden.float()).squeeze(-1), prepared.batch.response_mask)

    @torch.no_grad()
    def reference_logprobs(self, prepared: PreparedBatch, temperature: float) -> Tensor:
        """`b x t` float32 log-probabilities under the policy as it was at the start, zero outside the response mask."""
        with nullcontext() if self._adapters is None else self._adapters.disable_adapter():
            return _outputs(self._reference, self._reference_trunk, prepared, temperature).logprobs

    def make_optimizer(self, learning_rate: float) -> MasterAdamW:
        """A new optimizer of everything that is trained; it takes the place of an earlier one."""
        self._optimizer = MasterAdamW(self._weights, learning_rate)
        return self._optimizer

    def reset(self) -> None:
        """Back to the start, in place and without an optimizer: bit for bit what a fresh load would be."""
        self._optimizer = None
        self._start.restore({name: weight.master for name, weight in self._weights.items()})
        for weight in self._weights.values():
            weight.grad = None
            weight.publish()

    def training_state(self) -> dict[str, Tensor]:
        """What training changes, for a checkpoint: masters and optimizer moments themselves, not copies."""
        state = {f"weight.{name}": weight.master.detach() for name, weight in self._weights.items()}
        if self._optimizer is not None:
            state |= {f"optimizer.{name}": tensor for name, tensor in self._optimizer.state().items()}
        return state

    @torch.no_grad()
    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `training_state` gave; make the optimizer first if there was one.

        Raises:
            TaskError: If `state` belongs to another model or to other modes.
        """
        own = self.training_state()
        differing = own.keys() ^ state.keys() or {name for name in own if own[name].shape != state[name].shape}
        if differing:
            raise TaskError(f"The checkpoint is of another model or other modes: they differ in {min(differing)!r}.")
        for name, tensor in own.items():
            tensor.copy_(state[name])
        for weight in self._weights.values():
            weight.publish()

    def save_policy(self, folder: Path) -> None:
        """Write the policy as an ordinary Hugging Face folder in float32, adapters merged; without its tokenizer."""
        (self.policy if self._adapted is None else merged(self._adapted)).save_pretrained(folder)
        for weights in folder.glob("*.safetensors"):  # which only their owner could read, whatever the umask
            shutil.copymode(folder / "config.json", weights)


@torch.no_grad()
def check_logits(model: Any) -> None:
    """Raise `TaskError` unless the model's logits are what `ActorCritic` computes (no soft-capping, no scaling)."""
    ids = torch.arange(4, device=model.device).unsqueeze(0)
    own = model(input_ids=ids, use_cache=False).logits
    ours = model.get_output_embeddings()(model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
    if not torch.allclose(own, ours, atol=LOGIT_ATOL):
        raise TaskError(
            f"task.policy: {type(model).__name__} changes its logits after the output embedding "
            "(soft-capping, scaling); such models are not supported."
        )


def _outputs(model: Any, trunk: Trunk, prepared: PreparedBatch, temperature: float) -> TokenOutputs:
    """Logits are computed for response tokens only: prompts and padding need none."""
    batch = prepared.batch
    hidden = trunk(prepared)
    logits = model.get_output_embeddings()(hidden)
    if batch.kept is not None:
        logits = logits.masked_fill(~batch.kept[batch.response_mask], float("-inf"))
    logprobs = token_logprobs(logits, batch.response_ids[batch.response_mask], temperature)
    return TokenOutputs(to_rows(logprobs, batch.response_mask), hidden)


def _choose_trained(policy: Any, trainable_layers: int | None, lora_rank: int) -> Any:
    """Let only what is trained require gradients; the `peft` model around the policy if there are adapters."""
    if lora_rank:
        _, blocks = find_blocks(policy.base_model)
        return add_adapters(policy, lora_rank, blocks[-(trainable_layers or len(blocks)) :])
    policy.requires_grad_(trainable_layers is None)
    if trainable_layers is not None:
        for parameter in Trunk(policy.base_model, trainable_layers).upper_parameters():
            parameter.requires_grad_(True)
        inputs = {id(parameter) for parameter in policy.base_model.parameters()}
        for parameter in policy.get_output_embeddings().parameters():
            parameter.requires_grad_(id(parameter) not in inputs or parameter.requires_grad)
    return None


def _zero_head(policy: Any) -> nn.Linear:
    embedding = policy.get_output_embeddings().weight
    head = nn.utils.skip_init(nn.Linear, embedding.shape[1], 1, device=embedding.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def _copy_trained(model: Any) -> Any:
    """A copy that shares what is not trained."""
    parameters = {
        weight: nn.Parameter(weight.detach().clone()) if weight.requires_grad else weight
        for weight in model.parameters()
    }
    return copy_with(model, parameters)


def _as_it_is(weight: nn.Parameter) -> nn.Parameter:
    """A frozen copy of a trained weight; a frozen weight is its own."""
    return nn.Parameter(weight.detach().clone(), requires_grad=False) if weight.requires_grad else weight


def _named_parameters(**modules: nn.Module | None) -> dict[str, nn.Parameter]:
    return {
        f"{prefix}.{name}": parameter
        for prefix, module in modules.items()
        if module is not None
        for name, parameter in module.named_parameters()
    }

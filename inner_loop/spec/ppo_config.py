"""Hyper-parameters of one training. Needs neither torch nor transformers."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from inner_loop.io.schema import StrictModel


class PPOConfig(StrictModel):
    """One short training, with a critic (PPO) or without (RLOO, GRPO)."""

    algorithm: Literal["ppo", "rloo", "grpo"] = "ppo"
    """Where advantages come from: generalised advantage estimation with a critic, or the other responses to the same
    prompt (`inner_loop.ppo.critic_free`). Everything else is the same."""
    steps: NonNegativeInt = 20
    """Steps (rollout + update) in a trial; 0 only evaluates the start policy."""
    rollout_size: PositiveInt = 32
    """Responses sampled per step, by all processes together (`inner_loop.processes`)."""
    samples_per_prompt: PositiveInt = 1
    """Responses per prompt, the group of `rloo` and `grpo`, which need two or more; must divide `rollout_size`."""
    minibatch_size: PositiveInt = 32
    """Responses per optimizer step; must divide `rollout_size`."""
    accumulate: PositiveInt = 1
    """Parts, one after the other, in which the gradient of a minibatch is computed, to save memory; must divide
    `minibatch_size`. The gradient is the same up to rounding."""
    epochs: PositiveInt = 4
    """Passes over each rollout."""
    learning_rate: PositiveFloat = 1e-4
    """AdamW learning rate, constant."""
    kl_coef: NonNegativeFloat = 0.05
    """Price of drifting from the reference policy, in score units per nat; where the adaptive coefficient starts."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k1"
    """Estimate of the token's KL that is priced in its reward. Only k1 has the gradient of the divergence as its
    expected gradient there (`inner_loop.ppo.kl`)."""
    adaptive_kl: PositiveFloat | None = None
    """KL (k1, nats per response) towards which `kl_coef` is adapted; None keeps it fixed, as comparisons need it."""
    adaptive_kl_horizon: PositiveInt = 10_000
    """Responses over which a KL that is 20 % off `adaptive_kl`, or more, changes the coefficient by 20 %."""
    gamma: float = Field(default=1.0, gt=0.0, le=1.0)
    """Discount per token."""
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    """Bias-variance trade of the advantage estimate; interacts with the density of the reward. Without a critic, a
    reward l tokens ahead counts (gamma * gae_lambda)^l: the textbook's RLOO and GRPO have 1."""
    critic_lambda: float | None = Field(default=None, ge=0.0, le=1.0)
    """Lambda of the returns that the critic learns from, apart from that of the advantages (VC-PPO, arXiv:2503.01491);
    None takes `gae_lambda`."""
    to_sparse: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of all other components' weights that has moved to `sparse` by the last step, growing linearly from 0 at
    the first: dense credit to begin with, the reward itself in the end."""
    centre_credit: bool = False
    """Whether advantages are rid of the noise that later tokens' usual rewards explain (`inner_loop.ppo.centring`): no
    expectation changes, the variance falls most with `prefix` credit and lambda near 1. Not with `grpo`."""
    reward_scale: Literal["none", "running"] = "none"
    """`running` divides all token rewards of a rollout by the standard deviation of all sequence rewards so far; the
    KL price is then per nat in units of that deviation."""
    missing_eos: Literal["none", "penalty", "bootstrap"] = "none"
    """What happens to a response that was cut at the token limit: nothing; `missing_eos_penalty` is taken off its last
    token; or it counts as interrupted: it is not paid the sparse share of its score, and the critic's value of where it
    was cut stands for the rest (Pardo et al. 2018, arXiv:1712.00378). The logged and the validation score never change.
    """
    missing_eos_penalty: NonNegativeFloat = 1.0
    """In score units; used by `missing_eos: penalty` only."""
    clip_range: PositiveFloat = 0.2
    """Clip range of the policy ratio."""
    value_clip_range: PositiveFloat | None = 0.2
    """Clip range of the value update, in score units; None does not clip."""
    value_coef: NonNegativeFloat = 0.1
    """Weight of the value loss."""
    max_grad_norm: PositiveFloat = 1.0
    """Global gradient norm is clipped here."""
    target_kl: PositiveFloat | None = None
    """A step's updates end when the policy has moved this far (k3, nats per token) from the one that sampled."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature; the log-probabilities of policy and reference are taken at the same temperature."""
    top_k: PositiveInt | None = None
    """Only the k likeliest tokens can be drawn; None for all."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Only the smallest set of likeliest tokens that holds this much probability can be drawn."""
    max_kl: PositiveFloat = 200.0
    """A rollout whose mean KL exceeds this stops the trial as diverged."""
    stop_at_kl: PositiveFloat | None = None
    """The training ends, successfully, before the update on the first rollout whose mean KL exceeds this."""
    critic: Literal["shared", "separate"] = "shared"
    """A value head on the policy's own trunk, or a critic with a trunk of its own. `rloo` and `grpo` train none."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of forward and backward passes; the weights that are trained are always float32. float32 repeats bit
    for bit."""
    trainable_layers: PositiveInt | None = None
    """Only the last so many layers of the trunk, and the heads, are trained; None trains all."""
    lora_rank: NonNegativeInt = 0
    """Train low-rank adapters of this rank (peft) in place of the weights; 0 for none."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""

    @property
    def prompts_per_step(self) -> int:
        """Distinct prompts of a rollout."""
        return self.rollout_size // self.samples_per_prompt

    @model_validator(mode="after")
    def _sizes_divide(self) -> "PPOConfig":
        for part, whole in (
            ("minibatch_size", "rollout_size"),
            ("samples_per_prompt", "rollout_size"),
            ("accumulate", "minibatch_size"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(f"{part} must divide {whole}, got {getattr(self, part)} and {getattr(self, whole)}")
        return self

    @model_validator(mode="after")
    def _options_agree(self) -> "PPOConfig":
        if self.algorithm != "ppo" and self.samples_per_prompt < 2:
            raise ValueError(
                f"algorithm {self.algorithm!r} compares responses to one prompt: samples_per_prompt must be at least "
                f"2, got {self.samples_per_prompt}"
            )
        if self.algorithm != "ppo" and self.missing_eos == "bootstrap":
            raise ValueError(
                f"missing_eos 'bootstrap' needs a critic, and algorithm {self.algorithm!r} has none; use 'penalty'"
            )
        if self.algorithm == "grpo" and self.centre_credit:
            raise ValueError(
                "centre_credit does not go with algorithm 'grpo', whose division by a group's deviation changes "
                "expectations; leave it out, or use 'rloo'"
            )
        if self.critic_lambda is not None and self.algorithm != "ppo":
            raise ValueError(f"critic_lambda needs a critic, and algorithm {self.algorithm!r} has none; leave it out")
        if self.adaptive_kl is not None and self.kl_coef == 0:
            raise ValueError("adaptive_kl multiplies kl_coef, which must then be above 0, got 0")
        return self

"""Learned credit in TRL, and TRL as the inner loop of a study.

`DenseCreditGRPOTrainer` is TRL's `GRPOTrainer` with credit per token: see `inner_loop.integrations.trl_trainer`.

`run_trial` takes the place of `inner_loop.trial.run_trial`; in a study's YAML

    inner_loop: inner_loop.integrations.trl:run_trial
    ppo: {algorithm: grpo, samples_per_prompt: 4}

is all that an ordinary configuration needs more: see `inner_loop.integrations.trl_trial`.
"""

from inner_loop.integrations.trl_config import check_trial
from inner_loop.integrations.trl_trainer import Credit, DenseCreditGRPOTrainer
from inner_loop.integrations.trl_trial import run_trial

__all__ = ["Credit", "DenseCreditGRPOTrainer", "check_trial", "run_trial"]

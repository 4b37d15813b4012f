"""Small trainings with TRL on a CPU, and credit and rewards with known answers."""

from dataclasses import dataclass

from trl import GRPOConfig

MAX_TOKENS = 8


@dataclass
class Run:
    losses: list
    weights: dict
    history: list
    logs: dict


def as_config(folder, **settings):
    return GRPOConfig(
        **{
            "output_dir": str(folder),
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": MAX_TOKENS,
            "learning_rate": 1e-2,
            "beta": 0.0,
            "loss_type": "grpo",
            "max_steps": 2,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": [],
            "disable_tqdm": True,
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "seed": 3,
            **settings,
        }
    )


def letters(prompts, completions, **_):
    """Something that differs from response to response, whatever a policy writes."""
    return [len(set(text)) - 0.25 * text.count("e") for text in completions]


def rising_credit(prompts, completions, scores, *, token_ends):
    return [
        [score * (1.0 + index) for index in range(len(ends))] for score, ends in zip(scores, token_ends, strict=True)
    ]


def same_credit(prompts, completions, scores, *, token_ends):
    return [[score / len(ends)] * len(ends) for score, ends in zip(scores, token_ends, strict=True)]


def no_credit(prompts, completions, scores, *, token_ends):
    return [[0.0] * len(ends) for ends in token_ends]


def train(trainer):
    """Train, and say what came of it; `logs["scalar"]` are TRL's own advantages of the first batch."""
    scalars = []
    parent = trainer._logs["advantages"]

    class Table(type(parent)):
        def extend(self, values):
            values = list(values)
            if not scalars:
                scalars.extend(values)
            super().extend(values)

    trainer._logs["advantages"] = Table(parent, maxlen=parent.maxlen)
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    weights = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    return Run([float(entry["loss"]) for entry in history], weights, history, {"scalar": scalars})

"""What a study knows of its recommendation, for the card of the shaping function that it leaves."""

from bo_shaping.config import StudyConfig
from bo_shaping.surrogate.recommendation import CREDIBILITY, Best
from inner_loop.shaping_card import ShapingEvidence, installed_versions, without_folder
from inner_loop.spec import TaskConfig


def evidence_of(config: StudyConfig, best: Best) -> ShapingEvidence:
    """The recommendation as evidence: what it was measured on, how good it is and how sure that is."""
    usual = {name: getattr(config.ppo, name) for name in ("gae_lambda", "learning_rate", "kl_coef")}
    return ShapingEvidence(
        task=task_in_words(config.task),
        source=f"study {config.name}",
        objective=best.reward,
        mean=best.mean,
        interval=best.mean_interval,
        credibility=CREDIBILITY,
        kl=best.kl,
        trials=best.n_trials,
        prob_better_than_sparse=best.prob_better_than_sparse,
        parameters=usual | best.parameters,
        notes=(best.note,) if best.note else (),
        versions=installed_versions(),
    )


def task_in_words(task: TaskConfig) -> str:
    """Policy, reward model and prompts by name, and how long responses are."""
    policy, reward_model = (
        without_folder(name) if revision is None else f"{name} at {revision}"
        for name, revision in ((task.policy, task.policy_revision), (task.reward_model, task.reward_model_revision))
    )
    return (
        f"policy {policy}, reward model {reward_model}, prompts {without_folder(task.prompts)}, responses of up to "
        f"{task.response_tokens} tokens"
    )

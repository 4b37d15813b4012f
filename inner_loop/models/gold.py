"""Gold reward models: they judge a policy that another reward model trains, and nobody trains on them.

A policy that is optimised for one reward model finds what that one overrates. A second one, which it never saw, tells
how much of the gain is real (Gao et al. 2022, arXiv:2210.10760).
"""

from collections.abc import Mapping, Sequence

from inner_loop.errors import RewardModelError, TaskError
from inner_loop.models.reward_models import RewardModel, load_reward_model, score_responses


def load_gold(names: Mapping[str, str]) -> dict[str, RewardModel]:
    """The gold reward models by what they are called.

    Args:
        names: What each is called, and its name as in `TaskConfig.reward_model`.

    Raises:
        TaskError: If one cannot be found, or is no reward model.
    """
    return {called: _load(called, name) for called, name in names.items()}


def _load(called: str, name: str) -> RewardModel:
    try:
        return load_reward_model(name)
    except TaskError as error:
        raise TaskError(f"evaluation.gold.{called} cannot be used. {error}") from error


def gold_scores(
    gold: Mapping[str, RewardModel], prompts: Sequence[str], responses: Sequence[str]
) -> dict[str, list[float]]:
    """The scores that each gives to every response, in its own units.

    Raises:
        RewardModelError: If one does not give one finite score per response.
    """
    scores = {}
    for called, reward_model in gold.items():
        try:
            scores[called] = score_responses(reward_model, prompts, responses)
        except RewardModelError as error:
            raise RewardModelError(f"evaluation.gold.{called}: {error}") from error
    return scores

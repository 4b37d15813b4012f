"""Several rewards with weights, each of which pays its own tokens: called like a shaping function, wherever one fits.

A reward is either a `ShapingFunction`, with a reward model and a mixture of its own (a model of token rewards is one,
by the component `token_scores`), or a plain function of prompts and responses, a verifiable reward say. The credit of
each is computed and conserved on its own, and then they are added: R = sum_k w_k R_k, and so token by token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inner_loop.shaping import ShapedResponse, ShapingFunction, check_conservation
from inner_loop.units.response_units import last_tokens_of_units
from inner_loop.units.segmentation import split_words

Span = tuple[int, int, float]
"""`(start, end, reward)`: what a part of the response earned, in characters of it."""

RewardFunction = Callable[[Sequence[str], Sequence[str]], Sequence[float | Sequence[Span]]]
"""`(prompts, responses) ->` per response its score, or spans whose rewards sum to it."""


@dataclass(frozen=True)
class SeveralRewards:
    """A weighted sum of rewards, spread over tokens reward by reward.

    >>> def is_short(prompts, responses):
    ...     return [float(len(response) < 20) for response in responses]
    >>> def no_digits(prompts, responses):
    ...     return [[(i, i + 1, -1.0) for i, c in enumerate(text) if c.isdigit()] for text in responses]
    >>> several = SeveralRewards({"short": (0.5, is_short), "digits": (1.0, no_digits)})
    >>> [shaped] = several(["The film is"], [" a 7 for me"])
    >>> shaped.rewards.tolist(), shaped.score
    ([0.0, -1.0, 0.0, 0.5], -0.5)

    Raises:
        ValueError: If there is no reward, or shaping functions were made for another gamma.
    """

    rewards: Mapping[str, tuple[float, ShapingFunction | RewardFunction]]
    """By name, weight and reward. Weights may have any sign and sum."""
    gamma: float = 1.0
    """Discount per token that the trainer will use."""

    def __post_init__(self) -> None:
        if not self.rewards:
            raise ValueError("At least one reward is needed.")
        for name, (_, reward) in self.rewards.items():
            if isinstance(reward, ShapingFunction) and reward.gamma != self.gamma:
                raise ValueError(f"Reward {name!r} was made for gamma {reward.gamma}, not {self.gamma}; make them one.")

    def __call__(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        scores: Sequence[float] | None = None,
        *,
        token_ends: Sequence[Sequence[int]] | None = None,
    ) -> list[ShapedResponse]:
        """Spread the weighted sum over tokens.

        Args:
            prompts: `b` prompts.
            responses: `b` responses.
            scores: `b` sequence rewards; what they hold beyond the weighted sum is paid on the last token. None takes
                the weighted sum.
            token_ends: Per response, where its tokens end, in characters of it; None takes words.

        Returns:
            One `ShapedResponse` per response. `components` are the rewards by name: `t` credits that sum to weight
            times score of the reward; `base_value` is None.

        Raises:
            ValueError: If a function returns another number of rewards than responses, or a span that is not in one.
            ConservationError: If credit does not sum to its reward.
        """
        if token_ends is None:
            token_ends = [[end for _, end in split_words(text)] or [len(text)] for text in responses]
        parts = {
            name: (weight, self._spread(name, reward, prompts, responses, token_ends))
            for name, (weight, reward) in self.rewards.items()
        }
        together = []
        for index, ends in enumerate(token_ends):
            rows = {name: (weight, shaped[index]) for name, (weight, shaped) in parts.items()}
            together.append(self._added(index, rows, ends, None if scores is None else float(scores[index])))
        return together

    def _spread(
        self,
        name: str,
        reward: ShapingFunction | RewardFunction,
        prompts: Sequence[str],
        responses: Sequence[str],
        token_ends: Sequence[Sequence[int]],
    ) -> list[ShapedResponse]:
        if isinstance(reward, ShapingFunction):
            return reward(prompts, responses, token_ends=token_ends)
        answers = reward(prompts, responses)
        if len(answers) != len(responses):
            raise ValueError(f"Reward {name!r} gave {len(answers)} rewards for {len(responses)} responses.")
        return [
            self._paid(name, index, answer, len(text), ends)
            for index, (answer, text, ends) in enumerate(zip(answers, responses, token_ends, strict=True))
        ]

    def _paid(
        self, name: str, index: int, answer: float | Sequence[Span], length: int, ends: Sequence[int]
    ) -> ShapedResponse:
        """A function's reward on the tokens that complete its spans; a score is a span that is the whole response."""
        spans = answer if isinstance(answer, Sequence) else [(0, length, float(answer))]
        for start, end, _ in spans:
            if not 0 <= start <= end <= length:
                raise ValueError(
                    f"Reward {name!r}: {start} to {end} is no part of response {index}, of {length} characters."
                )
        worths = np.array([worth for _, _, worth in spans], dtype=float)
        tokens = np.zeros(len(ends))
        places = last_tokens_of_units(np.array([end for _, end, _ in spans], dtype=int), np.asarray(ends))
        if not isinstance(answer, Sequence):
            places[:] = len(ends) - 1  # behind tokens without text, as every score
        np.add.at(tokens, places, worths)
        score = float(worths.sum())
        check_conservation(tokens, score, f"{name} credits of response {index}")
        return ShapedResponse(
            list(ends), score, None, {}, tokens * self._discounts(len(ends)), 0, np.zeros(len(ends), dtype=bool)
        )

    def _added(
        self, index: int, rows: dict[str, tuple[float, ShapedResponse]], ends: Sequence[int], score: float | None
    ) -> ShapedResponse:
        discounts = self._discounts(len(ends))
        rewards = np.sum([weight * shaped.rewards for weight, shaped in rows.values()], axis=0)
        total = sum(weight * shaped.score for weight, shaped in rows.values())
        if score is not None:
            rewards[-1] += score - total
        return ShapedResponse(
            token_ends=list(ends),
            score=total if score is None else score,
            base_value=None,
            components={name: weight * shaped.rewards / discounts for name, (weight, shaped) in rows.items()},
            rewards=rewards,
            n_evaluations=sum(shaped.n_evaluations for _, shaped in rows.values()),
            is_unread=np.any([shaped.is_unread for _, shaped in rows.values()], axis=0),
        )

    def _discounts(self, n_tokens: int) -> np.ndarray:
        return np.asarray(self.gamma ** np.arange(n_tokens)[::-1])

"""Shaping: mixing weights x credit components -> a reward for every token, with the sequence reward conserved.

Every component is made to sum to the sequence score, so every mixture does, and the return of every response is that
of the sparse reward ("return-equivalence"). Where the parts go that no unit earned:

* the base value r(x, nothing), which no token of the response can change, goes on the last token, or where
  `AttributionConfig.base_value` says. If it is dropped, every component sums to the score less the base value: all
  returns of one prompt change by the same constant;
* whatever the given score holds beyond the reward model's own r(x, y), a length penalty say, goes on the last token,
  which is the last one sampled, whether the response ended by itself or was cut;
* LIME's coefficients, leave-one-out, solo and gradient credit sum to nothing in particular; their gap to r(x, y) -
  r(x, nothing) is spread evenly over the units. Added, never multiplied: their sum can be near zero. The gap of token
  models is that to the score, over the tokens;
* a response of one unit or none has nothing to divide among units: the whole score is on its last token (attention and
  uniform credit, which know no units, still divide it);
* with discount gamma < 1, the credit of token t is multiplied by gamma^(T-1-t): sum_t gamma^t r_t is then what the
  sparse reward on the last token T-1 gives, and the credits before that correction sum to the score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from inner_loop.attribution.credit import Credit
from inner_loop.attribution.explain import explain_responses
from inner_loop.attribution.table import ScoreCache
from inner_loop.components import Spread, TokenFacts, load_component
from inner_loop.errors import ConservationError
from inner_loop.io.schema import nearest
from inner_loop.models.reward_models import RewardModel, as_reward_model, score_responses
from inner_loop.models.scores import check_scores
from inner_loop.shaping_card import ShapingCard, ShapingEvidence, read_card, write_card
from inner_loop.spec import AttributionConfig, ScoringConfig, check_components, check_mixing_weights
from inner_loop.units.response_units import last_tokens_of_units

CONSERVATION_RTOL = 1e-5
"""Credits of every component, and of the mixture, must sum to the score within this, relative to the score (or to one,
if that is more)."""


@dataclass(frozen=True)
class ShapedResponse:
    """The reward of every token of one response."""

    token_ends: list[int]
    """End of each token in characters of the response; without policy tokens, the ends of the units."""
    score: float
    """The sequence reward that was spread."""
    base_value: float | None
    """Score with every unit of the response absent; None if nothing had to be explained."""
    components: dict[str, np.ndarray]
    """Per component computed, `t` credits; each sums to `score` (before the correction for gamma)."""
    rewards: np.ndarray
    """`t` token rewards: the mixture, corrected for gamma."""
    n_evaluations: int
    """Reward-model evaluations the explanation took."""
    is_unread: np.ndarray
    """`t` booleans: the tokens that the reward model had no room for, whose explained credit is zero."""
    unit_tokens: list[int] = field(default_factory=list)
    """Index of the token that completes each unit, where its credit is paid; empty if nothing had to be explained."""


@dataclass(frozen=True)
class ShapingFunction:
    """Mixing weights and how to explain: `(prompts, responses, scores) -> token rewards`, without any trainer.

    >>> likes_good = lambda texts: [float(text.count("good")) for text in texts]
    >>> shaping = ShapingFunction({"shap": 0.5, "sparse": 0.5}, reward_model=likes_good)
    >>> [shaped] = shaping(["The film is"], [" very good"], [1.0])
    >>> shaped.rewards.round(6).tolist()
    [0.0, 1.0]

    Raises:
        MixingWeightsError: If the weights are not on the simplex, or name an unknown component.
    """

    weights: dict[str, float]
    """Mixing weights: >= 0, summing to 1."""
    attribution: AttributionConfig = field(default_factory=AttributionConfig)
    gamma: float = 1.0
    """Discount per token that the trainer will use."""
    reward_model: Any = "embedded"
    """What the credit explains: a name as in `TaskConfig.reward_model`, an object with `score`, or a callable."""
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    """For a reward model by name: how it reads a response, and what the score is."""
    evidence: ShapingEvidence | None = field(default=None, compare=False)
    """How good it was where it was learned, and with which training parameters; None if nobody wrote that down."""

    def __post_init__(self) -> None:
        check_mixing_weights(self.weights)

    def __call__(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        scores: Sequence[float] | None = None,
        *,
        token_ends: Sequence[Sequence[int]] | None = None,
        components: Sequence[str] | None = None,
        token_facts: Sequence[TokenFacts] | None = None,
        to_sparse: float = 0.0,
    ) -> list[ShapedResponse]:
        """Spread the score of each response over its tokens.

        Args:
            prompts: `b` prompts, never masked.
            responses: `b` responses.
            scores: `b` sequence rewards; None takes the reward model's.
            token_ends: Per response, where its policy tokens end, in characters of the response
                (`inner_loop.units.response_units.policy_token_ends` finds out). None gives one reward per unit.
            components: Components to compute beyond those with a positive weight.
            token_facts: Per response, what the policy knew of its tokens; `entropy` credit needs it.
            to_sparse: Share of the other components' weights that the sparse reward has for now, in 0..1.

        Returns:
            One `ShapedResponse` per response. With all weight on `sparse` and given scores, nothing is evaluated.

        Raises:
            ValueError: If the arguments do not have the same length, or a response has no tokens or impossible ones.
            RewardModelError: If the reward model returns anything but finite scores.
            ConservationError: If rewards do not sum to their score.
        """
        counts = {"prompts": len(prompts), "responses": len(responses)}
        counts |= {"scores": len(scores)} if scores is not None else {}
        counts |= {"token_ends": len(token_ends)} if token_ends is not None else {}
        counts |= {"token_facts": len(token_facts)} if token_facts is not None else {}
        if len(set(counts.values())) > 1:
            raise ValueError(f"One prompt, response and score each is needed, got {counts}.")
        if not prompts:
            return []
        wanted = sorted({name for name, weight in self.weights.items() if weight > 0} | set(components or ()))
        check_components(wanted)
        credits_ = self._explain(prompts, responses, wanted, with_units=token_ends is None)
        if scores is None:
            explained = [credit.full_value for credit in credits_ if credit]
            scores = explained or score_responses(self._reward_model, prompts, responses)
        if token_ends is None:
            token_ends = [[end for _, end in c.offsets] or [len(c.response)] for c in credits_ if c]
        facts: Sequence[TokenFacts | None] = token_facts or [None] * len(prompts)
        for index, (response, ends, known) in enumerate(zip(responses, token_ends, facts, strict=True)):
            _check_token_ends(index, response, ends)
            if known is not None and len(known.entropy) != len(ends):
                raise ValueError(f"Response {index} has {len(ends)} tokens, and facts of {len(known.entropy)}.")
        spreads = [
            Spread(score, np.asarray(ends), credit, self.attribution.base_value, known, self.attribution.sharpness)
            for credit, score, ends, known in zip(
                credits_, check_scores(scores, responses), token_ends, facts, strict=True
            )
        ]
        return [self._shape(index, spread, wanted, to_sparse) for index, spread in enumerate(spreads)]

    def _explain(
        self, prompts: Sequence[str], responses: Sequence[str], wanted: Sequence[str], *, with_units: bool
    ) -> Sequence[Credit | None]:
        """One credit per response, or None each if no component, base value or unit has to be known."""
        methods = {load_component(name).method for name in wanted}
        needed = sorted(method for method in methods if method is not None)
        if not needed and not with_units and self.attribution.base_value != "drop":
            return [None] * len(prompts)
        return explain_responses(
            self._reward_model, prompts, responses, methods=needed, config=self.attribution, cache=self._cache
        )

    def _shape(self, index: int, spread: Spread, wanted: Sequence[str], to_sparse: float) -> ShapedResponse:
        components = {name: load_component(name).token_credit(spread) for name in wanted}
        mixture = np.zeros(len(spread.token_ends))
        for name, values in components.items():
            check_conservation(values, spread.total, f"{name} credits of response {index}")
            mixture += self.weights.get(name, 0.0) * values
        mixture = (1 - to_sparse) * mixture + to_sparse * spread.on_last_token()
        check_conservation(mixture, spread.total, f"rewards of response {index}")
        # The last token is the one that the sparse reward is discounted for.
        remaining = np.arange(len(mixture))[::-1]
        return ShapedResponse(
            token_ends=spread.token_ends.tolist(),
            score=spread.score,
            base_value=spread.credit.base_value if spread.credit else None,
            components=components,
            rewards=mixture * self.gamma**remaining,
            n_evaluations=spread.credit.n_evaluations if spread.credit else 0,
            is_unread=_is_unread(spread),
            unit_tokens=_unit_tokens(spread),
        )

    @cached_property
    def _reward_model(self) -> RewardModel:
        return as_reward_model(self.reward_model, self.scoring)

    @cached_property
    def _cache(self) -> ScoreCache | None:
        return ScoreCache(self.attribution.cache_size) if self.attribution.cache_size else None

    def save(self, folder: str | Path) -> None:
        """Write the function to a folder that can be uploaded to a hub as it is: `shaping.json`, and a card for people.

        Args:
            folder: Is made; one that `save` has written is written anew.

        Raises:
            TypeError: If the reward model is an object and not a name: pass it to `load` again, and a name here.
            ValueError: If the folder is a file, or has a README of something else.
        """
        if not isinstance(self.reward_model, str):
            raise TypeError(
                "Only a reward model given by name can be saved; use dataclasses.replace(shaping, reward_model=NAME), "
                "and pass the object itself to ShapingFunction.load(folder, reward_model=...)."
            )
        card = ShapingCard(
            weights=self.weights,
            attribution=self.attribution,
            gamma=self.gamma,
            reward_model=self.reward_model,
            scoring=self.scoring,
            evidence=self.evidence,
        )
        write_card(Path(folder), card)

    @classmethod
    def load(
        cls, path: str | Path, *, reward_model: Any = None, allow_code: bool = False, allow_models: bool = False
    ) -> "ShapingFunction":
        """Read a function that `save` wrote. Nothing is imported, loaded or fetched.

        Args:
            path: The folder, or a single JSON file of an older version.
            reward_model: Used instead of the one that is named there.
            allow_code: Let a use of the function import what is named as `module:function`, or as a package of spaCy. A
                folder from elsewhere may name any.
            allow_models: Let a use of the function load models that are named, from folders of this machine or a hub.

        Raises:
            ValueError: If it is not a saved shaping function, or names code or models without permission.
            MixingWeightsError: If its weights are not on the simplex.
        """
        card, is_given = read_card(Path(path)), reward_model is not None
        code = card.named_code(has_reward_model=is_given)
        if code and not allow_code:
            raise ValueError(f"{path} names code to import ({', '.join(code)}); if you trust it, pass allow_code=True.")
        models = card.named_models(has_reward_model=is_given)
        if models and not allow_models:
            raise ValueError(
                f"{path} names models to load ({', '.join(models)}); pass reward_model=, or allow_models=True for all."
            )
        scoring = card.scoring
        if is_given and reward_model != card.reward_model:  # a revision is one of a name, the rest of named models
            scoring = (
                scoring.model_copy(update={"reward_model_revision": None})
                if isinstance(reward_model, str)
                else ScoringConfig()
            )
        named = reward_model if is_given else card.reward_model
        return cls(card.weights, card.attribution, card.gamma, named, scoring, card.evidence)

    @classmethod
    def preset(cls, name: str, *, reward_model: Any = None) -> "ShapingFunction":
        """A function that was learned in `experiments/` and ships with the package; `evidence` says how good it was.

        Args:
            name: Its folder in `inner_loop/presets`.
            reward_model: Explained instead of the one that it was learned with.

        Raises:
            ValueError: If there is none of that name.
        """
        folder = Path(str(files("inner_loop"))) / "presets"
        known = sorted(path.name for path in folder.iterdir() if path.is_dir())
        if name not in known:
            listed = ", ".join(known)
            raise ValueError(f"There is no preset {name!r}, did you mean {nearest(name, known)!r}? Presets: {listed}.")
        return cls.load(folder / name, reward_model=reward_model)


def _unit_tokens(spread: Spread) -> list[int]:
    return last_tokens_of_units(spread.credit.ends, spread.token_ends).tolist() if spread.credit else []


def _is_unread(spread: Spread) -> np.ndarray:
    ends, starts = spread.token_ends, np.concatenate([[0], spread.token_ends[:-1]])
    is_unread = np.zeros(len(ends), dtype=bool)
    for first, last in spread.credit.unread if spread.credit else ():
        is_unread |= (starts >= first) & (ends <= last) & (ends > starts)
    return is_unread


def _check_token_ends(index: int, response: str, token_ends: Sequence[int]) -> None:
    if not token_ends:
        raise ValueError(f"Response {index} needs at least one token to carry its reward.")
    if token_ends[-1] != len(response) or any(start > end for start, end in pairwise([0, *token_ends])):
        raise ValueError(
            f"The token ends of response {index} must not decrease, and the last one must be its {len(response)} "
            f"characters, got {list(token_ends)}."
        )


def check_conservation(credits_: np.ndarray, total: float, what: str) -> None:
    """Raise `ConservationError` unless the credits (before the correction for gamma) sum to `total`."""
    gap = abs(float(credits_.sum()) - total)
    if not gap <= CONSERVATION_RTOL * max(1.0, abs(total)):
        raise ConservationError(f"The {what} sum to {credits_.sum():.8g} and not to {total:.8g}.")

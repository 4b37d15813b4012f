"""Explain scores: one set of reward-model evaluations for a batch of responses, read out by every method asked for.

1. Encode: prompt and response become the reward model's tokens (a plain callable is given texts instead).
2. Units: every response is cut into the players of its game; Owen values also need a tree over them.
3. Coalitions: a design fixed by the number of units and the budget; Owen values bring their tree's own if those fit.
4. Evaluate all coalitions of all responses in one queue.
5. Read out: every method is a linear functional of the same table; those of `PASSES` make a pass of their own.
6. Place the credit on the policy's tokens, if it is known where those end.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError

from inner_loop.attribution.credit import Credit
from inner_loop.attribution.owen import as_tree, flat_tree
from inner_loop.attribution.parts import join_windows, with_unread
from inner_loop.attribution.passes import OTHER_MODELS, PASSES, add_other_models, add_passes
from inner_loop.attribution.readout import DIFFERENCES, Game, Readout, ask_libraries, read_out
from inner_loop.attribution.shared_coalitions import shared_coalitions
from inner_loop.attribution.table import CoalitionValues, ScoreCache, evaluate_coalitions
from inner_loop.errors import AttributionError, RewardModelError
from inner_loop.io.schema import describe_validation_error, nearest
from inner_loop.models.encoding import EncodedResponse
from inner_loop.models.reward_models import RewardModel, as_reward_model
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.models.windows import pieces_of
from inner_loop.spec import AttributionConfig, ScoringConfig
from inner_loop.units.parsers import load_parser
from inner_loop.units.partition import text_tree
from inner_loop.units.response_units import policy_token_ends, split_units

COALITION_METHODS = ("shapley", "lime", "owen", *DIFFERENCES)
"""Methods that are linear functionals of the coalition values, and share one table."""

METHODS = (*COALITION_METHODS, *PASSES)


def explain(
    reward_model: Any,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    methods: Sequence[str] = ("shapley",),
    units: str = "auto",
    budget: int = 64,
    policy_tokenizer: Any = None,
    **settings: Any,
) -> list[Credit]:
    """Credit the parts of each response for its score; the prompt is never masked.

    >>> likes_good = lambda texts: [float(text.count("good")) for text in texts]
    >>> [credit] = explain(likes_good, ["The film is"], [" very good"])
    >>> dict(zip(credit.units, credit.values["shapley"].round(6).tolist()))
    {' very': 0.0, ' good': 1.0}

    Args:
        reward_model: A callable `list[str] -> list[float]`, an object with `score`, or a name: `embedded`, a folder or
            hub name of a transformers classifier, `module:function`.
        prompts: `b` prompts.
        responses: `b` responses; what is scored is prompt + response.
        methods: Any of `METHODS`: `shapley`, `owen`, `lime`, `prefix`, `leave_one_out` and `solo` share evaluations;
            `attention` and `gradient` pass through the reward model once more; `implicit` and `token_model` ask other
            models, which the settings of these names say.
        units: `auto`, `tokens`, `words`, `spans` or `sentences`.
        budget: Most distinct reward-model evaluations per response.
        policy_tokenizer: A transformers tokenizer; with it every credit has values per token of it, too.
        settings: Any other field of `inner_loop.spec.AttributionConfig`: masking, engine, dtype, ... (`base_value` is
            for `ShapingFunction`, which spreads whole scores), and, for a transformers reward model by name, of
            `inner_loop.spec.ScoringConfig`: chat_template, label, long_responses, ...

    Returns:
        One `Credit` per response. A response of no units has no values and the same base and full value.

    Raises:
        AttributionError: If a setting or method does not exist or does not suit the reward model.
        RewardModelError: If the reward model returns anything but finite scores; the message names the response.
    """
    try:
        how = {name: settings.pop(name) for name in ScoringConfig.model_fields if name in settings}
        scoring = ScoringConfig.model_validate(how)
        config = AttributionConfig.model_validate({"units": units, "budget": budget} | settings)
    except ValidationError as error:
        raise AttributionError(f"These settings cannot be used: {describe_validation_error(error)}.") from error
    if "base_value" in settings:
        raise AttributionError("base_value is a setting of ShapingFunction; credits leave the base value apart.")
    credits_ = explain_responses(
        as_reward_model(reward_model, scoring),
        prompts,
        responses,
        methods=methods,
        config=config,
        cache=ScoreCache(config.cache_size) if config.cache_size else None,
    )
    if policy_tokenizer is None:
        return credits_
    token_ends = policy_token_ends(policy_tokenizer, responses)
    return [_with_tokens(credit, ends) for credit, ends in zip(credits_, token_ends, strict=True)]


def explain_responses(
    reward_model: RewardModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    methods: Sequence[str],
    config: AttributionConfig,
    cache: ScoreCache | None = None,
) -> list[Credit]:
    """As `explain`, with everything prepared; without methods, only base and full values are evaluated."""
    _check(prompts, responses, methods)
    own = [method for method in methods if method not in OTHER_MODELS]
    if isinstance(reward_model, TransformersRewardModel):
        windows = reward_model.windows(prompts, responses)
        pieces = _explain_pieces(reward_model, *pieces_of(prompts, responses, windows), own, config, cache)
        credits_ = join_windows(prompts, responses, windows, pieces)
    else:
        credits_ = _explain_pieces(reward_model, prompts, responses, own, config, cache)
    return add_other_models(credits_, methods, config)


def _explain_pieces(
    reward_model: RewardModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    methods: Sequence[str],
    config: AttributionConfig,
    cache: ScoreCache | None,
) -> list[Credit]:
    """One credit per response, or window of one, that is read in one go."""
    encoded = reward_model.encode(prompts, responses) if isinstance(reward_model, TransformersRewardModel) else None
    games = _games(responses, encoded, methods, config, _free_prefixes(reward_model, encoded, methods, config))
    asked = [method for method in COALITION_METHODS if method in methods]
    offsets = [game.offsets for game in games]

    def evaluate(responses_at: slice, coalitions: list[np.ndarray]) -> list[CoalitionValues]:
        return evaluate_coalitions(
            reward_model,
            prompts[responses_at],
            responses[responses_at],
            offsets[responses_at],
            coalitions,
            masking=config.masking,
            dtype=config.dtype,
            cache=cache,
            encoded=encoded[responses_at] if encoded else None,
        )

    if config.engine == "own":
        readouts = read_out(games, evaluate(slice(None), [game.coalitions for game in games]), asked)
    else:

        def value_fn(index: int, coalitions: np.ndarray) -> np.ndarray:
            ends = games[index].coalitions[:2]
            try:
                [table] = evaluate(slice(index, index + 1), [np.concatenate([ends, coalitions])])
            except RewardModelError as error:
                # The table knows of one response only.
                raise RewardModelError(str(error).replace("response 0", f"response {index}", 1)) from error
            return table.values[len(ends) :]

        def readout_of(index: int) -> Readout:
            game = games[index]
            if game.offsets:
                return ask_libraries(game, partial(value_fn, index), asked, config.budget)
            return read_out([game], evaluate(slice(index, index + 1), [game.coalitions]), asked)[0]

        readouts = [readout_of(index) for index in range(len(games))]
    credits_ = [
        Credit(prompt=prompt, response=response, offsets=game.offsets, **vars(readout))
        for prompt, response, game, readout in zip(prompts, responses, games, readouts, strict=True)
    ]
    credits_ = add_passes(credits_, methods, reward_model, encoded)
    return (
        [with_unread(credit, row.read) for credit, row in zip(credits_, encoded, strict=True)] if encoded else credits_
    )


def _games(
    responses: Sequence[str],
    encoded: list[EncodedResponse] | None,
    methods: Sequence[str],
    config: AttributionConfig,
    free_prefixes: Sequence[bool] | None,
) -> list[Game]:
    parser = load_parser(config.parser)
    games = []
    for index, response in enumerate(responses):
        start, end = encoded[index].read if encoded else (0, len(response))
        read = response[start:end]
        spans = [(a - start, b - start) for a, b in encoded[index].response_spans] if encoded else None
        units = split_units(
            read,
            config.units,
            max_units=config.max_units,
            token_limit=config.token_limit,
            span_limit=config.span_limit,
            token_spans=spans,
            parser=parser,
        )
        linkage = text_tree(read, units, parser) if "owen" in methods and len(units) > 1 else None
        offsets = [(a + start, b + start) for a, b in units]
        tree = flat_tree(len(offsets)) if linkage is None else as_tree(linkage, len(offsets))
        free = free_prefixes is not None and free_prefixes[index]
        coalitions = shared_coalitions(len(offsets), methods, config.budget, tree, prefixes_are_free=free)
        games.append(Game(offsets, coalitions, tree, linkage))
    return games


def _free_prefixes(
    reward_model: RewardModel,
    encoded: list[EncodedResponse] | None,
    methods: Sequence[str],
    config: AttributionConfig,
) -> list[bool] | None:
    """Of which responses the prefixes come with the evaluation of the whole; None for none.

    The reward model must be causal, absent units at the end must be gone, and nothing may stand behind the response: an
    end token belongs to a prefix, too.
    """
    is_read = "prefix" in methods and config.masking != "mask"
    if not is_read or not isinstance(reward_model, TransformersRewardModel) or not reward_model.scores_beginnings:
        return None
    return [bool(row.is_response[-1:].any()) for row in encoded or []]


def _with_tokens(credit: Credit, token_ends: list[int]) -> Credit:
    ends = np.asarray(token_ends, dtype=int)
    values = {method: credit.on_tokens(method, ends) for method in credit.values} if token_ends else {}
    return replace(credit, token_ends=list(token_ends), token_values=values)


def _check(prompts: Sequence[str], responses: Sequence[str], methods: Sequence[str]) -> None:
    for name, texts in (("prompts", prompts), ("responses", responses), ("methods", methods)):
        if isinstance(texts, str):
            raise AttributionError(f"{name} must be a sequence of texts, got the single text {texts!r:.80}.")
    if len(prompts) != len(responses):
        raise AttributionError(
            f"Each response needs its prompt, got {len(prompts)} prompts for {len(responses)} responses."
        )
    for method in methods:
        if method not in METHODS:
            raise AttributionError(
                f"Unknown method {method!r}, did you mean {nearest(method, METHODS)!r}? Methods: {', '.join(METHODS)}."
            )

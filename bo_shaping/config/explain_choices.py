"""What can be chosen when a text is explained without a study: methods, units, masking, and how long texts are read."""

from typing import get_args

from inner_loop.spec import AttributionConfig, ScoringConfig

METHODS = ("shapley", "lime", "owen", "prefix", "leave_one_out", "solo", "gradient", "attention")
"""Those that explain the reward model; `implicit` and `token_model` ask others, which a study's configuration names."""

UNITS: tuple[str, ...] = get_args(AttributionConfig.model_fields["units"].annotation)
MASKINGS: tuple[str, ...] = get_args(AttributionConfig.model_fields["masking"].annotation)

LONG_RESPONSES: tuple[str, ...] = get_args(ScoringConfig.model_fields["long_responses"].annotation)

MIN_BUDGET = 2
"""The whole response and the one without its units are always scored."""

"""Colours that must be told apart, as colour-blind eyes see them."""

from itertools import combinations

import numpy as np
import pytest

from bo_shaping.dashboard.timeline import _COLOURS
from bo_shaping.views.report.chips import _NEGATIVE_RGB, _POSITIVE_RGB
from bo_shaping.views.report.style import ACCENT, component_colours

# In linear RGB; Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", 2009, the whole deficiency.
EYES = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(axis=1)

EASY = 12.0
"""Distance in CIELAB from which two colours are easily told apart; 2.3 is the least that can be seen."""


def _seen(colour, eye):
    """In CIELAB."""
    if isinstance(colour, str):
        colour = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(TO_XYZ @ np.clip(EYES[eye] @ linear, 1e-3, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _closest(colours, eye):
    seen = {name: _seen(colour, eye) for name, colour in colours.items()}
    return min((np.linalg.norm(seen[one] - seen[other]), one, other) for one, other in combinations(seen, 2))


@pytest.mark.parametrize("eye", EYES)
def test_components_and_the_recommendation_are_told_apart(eye):
    names = ["shap", "lime", "sparse", "owen", "uniform", "attention", "gradient", "solo"]
    distance, *pair = _closest(component_colours(names) | {"the accent": ACCENT}, eye)
    assert distance > EASY, pair


@pytest.mark.parametrize("eye", EYES)
def test_states_of_a_trial_differ_in_colour_or_pattern(eye):
    for one, other in combinations(_COLOURS, 2):
        (colour, pattern), (other_colour, other_pattern) = _COLOURS[one], _COLOURS[other]
        apart = np.linalg.norm(_seen(colour, eye) - _seen(other_colour, eye))
        assert pattern != other_pattern or apart > EASY, (one, other)


@pytest.mark.parametrize("eye", EYES)
def test_credit_that_raises_and_credit_that_lowers_are_far_apart(eye):
    assert np.linalg.norm(_seen(_POSITIVE_RGB, eye) - _seen(_NEGATIVE_RGB, eye)) > 3 * EASY


def test_red_and_green_are_taken_for_alike_by_the_simulation():
    red, green = "#b5591d", "#7a7a1f"
    assert np.linalg.norm(_seen(red, "usual") - _seen(green, "usual")) > 3 * EASY
    assert np.linalg.norm(_seen(red, "deuteranopia") - _seen(green, "deuteranopia")) < EASY

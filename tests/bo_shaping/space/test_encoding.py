import numpy as np
import pytest

from bo_shaping.config import SearchSpaceConfig
from bo_shaping.space.encoding import axes_of, encode

SPACE = SearchSpaceConfig(
    components=("shap", "lime", "sparse"),
    fixed={"lime": 0.2},
    parameters={
        "learning_rate": {"bounds": (1e-5, 1e-3), "log": True},
        "units": {"values": ("tokens", "words", "spans")},
        "samples_per_prompt": {"values": (1, 4)},
    },
)


def arm(**parameters):
    usual = {"learning_rate": 1e-4, "units": "words", "samples_per_prompt": 4}
    return {"w_shap": 0.3, "w_lime": 0.2, "w_sparse": 0.5, **usual, **parameters}


def test_an_arm_is_its_free_weights_and_its_places_between_0_and_1():
    X = encode(axes_of(SPACE), [arm(), arm(units="spans", samples_per_prompt=1.0, learning_rate=1e-5)])
    np.testing.assert_allclose(X, [[0.3, 0.5, 0.5, 0.5, 1.0], [0.3, 0.5, 0.0, 1.0, 0.0]], atol=1e-12)
    assert encode(axes_of(SPACE), []).shape == (0, 5)


def test_a_word_that_is_not_searched_has_no_place():
    with pytest.raises(ValueError, match="got 'turns'"):
        encode(axes_of(SPACE), [arm(units="turns")])

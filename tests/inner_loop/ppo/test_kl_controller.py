import pytest

from inner_loop.ppo.kl_controller import adapted_kl_coef


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.2),
        (6.6, 0.2 * (1 + 0.1 * 256 / 10_000)),
        (12.0, 0.201024),  # 100 % too high counts as 20 %: .2 * (1 + .2 * 256 / 10000)
        (-1.0, 0.198976),
    ],
)
def test_the_coefficient_by_hand(kl, expected):
    adapted = adapted_kl_coef(0.2, kl, target=6.0, horizon=10_000, n_responses=256)
    assert adapted == pytest.approx(expected, rel=1e-12)

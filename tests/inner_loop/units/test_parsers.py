import sys
import types

import numpy as np
import pytest

from inner_loop.errors import AttributionError, EntryPointError
from inner_loop.units.parsers import constituents_of_units, dependency_constituents, load_parser
from inner_loop.units.partition import text_tree
from inner_loop.units.segmentation import split_pieces

TEXT = "He saw the dog."
OFFSETS = [(0, 2), (2, 6), (6, 10), (10, 14), (14, 15)]


def test_constituents_become_ranges_of_units_with_the_smallest_first():
    ranges = [(0, 15), (3, 14), (7, 14), (0, 15), (2, 3)]  # the last one is white space: no unit's
    assert constituents_of_units(TEXT, OFFSETS, lambda text: ranges) == [(2, 4), (1, 4), (0, 5)]


def test_a_unit_belongs_to_the_constituent_in_which_its_visible_text_begins():
    # "don't" is one unit, but "do" ends a constituent and "n't" begins another; the space before "go" is of neither.
    text, offsets = "I don't go", [(0, 1), (1, 7), (7, 10)]
    assert constituents_of_units(text, offsets, lambda text: [(0, 4), (4, 10)]) == [(2, 3), (0, 2)]


@pytest.mark.parametrize(
    ("constituents", "message"),
    [
        ([(0, 6), (3, 15)], r"\(0, 6\) and \(3, 15\) cross"),
        ([(0, 16)], r"\(0, 16\) is not in the text of 15 characters"),
        ([(-1, 15)], r"\(-1, 15\) is not in the text"),
        ([(0, 15), (4, 4)], r"\(4, 4\) is not in the text"),
        ([(0, 1), (1, 2), (2, 4)], r"do not cover ' the' \(characters 6 to 10, and 2 more units\)"),
        ([], "do not cover 'He'"),
        (None, "must return .* got None"),
        (["NP", "VP"], "got .'NP', 'VP'."),
        ([(0.0, 15.0)], "ranges of characters, got"),
        ([(0, 15, "S")], "ranges of characters, got"),
    ],
)
def test_what_a_parser_got_wrong_is_said(constituents, message):
    with pytest.raises(AttributionError, match=message):
        text_tree(TEXT, OFFSETS, lambda text: constituents)


def test_a_parser_is_named_by_its_import_path(monkeypatch):
    module = types.ModuleType("my_parsers")
    module.parse = lambda text: [(0, len(text))]
    monkeypatch.setitem(sys.modules, "my_parsers", module)
    assert load_parser("my_parsers:parse") is module.parse
    assert load_parser(None) is None
    with pytest.raises(EntryPointError, match="my_parsers:nothing"):
        load_parser("my_parsers:nothing")


def test_without_spacy_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(AttributionError, match=r"pip install 'bo-shaping\[spacy\]'"):
        load_parser("spacy:a_pipeline_never_loaded")


@pytest.fixture
def make_doc():
    tokens = pytest.importorskip("spacy.tokens", reason="spaCy, an optional extra, is not installed")
    vocab = pytest.importorskip("spacy.vocab")

    def make(words, heads, spaces=None):
        deps = ["ROOT" if head == token else "dep" for token, head in enumerate(heads)]
        return tokens.Doc(vocab.Vocab(), words=words, spaces=spaces, heads=heads, deps=deps)

    return make


def test_constituents_of_a_dependency_parse_are_its_subtrees(make_doc):
    doc = make_doc(["He", "saw", "the", "dog", "."], [1, 1, 3, 1, 1], [True, True, True, False, False])
    assert doc.text == TEXT
    constituents = dependency_constituents(doc)
    assert set(constituents) == {(0, 15), (0, 2), (7, 10), (7, 14), (14, 15)}
    tree = text_tree(TEXT, split_pieces(TEXT), lambda text: constituents)
    assert sorted(tree[0, :2]) == [2, 3]


def test_the_subtrees_of_two_sentences_are_two_clusters(make_doc):
    doc = make_doc(["A", "b", ".", "C", "d", "e", "f"], [1, 1, 1, 3, 3, 3, 3])
    tree = text_tree(doc.text, split_pieces(doc.text), lambda text: dependency_constituents(doc))
    np.testing.assert_array_equal(tree[-1, [2, 3]][1], 7)
    assert {int(tree[int(child) - 7, 3]) for child in tree[-1, :2]} == {3, 4}


def test_crossing_arcs_still_give_a_tree(make_doc):
    # Token 0 hangs on 2 and token 3 on 1: the hulls of the subtrees of 1 and 2 cross.
    doc = make_doc(["a", "b", "c", "d", "e"], [2, 4, 4, 1, 4])
    constituents = dependency_constituents(doc)
    assert (0, 5) in constituents
    assert (2, 7) not in constituents
    assert len(text_tree(doc.text, split_pieces(doc.text), lambda text: constituents)) == 4


def test_a_pipeline_without_a_dependency_parser_is_refused(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy, an optional extra, is not installed")
    spacy.blank("en").to_disk(tmp_path / "blank")
    parser = load_parser(f"spacy:{tmp_path / 'blank'}")
    with pytest.raises(AttributionError, match="needs a parser component"):
        parser(TEXT)
    with pytest.raises(AttributionError, match="no pipeline 'en_nothing_like_this'"):
        load_parser("spacy:en_nothing_like_this")


def test_a_saved_pipeline_parses(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy, an optional extra, is not installed")
    from spacy.training import Example

    pipeline = spacy.blank("en")
    pipeline.add_pipe("parser", config={"min_action_freq": 1})
    annotations = {"heads": [1, 1, 3, 1, 1], "deps": ["nsubj", "ROOT", "det", "dobj", "punct"]}
    example = Example.from_dict(pipeline.make_doc(TEXT), annotations)
    optimizer = pipeline.initialize(lambda: [example])
    for _ in range(30):
        pipeline.update([example], sgd=optimizer)
    pipeline.to_disk(tmp_path / "tiny")
    parser = load_parser(f"spacy:{tmp_path / 'tiny'}")
    assert set(parser(TEXT)) == {(0, 15), (0, 2), (7, 10), (7, 14), (14, 15)}

import pytest

from inner_loop.units.sentences import split_sentences


def cut(text):
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["It was good.", " It ended well!", " Did it?", " Yes?!", " Fine"],
        ["the film is good .", " it is fun ! ?", " yes"],
        ["Dr. No met Mr. J. R. R. Tolkien.", " They spoke."],
        ["Read it, e.g. on p. 5, vs. fig. 3 of no. 7.", " Or not?", " No.", " He left."],
        ["It is by Apple Inc. of Cupertino.", " Not by Acme Corp.", " It shows."],
        ["The U.S. Senate met at 5 p.m. on Oct. 3.", " A Ph.D. spoke in the U.S.", " He stayed."],
        ["It cost $3.50 and 2.0.1 is out at example.com.", " OK."],
        ["Well ... maybe … not.", " So it ends...", " But why…", " Why?"],
        ['"Really?" he asked.', " “No!” she said.", ' He said "yes."', " (Nobody heard.)", " **Bold.**", " End."],
        ["I loved the film.", "The acting was fine!", "But torch.Tensor, a.B and example.Com are one."],
        ["He came.", "\n\nA paragraph without a stop", "\n\nand another"],
        ["Buy:", "\n- milk", "\n* bread, e.g. rye", "\n1. First item.", " \n2) second"],
        ["1. First item is good.", " 2. Second item is not."],
        ["Roses are red", "\nviolets are blue", "\nSugar is sweet"],
        ["This line is longer than a line of verse would be\nand goes on here.", " End."],
        ["这是好电影。", "我喜欢！", "真的吗？", "他说：“好。”", "完"],
        ["映画。", " 良い！？", "\nはい"],
        ["  Leading and trailing.", " Space. \n "],
        ["So do I.", " People agree."],
        ["This paragraph is longer than a line of verse", "\n\nand has no stop"],
        ["Which of these is the right one to choose here:", "\na) the first", "\nb) the second"],
        ["What‼️ Yes!", " 👍 Great 👍🏽."],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences):
    assert cut("".join(sentences)) == sentences


def test_sentences_carry_the_white_space_before_them():
    assert cut("\n One. \n\n Two.  ") == ["\n One.", " \n\n Two.  "]


@pytest.mark.parametrize(
    "text", ["!!!", "...", "Mr. Mrs.", "no stop", "a.b.c", "?", "see a.com/?The=x", "made in the US.A", "好。\ufe0e完"]
)
def test_a_text_without_an_inner_end_is_one_sentence(text):
    assert split_sentences(text) == [(0, len(text))]

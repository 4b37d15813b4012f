from random import Random

import pytest

from experiments.embedded.splits import Example
from experiments.instructions import ASKS, SUBJECTS, preference_pairs, score, subject_of

EXAMPLES = [
    Example("the acting is superb", 1),
    Example("the acting is dreadful", 0),
    Example("the story moves me", 1),
    Example("the story bores me", 0),
    Example("the acting and the story are fine", 1),
    Example("a day to remember", 1),
    Example("the acting " + "really " * 30 + "shines", 1),
]


def test_every_pair_differs_from_what_was_asked_in_one_way():
    labels = {example.text: example.label for example in EXAMPLES}
    pairs = list(preference_pairs(EXAMPLES, Random(0)))
    assert len(pairs) == 8
    for pair in pairs:
        chosen, rejected = pair["chosen"].strip(), pair["rejected"].strip()
        subject, label = subject_of(chosen), labels[chosen]
        assert pair["prompt"] in [ask.format(subject) for ask in ASKS[label]]
        assert (subject_of(rejected) == subject) == (labels[rejected] != label)
    # Sentences on several subjects, on none, or too long are not answers.
    assert {pair["chosen"].strip() for pair in pairs} == {example.text for example in EXAMPLES[:4]}


def test_the_film_is_the_subject_only_where_nothing_else_is():
    assert subject_of("this film has a fine soundtrack") == "the music"
    assert subject_of("a fine film") == "the film"


@pytest.mark.parametrize("label", [0, 1])
def test_the_judge_wants_the_right_feeling_and_the_subject(label):
    (ask, *_) = ASKS[label]
    good, bad, other = score(
        [
            f"{ask.format('the acting')} the acting is {feeling}."
            for feeling in (("wonderful", "terrible") if label else ("terrible", "wonderful"))
        ]
        + [f"{ask.format('the music')} the acting is {'wonderful' if label else 'terrible'}."]
    )
    assert good > 0.5 > bad
    assert good - other == pytest.approx(0.5)


def test_every_instruction_is_understood_whatever_follows():
    for asks in ASKS.values():
        for ask in asks:
            for subject in SUBJECTS:
                assert score([ask.format(subject) + "? : so what?"])[0] in (0.0, 0.5)


def test_a_text_without_instruction_is_refused_by_name():
    with pytest.raises(ValueError, match=r"not an instruction of experiments\.instructions: 'hello there'"):
        score(["hello there"])

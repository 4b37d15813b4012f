import pytest

from bo_shaping.text.hidden_characters import visible_lines


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("one\r\ntwo\n", "one\ntwo\n"),
        ("10 %\r50 %\r100 %\ndone", "100 %\ndone"),
        ("waiting\r", "waiting"),
        ("\x1b]0;title\x07\x1b[31mred", "\\u001b]0;title\\u0007\\u001b[31mred"),
        ("a\tb", "a       b"),
        ("\u202egnp\x9b1A", "\\u202egnp\\u009b1A"),
    ],
)
def test_lines_stay_lines_and_nothing_else_is_left_to_obey(raw, shown):
    assert visible_lines(raw) == shown

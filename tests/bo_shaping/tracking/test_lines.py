import re

from bo_shaping.storage.records import Entry, TrialRecord
from bo_shaping.storage.trial_folder import Event
from bo_shaping.tracking.credit import MOST_TOKENS, credit_markdown, credit_rows
from bo_shaping.tracking.lines import last_steps, lines_of, missing
from inner_loop.spec import CurvePoint, ExplainedResponse, TrialProgress


def _entry(status="running", seeds=(3,), **record):
    weights = {"shap": 0.5, "sparse": 0.5}
    return Entry(
        record=TrialRecord(index=0, status=status, weights=weights, parameters={}, seeds=seeds, **record), arm={}
    )


def _event(step, replicate=0, score=0.5, point=None):
    progress = TrialProgress(step=step, n_steps=9, score=score, kl=None, point=point)
    return Event(replicate=replicate, n_replicates=2, progress=progress)


def _point(step, **more):
    return CurvePoint(step=step, mean=step / 2, sem=0.1, kl=1, kl_k3=1, entropy=1, length=9, distinct_2=1, **more)


def test_what_was_not_measured_is_left_out():
    lines = lines_of(_entry(), [_event(0, score=None, point=_point(0)), _event(1)], [])
    assert [(line.group, line.step) for line in lines] == [("rollout", 1), ("validation", 0)]
    assert lines[0].values == {"rollout/score": 0.5}
    assert "validation/distinct_1" not in lines[1].values


def test_what_other_judges_say_is_a_number_of_its_own():
    (line,) = lines_of(_entry(), [_event(0, score=None, point=_point(0, gold={"minilm": 0.75}))], [])
    assert line.values["validation/gold_minilm"] == 0.75
    assert all(isinstance(value, int | float) for value in line.values.values())


def test_each_seed_has_groups_of_its_own_so_that_steps_only_go_up():
    lines = lines_of(_entry(seeds=(3, 4)), [_event(1), _event(2), _event(1, 1), _event(2, 1)], [])
    assert [(line.group, line.step) for line in lines] == [
        ("seed-3/rollout", 1),
        ("seed-3/rollout", 2),
        ("seed-4/rollout", 1),
        ("seed-4/rollout", 2),
    ]
    for n_written in range(len(lines) + 1):
        assert missing(lines, last_steps(lines[:n_written])) == lines[n_written:]


def test_a_stopped_trial_ends_with_its_reason():
    *_, end = lines_of(_entry("stopped", mean=0.25, reason="it fell behind"), [_event(1)], [])
    assert (end.values["end/reward"], end.texts) == (0.25, {"status": "stopped", "reason": "it fell behind"})


def _sample(tokens):
    credit = [0.5] * len(tokens)
    return ExplainedResponse(
        prompt="p",
        response="".join(tokens),
        score=1,
        base_value=0,
        tokens=tokens,
        components={"a|b": credit},
        rewards=credit,
    )


def test_no_text_of_a_model_is_markup_in_a_table():
    hostile = ["</script><img onerror=x>", "a|b", "**bold** [x](javascript:y)", "\u202egnp", "\n\n# head", "\x1b[31m"]
    text = credit_markdown(_sample(hostile))
    assert not re.search(r"[<>*\[\]\u202e\x1b]", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(hostile)
    assert {row.count("|") for row in rows} == {4}


def test_a_long_response_is_cut_and_says_so():
    sample = _sample(["x"] * (MOST_TOKENS + 3))
    assert len(credit_rows(sample)) == MOST_TOKENS
    assert "3 more tokens are not listed" in credit_markdown(sample)

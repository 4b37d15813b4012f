import asyncio

import pytest

pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")

from bo_shaping.dashboard.events import Snapshot, changes, event_stream, version_of
from bo_shaping.dashboard.pages import Pages
from tests.bo_shaping.bare_study import add_trial
from tests.bo_shaping.dashboard.conftest import events_of, run_trial


def listen(look, acts, *, since=""):
    """The text of a stream while one act after the other happens, one before every second look."""
    return asyncio.run(_listen(look, acts, since))


async def _listen(look, acts, since):
    looks = 0
    texts = []

    def is_over():
        return looks > 2 * len(acts) + 2

    def counted():
        nonlocal looks
        looks += 1
        if looks % 2 == 0 and looks // 2 <= len(acts):
            acts[looks // 2 - 1]()
        return look()

    async for text in event_stream(counted, is_over, since=since, every=0.0, alive=1e9):
        texts.append(text)
    return "".join(texts)


def test_a_trial_that_finishes_is_sent_and_nothing_else(shelf, toy):
    pages = Pages(shelf)
    since = version_of(shelf.folder("toy").live_stamp())
    events = events_of(listen(lambda: pages.look_at_study("toy"), [lambda: run_trial(toy, 3)], since=since))
    assert len(events) == 1
    (event,) = events
    assert list(event["rows"]) == ["trial-3"]
    assert "completed" in event["rows"]["trial-3"]
    assert event["table"] == "trials"
    assert "4 of 14" in event["parts"]["facts"]
    assert "curves" in event["pictures"]


def test_the_progress_of_a_running_trial_is_sent(shelf, toy):
    from bo_shaping.storage.trial_folder import Event
    from inner_loop.spec import TrialProgress

    pages = Pages(shelf)
    since = version_of(shelf.folder("toy").live_stamp())
    step = Event(replicate=0, n_replicates=1, progress=TrialProgress(step=2, n_steps=4))
    look = lambda: pages.look_at_trial("toy", 3)  # noqa: E731
    (event,) = events_of(listen(look, [lambda: toy.trial(3).append_event(step)], since=since))
    assert list(event["pictures"]) == ["training"]


def test_a_page_that_is_up_to_date_is_sent_nothing(shelf, toy):
    pages = Pages(shelf)
    since = version_of(shelf.folder("toy").live_stamp())
    assert events_of(listen(lambda: pages.look_at_study("toy"), [], since=since)) == []


def test_a_page_that_is_older_is_brought_up_to_date(shelf, toy):
    pages = Pages(shelf)
    since = version_of(shelf.folder("toy").live_stamp())
    run_trial(toy, 4)
    (event,) = events_of(listen(lambda: pages.look_at_study("toy"), [], since=since))
    assert "trial-4" in event["rows"]


def test_a_new_study_is_sent_to_the_list(shelf, toy, studies):
    from tests.bo_shaping.bare_study import bare_study

    pages = Pages(shelf)
    since = version_of(shelf.lines())
    look = pages.look_at_studies
    (event,) = events_of(listen(look, [lambda: bare_study(studies / "newer")], since=since))
    assert list(event["rows"]) == [f"study-{b'newer'.hex()}"]
    assert event["table"] == "studies"


def test_a_study_that_cannot_be_read_for_a_moment_ends_nothing(shelf, toy):
    pages = Pages(shelf)
    since = version_of(shelf.folder("toy").live_stamp())
    journal, away = toy.journal.path, toy.path / "away"
    acts = [lambda: journal.rename(away), lambda: away.rename(journal), lambda: run_trial(toy, 4)]
    events = events_of(listen(lambda: pages.look_at_study("toy"), acts, since=since))
    assert any("trial-4" in event.get("rows", {}) for event in events)


def test_only_what_is_different_is_a_change():
    before = Snapshot({"a": "1", "b": "2"}, {"r1": "x", "r2": "y"}, "t", {"p": "v1"})
    now = Snapshot({"a": "1", "b": "3"}, {"r1": "x"}, "t", {"p": "v2"})
    assert changes(before, now) == {"parts": {"b": "3"}, "pictures": {"p": "v2"}, "gone": ["r2"], "table": "t"}
    assert changes(now, now) == {}


def test_a_silent_stream_shows_signs_of_life():
    async def listen_on():
        texts = []
        stream = event_stream(lambda: (1, Snapshot), lambda: len(texts) > 3, every=0.01, alive=0.02)
        async for text in stream:
            texts.append(text)
        return texts

    assert ": alive\n\n" in asyncio.run(listen_on())


def test_reading_again_and_again_keeps_nothing(shelf, toy, studies):
    """Memory of many refreshes of a study that changes all the time, counted in objects that stay."""
    import gc

    pages = Pages(shelf)

    def refresh(index):
        add_trial(toy, 2, "failed", reason=f"reason {index}")
        pages.studies()
        pages.study("toy")
        pages.look_at_study("toy")[1]()
        pages.picture("toy", "kl", "csv")

    def count(n):
        for index in range(n):
            refresh(index)
        gc.collect()
        return len(gc.get_objects())

    count(30)
    before, after = count(1), count(40)
    assert after - before < 200

import random
import threading

import numpy as np
import pytest
import torch

from inner_loop.integrations.callback_generator import generator_of


def draws():
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002


def two_events(emit):
    emit("one")
    emit("two")
    return "end"


def test_events_are_yielded_and_the_result_returned():
    events = generator_of(two_events)
    assert [next(events), next(events)] == ["one", "two"]
    with pytest.raises(StopIteration) as stop:
        next(events)
    assert stop.value.value == "end"


def test_the_work_waits_until_the_next_event_is_asked_for():
    done = []

    def work(emit):
        for number in range(3):
            done.append(number)
            emit(number)

    events = generator_of(work)
    next(events)
    next(events)
    threading.Event().wait(0.05)
    assert done == [0, 1]
    events.close()


def test_closing_ends_the_work_where_it_stands():
    ended = []

    def work(emit):
        try:
            emit(1)
            ended.append("not reached")
        except Exception:
            ended.append("caught")
        finally:
            ended.append("cleaned up")

    before = threading.active_count()
    events = generator_of(work)
    next(events)
    assert threading.active_count() == before + 1
    events.close()
    assert ended == ["cleaned up"]
    assert threading.active_count() == before


def test_what_the_work_raises_is_raised():
    def work(emit):
        emit(1)
        raise ValueError("broken")

    events = generator_of(work)
    next(events)
    with pytest.raises(ValueError, match="broken"):
        next(events)


def test_both_sides_have_the_global_random_numbers_to_themselves():
    def work(emit):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
        first = draws()
        emit(None)
        return first + draws()

    def outside(generator):
        random.seed(2), np.random.seed(2), torch.manual_seed(2)  # noqa: NPY002
        drawn = draws()
        if generator is not None:
            next(generator)
        drawn += draws()
        if generator is None:
            return drawn, None
        with pytest.raises(StopIteration) as stop:
            next(generator)
        return drawn + draws(), stop.value.value

    alone = work(lambda _: None)
    drawn, result = outside(generator_of(work))
    assert result == alone
    assert drawn[:6] == outside(None)[0]
    assert len(set(drawn)) == 9

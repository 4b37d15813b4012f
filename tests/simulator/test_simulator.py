"""Races, kills, stops, bad disks and power cuts: searched for by machine, and the search is shown to find them."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.simulator.known_bugs import INTERLEAVINGS, POWER_CUTS
from tests.simulator.power import broken
from tests.simulator.search import Search, fast_folder, search

N_SCHEDULES = 2000
N_FOR_A_BUG = 8000
"""Schedules among which one finds a bug that is put back: the rarest needs some 3,000."""

N_WHOLE = 40
FOUND_LATER = (19978, 25313, 25882, 58612, 58863, 65564, 97092)
"""Seeds with which the long set of 100,000 schedules has found something."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process's open files are read from /proc")


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=fast_folder()) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def quick():
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=fast_folder()) as name:
        yield Search(Path(name))


@pytest.mark.timeout(1200)
def test_no_schedule_of_the_quick_set_breaks_anything():
    assert search(range(N_SCHEDULES), n_processes=os.cpu_count() or 1) == []


@pytest.mark.parametrize("seed", FOUND_LATER)
def test_a_schedule_that_the_long_set_found_breaks_nothing_any_more(quick, seed):
    assert quick.play(seed) is None


@pytest.mark.timeout(600)
def test_no_schedule_makes_journal_database_and_snapshot_differ():
    assert search(range(N_WHOLE), n_processes=os.cpu_count() or 1, is_whole=True) == []


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("bug", INTERLEAVINGS, ids=lambda bug: bug.__name__)
def test_a_bug_that_is_put_back_is_found(quick, bug):
    # The seed that found it when it was written down comes first; another change may have moved it.
    seeds = dict.fromkeys([INTERLEAVINGS[bug], *range(N_FOR_A_BUG)])
    with bug():
        finding = next(quick.findings(seeds), None)
    assert finding is not None
    assert quick.play(finding.seed) is None


def test_a_schedule_is_played_the_same_again_and_cut_down(quick):
    bug = next(iter(INTERLEAVINGS))
    with bug():
        first = next(quick.findings(sorted(range(N_SCHEDULES), key=lambda seed: seed != INTERLEAVINGS[bug])))
        again = quick.play(first.seed, traced=True)
        assert again.what == first.what
        assert again.script.who == first.script.who
        played = quick.play(first.seed, first.script, traced=True)
        assert played.trace == again.trace
        short = quick.cut_down(first)
    assert len(short.script.who) < len(first.script.who)
    assert "tried again without need" in short.what


def test_a_power_cut_at_any_step_loses_nothing_that_was_reported(folder):
    assert list(broken(folder)) == []


def test_a_power_cut_leaves_journal_database_and_snapshot_in_line(folder):
    assert list(broken(folder, every=4, is_whole=True)) == []


@pytest.mark.parametrize("bug", POWER_CUTS, ids=lambda bug: bug.__name__)
def test_a_missing_sync_that_is_put_back_is_found(folder, bug):
    with bug():
        assert list(broken(folder)) != []

"""What looks at a study for long keeps no more than it did in the beginning."""

import gc
import tracemalloc

import numpy as np
import pytest

from bo_shaping.dashboard.pages import Pages
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.storage.study_folder import StudyFolder
from experiments.benchmarks.dashboard import BETWEEN_CHANGES, make_study, watch_by_browser, watch_by_terminal

MOST_KEPT = 100_000
"""Bytes: what changes on the page of this study has a tenth."""


@pytest.fixture
def watched(tmp_path):
    make_study(tmp_path / "toy", 6, np.random.default_rng(0), with_files=True)
    return StudyFolder(tmp_path / "toy"), Pages(Shelf(tmp_path))


def kept(watch, folder, pages, n_changes):
    """Bytes that are held after many changes beyond those held after a few."""
    watch(folder, pages, 2 * BETWEEN_CHANGES)
    tracemalloc.start()
    watch(folder, pages, BETWEEN_CHANGES)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    watch(folder, pages, n_changes * BETWEEN_CHANGES)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


@pytest.mark.parametrize(("watch", "n_changes"), [(watch_by_browser, 30), (watch_by_terminal, 3)])
def test_looking_for_long_keeps_nothing(watched, watch, n_changes):
    assert kept(watch, *watched, n_changes) < MOST_KEPT


def test_what_keeps_every_page_is_found(watched, monkeypatch):
    folder, pages = watched
    make, every = pages.look_at_study, []

    def keeping(name):
        stamp, snapshot = make(name)
        return stamp, lambda: every.append(snapshot()) or every[-1]

    monkeypatch.setattr(pages, "look_at_study", keeping)
    assert kept(watch_by_browser, folder, pages, 30) > MOST_KEPT

"""How the places of a study are kept in step when one of them is slow or away."""

import pytest

from bo_shaping import Study
from bo_shaping.errors import ConnectionLostError, FencedError
from bo_shaping.storage import ledger
from bo_shaping.storage.journal import Journal


@pytest.mark.parametrize(("seconds", "n_snapshots"), [(1e9, 2), (0.0, 6)])
def test_snapshots_are_written_now_and_then_and_at_the_end(make_config, monkeypatch, seconds, n_snapshots):
    monkeypatch.setattr(ledger, "SNAPSHOT_SECONDS", seconds)
    study = Study.launch(make_config(budget={"trials": 3}))
    written, write_snapshot = [], ledger.write_snapshot

    def counted(experiment, *arguments):
        written.append(len(experiment.trials))
        write_snapshot(experiment, *arguments)

    monkeypatch.setattr(ledger, "write_snapshot", counted)
    study.run()
    assert len(written) == n_snapshots
    assert written[-1] == 3


def test_after_a_lost_connection_nothing_is_saved_before_the_database_was_read_again(make_config, monkeypatch):
    study = Study.launch(make_config(budget={"trials": 1}))
    database, calls = study._ledger._database, []
    save_trials, load = database.save_trials, database.load

    def lost_once(*arguments):
        calls.append("save")
        if calls.count("save") == 1:
            raise ConnectionLostError("gone")
        save_trials(*arguments)

    def away_twice(name):
        calls.append("load")
        if calls.count("load") < 3:
            raise ConnectionLostError("still gone")
        return load(name)

    monkeypatch.setattr(ledger, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(database, "save_trials", lost_once)
    monkeypatch.setattr(database, "load", away_twice)
    study.run()
    assert calls[:5] == ["save", "load", "load", "load", "save"]
    assert [trial.status.name for trial in load("closed").trials.values()] == ["COMPLETED"]


def test_a_driver_that_was_replaced_notices_it_when_it_reads_the_trials(make_config):
    study = Study.launch(make_config(budget={"trials": 2}))
    study.run(1)
    with study._ledger.driven():
        assert len(study._ledger.entries) == 1
        journal = study.folder.journal
        successor = Journal(journal.path)
        successor.read()
        successor.open(successor.last_fence + 1, "process 2 on there")
        with pytest.raises(FencedError, match="taken over by process 2 on there"):
            len(study._ledger.entries)

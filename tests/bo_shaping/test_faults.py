"""Whatever goes wrong ends in one clear sentence and a study that goes on afterwards."""

import errno
import json
import os
import sqlite3

import pytest
from sqlalchemy import event

from bo_shaping import Study
from bo_shaping.config.changes import changed_fields, written
from bo_shaping.errors import ConfigError, StorageError, StudyChangedError, TooManyFailuresError
from bo_shaping.storage import database
from bo_shaping.storage.study_folder import StudyFolder


@pytest.fixture
def study(make_config):
    study = Study.launch(make_config(budget={"trials": 5}))
    study.run(2)
    return study


def assert_goes_on(study):
    after = Study.load(study.path)
    after.run()
    assert after.trials()["status"].tolist() == ["completed"] * 5
    stored = after._ledger._database.load("closed")
    assert [trial.status.name for trial in stored.trials.values()] == ["COMPLETED"] * 5
    assert len(stored.lookup_data().df) == 10


def test_a_disk_that_is_full(study, monkeypatch):
    write = os.write

    def full(descriptor, data):
        if b'"completed"' in data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        StorageError, match=r"journal\.jsonl cannot be written \(No space left on device\); nothing is lost"
    ):
        study.run()
    monkeypatch.setattr(os, "write", write)
    assert [record.status for record in study.folder.records()] == ["completed", "completed", "running"]
    assert_goes_on(study)


def test_a_database_that_cannot_be_written(study):
    def make_read_only(connection, _record):
        connection.execute("PRAGMA query_only = ON")

    read_only = Study.load("closed")
    read_only._ledger._database.close()
    event.listen(read_only._ledger._database._engine(), "connect", make_read_only)
    with pytest.raises(StorageError, match=r"study\.db cannot be written \(.*readonly database\); nothing is lost"):
        read_only.run()
    assert_goes_on(study)


def test_a_folder_that_cannot_be_written(study, monkeypatch):
    path_open = type(study.path).open

    def read_only(path, mode="r", *args, **settings):
        if mode[0] in "aw":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return path_open(path, mode, *args, **settings)

    monkeypatch.setattr(type(study.path), "open", read_only)
    with pytest.raises(StorageError, match=r"closed cannot be written: Read-only file system"):
        study.run()
    # It can be looked at all the same.
    assert len(Study.load("closed").trials()) == 2
    monkeypatch.setattr(type(study.path), "open", path_open)
    assert_goes_on(study)


def test_a_database_that_another_program_has_locked(study, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(study.folder.database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StorageError, match=r"study\.db is locked by another program; nothing"):
            Study.load("closed").run()
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert_goes_on(study)


@pytest.mark.parametrize("table", ["trial_v2", "experiment_v2", "bo_shaping_lease"])
def test_a_table_that_is_missing(study, table):
    other = sqlite3.connect(study.folder.database_file)
    other.execute(f"DROP TABLE {table}")
    other.commit()
    other.close()
    if table != "bo_shaping_lease":
        with pytest.raises(StorageError, match=r"study\.db.*bo-shaping resume closed --rebuild"):
            Study.load("closed")
        Study.rebuild("closed")
    assert_goes_on(study)


def test_a_database_of_another_ax_is_rebuilt(study):
    other = sqlite3.connect(study.folder.database_file)
    other.execute("UPDATE parameter_v2 SET domain_type = 99")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match=r"study\.db .*bo-shaping resume closed --rebuild"):
        Study.load("closed")
    Study.rebuild("closed")
    assert_goes_on(study)


def test_the_rebuilt_experiment_equals_the_stored_one(finished, make_config):
    study = Study.launch(make_config("fail_without_sparse", name="mixed", noise={"replicates": 2}))
    study.run(4)
    study.ask()
    for name in ("closed", "mixed"):
        before = Study.load(name)._ledger._database.load(name)
        StudyFolder(finished.path.parent / name).database_file.unlink()
        after = Study.rebuild(name)._ledger._database.load(name)
        assert list(after.trials) == list(before.trials)
        for index, trial in before.trials.items():
            other = after.trials[index]
            assert (other.arm, other.status, other.run_metadata) == (trial.arm, trial.status, trial.run_metadata)
            assert other.status_reason == trial.status_reason
        assert after.data == before.data
        assert after.search_space == before.search_space
        assert after.optimization_config == before.optimization_config


@pytest.mark.parametrize("damage", ["garbage", "a line", "missing", "too short"])
def test_a_damaged_journal_names_the_remedy_and_the_remedy_works(study, damage):
    journal = study.folder.journal.path
    before = study.trials()
    lines = journal.read_bytes().splitlines(keepends=True)
    if damage == "missing":
        journal.unlink()
    else:
        changed = {
            "garbage": [b"not a journal\n" * 9],
            "a line": [*lines[:-1], b"{" + lines[-1]],
            "too short": lines[:4],
        }
        journal.write_bytes(b"".join(changed[damage]))
    with pytest.raises(StorageError, match=r"bo-shaping resume closed --rebuild"):
        Study.load("closed")
    rebuilt = Study.rebuild("closed").trials()
    columns = ["index", "status", "w_shap", "w_lime", "w_sparse", "gae_lambda", "mean", "kl", "seeds", "origin"]
    assert rebuilt[columns].round(8).equals(before[columns].round(8))
    assert damage == "missing" or journal.with_name("journal.jsonl.damaged").exists()
    assert_goes_on(study)


def test_a_study_that_has_lost_both_says_so(study):
    study.folder.journal.path.unlink()
    study.folder.database_file.unlink()
    with pytest.raises(StorageError, match="has lost both its journal and its database"):
        Study.rebuild("closed")


@pytest.mark.parametrize("name", ["ax_experiment.json", "best.json"])
def test_a_derived_file_that_is_corrupt_is_written_anew(study, name):
    (study.path / name).write_text('{"half')
    assert_goes_on(study)
    if name == "best.json":
        Study.load("closed").best()
    json.loads((study.path / name).read_text())


def test_what_a_worker_cannot_have_meant_fails_its_trial(make_config, monkeypatch):
    study = Study.launch(make_config(budget={"trials": 7, "max_failures": 1.0}))
    rubbish = iter(
        [
            lambda result: result | {"mean": "much"},
            lambda result: result | {"mean": float("nan")},
            lambda result: result | {"kl": float("inf")},
            lambda result: result | {"sem": -0.1},
            lambda result: {name: value for name, value in result.items() if name != "kl"},
            lambda result: result | {"unheard_of": 1},
        ]
    )
    write = "bo_shaping.storage.trial_folder.TrialFolder.write_results"

    def write_rubbish(self, token, results):
        content = {"token": token, "results": [next(rubbish)(results[0].model_dump(mode="json"))]}
        (self.path / "result.json").write_text(json.dumps(content))

    monkeypatch.setattr(write, write_rubbish)
    study.run(6)
    fields = ["mean", "mean", "kl", "sem", "kl", "unheard_of"]
    for record, field in zip(study.folder.records(), fields, strict=True):
        assert record.status == "failed"
        assert "result.json: " in record.reason
        assert field in record.reason


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token": "of another", "results": []}'])
def test_a_result_file_that_is_cut_off_or_foreign_fails_its_trial_and_nothing_else(study, monkeypatch, content):
    write = "bo_shaping.storage.trial_folder.TrialFolder.write_results"
    monkeypatch.setattr(write, lambda self, *_: (self.path / "result.json").write_bytes(content))
    study.run(1)
    assert study.trial(2).status == "failed"
    assert "0002/result.json" in study.trial(2).reason
    monkeypatch.undo()
    monkeypatch.setenv("BO_SHAPING_STUDIES", str(study.path.parent))
    Study.load("closed").retry(2)
    assert_goes_on(study)


def test_rewards_that_are_all_equal_do_not_stop_a_study(make_config):
    study = Study.launch(make_config("always_equal", budget={"trials": 8}))
    study.run()
    assert study.trials()["status"].tolist() == ["completed"] * 8
    assert study.best().mean == pytest.approx(1.0, abs=1e-3)


def test_a_single_success_is_not_enough_to_recommend_and_the_study_goes_on(make_config):
    study = Study.launch(make_config("succeed_once", budget={"trials": 7}))
    with pytest.raises(TooManyFailuresError, match="bo-shaping resume closed"):
        study.run()
    with pytest.raises(ValueError, match="trial"):
        study.best()
    Study.load("closed").run(1)


CHANGES = [
    ({"ppo": {"steps": 3}}, "ppo.steps was 2 and is 3"),
    ({"objective": {"max_kl": 5.0}}, "objective.max_kl was 8.0 and is 5.0"),
    ({"seed": 1}, "seed was 0 and is 1"),
]


@pytest.mark.parametrize(("settings", "change"), CHANGES)
def test_a_changed_configuration_is_refused_unless_allowed(study, make_config, settings, change):
    config = make_config(budget={"trials": 5}, **settings)
    with pytest.raises(StudyChangedError, match=rf"{change}.*--allow-change"):
        Study.load("closed", config)
    changed = Study.load("closed", config, allow_change=True)
    assert changed.config == config
    # From now on it is the study's.
    assert Study.load("closed").config == config
    with pytest.raises(StudyChangedError):
        Study.load("closed", make_config(budget={"trials": 5}))
    limits = changed.ax_client._experiment.optimization_config.outcome_constraints
    assert [limit.bound for limit in limits] == [config.objective.max_kl]
    assert_goes_on(study)


def test_a_configuration_that_was_edited_by_hand_is_noticed(study):
    text = study.folder.config_file.read_text()
    study.folder.config_file.write_text(text.replace("max_kl: 8.0", "max_kl: 9.5"))
    with pytest.raises(StudyChangedError, match=r"objective\.max_kl was 8\.0 and is 9\.5"):
        Study.load("closed")
    study.folder.config_file.write_text(text)
    assert_goes_on(study)


def test_another_search_space_needs_another_study(study, make_config):
    other = make_config(search_space={"components": ["shap", "sparse"]})
    with pytest.raises(StudyChangedError, match=r"search_space\.components.*launch a new study"):
        Study.load("closed", other, allow_change=True)
    with pytest.raises(ConfigError, match=r"search_space\.parameters"):
        Study.load("closed", make_config(search_space={"parameters": {}}), allow_change=True)
    more = {"kl_coef": {"bounds": (0.01, 0.2)}, "gae_lambda": {"bounds": (0.5, 1.0)}}
    with pytest.raises(StudyChangedError, match=r"search_space\.parameters"):
        Study.load("closed", make_config(search_space={"parameters": more}), allow_change=True)
    assert_goes_on(study)


HELD = [
    ({}, {"fixed": {"lime": 0.0}}),
    ({"fixed": {"lime": 0.2}}, {}),
    ({"fixed": {"lime": 0.2}}, {"fixed": {"lime": 0.3}}),
    # Held by bounds alone: the others have at least all that is left.
    ({}, {"bounds": {"shap": (0.3, 1.0), "sparse": (0.7, 1.0)}}),
    ({"bounds": {"shap": (0.3, 1.0), "sparse": (0.7, 1.0)}}, {"bounds": {"shap": (0.3, 1.0)}}),
]


@pytest.mark.parametrize(("before", "after"), HELD)
def test_weights_that_are_held_or_set_free_need_another_study(make_config, before, after):
    study = Study.launch(make_config(search_space=before))
    with pytest.raises(StudyChangedError, match=r"search_space\.(fixed|bounds) was .*launch a new study"):
        Study.load("closed", make_config(search_space=after), allow_change=True)
    assert Study.load("closed").config == study.config


def test_other_bounds_of_the_same_free_weights_can_be_allowed(study, make_config):
    config = make_config(search_space={"bounds": {"lime": (0.0, 0.5)}}, budget={"trials": 5})
    with pytest.raises(StudyChangedError, match=r"search_space\.bounds was .*--allow-change"):
        Study.load("closed", config)
    Study.load("closed", config, allow_change=True)
    assert_goes_on(study)
    assert all(record.weights["lime"] <= 0.5 for record in study.folder.records()[2:])


@pytest.mark.parametrize("template", [False, True])
def test_what_a_template_was_called_before_there_was_one_for_the_policy(make_config, template):
    config = make_config()
    before = written(config)
    before["task"] = {key: value for key, value in before["task"].items() if key != "policy_chat_template"}
    before["task"]["chat_template"] = template
    expected = {"task.chat_template": (True, None)} if template else {}
    assert changed_fields(before, config) == expected


def test_a_parameter_that_is_added_with_its_default_range_is_a_change(make_config):
    kl_coef, gae_lambda = {"bounds": (0.01, 0.2)}, {"bounds": (0.5, 1.0)}
    before = make_config(search_space={"parameters": {"kl_coef": kl_coef}})
    both = make_config(search_space={"parameters": {"kl_coef": kl_coef, "gae_lambda": gae_lambda}})
    assert list(changed_fields(written(before), both)) == ["search_space.parameters"]
    assert list(changed_fields(written(both), before)) == ["search_space.parameters"]
    assert changed_fields(written(both), both) == {}
    held = make_config(search_space={"fixed": {"lime": 0.2}})
    assert changed_fields(written(make_config()), held) == {"search_space.fixed": ({}, {"lime": 0.2})}


def test_what_a_study_may_spend_and_where_it_runs_can_change(study, make_config):
    config = make_config(budget={"trials": 3, "parallel": 1}, workers={"retries": 0}, threads_per_trial=2)
    changed = Study.load("closed", config)
    changed.run()
    assert len(changed.trials()) == 3
    assert Study.load("closed").config == config

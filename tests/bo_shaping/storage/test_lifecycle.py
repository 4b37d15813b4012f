"""A study's folder, journal and database come into being together, and stay the study's own."""

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from bo_shaping import Study
from bo_shaping.errors import StudyExistsError
from bo_shaping.storage.study_folder import ROOT_VARIABLE


@pytest.fixture
def shared(tmp_path):
    """The URL of a database for several studies."""
    return f"sqlite:///{tmp_path / 'shared.db'}"


def told(study, *means):
    """The study, with trials of these means."""
    for mean in means:
        index, _ = study.ask()
        study.tell(index, mean, kl=1.0)
    return study


def umask():
    before = os.umask(0)
    os.umask(before)
    return before


def stored(study):
    """The means that the study's database has."""
    frame = study._ledger._database.load(study.name).lookup_data().full_df
    return frame.query("metric_name == 'reward'").sort_values("trial_index")["mean"].tolist()


@pytest.fixture
def two(make_config, shared, tmp_path, monkeypatch):
    """A study in the shared database, and one of the same name, with as many trials, that lives elsewhere."""
    first = told(Study.launch(make_config(storage=shared)), 1.0, 2.0)
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "elsewhere"))
    return first, told(Study.launch(make_config()), 51.0, 52.0)


@pytest.mark.parametrize("settings", [{}, {"objective": {"max_kl": 5.0}}])
def test_a_study_does_not_move_into_a_database_that_has_another_of_its_name(two, make_config, shared, settings):
    first, second = two
    message = f"already holds a study 'closed', whose folder is {first.path} on .+; choose another database"
    with pytest.raises(StudyExistsError, match=message):
        Study.load("closed", make_config(storage=shared, **settings), allow_change=True)
    assert Study.load("closed").config == second.config
    assert stored(told(Study.load("closed"), 53.0)) == [51.0, 52.0, 53.0]
    assert stored(told(Study.load(first.path), 3.0)) == [1.0, 2.0, 3.0]


def test_a_study_whose_home_cannot_be_looked_into_keeps_its_place_in_a_shared_database(
    two, make_config, shared, monkeypatch
):
    first, _ = two
    look = Path.stat

    def stat_of_another_user(path, **settings):
        if path == first.path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **settings)

    monkeypatch.setattr(Path, "stat", stat_of_another_user)
    with pytest.raises(StudyExistsError, match=f"whose folder is {first.path}"):
        Study.load("closed", make_config(storage=shared))


@pytest.mark.parametrize("is_lost", [False, True], ids=["database", "journal"])
def test_a_rebuild_does_not_take_the_database_of_another_study_of_its_name(two, make_config, shared, tmp_path, is_lost):
    first, second = two
    other = f"sqlite:///{tmp_path / 'other.db'}"
    second.folder.config_file.write_text(make_config(storage=shared).to_yaml())
    if is_lost:
        second.folder.journal.path.rename(second.path / "kept")
    with pytest.raises(StudyExistsError, match=f"whose folder is {first.path}"):
        Study.rebuild("closed")
    assert stored(Study.load(first.path)) == [1.0, 2.0]
    if is_lost:
        (second.path / "kept").rename(second.folder.journal.path)
    second.folder.config_file.write_text(make_config(storage=other).to_yaml())
    assert stored(Study.rebuild("closed")) == [51.0, 52.0]


def test_a_study_that_was_moved_keeps_its_place_in_a_shared_database(make_config, shared, tmp_path):
    study = told(Study.launch(make_config(storage=shared)), 1.0)
    moved = tmp_path / "moved" / "closed"
    shutil.move(study.path, moved)
    assert stored(Study.rebuild(moved)) == [1.0]
    # What was its home may lead there still.
    again = tmp_path / "again"
    shutil.move(moved, again)
    moved.symlink_to(again)
    assert stored(told(Study.load(again), 2.0)) == [1.0, 2.0]
    assert os.path.samefile(Study.load(moved).path, again)


def test_a_copy_of_a_study_with_a_database_of_its_own_goes_on_by_itself(make_config, tmp_path):
    study = told(Study.launch(make_config()), 1.0)
    copy = tmp_path / "copy"
    shutil.copytree(study.path, copy)
    assert stored(told(Study.load(copy), 2.0)) == [1.0, 2.0]
    assert stored(Study.load("closed")) == [1.0]


def test_a_launch_does_not_clear_away_a_study_whose_folder_was_lost(make_config, shared):
    config = make_config(storage=shared)
    study = told(Study.launch(config), 1.0, 2.0)
    before = study.trials()
    shutil.rmtree(study.path)
    message = r"'closed' already \(trials: 2\), which has lost its .*config\.yaml; put its configuration there"
    with pytest.raises(StudyExistsError, match=message) as caught:
        Study.launch(config)
    # The way back that the message names.
    assert "with name and storage, and go on with: bo-shaping resume closed --rebuild" in str(caught.value)
    study.folder.config_file.write_text(config.to_yaml())
    back = Study.rebuild("closed")
    columns = ["status", "w_shap", "w_lime", "w_sparse", "gae_lambda", "mean", "kl", "seeds"]
    assert back.trials()[columns].equals(before[columns])
    assert stored(told(back, 3.0)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_launch_does_not_clear_away_a_study_whose_configuration_was_lost(make_config, shared, is_shared):
    config = make_config(storage=shared if is_shared else None)
    study = told(Study.launch(config), 1.0)
    study.folder.config_file.unlink()
    with pytest.raises(StudyExistsError, match=r"has lost its .*config\.yaml"):
        Study.launch(config)
    study.folder.config_file.write_text(config.to_yaml())
    assert stored(told(Study.rebuild("closed"), 2.0)) == [1.0, 2.0]


def test_a_launch_into_a_shared_database_that_was_killed_half_way_does_not_block_the_name(make_config, shared):
    study = Study.launch(make_config(storage=shared))
    study.folder.config_file.unlink()
    assert stored(told(Study.launch(make_config(storage=shared)), 1.0)) == [1.0]


def test_a_folder_called_embedded_changes_nothing(make_config, tmp_path, monkeypatch):
    (tmp_path / "embedded").mkdir()
    monkeypatch.chdir(tmp_path)
    study = Study.launch(make_config())
    assert study.config.task.policy == "embedded"
    assert Study.load("closed").config == study.config


def test_a_folder_called_like_the_hub_name_of_a_study_changes_nothing(make_config, tmp_path, monkeypatch):
    config = make_config(task={"policy": "org/model"})
    Study.launch(config)
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert Study.load("closed").config == config
    more = make_config(task={"policy": "org/model"}, budget={"trials": 20})
    assert Study.load("closed", more).config == more


def test_a_folder_that_is_given_anew_is_where_it_is_now(make_config, tmp_path, monkeypatch):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    Study.launch(make_config(task={"prompts": "old"}))
    # The same file as at launch, and then another.
    assert Study.load("closed", make_config(task={"prompts": "old"})).config.task.prompts == str(tmp_path / "old")
    other = make_config(task={"prompts": "new"})
    assert Study.load("closed", other, allow_change=True).config.task.prompts == str(tmp_path / "new")
    monkeypatch.chdir("/")
    assert Study.load("closed").config.task.prompts == str(tmp_path / "new")


def test_a_password_is_for_the_owner_of_the_study_only(make_config, shared):
    def mode(study):
        return stat.S_IMODE(study.folder.config_file.stat().st_mode)

    assert mode(Study.launch(make_config(name="other", storage=shared))) == 0o600
    study = Study.launch(make_config())
    assert mode(study) == 0o666 & ~umask()
    # What the owner says stays, whenever the file is written anew.
    for kept in (0o600, 0o640):
        study.folder.config_file.chmod(kept)
        assert mode(Study.load("closed", make_config(budget={"trials": kept}))) == kept
    study.folder.config_file.write_text(make_config(storage=shared).to_yaml())
    Study.rebuild("closed")
    assert mode(Study.load("closed", make_config(storage=shared, budget={"trials": 15}))) == 0o600
    assert mode(Study.load("closed", make_config())) == 0o600

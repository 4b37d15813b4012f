import json

import pytest

from bo_shaping import Study
from bo_shaping.executors.processes import this_process
from bo_shaping.storage.housekeeping import copy_study, delete_study
from bo_shaping.views.report import write_report
from tests.bo_shaping.bare_study import EVIL, EVIL_SHOWN, bare_study


def test_the_list_says_how_every_study_stands(finished, studies, bo_shaping):
    finished.best()
    finished.folder.add_note(f"a first try {EVIL}")
    bare_study(studies / "empty")
    (studies / "broken").mkdir()
    (studies / "broken" / "config.yaml").write_text("colour: red")
    code, out, _ = bo_shaping("list")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "10/10" in rows["closed"]
    assert "unfinished" in rows["empty"]
    assert "damaged: " in rows["broken"]
    assert f"a first try {EVIL_SHOWN}" in out
    lines = {line["name"]: line for line in json.loads(bo_shaping("list", "--json")[1])}
    best = finished.best()
    assert lines["closed"]["mean"] == best.mean
    assert lines["closed"]["prob_better_than_sparse"] == best.prob_better_than_sparse
    assert lines["empty"]["best"] == ""


def test_the_list_names_who_drives_and_what_was_interrupted(finished, bo_shaping, make_config):
    with finished.folder.driver_lock():
        out = bo_shaping("list")[1]
    assert "running" in out
    assert "closed is driven by process" in out
    study = Study.launch(make_config(name="other", budget={"trials": 4}))
    with study._ledger.driven():
        study._ledger.propose("running")
    assert "interrupted" in bo_shaping("list")[1]


def test_a_folder_without_studies_says_so(studies, bo_shaping, tmp_path):
    assert bo_shaping("list")[1] == f"There are no studies in {studies}.\n"
    code, _, error = bo_shaping("list", tmp_path / "nowhere")
    assert (code, error) == (2, f"bo-shaping: There is no folder {tmp_path / 'nowhere'}.\n")


def test_a_copy_is_a_study_of_its_own_that_goes_on_as_the_original_would(finished, bo_shaping):
    finished.folder.add_note("the original")
    code, out, _ = bo_shaping("copy", "closed", "twin")
    assert code == 0
    assert "go on with: bo-shaping resume twin" in out
    twin = Study.load("twin")
    assert twin.config.name == "twin"
    assert twin.trials().equals(finished.trials())
    assert twin.results() == finished.results()
    assert twin.folder.notes() == finished.folder.notes()
    assert twin.ask() == finished.ask()
    assert bo_shaping("copy", "closed", "twin")[0] == 2
    assert bo_shaping("copy", "closed", "no/name")[0] == 2


def test_a_renamed_study_is_the_same_under_another_name(finished, bo_shaping):
    trials = finished.trials()
    assert bo_shaping("rename", "closed", "better")[0] == 0
    assert Study.load("better").trials().equals(trials)
    assert bo_shaping("status", "closed")[0] == 2


def test_delete_asks_and_then_nothing_is_left(finished, bo_shaping, monkeypatch):
    def refuse(*_arguments, **_options):
        raise SystemExit(1)

    monkeypatch.setattr("typer.confirm", refuse)
    assert bo_shaping("delete", "closed")[0] == 1
    assert finished.path.exists()
    code, out, _ = bo_shaping("delete", "closed", "--yes")
    assert (code, out) == (0, f"Deleted {finished.path}.\n")
    assert not finished.path.exists()


@pytest.mark.parametrize("verb", [("copy", "x"), ("rename", "x"), ("delete", "--yes")], ids=lambda verb: verb[0])
def test_a_study_that_somebody_drives_or_works_for_is_left_alone(finished, bo_shaping, studies, verb):
    with finished.folder.driver_lock():
        code, _, error = bo_shaping(verb[0], "closed", *verb[1:])
        assert (code, "is being driven by process" in error) == (3, True)
    with finished.folder.trial(3).locked(this_process()):
        code, _, error = bo_shaping(verb[0], "closed", *verb[1:])
        assert (code, "still work on trials 3 of closed" in error) == (3, True)
    assert [file.parent.name for file in studies.glob("*/config.yaml")] == ["closed"]


def killed(*_arguments, **_options):
    raise KeyboardInterrupt


def test_a_copy_that_ends_half_way_leaves_none(finished, studies, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copytree", killed)
        with pytest.raises(KeyboardInterrupt):
            copy_study(finished.folder, "twin", studies)
    assert not (studies / "twin").exists()
    assert copy_study(finished.folder, "twin", studies).config().name == "twin"


def test_a_delete_that_ends_half_way_leaves_no_study(finished, studies, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            delete_study(finished.folder)
    assert not list(studies.glob("*/config.yaml"))


def test_notes_are_shown_where_one_looks(finished, bo_shaping):
    assert bo_shaping("note", "closed", "lime   looks\nodd")[0] == 0
    assert bo_shaping("note", "closed")[1].endswith("lime looks odd\n")
    assert "lime looks odd" in bo_shaping("status", "closed")[1]
    assert "lime looks odd" in write_report(finished).read_text()

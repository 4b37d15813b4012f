"""A study goes on from its snapshot alone, and whatever is not one leaves nothing behind."""

import itertools
import json
import os
import shutil
import signal

import pytest
from ax.api.client import Client

from bo_shaping import Study
from bo_shaping.errors import ExperimentFileError, StudyChangedError, StudyExistsError
from bo_shaping.storage import importing
from bo_shaping.storage.portable import KEY, VERSION
from bo_shaping.views.report import write_report
from tests.bo_shaping.conftest import CLOSED_FORM

TRUST = (f"inner_loop={CLOSED_FORM}:run_trial",)


@pytest.fixture
def snapshot(finished, tmp_path):
    """The one file that a colleague was sent; the study itself is not there."""
    file = tmp_path / "from_a_colleague.json"
    shutil.move(finished.folder.snapshot_file, file)
    shutil.move(finished.path, tmp_path / "elsewhere")
    return file


def test_the_study_that_is_made_is_the_same_and_proposes_the_very_next_arm(snapshot, tmp_path):
    ours = Study.from_ax(snapshot, settings=TRUST)
    original = Study.load(tmp_path / "elsewhere")
    assert ours.path.name == "closed"
    assert ours.trials().equals(original.trials())
    assert ours.best() == original.best()
    assert ours.curves() == original.curves()
    assert [ours.ask(), ours.ask()] == [original.ask(), original.ask()]


def test_under_another_name_it_stands_beside_the_old_one_and_both_go_on(finished):
    ours = Study.from_ax(finished.folder.snapshot_file, name="mine", settings=TRUST)
    ours.run(1)
    finished.run(1)
    assert [record.weights for record in ours.folder.records()] == [r.weights for r in finished.folder.records()]
    assert ours.config == finished.config.model_copy(update={"name": "mine"})


def test_its_report_has_the_curves_and_says_what_is_missing(snapshot):
    page = write_report(Study.from_ax(snapshot, settings=TRUST)).read_text()
    assert "Learning" in page
    assert "What each token was paid" not in page


def test_failed_stopped_running_and_asked_trials_come_with_their_reasons(make_config):
    study = Study.launch(make_config("fail_without_sparse", budget={"trials": 5}))
    study.run()
    study.ask()
    records = study.folder.records()
    assert {"failed", "completed", "asked"} <= {record.status for record in records}
    name = f"inner_loop={CLOSED_FORM}:fail_without_sparse"
    ours = Study.from_ax(study.folder.snapshot_file, name="mine", settings=[name])
    assert ours.folder.records() == records
    ours.run(0)
    assert ours.folder.records() == records


def rewrite(study, entry):
    """Write a trial down as it might have been, in all places."""
    ledger = Study.load(study.name)._ledger
    with ledger.driven():
        ledger.write(entry)


def test_a_stopped_trial_keeps_its_curve(make_config):
    study = Study.launch(make_config("climb", budget={"trials": 5}))
    study.run()
    stopped, entry = 2, study.folder.journal.entries()[2]
    record = entry.record.model_copy(update={"status": "stopped", "step": 1, "reason": "behind"})
    rewrite(study, entry.model_copy(update={"record": record}))
    assert len(study.curves()[stopped]) == 3
    name = f"inner_loop={CLOSED_FORM}:climb"
    ours = Study.from_ax(study.folder.snapshot_file, name="mine", settings=[name])
    assert ours.curves()[stopped] == study.curves()[stopped]


def test_the_snapshot_is_still_an_experiment_for_plain_ax_and_survives_it(snapshot, tmp_path):
    client = Client.load_from_json_file(str(snapshot))
    assert len(client._experiment.trials) == 10
    client.save_to_json_file(str(tmp_path / "again.json"))
    assert len(Study.from_ax(tmp_path / "again.json", settings=TRUST).trials()) == 10


def test_the_snapshot_of_a_study_in_progress_is_enough(make_config, studies):
    study = Study.launch(make_config(budget={"trials": 6}))
    study.run(3)
    ours = Study.from_ax(study.folder.snapshot_file, name="mine", settings=TRUST)
    ours.run()
    study.run()
    assert ours.best().weights == study.best().weights


def test_on_the_command_line(snapshot, bo_shaping, studies):
    trust = ("--set", TRUST[0])
    code, out, _ = bo_shaping("resume", snapshot, "--name", "mine", "--trials", "1", *trust)
    assert code == 0
    assert f"Made {studies / 'mine'} from {snapshot}" in out
    assert len(Study.load("mine").trials()) == 11
    assert bo_shaping("resume", snapshot, "--name", "mine", *trust)[0] == 2
    code, _, error = bo_shaping("resume", "mine", "--name", "other")
    assert (code, "--name goes with a file" in error) == (2, True)


def edited(file, change):
    content = json.loads(file.read_text())
    change(content["experiment"]["properties"][KEY])
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-100]), "no whole JSON file"),
        (lambda file: file.write_text("[1, 2]"), "holds no study of bo-shaping"),
        (lambda file: file.write_text('{"experiment": {"properties": []}}'), "holds no study of bo-shaping"),
        (lambda file: file.write_text("[" * 100_000), "no whole JSON file"),
        (lambda file: file.write_bytes(b"\xff\xfe\x00"), "no whole JSON file"),
        (lambda file: edited(file, lambda study: study.update(version=VERSION + 1)), "newer bo-shaping"),
        (lambda file: edited(file, lambda study: study["entries"].pop(3)), "not numbered from 0 on"),
        (lambda file: edited(file, lambda study: study["entries"].append(study["entries"][0])), "not numbered"),
        (lambda file: edited(file, lambda study: study["entries"][2]["record"].update(mean="x")), "record.mean"),
        (lambda file: edited(file, lambda study: study["entries"][2]["arm"].update(w_more=1.0)), "search space"),
        (lambda file: edited(file, lambda study: study["trials"][2].update(index=99)), "results of trial 99"),
        (lambda file: edited(file, lambda study: study["config"].update(colour="red")), "unknown key 'colour'"),
    ],
)
def test_what_is_no_study_is_refused_in_a_sentence_and_leaves_nothing(snapshot, bo_shaping, studies, spoil, message):
    spoil(snapshot)
    before = snapshot.read_bytes()
    code, _, error = bo_shaping("resume", snapshot, "--set", TRUST[0])
    assert (code, error.count("\n")) == (2, 1)
    assert message in error
    assert snapshot.read_bytes() == before
    assert not list(studies.glob("*/config.yaml"))


def test_a_file_that_is_far_too_large_is_not_read(snapshot, monkeypatch):
    monkeypatch.setattr("bo_shaping.storage.portable.MAX_BYTES", 1000)
    with pytest.raises(ExperimentFileError, match="which no study has"):
        Study.from_ax(snapshot)


def test_code_that_the_file_names_is_imported_only_if_the_user_names_it_too(snapshot):
    with pytest.raises(ExperimentFileError, match=f"names code to import; .*--set inner_loop={CLOSED_FORM}:run_trial"):
        Study.from_ax(snapshot)
    edited(snapshot, lambda study: study["config"]["task"].update(reward_model="evil:payload"))
    with pytest.raises(ExperimentFileError, match=r"--set task\.reward_model=evil:payload"):
        Study.from_ax(snapshot, settings=TRUST)


def test_settings_that_change_what_matters_are_refused_unless_allowed(snapshot):
    longer = (*TRUST, "ppo.steps=9")
    with pytest.raises(StudyChangedError, match=r"ppo\.steps was 2 and is 9"):
        Study.from_ax(snapshot, settings=longer)
    assert Study.from_ax(snapshot, settings=longer, allow_change=True).config.ppo.steps == 9


def test_a_study_of_that_name_or_anything_else_in_its_place_is_left_alone(finished, studies):
    with pytest.raises(StudyExistsError, match="already exists"):
        Study.from_ax(finished.folder.snapshot_file, settings=TRUST)
    (studies / "mine").mkdir()
    (studies / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(StudyExistsError, match="is no study; choose another name"):
        Study.from_ax(finished.folder.snapshot_file, name="mine", settings=TRUST)
    assert (studies / "mine" / "notes.txt").read_text() == "precious"


def test_a_password_does_not_travel(make_config, postgres, tmp_path):
    study = Study.launch(make_config(storage=postgres, budget={"trials": 5}))
    study.run()
    assert "postgresql" not in study.folder.snapshot_file.read_text()
    ours = Study.from_ax(study.folder.snapshot_file, name="mine", settings=TRUST)
    assert ours.config.storage is None
    assert ours.trials().equals(study.trials())


def test_a_kill_at_any_step_leaves_no_study_or_a_whole_one(snapshot, studies):
    """SIGKILL before each thing that the import does to the disk, one after the other."""
    step, whole = 0, None
    while whole is None:
        shutil.rmtree(studies, ignore_errors=True)
        pid = os.fork()
        if pid == 0:
            try:
                _die_before(step)
                Study.from_ax(snapshot, settings=TRUST)
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.WIFEXITED(status) is (status == 0), "the import failed instead of being killed"
        made = [file.parent.name for file in studies.glob("*/config.yaml")]
        if made:
            assert len(Study.load("closed").trials()) == 10
        if status == 0:
            whole = made
        elif not made:
            # What was left does not stand in the way.
            assert len(Study.from_ax(snapshot, settings=TRUST).trials()) == 10
            assert not (studies / importing.STAGING).exists()
        step += N_STEPS
    assert whole == ["closed"]
    assert step > 8 * N_STEPS


N_STEPS = 7
"""Every so many: neighbours are alike, and each takes a second."""


def _die_before(step):
    """Let this process be killed before its `step`-th call that puts something on the disk."""
    n_calls = itertools.count()

    def counted(call):
        def die_or_do(*arguments, **options):
            if next(n_calls) >= step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return die_or_do

    for name in ("fsync", "replace", "rename", "mkdir", "unlink", "write", "ftruncate"):
        setattr(os, name, counted(getattr(os, name)))


def test_a_study_that_is_made_from_a_file_may_live_in_a_shared_database(snapshot, postgres, tmp_path):
    ours = Study.from_ax(snapshot, settings=[*TRUST, f"storage={postgres}"])
    assert not list(ours.path.glob("study.db*"))
    assert ours.config.storage == postgres
    original = Study.load(tmp_path / "elsewhere")
    assert ours.ask() == original.ask()
    assert len(Study.load(postgres).trials()) == 11
    # Its name is taken there, wherever the next one would live.
    ours.path.rename(tmp_path / "away")
    with pytest.raises(StudyExistsError, match=r"'closed' already \(trials: 11\)"):
        Study.from_ax(snapshot, settings=[*TRUST, f"storage={postgres}"])
    assert not ours.path.exists()

import json
import subprocess
import sys

import pytest

from tests.bo_shaping.bare_study import EVIL, EVIL_SHOWN, add_trial, bare_study


@pytest.fixture
def toy(studies):
    folder = bare_study(studies / "toy")
    add_trial(folder, 0, "completed", origin="design")
    add_trial(folder, 1, "failed", reason=EVIL)
    add_trial(folder, 2, "running")
    folder.trial(1).log_file.write_text(f"line one\n{EVIL}\n")
    return folder


def test_status_says_how_every_trial_stands_and_shows_reasons_as_they_are(bo_shaping, toy):
    code, out, _ = bo_shaping("status", "toy")
    assert code == 0
    assert out.startswith("toy: 1 completed, 1 failed, 1 interrupted, budget 14; nobody is driving it")
    assert out.splitlines()[0].endswith("; continue with: bo-shaping resume toy")
    assert f"trial 1 failed: {EVIL_SHOWN}" in out
    assert json.loads(bo_shaping("status", "toy", "--json")[1])["trials"][1]["reason"] == EVIL


@pytest.mark.parametrize("verb", ["status", "trials"])
def test_a_reader_that_leaves_is_no_error(toy, verb):
    process = subprocess.Popen(
        [sys.executable, "-c", "from bo_shaping.cli import main; main()", verb, str(toy.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")


def test_trials_can_be_filtered_and_read_by_programs(bo_shaping, toy):
    code, out, _ = bo_shaping("trials", "toy")
    assert code == 0
    assert out.splitlines()[1].split()[:3] == ["0", "completed", "design"]
    failed = json.loads(bo_shaping("trials", "toy", "--status", "failed", "--json")[1])
    assert [trial["index"] for trial in failed] == [1]
    assert failed[0]["reason"] == EVIL
    assert bo_shaping("trials", "toy", "--status", "stopped")[1] == "No trial is stopped.\n"
    code, _, err = bo_shaping("trials", "toy", "--status", "broken")
    assert code == 2
    assert "'interrupted'" in err


def test_logs_are_printed_line_by_line_and_nothing_in_them_is_obeyed(bo_shaping, toy):
    assert bo_shaping("logs", "toy", 1)[:2] == (0, f"line one\n{EVIL_SHOWN}\n")
    code, out, err = bo_shaping("logs", "toy", 0)
    assert (code, out) == (0, "")
    assert "Trial 0 has printed nothing" in err
    assert bo_shaping("logs", "toy", 7)[0] == 2


def test_watch_ends_with_the_study(bo_shaping, toy):
    code, out, _ = bo_shaping("watch", "toy")
    assert code == 0
    assert out.splitlines()[-1].startswith("toy: 1 completed")


def test_errors_cannot_paint_the_terminal_either(bo_shaping, studies):
    code, _, err = bo_shaping("status", "no\x1b[2Jsuch")
    assert code == 2
    assert "\\x1b[2J" in err
    assert "\x1b" not in err


def test_best_says_whether_anybody_ran_it(bo_shaping, finished):
    best = finished.best()
    nearest = finished.folder.records()[best.nearest_trial]
    ran_it = nearest.weights == best.weights and nearest.parameters == best.parameters
    code, out, _ = bo_shaping("best", "closed")
    assert code == 0
    words = "ran these very weights: reward" if ran_it else "none ran these very weights, the nearest is trial"
    assert words in out
    assert f"reward {nearest.mean:.3f} ± 0.100, KL {nearest.kl:.2f}" in out


def test_the_report_verb_prints_where_the_page_is(bo_shaping, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "bo_shaping.views.report.write_report", lambda study, folder, figures: folder / f"{study.name}.html"
    )
    assert bo_shaping("report", "closed", "-o", tmp_path)[1].strip() == str(tmp_path / "closed.html")
    assert json.loads(bo_shaping("report", "closed", "-o", tmp_path, "--json")[1]) == {
        "report": str(tmp_path / "closed.html")
    }


def test_the_report_verb_passes_on_where_figures_go(bo_shaping, finished, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("bo_shaping.views.report.write_report", lambda *arguments: seen.append(arguments[1:]) or "page")
    bo_shaping("report", "closed", "--figures", tmp_path / "pictures")
    assert seen == [(None, tmp_path / "pictures")]


def test_reading_verbs_need_neither_ax_nor_torch(finished):
    finished.best()
    verbs = ["status", "watch", "trials", "best", "best --posterior", "logs closed 0", "export", "export --format json"]
    script = (
        "import sys\nfrom bo_shaping import cli\n"
        f"for verb in {verbs!r}:\n"
        "    words = verb.split()\n"
        "    words = words if 'closed' in words else [words[0], 'closed', *words[1:]]\n"
        "    sys.argv = ['bo-shaping', *words]\n"
        "    try:\n        cli.main()\n    except SystemExit as ended:\n        assert not ended.code, words\n"
        "print([name for name in ('ax', 'torch', 'pandas', 'botorch', 'matplotlib') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_is_cheap():
    script = "import sys, bo_shaping; print([name for name in ('ax', 'torch', 'pandas') if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_a_study_in_python_is_silent_and_leaves_other_peoples_logging_alone(make_config, tmp_path):
    config = make_config(budget={"trials": 1})
    (tmp_path / "study.yaml").write_text(config.to_yaml())
    script = (
        "import logging\nlogging.basicConfig(level=logging.INFO)\n"
        "from bo_shaping import Study, StudyConfig\n"
        f"study = Study.launch(StudyConfig.from_yaml({str(tmp_path / 'study.yaml')!r}))\n"
        "study.run()\n"
        "logging.getLogger('mine').info('heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == "INFO:mine:heard\n"

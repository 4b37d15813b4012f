import sys

import pytest

from experiments.benchmarks.ppo.contenders import Contender, ContenderError, check_trl

WORKER = """
import itertools
from experiments.benchmarks.ppo.contenders import serve
print("something else")
steps = itertools.count(1)
ticks = itertools.count()
serve(lambda: 10.0 * next(steps), lambda: (float(next(ticks)), 5.0), lambda: 77.0)
"""


def test_a_worker_steps_when_told_to_and_adds_up_what_it_did(tmp_path):
    with Contender([sys.executable, "-c", WORKER], tmp_path / "log") as contender:
        assert contender.ready == {}
        assert contender.step(2) == {"cpu_seconds": 1.0, "wall_seconds": 0.0, "tokens": 30.0}
        contender.send()
        assert contender.record()["tokens"] == 30.0
        assert contender.finish() == {"peak_mb": 77.0}


def test_a_worker_that_fails_is_an_error_with_its_last_words(tmp_path):
    with pytest.raises(ContenderError, match=r"code 1:\n(?s:.*)no such luck"):
        Contender([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log")


def test_a_python_with_another_trl_is_refused(tmp_path):
    pretended = tmp_path / "python"
    pretended.write_text("#!/bin/sh\necho 1.16.0\n")
    pretended.chmod(0o755)
    with pytest.raises(ContenderError, match=r"has trl 1\.16\.0 installed, and the bars are against 1\.9\.2"):
        check_trl(str(pretended))
    with pytest.raises(ContenderError, match="cannot be started"):
        check_trl(str(tmp_path / "nothing"))

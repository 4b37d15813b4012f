"""Slurm's own part, through submitit: stand-ins for its commands run the jobs as processes of this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bo_shaping.errors import ConfigError, ExecutorError
from bo_shaping.executors import make_executor, slurm
from bo_shaping.storage.study_folder import StudyFolder
from tests.bo_shaping.executors.conftest import hold, let_go, starts, wait_for

COMMANDS = {
    "sbatch": """cp "$1" "$(dirname "$0")/submitted.sh"
( echo $BASHPID >"$(dirname "$0")/id"; export SLURM_JOB_ID=$BASHPID SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0
  export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NODELIST=here; exec setsid bash "$1" ) >/dev/null 2>&1 &
echo "Submitted batch job $!\"""",
    "srun": """while [ "${1#-}" != "$1" ]; do case "$1" in --*=*|--unbuffered) shift;; *) shift 2;; esac; done
exec "$@\"""",
    "sacct": """echo "JobID|State|NodeList"
while [ $# -gt 0 ]; do if [ "$1" = -j ]; then
  if [ -d "/proc/$2" ]; then echo "$2|RUNNING|here"; elif [ -e "$(dirname "$0")/cancelled" ]
  then echo "$2|CANCELLED by 0|here"; else echo "$2|COMPLETED|here"; fi; fi; shift; done""",
    "scancel": 'touch "$(dirname "$0")/cancelled"; kill -9 -- "-$1"',
}


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    if not Path("/proc/self").exists():
        pytest.skip("the stand-ins read /proc")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "ASK_SECONDS", 0.2)
    return folder


@pytest.fixture
def make(make_config, tmp_path):
    def make(options=None, **settings):
        config = make_config(executor="slurm", workers={"options": options or {}, "gpus_per_trial": 2}, **settings)
        return make_executor(config, StudyFolder(tmp_path / "study"))

    return make


def test_a_job_asks_for_what_the_study_says_and_a_new_driver_finds_it(bin_folder, make, make_trial):
    executor = make({"slurm_partition": "short"}, threads_per_trial=3, budget={"trial_seconds": 5400})
    folder = make_trial()
    hold(folder)
    executor.start(folder)
    assert executor.state(folder) == "running"
    wait_for(lambda: starts(folder))
    asked = (bin_folder / "submitted.sh").read_text()
    for line in ("--partition=short", "--cpus-per-task=3", "--gpus-per-node=2", "--time=90", "--job-name=bo-shaping"):
        assert f"#SBATCH {line}\n" in asked
    other = make()
    other.start(folder)
    assert other.state(folder) == "running"
    let_go(folder)
    wait_for(lambda: other.state(folder) == "finished")
    assert len(starts(folder)) == 1


def test_a_job_that_is_cancelled_is_dead_with_what_slurm_says(bin_folder, make, make_trial):
    executor, folder = make(), make_trial()
    hold(folder)
    executor.start(folder)
    wait_for(lambda: starts(folder))
    subprocess.run(["scancel", slurm._job(folder).id], check=True)  # by the user, say
    wait_for(lambda: executor.state(folder) == "dead")
    assert "is CANCELLED" in executor.reason(folder)
    executor.start(folder)
    wait_for(lambda: len(starts(folder)) == 2)
    executor.stop(folder)
    assert executor.state(folder) == "dead"
    assert not folder.is_locked()


def test_a_job_that_slurm_refuses_and_options_that_nobody_knows_are_said(bin_folder, make, make_trial):
    with pytest.raises(ConfigError, match="unknown key 'slurm_partitio', did you mean 'slurm_partition'"):
        make({"slurm_partitio": "short"})
    with pytest.raises(ConfigError, match=r"workers.options.timeout_min: 'an hour' .* write a whole number"):
        make({"timeout_min": "an hour"})
    with pytest.raises(ConfigError, match=r"workers.options.cluster: 'here' does not exist; write local"):
        make({"cluster": "here"})
    (bin_folder / "sbatch").write_text("#!/bin/bash\necho 'invalid partition' >&2; exit 1\n")
    with pytest.raises(ExecutorError, match=r"Slurm did not take the job of .*invalid partition"):
        make().start(make_trial())


def test_a_machine_without_slurm_and_a_missing_extra_are_said(make, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    with pytest.raises(ExecutorError, match="executor: slurm cannot be used on this machine"):
        make()
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "bo_shaping.executors.slurm")
    with pytest.raises(ExecutorError, match=r"pip install 'bo-shaping\[slurm\]'"):
        make()

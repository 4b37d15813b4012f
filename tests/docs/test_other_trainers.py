"""The recipe of docs/other-trainers.md: a study whose trainings are jobs of a cluster, here of a stand-in for it."""

import stat
import sys
from pathlib import Path

import yaml

from bo_shaping import Study, StudyConfig
from bo_shaping.storage.study_folder import ROOT_VARIABLE
from tests.docs.test_snippets import REPOSITORY, blocks

PAGE = REPOSITORY / "docs" / "other-trainers.md"

SBATCH = """#!{python}
import json, sys
wait, script, shaping, gae_lambda, measured = sys.argv[1:]
assert (wait, script) == ("--wait", "train.sh")
weights = json.load(open(shaping + "/shaping.json"))["weights"]
assert 0.5 <= float(gae_lambda) <= 1.0
if shaping == "shaping-1":
    sys.exit(3)
with open(measured, "w") as file:
    for reward in (0.0, weights["shap"]):
        data = {{"actor/lr": 1.0, "val-core/prompts/reward/mean@1": reward}}
        print(json.dumps({{"step": 1, "data": data}}), file=file)
"""


def test_the_recipe_tells_the_study_what_the_jobs_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(SBATCH.format(python=sys.executable))
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{Path('/usr/bin')}:{Path('/bin')}")
    [config] = [code for _, code in blocks(PAGE, "yaml") if "search_space" in code]
    [recipe] = [code for _, code in blocks(PAGE, "python") if "def train(" in code]
    study = Study.launch(StudyConfig.model_validate({"name": "mine", **yaml.safe_load(config)}))
    names = {}
    exec(recipe, names)  # noqa: S102
    names["run"](study, 3)
    first, second, third = map(study.trial, range(3))
    assert [trial.mean for trial in (first, third)] == [trial.weights["shap"] for trial in (first, third)]
    assert (second.status, second.reason) == ("failed", "the job ended with 3")

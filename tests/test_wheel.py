"""What a person gets who installs the wheel and has no repository."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SHIPPED = [
    "bo_shaping/py.typed",
    "bo_shaping/cli/templates/quickstart.yaml",
    "bo_shaping/cli/templates/mine.yaml",
    "bo_shaping/cli/templates/sentiment-smollm2.yaml",
    "bo_shaping/dashboard/static/dashboard.css",
    "bo_shaping/dashboard/static/dashboard.js",
    "bo_shaping/dashboard/static/icon.svg",
    "bo_shaping/views/report/page.html",
    "inner_loop/py.typed",
    "inner_loop/embedded/policy/model.safetensors",
    "inner_loop/embedded/policy/tokenizer.json",
    "inner_loop/embedded/reward_model/model.safetensors",
    "inner_loop/embedded/prompts/validation.jsonl",
    "inner_loop/presets/embedded-shapley/shaping.json",
    "inner_loop/presets/embedded-wide/README.md",
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_the_wheel_holds_models_templates_and_types(built):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert set(SHIPPED) <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bo_shaping", "inner_loop"}


def test_the_sdist_holds_what_the_wheel_is_made_of_and_no_work_of_ours(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(SHIPPED) <= names
    assert {"README.md", "LICENSE", "Makefile", "constraints.txt", "tests/test_wheel.py"} <= names
    assert not {name for name in names if name.split("/")[0] in {".venv", "models", "studies", "site"}}


def test_a_study_runs_from_the_wheel_alone(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    site, here = tmp_path / "site", tmp_path / "empty"
    here.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BO_SHAPING")}
    environment |= {"PYTHONPATH": str(site)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # The checkout is installed too, and must not be what runs.
    assert str(site) in run("-c", "import bo_shaping, inner_loop; print(bo_shaping.__file__, inner_loop.__file__)")
    run("-m", "bo_shaping.cli", "init")
    quick = ["ppo.steps=1", "ppo.rollout_size=4", "ppo.minibatch_size=4", "evaluation.n_prompts=4", "budget.trials=1"]
    settings = [word for setting in [*quick, "budget.replicate_last=0"] for word in ("--set", setting)]
    run("-m", "bo_shaping.cli", "launch", "study.yaml", *settings)
    assert "1 completed" in run("-m", "bo_shaping.cli", "status", "study")

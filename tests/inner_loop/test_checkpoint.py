import os

import pytest
import torch

from inner_loop.checkpoint import CheckpointFolder, TrialState
from inner_loop.spec import CurvePoint, StepStats, TrialSpec
from tests.bo_shaping.closed_form import result_of

SPEC = TrialSpec(weights={"sparse": 1.0})
OTHER = TrialSpec(weights={"sparse": 1.0}, seed=1)
TENSORS = {"weight": torch.randn(3, 4), "generator": torch.Generator().get_state(), "half": torch.ones(2).bfloat16()}
STATE = TrialState(
    spec=SPEC,
    curve=[CurvePoint(step=0, mean=0.1 + 0.2, sem=0.1, kl=1e-30, kl_k3=0, entropy=1, length=2, distinct_2=1)],
    steps=[
        StepStats(
            score=1 / 3, kl=0, policy_loss=0, value_loss=0, clip_fraction=0, grad_norm=1, length=2, n_evaluations=1
        )
    ],
    seconds={"update": 0.7},
    numbers={"kl_coef": 0.05},
    prompt_queue=[3, 1],
)


@pytest.fixture
def folder(tmp_path):
    folder = CheckpointFolder(tmp_path / "new", SPEC)
    folder.save(STATE, TENSORS)
    return folder


def test_a_checkpoint_comes_back_exactly(folder):
    state, tensors = folder.load()
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    assert all(tensors[name].dtype == TENSORS[name].dtype for name in TENSORS)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_can_be_read_by_whom_the_umask_lets(tmp_path, umask):
    before = os.umask(umask)
    try:
        CheckpointFolder(tmp_path, SPEC).save(STATE, TENSORS)
    finally:
        os.umask(before)
    assert (tmp_path / "checkpoint.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


def test_nothing_there_is_no_checkpoint_and_no_result(tmp_path):
    folder = CheckpointFolder(tmp_path / "none", SPEC)
    assert (folder.load(), folder.result()) == (None, None)


def test_another_specs_files_are_not_there(folder):
    folder.finish(result_of(SPEC, 1.0))
    folder.save(STATE, TENSORS)
    other = CheckpointFolder(folder.path, OTHER)
    assert (other.load(), other.result()) == (None, None)
    assert folder.result() == result_of(SPEC, 1.0)


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 64])
def test_damaged_files_are_not_there(folder, content):
    (folder.path / "checkpoint.safetensors").write_bytes(content)
    (folder.path / "result.json").write_bytes(content)
    assert (folder.load(), folder.result()) == (None, None)


def test_a_crash_while_writing_leaves_the_old_checkpoint(folder, monkeypatch):
    def crash(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="no space"):
        folder.save(STATE.model_copy(update={"prompt_queue": []}), TENSORS)
    assert folder.load()[0] == STATE
    assert [file.name for file in folder.path.iterdir()] == ["checkpoint.safetensors"]


def test_the_end_removes_the_checkpoint(folder):
    folder.finish(result_of(SPEC, 1.0))
    assert [file.name for file in folder.path.iterdir()] == ["result.json"]

"""What a trial leaves in its folder, so that a trial that was killed continues, and one that is done stays done.

checkpoint.safetensors   while it trains: weights, optimizer and generator as tensors; the rest as JSON in the metadata
result.json              once it is done

Nothing is pickled, and a file is replaced in one step: a reader, or a crash, sees the old one or the new one.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from inner_loop.io.atomic_file import replacing
from inner_loop.io.schema import StrictModel
from inner_loop.spec import CurvePoint, ExplainedResponse, StepStats, TrialResult, TrialSpec

METADATA_KEY = "trial"
"""Where the JSON stands in the metadata of the safetensors file."""


class TrialState(StrictModel):
    """Where a trial stands, apart from its tensors."""

    spec: TrialSpec
    """A checkpoint is of no use to a trial with another one."""
    curve: list[CurvePoint]
    steps: list[StepStats]
    seconds: dict[str, float]
    numbers: dict[str, float]
    """The trainer's: see `PPOTrainer.numbers`."""
    prompt_queue: list[int]
    """Training prompts still to come before all have been drawn once more."""
    before: list[ExplainedResponse] = Field(default_factory=list)
    """As `TrialResult.before`."""


class _Finished(StrictModel):
    """Content of result.json."""

    spec: TrialSpec
    result: TrialResult


@dataclass(frozen=True)
class CheckpointFolder:
    """The folder of one trial. What belongs to another spec, or is damaged, counts as not there."""

    path: Path
    spec: TrialSpec

    def save(self, state: TrialState, tensors: dict[str, Tensor]) -> None:
        """Replace the checkpoint."""
        with replacing(self._checkpoint) as temporary:
            metadata = {METADATA_KEY: state.model_dump_json()}
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)

    def load(self) -> tuple[TrialState, dict[str, Tensor]] | None:
        """The checkpoint, tensors on the CPU, or None."""
        try:
            with safe_open(self._checkpoint, framework="pt") as file:
                state = TrialState.model_validate_json((file.metadata() or {}).get(METADATA_KEY, ""))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError, ValidationError):
            return None
        return (state, tensors) if state.spec == self.spec else None

    def finish(self, result: TrialResult) -> None:
        """Keep the result, and drop the checkpoint."""
        with replacing(self._result) as temporary:
            temporary.write_text(_Finished(spec=self.spec, result=result).model_dump_json(), encoding="utf-8")
        self._checkpoint.unlink(missing_ok=True)

    def result(self) -> TrialResult | None:
        """The result, if the trial is done."""
        try:
            finished = _Finished.model_validate_json(self._result.read_bytes())
        except (OSError, ValidationError):
            return None
        return finished.result if finished.spec == self.spec else None

    @property
    def _checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def _result(self) -> Path:
        return self.path / "result.json"

"""What a trial has measured by the time of a checkpoint of TRL's, kept beside it."""

from pathlib import Path
from typing import Self

from pydantic import ValidationError

from inner_loop.io.atomic_file import replacing
from inner_loop.io.schema import StrictModel
from inner_loop.spec import CurvePoint, StepStats, TrialSpec

FILE = "trial.json"


class MeasuredSoFar(StrictModel):
    """Curve, steps and seconds up to the last whole checkpoint of TRL's."""

    spec: TrialSpec
    options: str
    """Those and the kind of advantage, as text: they may be anything."""
    checkpoint: str
    """Name of the folder of TRL's."""
    curve: list[CurvePoint]
    steps: list[StepStats]
    seconds: dict[str, float]

    @classmethod
    def read(cls, place: Path, spec: TrialSpec, options: str) -> Self | None:
        """What was measured of this very trial; None where there is no whole checkpoint of it."""
        try:
            saved = cls.model_validate_json((place / FILE).read_bytes())
        except (OSError, ValidationError):
            return None
        is_ours = saved.spec == spec and saved.options == options
        return saved if is_ours and (place / saved.checkpoint).is_dir() else None

    def write(self, place: Path) -> None:
        """Keep it, in the folder of TRL's checkpoints; what was there is replaced at once."""
        with replacing(place / FILE) as temporary:
            temporary.write_text(self.model_dump_json(), encoding="utf-8")

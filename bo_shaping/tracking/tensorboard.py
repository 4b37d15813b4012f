"""TensorBoard: event files in the study's folder, `tensorboard --logdir studies` shows them."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from bo_shaping.config.trackers import Options
from bo_shaping.tracking.credit import credit_markdown
from bo_shaping.tracking.lines import END, Line
from bo_shaping.tracking.tracker import RunHead

EVERYTHING = {"scalars": 0, "tensors": 0}
TEXT_SUFFIX = "/text_summary"
"""What the library puts behind the name of a text."""


class TensorBoard:
    """Runs as folders of event files, each with hyperparameters; options are those of `SummaryWriter`."""

    is_live = True
    is_readable = True

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._options = options

    def open(self, head: RunHead) -> "TensorBoardRun":
        """Begin a run, or go on with it in a further file."""
        return TensorBoardRun(self._folder / head.name, head, self._options)


class TensorBoardRun:
    """The event files of one trial."""

    def __init__(self, folder: Path, head: RunHead, options: Options) -> None:
        self._seen = _seen(folder)
        self._writer = SummaryWriter(str(folder), **options)
        if self._seen is None:
            # Not `add_hparams`, which makes a second run for them.
            for summary in hparams(dict(head.config), {f"{END}/reward": None, f"{END}/kl": None}):
                self._writer._get_file_writer().add_summary(summary)

    def last_steps(self) -> dict[str, int]:
        """The last step of each group in the files."""
        return self._seen or {}

    def write(self, line: Line) -> None:
        """Add numbers as scalars, the rest as text."""
        for name, value in line.values.items():
            self._writer.add_scalar(name, value, line.step)
        for name, text in line.texts.items():
            self._writer.add_text(f"{line.group}/{name}", text, line.step)
        if line.credit is not None:
            self._writer.add_text(f"{line.group}/tokens", credit_markdown(line.credit), line.step)

    def flush(self) -> None:
        """Write to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _seen(folder: Path) -> dict[str, int] | None:
    """The last step of each group in the event files of a folder; None if there are none."""
    if not any(folder.glob("events.out.tfevents.*")):
        return None
    reader = EventAccumulator(str(folder), size_guidance=EVERYTHING)
    reader.Reload()
    tags = reader.Tags()
    last: dict[str, int] = {}
    for kind, read in (("scalars", reader.Scalars), ("tensors", reader.Tensors)):
        for tag in tags[kind]:
            group = tag.removesuffix(TEXT_SUFFIX).rpartition("/")[0]
            last[group] = max(last.get(group, -1), *(event.step for event in read(tag)))
    return last

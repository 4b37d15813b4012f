"""Files that a person names on the command line."""

from pathlib import Path

from bo_shaping.errors import OutputError
from inner_loop.io.atomic_file import write_atomically


def write_output(path: Path, text: str) -> None:
    """Write text where somebody asked for it: through links, into pipes and devices, a plain file in one step.

    Raises:
        OutputError: If it cannot be written there.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise OutputError(f"There is no folder {target.parent}; create it first.")
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            write_atomically(target, text)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from None

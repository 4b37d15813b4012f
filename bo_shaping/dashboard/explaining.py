"""Questions to a reward model: who asks, what is allowed, and the one process that answers."""

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from bo_shaping.config.explain_choices import METHODS, MIN_BUDGET, UNITS
from bo_shaping.errors import ExplainInputError

MOST_CHARACTERS = {"prompt": 4_000, "response": 6_000}
MOST_BUDGET = 1_024
MOST_METHODS = 4
PATIENCE_SECONDS = 120.0
"""How long a question may take, the loading of the model included."""
WAIT_SECONDS = 3.0
"""How long a question waits for the one before it."""


@dataclass(frozen=True)
class Question:
    """What is to be explained, and how."""

    prompt: str = ""
    response: str = ""
    methods: tuple[str, ...] = ("shapley",)
    units: str = "auto"
    budget: int = 64
    reward_model: str = "embedded"
    scoring: dict[str, Any] = field(default_factory=dict)
    """How the reward model reads a response, as `task` of a configuration says."""

    def check(self) -> None:
        """Raise `ExplainInputError` about the first thing that cannot be asked."""
        if not self.response.strip():
            raise ExplainInputError("Write a response: it is what is explained.")
        for name, most in MOST_CHARACTERS.items():
            if len(text := getattr(self, name)) > most:
                raise ExplainInputError(f"The {name} has {len(text)} characters; at most {most} are taken.")
        if not self.methods:
            raise ExplainInputError("Choose a method.")
        if len(self.methods) > MOST_METHODS:
            raise ExplainInputError(f"Choose at most {MOST_METHODS} methods at a time.")
        for method in self.methods:
            if method not in METHODS:
                raise ExplainInputError(f"There is no method of that name; there are {', '.join(METHODS)}.")
        if self.units not in UNITS:
            raise ExplainInputError(f"There are no such units; there are {', '.join(UNITS)}.")
        if not MIN_BUDGET <= self.budget <= MOST_BUDGET:
            raise ExplainInputError(f"The budget must be between {MIN_BUDGET} and {MOST_BUDGET} evaluations.")


class ExplainingProcess:
    """The one process that answers; started at the first question, ended when it takes too long."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._patience = patience
        self._busy = threading.Lock()

    def ask(self, question: Question) -> Mapping[str, str]:
        """HTML of our credit (`ours`) and of shap's own plot (`shap`).

        Raises:
            ExplainInputError: If the question is not allowed, another one is being answered, or it takes too long.
        """
        question.check()
        if not self._busy.acquire(timeout=WAIT_SECONDS):
            raise ExplainInputError("Another text is being explained; one is at a time. Ask again in a moment.")
        try:
            answer = self._ask(json.dumps(asdict(question)).encode() + b"\n")
        finally:
            self._busy.release()
        if "error" in answer:
            raise ExplainInputError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _ask(self, line: bytes) -> Mapping[str, str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bo_shaping.dashboard.explaining_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise ExplainInputError("The process that explains could not be started.")
        answer = None
        try:
            process.stdin.write(line)
            process.stdin.flush()
            # The answer is one line, written at once.
            ready, _, _ = select.select([process.stdout], [], [], self._patience)
            if ready:
                answer = json.loads(process.stdout.readline() or b"null")
        except (BrokenPipeError, json.JSONDecodeError):
            ready = [process.stdout]
        if not ready:
            self.close()
            raise ExplainInputError(
                f"This took more than {self._patience:.0f} seconds and was ended; take a shorter text or less budget."
            )
        if not isinstance(answer, dict):
            self.close()
            raise ExplainInputError("The process that explains has ended; is the model too large for this machine?")
        return answer

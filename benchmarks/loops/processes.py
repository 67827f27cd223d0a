"""Contestants as processes that take turns, with the environment that a user's shell has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from types import MappingProxyType, TracebackType
from typing import Any

from benchmarks.loops.loop import Loop

ROOT = Path(__file__).parents[2]
TIMEOUT = 180.0  # seconds that an answer may take
# Whatever sets threads, pools or instruction sets, or leads to other installations.
NOT_DEFAULT = (
    *("OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_", "BLIS_", "VECLIB_", "NUMEXPR_", "GRADSTEP_"),
    *("PYTHONPATH", "LD_PRELOAD"),
)
ONE_BLAS_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that change a default."""
    return {name: value for name, value in given.items() if not name.startswith(NOT_DEFAULT)}


class Process:
    """A contestant in a process of its own; `left_out` says why it cannot take part.

    `added` goes into its environment. Used in a ``with`` statement it ends with it.
    """

    def __init__(
        self,
        loop: Loop,
        contestant: str,
        wheel: Path | None = None,
        added: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = f"{contestant} in {loop}"
        self._errors = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.loops", str(loop), contestant),
                *(["--wheel", str(wheel)] if wheel else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env={**environment(os.environ), **added},
        )
        hello = self._answer()
        self.left_out: str | None = hello.get("left_out")
        self.loss: float | None = hello.get("loss")

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let it end; nothing where it has ended."""
        if not self._errors.closed:
            self._process.communicate()
            self._errors.close()

    def begin(self, seconds: float) -> None:
        """Let a turn begin; `seconds_per_step` waits for its end."""
        assert self._process.stdin
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def seconds_per_step(self) -> float:
        return float(self._answer()["seconds"])

    def turn(self, seconds: float) -> float:
        """Seconds per step in a turn that lasts so many seconds."""
        self.begin(seconds)
        return self.seconds_per_step()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        late = Timer(TIMEOUT, self._process.kill)
        late.start()
        line = self._process.stdout.readline()
        late.cancel()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read()
            self.close()
            raise RuntimeError(
                f"{self.name} ended with {code}, expected an answer within {TIMEOUT:.0f} s\n{said}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

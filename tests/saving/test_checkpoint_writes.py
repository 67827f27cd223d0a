"""Writing a checkpoint that fails, or is killed, leaves a whole file."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import everything
from tests.saving.checkpoint_run import Run

pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good"
    Run().save(path)
    return path


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod", "limit", "interrupt"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    step: str, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = good.read_bytes()

    def fail(*args: Any) -> None:
        if step == "interrupt":
            raise KeyboardInterrupt
        raise OSError(errno.EIO, "it broke")

    with monkeypatch.context() as patch:
        if step == "limit":
            patch.setattr("builtins.open", half_written)
        else:
            patch.setattr(os, {"interrupt": "fsync"}.get(step, step), fail)
        with pytest.raises(KeyboardInterrupt if step == "interrupt" else OSError):
            Run(2.0).save(good)
        new = good.with_name("new")
        if step != "chmod":
            with pytest.raises(KeyboardInterrupt if step == "interrupt" else OSError):
                Run(2.0).save(new)
    assert good.read_bytes() == old
    assert [p.name for p in good.parent.iterdir()] == ["good"]
    run = Run(2.0)
    run.save(good)
    assert good.read_bytes() != old


def half_written(*args: Any, **kwargs: Any) -> Any:
    """A file on a disk that is full after a hundred bytes."""
    file = open_as_always(*args, **kwargs)

    class Full:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: Any) -> None:
            file.close()

        def write(self, data: bytes) -> None:
            file.write(data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    return Full()


open_as_always = open


@pytest.mark.skipif(os.name != "posix", reason="folders are synchronised on POSIX only")
def test_a_folder_that_cannot_be_synchronised(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the new one, whole; an error of the disk is passed on."""
    new = good.with_name("expected")
    Run(2.0).save(new)
    sync = os.fsync
    for number in (errno.EINVAL, errno.EIO):

        def fsync(descriptor: int, number: int = number) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, "it broke")
            sync(descriptor)

        Run().save(good)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            if number == errno.EIO:
                with pytest.raises(OSError, match="it broke"):
                    Run(2.0).save(good)
            else:
                Run(2.0).save(good)
        assert good.read_bytes() == new.read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    before = os.umask(0o027)
    try:
        Run().save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        link.symlink_to("file")
        Run(2.0).save(link)
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    run = Run()
    run.load(path)
    np.testing.assert_array_equal(run.params["w"], Run(2.0).params["w"])
    link.unlink()
    link.symlink_to("another")
    Run().save(link)
    assert (tmp_path / "another").is_file()


SAVING = """
import sys, itertools, numpy as np, gradstep as gs
params = {"w": np.zeros(20_000), "b": np.zeros((10, 10))}
opt = gs.Adam(params, ema_decay=0.5)
scaler = gs.LossScaler()
for i in itertools.count():
    slots = [slot for of_one in opt.state.values() for slot in of_one.values()]
    for array in (*params.values(), *opt.ema.values(), *slots):
        array[...] = i % 2
    scaler.scale = 1.0 + i % 2
    gs.save(sys.argv[1], opt, scaler=scaler)
    print(i, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_killed_process_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "run"
    opt = gs.Adam({"w": np.zeros(20_000), "b": np.zeros((10, 10))}, ema_decay=0.5)
    scaler = gs.LossScaler(init_scale=1.0)
    gs.save(path, opt, scaler=scaler)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SAVING, path], stdout=subprocess.PIPE
        )
        with child:
            assert child.stdout is not None
            for _ in range(rng.integers(1, 5)):
                child.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.01))
            child.send_signal(signal.SIGKILL)
        gs.load(path, opt, scaler=scaler)
        (value,) = {float(v) for array in everything(opt).values() for v in np.unique(array)}
        assert scaler.scale == 1.0 + value
        seen.add(value)
    assert seen == {0.0, 1.0}
    others = [file.name for file in tmp_path.iterdir() if file != path]
    assert all(name.startswith(".gradstep-") and name.endswith(".tmp") for name in others)

"""Which loops are measured: a selection, or everything."""

from __future__ import annotations

from benchmarks.loops.loop import Kind, Loop
from benchmarks.loops.numpy_mlp import BesideTorch, NumpyMLP
from benchmarks.loops.sb3_ppo import PPO
from benchmarks.loops.sklearn_mlp import SklearnMLP
from benchmarks.loops.torch_mlp import TorchMLP
from benchmarks.loops.whole import WHOLE

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (NumpyMLP(), BesideTorch(), SklearnMLP(), TorchMLP(), PPO(), *WHOLE)
}

DIGITS, SQUARE, MNIST, WIDE = NUMPY_WIDTHS = (
    (64, 64, 10),
    (256, 256, 256, 10),
    (784, 256, 128, 10),
    (784, 512, 512, 10),
)


def default_loops() -> list[Loop]:
    """A few of each library."""
    return [
        Loop("NumPy", DIGITS, 64, "float64"),
        Loop("NumPy", SQUARE, 64, "float32"),
        Loop("NumPy", MNIST, 64, "float32"),
        Loop("NumPy", WIDE, 64, "float64"),
        Loop("NumPy beside torch", SQUARE, 64, "float32"),
        Loop("scikit-learn", MNIST, 200, "float32"),  # the batch that it takes by itself
        Loop("torch", (8, 64, 64, 4), 32),
        Loop("torch", MNIST, 64),
        Loop("torch", (64,) * 41, 32),
        Loop("stable-baselines3 PPO", (4, 64, 64, 2), 64),
    ]


def every_loop() -> list[Loop]:
    """NumPy's in both dtypes and two batches, too."""
    loops = default_loops()
    loops += [
        Loop("NumPy", widths, batch, dtype)
        for widths in NUMPY_WIDTHS
        for batch in (64, 256)
        for dtype in ("float32", "float64")
    ]
    loops.append(Loop("scikit-learn", MNIST, 200, "float64"))
    order = list(KINDS)
    return sorted(dict.fromkeys(loops), key=lambda loop: order.index(loop.kind))


def two_at_once() -> list[Loop]:
    """Loops that two processes run at the same time."""
    return [loop for loop in default_loops() if loop.kind == "NumPy"]


def whole_loops() -> list[Loop]:
    """With optimizers that depend on whole tensors, wrappers and L-BFGS."""
    return [
        Loop(kind.name, widths, batch)
        for kind in WHOLE
        for widths, batch in ((MNIST, 64), ((64,) * 41, 32))
    ]

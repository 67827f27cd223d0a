"""Checkpoints of what is stored in fewer bits: each format under its own name, and back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

ml_dtypes = pytest.importorskip("ml_dtypes")
safetensors = pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")

SIZE = 5000  # enough for 8 bits
STORAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "nearest": ("bfloat16", {"state_dtype": "bfloat16"}),
    "stochastic": ("bfloat16", {"rounding": "stochastic", "seed": 7}),
    "kahan": ("bfloat16", {"rounding": "kahan", "state_dtype": "8bit"}),
    "split": ("bfloat16", {"rounding": "split", "ema_decay": 0.9, "ema_dtype": "bfloat16"}),
    "float16 kahan": ("float16", {"rounding": "kahan", "ema_decay": 0.9, "ema_dtype": "float16"}),
    "float32": ("float32", {"state_dtype": "8bit", "ema_decay": 0.9, "ema_dtype": "bfloat16"}),
}


def made(storage: str, value: float = 1.0, **changes: Any) -> gs.AdamW:
    dtype, options = STORAGES[storage]
    rng = np.random.default_rng(0)
    params = {
        "w": np.asfortranarray((value * rng.normal(size=(SIZE // 50, 50))).astype(dtype)),
        "b": (value * rng.normal(size=3)).astype(dtype),
    }
    return gs.AdamW(params, lr=1e-3, **{**options, **changes})


def trained(opt: gs.AdamW, first: int, last: int) -> gs.AdamW:
    for step in range(first, last):
        rng = np.random.default_rng(step)
        params = opt.params.items()
        opt.step({name: rng.normal(size=p.shape).astype(p.dtype) for name, p in params})
    return opt


def dtypes_in(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    del header["__metadata__"]
    return {name: entry["dtype"] for name, entry in header.items()}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.usefixtures("backend")
def test_training_continues_bit_for_bit(storage: str, tmp_path: Path) -> None:
    straight = trained(made(storage), 0, 3)
    gs.save(tmp_path / "run", straight)
    resumed = trained(made(storage, 2.0), 0, 1)
    live = {name: dict(of_one) for name, of_one in resumed.state.items()}
    gs.load(tmp_path / "run", resumed)
    assert_same_bits(everything(resumed), everything(straight))
    for name, of_one in live.items():
        assert all(resumed.state[name][key] is array for key, array in of_one.items())
    assert_same_bits(everything(trained(resumed, 3, 5)), everything(trained(straight, 3, 5)))


def test_each_array_is_under_the_name_of_its_format(tmp_path: Path) -> None:
    found = {}
    for storage in STORAGES:
        gs.save(tmp_path / "run", trained(made(storage), 0, 1))
        found[storage] = {
            name.removeprefix("optimizer/"): dtype
            for name, dtype in dtypes_in(tmp_path / "run").items()
            if name.endswith(("w", "/w/exp_avg", "scale", "bits", "compensation"))
        }
    assert found == {
        "nearest": {"params/w": "BF16", "state/w/exp_avg": "BF16"},
        "stochastic": {"params/w": "BF16", "state/w/exp_avg": "F32"},
        "kahan": {
            "params/w": "BF16",
            "state/w/exp_avg": "U8",
            "state/w/exp_avg_scale": "F32",
            "state/w/exp_avg_sq_scale": "F32",
            "state/w/compensation": "BF16",
            "state/b/compensation": "BF16",
        },
        "split": {
            "params/w": "BF16",
            "state/w/exp_avg": "F32",
            "state/w/trailing_bits": "U16",
            "state/b/trailing_bits": "U16",
            "ema/w": "BF16",
        },
        "float16 kahan": {
            "params/w": "F16",
            "state/w/exp_avg": "F32",
            "state/w/compensation": "F16",
            "state/b/compensation": "F16",
            "ema/w": "F16",
        },
        "float32": {
            "params/w": "F32",
            "state/w/exp_avg": "U8",
            "state/w/exp_avg_scale": "F32",
            "state/w/exp_avg_sq_scale": "F32",
            "ema/w": "BF16",
        },
    }
    with safetensors.safe_open(tmp_path / "run", framework="np") as file:
        content = json.loads(file.metadata()["gradstep"])
    group = content["optimizer"]["groups"][0]
    assert content["optimizer"]["optimizer"] == "AdamW"
    assert [group[o] for o in ("rounding", "seed", "state_dtype", "ema_dtype")] == [
        "nearest", 0, "8bit", "bfloat16",
    ]  # fmt: skip


def test_other_programs_read_and_write_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    opt = trained(made("nearest"), 0, 2)
    gs.save(tmp_path / "run", opt)
    tensors = load_file(tmp_path / "run")
    for place, array in [
        ("params/w", opt.params["w"]),
        ("optimizer/state/w/exp_avg", opt.state["w"]["exp_avg"]),
    ]:
        tensor = tensors[place]
        assert tensor.dtype == torch.bfloat16
        np.testing.assert_array_equal(tensor.view(torch.int16), array.view(np.int16))
    with safetensors.safe_open(tmp_path / "run", framework="np") as file:
        metadata = file.metadata()
    save_file(tensors, tmp_path / "theirs", metadata)
    resumed = made("nearest", 2.0)
    gs.load(tmp_path / "theirs", resumed)
    assert_same_bits(everything(resumed), everything(opt))


WITHOUT = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np, gradstep as gs
opt = gs.AdamW({"w": np.zeros((50, 100), np.float32)}, state_dtype="bfloat16")
print(gs.load(sys.argv[1], opt)["more"].dtype, opt.state["w"]["exp_avg"].dtype)
gs.save(sys.argv[2], opt)
"""


def test_state_in_bfloat16_needs_no_other_package(tmp_path: Path) -> None:
    opt = gs.AdamW({"w": np.ones((50, 100), np.float32)}, state_dtype="bfloat16")
    opt.step({"w": np.full((50, 100), 0.1, np.float32)})
    gs.save(tmp_path / "with", opt, more=np.ones(2, ml_dtypes.bfloat16))
    paths = [tmp_path / "with", tmp_path / "without"]
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT, *paths]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("uint16 uint16\n", "")
    resumed = gs.AdamW({"w": np.zeros((50, 100), np.float32)}, state_dtype="bfloat16")
    gs.load(tmp_path / "without", resumed)
    assert_same_bits(everything(resumed), everything(opt))


def test_beside_the_optimizer(tmp_path: Path) -> None:
    opt, other = trained(made("kahan"), 0, 2), trained(made("split"), 0, 2)
    stopping = gs.EarlyStopping()
    stopping.update(0.5, opt.params)
    values = np.array([1.5, np.nan], ml_dtypes.bfloat16)
    gs.save(tmp_path / "run", opt, other=other, stopping=stopping, values=values)
    resumed, another, stopped = made("kahan", 2.0), made("split", 2.0), gs.EarlyStopping()
    rest = gs.load(tmp_path / "run", resumed, other=another, stopping=stopped)
    assert_same_bits(everything(another), everything(other))
    assert_same_bits({"": rest["values"]}, {"": values})
    assert_same_bits(stopped.state_dict()["kept"], stopping.state_dict()["kept"])
    params: dict[str, Array] = {name: np.zeros_like(p) for name, p in opt.params.items()}
    gs.load(tmp_path / "run", params=params)
    assert_same_bits(params, dict(opt.params))


def test_seeds_are_hyperparameters_like_others(tmp_path: Path) -> None:
    straight = trained(made("stochastic"), 0, 2)
    gs.save(tmp_path / "run", straight)
    other = made("stochastic", 2.0, seed=8)
    with pytest.warns(UserWarning, match="seed = 7 in the place of 8; load"):
        gs.load(tmp_path / "run", other)
    assert other.seed == 7
    assert_same_bits(everything(trained(other, 2, 3)), everything(trained(straight, 2, 3)))
    kept = made("stochastic", 2.0, seed=8)
    gs.load(tmp_path / "run", kept, hyperparameters=False)
    assert kept.seed == 8

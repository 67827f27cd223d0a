"""Checkpoints that are damaged, foreign or hostile: refused, and nothing changed."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything, put
from tests.saving.checkpoint_run import Run

safetensors = pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
safetensors_numpy = pytest.importorskip("safetensors.numpy")


def refused(path: Path, text: str, run: Run | None = None) -> None:
    run = run or Run(2.0)
    with run.unchanged(), pytest.raises(ValueError, match=text) as caught:
        run.load(path)
    assert str(caught.value).startswith(f"cannot load {path}: ")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good"
    Run().save(path)
    return path


def test_a_truncated_file_is_refused(good: Path) -> None:
    data = good.read_bytes()
    header = struct.unpack("<Q", data[:8])[0]
    ends = {0, 1, 7, 8, 9, header, header + 7, header + 8, header + 9, len(data) - 1}
    for end in sorted(ends | set(range(0, len(data), 97))):
        good.write_bytes(data[:end])
        refused(good, "it is damaged or no safetensors file")
    good.write_bytes(data + b"\0")
    refused(good, "it is damaged or no safetensors file")


def test_flipped_bits_never_half_load(good: Path) -> None:
    """Values cannot be told from others; but whatever is noticed is noticed in time."""
    data = good.read_bytes()
    rng = np.random.default_rng(0)
    header = struct.unpack("<Q", data[:8])[0]
    errors = 0
    for place in rng.integers(0, header + 8, 300):
        bad = bytearray(data)
        bad[place] ^= 1 << rng.integers(8)
        good.write_bytes(bad)
        run = Run(2.0)
        arrays, state = everything(run.opt), run.state()
        try:
            run.load(good)
        except ValueError:
            errors += 1
            assert_same_bits(everything(run.opt), arrays)
            np.testing.assert_equal(run.state(), state)
    assert errors > 200


def raw(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(dtype: str, shape: Any, size: int) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}


OURS = {"__metadata__": {"gradstep": '{"version": 1}'}}
FOREIGN: dict[str, tuple[bytes, str]] = {
    "random": (np.random.default_rng(0).bytes(5000), "damaged or no safetensors file"),
    "text": (b"import gradstep as gs\n" * 20, "damaged or no safetensors file"),
    "pickle": (pickle.dumps({"w": np.ones(3)}), "damaged or no safetensors file"),
    "zeros": (bytes(1000), "damaged or no safetensors file"),
    "giant header": (struct.pack("<Q", 2**62) + b"{}", "damaged or no safetensors file"),
    "nested header": (raw(b"[" * 100_000), "damaged or no safetensors file"),
    "overflow": (raw(one("F32", [2**62, 4], 0)), "damaged or no safetensors file"),
    "number as metadata": (raw({"__metadata__": {"gradstep": 1}}), "damaged or no safetensors"),
    "other program": (raw(one("F32", [1], 4), b"abcd"), r"not one that gradstep\.save\(\) made"),
    "bfloat16": (raw(OURS | one("BF16", [1] * 99, 2), b"ab"), "maximum supported dimension"),
    "float8": (raw(OURS | one("F8_E4M3", [1], 1), b"a"), "'a' is none that NumPy can|no safetens"),
    "complex": (raw(OURS | one("C64", [1], 8), bytes(8)), "'a' is none that NumPy can|no safetens"),
    "dimensions": (raw(OURS | one("F32", [1] * 99, 4), b"abcd"), "'a' is none that NumPy can"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_is_refused(case: str, tmp_path: Path) -> None:
    data, text = FOREIGN[case]
    (tmp_path / "file").write_bytes(data)
    refused(tmp_path / "file", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its metadata is not JSON"),
        ("{", "its metadata is not JSON"),
        ('{"version": NaN}', "its metadata is not JSON: NaN is none of its values"),
        ("[" * 100_000, "its JSON is nested too deeply"),
        (
            '{"version": 1, "params": null, "optimizer": {}, "others": {"x": '
            + "[" * 600
            + "]" * 600
            + "}}",
            "its JSON is nested too deeply",
        ),
        ('{"version": ' + "9" * 5000 + "}", "its metadata is not JSON"),
        ("[]", r"it has version \[\]; this gradstep reads version 1"),
        ('{"version": 2}', "it has version 2; this gradstep reads version 1"),
        ('{"version": 1}', "its part 'params' is missing or not a dict"),
        (
            '{"version": 1, "params": null, "optimizer": {"$x": 1}, "others": {}}',
            r"holds the key '\$x', which has no meaning",
        ),
        (
            '{"version": 1, "params": null, "optimizer": {}, "others": {"$tensor": "a"}}',
            "its part 'others' is missing or not a dict",
        ),
    ],
)
def test_bad_json_is_refused(text: str, message: str, tmp_path: Path) -> None:
    safetensors_numpy.save_file({"a": np.ones(1)}, tmp_path / "file", {"gradstep": text})
    refused(tmp_path / "file", message)


W = ("optimizer", "state", "w")
HYPER = ("optimizer", "groups", 0)
SCALER, STOPPING = ("others", "scaler"), ("others", "stopping")
HOSTILE: dict[str, tuple[Callable[[Any, Any], None], Any, str]] = {
    "no optimizer": (put("optimizer"), None, "its part 'optimizer' is missing or not a dict"),
    "array of others": (put("others"), {"$tensor": "params/w"}, "or two places for it|'others' is"),
    "no others": (put("others"), KeyError, "its part 'others' is missing or not a dict"),
    "list of parameters": (put("params"), [], "its part 'params' is missing or not a dict"),
    "other kind": (put("optimizer", "optimizer"), "Adam", "is of 'Adam', but this is 'AdamW'"),
    "other format": (put("optimizer", "format"), 2, "has format 2; this version reads format 1"),
    "negative steps": (put("optimizer", "steps"), -1, "steps in state_dict must be ≥ 0, got -1"),
    "steps as text": (put("optimizer", "steps"), "3", "steps in state_dict must be an integer"),
    "steps beyond all": (put("optimizer", "steps"), 10**300, r"must be < 2\*\*53"),
    "a fraction of a step": (put(*W, "step"), 1.5, r"\['step'\] in state_dict must be an integer"),
    "true as count": (put(*W, "step"), True, r"\['step'\] in state_dict must be an integer"),
    "negative count": (put(*W, "step"), -2, r"\['step'\] in state_dict must be ≥ 0"),
    "no slot": (put(*W, "exp_avg"), KeyError, "belong to nothing: 'optimizer/state/w/exp_avg'"),
    "null as slot": (put(*W, "exp_avg"), None, "belong to nothing: 'optimizer/state/w/exp_avg'"),
    "a tensor twice": (
        put(*W, "exp_avg"),
        {"$tensor": "params/w"},
        "it has no tensor 'optimizer/state/w/exp_avg', or two places|has no tensor 'params/w', or",
    ),
    "no such tensor": (put(*W, "exp_avg"), {"$tensor": "x"}, "it has no tensor 'x', or"),
    "tensor number": (put(*W, "exp_avg"), {"$tensor": [1]}, r"it has no tensor \[1\], or"),
    "odd float": (put(*HYPER, "eps"), {"$float": "1e3"}, "holds a float '1e3'; expected"),
    "infinite eps": (put(*HYPER, "eps"), {"$float": "inf"}, "eps must be a finite number"),
    "negative decay": (put(*HYPER, "weight_decay"), -1, "weight_decay must be a finite number"),
    "huge decay": (put(*HYPER, "weight_decay"), 10**400, "weight_decay must be a finite number"),
    "text for a flag": (put(*HYPER, "amsgrad"), "yes", "amsgrad must be True or False"),
    "amsgrad": (put(*HYPER, "amsgrad"), True, "must hold .*'max_exp_avg_sq'.*; got"),
    "three betas": (put(*HYPER, "betas"), [0.1, 0.2, 0.3], "betas must be a tuple of 2 numbers"),
    "odd option": (put(*HYPER, "momentum"), 0.9, "that this optimizer has not: .*momentum"),
    "number of names": (put(*HYPER, "params"), 5, "must hold the parameters"),
    "other order": (put(*HYPER, "params"), ["b", "w"], r"must hold the parameters \['w', 'b'\]"),
    "no groups": (put("optimizer", "groups"), {}, "must be a list of 1 groups"),
    "text group": (put(*HYPER), "w", "must hold the parameters"),
    "no average": (put("optimizer", "ema"), {"w": 1.0}, "belong to nothing: 'optimizer/ema/"),
    "no parameters": (put("params"), {}, "belong to nothing: 'params/"),
    "scale": (put(*SCALER, "scale"), {"$float": "nan"}, "scaler: scale must be a finite number"),
    "good steps": (put(*SCALER, "good_steps"), -1, "scaler: good_steps must be an integer"),
    "null scaler": (put(*SCALER), None, "scaler: "),
    "plateau": (put("others", "lr", "bad"), "x", "lr: bad must be an integer"),
    "plateau value": (put("others", "lr", "value"), -1.0, "lr: value must be a finite number"),
    "stopping": (put(*STOPPING, "best"), [], "stopping: best must be a number"),
    "stopped": (put(*STOPPING, "bad"), -1, "stopping: bad must be an integer"),
    "no other": (
        put("others", "scaler"),
        KeyError,
        "load\\(\\) was given \\['scaler', 'lr', 'stop",
    ),
    "one more": (put("others", "more"), {}, "it holds \\['scaler', 'lr', 'stopping', 'more'\\]"),
}


def contents(path: Path) -> tuple[Any, dict[str, Any]]:
    with safetensors.safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["gradstep"]), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_metadata_is_refused(case: str, good: Path) -> None:
    change, value, text = HOSTILE[case]
    content, tensors = contents(good)
    change(content, value)
    safetensors_numpy.save_file(tensors, good, {"gradstep": json.dumps(content)})
    refused(good, text)


@pytest.mark.parametrize(
    "name",
    [
        "params/w",
        "optimizer/state/w/exp_avg_sq",
        "optimizer/ema/b",
        "others/stopping/kept/w",
    ],
)
def test_hostile_tensors_are_refused(name: str, good: Path) -> None:
    content, tensors = contents(good)
    metadata = {"gradstep": json.dumps(content)}
    array = tensors[name]
    changed = {"dtype": array.astype(np.int32)}
    if "others" not in name:
        changed["half"] = array.astype(np.float16)
        changed["shape"] = array.reshape(1, *array.shape)
        changed["other float"] = array.astype("f4" if array.dtype == "f8" else "f8")
    for bad in changed.values():
        safetensors_numpy.save_file({**tensors, name: bad}, good, metadata)
        refused(good, rf"{name.split('/')[-1]}\W+.*(dtype|shape)")
    safetensors_numpy.save_file({k: v for k, v in tensors.items() if k != name}, good, metadata)
    refused(good, f"it has no tensor '{name}'")
    safetensors_numpy.save_file({**tensors, "more": array}, good, metadata)
    refused(good, "it has tensors that belong to nothing: 'more'")


def test_a_file_without_one_of_the_parameters_is_refused(good: Path) -> None:
    content, tensors = contents(good)
    del content["params"]["b"], tensors["params/b"]
    safetensors_numpy.save_file(tensors, good, {"gradstep": json.dumps(content)})
    refused(good, r"its parameters are \['w'\]; those of opt are \['w', 'b'\]")


def test_other_parameters_and_optimizers_are_refused(good: Path) -> None:
    def load_into(opt: gs.Optimizer) -> None:
        before = everything(opt)
        others = Run().others
        others["lr"] = gs.schedules.ReduceLROnPlateau(0.1)
        with pytest.raises(ValueError, match=text):
            gs.load(good, opt, **others)
        assert_same_bits(everything(opt), before)

    text = "state_dict is of 'AdamW', but this is 'Lion'"
    load_into(gs.Lion({"w": np.zeros((2, 3)), "b": np.zeros(3, "f")}))
    text = r"must hold the parameters \['v', 'b'\]; got \['w', 'b'\]"
    load_into(gs.AdamW({"v": np.zeros((2, 3)), "b": np.zeros(3, "f")}, ema_decay=0.9))
    text = r"has shape \(2, 3\) and dtype float64; expected \(3, 2\)"
    load_into(gs.AdamW({"w": np.zeros((3, 2)), "b": np.zeros(3, "f")}, ema_decay=0.9))


def test_a_schedule_that_does_not_reach_as_far_is_refused_after_the_others(good: Path) -> None:
    run = Run(2.0)
    run.opt.lr = lambda step: 0.1 if step < 4 else -1.0
    content, tensors = contents(good)
    content["optimizer"]["steps"] = 4
    safetensors_numpy.save_file(tensors, good, {"gradstep": json.dumps(content)})
    with run.unchanged(), pytest.raises(ValueError, match="from its schedule at step 4"):
        run.load(good)


def test_an_object_that_fails_to_load_gets_its_state_back(good: Path) -> None:
    class Fragile(gs.LossScaler):
        def load_state_dict(self, state_dict: Any) -> None:
            self.scale = state_dict["scale"]
            if self.scale != before:
                raise RuntimeError("out of luck")

    run = Run(2.0)
    run.others = {**run.others, "scaler": Fragile(8.0)}
    before = 8.0
    with run.unchanged(), pytest.raises(RuntimeError, match="out of luck"):
        run.load(good)


def test_what_is_no_file(tmp_path: Path) -> None:
    run = Run()
    with pytest.raises(FileNotFoundError):
        run.load(tmp_path / "none")
    refused(tmp_path, "it is not a regular file")
    with pytest.raises(OSError, match="is not a regular file"):
        run.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        run.save(tmp_path / "none" / "file")
    assert list(tmp_path.iterdir()) == []

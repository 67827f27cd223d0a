from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.stored import Stored

norm_block: int

def available_isas() -> list[str]: ...
def isa() -> str: ...
def set_isa(name: str) -> str: ...
def num_threads() -> int: ...
def set_num_threads(count: int) -> int: ...
def flush_denormals() -> bool: ...
def set_flush_denormals(on: bool) -> bool: ...
def pool() -> int: ...
def set_pool(kind: int) -> int: ...
def loaded_openmp() -> str | None: ...
def parked_workers() -> int: ...
def last_step() -> tuple[str | None, int, int]: ...
def least_work() -> tuple[int, int, int]: ...
def set_least_work(awake: int, asleep: int, anyway: int) -> None: ...
def rules() -> dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]]: ...
def build_info() -> dict[str, Any]: ...
def stream(read: NDArray[Any], written: Sequence[NDArray[Any]], rule: str) -> None: ...
def divide(
    roots: int, quotients: int, of: NDArray[Any], by: NDArray[Any], to: NDArray[Any]
) -> None: ...
def sum_of_squares(arrays: Sequence[NDArray[Any]]) -> float: ...
def copy_arrays(
    to: Sequence[NDArray[Any]], from_: Sequence[NDArray[Any]], threads: int
) -> None: ...
def sum_of_squares_of_tensors(
    types: tuple[type[Any], type[Any]], grads: Sequence[Any], threads: int
) -> float | None: ...
def sized_norm_of_tensors(
    types: tuple[type[Any], type[Any]],
    params: Sequence[Any],
    grads: Sequence[Any],
    eta: float,
    threads: int,
) -> float | None: ...

# One step over lists of tensors; False where something cannot be taken as it is, with nothing done.
def step_lists(
    rule: str,
    types: tuple[type[Any], type[Any]],
    params: Sequence[Any],
    grads: Sequence[Any],
    slots: Sequence[Sequence[Any]],
    copies: Sequence[Any],
    rows: Sequence[tuple[Any, ...]],
    row_of: Sequence[int],
    keys: Sequence[int],
    grad_scale: float,
    announce: Callable[[], object],
    count: Callable[[], object],
    threads: int,
) -> bool: ...

class Snapshot:
    def __init__(self, root: list[Any] | dict[Any, Any], depth: int) -> None: ...
    def same(self) -> bool: ...

class Tensors:
    def __init__(
        self,
        parts: dict[str, Any],
        params: Sequence[Any],
        beside: Sequence[Any],
        copies: list[Any],
        state: dict[Any, Any],
        counts: NDArray[Any] | None,
        moved: type[Exception],
    ) -> None: ...
    def gradients(self) -> tuple[Any, ...]: ...
    def unchanged(self) -> bool: ...

class ParamTable:
    def __init__(
        self,
        params: Sequence[NDArray[Any] | Stored],
        slots: Sequence[Sequence[NDArray[Any] | Stored]],
        averages: Sequence[NDArray[Any] | Stored | None],
        copies: Sequence[Stored | None],
        keys: Sequence[int],
        convert: Callable[[int, object], NDArray[Any]],
    ) -> None: ...
    @property
    def last_step(self) -> tuple[Sequence[Any] | None, Sequence[int]]: ...
    def assign(self, rules: Sequence[tuple[str, bool, bool]], row_of: Sequence[int]) -> None: ...
    def step(
        self,
        leaves: Sequence[object],
        rows: Sequence[tuple[Any, ...]],
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> tuple[float | None, bool, tuple[int, ...]]: ...
    # The same of PyTorch's tensors, on whose memory the parameters lie; without leaves their own
    # gradients.
    def step_tensors(
        self,
        tensors: Tensors,
        leaves: Sequence[object] | None,
        rows: Sequence[tuple[Any, ...]],
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
        threads: int,
    ) -> tuple[float | None, bool, tuple[int, ...]]: ...
    # The same in phases. All gradients are measured, where limits need their norms; those of the
    # tensors from `first` on are applied, as often as there are more. What end or abort return has
    # been left out; for all other tensors the step has been taken.
    def begin(self, rows: Sequence[tuple[Any, ...]], grad_scale: float) -> None: ...
    # With `eta` the norm of (|p| + eta)·g is measured, and nothing limited.
    def measure(self, leaves: Sequence[object], eta: float | None = None) -> float: ...
    def apply(
        self,
        first: int,
        leaves: Sequence[object],
        tensors: Tensors | None = None,
        threads: int = 0,
    ) -> None: ...
    def end(self) -> tuple[int, ...]: ...
    def abort(self) -> tuple[int, ...]: ...

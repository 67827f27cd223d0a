from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.parts import Part
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
def rules() -> dict[
    str, tuple[tuple[str, ...], tuple[str, ...], bool, tuple[str, ...], tuple[str, ...]]
]: ...
def build_info() -> dict[str, Any]: ...
def stream(read: NDArray[Any], written: Sequence[NDArray[Any]], rule: str) -> None: ...
def divide(
    roots: int, quotients: int, of: NDArray[Any], by: NDArray[Any], to: NDArray[Any]
) -> None: ...
def sum_of_squares(arrays: Sequence[NDArray[Any]]) -> float: ...
def copy_arrays(
    to: Sequence[NDArray[Any]], from_: Sequence[NDArray[Any]], threads: int
) -> None: ...
def tree_sum(
    out: NDArray[Any],
    sources: Sequence[NDArray[Any]],
    starts: Sequence[int],
    shards: int,
    narrow: bool = False,
) -> None: ...
def sum_of_squares_of_tensors(
    types: tuple[type[Any], type[Any]], grads: Sequence[Any], threads: int
) -> float | None: ...

# One step over lists of tensors. Returns the scalars of a rule whose sums are of all of them; None
# where something cannot be taken as it is, with nothing done. `kept` as for ParamTable.
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
    kept: Sequence[Sequence[NDArray[Any]]],
    threads: int,
) -> tuple[float, ...] | None: ...

# Steps of a rule, of one array at a time. The gradient, with penalty·p, is limited, and zero in the
# end; counts[key] becomes `count`. False where an array cannot be taken as it is: nothing is done.
class ArrayStep:
    def __init__(self, rule: str, penalty: float, clip_norm: float) -> None: ...
    def take(
        self,
        row: tuple[Any, ...],
        param: object,
        grad: object,
        slots: tuple[object, ...],
        average: object,
        counts: dict[Any, int],
        key: object,
        count: int,
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

# Vectors over all parameters, by their numbers. What cannot be read or written as it is gives None
# or False, with nothing done.
class Vectors:
    def __init__(
        self, params: Sequence[NDArray[Any]], offsets: Sequence[int], bytes: int
    ) -> None: ...
    def add_memory(self, memory: NDArray[Any]) -> None: ...
    def read(
        self, grads: Sequence[object], scale: float, to: int
    ) -> tuple[float, float, float] | None: ...
    def measure(self, x: int) -> tuple[float, float, float]: ...
    def dot(self, x: int, y: int) -> float: ...
    def save(self, to: int) -> bool: ...
    def restore(self, x: int) -> None: ...
    def move(self, x: int | None, scale: float, d: int) -> bool: ...
    def differences(
        self, now: int, before: int, scale: float, d: int, s: int, y: int, older: Sequence[int]
    ) -> tuple[float, float, NDArray[Any], list[float]]: ...
    def direction(
        self, g: int, pairs: Sequence[Any], along: Sequence[float], scale: float, to: int
    ) -> tuple[float, float]: ...

class ParamTable:
    def __init__(
        self,
        params: Sequence[NDArray[Any] | Stored],
        slots: Sequence[Sequence[NDArray[Any] | Stored]],
        scalars: Sequence[Sequence[NDArray[Any]]],
        averages: Sequence[NDArray[Any] | Stored | None],
        copies: Sequence[Stored | None],
        keys: Sequence[int],
        convert: Callable[[int, object], NDArray[Any]],
        parts: Sequence[Part] | None = None,
        # Where a step first keeps, bit for bit, each parameter that it updates, and its copy.
        kept: Sequence[Sequence[NDArray[Any]]] = (),
    ) -> None: ...
    @property
    def kept_of(self) -> Sequence[Any] | None: ...  # the rows of the last step that has kept
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
    # While `displaced` is not empty parameters, but where there are no bits, are elsewhere, and the
    # next step starts from these bits. It has a function of C code that puts all back and empties
    # it, as the step does that has been taken from there. One that is not taken may not have.
    def start_from(
        self,
        bits: Sequence[NDArray[Any] | None],
        displaced: list[Callable[[], object]],
    ) -> None: ...
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
    def measure(self, leaves: Sequence[object]) -> float: ...
    # Of parts, instead of measure: the sums of squares over the blocks that lie within them, of the
    # gradients, of their units and of the parameters' units. By those of all blocks of the whole
    # tensors, in order, limits are set; the norm is returned.
    def block_sums(
        self, leaves: Sequence[object]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]: ...
    def limit(
        self, squares: NDArray[Any], unit_grads: NDArray[Any], unit_params: NDArray[Any]
    ) -> float: ...
    # How many elements of each tensor, of the part that is here, a cautious step moves against
    # their gradient. Added up over all parts, they are the counts that apply takes.
    def counts(self, leaves: Sequence[object]) -> NDArray[Any]: ...
    # What the step multiplies the gradient of a tensor with, factors of units aside.
    def scale(self, tensor: int) -> float: ...
    def apply(
        self,
        first: int,
        leaves: Sequence[object],
        tensors: Tensors | None = None,
        threads: int = 0,
        counts: Sequence[float] | NDArray[Any] | None = None,
    ) -> None: ...
    def end(self) -> tuple[int, ...]: ...
    def abort(self) -> tuple[int, ...]: ...

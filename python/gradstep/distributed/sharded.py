"""One optimizer over many processes, each of which keeps a share of its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from gradstep.distributed.adapters import transport_of
from gradstep.distributed.agreement import Agreement
from gradstep.distributed.averaging import swapped
from gradstep.distributed.cores import share_cores
from gradstep.distributed.digest import digest, layout_of
from gradstep.distributed.inner import Inner
from gradstep.distributed.options import check_options
from gradstep.distributed.shares import Shares
from gradstep.distributed.state import WholeState
from gradstep.distributed.stepping import Shard, Stepping
from gradstep.distributed.together import Together
from gradstep.distributed.wanted import Wanted
from gradstep.distributed.whole import Whole
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.step_info import StepInfo
from gradstep.optimizer.turn import STEP, Turn
from gradstep.values import check_count, check_flag, check_grad_scale


class Sharded(Together):
    """An optimizer over many processes, each of which keeps a share of its state (ZeRO-1).

    Every process, or rank, has all parameters and computes gradients of its own. A step adds these
    up, each rank for the elements that it owns, updates those, and gives them to all:

    ``g = (g₀ + g₁) + (g₂ + g₃) + … over shards``, in a fixed binary tree; ``g ← g/S`` with
    `average`; then the optimizer's own step.

    With the same shards the results are the same to the bit for any number of ranks, and so are
    norms, limits, draws and checkpoints. All ranks call the same methods in the same order; where
    one raises, all do, and nothing has been changed on any.

    Parameters
    ----------
    optimizer : class
        One whose steps go element by element: ``gs.AdamW``, not ``gs.LAMB`` or ``gs.Muon``.
    params
        The parameters, as the optimizer takes them; the same on all ranks.
    comm : mpi4py's communicator, a process group of torch.distributed (gloo), or a Transport
        Default: mpi4py's ``MPI.COMM_WORLD``.
    average : bool
        Whether gradients are averaged over the shards, or added up.
    wire : None or "bfloat16"
        ``"bfloat16"`` rounds all that is added up to that first, shards and sums of shards, so that
        half the bytes travel. Gradients of float64 parameters travel as they are.
    check_params_every : int or None
        After every so many steps compare a checksum of the parameters, too: one read of them.
        They are compared at construction in any case.
    **options
        Those of the optimizer, which all ranks give alike.

    Raises
    ------
    TypeError, ValueError
        If an argument is none; on the other ranks it is an OtherRankError.
    Disagreement
        If ranks differ in parameters, their names, shapes, dtypes or values, or in options.
    ImportError
        If there is no `comm` and no mpi4py.

    Notes
    -----
    State: that of the optimizer, of 1/R of all elements on each of R ranks.
    Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter
    Models", arXiv:1910.02054.

    Examples
    --------
    Four ranks in one process; ``mpiexec -n 4 python train.py`` has them in four:

    >>> import numpy as np, gradstep as gs
    >>> def train(comm):
    ...     params = {"w": np.ones(3, np.float32)}
    ...     opt = gs.distributed.Sharded(gs.AdamW, params, comm, lr=0.5, clip_norm=1.0)
    ...     info = opt.step({"w": np.full(3, comm.rank, np.float32)})
    ...     return info.grad_norm, params["w"]
    >>> gs.distributed.in_threads(4, train)[3]
    (2.598076211353316, array([0.495, 0.495, 0.495], dtype=float32))
    """

    def __init__(
        self,
        optimizer: type[Optimizer],
        params: Any,
        comm: Any = None,
        *,
        average: bool = True,
        wire: str | None = None,
        check_params_every: int | None = None,
        **options: Any,
    ) -> None:
        self._turn = Turn()
        self._transport = transport_of(comm)
        self._agreement = Agreement(self._transport)
        failed: BaseException | None = None
        lines: list[str] = []
        try:
            check_options(optimizer, average, wire, check_params_every)
            self._optimizer, self._average = optimizer, average
            self._check_every, self._wire = check_params_every, wire
            self._make(Whole(params), options)
            lines = self._described()
        except BaseException as error:
            failed = error
        self._agreement.meet("\n".join(lines).encode(), lambda: lines, error=failed)
        share_cores(self._transport)

    def _make(self, whole: Whole, options: Mapping[str, Any]) -> None:
        transport = self._transport
        self._whole = whole
        self._shares = Shares([array.size for array in whole.arrays], transport.size)
        self._inner = Inner(self._optimizer, whole, self._shares, transport, options)
        self._stepping = Stepping(
            transport, whole, self._shares, self._inner, narrow=self._wire is not None
        )
        slots = self._optimizer.method.slots
        self._state = WholeState(transport, whole, self._shares, slots)

    # What users call.

    def step(
        self,
        grads: Any,
        *,
        shards: int | None = None,
        grad_scale: float = 1.0,
        with_norm: bool = False,
        skip_nonfinite: bool = False,
    ) -> StepInfo:
        """Update all parameters in place, on all ranks.

        Parameters
        ----------
        grads
            This rank's gradients, in the structure of the parameters: of a shard of its own; or,
            with `shards`, a list of the gradients of each of its shards.
        shards : int or None
            How many shards all ranks have together; they are numbered through in the order of the
            ranks. By default each rank is one.
        grad_scale, with_norm, skip_nonfinite
            As for the optimizer itself; `grad_scale` is of the sum or average.

        Returns
        -------
        StepInfo
            The same on all ranks.

        Raises
        ------
        TypeError, ValueError
            If a gradient or a schedule's value is not legal on this rank.
        OtherRankError
            If another rank has raised an error.
        Disagreement
            If ranks differ: in a gradient that is None, options, hyperparameters, step counts.
        Lost
            If another rank has ended.
        """
        return self._turn.during(
            "step()", self._step, grads, shards, grad_scale, with_norm, skip_nonfinite
        )

    @contextmanager
    def swap_averages(self) -> Iterator[None]:
        """Within the ``with`` block the parameters hold their averages, on all ranks.

        Afterwards they are what they were, to the bit.
        """
        mine: list[None] = []
        try:
            self._turn.take_for("swap_averages()", mine)
            spread = self._stepping.spread
            yield from swapped(
                self._inner, self._whole, self._meet, partial(self._together, spread)
            )
        finally:
            if mine:
                self._turn.now = STEP
                self._turn.give(None)

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks, whole on each: what the optimizer itself would have.

        To write a checkpoint ``gs.save(path, opt)`` needs less memory.
        """
        return self._turn.during("state_dict()", self._gathered)

    def load_state_dict(self, state_dict: Mapping[str, Any], *, convert: bool = False) -> None:
        """Continue where a state was taken: of any number of ranks, or of the optimizer itself."""
        self._turn.during("load_state_dict()", self._load, state_dict, convert)

    # What it is made of.

    def _step(
        self,
        grads: Any,
        shards: int | None,
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> StepInfo:
        failed: BaseException | None = None
        given: list[Shard] = []
        wanted: Any = None
        try:
            rows = self._inner.layout.rows()
            grad_scale = check_grad_scale(grad_scale)
            with_norm = check_flag("with_norm", with_norm)
            skip_nonfinite = check_flag("skip_nonfinite", skip_nonfinite)
            shards = None if shards is None else check_count("shards", shards, 1)
            given = self._whole.shards(grads, shards is not None)
            self._whole.check()
            present = tuple(grad is not None for grad in given[0])
            plans = tuple(group.plan for group in self.groups)
            steps, every = self.steps, self._check_every
            seen = hash(tuple(self._checksums())) if every and steps % every == 0 else 0
            wanted = Wanted(
                steps, shards, grad_scale, with_norm, skip_nonfinite, present, plans, rows, seen
            )
        except BaseException as error:
            failed = error
        counts = self._agreement.meet(
            repr(wanted).encode(), partial(self._told, wanted), own=len(given), error=failed
        )
        if shards is not None and sum(counts) != shards:
            raise ValueError(
                f"shards={shards}, but the ranks gave {counts}, {sum(counts)} together; each rank "
                "gives a list of its own"
            )
        return self._together(self._stepping.run, wanted, given, counts, self._average)

    def _gathered(self, to: int | None = None) -> dict[str, Any]:
        """The state of all ranks, on the rank `to` or on all."""
        own = self._agreed("state_dict()", partial(states.to_dict, self._inner.layout), layout_of)
        return self._together(self._state.gathered, own, to)

    def _load(self, given: Mapping[str, Any], convert: bool) -> None:
        def checked() -> states.Checked:
            check_flag("convert", convert)
            part = self._state.part(given)
            fitting = states.check(self._inner.layout, part, convert=convert)
            fitting.check_schedules()
            return fitting

        self._agreed("load_state_dict()", checked, lambda _: digest((given, convert))).take_over()

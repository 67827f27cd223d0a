"""Adafactor: second moments of matrices kept by rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradstep.method.hyperparameters import Number, Numbers
from gradstep.method.method import Method
from gradstep.method.options import DECOUPLED
from gradstep.method.slots import Slot
from gradstep.values import power

EPS1 = float(np.finfo(np.float32).eps)


class Adafactor(Method):
    r"""Adafactor: Adam without momentum, whose second moment is a row and a column per matrix.

    ::

        τ = t^β2_decay                    ρ = min(lr, 1/√t)
        r ← r + τ·(mean over columns of g² − r)          c ← c + τ·(mean over rows of g² − c)
        u = g/√max(r·c/mean(r), ε1²)
        p ← (1−lr·λ)·p − ρ·max(ε2, rms(p))/max(1, rms(u)/d)·u

    Matrices are the last two axes; of vectors and scalars the whole second moment is kept.

    Notes
    -----
    State: 4 bytes per row and per column of float32 matrices (``row_var``, ``col_var``), 4 bytes
    per element of vectors (``variance``). For models whose state would not fit. This is PyTorch's
    form: no momentum, and a step relative to the parameter's size. ``clip_value``,
    ``clip_adaptive`` and coupled weight decay would change single elements after their rows and
    columns have been measured, and are refused. ``l1`` draws by lr, and not by ρ.

    Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018,
    arXiv:1804.04235.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.ones((2, 3))
    >>> opt = gs.Adafactor(w, lr=0.1)
    >>> info = opt.step(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    >>> w.round(4), opt.state["0"]["row_var"].shape, opt.state["0"]["col_var"].shape
    (array([[0.9, 0.9, 0.9],
           [0.9, 0.9, 0.9]]), (2, 1), (1, 3))
    """

    lr = Number(1e-2, "Step size, relative to the size of the parameters.")
    beta2_decay = Number(-0.8, "Exponent of t in what averages take.", low=-100.0, high=1e-300)
    eps = Numbers(
        (None, 1e-3),
        "ε1, the least root of the second moment, None for float32's 1.2e-7 (PyTorch takes that of "
        "each parameter's dtype); ε2, the least size of parameters.",
        each=(Number(optional=True), Number()),
    )
    d = Number(1.0, "The largest root mean square of u.", low=1.0)
    weight_decay = Number(0.0, "λ, decoupled.")
    decoupled_weight_decay = DECOUPLED

    variance = Slot(values="squares", factors=("row_var", "col_var"))
    row_var = Slot(values="squares", kind="row")
    col_var = Slot(values="squares", kind="column")

    def rule(self, h: Mapping[str, Any]) -> str:
        for option in ("clip_value", "clip_adaptive"):
            if h[option] is not None:
                raise ValueError(
                    f"{option} would change single elements after their rows and columns have been "
                    "measured; leave it out, or use clip_norm or clip_tensor_norm"
                )
        if h["weight_decay"] and not h["decoupled_weight_decay"]:
            raise ValueError(
                "coupled weight_decay would change gradients after their rows and columns have "
                "been measured; leave out decoupled_weight_decay=False"
            )
        return "adafactor"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        eps1, eps2 = h["eps"]
        eps1 = EPS1 if eps1 is None else eps1
        return {"eps1": eps1, "eps1_squared": eps1 * eps1, "eps2": eps2, "d": h["d"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return {
            "one_minus_beta2": power(float(t), h["beta2_decay"]),
            "rho": min(h["lr"], 1.0 / power(float(t), 0.5)),
        }

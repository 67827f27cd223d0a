"""Muon, for matrices, and other optimizers beside it for all else."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from gradstep.method.hyperparameters import Choice, Count, Flag, Number, Numbers, decays
from gradstep.method.method import Method
from gradstep.method.options import DECOUPLED
from gradstep.method.rows import Plan
from gradstep.method.slots import Slot
from gradstep.methods.adam import AdamW
from gradstep.methods.sgd import SGD
from gradstep.methods.sign import Lion


class Beside(NamedTuple):
    """A method for groups of no matrices, and what Muon calls those of its options that it lets
    them have."""

    method: Method
    names: Mapping[str, str]

    def own(self, h: Mapping[str, Any]) -> dict[str, Any]:
        """The method's own hyperparameters, of those of a group of Muon's."""
        declared = self.method.hyperparameters
        own = {name: declared[name].default for name in self.method.positional}
        return own | {name: h[known] for name, known in self.names.items()} | {"lr": h["lr"]}


BESIDE = {
    "adamw": Beside(AdamW(), {"betas": "adamw_betas", "eps": "adamw_eps"}),
    "lion": Beside(Lion(), {"betas": "lion_betas"}),
    "sgd": Beside(SGD(), {"momentum": "sgd_momentum", "nesterov": "sgd_nesterov"}),
}


class OfMatrices(Method):
    """Muon's steps, and what they depend on."""

    lr = Number(1e-3, "Step size: the norm of the change that lr makes of a unit input, about.")
    weight_decay = Number(0.1, "λ: shrinks the parameters directly.")
    momentum = Number(0.95, "μ: decay of the average of gradients.", high=1.0)
    nesterov = Flag(True, "Take the average as if this gradient had come once more.")
    ns_coefficients = Numbers(
        (3.4445, -4.775, 2.0315),
        "a, b and c of the iteration.",
        each=tuple(Number(low=-1e6, high=1e6, with_high=True) for _ in range(3)),
    )
    eps = Number(1e-7, "The least norm that a matrix is divided by; a zero matrix stays zero.")
    ns_steps = Count(5, "How often it is iterated.", high=100)
    adjust_lr_fn = Choice(
        None,
        'What a matrix of A rows and B columns makes of lr: ``"original"``, the default, √max(1, '
        'A/B); ``"match_rms_adamw"``, 0.2·√max(A, B), which suits lr and weight_decay of AdamW.',
        among=("original", "match_rms_adamw"),
    )
    ns_dtype = Choice(
        None,
        "What the iteration multiplies in: None, float32, or float64 where parameters are; "
        '``"bfloat16"``, as in torch.optim.Muon, by PyTorch, of matrices with both sides of 192 or '
        "more: less exact, and faster where the CPU has instructions for it.",
        among=("bfloat16",),
    )
    decoupled_weight_decay = DECOUPLED

    momentum_buffer = Slot()
    direction = Slot(kind="workspace")

    elsewhere = "give it to an optimizer of its own, AdamW say"  # where a vector goes

    def rule(self, h: Mapping[str, Any]) -> str:
        if h["weight_decay"] != 0.0 and not h["decoupled_weight_decay"]:
            raise ValueError(
                "decoupled_weight_decay=False would add weight_decay·p to the gradient, of which "
                "Muon takes no more than singular vectors; leave it at True, or set weight_decay=0"
            )
        if h["clip_adaptive"] is not None:
            raise ValueError(
                "clip_adaptive limits gradients by unit, and Muon's step does not depend on their "
                "size; leave it out for matrices"
            )
        if h["ns_dtype"] == "bfloat16" and find_spec("torch") is None:
            raise ValueError(
                "ns_dtype='bfloat16' takes PyTorch's products, and PyTorch is not installed; "
                "install it, or leave ns_dtype at None"
            )
        return "muon"

    def check_param(self, name: str, shape: tuple[int, ...], plan: Plan) -> None:
        if plan.rule == "muon" and len(shape) < 2:
            kind = "a vector" if shape else "a scalar"
            raise ValueError(
                f"Muon steps matrices, and parameter {name!r} is {kind}, of shape {shape}; "
                + self.elsewhere
            )

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        momentum = h["momentum"]
        return {"lr": h["lr"], "momentum": momentum, "one_minus_momentum": 1.0 - momentum}


OF_DIRECTIONS = {*OfMatrices.positional} - {"lr", "weight_decay"}


class Muon(OfMatrices):
    r"""Muon: momentum, made orthogonal. For the matrices within a network.

    ::

        b ← μ·b + (1−μ)·g
        n = μ·b + (1−μ)·g                 nesterov, else n = b
        O = NS(n) ≈ U·Vᵀ                  of the singular value decomposition n = U·S·Vᵀ
        p ← (1 − lr·λ)·p − lr·adjust·O

    NS begins with X = n/max(‖n‖, ε) and takes X ← (a + b·XXᵀ + c·(XXᵀ)²)·X ``ns_steps`` times. It
    is computed by NumPy's BLAS, of PyTorch's tensors by PyTorch, everything else by the kernels of
    all optimizers. Axes after the first count as one: a kernel of shape (out, in, height, width) is
    a matrix of ``out`` rows.
    Embeddings, output layers, biases and scales go into a group with
    ``"optimizer": "adamw"``, ``"lion"`` or ``"sgd"``, so that one step and one ``clip_norm`` are
    for the whole network. What such a group does not say it has from Muon: give it an ``lr`` and a
    ``weight_decay`` of its own. Its other options are those that begin with its optimizer's name.

    Notes
    -----
    State: 4 bytes per float32 parameter (``momentum_buffer``); with ``optimizer="adamw"`` 8 bytes
    (``exp_avg``, ``exp_avg_sq``), with ``"lion"`` 4 (``exp_avg``), with ``"sgd"`` none, or 4 with
    momentum. Beside it a workspace of 4 bytes per
    parameter of Muon's is held, and five matrices for the largest. A direction that is not finite
    is an error that changes nothing, or, with ``skip_nonfinite``, a step that is left out.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon; Liu et al., "Muon is Scalable for LLM Training",
    2025, arXiv:2502.16982, for ``"match_rms_adamw"``.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> params = {"W": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.float32)}
    >>> rest = {"optimizer": "adamw", "lr": 3e-4, "weight_decay": 0.0}
    >>> opt = gs.Muon(params, lr=0.02, clip_norm=1.0, groups=[("b", rest)])
    >>> info = opt.step({"W": np.eye(2, 3, dtype=np.float32), "b": np.ones(2, np.float32)})
    >>> params["W"].round(3), params["b"]
    (array([[-0.022,  0.   ,  0.   ],
           [ 0.   , -0.022,  0.   ]], dtype=float32), array([-0.0003, -0.0003], dtype=float32))
    """

    optimizer = Choice(
        "muon",
        "What takes the steps of a group: another than Muon for all that is no matrix within the "
        "network.",
        among=("muon", *BESIDE),
    )
    adamw_betas = decays((0.9, 0.999), 'The betas of groups with ``optimizer="adamw"``.')
    adamw_eps = Number(1e-8, "Their eps.")
    lion_betas = decays((0.9, 0.99), 'The betas of groups with ``optimizer="lion"``.')
    sgd_momentum = Number(0.0, 'The momentum of groups with ``optimizer="sgd"``.', high=1.0)
    sgd_nesterov = Flag(False, "Whether theirs is Nesterov's.")

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")

    elsewhere = (
        "put it into a group with another optimizer: groups=[(lambda name, p: p.ndim < 2, "
        "{'optimizer': 'adamw', 'lr': 3e-4, 'weight_decay': 0.0})]"
    )

    def rule(self, h: Mapping[str, Any]) -> str:
        beside = BESIDE.get(h["optimizer"])
        return beside.method.rule(beside.own(h)) if beside else super().rule(h)

    def refuse_unknown(self, kind: str, options: Mapping[str, Any]) -> None:
        if "betas" in options:
            raise TypeError(
                f"{kind} has no option 'betas'; for groups with optimizer='adamw' it is "
                "'adamw_betas', and their eps is 'adamw_eps', for groups with optimizer='lion' it "
                "is 'lion_betas'; Muon's own decay is 'momentum'"
            )
        super().refuse_unknown(kind, options)

    def refuse_in_group(self, kind: str, options: Mapping[str, Any]) -> None:
        super().refuse_in_group(kind, options)
        optimizer = options.get("optimizer")
        if optimizer not in BESIDE:
            return
        names = BESIDE[optimizer].names
        for name in options:
            of_another = name.partition("_")[0] in BESIDE and name not in names.values()
            if name in OF_DIRECTIONS or of_another:
                advice = f"there it is {names[name]!r}" if name in names else "leave it out"
                raise TypeError(
                    f"{name!r} does nothing in a group with optimizer={optimizer!r}; {advice}"
                )

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beside = BESIDE.get(h["optimizer"])
        return (
            beside.method.coefficients(rule, beside.own(h))
            if beside
            else super().coefficients(rule, h)
        )

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beside = BESIDE.get(h["optimizer"])
        return beside.method.step_coefficients(rule, beside.own(h), t) if beside else {}


OF_GROUPS = (Muon.__doc__ or "").partition("of ``out`` rows.\n")[2].partition("\n\n    Notes")[0]
OF_OTHERS = """\
    Embeddings, output layers, biases and scales belong to an optimizer of their own, AdamW say, as
    with torch.optim.Muon."""
STATE_OF_OTHERS = """; with ``optimizer="adamw"`` 8 bytes
    (``exp_avg``, ``exp_avg_sq``), with ``"lion"`` 4 (``exp_avg``), with ``"sgd"`` none, or 4 with
    momentum"""


class MuonAlone(OfMatrices):
    """As PyTorch has it: what is no matrix belongs to another optimizer."""

    __doc__ = (Muon.__doc__ or "").replace(OF_GROUPS, OF_OTHERS).replace(STATE_OF_OTHERS, "")

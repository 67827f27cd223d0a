"""gradstep's optimizers for Thinc beside Thinc's own: steps alone, and whole training steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import MEASURED
from benchmarks.interleave import Step
from benchmarks.tables import Info, cell

Array = NDArray[Any]

THINC, NOTHING = "thinc", "no optimizer"
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "Adam": ("Adam", {}),
    "Adam, as spaCy has it": ("Adam", {"L2": 0.01, "use_averages": False}),
    "RAdam": ("RAdam", {}),
    "SGD": ("SGD", {}),
}
RATE = 0.001
# Rows and width of the embedding: seven tensors of 17 thousand elements in all, or 537 thousand.
MODELS = {"17 k": (64, 64), "537 k": (2206, 192)}
BATCH, CLASSES = 32, 10


def optimizer(who: str, name: str, **options: Any) -> Any:
    from thinc import api

    import gradstep.thinc

    if who == NOTHING:
        return Zeroing(RATE)
    return getattr(api if who == THINC else gradstep.thinc, name)(RATE, **options)


def network(size: str) -> Any:
    """A tagger of words, 32 in a batch, as spaCy's are, without context."""
    from thinc.api import HashEmbed, Maxout, Softmax, chain, fix_random_seed

    rows, width = MODELS[size]
    fix_random_seed(0)
    words, labels = batches(1)[0]
    return chain(
        HashEmbed(width, rows, seed=1, column=0), Maxout(width, nP=3, normalize=True), Softmax()
    ).initialize(words, labels)


def batches(count: int) -> list[tuple[Array, Array]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.integers(2**40, size=(BATCH, 1)).astype(np.uint64),
            np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=BATCH)],
        )
        for _ in range(count)
    ]


def tensors(model: Any) -> list[Array]:
    return [node.get_param(name) for node in model.walk() for name in node.param_names]


def step_alone(who: str, work: str, size: str) -> Step:
    """Steps of all tensors of a model, each with a copy of its gradient: it ends as zero."""
    name, options = OPTIONS[work]
    opt, params = optimizer(who, name, **options), tensors(network(size))
    rng = np.random.default_rng(1)
    grads = [0.01 * rng.standard_normal(p.shape).astype(np.float32) for p in params]
    given = [np.empty_like(grad) for grad in grads]

    def step() -> None:
        for own, grad in zip(given, grads, strict=True):
            np.copyto(own, grad)
        for i, (param, own) in enumerate(zip(params, given, strict=True)):
            opt((i, "W"), param, own)
        opt.step_schedules()

    return step


def copies_alone(size: str) -> Step:
    """What :func:`step_alone` does beside the steps."""
    grads = [np.ones_like(param) for param in tensors(network(size))]
    given = [np.empty_like(grad) for grad in grads]

    def step() -> None:
        for own, grad in zip(given, grads, strict=True):
            np.copyto(own, grad)

    return step


def thinc_step(who: str, size: str) -> Step:
    """A training step of the model; the loss is what it returns."""
    model, opt, data = network(size), optimizer(who, "Adam"), batches(16)
    count = iter(range(10**9))

    def step() -> float:
        words, labels = data[next(count) % len(data)]
        predicted, backward = model.begin_update(words)
        backward((predicted - labels) / BATCH)
        model.finish_update(opt)
        opt.step_schedules()
        return float(-np.log((predicted * labels).sum(1)).mean())

    return step


def spacy_step(who: str) -> Step:
    """An update of spaCy's tagger and text classifier with their default models."""
    import spacy
    from spacy.training import Example
    from thinc.api import fix_random_seed

    fix_random_seed(0)
    rng, nlp = np.random.default_rng(0), spacy.blank("en")
    nlp.add_pipe("tagger")
    nlp.add_pipe("textcat")
    examples = []
    for _ in range(256):
        numbers = rng.integers(200, size=12)
        words, tags = [f"w{n}" for n in numbers], [f"T{n % 7}" for n in numbers]
        cats = {"A": float(numbers[0] < 100), "B": float(numbers[0] >= 100)}
        reference = {"words": words, "tags": tags, "cats": cats}
        examples.append(Example.from_dict(nlp.make_doc(" ".join(words)), reference))
    nlp.initialize(lambda: examples)
    opt, count = optimizer(who, "Adam", L2=0.01, use_averages=False), iter(range(10**9))

    def step() -> float:
        begin = 32 * (next(count) % 8)
        losses = nlp.update(examples[begin : begin + 32], sgd=opt)
        return float(sum(losses.values()))

    return step


LOOPS: dict[str, Callable[[str], Step]] = {
    "Thinc, 17 k": lambda who: thinc_step(who, "17 k"),
    "Thinc, 537 k": lambda who: thinc_step(who, "537 k"),
    "spaCy, tagger and text classifier": spacy_step,
}


class Zeroing:
    """In the place of an optimizer: gradients end as zero, and nothing else is done."""

    def __init__(self, learn_rate: float) -> None:
        pass

    def __call__(self, key: Any, weights: Array, gradient: Array) -> tuple[Array, Array]:
        gradient[...] = 0.0
        return weights, gradient

    def step_schedules(self) -> None:
        pass


def thinc_table(infos: Sequence[Info]) -> list[str]:
    """Medians, with how many times gradstep's, and the optimizers' share of whole steps."""
    lines = [
        f"| on Thinc's models | {MEASURED} | {THINC} | share of the loop, before → after |",
        "|---|---|---|---|",
    ]
    for info in infos:
        share = info.get("share_of_loop", {})
        shares = f"{share[THINC]:.0%} → {share[MEASURED]:.0%}" if share else ""
        ours = f"{info['median_us'][MEASURED]:,.1f}"
        lines.append(f"| {info['work']} | {ours} | {cell(info, THINC)} | {shares} |")
    return lines

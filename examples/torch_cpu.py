"""Train a small transformer in PyTorch on the CPU, with torch.optim's AdamW and with gradstep's.

pip install ".[examples,torch]" && python examples/torch_cpu.py --plot torch_cpu.png

It learns gradstep's own source, character by character. Two models that begin alike see the same
batches, and take turns so that both find the machine in the same mood: their losses must be the
same, and what differs is the time.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import nn
from tqdm import tqdm

import gradstep as gs
from gradstep.torch import AdamW

SEED = 0
WIDTH, HEADS, LAYERS = 64, 4, 2
CONTEXT, BATCH = 64, 16
LR, WEIGHT_DECAY = 3e-3, 0.1
# What is rounded differently in one step grows in those that follow; this is a share of the loss.
TOLERANCE = 0.005


def load_text():
    """All Python files of the installed package, as numbers, and how many characters there are."""
    files = sorted(Path(gs.__file__).parent.rglob("*.py"))
    text = "\n".join(path.read_text("utf-8") for path in files)
    alphabet = {character: i for i, character in enumerate(sorted(set(text)))}
    return torch.tensor([alphabet[character] for character in text]), len(alphabet)


class Transformer(nn.Module):
    """A decoder: each place sees itself and those before it, and tells the next character."""

    def __init__(self, alphabet):
        super().__init__()
        self.characters = nn.Embedding(alphabet, WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False
        )
        self.head = nn.Linear(WIDTH, alphabet)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, x):
        x = self.characters(x) + self.places.weight
        return self.head(self.layers(x, self.mask, is_causal=True))


@dataclass
class Run:
    """A model in training; seconds of each step, and of the part that is the optimizer's."""

    model: nn.Module
    opt: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    losses: list[float] = field(default_factory=list)
    in_all: list[float] = field(default_factory=list)
    in_optimizer: list[float] = field(default_factory=list)

    def step(self, x, y):
        started = time.perf_counter()
        loss = nn.functional.cross_entropy(self.model(x).flatten(0, 1), y.flatten())
        loss.backward()
        before = time.perf_counter()
        self.opt.step()
        if self.scheduler:
            self.scheduler.step()
        self.opt.zero_grad()
        ended = time.perf_counter()
        self.losses.append(loss.item())
        self.in_all.append(ended - started)
        self.in_optimizer.append(ended - before)

    def milliseconds(self):
        """Medians of the whole step and of the optimizer's part."""
        return 1e3 * median(self.in_all), 1e3 * median(self.in_optimizer)


def runs_of(alphabet, steps):
    """The same model twice, by the optimizer that trains it."""
    shape = gs.schedules.linear_warmup(max(1, steps // 10)) * gs.schedules.cosine_annealing(steps)

    def model():
        torch.manual_seed(SEED)
        return Transformer(alphabet)

    theirs, ours = model(), model()
    fused = torch.optim.AdamW(theirs.parameters(), LR, weight_decay=WEIGHT_DECAY, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(fused, shape)
    return {
        "torch fused": Run(theirs, fused, scheduler),
        "gradstep": Run(ours, AdamW(ours.parameters(), shape * LR, weight_decay=WEIGHT_DECAY)),
    }


def train(steps):
    """Both runs after as many steps, of which each takes one in turn."""
    text, alphabet = load_text()
    runs = runs_of(alphabet, steps)
    batches = torch.Generator().manual_seed(SEED)
    with tqdm(total=steps, unit="step") as progress:
        for _ in range(steps):
            starts = torch.randint(len(text) - CONTEXT, (BATCH, 1), generator=batches)
            places = starts + torch.arange(CONTEXT)
            for run in runs.values():
                run.step(text[places], text[places + 1])
            progress.update()
            progress.set_postfix({name: f"{run.losses[-1]:.4f}" for name, run in runs.items()})
    return runs


def furthest_apart(runs):
    """The largest difference of the losses at any step, as a share of the loss.

    An AssertionError says where it is more than the tolerance.
    """
    theirs, ours = (run.losses for run in runs.values())
    apart = [abs(b / a - 1) for a, b in zip(theirs, ours, strict=True)]
    step = max(range(len(apart)), key=apart.__getitem__)
    assert apart[step] <= TOLERANCE, (
        f"at step {step} the losses are {theirs[step]} and {ours[step]}, expected the same within "
        f"{TOLERANCE:.1%}"
    )
    return apart[step]


def plot(runs, path):
    """Losses over the steps, and what a step takes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    styles = ({"color": "#93c5fd", "linewidth": 4}, {"color": "#1e3a8a", "linewidth": 1})
    for (name, run), style in zip(runs.items(), styles, strict=True):
        left.plot(run.losses, label=name, **style)
    left.set_xlabel("completed steps")
    left.set_ylabel("loss")
    left.legend(frameon=False)
    for name, run in runs.items():
        whole, optimizer = run.milliseconds()
        right.bar(name, whole - optimizer, 0.5, color="#cbd5e1")
        bar = right.bar(name, optimizer, 0.5, bottom=whole - optimizer, color="#d97706")
        right.bar_label(bar, [f"{optimizer:.2f} of {whole:.2f} ms"], padding=2)
    right.set_ylabel("ms per step, orange: optimizer")
    right.margins(y=0.1)
    for axes in (left, right):
        axes.spines[["right", "top"]].set_visible(False)
        axes.grid(alpha=0.25, axis="y")
    figure.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--plot", help="a picture of the losses and times of this run")
    args = parser.parse_args()

    runs = train(args.steps)
    for name, run in runs.items():
        whole, optimizer = run.milliseconds()
        print(
            f"{name:>11}: loss {run.losses[-1]:.4f}, {whole:.2f} ms per step, "
            f"optimizer {optimizer:.2f} ms, {optimizer / whole:.1%}"
        )
    print(f"losses differ by {furthest_apart(runs):.2%} at most, {TOLERANCE:.1%} is allowed")
    if args.plot:
        plot(runs, args.plot)


if __name__ == "__main__":
    main()

"""Checks for the exercises of notebook 05, adversarial adaptation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from labkit.evaluation.receptive_field import Layer, receptive_field
from labkit.exercises.answer import Answer, checked, hint, right

STRIDES = ((2,), (2, 2), (2, 2, 2, 2, 2), (2, 2, 2, 1, 1))
"""The last two: this notebook's discriminator, and the one that CycleGAN shows its pictures to."""


@checked
def check_patch(student: Callable[[Sequence[int]], int]) -> Answer:
    """Exercise 5.1: side of the patch that one answer depends on, from the strides of 4×4 convolutions."""
    given = [student(list(strides)) for strides in STRIDES]
    wanted = [receptive_field(Layer(4, stride) for stride in strides)[-1].size for strides in STRIDES]
    if given[0] is None:
        return hint("The function returns nothing yet. One 4×4 convolution sees 4 pixels; what does the second add?")
    if given == wanted:
        return right("94 pixels for this discriminator. The last is CycleGAN's, which is named by its 70×70 patches.")
    if given == [4 + 3 * (len(strides) - 1) for strides in STRIDES]:
        return hint("Strides are missing: after a stride of 2, neighbouring values are two pixels apart.")
    if given == [math.prod(strides) for strides in STRIDES]:
        return hint("That is how far two neighbouring answers are apart. How much does one of them see?")
    if given[0] != 4:
        return hint(f"A single 4×4 convolution sees 4 pixels, not {given[0]}: its own stride counts for later layers.")
    place = next(index for index, pair in enumerate(zip(given, wanted, strict=True)) if pair[0] != pair[1])
    return hint(f"Wrong for strides {STRIDES[place]}: {given[place]} instead of {wanted[place]}.")


GUESSING = math.log(2)
BEST_OF_TWO = (math.log(2) + math.log1p(math.exp(-1))) / 2


@checked
def check_guessing(guessing: float | None, two: float | None) -> Answer:
    """Exercise 5.2: cross-entropy of a guessing discriminator, and the least that one with two sigmoids can reach."""
    if guessing is None or two is None:
        return hint("Two numbers are wanted. A discriminator that guesses says 0.5, whatever the label.")
    if abs(guessing - 1) < 5e-3:
        return hint("1 is the logarithm to the base 2, one bit. Losses use the natural logarithm.")
    if abs(guessing - 0.5) < 5e-3:
        return hint("0.5 is what it says, and its accuracy. The loss is −log of it.")
    if abs(guessing - GUESSING) > 5e-3:
        return hint("For a guess: y = 1 costs −log 0.5, y = 0 costs −log (1 − 0.5). What is their mean?")
    if abs(two) < 5e-3:
        return hint(
            "0 is what one sigmoid reaches in the limit. With a second one, which numbers can go into the logarithm?"
        )
    if abs(two - math.log1p(math.exp(-1))) < 5e-3:
        return hint("That is the target's half. The source's best answer is the other end of the first sigmoid.")
    if abs(two - 2 * BEST_OF_TWO) < 5e-3:
        return hint("That is the sum over both domains; the discriminator's loss is the mean.")
    if abs(two - BEST_OF_TWO) > 5e-3:
        return hint(
            "The first sigmoid ends between 0 and 1; the second makes σ(0) and σ(1) of these ends. Take −log σ(1) for "
            "the target, −log (1 − σ(0)) for the source, and their mean."
        )
    return right(
        f"log 2 = {GUESSING:.3f} and {BEST_OF_TWO:.3f}. With two sigmoids a perfect discriminator looks hardly better "
        "than a guessing one, and who reads the curve of the loss is misled."
    )


@checked
def check_running(student: Callable[[float, str], float]) -> Answer:
    """Exercise 5.3: the target's share in a running mean, from batch norm's momentum and the order of the forwards."""
    cases = ((0.1, "t"), (0.1, "ts"), (0.1, "s" * 30), (0.1, "st" * 60), (0.3, "sstst" * 5))
    given = [student(momentum, forwards) for momentum, forwards in cases]
    wanted = [_running_mean(momentum, forwards) for momentum, forwards in cases]
    if given[0] is None:
        return hint("The function returns nothing yet. PyTorch: running = (1 − momentum) · running + momentum · batch.")
    if all(abs(a - b) < 1e-4 for a, b in zip(given, wanted, strict=True)):
        return right(
            f"As nn.BatchNorm1d has it. In turns, the target ends with {100 * wanted[3]:.0f} % of what the network "
            "normalises by, although its loss has weight 0."
        )
    if abs(given[0] - 0.9) < 1e-6:
        return hint("PyTorch's momentum is the weight of the new batch, not of the old mean.")
    if abs(given[3] - 0.5) < 1e-6 and abs(given[1] - 0.5) < 1e-6:
        return hint("That counts the forwards. A running mean forgets: late batches weigh more.")
    if abs(given[1] - given[0]) < 1e-6:
        return hint("A source batch after it makes the target's share smaller: both kinds move the mean.")
    place = next(i for i, pair in enumerate(zip(given, wanted, strict=True)) if abs(pair[0] - pair[1]) >= 1e-4)
    momentum, forwards = cases[place]
    return hint(
        f"With momentum {momentum} and forwards {forwards[:8]!r}{'…' if len(forwards) > 8 else ''} PyTorch's running "
        f"mean ends at {wanted[place]:.4f}; your share is {given[place]:.4f}."
    )


def _running_mean(momentum: float, forwards: str) -> float:
    """Of a real batch norm that is given zeros for the source and ones for the target."""
    norm = nn.BatchNorm1d(1, momentum=momentum)
    for domain in forwards:
        norm(torch.full((4, 1), float(domain == "t")))
    return float(norm.running_mean)

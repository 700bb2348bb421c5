"""Checks for the exercises of notebook 02, DeepLabV2 and BiSeNet."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from labkit.evaluation.receptive_field import Layer, receptive_field
from labkit.exercises.answer import Answer, checked, hint, right

STACKS = (
    [Layer(3), Layer(3)],
    [Layer(3, stride=2), Layer(3, stride=2), Layer(3, stride=2)],  # BiSeNet's spatial path
    [Layer(7, stride=2), Layer(3, stride=2), Layer(1), Layer(3, rate=2), Layer(3, rate=24)],
)


@checked
def check_receptive_field(student: Callable[[list[Layer]], int]) -> Answer:
    """Exercise 2.1: side of the receptive field of a chain of layers (kernel, stride, rate)."""
    given = [student(list(stack)) for stack in STACKS]
    wanted = [receptive_field(stack)[-1].size for stack in STACKS]
    if given[0] is None:
        return hint(
            "The function returns nothing yet. Two 3×3 convolutions see 5 pixels: what does the second one add?"
        )
    if given == wanted:
        last = wanted[-1] - receptive_field(STACKS[-1][:-1])[-1].size
        return right(f"Strides multiply what later layers add: a rate of 24 alone adds {last} of {wanted[-1]} pixels.")
    if given[0] != wanted[0]:
        return hint(f"Two 3×3 convolutions with stride 1 see 5 pixels, not {given[0]}: each adds its kernel less one.")
    if given == [_without(stack, stride=True) for stack in STACKS]:
        return hint("Strides are missing: after a stride of 2, neighbouring outputs are two input pixels apart.")
    if given == [_without(stack, rate=True) for stack in STACKS]:
        return hint("Rates are missing: a 3×3 kernel with rate d spans 2d + 1 cells of its input.")
    if given == [_stride_first(stack) for stack in STACKS]:
        return hint("A layer's own stride spreads its outputs, not its taps: it counts for the layers after it.")
    first = next(index for index, pair in enumerate(zip(given, wanted, strict=True)) if pair[0] != pair[1])
    return hint(f"Wrong for {[tuple(layer) for layer in STACKS[first]]}: {given[first]} instead of {wanted[first]}.")


def _without(stack: list[Layer], stride: bool = False, rate: bool = False) -> int:
    return receptive_field(
        layer._replace(stride=1 if stride else layer.stride, rate=1 if rate else layer.rate) for layer in stack
    )[-1].size


def _stride_first(stack: list[Layer]) -> int:
    size = jump = 1
    for layer in stack:
        jump *= layer.stride
        size += (layer.kernel - 1) * layer.rate * jump
    return size


@checked
def check_parameters(student: Callable[[int, int, int, bool], int]) -> Answer:
    """Exercise 2.2: number of parameters of a convolution from its input and output channels, kernel and bias."""
    cases = ((3, 64, 3, False), (2048, 19, 3, True), (512, 1000, 1, True))
    given = [student(*case) for case in cases]
    wanted = [
        sum(p.numel() for p in nn.Conv2d(inputs, outputs, kernel, bias=bias, device="meta").parameters())
        for inputs, outputs, kernel, bias in cases
    ]
    if given[0] is None:
        return hint("The function returns nothing yet. Each output channel has one kernel for each input channel.")
    if given == wanted:
        return right("And the last case, 512 to 1000 with bias, is the ResNet's unused classifier: 513,000.")
    if given[0] == 3 * 64 * 3:
        return hint("A kernel of 3 has 3 × 3 weights: the side counts twice.")
    if given[0] == 3 * 64 * 9 and given[1] == 2048 * 19 * 9:
        return hint("Right without a bias. With one, each output channel has one number more.")
    if given[1] == wanted[1] - 19 + 2048:
        return hint("The bias belongs to the output channels, not to the input channels.")
    if given[0] == 3 * 64 * 9 + 64:
        return hint("The first case has no bias (the batch norm after it has a shift of its own).")
    place = next(index for index, pair in enumerate(zip(given, wanted, strict=True)) if pair[0] != pair[1])
    return hint(f"For {cases[place]} you count {given[place]:,} parameters, PyTorch {wanted[place]:,}.")


@checked
def check_silent(student: Callable[[nn.Module, Tensor], Collection[str]]) -> Answer:
    """Exercise 2.3: names of the parameters that the output of a module does not depend on."""
    maps = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    given = student(_Pyramid(2), maps.clone())
    if given is None:
        return hint("The function returns nothing yet. After `.backward()`, what is `.grad` of an unused parameter?")
    given = set(given)
    silent = {f"branches.{place}.{name}" for place in (2, 3) for name in ("weight", "bias")}
    if not all(isinstance(name, str) for name in given):
        return hint("Names are wanted: `module.named_parameters()` gives them along with the parameters.")
    if given == {f"branches.{place}.{name}" for place in range(4) for name in ("weight", "bias")}:
        return hint("These are all parameters. Was `.backward()` called, on a scalar, before the gradients were read?")
    if given == {f"branches.{place}.{name}" for place in (0, 1) for name in ("weight", "bias")}:
        return hint("These are the ones that do have a gradient; the others are wanted.")
    if given != silent:
        return hint(
            f"For a pyramid that sums two of four, wanted are {', '.join(sorted(silent))}. A gradient that is None "
            "was never computed; one that is zero was."
        )
    if wrong := set(student(_Pyramid(4), maps.clone())):
        return hint(f"The right pyramid uses all four, but you report {', '.join(sorted(wrong))}.")
    if wrong := set(student(_Pyramid(4, zero=True), maps.clone())):
        return hint(f"Used, but with a gradient of zero: {', '.join(sorted(wrong))}. Ask whether it is None.")
    return right(
        "Run it once on every network that you copy: dead weights raise no error, and are saved with the rest."
    )


class _Pyramid(nn.Module):
    """Sums the first ``used`` of four branches; ``zero`` multiplies the others by zero instead of leaving them out."""

    def __init__(self, used: int, zero: bool = False):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(8, 3, 3, padding=rate, dilation=rate) for rate in (1, 2, 3, 4))
        self.used, self.zero = used, zero

    def forward(self, maps: Tensor) -> Tensor:
        if self.zero:
            return self.branches[0](maps) + 0 * sum(branch(maps) for branch in self.branches[1:])
        return sum(branch(maps) for branch in self.branches[: self.used])


PICTURES, BATCH, EPOCHS, FIRST_RATE, POWER = 2975, 4, 50, 2.5e-2, 0.9


@checked
def check_schedule(steps: int | None, rate: float | None) -> Answer:
    """Exercise 2.4: optimiser steps of the paper's training of BiSeNet, and the learning rate after half of them."""
    if steps is None or rate is None:
        return hint("Two numbers are wanted: steps = pictures / batch × epochs, and α₀ (1 − t/T)^p at t = T/2.")
    per_epoch = (PICTURES // BATCH, PICTURES / BATCH, -(-PICTURES // BATCH))
    if not any(abs(steps - EPOCHS * number) < 1 for number in per_epoch):
        if any(abs(steps - number) < 1 for number in per_epoch):
            return hint("That is one epoch; the paper trains 50.")
        if steps == PICTURES * EPOCHS:
            return hint("That is the number of pictures that pass by. How many are in one step?")
        if steps == 300:
            return hint(
                "300 is what the paper prints as max_iter. How many batches of 4 are 50 epochs of 2975 pictures?"
            )
        return hint("An epoch sees each of the 2975 pictures once, four in a step; there are 50 epochs.")
    wanted = FIRST_RATE * 0.5**POWER
    if abs(rate - wanted) < 5e-5:
        return right(f"{steps:,.0f} steps, and α = {wanted:.4f} at half time: slightly more than half the first rate.")
    if abs(rate - 0.5**POWER) < 2e-3:
        return hint("That is the factor. The learning rate is this times the first one, 0.025.")
    if abs(rate - FIRST_RATE / 2) < 5e-5:
        return hint("Half the first rate would be a straight line, p = 1. The paper has p = 0.9.")
    return hint("At t = T/2 the bracket is 1/2; raise it to the power 0.9, then multiply by 0.025.")

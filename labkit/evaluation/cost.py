"""What a network costs: parameters, multiply-adds, and the time of one picture.

The convention of the multiply-adds, under which both networks of baitan2025 (Table 1) come out as printed there as
"FLOPs" (25.78 G and 375 G at 512×1024), is the one of the widespread counters for inference:

- a convolution: one for each weight that meets an output value, biases free;
- batch norm in evaluation mode, a scale and a shift: 2 for each value (1 without its affine part);
- bilinear resizing: 4 for each output value, one for each of the neighbours that it mixes;
- all else (ReLU, sigmoid, pooling, means, sums, products, concatenation): nothing.

One multiply-add is one multiplication *and* one addition. Who counts both writes twice the number. Heads that only run
in training take no part in the count, although their parameters do: BiSeNet has two, DeepLabV3 one.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from labkit.data.transforms import layout

TIME_BUDGET = 5.0
"""Seconds that the timed passes of a latency should take, if their number is not given."""

FEWEST, MOST = 3, 100
"""Timed passes, at least and at most, if their number is not given."""


class Parameters(NamedTuple):
    """Numbers of parameters.

    Attributes:
        live: those that the network has, heads that only run in training included.
        published: those that the paper counted; more if it counted some that nothing ever calls.
    """

    live: int
    published: int


class Latency(NamedTuple):
    """Time of one forward pass, in milliseconds.

    Attributes:
        mean: over all timed passes.
        std: sample standard deviation (n − 1); NaN with one pass.
        repeats: number of timed passes.
    """

    mean: float
    std: float
    repeats: int


def count_parameters(model: nn.Module) -> Parameters:
    """Live and published parameters; the difference is the class's ``UNUSED_PUBLISHED_PARAMETERS``, else 0."""
    live = sum(parameter.numel() for parameter in model.parameters())
    return Parameters(live, live + getattr(model, "UNUSED_PUBLISHED_PARAMETERS", 0))


def multiply_adds(model: nn.Module, size: tuple[int, int]) -> dict[str, int]:
    """Multiply-adds of ``model`` for one picture, by kind: ``convolution``, ``batch norm``, ``bilinear``.

    Only shapes are computed, on torch's meta device, wherever the model is. It is left in evaluation mode.

    Args:
        model: a network of 2D convolutions for images ``(N, 3, H, W)``; matrix products are not counted.
        size: height and width of the picture in pixels.
    """
    model.eval()
    tensors = itertools.chain(model.named_parameters(), model.named_buffers())
    shapes = {name: tensor.detach().to("meta") for name, tensor in tensors}
    images = torch.empty(1, 3, *size, device="meta")
    with torch.no_grad(), _Counter() as counter:
        torch.func.functional_call(model, shapes, images)
    return counter.counts


class _Counter(TorchFunctionMode):
    """Counts as functions are called, modules' and others' alike: bilinear resizing has no module in our networks."""

    def __init__(self):
        super().__init__()
        self.counts = {"convolution": 0, "batch norm": 0, "bilinear": 0}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func is F.conv2d:
            weight = _argument(args, kwargs, 1, "weight")
            self.counts["convolution"] += output.numel() * weight[0].numel()
        elif func is F.conv_transpose2d:
            maps, weight = _argument(args, kwargs, 0, "input"), _argument(args, kwargs, 1, "weight")
            self.counts["convolution"] += maps.numel() * weight[0].numel()
        elif func is F.batch_norm:
            affine = _argument(args, kwargs, 3, "weight") is not None
            self.counts["batch norm"] += output.numel() * (2 if affine else 1)
        elif func is F.interpolate and _argument(args, kwargs, 3, "mode") == "bilinear":
            self.counts["bilinear"] += output.numel() * 4
        return output


def _argument(args: tuple, kwargs: dict, position: int, name: str):
    return args[position] if len(args) > position else kwargs.get(name)


def measure_latency(
    model: nn.Module, size: tuple[int, int], device: torch.device, repeats: int | None = None
) -> Latency:
    """Time of one forward pass for one picture of ``size``, batch 1, evaluation mode, without gradients.

    The first passes (memory, choice of algorithms, clocks that speed up) are not counted. An accelerator works
    after the call has returned, so each pass is timed from an idle device to an idle device. Numbers are float32;
    NVIDIA's cards since Ampere compute convolutions in TF32.

    Args:
        model: a network for images ``(N, 3, H, W)``; moved to ``device``, and left in evaluation mode.
        size: height and width of the picture in pixels.
        device: where to compute.
        repeats: timed passes, at least 1; without it as many as fit into some seconds, 3 to 100.
    """
    model.eval().to(device=device, memory_format=layout(device))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, *size, generator=generator).to(device).contiguous(memory_format=layout(device))
    with torch.inference_mode():
        return time_of(lambda: model(images), device, repeats)


def time_of(work: Callable[[], object], device: torch.device, repeats: int | None = None) -> Latency:
    """Time of one call of ``work`` on ``device``; the first calls are not counted. See :func:`measure_latency`."""
    for _ in range(1 if device.type == "cpu" else 10):
        seconds = _seconds(work, device)
    if repeats is None:
        repeats = min(max(int(TIME_BUDGET / max(seconds, 1e-6)), FEWEST), MOST)
    times = [1000 * _seconds(work, device) for _ in range(repeats)]
    return Latency(statistics.fmean(times), statistics.stdev(times) if repeats > 1 else float("nan"), repeats)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given; a CPU has by the time that a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()

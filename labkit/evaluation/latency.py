"""Single passes by the clock, the wrong ways included; for the right one see :mod:`labkit.evaluation.cost`."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn

from labkit.data.transforms import layout
from labkit.evaluation.cost import wait_for


def timed_passes(
    model: nn.Module, size: tuple[int, int], device: torch.device, passes: int, *, wait: bool = True
) -> np.ndarray:
    """Milliseconds of each of the *first* ``passes`` forward passes, without any warm-up: float64 ``(passes,)``.

    Batch 1, evaluation mode, float32, without gradients. The model is moved to ``device`` and left in evaluation mode.

    Args:
        model: a network for images ``(N, 3, H, W)``.
        size: height and width of the picture in pixels.
        device: where to compute.
        passes: how many.
        wait: until the device has finished a pass. Without it an accelerator's times are those of handing the work
            over; a CPU has done the work when a call returns.
    """
    model.eval().to(device=device, memory_format=layout(device))
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    images = images.to(device).contiguous(memory_format=layout(device))
    times = np.empty(passes)
    with torch.inference_mode():
        for index in range(passes):
            wait_for(device)
            start = time.perf_counter()
            model(images)
            if wait:
                wait_for(device)
            times[index] = 1000 * (time.perf_counter() - start)
    wait_for(device)
    return times

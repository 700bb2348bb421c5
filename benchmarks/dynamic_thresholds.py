"""Class-level dynamic thresholds on the CPU: labkit's beside eq. (9) of yan2022 as printed; a JSON object a line.

As printed is a mask and a descending sort for each class. Both get the confidence and the arg-max of one 512×1024
picture's 19 probabilities (``argmax_ms`` is what these cost) and must find the same thresholds, to the bit. They take
turns, and medians count, as the machine may be busy with something else: first with one thread, then with PyTorch's
default number. The long tail of classes and the share of confident pixels are invented; they hardly matter.

python benchmarks/dynamic_thresholds.py [--size HxW] [--classes N] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time

import numpy as np
import torch
from torch import Tensor

from labkit.losses.thresholds import sample_thresholds

B, D, START = 0.8, 8.0, 0.8


def example(classes: int, height: int, width: int) -> Tensor:
    """Probabilities of regions with noise, the classes from frequent to rare."""
    generator = torch.Generator().manual_seed(0)
    coarse = 4 * torch.randn(1, classes, height // 16, width // 16, generator=generator)
    coarse += torch.linspace(5, -5, classes)[:, None, None]
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return (smooth + 0.3 * torch.randn(smooth.shape, generator=generator)).softmax(dim=1)


def as_printed(confidence: Tensor, prediction: Tensor, previous: Tensor, b: float, d: float) -> Tensor:
    """Eq. (9) of yan2022, word for word."""
    thresholds = previous.clone()
    for c, alpha in enumerate(previous.tolist()):
        descending = confidence[prediction == c].sort(descending=True).values
        if len(descending):
            index = max(math.floor(b * math.exp(alpha - 1) ** d * len(descending)), 1)
            thresholds[c] = descending[index - 1]
    return thresholds


def milliseconds(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return 1000 * (time.perf_counter() - start), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512x1024", help="height x width")
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--repeats", type=int, default=15, help="of which the medians count")
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    default = torch.get_num_threads()
    probabilities = example(arguments.classes, height, width)
    previous = torch.full((arguments.classes,), START)
    for threads in dict.fromkeys((1, default)):
        torch.set_num_threads(threads)
        argmax, ours, printed = [], [], []
        for _ in range(arguments.repeats + 1):
            taken, (confidence, prediction) = milliseconds(torch.max, probabilities, 1)
            argmax.append(taken)
            picture = confidence[0], prediction[0], previous, B, D
            taken, found = milliseconds(sample_thresholds, *picture)
            ours.append(taken)
            taken, expected = milliseconds(as_printed, *picture)
            printed.append(taken)
            if not torch.equal(found, expected):
                raise SystemExit("the thresholds differ")
        # the first round warms up and does not count
        argmax, ours, printed = (statistics.median(readings[1:]) for readings in (argmax, ours, printed))
        counts = prediction.flatten().bincount(minlength=arguments.classes)
        line = {
            "size": [height, width],
            "classes": arguments.classes,
            "classes_present": int((counts > 0).sum()),
            "confident_share": round((confidence > START).float().mean().item(), 2),
            "threads": threads,
            "argmax_ms": round(argmax, 2),
            "ms": round(ours, 2),
            "ms_as_printed": round(printed, 2),
            "ratio": round(printed / ours, 1),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

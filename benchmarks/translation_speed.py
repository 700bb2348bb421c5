"""Methods that translate pictures, on a CUDA device with the papers' networks: speed and memory; one JSON object.

Training steps of CycleGAN and of toldo2020's whole objective, batch 1, DeepLabV3+ on MobileNetV2, at 256×512 and at
toldo2020's 600×600 patches, after a warm-up; memory is the most that was allocated.

python benchmarks/translation_speed.py [--steps N] [--sizes HxW,HxW]
"""

from __future__ import annotations

import argparse
import json

import torch
from gpu_speed import WARM_UP, timed_steps

from labkit.data.catalog import open_dataset
from labkit.data.memory import InMemory
from labkit.methods.registry import create_method
from labkit.training.provenance import environment
from labkit.training.recipe import Recipe

PRECISIONS = ("32-true", "bf16-mixed")


def measure(settings: dict, method: str, precision: str, pictures: dict[str, InMemory], steps: int) -> dict:
    """Speed and memory; every step trains everything that the method has."""
    recipe = Recipe(steps=WARM_UP + steps, batch_size=1, evaluate_every=0, optimizer="adam", learning_rate=1e-5)
    return timed_steps("deeplabv3plus", create_method(method, **settings), recipe, pictures, precision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15, help="timed training steps")
    parser.add_argument("--sizes", default="256x512,600x600", help="heights x widths of the pictures")
    arguments = parser.parse_args()
    if not torch.cuda.device_count():  # asks the driver; CUDA itself is not begun before processes are forked
        print(json.dumps({"not measured": "no CUDA device"}))
        return
    found = {}
    methods = {
        "cyclegan, translation": ("cyclegan", "translation_steps", 10**6),
        "udamobile, all": ("udamobile", "frozen_steps", 0),
    }
    streams = {"source": "minicity-game", "target": "minicity-real"}
    sizes = [tuple(map(int, size.split("x"))) for size in arguments.sizes.split(",")]
    drawn = {
        size: {stream: InMemory(open_dataset(name, "train", size, count=8)) for stream, name in streams.items()}
        for size in sizes
    }
    for pictures in drawn.values():
        for dataset in pictures.values():
            dataset.fill(8)  # before this process uses the GPU
    for size, pictures in drawn.items():
        for title, (method, phase, steps) in methods.items():
            for precision in PRECISIONS:
                key = f"{title}, {size[0]}x{size[1]}, {precision}"
                found[key] = measure({phase: steps}, method, precision, pictures, arguments.steps)
    print(
        json.dumps({"training": found, "environment": environment(torch.device("cuda"), "each by its name")}, indent=1)
    )


if __name__ == "__main__":
    main()

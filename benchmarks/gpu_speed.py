"""Both networks of baitan2025 on a CUDA device at 512×1024: training, memory and inference; one JSON object.

Training is the real loop on pictures in memory, augmented (jitter, blur), after a warm-up; memory is the most that was
allocated. Inference is a forward pass of one picture, with and without ``torch.compile``, in float32 and bf16.

python benchmarks/gpu_speed.py [--steps N] [--size HxW] [--batch N,N]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from labkit.data.catalog import open_dataset
from labkit.data.memory import InMemory
from labkit.evaluation.cost import measure_latency
from labkit.labels import NUM_CLASSES
from labkit.methods.registry import create_method
from labkit.models.registry import create_model
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.method import Method
from labkit.training.provenance import environment
from labkit.training.recipe import Recipe

NETWORKS = ("bisenet", "deeplabv2")
PRECISIONS = ("bf16-mixed", "16-mixed", "32-true")
WARM_UP = 5


def training(network: str, batch: int, precision: str, pictures: InMemory, steps: int) -> dict[str, float | str]:
    """Speed and memory of a source-only training."""
    recipe = Recipe(steps=WARM_UP + steps, batch_size=batch, jitter=0.5, blur=0.5, evaluate_every=0)
    return timed_steps(network, create_method("source-only"), recipe, {"source": pictures}, precision)


def timed_steps(
    network: str, method: Method, recipe: Recipe, pictures: dict[str, InMemory], precision: str
) -> dict[str, float | str]:
    """Steps after the warm-up: pictures a second, milliseconds a step, the most memory in GiB.

    The error's first line where the card is too small.
    """
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        fabric = make_fabric(precision, "cuda")
        model = create_model(network, num_classes=NUM_CLASSES, seed=0)
        going = Trainer(fabric, model, method, recipe, pictures, 0).run()
        for _ in range(WARM_UP):
            next(going)
        torch.cuda.synchronize()
        start = time.perf_counter()
        steps = sum(1 for _ in going)
        torch.cuda.synchronize()
    except torch.OutOfMemoryError as error:
        return {"error": str(error).splitlines()[0]}
    seconds = time.perf_counter() - start
    return {
        "pictures_per_second": round(recipe.batch_size * steps / seconds, 1),
        "milliseconds_per_step": round(1000 * seconds / steps, 1),
        "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def inference(model: nn.Module, size: tuple[int, int], compiled: bool, half: bool) -> dict[str, float]:
    """Milliseconds of a pass, mean and standard deviation, as ``labkit cost`` measures them."""
    if compiled:
        model = torch.compile(model)
    with torch.autocast("cuda", torch.bfloat16, enabled=half):
        latency = measure_latency(model, size, torch.device("cuda"))
    return {"milliseconds": round(latency.mean, 3), "deviation": round(latency.std, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="timed training steps")
    parser.add_argument("--size", default="512x1024", help="height x width of the pictures")
    parser.add_argument("--batch", default="4,16", help="pictures in a step")
    arguments = parser.parse_args()
    if not torch.cuda.device_count():  # asks the driver; CUDA itself is not begun before processes are forked
        print(json.dumps({"not measured": "no CUDA device"}))
        return
    height, width = map(int, arguments.size.split("x"))
    pictures = InMemory(open_dataset("minicity-game", "train", (height, width), count=32))
    pictures.fill(8)  # before this process uses the GPU
    found: dict[str, dict] = {"training": {}, "inference": {}}
    for network in NETWORKS:
        for batch in map(int, arguments.batch.split(",")):
            for precision in PRECISIONS:
                key = f"{network}, batch {batch}, {precision}"
                found["training"][key] = training(network, batch, precision, pictures, arguments.steps)
        for compiled in (False, True):
            for half in (False, True):
                key = f"{network}, {'bf16' if half else 'float32'}, {'compiled' if compiled else 'not compiled'}"
                model = create_model(network, num_classes=NUM_CLASSES, seed=0).eval().cuda()
                found["inference"][key] = _or_error(partial(inference, model, (height, width), compiled, half))
    found |= {"size": [height, width], "environment": environment(torch.device("cuda"), "each by its name")}
    print(json.dumps(found, indent=1))


def _or_error(measure: Callable[[], dict]) -> dict:
    try:
        return measure()
    except Exception as error:  # a compiler that is not there must not cost the other readings
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


if __name__ == "__main__":
    main()

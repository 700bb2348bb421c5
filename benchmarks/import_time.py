"""Seconds that importing labkit adds to importing torch: one JSON object a line, by module.

Each reading is a fresh process that imports torch first; the median of several is printed, and torch's own beside it.

python benchmarks/import_time.py [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version

MODULES = ("labkit", "labkit.cli", "labkit.lab", "labkit.plots", "labkit.training.experiment", "lightning_fabric")
PROGRAM = """
import sys, time
start = time.perf_counter()
import torch
middle = time.perf_counter()
__import__(sys.argv[1])
print(middle - start, time.perf_counter() - middle)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    readings: dict[str, list[tuple[float, float]]] = {module: [] for module in MODULES}
    for _ in range(repeats + 1):  # the first round fills the disk's cache and does not count
        for module in MODULES:
            command = [sys.executable, "-c", PROGRAM, module]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            readings[module].append(tuple(map(float, output.split())))
    torch = statistics.median(reading[0] for module in MODULES for reading in readings[module][1:])
    for module in MODULES:
        extra = statistics.median(reading[1] for reading in readings[module][1:])
        line = {
            "module": module,
            "extra_seconds": round(extra, 3),
            "torch_seconds": round(torch, 3),
            "ratio": round(extra / torch, 4),
            "torch": version("torch"),
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

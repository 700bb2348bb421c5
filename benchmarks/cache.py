"""The same batches from 2048×1024 PNG files and from a cache at training size, in one run; one JSON object.

MiniCity is written in GTA5's format and cached; then one loader process delivers the same batches from either. Both
have to give the same pixels. The files are in the system's cache both times: the difference is decoding and resizing.

python benchmarks/cache.py [--pictures N] [--size HxW] [--batches N] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch

from labkit.data.cache import build, open_cache
from labkit.data.dataset import SegmentationDataset
from labkit.data.export import make
from labkit.data.gta5 import GTA5
from labkit.training.streams import batches

BATCH_SIZE = 4


def deliver(dataset: SegmentationDataset, number: int) -> tuple[float, list[torch.Tensor]]:
    """Seconds that ``number`` batches took from the first one's arrival on, and the last one."""
    stream = batches(dataset, BATCH_SIZE, seed=0, first=0, last=number + 1, workers=1)
    next(stream)  # starting the process is not counted
    start = time.perf_counter()
    for batch in stream:
        last = batch
    return time.perf_counter() - start, [last[0], last[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--size", default="512x1024", help="of training")
    parser.add_argument("--batches", type=int, default=6, help="that are timed from the PNG files; more from the cache")
    parser.add_argument("--repeats", type=int, default=5, help="of which the medians count")
    arguments = parser.parse_args()
    size = tuple(map(int, arguments.size.split("x")))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        source, cache = Path(folder) / "gta5", Path(folder) / "cache"
        make(source, "game", "gta5", arguments.pictures, (1024, 2048))
        start = time.perf_counter()
        report = build(str(source), cache, size)
        building = time.perf_counter() - start
        files, cached = GTA5(source, "all", size), open_cache(cache, "all")
        slow, fast = [], []
        for _ in range(arguments.repeats):  # in turn, as the machine may be busy with something else
            seconds, expected = deliver(files, arguments.batches)
            slow.append(seconds / arguments.batches)
            _, delivered = deliver(cached, arguments.batches)
            assert all(map(torch.equal, expected, delivered))
            fast.append(deliver(cached, 10 * arguments.batches)[0] / (10 * arguments.batches))
    per_batch = statistics.median(slow), statistics.median(fast)
    line = {
        "pictures": report.pictures,
        "size": list(size),
        "batch_size": BATCH_SIZE,
        "ms_per_batch_png": round(1000 * per_batch[0], 1),
        "ms_per_batch_cache": round(1000 * per_batch[1], 1),
        "ratio": round(per_batch[0] / per_batch[1], 1),
        "build_seconds": round(building, 2),
        "cache_mib": round(report.bytes / 2**20, 1),
        "cores": os.cpu_count(),
        "pillow": version("pillow"),
        "torch": version("torch"),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""How many MiniCity pictures one core draws in a second: one JSON object a line, by style and size.

Drawing uses one thread. ``images_per_cpu_second`` counts processor time, for busy machines.

python benchmarks/minicity_speed.py [--count N]
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import numpy as np

from labkit.data.minicity import STYLES, VERSION, MiniCity

SIZES = ((96, 192), (128, 256), (256, 512), (512, 1024), (1024, 2048))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="pictures at 128×256; fewer at larger sizes")
    count = parser.parse_args().count
    for size in SIZES:
        number = max(3, min(count, count * 128 * 256 // (size[0] * size[1])))
        for style in STYLES:
            city = MiniCity(style, "train", size, number + 1)
            city[number]  # the noise tiles and shapes are made once
            wall, cpu = time.perf_counter(), time.process_time()
            for index in range(number):
                city[index]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            line = {
                "style": style,
                "size": list(size),
                "images": number,
                "images_per_second": round(number / wall, 1),
                "images_per_cpu_second": round(number / cpu, 1),
                "version": VERSION,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

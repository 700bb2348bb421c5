"""How fast both networks of baitan2025 train and answer on a data-centre card, as it was measured, with provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labkit.files import read_json
from labkit.papers import load
from labkit.report.results import RESULTS
from labkit.report.tables import Noted, Words

NETWORKS = {"deeplabv2": "DeepLabV2", "bisenet": "BiSeNet"}
PRECISIONS = {"32-true": "float32", "bf16-mixed": "bf16", "16-mixed": "fp16"}


def training_speed(folder: Path = RESULTS) -> Noted | Words:
    """Pictures a second and memory of training steps, by network, batch and precision; words if not measured."""
    import pandas

    measured = card_speed(folder)
    if measured is None:
        return _nothing()
    rows = {}
    for name, title in NETWORKS.items():
        for key, found in measured["training"].items():
            network, batch, precision = key.split(", ")
            if network == name:
                rows[f"{title}, {batch}, {PRECISIONS[precision]}"] = (
                    {"pictures/s": found["error"], "ms a step": "–", "memory, GiB": "–"}
                    if "error" in found
                    else {
                        "pictures/s": f"{found['pictures_per_second']:.0f}",
                        "ms a step": f"{found['milliseconds_per_step']:.1f}",
                        "memory, GiB": f"{found['memory_gib']:.1f}",
                    }
                )
    return Noted(pandas.DataFrame.from_dict(rows, orient="index"), f"Recorded: {origin(measured)}.")


def inference_speed(folder: Path = RESULTS) -> Noted | Words:
    """Milliseconds of a forward pass by precision, compiled or not, below the paper's; words if not measured."""
    import pandas

    measured = card_speed(folder)
    if measured is None:
        return _nothing()
    printed = load("baitan2025", "table1")
    latencies = {
        "paper, 512×1024, no device named": {
            title: (printed.loc[title, "latency"], printed.loc[title, "latency std"]) for title in NETWORKS.values()
        }
    }
    card = measured["environment"]["hardware"]
    for key, found in measured["inference"].items():
        network, precision, compiled = key.split(", ")
        title = f"{card}, {precision}{', compiled' if compiled == 'compiled' else ''}"
        latencies.setdefault(title, {})[NETWORKS[network]] = (
            None if "error" in found else (found["milliseconds"], found["deviation"])
        )
    rows = {
        title: {f"{name}, ms": "–" if one[name] is None else "{:.1f} ± {:.1f}".format(*one[name]) for name in one}
        | {"ratio": "–" if None in one.values() else f"{one['DeepLabV2'][0] / one['BiSeNet'][0]:.1f}"}
        for title, one in latencies.items()
    }
    columns = [*(f"{title}, ms" for title in NETWORKS.values()), "ratio"]
    return Noted(pandas.DataFrame.from_dict(rows, orient="index")[columns], f"Recorded: {origin(measured)}.")


def card_speed(folder: Path = RESULTS) -> dict[str, Any] | None:
    """What ``benchmarks/gpu_speed.py`` has measured, as it wrote it; None if there is nothing."""
    path = folder / "gpu_speed.json"
    return read_json(path) if path.is_file() else None


def _nothing() -> Words:
    return Words("The speed on a data-centre card has not been recorded: benchmarks/gpu_speed.py measures it.")


def origin(measured: dict[str, Any]) -> str:
    """Where the measurements come from, in words without a full stop."""
    environment, (height, width) = measured["environment"], measured["size"]
    return (
        f"benchmarks/gpu_speed.py, {height}×{width}; one {environment['hardware']}, "
        f"PyTorch {environment['packages']['torch']}, commit {environment['commit']}, {environment['date']}"
    )

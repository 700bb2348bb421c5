"""Recorded results: the outcome of a sweep as one JSON file with its provenance, and how a page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import labkit
from labkit.files import read_json, write_json
from labkit.profiles import pair_named
from labkit.report.tables import Noted, Words

if TYPE_CHECKING:
    import pandas

RESULTS = Path(labkit.__file__).parents[1] / "results"
"""The recorded results of a checkout; an installed package has none."""


def record(outcome: dict[str, Any], folder: Path) -> Path:
    """Write a sweep's outcome under ``folder``; one file for each sweep, pair and profile."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome['sweep']}.{outcome['pair']}.{outcome['profile']}.json"
    write_json(path, outcome)
    return path


def load_results(name: str, pair: str, profile: str = "mini", folder: Path = RESULTS) -> dict[str, Any] | None:
    """A recorded sweep, or None if there is none."""
    path = folder / f"{name}.{pair_named(pair).name}.{profile}.json"
    return read_json(path) if path.is_file() else None


def seeds_table(outcome: dict[str, Any]) -> pandas.DataFrame:
    """Mean ± standard deviation over seeds (sample deviation, n − 1), in percent, one row an experiment."""
    import pandas

    def spread(values: list[float | None]) -> str:
        if None in values:
            return "–"
        deviation = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        return f"{100 * np.mean(values):.1f}{deviation}"

    rows = {
        row["name"]: {
            f"mIoU %, {outcome['data']}": spread(row["miou"]),
            "best*": spread(row["miou_best"]),
            "single seeds": ", ".join(f"{100 * value:.1f}" for value in row["miou"]),
        }
        for row in outcome["rows"]
    }
    return pandas.DataFrame.from_dict(rows, orient="index")


def provenance(outcome: dict[str, Any]) -> str:
    """Where a recorded sweep comes from, in a sentence."""
    env, report = outcome["environment"], outcome["report"]
    height, width = outcome["size"]
    seeds = ", ".join(map(str, outcome["seeds"]))
    return (
        f"Recorded {env['date']} on {env['hardware']} ({env['precision']}), commit {env['commit']}: profile "
        f"{outcome['profile']}, {outcome['steps']} steps at {height}×{width}, seeds {seeds}; "
        f"scored on {report['images']} pictures of {report['data']} {report['split']}. *Best: {outcome['selection']}."
    )


def recorded_seeds(name: str, pair: str, profile: str = "mini"):
    """A recorded sweep as a table with its provenance below; words if it has not been recorded."""
    outcome = load_results(name, pair, profile)
    if outcome is None:
        return Words(f"{name} has not been recorded on {pair_named(pair).title} with the profile {profile}.")
    return Noted(seeds_table(outcome), provenance(outcome))

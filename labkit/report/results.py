"""Recorded results: the outcome of a sweep as one JSON file with its provenance, and how a page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import labkit
from labkit.errors import LabError
from labkit.files import read_json, write_json
from labkit.profiles import pair_named
from labkit.report.tables import Noted, Words

if TYPE_CHECKING:
    import pandas

_HOME = Path(labkit.__file__).parent
RESULTS = _HOME / "recorded" if (_HOME / "recorded").is_dir() else _HOME.parent / "results"
"""The recorded results: those that the wheel carries, in a checkout the folder ``results``."""

_NEEDED = {"pair", "data", "profile", "size", "steps", "seeds", "report", "rows", "environment"}


def record(outcome: dict[str, Any], folder: Path) -> Path:
    """Write a sweep's outcome under ``folder``; one file for each sweep, pair and profile.

    Raises:
        LabError: rows that were recorded before would be lost with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome['sweep']}.{outcome['pair']}.{outcome['profile']}.json"
    before = [row["name"] for row in read_json(path).get("rows", ())] if path.is_file() else []
    if lost := [name for name in before if name not in {row["name"] for row in outcome["rows"]}]:
        raise LabError(
            f"{path} has recorded rows that are not among the new ones: {', '.join(lost)}. "
            "Record the whole sweep (its finished trainings are found), or these rows into another folder"
        )
    write_json(path, outcome)
    return path


def load_results(name: str, pair: str, profile: str = "mini", folder: Path = RESULTS) -> dict[str, Any] | None:
    """A recorded sweep, or None if there is none."""
    path = folder / f"{name}.{pair_named(pair).name}.{profile}.json"
    return read_json(path) if path.is_file() else None


def all_results(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Every recorded sweep of a folder, by file name; other files, and a folder that is not there, count for nothing.

    Raises:
        LabError: a file is damaged or incomplete, by name.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        outcome = read_json(path)
        if not isinstance(outcome, dict) or "sweep" not in outcome:
            continue
        if absent := sorted(_NEEDED - set(outcome)):
            raise LabError(
                f"{path}: a recorded sweep without {', '.join(absent)}; record it again (labkit sweep --record)"
            )
        found.append(outcome)
    return found


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

"""Tables 5 and 7 of baitan2025 and ours: focal loss with SGD and with Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labkit.papers import load
from labkit.report.curves import about, drawn_curves
from labkit.report.results import load_results, provenance, recorded_seeds, seeds_table
from labkit.report.spread import deviation, percent_text
from labkit.report.tables import Noted, Words

if TYPE_CHECKING:
    import pandas

TABLES = {"SGD": "table5", "Adam": "table7"}
"""The table of each optimiser."""


def _title(optimizer: str, gamma: str) -> str:
    return f"{optimizer}, γ = {gamma}"


def published_focal() -> pandas.DataFrame:
    """Both tables as one, a row for each optimiser and γ, as printed."""
    import pandas

    parts = []
    for optimizer, table in TABLES.items():
        rows = load("baitan2025", table)
        parts.append(rows.rename(index=lambda gamma, optimizer=optimizer: _title(optimizer, gamma)))
    found = pandas.concat(parts).rename_axis(index=None)
    found.columns.name = "GTA5 → Cityscapes, %, as printed"
    return found


def _recorded(pair: str, profile: str) -> dict[str, dict] | None:
    """The outcome of each optimiser's sweep, or None if one is missing."""
    outcomes = {name: load_results(f"baitan2025.{table}", pair, profile) for name, table in TABLES.items()}
    return None if None in outcomes.values() else outcomes


def _rows(outcomes: dict[str, dict]) -> dict[str, dict]:
    return {_title(name, row["name"]): row for name, outcome in outcomes.items() for row in outcome["rows"]}


def focal_seeds(pair: str, profile: str = "mini") -> Noted | Words:
    """Our recorded trainings: last and best as mean ± standard deviation over seeds, the best's step, provenance."""
    outcomes = _recorded(pair, profile)
    if outcomes is None:
        name = next(table for table in TABLES.values() if load_results(f"baitan2025.{table}", pair, profile) is None)
        return recorded_seeds(f"baitan2025.{name}", pair, profile)
    rows = _rows(outcomes)
    first, second = outcomes.values()
    table = seeds_table(first | {"rows": [row | {"name": title} for title, row in rows.items()]})
    steps = {title: row.get("best_step") for title, row in rows.items()}
    if all(steps.values()):
        table.insert(2, "step of the best", [", ".join(map(str, values)) for values in steps.values()])
    if not any(None in row["miou_best"] for row in rows.values()):
        table.insert(2, "best less last", [_lost(row) for row in rows.values()])
    note = provenance(first)
    if provenance(second) != note:
        note = f"SGD: {note} Adam: {provenance(second)}"
    return Noted(table, note)


def _lost(row: dict) -> str:
    """Points between best and last, each seed on its own."""
    return percent_text(np.array(row["miou_best"]) - np.array(row["miou"]))


def focal_figure(pair: str, profile: str = "mini"):
    """Last and best of our recorded trainings, means over seeds; words if they have not been recorded."""
    from labkit import plots

    outcomes = _recorded(pair, profile)
    if outcomes is None:
        return focal_seeds(pair, profile)
    rows = {title: row for title, row in _rows(outcomes).items() if None not in row["miou_best"]}
    results = {title: (100 * np.mean(row["miou"]), 100 * np.mean(row["miou_best"])) for title, row in rows.items()}
    many = {title: row["miou"] for title, row in rows.items() if len(row["miou"]) > 1}
    spread = {title: 100 * deviation(values) for title, values in many.items()}
    data = next(iter(outcomes.values()))["data"]
    return plots.last_and_best(results, title=f"{data}, means over seeds", spread=spread)


def focal_curves_figure(pair: str, profile: str = "mini"):
    """Score, target loss and training loss by step of our recorded trainings; words if they have not been recorded."""
    outcomes = _recorded(pair, profile)
    if outcomes is None:
        return focal_seeds(pair, profile)
    return drawn_curves(
        {title: row.get("curves") or [] for title, row in _rows(outcomes).items()},
        ("val/miou", "val/loss", "loss/main"),
        about(next(iter(outcomes.values()))),
        titles={"loss/main": "training loss of the main head, each with its own γ"},
        per_line=len(next(iter(outcomes.values()))["rows"]),
    )

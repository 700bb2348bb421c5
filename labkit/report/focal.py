"""Tables 5 and 7 of baitan2025 and ours: focal loss with SGD and with Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labkit.papers import load
from labkit.report.results import load_results, provenance, recorded_seeds, seeds_table
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
    note = provenance(first)
    if provenance(second) != note:
        note = f"SGD: {note} Adam: {provenance(second)}"
    return Noted(table, note)


def focal_figure(pair: str, profile: str = "mini"):
    """Last and best of our recorded trainings, means over seeds; words if they have not been recorded."""
    from labkit import plots

    outcomes = _recorded(pair, profile)
    if outcomes is None:
        return focal_seeds(pair, profile)
    rows = {title: row for title, row in _rows(outcomes).items() if None not in row["miou_best"]}
    results = {title: (100 * np.mean(row["miou"]), 100 * np.mean(row["miou_best"])) for title, row in rows.items()}
    many = {title: row["miou"] for title, row in rows.items() if len(row["miou"]) > 1}
    spread = {title: 100 * float(np.std(values, ddof=1)) for title, values in many.items()}
    data = next(iter(outcomes.values()))["data"]
    return plots.last_and_best(results, title=f"{data}, means over seeds", spread=spread)


def focal_curves_figure(pair: str, profile: str = "mini"):
    """Score and training loss by step of our recorded trainings; words if they have not been recorded."""
    from labkit import plots

    outcomes = _recorded(pair, profile)
    if outcomes is None:
        return focal_seeds(pair, profile)
    curves = {}
    for title, row in _rows(outcomes).items():
        if not row.get("curves") or not all(row["curves"]):
            return Words(f"The curves of baitan2025.{TABLES[title.partition(',')[0]]} have not been recorded.")
        seeds = row["curves"]
        scores, losses = (np.array([one[name] for one in seeds], float) for name in ("val/miou", "loss/main"))
        curves[title] = np.array(seeds[0]["step"]), scores, losses
    return plots.setting_curves(curves)

"""Writing down what a sweep gave: one file a sweep, pair and profile, which may be recorded row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.errors import LabError
from labkit.files import read_json, write_json
from labkit.profiles import divided, pair_named, profile_named
from labkit.report.results import complete_record, pair_title, rows_of, shared_environment
from labkit.report.sweep_tables import SWEEPS, Row

_ALIKE = ("sweep", "pair", "data", "profile", "report", "selection")
"""What rows of one record share beside their seeds."""


def record(outcome: Mapping[str, Any], folder: Path) -> Path:
    """Write a sweep's outcome under ``folder``; one file for each sweep, pair, profile, and data if not the pair's own.

    Rows that were recorded there before and are not among the new ones stay, see :func:`joined`.

    Raises:
        LabError: rows or seeds that were recorded before would be lost, or the file there is damaged; it is left as
            it was.
    """
    whole = joined(outcome, folder)
    path = record_file(outcome, folder)
    write_json(path, whole)
    return path


def joined(outcome: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The outcome together with the rows that were recorded in the folder before, in the order of the table.

    A row that is in both is the new one. Of rows that were recorded at different times each says its own
    ``environment``; that of the whole lists what differs. A row that begins with another one's weights names them by
    their digest (``start``): where the start was trained anew in between, that is said beside the table.

    Raises:
        LabError: a row that was recorded before has other seeds or was scored on other pictures, or a seed is missing
            in the new rows.
    """
    before, kept = kept_before(outcome, folder)
    if not kept:
        return dict(outcome)
    table = {row.name: row for row in SWEEPS[outcome["sweep"]].rows}
    rows = [{"environment": before["environment"], **_with_start(row, table)} for row in kept]
    rows += [{"environment": outcome["environment"], **row} for row in rows_of(outcome)]
    places = {name: place for place, name in enumerate(table)}
    rows.sort(key=lambda row: places.get(row["name"], len(places)))
    return {
        **outcome,
        **{key: before[key] if before[key] == outcome[key] else None for key in ("size", "steps")},
        "rows": rows,
        "environment": shared_environment([before["environment"], outcome["environment"]]),
    }


def kept_before(outcome: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What was recorded in the folder before, empty if nothing was, and those of its rows that the outcome lacks.

    It takes from the outcome what is known before anything is trained: :data:`_ALIKE`, ``seeds``, and its rows' names.

    Raises:
        LabError: as :func:`joined`.
    """
    path = record_file(outcome, folder)
    if not path.is_file():
        return {}, []
    before = complete_record(read_json(path), path)
    new = {row["name"] for row in outcome["rows"]}
    kept = [row for row in rows_of(before) if row["name"] not in new]
    if kept:
        _check_alike(before, outcome, path, [row["name"] for row in kept])
    elif lost := [str(seed) for seed in before["seeds"] if seed not in outcome["seeds"]]:
        raise LabError(
            f"{path} has recorded seeds that are not among the new ones: {', '.join(lost)}. Record with all of them "
            "(finished trainings are found), or into another folder"
        )
    return before, kept


def _with_start(row: Mapping[str, Any], table: Mapping[str, Row]) -> dict[str, Any]:
    """A recorded row that says what it begins with: records of before do not, and then its weights are unknown."""
    asked = table[row["name"]].for_height(row["size"][0]) if row["name"] in table else None
    if "start" in row or not asked or not asked.start:
        return dict(row)
    return {**row, "start": {"name": asked.start.name, "weights": [None] * len(row["miou"])}}


def _check_alike(before: Mapping[str, Any], outcome: Mapping[str, Any], path: Path, kept: list[str]) -> None:
    for key in (*_ALIKE, "seeds"):
        if before[key] != outcome[key]:
            raise LabError(
                f"{path} has recorded rows that are not among the new ones: {', '.join(kept)}. Their {key}: "
                f"{_text(before[key])}; of the new ones: {_text(outcome[key])}. Rows are added only to their like: "
                f"record the whole sweep (finished trainings are found), or the new rows into another folder"
            )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def record_file(outcome: Mapping[str, Any], folder: Path) -> Path:
    """Where an outcome is recorded."""
    paper = outcome["sweep"].partition(".")[0]
    pair = divided(pair_named(outcome["pair"]), profile_named(outcome["profile"]), paper)
    name = f"{outcome['sweep']}.{outcome['pair']}.{outcome['profile']}"
    if outcome["data"] != pair_title(pair):
        name = f"{name}.{re.sub(r'[^a-z0-9]+', '-', outcome['data'].lower()).strip('-')}"
    return folder / f"{name}.json"


def pictures_folder(outcome: Mapping[str, Any], folder: Path) -> Path:
    """Where what belongs to a record but does not fit into it lies: pictures, and counts of pictures."""
    return record_file(outcome, folder).with_suffix("")


def picture_file(row: str, number: int) -> str:
    """The name of a row's predicted picture, counted from 1: the row's name without what a file's may not have."""
    return f"{re.sub(r'[^a-z0-9.=]+', '-', row.lower()).strip('-')}-{number}.png"

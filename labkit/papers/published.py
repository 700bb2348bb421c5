"""The published tables as data frames: numbers as printed, nothing corrected, what is odd is attached."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from labkit.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

_TABLES = files("labkit.papers") / "tables"


@cache
def _describe(paper: str) -> dict[str, Any]:
    known = [file.name.removesuffix(".json") for file in _TABLES.iterdir() if file.name.endswith(".json")]
    if paper not in known:
        raise UnknownNameError("paper with published tables", paper, known)
    return json.loads((_TABLES / f"{paper}.json").read_text(encoding="utf-8"))


def table_names(paper: str) -> tuple[str, ...]:
    """The tables of a paper, in its own order: ``("table1", "table2", …)``.

    Raises:
        UnknownNameError: no paper of that name whose tables are stored.
    """
    return tuple(_describe(paper)["tables"])


def notes(paper: str) -> tuple[str, ...]:
    """Where the paper's text contradicts itself or leaves something open, apart from single tables.

    Raises:
        UnknownNameError: no paper of that name whose tables are stored.
    """
    return tuple(_describe(paper)["notes"])


def load(paper: str, table: str) -> pd.DataFrame:
    """A published table, as printed.

    The first printed column is the index (as text). Scores are percent, as in the paper: divide by 100 before
    plotting beside measured fractions. A cell that the text conversion of the paper destroyed is NaN.

    Args:
        paper: a key of :data:`labkit.papers.PAPERS`, ``"baitan2025"``.
        table: a name from :func:`table_names`, ``"table2"``.

    Returns:
        The table. Its ``attrs`` hold ``paper``, ``table``, ``caption`` (in our words), ``data`` (what was
        trained and tested on), ``section``, ``unit`` (of every column that ``units`` does not name),
        ``units`` (by column), ``notes`` (contradictions found when
        recomputing) and ``lost`` (why cells are empty, or "").

    Raises:
        UnknownNameError: no such table, or no paper of that name whose tables are stored.
    """
    described = _describe(paper)["tables"]
    if table not in described:
        raise UnknownNameError(f"table of {paper}", table, described)
    import pandas as pd

    about = described[table]
    with (_TABLES / f"{paper}.{table}.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype={0: str})
    frame = frame.set_index(frame.columns[0])
    frame.attrs = {
        "paper": paper,
        "table": table,
        "caption": about["caption"],
        "data": about["data"],
        "section": about["section"],
        "unit": about.get("unit", "%"),
        "units": dict(about.get("units", {})),
        "notes": list(about["notes"]),
        "lost": about.get("lost", ""),
    }
    return frame

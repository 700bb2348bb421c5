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

    A row is one setting, named by the index (text); a table printed the other way round is turned. Scores are
    as printed, percent or fractions, as ``unit`` says: bring them to one unit before plotting them beside
    measured ones. NaN is a cell that the text conversion of the paper destroyed (``lost`` says which and why),
    or a dash in the paper (``dashes`` says what it stands for).

    Args:
        paper: a key of :data:`labkit.papers.PAPERS`, ``"baitan2025"``.
        table: a name from :func:`table_names`, ``"table2"``.

    Returns:
        The table. Its ``attrs`` hold ``paper``, ``table``, ``caption`` (in our words), ``data`` (what was
        trained and tested on), ``section``, ``unit`` (``"%"``, ``"fraction"``, …: of every column that
        ``units`` does not name), ``units`` (by column; ``"text"`` where it holds no numbers), ``notes``
        (contradictions found when recomputing), ``lost`` and ``dashes`` (why cells are NaN, or "").

    Raises:
        UnknownNameError: no such table, or no paper of that name whose tables are stored.
    """
    described = _describe(paper)["tables"]
    if table not in described:
        raise UnknownNameError(f"table of {paper}", table, described)
    import pandas as pd

    about = described[table]
    with (_TABLES / f"{paper}.{table}.csv").open(encoding="utf-8") as file:
        # In the file a lost cell is empty and a printed dash is a dash.
        frame = pd.read_csv(file, dtype={0: str}, na_values=["", "-"], keep_default_na=False)
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
        "dashes": about.get("dashes", ""),
    }
    return frame

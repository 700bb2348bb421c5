"""Every experiment of the four papers, by its id: what it is, and where its published numbers stand.

``experiments("baitan2025")["A4"]`` says in our words what was done, and refers to the cells of the published tables; no
number is written down a second time. ``experiments.json`` holds them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.errors import LabError, UnknownNameError
from labkit.papers.catalog import PAPERS
from labkit.papers.published import load, notes

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("last", "best", "last16", "last13", "source", "params", "macs", "latency", "latency_std")
"""What of ours stands beside a published number.

The target's mIoU after the last step, over the classes of the data set (``last``), over SYNTHIA's 16 or 13; the mIoU of
the checkpoint chosen on target validation labels (``best``); the mIoU of the last step on the source's validation
pictures (``source``); parameters and multiply-adds of a network; milliseconds of a picture, and their deviation.
"""

OWN_PAIR = "gta5-cityscapes"
"""The pair of domains of most published tables."""


@dataclass(frozen=True)
class Number:
    """A published number.

    Attributes:
        paper, table, row, column: the cell, as :func:`labkit.papers.load` has it.
        setting, metric: row and column in words.
        value: in ``unit``; NaN where there is none, and ``missing`` says why.
        printed: the same, digit for digit; empty where there is none.
        unit: ``"%"``, ``"fraction"``, ``"ms"``, …
        data: what was trained and tested on; ``data_short`` for the head of a column.
        section: where it is printed.
        selection: which checkpoint the paper reports, in words.
        measure: one of :data:`MEASURES`, or ``""`` where nothing of ours is to be compared.
        pair: the pair of domains that it was measured on, a key of :data:`labkit.profiles.PAIRS`; or ``""``.
        model: whose parameters and multiply-adds stand beside it, or ``""``.
        reproduced_by: name and row of every sweep that trains the same, the table's own first.
        notes: contradictions that concern it.
        iou: published IoU by class, in ``unit``, NaN for a lost cell; empty where there is none.
    """

    paper: str
    table: str
    row: str
    column: str
    setting: str
    metric: str
    value: float
    printed: str
    unit: str
    missing: str
    data: str
    data_short: str
    section: str
    selection: str
    measure: str
    pair: str
    model: str
    reproduced_by: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    iou: Mapping[str, float]


@dataclass(frozen=True)
class Block:
    """Numbers of one published table that belong together.

    Attributes:
        table: name of the table.
        numbers: row by row.
        notes: contradictions of the table that concern no single row, and which cells by class are lost.
    """

    table: str
    numbers: tuple[Number, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """An experiment of a paper.

    Attributes:
        id: ``"A1"`` to ``"D7"``.
        paper: key of :data:`labkit.papers.PAPERS`.
        title, what: in our words.
        where: sections, tables and figures of the paper.
        blocks: its numbers; empty for a recipe and for pictures.
        notes: contradictions of the paper's text that concern it.
        page: of a recipe, pictures or costs, the notebook that shows ours, without its ending; else empty.
    """

    id: str
    paper: str
    title: str
    what: str
    where: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    page: str = ""

    @property
    def numbers(self) -> tuple[Number, ...]:
        """All its published numbers, in the papers' order."""
        return tuple(number for block in self.blocks for number in block.numbers)


def experiments(paper: str | None = None) -> dict[str, Experiment]:
    """The experiments of a paper, or of all four, by id, in the papers' order.

    Raises:
        UnknownNameError: no such paper.
    """
    if paper is not None and paper not in PAPERS:
        raise UnknownNameError("paper", paper, PAPERS)
    return {name: found for name, found in _all().items() if paper in (None, found.paper)}


@cache
def _all() -> dict[str, Experiment]:
    described = json.loads((files("labkit.papers") / "experiments.json").read_text(encoding="utf-8"))
    return {name: _experiment(name, about, described) for name, about in described.items()}


def _experiment(name: str, about: dict[str, Any], described: dict[str, Any]) -> Experiment:
    paper = about["paper"]
    sections = dict.fromkeys(load(paper, block["table"]).attrs["section"] for block in about["blocks"])
    return Experiment(
        id=name,
        paper=paper,
        title=about["title"],
        what=about["what"],
        where="; ".join([*sections, *filter(None, [about.get("where", "")])]),
        blocks=tuple(_block(paper, block, _attached(described, paper, block["table"])) for block in about["blocks"]),
        notes=tuple(_note(notes(paper), phrase, name) for phrase in about.get("paper_notes", ())),
        page=about.get("page", ""),
    )


def _block(paper: str, about: dict[str, Any], of_rows: frozenset[str]) -> Block:
    frame = load(paper, about["table"])
    known, where = frame.attrs["notes"], f"{paper}.{about['table']}"
    chosen = [_note(known, phrase, where) for phrase in about.get("block_notes", ())]
    numbers = tuple(_numbers(paper, about, frame))
    lost = [frame.attrs["lost"]] if any(np.isnan(value) for number in numbers for value in number.iou.values()) else []
    return Block(
        table=about["table"],
        numbers=numbers,
        notes=(*(note for note in known if note in chosen or note not in of_rows), *filter(None, lost)),
    )


def _attached(described: dict[str, Any], paper: str, table: str) -> frozenset[str]:
    """The notes of a table that some experiment attaches to rows or to a block: they concern nothing else."""
    known, where = load(paper, table).attrs["notes"], f"{paper}.{table}"
    blocks = [block for about in described.values() if about["paper"] == paper for block in about["blocks"]]
    return frozenset(
        _note(known, phrase, where)
        for block in blocks
        if block["table"] == table
        for phrases in (*block.get("notes", {}).values(), block.get("block_notes", ()))
        for phrase in phrases
    )


def _numbers(paper: str, about: dict[str, Any], frame: pd.DataFrame) -> Iterator[Number]:
    own, said, where = frame.attrs, about.get("selection", "not said"), f"{paper}.{about['table']}"
    printed = _as_text(paper, about["table"])
    for row, setting in about.get("rows", {row: row for row in frame.index}).items():
        for column, measure in about["columns"].items():
            reason = about.get("missing", {}).get(row, "")
            value = np.nan if reason else float(frame.loc[row, column])
            sweep_row = about.get("sweep_row", "{row}").format(row=row, column=column)
            also = about.get("reproduced_by", {}).get(row, ())
            phrases = about.get("notes", {}).get(row, ())
            classes = [] if reason or not about.get("per_class") else frame.columns[list(frame.columns).index("road") :]
            yield Number(
                paper=paper,
                table=about["table"],
                row=row,
                column=column,
                setting=setting,
                metric=about.get("metric", "{column}").format(column=column),
                value=value,
                printed="" if np.isnan(value) else printed.loc[row, column],
                unit=own["units"].get(column, own["unit"]),
                missing=reason or ((own["lost"] or own["dashes"]) if np.isnan(value) else ""),
                data=own["data"],
                data_short=about.get("data_short", own["data"]),
                section=own["section"],
                selection=said if isinstance(said, str) else said.get(column, ""),
                measure=measure,
                pair=about.get("pair", OWN_PAIR),
                model=about.get("model", ""),
                reproduced_by=((f"{paper}.{about['table']}", sweep_row), *(tuple(one) for one in also)),
                notes=tuple(_note(own["notes"], phrase, where) for phrase in phrases),
                iou={name: float(frame.loc[row, name]) for name in classes},
            )


def _note(known, phrase: str, where: str) -> str:
    """The one note that a phrase is in."""
    found = [note for note in known if phrase in note]
    if len(found) != 1:
        raise LabError(f"experiments.json: {phrase!r} is in {len(found)} notes of {where}; name one note by a phrase")
    return found[0]


@cache
def _as_text(paper: str, table: str) -> pd.DataFrame:
    """A published table's cells, digit for digit."""
    import pandas as pd

    with (files("labkit.papers") / "tables" / f"{paper}.{table}.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    return frame.set_index(frame.columns[0])

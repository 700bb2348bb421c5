"""A row of a published table, trained on a page: the very training that its sweep records."""

from __future__ import annotations

from labkit.errors import UnknownNameError
from labkit.lab import Lab
from labkit.report.plans import sweep_named
from labkit.report.sweeps import train_with_start
from labkit.training.runs import Run


def train_row(lab: Lab, sweep: str, row: str) -> Run:
    """Find, continue or do the training of one row of a sweep, with the lab's budget, domains and seed.

    Args:
        lab: budget, domains and seed.
        sweep: a key of :data:`labkit.report.sweep_tables.SWEEPS`.
        row: the name of one of its rows. One that begins with another training's weights trains that one first.

    Raises:
        UnknownNameError: no such sweep or row; the message lists the known ones.
    """
    rows = {one.name: one for one in sweep_named(sweep).rows}
    if row not in rows:
        raise UnknownNameError(f"row of {sweep}", row, rows)
    return train_with_start(rows[row], lab, lab.seed)


def train_rows(lab: Lab, rows: dict[str, tuple[str, str]]) -> dict[str, Run]:
    """Rows by title, each a sweep and its row's name; empty where the lab's data is not here."""
    return {title: train_row(lab, *row) for title, row in rows.items()} if lab.ready else {}

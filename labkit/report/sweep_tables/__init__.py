"""The published tables as data: their experiments, row by row, and comparisons that a paper does not have.

A sweep has the name of its table, a row the name that it has in the table, as :func:`labkit.papers.load` gives it. Rows
that a paper quotes from other papers are no experiments of its own and are left out.
"""

from __future__ import annotations

from labkit.report.sweep_tables import baitan2025, leaderboard, loda2025, toldo2020, yan2022
from labkit.report.sweep_tables.rows import Row, Sweep

SWEEPS: dict[str, Sweep] = {
    f"{paper}.{table}": sweep
    for paper, tables in (
        ("baitan2025", baitan2025.TABLES),
        ("loda2025", loda2025.TABLES),
        ("toldo2020", toldo2020.TABLES),
        ("yan2022", yan2022.TABLES | {"leaderboard": leaderboard.SWEEP}),
    )
    for table, sweep in tables.items()
}
"""Every published table of experiments, by ``PAPER.TABLE``, but for tables of costs and colours; and comparisons that a
paper does not have, after its recipe."""

__all__ = ["SWEEPS", "Row", "Sweep"]

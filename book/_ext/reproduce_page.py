"""Sphinx extension: for every published table the one command that would reproduce it, from the list of sweeps.

In a page's Markdown source::

    {reproduce} baitan2025        the paper's data, and a section for each of its tables

becomes Markdown before it is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger_page import escape, shell
from sphinx.application import Sphinx

if TYPE_CHECKING:
    from labkit.report.reproduce import Reproduction

DIRECTIVE = re.compile(r"^```\{reproduce\} (\w+)\n```$", re.MULTILINE)


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Expand ``{reproduce}`` in a page."""
    source[0] = DIRECTIVE.sub(lambda match: paper_text(match[1]), source[0])


def paper_text(paper: str) -> str:
    """The Markdown of one paper: what its data need, then table by table."""
    from labkit.report.reproduce import reproducible, reproduction

    found = [reproduction(name) for name in reproducible(paper)]
    return "\n\n".join([preparation(found), *map(section, found)])


def preparation(found: Sequence[Reproduction]) -> str:
    """The commands that the tables' data need before, and those that make reading them faster."""
    checks = dict.fromkeys(line for one in found for line in one.checks)
    caches = dict.fromkeys(line for one in found for line in one.caches)
    once = "Then, if there is space for it, each picture decoded and resized once instead of in every epoch:"
    return f"First, whether the data lie as they have to:\n\n{shell(checks)}\n\n{once}\n\n{shell(caches)}"


def section(one: Reproduction) -> str:
    """A table: what it shows, which experiments of the ledger it holds, its command, and what cannot be run."""
    ids = ", ".join(f"[{name}](#ledger-{name.lower()})" for name in one.experiments)
    data = f" Data: {', '.join(f'`{name}`' for name in one.inputs)}." if one.inputs else ""
    parts = [f"### {escape(one.label)} of {one.name.partition('.')[0]}"]
    parts.append(f"{escape(one.caption)} *{escape(one.printed)}.* In the ledger: {ids}.{data}")
    if one.command:
        parts.append(shell([one.command]))
    if one.costs:
        parts.append(f"What it prints of costs, on your machine:\n\n{shell(one.costs.values())}")
    if one.lacking:
        listed = "\n".join(f"- {escape(row)}: {escape(', '.join(found))}" for row, found in one.lacking.items())
        parts.append(f"Rows that cannot be trained yet, and what they need:\n\n{listed}")
    return "\n\n".join(parts)


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("source-read", read_source, priority=200)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

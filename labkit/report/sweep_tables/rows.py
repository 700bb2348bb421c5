"""What a sweep is made of: one experiment of a table as a row, a table as a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.profiles import PAPER

GTA5, SYNTHIA = "gta5-cityscapes", "synthia-cityscapes"
"""The pairs that tables are published for."""

SMALL = 256
"""Rows of a picture below which :attr:`Row.small` and :attr:`Row.small_form` hold."""


@dataclass(frozen=True)
class Row:
    """One experiment of a table.

    Attributes:
        name: of the row in the published table.
        model, method: names on the command line.
        experiment: ids in the ledger.
        settings: hyperparameters in which the row differs; they hold in every profile.
        section: where the paper gives ``settings``; empty where they are ours.
        stage: of the paper's recipe; by default the one that trains ``method``.
        keeps: fields of that stage that belong to the experiment, not to its budget: they hold in every profile.
        budget: changes to the recipe for the profile ``paper`` alone.
        elsewhere: changes for all profiles but ``paper``.
        small: changes for pictures of fewer than 256 rows, as the profiles ``smoke`` and ``mini`` have them.
        start: the experiment whose last weights this one begins with, instead of the profile's.
        given: the experiments whose last weights the method's own networks begin with, by the network's name.
        translator: the experiment whose generator translates this one's source pictures first.
        needs: what is not there yet beside networks, methods and settings; empty if nothing.
        paper_only: what the profile ``paper`` alone has of it, where the row would be another row's training in the
            others; empty where it is a training of its own in all.
        how: changes that make no other experiment of it, see :data:`labkit.report.plans.HOW`.
        small_form: what takes the row's place, under its name, for pictures of fewer than 256 rows.
    """

    name: str
    model: str
    method: str
    experiment: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    section: str = ""
    stage: str | None = None
    keeps: tuple[str, ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    start: Row | None = None
    given: Mapping[str, Row] = field(default_factory=dict)
    translator: Row | None = None
    needs: str = ""
    paper_only: str = ""
    how: Mapping[str, Any] = field(default_factory=dict)
    small_form: Row | None = None

    @property
    def before(self) -> tuple[Row, ...]:
        """The experiments whose outcome this one begins with."""
        return tuple(row for row in (self.translator, self.start, *self.given.values()) if row)

    def for_height(self, height: int) -> Row:
        """The row as it is with pictures of so many rows: its small form where they are few and there is one."""
        return self.small_form if self.small_form and height < SMALL else self

    def wanting(self, profile: str) -> str:
        """What of ``needs`` and ``paper_only`` keeps it from being trained with that profile."""
        if not self.paper_only or profile == PAPER:
            return self.needs
        alone = f"{self.paper_only}, which the profile {PAPER} alone has"
        return f"{self.needs}; {alone}" if self.needs else alone


@dataclass(frozen=True)
class Sweep:
    """A published table's experiments.

    Attributes:
        pair: that they are published for.
        rows: the experiments.
        note: a remark.
        by_picture: whether a record keeps the counts of every picture, for comparisons that are paired by picture.
    """

    pair: str
    rows: tuple[Row, ...]
    note: str = ""
    by_picture: bool = False

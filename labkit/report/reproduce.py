"""What would reproduce a published table on the papers' own data: one command, the data it reads, what it still lacks.

Everything is derived from :data:`labkit.report.sweep_tables.SWEEPS` and the recipes; nothing is trained or read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labkit.data.formats import FORMATS, NAMED, places
from labkit.errors import UnknownNameError
from labkit.lab import Lab
from labkit.methods.registry import METHODS, method_class
from labkit.papers.catalog import PAPERS
from labkit.papers.published import load, table_names
from labkit.profiles import PAPER
from labkit.report.plans import missing, resolve
from labkit.report.sweep_tables import SWEEPS, Row
from labkit.training.method import SOURCE, TARGET

_COSTS = {
    "baitan2025.table1": {"deeplabv2": "512x1024", "bisenet": "512x1024"},
    "yan2022.table7": {"bisenet": "1024x2048", "deeplabv2": "1024x2048"},
}
"""Tables that print costs: whose, at which size. yan2022 gives none; ours there is Cityscapes', as in its recipe."""

_NO_EXPERIMENT = ("baitan2025.table6",)
"""The colours of the classes."""


@dataclass(frozen=True)
class Reproduction:
    """How a published table, or a published figure that shows scores, would be reproduced.

    Attributes:
        name: ``PAPER.TABLE``.
        printed: where, as in ``"§4.2, Table 1"``.
        caption: what it shows, in our words.
        experiments: ids in the ledger.
        command: the one command line that trains and records all rows that can be trained; empty where none can, or
            where the table holds costs alone.
        costs: by network, the command lines that measure what the table prints of costs; empty where it prints none.
        inputs: the data sets that the command reads, keys of :data:`labkit.data.formats.FORMATS`, each with the heights
            and widths in pixels that it is read at.
        lacking: rows that cannot be trained yet, each with what it needs, in words.
    """

    name: str
    printed: str
    caption: str
    experiments: tuple[str, ...]
    command: str
    costs: Mapping[str, str]
    inputs: Mapping[str, tuple[tuple[int, int], ...]]
    lacking: Mapping[str, tuple[str, ...]]

    @property
    def label(self) -> str:
        """What it is called in the paper: ``"Table 1"``."""
        return self.printed.rpartition(", ")[2]

    @property
    def checks(self) -> tuple[str, ...]:
        """The command lines that look whether the data lie as they have to."""
        return tuple(_check(name) for name in self.inputs)

    @property
    def caches(self) -> tuple[str, ...]:
        """The command lines that decode and resize each picture once instead of in every epoch."""
        sizes = ((name, size) for name, found in self.inputs.items() for size in found)
        return tuple(f"labkit data cache {name} --size {height}x{width}" for name, (height, width) in sizes)


def reproducible(paper: str | None = None) -> tuple[str, ...]:
    """Every published table that holds experiments or costs, ``PAPER.TABLE``, of a paper or of all, as printed.

    A figure that shows scores as curves follows its paper's tables. Comparisons that no paper has are left out.

    Raises:
        UnknownNameError: no such paper.
    """
    if paper is not None and paper not in PAPERS:
        raise UnknownNameError("paper", paper, PAPERS)
    names = []
    for one in PAPERS if paper is None else (paper,):
        names += [f"{one}.{table}" for table in table_names(one)]
        names += [name for name in SWEEPS if name.startswith(f"{one}.figure")]
    return tuple(name for name in names if name not in _NO_EXPERIMENT)


@cache
def reproduction(name: str) -> Reproduction:
    """How a table of :func:`reproducible` would be reproduced.

    Raises:
        UnknownNameError: no such table.
    """
    if name not in reproducible():
        raise UnknownNameError("published table", name, reproducible())
    paper, _, table = name.partition(".")
    costs = {model: f"labkit cost {model} --size {size}" for model, size in _COSTS.get(name, {}).items()}
    if name not in SWEEPS:
        about = load(paper, table).attrs
        ids = tuple(_experiments_of(paper, table))
        return Reproduction(name, about["section"], about["caption"], ids, "", costs, {}, {})
    sweep = SWEEPS[name]
    lab = Lab(PAPER, sweep.pair, paper=paper)
    if table.startswith("figure"):
        printed, caption = f"{sweep.rows[0].section}, Fig. {table.removeprefix('figure')}", sweep.note
    else:
        about = load(paper, table).attrs
        printed, caption = about["section"], about["caption"]
    lacking = {row.name: found for row in sweep.rows if (found := tuple(missing(row, lab)))}
    able = [row for row in sweep.rows if row.name not in lacking]
    inputs: dict[str, dict[tuple[int, int], None]] = {}
    for row in able or sweep.rows:
        for data, size in _inputs(row, lab):
            inputs.setdefault(data, {})[size] = None
    return Reproduction(
        name=name,
        printed=printed,
        caption=caption,
        experiments=tuple(sorted({one for row in sweep.rows for one in row.experiment})),
        command=_command(name, able),
        costs=costs,
        inputs={key: tuple(inputs[key]) for key in sorted(inputs, key=_place)},
        lacking=lacking,
    )


def _command(name: str, able: list[Row]) -> str:
    if not able:
        return ""
    rows = "" if len(able) == len(SWEEPS[name].rows) else "".join(f" --row {shlex.quote(row.name)}" for row in able)
    return f"labkit sweep {name} --pair {SWEEPS[name].pair} --profile {PAPER}{rows} --record results"


def _inputs(row: Row, lab: Lab) -> Iterator[tuple[str, tuple[int, int]]]:
    """The data sets of a row's training and of those before it, each with the size that it is read at."""
    streams = method_class(row.method).streams if row.method in METHODS else (SOURCE, TARGET)
    fields = resolve(row, lab)
    source_size, target_size = fields["source_size"].value, fields["target_size"].value
    if SOURCE in streams:
        yield _files(lab.pair.source), source_size
    if TARGET in streams and "unlabelled" in fields and fields["unlabelled"].value:
        yield _files(fields["unlabelled"].value), target_size
    yield _files(lab.pair.target), target_size  # where every row is scored
    for other in row.before:
        yield from _inputs(other, lab)


def _place(name: str) -> tuple[bool, str]:
    """Sources before targets."""
    return name.startswith("cityscapes"), name


def _files(name: str) -> str:
    """The data set whose files a named one divides in its own way; else itself."""
    return NAMED[name].same_files_as or name


def _check(name: str) -> str:
    folder = places(name, Path("data"))[0].as_posix()
    others = [key for key in FORMATS if key != name and places(key, Path("data"))[0].as_posix() == folder]
    told = f" --dataset {name}" if others and name != Path(folder).name else ""  # two data sets lie in one folder
    return f"labkit data check {folder}{told}"


def _experiments_of(paper: str, table: str) -> Iterator[str]:
    from labkit.papers.experiments import experiments

    for name, experiment in experiments(paper).items():
        if any(block.table == table for block in experiment.blocks):
            yield name

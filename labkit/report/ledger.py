"""The ledger: every experiment of the four papers, its published numbers, and ours with the data they come from.

It is read from the recorded results and, beside them, from the runs on this machine. What was not run says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from labkit.lab import Lab
from labkit.papers.experiments import Experiment, Number, experiments
from labkit.profiles import PAIRS
from labkit.report.local_runs import data_asked, local_results
from labkit.report.plans import missing
from labkit.report.reproduce import reproduction
from labkit.report.results import (
    RESULTS,
    all_results,
    data_title,
    mean_of_known,
    rows_of,
    scores_of,
    source_title,
    training_text,
)
from labkit.report.speed import card_speed, origin
from labkit.report.sweep_tables import SWEEPS, Row
from labkit.training.method import SOURCE
from labkit.training.runs import RunStore

RECORDED, LOCAL, COMPUTED = "recorded", "local, not recorded", "computed"
NOT_RUN, NOT_MEASURED, NO_NUMBER = "not run", "not measured here", "no number"

SMOKE = "smoke"
"""The profile whose numbers mean nothing: with it alone, nothing counts as run."""

_SCALE = {"%": 100, "fraction": 1, "G": 1e-9, "M": 1e-6}
_DIGITS = {"%": 1, "fraction": 3, "G": 2, "M": 3, "ms": 2}
_SELECTION = {"best": "best on target validation labels"}
_COST_SIZE = (512, 1024)
_CLASSES = "Cityscapes' 19 classes"

LATENCIES = {"latency": "milliseconds", "latency_std": "deviation"}
"""Measures of a network's speed, and what :func:`labkit.report.speed.card_speed` calls them."""


@dataclass(frozen=True)
class Ours:
    """What one sweep, or the runs on this machine, gave for a published number.

    Attributes:
        state: :data:`RECORDED`, :data:`LOCAL` or :data:`COMPUTED`.
        data: what was trained and tested on, in words; beside the number wherever it is shown.
        unit: the published number's.
        values: one a seed, in the published number's unit.
        seeds: which.
        selection: which checkpoint: of the last step, or the best one on target validation labels; of a latency, by
            which program and when it was measured.
        classes: how many the mean is over; 0 where it is none.
        iou: mean over the seeds by class, in the same unit; NaN for an absent class.
        outcome: the recorded (or local) outcome that it comes from, of this row alone; empty where nothing was
            trained.
    """

    state: str
    data: str
    unit: str
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    selection: str
    classes: int
    iou: Mapping[str, float]
    outcome: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Mean ± standard deviation, without unit."""
        digits = _DIGITS[self.unit]
        spread = "" if math.isnan(self.spread) else f" ± {self.spread:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"

    @property
    def profile(self) -> str:
        """The budget's name; empty where nothing was trained."""
        return self.outcome.get("profile", "")

    @property
    def provenance(self) -> str:
        """Where it comes from, in a sentence without a full stop."""
        if self.state == COMPUTED:
            return f"{self.data} ({COMPUTED} from the network itself)"
        if not self.outcome:
            return f"{self.data} ({self.state}): {self.selection}"
        measured = f"mIoU over {self.classes} classes, {self.selection}"
        return f"{self.data} ({self.state}): {measured}; {training_text(self.outcome)}"

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """Sample standard deviation over the seeds (n − 1); NaN with one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan

    def as_json(self) -> dict[str, Any]:
        """Its part of a row of ``labkit results --json``."""
        environment, report = self.outcome.get("environment", {}), self.outcome.get("report", {})
        return {
            "ours": self.mean,
            "spread": self.spread,
            "seeds": list(self.seeds),
            "values": list(self.values),
            "data": self.data,
            "state": self.state,
            "selection": self.selection,
            "classes": self.classes or None,
            "iou": dict(self.iou),
            **{key: self.outcome.get(key) for key in ("pair", "profile", "steps", "size", "sweep")},
            "scored_on": f"{report['data']} {report['split']}" if report else None,
            "images": report.get("images"),
            **{key: environment.get(key) for key in ("hardware", "precision", "commit", "date")},
        }


_NOTHING: dict[str, Any] = dict.fromkeys(Ours("", "", "", (math.nan,), (), "", 0, {}, {}).as_json()) | {
    "seeds": [],
    "values": [],
    "iou": {},
}


@dataclass(frozen=True)
class Entry:
    """A published number (None for an experiment that has none) and all that stands beside it."""

    experiment: Experiment
    number: Number | None
    ours: tuple[Ours, ...]

    @property
    def on_own_data(self) -> tuple[Ours, ...]:
        """Ours on the data that the paper used, with a budget that means something."""
        return tuple(
            one
            for one in self.ours
            if one.outcome
            and one.profile.partition("-")[0] != SMOKE
            and one.data == _own_data(self.number, one.profile)
        )

    @property
    def state(self) -> str:
        """Of the paper's own data: whether it was run."""
        if self.number is None:
            return NO_NUMBER
        if not self.number.measure:
            return NOT_MEASURED
        if self.number.measure in ("params", "macs"):
            return COMPUTED
        if self.number.measure in LATENCIES:
            return RECORDED if self.ours else NOT_MEASURED
        return self.on_own_data[0].state if self.on_own_data else NOT_RUN

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of ``labkit results --json``: one for the paper's own data, run or not, and one for each other."""
        about = self._about()
        if self.state in (NO_NUMBER, NOT_MEASURED, NOT_RUN):
            data = self.number.data if self.number else None
            yield about | _NOTHING | {"data": data, "state": self.state}
        for one in self.ours:
            yield about | one.as_json()

    def _about(self) -> dict[str, Any]:
        number, experiment = self.number, self.experiment
        about = {"id": experiment.id, "paper": experiment.paper, "experiment": experiment.title}
        if number is None:
            empty = dict.fromkeys(("setting", "metric", "unit", "published", "published_data", "published_selection"))
            about |= {**empty, "published_iou": {}, "missing": NO_NUMBER, "where": experiment.where, "command": ""}
            return about | {"notes": list(experiment.notes)}
        on_all = next(block.notes for block in experiment.blocks if any(one is number for one in block.numbers))
        return about | {
            "setting": number.setting,
            "metric": number.metric,
            "unit": number.unit,
            "published": number.value,
            "published_data": number.data,
            "published_selection": number.selection,
            "published_iou": dict(number.iou),
            "missing": number.missing,
            "where": number.section,
            "command": command(number),
            "notes": [*number.notes, *on_all, *experiment.notes],
        }


def ledger(paper: str | None = None, folder: Path = RESULTS, runs: Path | None = None) -> list[Entry]:
    """Every published number of a paper, or of all four, in the papers' order, with all that was measured for it.

    Args:
        paper: key of :data:`labkit.papers.PAPERS`.
        folder: recorded results.
        runs: a store of runs on this machine; what is recorded with the same budget takes their place.

    Raises:
        UnknownNameError: no such paper.
        LabError: a recorded result is damaged.
    """
    recorded = all_results(folder)
    local = local_results(RunStore(runs)) if runs else []
    return [
        Entry(experiment, number, tuple(_ours(number, recorded, local, folder)) if number else ())
        for experiment in experiments(paper).values()
        for number in experiment.numbers or (None,)
    ]


def as_text(entries: Iterable[Entry]) -> str:
    """Entries by experiment, a line for each published number and for each of ours."""
    lines = []
    for _, found in groupby(entries, key=lambda entry: entry.experiment.id):
        first, *others = found
        experiment = first.experiment
        lines.append(f"{experiment.id}  {experiment.title} ({experiment.paper} {experiment.where})")
        if first.number is None:
            shown = f"; shown in notebooks/{experiment.page}.ipynb" if experiment.page else ""
            lines.append(f"    {NO_NUMBER}: a recipe or pictures{shown}")
            continue
        for entry in (first, *others):
            number = entry.number
            published = number.missing or f"{number.printed} {number.unit} on {number.data}"
            lines.append(f"    {number.setting}, {number.metric}: published {published}")
            if entry.state in (NOT_RUN, NOT_MEASURED):
                lines.append(f"        ours  {entry.state}" + (f" on {number.data}" if entry.state == NOT_RUN else ""))
            for one in entry.ours:
                budget = f"; {one.profile}, seeds {', '.join(map(str, one.seeds))}" if one.outcome else ""
                lines.append(f"        ours  {one.text} {one.unit} on {one.data} ({one.state}{budget})")
    return "\n".join(lines)


def command(number: Number) -> str:
    """The command line that repeats a number's table on the paper's own data; empty where there is none (yet)."""
    asked = _asked(number)
    return "" if asked is None or wanting(number) else reproduction(asked[0]).command


def cost_commands(number: Number) -> list[str]:
    """The command lines that measure a network's cost, where a number says it; one a network."""
    name = f"{number.paper}.{number.table}"
    if not number.model and name in SWEEPS:  # a score
        return []
    costs = reproduction(name).costs
    return [costs[number.model]] if number.model else list(costs.values())


def wanting(number: Number) -> list[str]:
    """What the training behind a number needs that the library does not have yet: networks, methods, settings."""
    asked = _asked(number)
    if asked is None:
        return []
    name, row = asked
    return missing(row, Lab("paper", number.pair, paper=name.partition(".")[0]))


def _asked(number: Number) -> tuple[str, Row] | None:
    """The sweep and the row that train a number."""
    found = (
        (name, row)
        for name, title in number.reproduced_by
        if name in SWEEPS and number.pair
        for row in SWEEPS[name].rows
        if row.name == title
    )
    return next(found, None)


def _own_data(number: Number, profile: str) -> str | None:
    """What a number's training learns from and is scored on with the paper's own data; None if nothing trains it."""
    asked = _asked(number)
    if asked is None:
        return None
    name, row = asked
    described = data_asked(row, Lab(profile, number.pair, paper=name.partition(".")[0]))
    return source_title(described["data"][SOURCE]["name"]) if number.measure == "source" else data_title(described)


def _ours(number: Number, recorded: list[dict], local: list[dict], folder: Path) -> Iterator[Ours]:
    if number.measure in ("params", "macs"):
        yield _cost(number)
        return
    if number.measure in LATENCIES:
        yield from _latency(number, folder)
        return
    if not number.measure:
        return
    found: dict[tuple, tuple[str, dict, dict]] = {}
    for state, outcomes in ((LOCAL, local), (RECORDED, recorded)):  # the later takes the earlier's place
        for sweep, name in reversed(number.reproduced_by):
            for outcome in sorted(outcomes, key=lambda one: one["pair"] == number.pair):
                for row in rows_of(outcome):
                    if (outcome["sweep"], row["name"]) == (sweep, name):
                        budget = (row["data"], outcome["profile"], *row["size"])
                        found[budget] = (state, outcome, row)
    order = {name: place for place, name in enumerate(PAIRS)}
    for budget in sorted(found, key=lambda key: (order.get(found[key][1]["pair"], len(order)), key[0], *key[2:])):
        ours = _measured(number, *found[budget])
        if ours is not None:
            yield ours


def _measured(number: Number, state: str, outcome: dict, row: dict) -> Ours | None:
    on_source = number.measure == "source"
    if on_source and not row.get("source"):  # an oracle has none, and older records do not
        return None
    scale, evaluation = _SCALE[number.unit], outcome["report"]["evaluation"]
    values, classes = scores_of(number.measure, row, evaluation)
    if any(value is None or math.isnan(value) for value in values):
        return None
    return Ours(
        state=state,
        data=source_title(row["source"]["data"]) if on_source else row["data"],
        unit=number.unit,
        values=tuple(scale * value for value in values),
        seeds=tuple(outcome["seeds"]),
        selection=_SELECTION.get(number.measure, "after the last step"),
        classes=classes,
        iou={} if on_source else {name: scale * mean_of_known(of_seeds) for name, of_seeds in row["iou"].items()},
        outcome={**outcome, "steps": row["steps"], "size": row["size"], "rows": [row]},
    )


def _cost(number: Number) -> Ours:
    parameters, macs = _counts(number.model)
    value = _SCALE[number.unit] * (parameters if number.measure == "params" else macs)
    data = f"one picture of {_COST_SIZE[0]}×{_COST_SIZE[1]}, {_CLASSES}"
    return Ours(COMPUTED, data, number.unit, (value,), (), "", 0, {}, {})


def _latency(number: Number, folder: Path) -> Iterator[Ours]:
    """As it was measured on a data-centre card, in float32 and as the network is, not compiled."""
    measured = card_speed(folder)
    found = (measured or {}).get("inference", {}).get(f"{number.model}, float32, not compiled", {})
    if LATENCIES[number.measure] in found:
        (height, width), card = measured["size"], measured["environment"]["hardware"]
        data, value = f"one picture of {height}×{width}, {_CLASSES}, {card}", found[LATENCIES[number.measure]]
        yield Ours(RECORDED, data, number.unit, (value,), (), f"float32, not compiled; {origin(measured)}", 0, {}, {})


@cache
def _counts(model: str) -> tuple[int, int]:
    """Parameters that are live, and multiply-adds, of a network; nothing is computed but shapes."""
    import torch

    from labkit.evaluation.cost import count_parameters, multiply_adds
    from labkit.models.registry import create_model

    with torch.device("meta"):
        outline = create_model(model)
    return count_parameters(outline).live, sum(multiply_adds(outline, _COST_SIZE).values())

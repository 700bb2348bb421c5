"""Runs that lie on this machine, told apart by the row of a sweep that they are, in the shape of recorded results."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from labkit import settings
from labkit.data.formats import NAMED
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.methods.registry import METHODS, create_method, method_class
from labkit.papers.recipes import Field
from labkit.profiles import PAIRS, PROFILES, divided
from labkit.report.plans import HOW, resolve
from labkit.report.results import data_name, data_title, measured_row, outcome_of
from labkit.report.sweep_tables import SWEEPS, Row
from labkit.training.method import SOURCE, TARGET
from labkit.training.recipe import Recipe
from labkit.training.runs import Run, RunStore

log = logging.getLogger(__name__)


def local_results(store: RunStore) -> list[dict[str, Any]]:
    """The finished runs that some row of a sweep asks for, as outcomes of one row each, oldest first.

    Runs that differ in nothing but their seed belong together. An outcome has the keys of a recorded one.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in store.all():
        try:
            if run.finished and run.result["miou_target"] is not None:
                groups[json.dumps({**run.description, "seed": None}, sort_keys=True)].append(run)
        except (LabError, KeyError) as error:  # one damaged run hides no other
            log.warning("%s: left out of the ledger: %s", run.name, error)
    by_seed = [sorted(runs, key=lambda run: run.description["seed"]) for runs in sorted(groups.values(), key=_written)]
    return [
        outcome_of(sweep, pair, profile, data_title(runs[0].description), [measured_row(row.name, runs)], [runs])
        for runs in by_seed
        for sweep, row, profile, pair in _asked_by(runs[0].description)
    ]


def _asked_by(description: Mapping[str, Any]) -> Iterator[tuple[str, Row, str, str]]:
    """The sweep, the row, the profile and the pair that ask for this description; several may."""
    names = (description["model"]["name"], description["method"]["name"])
    if names[1] not in METHODS:  # a method of a notebook's own
        return
    for sweep, about in SWEEPS.items():
        rows = [row for row in about.rows if (row.model, row.method) == names]
        paper = sweep.partition(".")[0]
        for profile in PROFILES if rows else ():
            for pair in _pairs_of(description, profile, paper, about.pair):
                lab = Lab(profile, pair, paper=paper)
                yield from ((sweep, row, profile, pair) for row in rows if asks_for(description, row, lab))


def _pairs_of(description: Mapping[str, Any], profile: str, paper: str, published: str) -> list[str]:
    """The pairs of domains by their data sets' names.

    Several have the same target: a training on its labels alone belongs to the published pair, or to the first.
    """
    source, target = description["data"].get(SOURCE), description["report"]["name"]
    pairs = {name: divided(pair, PROFILES[profile], paper) for name, pair in PAIRS.items()}
    fitting = [
        name
        for name, pair in pairs.items()
        if target == data_name(pair.target) and (source is None or source["name"] == data_name(pair.source))
    ]
    return fitting if source else sorted(fitting, key=lambda name: name != published)[:1]


def asks_for(description: Mapping[str, Any], row: Row, lab: Lab) -> bool:
    """Whether a run's description is that of a sweep's row in this lab, whatever its seed and the state of the code."""
    names = (description["model"]["name"], description["method"]["name"])
    if names != (row.model, row.method) or row.wanting(lab.profile.name):
        return False
    fields = resolve(row, lab)
    values = {name: list(one.value) if isinstance(one.value, tuple) else one.value for name, one in fields.items()}
    # A setting that the run does not know was added since; it ran as the default does.
    method = settings.describe(create_method(row.method))
    wanted = method | {name: values[name] for name, one in fields.items() if one.kind == "method"}
    recipe = settings.describe(Recipe())
    weights = description["model"]["weights"]
    return (
        (weights.startswith("sha256:") if row.start else weights == values["weights"])
        and _same_data(description, data_asked(row, lab, fields))
        and all(description["method"].get(name, method.get(name)) == value for name, value in wanted.items())
        and all(description["recipe"].get(name, recipe[name]) == values[name] for name in recipe if name not in HOW)
    )


def data_asked(row: Row, lab: Lab, fields: Mapping[str, Field] | None = None) -> dict[str, Any]:
    """``data`` and ``report`` of the description of a row's training, as far as no file is needed for them.

    Args:
        row: of a method that there is.
        lab: budget and pair.
        fields: of :func:`labkit.report.plans.resolve`, if they are at hand.
    """
    values = {name: one.value for name, one in (fields or resolve(row, lab)).items()}
    source, target = lab.pair.source, lab.pair.target
    wanted = values.get("source_split", "train")
    there = source in NAMED and wanted in NAMED[source].splits

    def one(dataset: str, split: str, size: str) -> dict[str, Any]:
        return {"name": data_name(dataset), "split": split, "size": list(values[size])}

    data = {}
    for stream in method_class(row.method).streams:
        if stream == SOURCE:
            data[stream] = one(source, wanted if there else "train", "source_size")
        else:
            drawn = values.get("unlabelled") if stream == TARGET else None
            data[stream] = one(drawn or target, "train", "target_size")
    return {"data": data, "report": one(target, lab.pair.report_split, "target_size")}


def _same_data(description: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Every stream by name, split and size; of the report not the split, which some copies come without."""
    streams, report = description["data"], description["report"]
    return (
        streams.keys() == asked["data"].keys()
        and all(streams[name][key] == value for name, about in asked["data"].items() for key, value in about.items())
        and all(report[key] == asked["report"][key] for key in ("name", "size"))
    )


def _written(runs: list[Run]) -> float:
    return max((run.folder / "result.json").stat().st_mtime for run in runs)

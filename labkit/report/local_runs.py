"""Runs that lie on this machine, told apart by the row of a sweep that they are, in the shape of recorded results."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from labkit import settings
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.methods.registry import METHODS, create_method
from labkit.profiles import PAIRS, PROFILES
from labkit.report.sweeps import SWEEPS, Row, resolve
from labkit.training.recipe import Recipe
from labkit.training.runs import Run, RunStore

log = logging.getLogger(__name__)

HOW = ("accumulate", "precision", "evaluate_every")
"""Settings of a recipe that make no other experiment: how a machine does it, and how often it is looked at."""


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
    return [
        _outcome(sweep, row.name, profile, pair, runs)
        for runs in sorted(groups.values(), key=_written)
        for sweep, row, profile, pair in _asked_by(runs[0].description)
    ]


def _asked_by(description: Mapping[str, Any]) -> Iterator[tuple[str, Row, str, str]]:
    """The sweep, the row, the profile and the pair that ask for this description; several may."""
    pair, names = _pair_of(description), (description["model"]["name"], description["method"]["name"])
    if pair is None or names[1] not in METHODS:  # other data, or a method of a notebook's own
        return
    for sweep, about in SWEEPS.items():
        rows = [row for row in about.rows if (row.model, row.method) == names]
        for profile in PROFILES if rows else ():
            lab = Lab(profile, pair, paper=sweep.partition(".")[0])
            yield from ((sweep, row, profile, pair) for row in rows if asks_for(description, row, lab))


def asks_for(description: Mapping[str, Any], row: Row, lab: Lab) -> bool:
    """Whether a run's description is that of a sweep's row in this lab, whatever its seed and the state of the code."""
    if (description["model"]["name"], description["method"]["name"]) != (row.model, row.method) or row.needs:
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
        and description["report"]["size"] == values["target_size"]
        and all(description["method"].get(name, method.get(name)) == value for name, value in wanted.items())
        and all(description["recipe"].get(name, recipe[name]) == values[name] for name in recipe if name not in HOW)
    )


def _written(runs: list[Run]) -> float:
    return max((run.folder / "result.json").stat().st_mtime for run in runs)


def _pair_of(description: Mapping[str, Any]) -> str | None:
    """The pair of domains by its data sets' names; a training on target labels alone belongs to the first that fits."""
    source, target = description["data"].get("source"), description["report"]["name"]
    for pair in PAIRS.values():
        if pair.title == f"{source['name']} → {target}" if source else pair.title.endswith(f"→ {target}"):
            return pair.name
    return None


def _outcome(sweep: str, title: str, profile: str, pair: str, runs: list[Run]) -> dict[str, Any]:
    runs = sorted(runs, key=lambda run: run.description["seed"])
    results, scores = [run.result for run in runs], [run.scores for run in runs]
    report, environments = runs[0].description["report"], [result["environment"] for result in results]
    return {
        "sweep": sweep,
        "pair": pair,
        "data": PAIRS[pair].title,
        "profile": profile,
        "size": report["size"],
        "steps": results[0]["steps"],
        "seeds": [run.description["seed"] for run in runs],
        "report": {
            "data": report["name"],
            "split": report["split"],
            "images": scores[0].images,
            "evaluation": scores[0].evaluation,
        },
        "rows": [
            {
                "name": title,
                "miou": [score.miou for score in scores],
                "miou_best": [result["miou_target_best"] for result in results],
                "iou": {name: [score.iou[name] for score in scores] for name in scores[0].iou},
            }
        ],
        "environment": {
            key: " / ".join(sorted({str(environment.get(key)) for environment in environments}))
            for key in ("hardware", "precision", "commit", "date")
        },
    }

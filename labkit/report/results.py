"""Recorded results: the outcome of a sweep as one JSON file with its provenance, and how a page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import labkit
from labkit.data.formats import NAMED
from labkit.errors import LabError
from labkit.files import read_json
from labkit.labels import CLASS_NAMES, EVALUATIONS
from labkit.profiles import Pair, pair_named
from labkit.report.spread import percent_text
from labkit.report.tables import Noted, Words
from labkit.training.method import LABELLED_TARGET, SOURCE, TARGET

if TYPE_CHECKING:
    import pandas

    from labkit.training.runs import Run

_HOME = Path(labkit.__file__).parent
RESULTS = _HOME / "recorded" if (_HOME / "recorded").is_dir() else _HOME.parent / "results"
"""The recorded results: those that the wheel carries, in a checkout the folder ``results``."""

_NEEDED = {"pair", "data", "profile", "size", "steps", "seeds", "report", "selection", "rows", "environment"}

SELECTION = "last checkpoint; best is selected on target validation labels"


def measured_row(title: str, runs: Sequence[Run]) -> dict[str, Any]:
    """A row of an outcome: what the runs of one experiment gave, in the order of their seeds."""
    description, results, scores = runs[0].description, [run.result for run in runs], [run.scores for run in runs]
    return {
        "name": title,
        "model": description["model"]["name"],
        "method": description["method"]["name"],
        "miou": [score.miou for score in scores],
        "miou_best": [result["miou_target_best"] for result in results],
        "best_step": [(result.get("best") or {}).get("step") for result in results],
        "iou": {name: [_null(score.iou[name]) for score in scores] for name in scores[0].iou},
        "steps": results[0]["steps"],
        "size": description["report"]["size"],
        "data": data_title(description),
        "seconds": [result.get("seconds") for result in results],
        "runs": [run.name for run in runs],
    }


def outcome_of(
    sweep: str, pair: str, profile: str, data: str, rows: Sequence[dict[str, Any]], runs: Sequence[Sequence[Run]]
) -> dict[str, Any]:
    """The outcome of a sweep as plain JSON.

    Args:
        sweep, pair, profile: names.
        data: of the whole sweep, in words.
        rows: each of :func:`measured_row`, perhaps with more about it.
        runs: of every row, in the order of their seeds.
    """
    first = runs[0][0]
    report, environments = first.description["report"], [run.result["environment"] for of in runs for run in of]
    return {
        "sweep": sweep,
        "pair": pair,
        "data": data,
        "profile": profile,
        "size": _shared([row["size"] for row in rows]),
        "steps": _shared([row["steps"] for row in rows]),
        "seeds": [run.description["seed"] for run in runs[0]],
        "report": {
            "data": report["name"],
            "split": report["split"],
            "images": first.scores.images,
            "evaluation": first.scores.evaluation,
        },
        "selection": SELECTION,
        "rows": list(rows),
        "environment": shared_environment(environments),
    }


def _shared(values: Sequence[Any]) -> Any:
    """The value that all are, or None."""
    return values[0] if _same(values) else None


def shared_environment(environments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all environments share; where they differ, all the different values, as text."""
    values = {key: [env.get(key) for env in environments] for key in environments[0]}
    return {key: found[0] if _same(found) else " / ".join(_different(found)) for key, found in values.items()}


def _same(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _different(values: Sequence[Any]) -> list[str]:
    """The different values; one that is a list of such already counts as what it lists."""
    return sorted({one for value in values for one in str(value).split(" / ")})


def _null(value: float) -> float | None:
    return None if np.isnan(value) else value


def load_results(name: str, pair: str, profile: str = "mini", folder: Path = RESULTS) -> dict[str, Any] | None:
    """A recorded sweep on the pair's own data, or None if there is none."""
    path = folder / f"{name}.{pair_named(pair).name}.{profile}.json"
    return read_json(path) if path.is_file() else None


def all_results(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Every recorded sweep of a folder, by file name; other files, and a folder that is not there, count for nothing.

    Raises:
        LabError: a file is damaged or incomplete, by name.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        outcome = read_json(path)
        if not isinstance(outcome, dict) or "sweep" not in outcome:
            continue
        found.append(complete_record(outcome, path))
    return found


def complete_record(outcome: Any, path: Path) -> dict[str, Any]:
    """The recorded sweep that was read from a file, if it has all that one has; else a LabError that names the file."""
    if not isinstance(outcome, dict):
        raise LabError(f"{path}: no recorded sweep; move it away and record the sweep again (labkit sweep --record)")
    if absent := sorted(_NEEDED - set(outcome)):
        raise LabError(f"{path}: a recorded sweep without {', '.join(absent)}; record it again (labkit sweep --record)")
    return outcome


def data_name(dataset: str) -> str:
    """What stands beside a number for a data set with a name, as :func:`labkit.data.catalog.open_dataset` knows it."""
    if dataset in NAMED:
        return NAMED[dataset].name + NAMED[dataset].note
    return dataset.replace("minicity-", "MiniCity ")


def pair_title(pair: Pair) -> str:
    """Both data sets of a pair, whole or divided, by the names that stand beside a number."""
    return f"{data_name(pair.source)} → {data_name(pair.target)}"


def data_title(description: Mapping[str, Any]) -> str:
    """What a training learns from and is scored on, in words, by its description (``data`` and ``report`` of it)."""
    data, report = description["data"], description["report"]
    if SOURCE not in data:
        learned = data[LABELLED_TARGET]
        return f"{learned['name']}, {learned['split']} → {report['split']}"
    unlabelled = data.get(TARGET, report)["name"]
    also = "" if unlabelled == report["name"] else f" with {unlabelled}"
    return f"{data[SOURCE]['name']}{also} → {report['name']}"


def source_title(source: str) -> str:
    """Where a network is at home: trained and scored on the source, in words."""
    return f"{source}, train → val"


def rows_of(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an outcome, each with the steps, the size and the data of its own.

    Records of before have these of the whole sweep alone; their oracles learnt from the target.
    """
    report, whole = outcome["report"], {name: outcome[name] for name in ("steps", "size", "data")}
    of_target = {"data": f"{report['data']}, train → {report['split']}"}
    return [{**whole, **(of_target if row.get("method") == "oracle" else {}), **row} for row in outcome["rows"]]


def scores_of(measure: str, row: Mapping[str, Any], evaluation: str) -> tuple[list[float | None], int]:
    """The scores, one a seed, in 0–1, and over how many classes they are the mean."""
    if measure == "source":
        return row["source"]["miou"], row["source"]["classes"]
    over = {"last16": "miou16", "last13": "miou13"}.get(measure, evaluation)
    if (measure, evaluation) == ("last13", "miou11"):
        return [None], 0
    if evaluation == "miou11" or over == evaluation:  # CamVid's classes are merged ones: it has the one mean
        return row["miou_best" if measure == "best" else "miou"], len(EVALUATIONS[evaluation].train_ids)
    names = [CLASS_NAMES[i] for i in EVALUATIONS[over].train_ids]
    seeds = range(len(row["miou"]))
    return [mean_of_known([row["iou"][name][seed] for name in names]) for seed in seeds], len(names)


def mean_of_known(values: Iterable[float | None]) -> float:
    """The mean of the values that are there: a class that neither truth nor prediction has, has none. NaN of none."""
    known = [value for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def seeds_table(outcome: dict[str, Any]) -> pandas.DataFrame:
    """Mean ± standard deviation over seeds (sample deviation, n − 1), in percent, one row an experiment."""
    import pandas

    def spread(values: list[float | None]) -> str:
        return "–" if None in values else percent_text(values)

    rows = rows_of(outcome)
    one_data = len({row["data"] for row in rows}) == 1
    head = f"mIoU %, {rows[0]['data']}" if one_data else "mIoU %"
    cells = {
        row["name"]: {
            head: spread(row["miou"]),
            "best*": spread(row["miou_best"]),
            "single seeds": ", ".join(f"{100 * value:.1f}" for value in row["miou"]),
        }
        | ({} if one_data else {"data": row["data"]})
        for row in rows
    }
    return pandas.DataFrame.from_dict(cells, orient="index")


def training_text(outcome: dict[str, Any]) -> str:
    """How and where an outcome's rows were trained and scored, in words without a full stop."""
    env, report, seeds = outcome["environment"], outcome["report"], outcome["seeds"]
    return (
        f"profile {outcome['profile']}, {_lengths(rows_of(outcome))}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}; "
        f"scored on {report['images']} pictures of {report['data']} {report['split']}; "
        f"{env['hardware']} ({env['precision']}), commit {env['commit']}, {env['date']}"
        f"{_accumulated(outcome['rows'])}{_begun(outcome['rows'])}"
    )


def _accumulated(rows: Iterable[dict[str, Any]]) -> str:
    """Which rows saw their batches in parts, over which batch norm and masks took their means; empty for none."""
    parts = {row["name"]: row.get("settings", {}).get("accumulate", 1) for row in rows}
    return "".join(f"; {name}: batches in {count} parts" for name, count in parts.items() if count != 1)


def _begun(rows: Iterable[dict[str, Any]]) -> str:
    """Which rows begin with another training of the same start, translator or labeller, of the same seeds.

    Rows that were recorded at different times may: a training is made anew where its run is not at hand.
    """
    found: dict[str, dict[Any, list[str]]] = {}
    for row in rows:
        for other in ([row["start"]] if "start" in row else []) + row.get("before", []):
            found.setdefault(other["name"], {}).setdefault(tuple(other["weights"]), []).append(row["name"])
    several = {name: list(of.values()) for name, of in found.items() if len(of) > 1}
    return "".join(
        f"; begun with {len(groups)} trainings of {name}, recorded at different times: "
        + " | ".join(", ".join(group) for group in groups)
        for name, groups in several.items()
    )


def _lengths(rows: Iterable[dict[str, Any]]) -> str:
    """Steps and sizes; with the rows' names where they are not all the same."""
    same: dict[str, list[str]] = {}
    for row in rows:
        height, width = row["size"]
        same.setdefault(f"{row['steps']} steps at {height}×{width}", []).append(row["name"])
    return next(iter(same)) if len(same) == 1 else ", ".join(f"{one} ({', '.join(of)})" for one, of in same.items())


def provenance(outcome: dict[str, Any]) -> str:
    """Where a recorded sweep comes from, in a sentence."""
    return f"Recorded: {training_text(outcome)}. *Best: {outcome['selection']}."


def recorded_seeds(name: str, pair: str, profile: str = "mini", folder: Path = RESULTS):
    """A recorded sweep as a table with its provenance below; words if it has not been recorded."""
    outcome = load_results(name, pair, profile, folder)
    if outcome is None:
        return Words(f"{name} has not been recorded on {pair_named(pair).title} with the profile {profile}.")
    return Noted(seeds_table(outcome), provenance(outcome))

"""Sweeps: a published table's experiments, trained over seeds, and what was found of each."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from labkit.data.catalog import splits_of
from labkit.data.dataset import SegmentationDataset
from labkit.data.export import encode_png
from labkit.data.memory import InMemory
from labkit.data.selection import evenly
from labkit.errors import LabError
from labkit.evaluation.picture_counts import PictureCounts
from labkit.files import write_atomically
from labkit.lab import Lab
from labkit.labels import EVALUATIONS, PALETTE
from labkit.progress import callback
from labkit.report.counts import load_counts, write_counts
from labkit.report.curves import curves_of
from labkit.report.plans import chosen_rows, experiment_of, fitting, missing, resolve, sweep_lab, values_of
from labkit.report.recording import joined, kept_before, picture_file, pictures_folder
from labkit.report.results import SELECTION, measured_row, outcome_of
from labkit.report.side_by_side import check_jobs, side_by_side
from labkit.report.sweep_tables import SWEEPS, Row
from labkit.training.experiment import Experiment, weights_digest
from labkit.training.method import SOURCE
from labkit.training.runs import Run
from labkit.translate import translate, translated_in_memory

log = logging.getLogger(__name__)


def sweep(
    name: str,
    pair: str,
    profile: str,
    seeds: list[int],
    *,
    rows: Iterable[str] = (),
    how: Mapping[str, Any] | None = None,
    pictures: Path | None = None,
    **lab_options: Any,
) -> dict[str, Any]:
    """Train every experiment of a sweep with every seed (finished ones are found); the outcome as plain JSON.

    Args:
        name: ``PAPER.TABLE``, a key of :data:`SWEEPS`.
        pair, profile, seeds: of the trainings.
        rows: names of rows, for a part of the table.
        how: settings of :data:`labkit.report.plans.HOW` for all rows; values may be text.
        pictures: a folder for predictions of each row's first seed, palette PNGs of trainIds, of pictures spread evenly
            over the report split; the outcome names them, relative to the folder. With them go the counts of every
            picture, where the sweep has :attr:`labkit.report.sweep_tables.rows.Sweep.by_picture`, beside those of rows
            that were recorded there before.
        lab_options: further arguments of :class:`labkit.lab.Lab`.

    Raises:
        UnknownNameError: no such sweep, row, pair, profile or setting.
        LabError: a row needs something that is not there yet, data or the target's labels are not there, or what was
            recorded in ``pictures`` before cannot be joined by these rows. Nothing has been trained then.
    """
    lab = sweep_lab(name, pair, profile, **lab_options)
    chosen, opened = _checked(name, lab, profile, seeds, rows, how, pictures)
    outcomes, trained, seen, counts = [], [], {}, {}
    for row, experiment in zip(chosen, opened, strict=True):
        runs = [train_with_start(row, lab, seed) for seed in seeds]
        outcome = measured_row(row.name, runs) | {
            "experiment": list(row.experiment),
            "settings": values_of(row, lab),
            "source": _at_home(runs, lab),
            "curves": [curves_of(run) for run in runs],
            "seconds_before": [sum(_seconds_before(row, lab, seed).values()) for seed in seeds],
        }
        if row.start:
            weights = [run.description["model"]["weights"] for run in runs]
            outcome["start"] = {"name": row.start.name, "weights": weights}
        if others := [other for other in (row.translator, *row.given.values()) if other]:
            outcome["before"] = [
                {"name": one.name, "weights": [_digest_of(train_with_start(one, lab, seed)) for seed in seeds]}
                for one in others
            ]
        if pictures is not None:
            seen[row.name] = _predicted(runs[0], experiment.report, lab)
            if SWEEPS[name].by_picture:
                counts[row.name] = [lab.count_pictures(run, experiment.report) for run in runs]
        outcomes.append(outcome)
        trained.append(runs)
    outcome = outcome_of(name, lab.pair.name, profile, _data(lab), outcomes, trained)
    if pictures is not None:
        _write_beside(outcome, seen, counts, pictures)
    return outcome


def _foreseen(
    name: str, lab: Lab, profile: str, seeds: list[int], rows: Iterable[Row], experiments: Iterable[Experiment]
) -> dict[str, Any]:
    """What is known of an outcome before anything is trained, for :func:`labkit.report.recording.kept_before`."""
    report = next(iter(experiments)).report
    about = {"data": report.name, "split": report.split, "images": len(report), "evaluation": report.evaluation}
    known = {"sweep": name, "pair": lab.pair.name, "data": _data(lab), "profile": profile, "seeds": seeds}
    return known | {"report": about, "selection": SELECTION, "rows": [{"name": row.name} for row in rows]}


def _write_beside(
    outcome: dict[str, Any],
    seen: Mapping[str, Mapping[str, bytes]],
    counts: Mapping[str, list[PictureCounts]],
    folder: Path,
) -> None:
    """Write the predicted pictures of every row, which then names them, and the counts; nothing if it cannot be joined.

    Args:
        outcome: of a sweep.
        seen: by row and by the picture's name, PNGs.
        counts: by row; empty where the sweep has none.
        folder: of the records.
    """
    before, kept = kept_before(outcome, folder)
    earlier = load_counts(before, folder) if counts and kept else {}  # before anything is written: it may be damaged
    place = pictures_folder(outcome, folder)
    for row in outcome["rows"]:
        files = {title: place / picture_file(row["name"], n) for n, title in enumerate(seen[row["name"]], 1)}
        for title, file in files.items():
            write_atomically(file, seen[row["name"]][title])
        row["pictures"] = {title: file.relative_to(folder).as_posix() for title, file in files.items()}
    if counts:
        write_counts(joined(outcome, folder), earlier | counts, folder)


def check_sweeps(
    pairs: Mapping[str, str],
    profile: str,
    seeds: list[int],
    *,
    rows: Iterable[str] = (),
    how: Mapping[str, Any] | None = None,
    pictures: Path | None = None,
    **lab_options: Any,
) -> None:
    """Raise what :func:`sweep` would raise for any of several sweeps, before the first of them is trained."""
    for name, pair in pairs.items():
        lab = sweep_lab(name, pair, profile, **lab_options)
        _checked(name, lab, profile, seeds, rows, how, pictures)


def _checked(
    name: str,
    lab: Lab,
    profile: str,
    seeds: list[int],
    rows: Iterable[str],
    how: Mapping[str, Any] | None,
    pictures: Path | None,
) -> tuple[tuple[Row, ...], list[Experiment]]:
    """What :func:`_opened` gives, once it is sure that its outcome could join what ``pictures`` holds."""
    chosen, opened = _opened(name, lab, rows, how)
    if pictures is not None:
        kept_before(_foreseen(name, lab, profile, seeds, chosen, opened), pictures)
    return chosen, opened


def train_ahead(
    pairs: Mapping[str, str],
    profile: str,
    seeds: list[int],
    *,
    jobs: int,
    rows: Iterable[str] = (),
    how: Mapping[str, Any] | None = None,
    **lab_options: Any,
) -> None:
    """Train what several sweeps ask for, several trainings at a time; :func:`sweep` finds them afterwards.

    Args:
        pairs: the pair of each sweep.
        profile, seeds, rows, how, lab_options: as for :func:`sweep`, for all of them.
        jobs: trainings at a time, each in a process of its own; they share the pictures in memory.

    Raises:
        LabError: as :func:`sweep` and :func:`labkit.report.side_by_side.side_by_side`.
    """
    check_jobs(jobs)
    labs: dict[str, Lab] = {}
    asked: dict[str, tuple[Row, Lab, int]] = {}
    for name, pair in pairs.items():
        own = sweep_lab(name, pair, profile, **lab_options)
        lab = labs.setdefault(pair, own).after(own.paper)
        for row in _opened(name, lab, rows, how)[0]:
            for one in _with_all_before(row):
                asked |= {_identity(one, lab, seed): (one, lab, seed) for seed in seeds}
    for lab in labs.values():
        lab.read_ahead(jobs)
    in_order = sorted(asked.values(), key=lambda task: _depth(task[0]))
    side_by_side([partial(train_with_start, *task) for task in in_order], jobs)


def _opened(
    name: str, lab: Lab, rows: Iterable[str], how: Mapping[str, Any] | None
) -> tuple[tuple[Row, ...], list[Experiment]]:
    """The rows and their trainings: all data and settings are checked before the first step."""
    chosen = chosen_rows(name, lab, rows, how)
    if absent := {row.name: found for row in chosen if (found := missing(row, lab))}:
        able = [row.name for row in chosen if row.name not in absent]
        listed = "; ".join(f"{title}: {', '.join(found)}" for title, found in absent.items())
        raise LabError(
            f"{name} cannot be trained whole. Not there yet: {listed}. "
            + (f"Rows that can be trained: {'; '.join(able)}" if able else "No row can be trained")
        )
    experiments = [experiment_of(row, lab) for row in chosen]
    if any(one.report is None for one in experiments):
        raise LabError(
            f"{lab.pair.target} has no labels in its split {lab.pair.report_split}, so there would be nothing to score "
            "a row with; `labkit data check` says what lies where, and `labkit train` trains without labels"
        )
    return chosen, experiments


def _with_all_before(row: Row) -> Iterator[Row]:
    """The rows that a row begins with, and theirs, and the row; one may come more than once."""
    for other in row.before:
        yield from _with_all_before(other)
    yield row


def _depth(row: Row) -> int:
    """How many trainings come before a row's, one after the other."""
    return 1 + max((_depth(other) for other in row.before), default=-1)


def _identity(row: Row, lab: Lab, seed: int) -> str:
    """What tells a training from all others, before those that it begins with are trained."""
    asked = replace(experiment_of(row, lab), seed=seed).describe()
    roles = {"translator": row.translator, "start": row.start, **row.given}
    before = {role: _identity(other, lab, seed) for role, other in roles.items() if other}
    return json.dumps([asked, before], sort_keys=True)


def _data(lab: Lab) -> str:
    """Both domains by the names of the data that were opened: MiniCity written as GTA5 is not GTA5."""
    source = lab.source().name if lab.has(lab.pair.source) else lab.pair.title.partition(" → ")[0]
    return f"{source} → {lab.target().name}"


def _at_home(runs: list[Run], lab: Lab) -> dict[str, Any] | None:
    """The runs' scores on the source's validation pictures; None for those that learnt nothing there."""
    if SOURCE not in runs[0].description["data"] or "val" not in splits_of(lab.pair.source, lab.data):
        return None
    home = lab.source("val", runs[0].size)
    scores = [lab.evaluate(run, home) for run in runs]
    return {
        "data": home.name,
        "images": len(home),
        "classes": len(EVALUATIONS[home.evaluation].train_ids),
        "miou": [score.miou for score in scores],
    }


def train_with_start(row: Row, lab: Lab, seed: int) -> Run:
    """The training of a row, after those that it begins with; finished ones are found."""
    row = fitting(row, lab)
    changes: dict[str, Any] = {}
    if row.translator:
        changes["source"] = _translated_source(row, train_with_start(row.translator, lab, seed), lab)
    if row.start:
        changes["weights"] = _last_weights(train_with_start(row.start, lab, seed))
    if row.given:
        runs = {network: train_with_start(other, lab, seed) for network, other in row.given.items()}
        changes["given"] = {network: _last_weights(run) for network, run in runs.items()}
    return lab.conduct(replace(experiment_of(row, lab, **changes), seed=seed)).run


def _seconds_before(row: Row, lab: Lab, seed: int) -> dict[str, float]:
    """How long the trainings took, by name, that a row needs beside its start: of a translator, of a labeller."""
    seconds: dict[str, float] = {}
    for other in (row.translator, *row.given.values()):
        if other:
            run = train_with_start(other, lab, seed)
            seconds |= {run.name: run.result["seconds"], **_seconds_before(other, lab, seed)}
    return seconds


def _last_weights(run: Run) -> Path:
    return run.folder / "weights.safetensors"


def _digest_of(run: Run) -> str:
    """Of the last weights, as a description of what begins with them has it."""
    return weights_digest(_last_weights(run))


def _translated_source(row: Row, run: Run, lab: Lab) -> SegmentationDataset:
    """The pictures that a row would learn from, as the generator of a finished run translates them.

    Those that are kept in memory are translated there; others once, into a folder beside the data sets.
    """
    dataset = experiment_of(row, lab).datasets[SOURCE]
    if isinstance(dataset, InMemory):
        return translated_in_memory(dataset, run, lab.device)
    folder = lab.data / "translated" / f"{lab.pair.source}-{run.name}"
    log.info("translating %s into %s", dataset.name, folder)
    show = callback("translate", "pictures")
    translate(run, lab.pair.source, folder, device=lab.device, root=lab.data, progress=show, wait=True)
    return lab.from_source(str(folder)).source(dataset.split, resolve(row, lab)["source_size"].value)


def _predicted(run: Run, dataset: SegmentationDataset, lab: Lab, count: int = 3) -> dict[str, bytes]:
    """Predictions by the picture's name, palette PNGs of trainIds, of pictures spread evenly over a data set."""
    samples = [dataset[index] for index in evenly(len(dataset), count)]
    files = {}
    for sample, train_ids in zip(samples, lab.predict(run, samples), strict=True):
        picture = Image.fromarray(train_ids)
        picture.putpalette(PALETTE.flatten().tolist())
        files[sample.name] = encode_png(picture)
    return files

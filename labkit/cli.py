"""The command line: ``labkit <command>``.

Standard output carries the answer (with ``--json`` exactly one JSON object), standard error the log and the progress.
Exit codes: 0 done, 1 the check found something, 2 wrong use; 130 and 143 after Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from labkit import __version__
from labkit.errors import LabError

log = logging.getLogger("labkit")


class _Size(click.ParamType):
    """HxW in pixels."""

    name = "HxW"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        height, _, width = str(value).lower().partition("x")
        if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
            self.fail(f"{value!r} is not a size like 128x256 (height x width in pixels)", param, ctx)
        return int(height), int(width)


SIZE = _Size()
FOLDER = click.Path(path_type=Path)


class _Commands(click.Group):
    """Commands in the order of their definition, and errors of ours without a traceback."""

    def list_commands(self, ctx):
        return list(self.commands)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except LabError as error:
            click.echo(f"labkit: {error}", err=True)
            ctx.exit(2)


def _json_option(function: Callable) -> Callable:
    """Add ``--json``: the command's returned value is printed as JSON, else as the lines of its ``text``."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
    @functools.wraps(function)
    def command(*args, as_json: bool, **kwargs):
        value, text, code = function(*args, **kwargs)
        click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)
        click.get_current_context().exit(code)

    return command


def _runs_option(function: Callable) -> Callable:
    return click.option(
        "--runs", type=FOLDER, default=None, help="Folder of runs.  [default: $LABKIT_RUNS or ./runs]"
    )(function)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="labkit")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings only.")
def main(quiet: bool):
    """Unsupervised domain adaptation for real-time semantic segmentation.

    Learn on synthetic streets, work on real ones. A first experiment, with nothing to download:

    \b
      labkit doctor
      labkit train --method source-only --profile mini
      labkit train --method oracle --profile mini
      labkit runs

    Data sets are looked for under $LABKIT_DATA (default: ./data).
    """
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr, force=True
    )


# --- this machine --------------------------------------------------------------------------------------------------


@main.command()
@_runs_option
@_json_option
def doctor(runs: Path | None):
    """Check this machine: Python, packages, device, data, disk. Exit code 1 if something is missing."""
    from labkit.data.catalog import data_root
    from labkit.doctor import examine
    from labkit.lab import runs_folder

    checks = list(examine(data_root(), runs or runs_folder()))
    marks = {True: "[OK]  ", False: "[FAIL]", None: "[  ]  "}
    healthy = all(check.ok is not False for check in checks)
    text = "\n".join(f"{marks[check.ok]} {check.name}: {check.message}" for check in checks)
    return {"ok": healthy, "checks": [check.as_json() for check in checks]}, text, 0 if healthy else 1


# --- data ------------------------------------------------------------------------------------------------------------


@main.group(cls=_Commands)
def data():
    """Make, check and download data sets."""


@data.command()
@click.argument("folder", type=FOLDER)
@click.option("--style", type=click.Choice(["game", "toon", "real"]), required=True, help="Which city to draw.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["gta5", "synthia", "cityscapes"]),
    required=True,
    help="Whose layout of folders and coding of labels to write.",
)
@click.option("--count", type=click.IntRange(1), required=True, help="Number of pictures.")
@click.option("--size", type=SIZE, default="256x512", show_default=True, help="Of the pictures.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which scenes.")
@_json_option
def make(folder: Path, style: str, file_format: str, count: int, size: tuple[int, int], seed: int):
    """Draw MiniCity scenes into FOLDER, in the on-disk format of a real data set.

    In Cityscapes' format a fifth of them becomes the val split. Interrupted, it continues where it stopped.
    """
    from labkit.data.export import make

    written = make(folder, style, file_format, count, size, seed, progress=_progress("drawing", "pictures"))
    value = {"folder": str(folder), "pairs": written, "style": style, "format": file_format, "seed": seed}
    return value, f"{written} pairs in {folder}. Look them over: labkit data check {folder}", 0


@data.command()
@click.argument("folder", type=FOLDER)
@click.option("--dataset", default=None, help="camvid, cityscapes, gta5 or synthia.  [default: by its layout]")
@_json_option
def check(folder: Path, dataset: str | None):
    """Check every pair of FOLDER: both files there and readable, of one size, with known ids only.

    Exit code 1 if anything is wrong; everything is looked at before.
    """
    from labkit.data.check import check

    report = check(folder, dataset, progress=_progress("checking", "pairs"))
    value = {
        "dataset": report.dataset,
        "pairs": report.pairs,
        "ok": report.ok,
        "bad": [{"file": problem.file, "reason": problem.reason} for problem in report.bad],
    }
    lines = [f"{problem.file}: {problem.reason}" for problem in report.bad]
    lines.append(f"{report.dataset or folder}: {report.ok} of {report.pairs} pairs are fine")
    return value, "\n".join(lines), 1 if report.bad or not report.pairs else 0


@data.command()
@click.argument("name", type=click.Choice(["camvid"]))
@click.option("--url", default=None, help="Another address of the same archive, or a file.")
@_json_option
def get(name: str, url: str | None):
    """Download the data set NAME into the data folder, verify it, unpack it.

    An interrupted download continues. Nothing appears under its final name before every file's checksum is right.
    """
    from labkit.data import camvid

    given = {"url": url} if url else {}
    unpacked = camvid.get(progress=_progress("downloading", "bytes"), **given)
    state = "downloaded and verified" if unpacked.downloaded else "already there, verified"
    value = {"folder": str(unpacked.folder), "files": unpacked.files, "downloaded": unpacked.downloaded}
    return value, f"{unpacked.folder}: {unpacked.files} files, {state}\n{camvid.ATTRIBUTION}", 0


# --- training and scoring --------------------------------------------------------------------------------------------


@main.command()
@click.option("--model", default="bisenet", show_default=True, help="Network.")
@click.option("--method", default="source-only", show_default=True, help="Method of adaptation.")
@click.option("--source", default="minicity-game", show_default=True, help="Labelled data set: a name or a folder.")
@click.option("--target", default="minicity-real", show_default=True, help="Target data set: a name or a folder.")
@click.option("--profile", default="mini", show_default=True, help="Budget: smoke, mini, gpu or paper.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights, order, augmentation.")
@click.option("--steps", type=click.IntRange(1), default=None, help="Training steps.  [default: the profile's]")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A hyperparameter; may be repeated.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="How many of them.")
@click.option("--workers", type=click.IntRange(0), default=None, help="Loader processes.  [default: the profile's]")
@click.option("--checkpoint-every", type=click.IntRange(1), default=None, help="Steps.  [default: the profile's]")
@_runs_option
@_json_option
def train(
    model, method, source, target, profile, seed, steps, assignments, device, devices, workers, checkpoint_every, runs
):
    """Train a network, or find the finished run, or continue an unfinished one.

    The request names the run: the same command after an interruption goes on at the last checkpoint. Ctrl-C saves and
    stops.
    """
    from labkit.lab import Lab
    from labkit.profiles import pair_of
    from labkit.training.signals import TrainingInterrupted

    changes = _assignments(assignments)
    if steps is not None:
        changes["steps"] = steps
    lab = Lab(profile, pair_of(source, target), seed, runs=runs, device=device, workers=workers)
    try:
        outcome = lab.conduct(
            lab.experiment(model, method, **changes), devices=devices, checkpoint_every=checkpoint_every
        )
    except TrainingInterrupted as interruption:
        click.echo(f"labkit: {interruption}", err=True)
        click.get_current_context().exit(128 + interruption.signal)
    result = outcome.run.result
    value = {
        "run": str(outcome.run.folder),
        "steps": result["steps"],
        "resumed_from": outcome.resumed_from,
        "miou_target": result["miou_target"],
    }
    score = "no target labels" if result["miou_target"] is None else f"target mIoU {100 * result['miou_target']:.1f} %"
    return value, f"{outcome.run.folder}: {result['steps']} steps, {score}", 0


@main.command()
@click.argument("run")
@click.option("--data", "dataset", required=True, help="Data set: a name or a folder.")
@click.option("--split", default="val", show_default=True, help="train, val or test.")
@click.option("--size", type=SIZE, default=None, help="Of the pictures.  [default: the run's own]")
@click.option("--count", type=click.IntRange(1), default=None, help="At most so many pictures.")
@click.option("--which", type=click.Choice(["last", "best"]), default="last", show_default=True, help="Which weights.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@_runs_option
@_json_option
def evaluate(run, dataset, split, size, count, which, device, runs):
    """Score the run RUN (a folder, a name or its beginning) on a data set: IoU per class and the means.

    Classes that occur in neither truth nor prediction are left out of the mean. CamVid is scored over its own 11 classes.
    """
    from labkit.data.catalog import open_dataset
    from labkit.evaluation.predict import evaluate
    from labkit.lab import runs_folder
    from labkit.training.devices import make_fabric
    from labkit.training.runs import RunStore

    found = RunStore(runs or runs_folder()).find(run)
    known = found.generated_like(dataset, split)
    pictures = open_dataset(
        dataset, split, size or found.size, count=count or known.get("count"), seed=known.get("seed", 0)
    )
    place = make_fabric(device=device).device
    scores = evaluate(found.load_model(which).to(place), pictures, device=place)
    return {"run": str(found.folder), **scores.as_json()}, _score_table(scores, f"{pictures.name} {split}"), 0


@main.command()
@click.argument("predictions", type=FOLDER)
@click.argument("labels", type=FOLDER)
@click.option(
    "--labels",
    "encoding",
    type=click.Choice(["ids", "trainIds"]),
    default="ids",
    show_default=True,
    help="What the numbers in both folders' PNGs are.",
)
@_json_option
def score(predictions: Path, labels: Path, encoding: str):
    """Score PREDICTIONS, a folder of any tool's PNGs, against LABELS, a folder of label maps.

    Files are matched by name (Cityscapes' endings may differ). A void prediction on valid truth is a miss.
    """
    from labkit.evaluation.folders import score_folders

    scores = score_folders(predictions, labels, encoding, _tracker("scoring"))
    return scores.as_json(), _score_table(scores, str(labels)), 0


@main.command()
@click.argument("run")
@click.argument("images", type=FOLDER, nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures.")
@click.option("--size", type=SIZE, default=None, help="What the network sees.  [default: the run's own]")
@click.option(
    "--uncertain",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Entropy, as a share of its maximum, above which a pixel is blacked out.",
)
@_runs_option
@_json_option
def predict(run, images, out, size, uncertain, runs):
    """Segment photographs with RUN: colour map, overlay, entropy map, and the colours it is certain of."""
    from labkit.evaluation.prediction_images import write_prediction
    from labkit.lab import runs_folder
    from labkit.training.runs import RunStore

    found = RunStore(runs or runs_folder()).find(run)
    model = found.load_model()
    written = [write_prediction(model, path, out, size or found.size, uncertain=uncertain) for path in images]
    value = {"run": str(found.folder), "images": [{"image": str(i), **w} for i, w in zip(images, written, strict=True)]}
    return value, "\n".join(path for files in written for path in files.values()), 0


@main.command()
@_runs_option
@_json_option
def runs(runs: Path | None):
    """List what has been trained."""
    from labkit.lab import runs_folder
    from labkit.training.runs import RunStore

    store = RunStore(runs or runs_folder())
    rows = [run.summary() for run in store.all()]
    lines = [f"{row['name']}  {row['state']}, {row['data']}, {_percent(row['miou_target'])}" for row in rows]
    return {"runs": rows}, "\n".join(lines) or f"no runs in {store.folder}", 0


# --- words and numbers -----------------------------------------------------------------------------------------------


def _assignments(texts: tuple[str, ...]) -> dict[str, Any]:
    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--set {text!r}: write it as KEY=VALUE, for instance --set jitter=0.5")
        changes[key.strip().replace("-", "_")] = value.strip()
    return changes


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _score_table(scores, title: str) -> str:
    import math

    lines = [f"{title}, {scores.images} pictures"]
    lines += [f"  {name:14} {'absent' if math.isnan(v) else _percent(v):>8}" for name, v in scores.iou.items()]
    lines.append(f"  {'mean':14} {_percent(scores.miou):>8}")
    for key in ("miou16", "miou13"):
        if (value := scores.over(key)) is not None and key != scores.evaluation:
            lines.append(f"  {key:14} {_percent(value):>8}")
    return "\n".join(lines)


def _tracker(title: str):
    """A wrapper for a list that shows how far it is."""
    from labkit.progress import track

    return lambda items: track(items, len(items), title)


def _progress(title: str, unit: str):
    """A callback (done, total) that shows how far it is."""
    from labkit.progress import callback

    return callback(title, unit)


if __name__ == "__main__":
    main()

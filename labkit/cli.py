"""The command line: ``labkit <command>``.

Standard output carries the answer (with ``--json`` exactly one JSON object), standard error the log and the progress.
Exit codes: 0 done, 1 the check found something, 2 wrong use; 130 and 143 after Ctrl-C and SIGTERM.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from labkit import __version__
from labkit.errors import LabError

log = logging.getLogger(__name__)


class _Size(click.ParamType):
    """HxW in pixels."""

    name = "HxW"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        height, _, width = str(value).lower().partition("x")
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            self.fail(f"{value!r} is not a size like 128x256 (height x width in pixels)", param, ctx)
        return int(height), int(width)


SIZE = _Size()
FOLDER = click.Path(path_type=Path)
COUNT = click.IntRange(1)
DEVICE = click.Choice(["auto", "cpu", "cuda", "mps"])
INTERRUPTED = 130
BUDGETS = "smoke (seconds: does it run?), mini (minutes on a laptop), scratch, gpu or paper; mini-900: 900 steps"


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
        except KeyboardInterrupt as interruption:
            click.echo(f"labkit: {str(interruption) or 'interrupted'}", err=True)
            ctx.exit(128 + interruption.signal if hasattr(interruption, "signal") else INTERRUPTED)


def _json_option(function: Callable) -> Callable:
    """Add ``--json``. The function returns a value for it, the text to print otherwise, and the exit code."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for other programs.")
    @functools.wraps(function)
    def command(*args, as_json: bool, **kwargs):
        value, text, code = function(*args, **kwargs)
        if not int(os.environ.get("LOCAL_RANK") or 0):  # of several processes of one training, the first speaks
            click.echo(json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False) if as_json else text)
        click.get_current_context().exit(code)

    return command


def _runs_option(function: Callable) -> Callable:
    return click.option("--runs", type=FOLDER, help="Folder that holds the runs.  [default: $LABKIT_RUNS or ./runs]")(
        function
    )


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}


@click.group(cls=_Commands, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="labkit")
@click.option("-q", "--quiet", is_flag=True, show_default=False, help="Only warnings on standard error.")
def main(quiet: bool):
    """Unsupervised domain adaptation for real-time semantic segmentation.

    Learn on synthetic streets, work on real ones. A first experiment, with nothing to download:

    \b
      labkit doctor
      labkit train --method source-only
      labkit train --method oracle
      labkit runs

    A data set is named minicity-game, minicity-toon or minicity-real (generated, always there); camvid, cityscapes,
    cityscapes-extra, gta5 or synthia (looked for under $LABKIT_DATA, default ./data), or cityscapes-loda or gta5-loda
    (split as in loda2025); or by its folder, which may also be one of your own with a labkit-dataset.toml, or hold
    pictures without labels.

    Every command takes --help, and --json for one JSON object on standard output; the log goes to standard error.
    Exit codes: 0 done, 1 the check found something, 2 wrong use.
    """
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr, force=True
    )


# --- this machine ----------------------------------------------------------------------------------------------------


@main.command(short_help="Check this machine: packages, device, data, disk.")
@_runs_option
@_json_option
def doctor(runs: Path | None):
    """Check this machine: Python, packages, device, data, disk.

    One line for each: [OK]; [FAIL] with the way to mend it; or [  ] for something optional that is not there. Exit
    code 1 if anything failed.
    """
    from labkit.data.formats import data_root
    from labkit.doctor import examine
    from labkit.lab import runs_folder

    checks = list(examine(data_root(), runs or runs_folder()))
    marks = {True: "[OK]  ", False: "[FAIL]", None: "[  ]  "}
    healthy = all(check.ok is not False for check in checks)
    text = "\n".join(f"{marks[check.ok]} {check.name}: {check.message}" for check in checks)
    return {"ok": healthy, "checks": [check.as_json() for check in checks]}, text, 0 if healthy else 1


# --- data ------------------------------------------------------------------------------------------------------------


@main.group(cls=_Commands, short_help="Make, check, download and cache data sets.")
def data():
    """Make, check, download and cache data sets.

    \b
      labkit data make data/gta5 --style game --format gta5 --count 200
      labkit data check data/gta5
      labkit data get camvid
      labkit data cache camvid --size 96x128
    """


@data.command(short_help="Draw MiniCity in a real data set's on-disk format.")
@click.argument("folder", type=FOLDER)
@click.option("--style", type=click.Choice(["game", "toon", "real"]), required=True, help="Which city to draw.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["gta5", "synthia", "cityscapes"]),
    required=True,
    help="Whose folders, file names and coding of labels to write.",
)
@click.option("--count", type=COUNT, metavar="N", required=True, help="How many pictures.")
@click.option("--size", type=SIZE, metavar="HxW", default="256x512", help="Height x width of the pictures, in pixels.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, help="Another seed is another city.")
@_json_option
def make(folder: Path, style: str, file_format: str, count: int, size: tuple[int, int], seed: int):
    """Draw MiniCity scenes into FOLDER, in the on-disk format of a real data set.

    In Cityscapes' format a fifth of them becomes the val split. Interrupted, it continues where it stopped.

    \b
      labkit data make data/mine --style real --format cityscapes --count 100
    """
    from labkit.data.export import make

    written = make(folder, style, file_format, count, size, seed, progress=_progress("drawing", "pictures"))
    value = {"folder": str(folder), "pairs": written, "style": style, "format": file_format, "seed": seed}
    return value, f"{written} pairs in {folder}. Look them over: labkit data check {folder}", 0


@data.command(short_help="Look at every picture and label map of a folder.")
@click.argument("folder", type=FOLDER)
@click.option("--dataset", metavar="NAME", help="A data set's name, or pictures.  [default: told from the layout]")
@_json_option
def check(folder: Path, dataset: str | None):
    """Check every pair of FOLDER: both files there and readable, of one size, with known ids only.

    Everything is looked at; each fault is listed with its file. Exit code 1 if there was one.

    \b
      labkit data check data/camvid
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
    return value, "\n".join(lines), 0 if report.clean else 1


@data.command(short_help="Download a data set that needs no registration.")
@click.argument("name", type=click.Choice(["camvid"]))
@click.option("--url", help="Another address of the same archive, or a file.")
@_json_option
def get(name: str, url: str | None):
    """Download the data set NAME into the data folder ($LABKIT_DATA or ./data), verify it, unpack it.

    An interrupted download continues. Nothing appears under its final name before every file's checksum is right.
    """
    from labkit.data import camvid_download
    from labkit.data.camvid import ATTRIBUTION

    unpacked = camvid_download.get(url=url or camvid_download.URL, progress=_progress("downloading", "bytes"))
    state = "downloaded and verified" if unpacked.downloaded else "already there, verified"
    value = {"folder": str(unpacked.folder), "files": unpacked.files, "downloaded": unpacked.downloaded}
    return value, f"{unpacked.folder}: {unpacked.files} files, {state}\n{ATTRIBUTION}", 0


@data.command(short_help="Decode and resize a data set once, for fast loading.")
@click.argument("dataset", metavar="DATA")
@click.argument("out", type=FOLDER, required=False)
@click.option("--size", type=SIZE, metavar="HxW", required=True, help="Height x width to train at, in pixels.")
@click.option("--jobs", type=COUNT, metavar="N", help="Processes that decode.  [default: one for each core]")
@click.option("--standalone", is_flag=True, help="To be used where the data set itself is not, as on Drive.")
@_json_option
def cache(dataset: str, out: Path | None, size: tuple[int, int], jobs: int | None, standalone: bool):
    """Cache DATA (a name or a folder) at training size in the folder OUT, as memory-mapped arrays.

    Of a data set with a name, OUT is by default where it is found: cache/NAME-HxW in the data folder. Interrupted, the
    same command continues; after a change of the data it brings the cache up to date. A cache is used together with its
    data set, whose changes are noticed; made with --standalone, it is also used where the data set is not.

    \b
      labkit data cache cityscapes --size 512x1024
      labkit data cache data/mine caches/mine --size 256x512
    """
    from labkit.data.cache import build, default_folder
    from labkit.data.formats import NAMED

    if out is None and dataset not in NAMED:
        raise click.UsageError(f"give a folder for the cache too; only {', '.join(NAMED)} have a place of their own")
    out, progress = out or default_folder(dataset, size), _progress("caching", "pictures")
    report = build(dataset, out, size, jobs=jobs, standalone=standalone, progress=progress)
    value = {
        "folder": str(report.folder),
        "dataset": report.dataset,
        "size": list(report.size),
        "pictures": report.pictures,
        "decoded": report.decoded,
        "bytes": report.bytes,
    }
    new = f"{report.decoded} of them decoded now" if report.decoded else "nothing had changed"
    text = f"{report.folder}: {report.pictures} pictures of {report.dataset}, {report.bytes / 2**20:.1f} MiB, {new}"
    return value, text, 0


# --- training and scoring --------------------------------------------------------------------------------------------


@main.command(short_help="Train a network, or find or continue its run.")
@click.option("--model", default="bisenet", metavar="NAME", help="The network.")
@click.option(
    "--method",
    default="source-only",
    metavar="NAME",
    help="How to learn: source-only ignores the target, oracle learns from the target's own labels.",
)
@click.option("--source", default="minicity-game", metavar="DATA", help="Labelled data set: a name or a folder.")
@click.option("--target", default="minicity-real", metavar="DATA", help="Where it has to work: a name or a folder.")
@click.option(
    "--unlabelled",
    metavar="DATA",
    help="Pictures for the unlabelled target stream instead of the target's own, such as cityscapes-extra.",
)
@click.option(
    "--profile",
    default="mini",
    metavar="NAME",
    help=f"The budget: {BUDGETS}.",
)
@click.option(
    "--paper",
    metavar="NAME",
    help="Whose recipe the profile paper follows: baitan2025, loda2025, toldo2020, yan2022.  [default: baitan2025]",
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", default=0, help="Of initial weights, order and augmentation."
)
@click.option("--steps", type=COUNT, metavar="N", help="Training steps.  [default: the profile's]")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A hyperparameter of the method or the training, such as jitter=0; may be given several times.",
)
@click.option(
    "--given",
    multiple=True,
    metavar="NETWORK=RUN",
    help="A run, or a file of weights, that a method's second network begins with, such as labeller=RUN of cim.",
)
@click.option("--device", type=DEVICE, default="auto", help="Where to compute; auto takes the fastest.")
@click.option("--devices", type=COUNT, metavar="N", default=1, help="How many of them.")
@click.option(
    "--workers", type=click.IntRange(0), metavar="N", help="Processes that load data.  [default: the profile's]"
)
@click.option(
    "--checkpoint-every", type=COUNT, metavar="N", help="Steps between checkpoints.  [default: the profile's]"
)
@_runs_option
@_json_option
def train(
    model,
    method,
    source,
    target,
    unlabelled,
    profile,
    paper,
    seed,
    steps,
    assignments,
    given,
    device,
    devices,
    workers,
    checkpoint_every,
    runs,
):
    """Train a network, or find the finished run, or continue an unfinished one.

    The request names the run, so the same command finds the finished run, or goes on at the last checkpoint of an
    interrupted one. Ctrl-C saves and stops. An unknown name or hyperparameter is answered with the known ones.

    \b
      labkit train --profile smoke                        does it run? Some ten seconds
      labkit train                                        minutes: source only, MiniCity game to real
      labkit train --method oracle --seed 1
      labkit train --target camvid --set jitter=0 --set blur=0
      labkit train --model deeplabv3 --method mmd --profile paper --paper loda2025
    """
    from labkit.lab import Lab
    from labkit.profiles import PAPER, pair_of

    if paper and profile != PAPER:
        raise click.UsageError(f"--paper chooses the recipe of --profile {PAPER}; the other profiles have none")
    changes = _assignments(assignments)
    if steps is not None:
        changes["steps"] = steps
    lab = Lab(
        profile,
        pair_of(source, target),
        seed,
        paper=paper or "baitan2025",
        runs=runs,
        unlabelled=unlabelled,
        device=device,
        workers=workers,
    )
    if profile == PAPER:
        _log_stage(lab.paper, method)
    files = {name: _weights_of(of, runs) for name, of in _divided(given, "--given", "labeller=RUN").items()}
    experiment = lab.experiment(model, method, given=files, **changes)
    if experiment.report is None:
        log.warning("%s has no labelled %s split: the training will not be scored", target, lab.report_split)
    outcome = lab.conduct(experiment, devices=devices, checkpoint_every=checkpoint_every)
    result = outcome.run.result
    value = {
        "run": str(outcome.run.folder),
        "steps": result["steps"],
        "resumed_from": outcome.resumed_from,
        "miou_target": result["miou_target"],
    }
    score = f"target mIoU {_percent(result['miou_target'])} ({lab.report_split})"
    if result["miou_target"] is None:
        score = f"not scored: no labelled {lab.report_split} split of the target"
    found = "found, " if outcome.resumed_from is None else ""
    return value, f"{outcome.run.folder}: {found}{result['steps']} steps, {score}", 0


def _log_stage(paper: str, method: str) -> None:
    """Say whose recipe is followed; refuse a method that the paper does not train."""
    from labkit.methods.registry import method_class
    from labkit.papers.recipes import papers_of, stage_of, stages

    method_class(method)  # raises
    if paper not in (those := papers_of(method)):
        instead = f"give --paper {' or '.join(those)}" if those else "no paper's is; take another profile"
        raise LabError(f"method {method} is none of {paper}, so the profile paper has no recipe of it: {instead}")
    stage = stage_of(paper, method)
    log.info("The recipe is %s's, stage %s: %s", paper, stage, stages(paper)[stage])


@main.command(short_help="Train published tables' experiments over seeds.")
@click.argument("names", metavar="PAPER.TABLE…", nargs=-1, required=True)
@click.option(
    "--pair",
    metavar="NAME",
    help="Pair of domains, source to target.  [default: minicity; with --profile paper the published one]",
)
@click.option("--profile", default="mini", show_default=True, help=f"Budget: {BUDGETS}.")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="N,N,…", help="One training each.")
@click.option("--row", "rows", multiple=True, metavar="NAME", help="Only this row; may be repeated.")
@click.option(
    "--record", "folder", type=FOLDER, default=None, help="Write into this folder: a JSON file, and some predictions."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be trained, hyperparameter by hyperparameter.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="How it is computed: precision, accumulate or evaluate_every; may be given several times.",
)
@click.option("--jobs", type=COUNT, default=1, show_default=True, metavar="N", help="Trainings at a time (Linux).")
@click.option("--device", type=DEVICE, default="auto", help="Where to compute; auto takes the fastest.")
@_runs_option
@_json_option
def sweep(names, pair, profile, seeds, rows, folder, dry_run, assignments, jobs, device, runs):
    """Train every experiment of published tables with every seed; finished trainings are found.

    An interrupted sweep goes on where it stopped. What --record writes under results/ is what the book shows; rows
    recorded there before with the same seeds stay beside the new ones, so a long table can be recorded in parts.
    --dry-run needs no data: it shows every field with its section in the paper, or that it is ours, and why.

    \b
      labkit sweep baitan2025.table2 --profile smoke --seeds 0
      labkit sweep baitan2025.table2 --pair minicity-camvid --record results
      labkit sweep baitan2025.table3 baitan2025.table4 --profile scratch --jobs 8 --record results
      labkit sweep yan2022.table1 --pair synthia-cityscapes --profile paper --dry-run
    """
    from labkit import report
    from labkit.profiles import PAPER
    from labkit.report.plans import sweep_named

    if not all(part.strip().isdigit() for part in seeds.split(",")):
        raise click.UsageError(f"--seeds {seeds!r}: write whole numbers with commas, for instance 0,1,2")
    numbers = [int(part) for part in seeds.split(",")]
    if len(set(numbers)) < len(numbers):
        raise click.UsageError(f"--seeds {seeds!r}: a seed twice is one training; write each once")
    how = _assignments(assignments)
    pairs = {name: pair or (sweep_named(name).pair if profile == PAPER else "minicity") for name in names}
    if dry_run:
        planned = [report.plan_sweep(name, pairs[name], profile, numbers, rows, how) for name in pairs]
        return _one_or_all(planned), "\n\n".join(map(report.plan_text, planned)), 0
    report.check_sweeps(pairs, profile, numbers, rows=rows, how=how, pictures=folder, runs=runs, device=device)
    if jobs > 1:
        report.train_ahead(pairs, profile, numbers, jobs=jobs, rows=rows, how=how, runs=runs, device=device)
    outcomes, texts = [], []
    for name in pairs:
        outcome = report.sweep(
            name, pairs[name], profile, numbers, rows=rows, how=how, pictures=folder, runs=runs, device=device
        )
        written = f"\nrecorded in {report.record(outcome, folder)}" if folder else ""
        outcomes.append(outcome)
        texts.append(f"{report.seeds_table(outcome).to_string()}\n{report.provenance(outcome)}{written}")
    return _one_or_all(outcomes), "\n\n".join(texts), 0


def _one_or_all(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON of one sweep, or of several under the key ``sweeps``."""
    return outcomes[0] if len(outcomes) == 1 else {"sweeps": outcomes}


@main.command(short_help="Score a run on a data set.")
@click.argument("run")
@click.option("--data", "dataset", metavar="DATA", required=True, help="Data set: a name or a folder.")
@click.option("--split", default="val", metavar="NAME", help="train, val or test.")
@click.option(
    "--size", type=SIZE, metavar="HxW", help="Height x width that pictures are scored at.  [default: the run's own]"
)
@click.option("--count", type=COUNT, metavar="N", help="At most so many pictures.")
@click.option("--which", type=click.Choice(["last", "best"]), default="last", help="Which of the run's weights.")
@click.option("--device", type=DEVICE, default="auto", help="Where to compute; auto takes the fastest.")
@_runs_option
@_json_option
def evaluate(run, dataset, split, size, count, which, device, runs):
    """Score the run RUN (a folder, a name or its beginning) on a data set: IoU per class and the means.

    Classes that occur in neither truth nor prediction are left out of a mean. CamVid is scored over its own 11 classes.

    \b
      labkit evaluate bisenet-oracle --data minicity-real --split test
    """
    from labkit.data.catalog import open_dataset
    from labkit.data.dataset import labelled
    from labkit.evaluation.predict import evaluate
    from labkit.training.devices import choose_device

    found = _find_run(run, runs)
    known = found.generated_like(dataset, split)
    pictures = open_dataset(
        dataset, split, size or found.size, count=count or known.get("count"), seed=known.get("seed", 0)
    )
    if not labelled(pictures):
        raise LabError(f"{pictures.name} has no labels, so nothing can be scored on it; `labkit predict` draws maps")
    place = choose_device(device)
    scores = evaluate(found.load_model(which).to(place), pictures, device=place)
    return {"run": str(found.folder), **scores.as_json()}, _score_table(scores, f"{pictures.name} {split}"), 0


@main.command(short_help="Score a folder of any tool's predictions.")
@click.argument("predictions", type=FOLDER)
@click.argument("labels", type=FOLDER)
@click.option(
    "--labels",
    "encoding",
    type=click.Choice(["ids", "trainIds"]),
    default="ids",
    help="What the numbers in both folders' PNGs are: Cityscapes' ids 0-33, or trainIds 0-18.",
)
@_json_option
def score(predictions: Path, labels: Path, encoding: str):
    """Score PREDICTIONS, a folder of any tool's PNGs, against LABELS, a folder of label maps.

    Files are matched by name (Cityscapes' endings may differ). A void prediction on valid truth is a miss.

    \b
      labkit score results/ data/cityscapes/gtFine/val
    """
    from labkit.evaluation.folders import score_folders

    scores = score_folders(predictions, labels, encoding, _tracker("scoring"))
    return scores.as_json(), _score_table(scores, str(labels)), 0


@main.command(short_help="Segment photographs with a run.")
@click.argument("run")
@click.argument("images", type=FOLDER, nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", type=FOLDER, required=True, help="Folder to write into.")
@click.option(
    "--size", type=SIZE, metavar="HxW", help="Height x width that the network sees.  [default: the run's own]"
)
@click.option("--which", type=click.Choice(["last", "best"]), default="last", help="Which of the run's weights.")
@click.option(
    "--uncertain",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    default=0.5,
    help="Entropy, as a share of its maximum, above which a pixel is blacked out.",
)
@click.option("--device", type=DEVICE, default="auto", help="Where to compute; auto takes the fastest.")
@_runs_option
@_json_option
def predict(run, images, out, size, which, uncertain, device, runs):
    """Segment photographs with the run RUN (a folder, a name or its beginning). A folder is all pictures in it.

    Five PNGs of each photograph's size: _trainIds (numbers), _color, _overlay, _entropy (white = uncertain), and
    _certain (colours, uncertain pixels black). Pictures that cannot be read are listed, and the exit code is then 1.

    \b
      labkit predict bisenet-oracle photo.jpg --out predictions
    """
    from labkit.data.pairs import BadFileError
    from labkit.evaluation.prediction_images import find_pictures, write_prediction
    from labkit.training.devices import choose_device

    found, pictures = _find_run(run, runs), find_pictures(images)
    model = found.load_model(which).to(choose_device(device))
    written, bad = [], []
    for path in _tracker("predicting")(pictures):
        try:
            files = write_prediction(model, path, out, size or found.size, uncertain=uncertain)
            written.append({"image": str(path), **files})
        except BadFileError as error:
            bad.append({"file": str(error.file), "reason": error.reason})
    lines = [f"{one['file']}: {one['reason']}" for one in bad]
    lines += [file for files in written for kind, file in files.items() if kind != "image"]
    return {"run": str(found.folder), "images": written, "bad": bad}, "\n".join(lines), 1 if bad else 0


@main.command(short_help="Write a data set in the other domain's look.")
@click.argument("run")
@click.option("--source", metavar="DATA", required=True, help="What to translate: a data set's name or folder.")
@click.option("--out", type=FOLDER, required=True, help="Folder to write into, new or begun by the same command.")
@click.option("--split", metavar="NAME", help="Only this split.  [default: all that are on disk; of MiniCity train]")
@click.option("--count", type=COUNT, metavar="N", help="At most so many pictures.")
@click.option(
    "--size", type=SIZE, metavar="HxW", help="Height x width to write.  [default: their own; of MiniCity the run's]"
)
@click.option("--towards", type=click.Choice(["target", "source"]), default="target", help="Whose look to give.")
@click.option("--device", type=DEVICE, default="auto", help="Where to compute; auto takes the fastest.")
@_runs_option
@_json_option
def translate(run, source, out, split, count, size, towards, device, runs):
    """Translate a data set with the run RUN (a folder, a name or its beginning) of a method that has generators.

    Folders, file names and coding of labels are the data set's own (minicity-game is written as GTA5, toon as SYNTHIA,
    real as Cityscapes), label maps on disk are copied as they are. Interrupted, it continues where it stopped.

    \b
      labkit translate bisenet-cyclegan --source minicity-game --out data/translated
      labkit data check data/translated
      labkit train --source data/translated
    """
    from labkit.translate import translate

    progress = _progress("translating", "pictures")
    found = _find_run(run, runs)
    done = translate(
        found, source, out, split=split, count=count, size=size, towards=towards, device=device, progress=progress
    )
    value = {
        "run": str(found.folder),
        "folder": str(done.folder),
        "dataset": done.dataset,
        "format": done.format,
        "pairs": done.pictures,
    }
    return value, f"{done.pictures} pictures in {out}. Look them over: labkit data check {out}", 0


@main.command(short_help="Write a run's network as an ONNX file.")
@click.argument("run")
@click.option("--onnx", "file", type=FOLDER, metavar="FILE", required=True, help="Where to write, FILE.onnx.")
@click.option(
    "--size", type=SIZE, metavar="HxW", help="For one picture of this size only.  [default: any size, any batch]"
)
@click.option("--which", type=click.Choice(["last", "best"]), default="last", help="Which of the run's weights.")
@_runs_option
@_json_option
def export(run, file, size, which, runs):
    """Write the network of the run RUN (a folder, a name or its beginning) as FILE, for ONNX Runtime.

    The file takes pictures as they are, float32 (batch, 3, height, width), RGB in [0, 1], and answers with logits
    (batch, 19, height, width); names and colours of the classes are in its metadata. It is then run on a street of
    MiniCity: exit code 1 if a pixel gets another class than from PyTorch, or if logits differ by more than 0.0001 (or
    that share of the largest, where it is above 1).

    \b
      labkit export bisenet-oracle --onnx bisenet.onnx
    """
    from labkit.data.catalog import open_dataset
    from labkit.data.transforms import to_batch
    from labkit.evaluation.onnx_runtime import OnnxSegmenter, agreement
    from labkit.models.onnx_export import OPSET, export_onnx, require

    require("onnxruntime")  # before anything is written
    found = _find_run(run, runs)
    model = found.load_model(which)
    export_onnx(model, file, size=size, origin={"run": found.name, "weights": which})
    street = open_dataset("minicity-real", "val", size or found.size, count=1)[0]
    same = agreement(model, OnnxSegmenter(file), to_batch([street]).images)
    value = {
        "run": str(found.folder),
        "file": str(file),
        "bytes": file.stat().st_size,
        "opset": OPSET,
        "size": size and list(size),
        "agrees": same.within_tolerance,
        "difference": same.difference,
        "largest_logit": same.largest,
        "disagreeing_pixels": same.disagreeing,
    }
    text = (
        f"{file}: {value['bytes'] / 2**20:.1f} MiB, opset {OPSET}. Of logits up to {same.largest:.1f} none is further "
        f"from PyTorch's than {same.difference:.1g}; {same.disagreeing} of {same.pixels} pixels get another class"
    )
    return value, text, 0 if same.within_tolerance else 1


@main.command(short_help="What a network costs: parameters, multiply-adds, latency.")
@click.argument("model")
@click.option("--size", type=SIZE, metavar="HxW", default="512x1024", help="Height x width of the picture, in pixels.")
@click.option("--device", type=DEVICE, default="auto", help="Where to measure the latency; auto takes the fastest.")
@click.option(
    "--repeats",
    type=click.IntRange(0),
    metavar="N",
    help="Timed passes; 0 measures no latency.  [default: as many as take some seconds, 3 to 100]",
)
@_json_option
def cost(model: str, size: tuple[int, int], device: str, repeats: int | None):
    """Parameters, multiply-adds and latency of the network MODEL with 19 classes, for one picture.

    Multiply-adds are the papers' "FLOPs": weights that meet an output value, 2 for each value of a batch norm, 4 for
    each value of a bilinear resizing. The latency is that of one forward pass, warmed up, mean ± standard deviation.

    \b
      labkit cost bisenet
      labkit cost deeplabv2 --size 512x1024 --repeats 0
    """
    import torch

    from labkit.evaluation.cost import Latency, count_parameters, measure_latency, multiply_adds
    from labkit.models.registry import create_model
    from labkit.training.devices import choose_device, describe_device

    place = choose_device(device)
    with torch.device("meta"):  # shapes without memory
        outline = create_model(model)
    parameters, macs = count_parameters(outline), multiply_adds(outline, size)
    if repeats == 0:
        latency = Latency(math.nan, math.nan, 0)
    else:
        latency = measure_latency(create_model(model, seed=0), size, place, repeats)
    hardware = describe_device(place)
    value = {
        "model": model,
        "size": list(size),
        "params_live": parameters.live,
        "params_published": parameters.published,
        "macs": sum(macs.values()),
        "macs_by_kind": macs,
        "latency_ms": {"mean": latency.mean, "std": latency.std, "repeats": latency.repeats, "device": hardware},
    }
    kinds = ", ".join(f"{kind} {count / 1e9:.3f}" for kind, count in macs.items())
    dead = parameters.published - parameters.live
    lines = [
        f"{model}, one picture of {size[0]}x{size[1]}",
        f"  parameters     {parameters.live:,}" + (f" (as published {parameters.published:,})" if dead else ""),
        f"  multiply-adds  {sum(macs.values()) / 1e9:.2f} G ({kinds})",
    ]
    if latency.repeats:
        spread = "" if math.isnan(latency.std) else f" ± {latency.std:.2f}"
        lines.append(f"  latency        {latency.mean:.2f}{spread} ms ({hardware}, passes: {latency.repeats})")
    return value, "\n".join(lines), 0


@main.command(short_help="List what has been trained.")
@_runs_option
@_json_option
def runs(runs: Path | None):
    """List what has been trained: each run's name, state, training data and target mIoU."""
    store = _run_store(runs)
    rows = []
    for run in store.all():
        try:
            rows.append(run.summary())
        except LabError as error:  # one damaged run hides no other
            rows.append({"name": run.name, "state": str(error), "data": None, "steps": None, "miou_target": None})
    lines = [f"{row['name']}  {row['state']}, {row['data'] or '–'}, {_percent(row['miou_target'])}" for row in rows]
    return {"runs": rows}, "\n".join(lines) or f"no runs in {store.folder}", 0


@main.command(short_help="The ledger: published numbers beside ours.")
@click.option("--paper", metavar="NAME", help="Only this paper: baitan2025, loda2025, toldo2020 or yan2022.")
@click.option("--folder", type=FOLDER, help="Folder that holds recorded sweeps.  [default: those of the course]")
@_runs_option
@_json_option
def results(paper: str | None, folder: Path | None, runs: Path | None):
    """The ledger: every experiment of the four papers, its published numbers, and ours, each with its data.

    Ours are the recorded sweeps and the runs on this machine, which are marked as such. What was not run says so.

    \b
      labkit results --paper baitan2025
    """
    from labkit.lab import runs_folder
    from labkit.report.ledger import as_text, ledger
    from labkit.report.results import RESULTS

    folder, runs = folder or RESULTS, runs or runs_folder()
    entries = ledger(paper, folder, runs)
    text = as_text(entries)
    if not any(one.outcome for entry in entries for one in entry.ours):
        text += f"\n\nnothing was trained yet: no recorded sweep in {folder}, no run of one in {runs}"
    return {"rows": [row for entry in entries for row in entry.rows()]}, text, 0


# --- words and numbers -----------------------------------------------------------------------------------------------


def _run_store(folder: Path | None):
    from labkit.lab import runs_folder
    from labkit.training.runs import RunStore

    return RunStore(folder or runs_folder())


def _find_run(name: str, folder: Path | None):
    return _run_store(folder).find(name)


def _weights_of(run: str, folder: Path | None) -> Path:
    """A file of weights as it is, or the last weights of a run."""
    return Path(run) if Path(run).is_file() else _find_run(run, folder).folder / "weights.safetensors"


def _assignments(texts: tuple[str, ...]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in _divided(texts, "--set", "jitter=0.5").items()}


def _divided(texts: tuple[str, ...], option: str, example: str) -> dict[str, str]:
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            kind = "NETWORK=RUN" if option == "--given" else "KEY=VALUE"
            raise click.UsageError(f"{option} {text!r}: write it as {kind}, for instance {option} {example}")
        values[key.strip()] = value.strip()
    return values


def _percent(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _without_nan(value: Any) -> Any:
    """NaN, which JSON has no word for, becomes null."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _score_table(scores, title: str) -> str:
    from labkit.labels import EVALUATIONS

    pictures = "1 picture" if scores.images == 1 else f"{scores.images} pictures"
    rows = [(name, "absent" if math.isnan(value) else _percent(value)) for name, value in scores.iou.items()]
    for key in (scores.evaluation, *(key for key in ("miou16", "miou13") if key != scores.evaluation)):
        if (value := scores.over(key)) is not None:
            rows.append((f"mean of {len(EVALUATIONS[key].train_ids)}", _percent(value)))
    return "\n".join([f"{title}, {pictures}", *(f"  {name:14} {value:>8}" for name, value in rows)])


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

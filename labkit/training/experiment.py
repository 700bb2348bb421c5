"""An experiment: its complete description, and its training through the store of runs."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from labkit import sources
from labkit.data.dataset import SegmentationDataset
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.predict import evaluate, evaluate_with_loss
from labkit.files import write_json
from labkit.labels import NUM_CLASSES
from labkit.models.registry import create_model, is_named_start, module_of
from labkit.models.weights import load_weights, read_state_dict
from labkit.progress import track
from labkit.settings import describe, with_settings
from labkit.training import checkpoints
from labkit.training.devices import check_device, make_fabric
from labkit.training.loop import Trainer, bare
from labkit.training.method import SOURCE, STREAMS, Method
from labkit.training.provenance import environment
from labkit.training.recipe import Recipe
from labkit.training.runs import Run, RunStore
from labkit.training.signals import TrainingInterrupted, stop_on_signals
from labkit.training.streams import derived_seed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

VALIDATION_MIOU, VALIDATION_LOSS = "val/miou", "val/loss"

DECISIVE_MODULES = (
    "labkit.training.devices",
    "labkit.training.loop",
    "labkit.evaluation.predict",
)
"""Beside data, network and method, the modules that decide a run's numbers; what they import comes with them.

Registries are not among them: a new network or method concerns no other run.
"""


def check_method(method: Method) -> Method:
    """Refuse a method whose runs could not be told apart by what they were asked for.

    Returns:
        The method with its numbers as their type is declared: a weight of 1 and one of 1.0 are one run.

    Raises:
        LabError: a class instead of an object, no dataclass, no name of its own, streams that are no tuple, a setting
            outside its range, a kept network with a name that the segmenter's files have, a class attribute that the
            object has otherwise.
        UnknownNameError: an unknown stream.
    """
    if isinstance(method, type):
        raise LabError(f"method {method.__name__} is a class; give an object of it: {method.__name__}()")
    cls = type(method)
    if "__dataclass_fields__" not in vars(cls):
        raise LabError(f"method {cls.__name__}: decorate the class with @dataclass, else its settings do not count")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", str(vars(cls).get("name", ""))):
        raise LabError(
            f'method {cls.__name__}: give the class a name of its own, such as name = "my-method", of letters, digits '
            "and hyphens; it becomes a part of its runs' names"
        )
    if not isinstance(cls.streams, tuple):
        raise LabError(f"method {cls.name}: streams = {cls.streams!r} has to be a tuple, such as ({SOURCE!r},)")
    for stream in cls.streams:
        if stream not in STREAMS:
            raise UnknownNameError(f"stream of method {cls.name}", stream, STREAMS)
    if taken := {"weights", "best"} & set(cls.keeps):
        raise LabError(f"method {cls.name}: keeps names {', '.join(sorted(taken))}, which the segmenter's weights have")
    settings = {f.name for f in fields(method)}
    if lost := sorted(name for name in vars(method) if name not in settings and hasattr(cls, name)):
        raise LabError(
            f"method {cls.name}: {', '.join(lost)} of this object is not its class's and no setting: no run would "
            "tell of it; change it in a subclass with a name of its own"
        )
    return with_settings(method, {f.name: getattr(method, f.name) for f in fields(method) if "range" in f.metadata})


@dataclass(frozen=True)
class Experiment:
    """A training that is asked for, with nothing left open.

    Attributes:
        model: a name in :data:`labkit.models.registry.MODELS`.
        method: with its hyperparameters.
        recipe: the loop's hyperparameters.
        seed: decides initial weights, order of pictures, augmentation.
        datasets: one for each of the method's streams.
        validation: target pictures with labels, for curves and for *best*; None to do without.
        report: target pictures with labels, for the result; None where the target has none.
        weights: ``none``, a name of trained weights that there are for the model, or a file.
        given: a file of weights for each of the method's own networks that begin with another training's.
    """

    model: str
    method: Method
    recipe: Recipe
    seed: int
    datasets: Mapping[str, SegmentationDataset]
    validation: SegmentationDataset | None = None
    report: SegmentationDataset | None = None
    weights: str = "none"
    given: Mapping[str, Path | str] = field(default_factory=dict)

    def __post_init__(self):
        check_method(self.method)

    def describe(self) -> dict[str, Any]:
        """The description that names the run, as plain JSON."""
        return {
            "model": {"name": self.model, "num_classes": NUM_CLASSES, "weights": _identify_weights(self)},
            "method": {"name": self.method.name, **describe(self.method)},
            **({"given": {name: weights_digest(path) for name, path in self.given.items()}} if self.given else {}),
            "recipe": describe(self.recipe),
            "seed": self.seed,
            "data": {stream: _identify(dataset) for stream, dataset in self.datasets.items()},
            "validation": _identify(self.validation),
            "report": _identify(self.report),
            "sources": self._digest(),
        }

    def _digest(self) -> str:
        """A digest of the sources that decide the numbers: data, network, method, loop, evaluation."""
        sets = [*self.datasets.values(), self.validation, self.report]
        modules = {type(layer).__module__ for dataset in sets if dataset is not None for layer in _layers(dataset)}
        modules |= {module_of(self.model), *DECISIVE_MODULES}
        if self.weights != "none" or self.given:
            modules.add("labkit.models.weights")
        method = type(self.method)
        if sources.source_file(method.__module__):
            return sources.digest(modules | {method.__module__})
        texts, used = sources.of_object(method)  # a method of a notebook's own
        return sources.digest(modules | used, texts)


def _layers(dataset: SegmentationDataset) -> Iterator[SegmentationDataset]:
    """A data set, and those that it changes, one within the other.

    What has the fingerprint of the one within merely keeps it, in memory or on disk, and decides nothing.
    """
    while (within := getattr(dataset, "dataset", None)) is not None:
        if dataset.fingerprint() != within.fingerprint():
            yield dataset
        dataset = within
    yield dataset


def _identify(dataset: SegmentationDataset | None) -> dict[str, Any] | None:
    return None if dataset is None else {"name": dataset.name, **dataset.fingerprint()}


def _identify_weights(experiment: Experiment) -> str:
    """A name, or the digest of a file's content: two files of one name are two starts."""
    if is_named_start(experiment.model, experiment.weights):
        return experiment.weights
    return weights_digest(experiment.weights)


def weights_digest(path: Path | str) -> str:
    """What tells a file of weights from others: its content."""
    try:
        return "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise LabError(f"weights {path}: cannot be read ({error.strerror})") from None


@dataclass(frozen=True)
class Outcome:
    """A finished run, and how this call came by it: ``resumed_from`` a step, 0 for a fresh start, None if found."""

    run: Run
    resumed_from: int | None


def train(
    experiment: Experiment,
    store: RunStore,
    *,
    device: str = "auto",
    devices: int = 1,
    workers: int = 0,
    checkpoint_every: int = 100,
) -> Outcome:
    """Find the finished run of ``experiment``, continue an unfinished one, or train it.

    Raises:
        TrainingInterrupted: on SIGINT or SIGTERM, after the state was saved.
        LabError: a non-finite loss, a full disk, a device that is not there or whose memory is too small; weights for
            networks that the method is not given, or none for those that it is.
    """
    _check_given(experiment)
    check_device(experiment.recipe.precision, device)  # before there is a folder
    run = store.request(experiment.describe())
    if run.finished:
        return Outcome(run, None)
    fabric = make_fabric(experiment.recipe.precision, device, devices)
    if not fabric.is_global_zero:  # the first process holds the lock, and started this one
        return _train(experiment, run, fabric, workers, checkpoint_every)
    with run.lock():
        if run.finished:  # by the process that held the lock before
            return Outcome(run, None)
        return _train(experiment, run, fabric, workers, checkpoint_every)


def _check_given(experiment: Experiment) -> None:
    name, needed = experiment.method.name, experiment.method.given
    if lacking := [network for network in needed if network not in experiment.given]:
        raise LabError(
            f"method {name} needs weights of another training for its network {lacking[0]}: "
            f"given={{{lacking[0]!r}: FILE}}, or --given {lacking[0]}=RUN on the command line"
        )
    if unknown := [network for network in experiment.given if network not in needed]:
        raise UnknownNameError(f"network that method {name} is given weights for", unknown[0], needed)


def _train(experiment: Experiment, run: Run, fabric: Fabric, workers: int, checkpoint_every: int) -> Outcome:
    fabric.launch()
    fabric.seed_everything(experiment.seed, verbose=False)
    model = create_model(experiment.model, num_classes=NUM_CLASSES, weights=experiment.weights, seed=experiment.seed)
    trainer = Trainer(
        fabric,
        model,
        experiment.method,
        experiment.recipe,
        experiment.datasets,
        experiment.seed,
        workers=workers,
        evaluate=_validator(experiment, fabric),
    )
    for name, path in experiment.given.items():
        load_weights(bare(trainer.networks[name]), read_state_dict(path), source=str(path))
    best, seconds, resumed_from = {"step": None, "miou": -1.0}, 0.0, 0
    if found := checkpoints.load_last(run.checkpoints):
        resumed_from, state = found
        trainer.load_state_dict(state["trainer"])
        best, seconds = state["best"], state["seconds"]
        log.info("%s: continuing after step %d", run.name, resumed_from)
    if fabric.world_size > 1:  # what a method draws (a perturbation, a mixture) is to differ between devices
        torch.manual_seed(derived_seed(experiment.seed, fabric.global_rank, resumed_from))
    start = time.monotonic() - seconds
    bests = deque([best["step"]], maxlen=checkpoints.KEPT)  # the best steps that the kept checkpoints name

    def save(step: int) -> None:
        state = {"trainer": trainer.state_dict(), "best": best, "seconds": time.monotonic() - start}
        if fabric.is_global_zero:
            checkpoints.save(run.checkpoints, step, state)
            run.write_metrics(trainer.metrics)
            bests.append(best["step"])
            run.keep_best(bests)

    steps = experiment.recipe.steps
    with closing(trainer.run()) as every_step, _full_memory_in_words(), stop_on_signals() as stop:
        shown = track(every_step, steps, run.name, done=resumed_from) if fabric.is_global_zero else every_step
        for step in shown:
            row = trainer.metrics[-1] if trainer.metrics else {}
            if row.get("step") == step and row.get(VALIDATION_MIOU, -1.0) > best["miou"]:
                best = {"step": step, "miou": row[VALIDATION_MIOU]}
                if fabric.is_global_zero:
                    run.write_weights(model.state_dict(), run.best_file(step).name)
            if stop or step == steps or step % checkpoint_every == 0:
                save(step)
            if stop and step < steps:
                raise TrainingInterrupted(
                    f"stopped after step {step} of {steps}; saved in {run.folder}. The same request continues there.",
                    stop.signal,
                )
        if fabric.is_global_zero:
            _finish(experiment, run, trainer, model, best, time.monotonic() - start)
        if stop:
            raise TrainingInterrupted(f"{run.folder} is finished; stopped after it.", stop.signal)
    fabric.barrier()
    return Outcome(run, resumed_from)


@contextmanager
def _full_memory_in_words() -> Iterator[None]:
    """Say what to do where a GPU's memory is too small."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise LabError(
            f"the GPU's memory is too small: {str(error).partition('. ')[0]}. Set accumulate=2 or more (the same "
            "batch in parts), a smaller batch_size or precision=16-mixed, each another run; or end what else holds "
            "memory (nvidia-smi), and the same request continues"
        ) from error


def _validator(experiment: Experiment, fabric: Fabric):
    if experiment.validation is None:
        return None

    def validate(model) -> dict[str, float]:
        scores, loss = evaluate_with_loss(model, experiment.validation, device=fabric.device)
        return {VALIDATION_MIOU: scores.miou, VALIDATION_LOSS: loss}

    return validate


def _finish(experiment: Experiment, run: Run, trainer: Trainer, model, best: dict, seconds: float) -> None:
    """Write everything, the result last; then the checkpoints have served."""
    fabric = trainer.fabric
    run.write_metrics(trainer.metrics)
    run.write_weights(model.state_dict())
    for name in experiment.method.keeps:
        run.write_weights(bare(trainer.networks[name]).state_dict(), run.network_file(name).name)
    scores = {}
    if experiment.report is not None:
        scores["last"] = evaluate(model, experiment.report, device=fabric.device)
        if best["step"] is not None:
            run.settle_best(best["step"])
            chosen = run.load_model("best").to(fabric.device)
            scores["best"] = evaluate(chosen, experiment.report, device=fabric.device)
    write_json(run.folder / "scores.json", {which: value.as_json() for which, value in scores.items()})
    write_json(
        run.folder / "result.json",
        {
            "steps": trainer.step,
            "seconds": round(seconds, 1),
            "miou_target": scores["last"].miou if scores else None,
            "best": best | {"selected_on": "target validation labels"} if best["step"] is not None else None,
            "miou_target_best": scores["best"].miou if "best" in scores else None,
            "environment": environment(fabric.device, str(fabric.strategy.precision.precision), fabric.world_size),
        },
    )
    for step in checkpoints.steps(run.checkpoints):
        checkpoints.path_of(run.checkpoints, step).unlink()
    if run.checkpoints.is_dir() and not any(run.checkpoints.iterdir()):
        run.checkpoints.rmdir()

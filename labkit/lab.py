"""What a notebook calls: one object that knows the budget, the two domains, the seed, and the store of runs."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labkit import settings
from labkit.data.cache import Cached
from labkit.data.catalog import open_dataset, splits_of
from labkit.data.dataset import Sample, SegmentationDataset, labelled
from labkit.data.formats import MINICITY, NAMED, data_root
from labkit.data.memory import InMemory
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.picture_counts import PictureCounts, count_pictures
from labkit.evaluation.predict import evaluate, predict_labels
from labkit.evaluation.scores import Scores
from labkit.methods.registry import create_method
from labkit.papers.recipes import Field, stages
from labkit.profiles import PAPER, Pair, check_seed, divided, pair_named, plan, profile_named
from labkit.training.devices import choose_device
from labkit.training.experiment import Experiment, Outcome, check_method, train
from labkit.training.method import LABELLED_TARGET, SOURCE, TARGET, Method
from labkit.training.recipe import Recipe
from labkit.training.runs import Run, RunStore

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")

WHOLE = "all"
"""The split that is a whole data set; some papers train on all of their source."""

MEMORY_LIMIT = 3 * 2**30
"""Bytes: a data set that takes less at training size is kept in memory."""


@dataclass(frozen=True)
class Inputs:
    """What a training starts from and sees.

    Attributes:
        weights: ``none``, ``imagenet``, for DeepLabV3 also ``coco``, or a file.
        source_size, target_size: height and width that pictures are read at, in pixels; the target's also when scored.
    """

    weights: str = "none"
    source_size: tuple[int, int] = settings.setting((96, 192), 8)
    target_size: tuple[int, int] = settings.setting((96, 192), 8)


def runs_folder() -> Path:
    """The folder of runs: ``$LABKIT_RUNS``, or ``runs`` in the current folder."""
    return Path(os.environ.get("LABKIT_RUNS") or "runs")


class Lab:
    """A budget, a pair of domains and a seed.

    Args:
        profile: a key of :data:`labkit.profiles.PROFILES`, perhaps with a number of steps, as in ``mini-900``.
        pair: a key of :data:`labkit.profiles.PAIRS`, or a pair of one's own.
        seed: of every training that is asked for here.
        paper: whose recipes the profile ``paper`` follows, a key of :data:`labkit.papers.PAPERS`; without meaning in
            the other profiles, whose trainings are the same for all papers.
        runs: folder of runs; :func:`runs_folder` by default.
        data: folder of data sets; :func:`labkit.data.formats.data_root` by default.
        unlabelled: data set that gives the unlabelled target stream its pictures instead of the target, which
            validation and report stay with. In the profile ``paper`` the recipe may name one.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        workers: loader processes; the profile's by default.

    Raises:
        UnknownNameError: an unknown profile, pair or paper; the message lists the known ones.
    """

    def __init__(
        self,
        profile: str = "mini",
        pair: str | Pair = "minicity",
        seed: int = 0,
        *,
        paper: str = "baitan2025",
        runs: Path | str | None = None,
        data: Path | str | None = None,
        unlabelled: str | None = None,
        device: str = "auto",
        workers: int | None = None,
    ):
        self.profile, self.seed = profile_named(profile), check_seed(seed)
        stages(paper)  # raises
        self.paper = paper
        self._whole = pair if isinstance(pair, Pair) else pair_named(pair)
        self.pair = divided(self._whole, self.profile, paper)
        self.store = RunStore(runs_folder() if runs is None else Path(runs))
        self.data = data_root() if data is None else Path(data)
        self.unlabelled, self.device, self.workers = unlabelled, device, workers
        self._opened: dict[tuple[str, str, tuple[int, int], int | None], SegmentationDataset] = {}

    def after(self, paper: str) -> Lab:
        """The same lab after another paper's recipes; both keep the same pictures in memory."""
        other = copy.copy(self)
        stages(paper)  # raises
        other.paper = paper
        other.pair = divided(self._whole, self.profile, paper)
        return other

    def from_source(self, source: str) -> Lab:
        """The same lab with another source, a data set's name or folder; both keep the same pictures in memory."""
        other = copy.copy(self)
        other.pair, other._whole = (replace(pair, source=source) for pair in (self.pair, self._whole))
        return other

    def __repr__(self) -> str:
        height, width = self.size
        length = f"{self.paper}'s schedule" if self.profile.name == PAPER else f"{self.profile.steps} steps"
        budget = f"{self.profile.name}: {length} at {height}×{width}"
        return f"Lab({self.pair.title}, {budget}, seed {self.seed})"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the target's pictures, in pixels; but in the profile ``paper`` the source's too."""
        return self.plan()["target_size"].value

    # --- data ----------------------------------------------------------------------------------------------------

    def has(self, dataset: str) -> bool:
        """Whether a data set can be opened here: generated ones always, others if they are in the data folder."""
        return bool(splits_of(dataset, self.data))

    @property
    def ready(self) -> bool:
        """Whether both domains' data are here."""
        return not self._absent()

    def missing(self) -> str:
        """What is not here and how to get it; empty if nothing is missing."""
        return "; ".join(
            f"{NAMED[name].name} is not under {self.data.name}/ ({NAMED[name].source})"
            if name in NAMED
            else f"{name} is no data set"
            for name in self._absent()
        )

    def _absent(self) -> list[str]:
        return [name for name in (self.pair.source, self.pair.target, self.unlabelled) if name and not self.has(name)]

    def source(
        self, split: str = "train", size: tuple[int, int] | None = None, most: int | None = None
    ) -> SegmentationDataset:
        """The source domain's pictures, at the source's training size or another; of a large split some, on request."""
        return self._open(self.pair.source, split, size or self.plan()["source_size"].value, most)

    def target(self, split: str | None = None, size: tuple[int, int] | None = None) -> SegmentationDataset:
        """The target domain's pictures; by default of the split that results are reported on."""
        return self._open(self.pair.target, split or self.report_split, size or self.size)

    def unlabelled_target(self, size: tuple[int, int] | None = None, named: str | None = None) -> SegmentationDataset:
        """What the unlabelled target stream draws from: the target's training pictures, unless others were named.

        The lab's ``unlabelled`` goes before ``named``, which is the recipe's.
        """
        return self._open(self.unlabelled or named or self.pair.target, "train", size or self.size)

    def read_ahead(self, processes: int) -> None:
        """Read what was opened so far and is kept in memory, with several processes at once (Linux alone)."""
        for dataset in self._opened.values():
            if isinstance(dataset, InMemory):
                dataset.fill(processes)

    @property
    def report_split(self) -> str:
        """The pair's report split, or ``val`` if the data set on disk came without it."""
        there = splits_of(self.pair.target, self.data)
        return "val" if "val" in there and self.pair.report_split not in there else self.pair.report_split

    def _target_if_there(self, split: str, size: tuple[int, int]) -> SegmentationDataset | None:
        there = splits_of(self.pair.target, self.data)
        if there and split not in there:
            return None
        dataset = self.target(split, size)  # not there at all: let opening it say so
        return dataset if labelled(dataset) else None

    def _open(self, name: str, split: str, size: tuple[int, int], most: int | None = None) -> SegmentationDataset:
        if split not in (*SPLITS, WHOLE):
            raise UnknownNameError("split", split, SPLITS)
        counts = self.profile.generated if name in MINICITY else self.profile.on_disk
        count = counts[SPLITS.index(split)] if counts and split != WHOLE else None
        count = min(filter(None, (count, most)), default=None)
        if (name, split, size, count) not in self._opened:
            dataset = open_dataset(name, split, size, count=count, root=self.data)
            needed = len(dataset) * size[0] * size[1] * 4
            keep = not self._workers and needed < MEMORY_LIMIT  # each loader process would keep its own
            # What is memory-mapped is in memory already. A run is named by the innermost reader: one layer at most.
            kept = InMemory(dataset) if keep and not isinstance(dataset, Cached) else dataset
            self._opened[name, split, size, count] = kept
        return self._opened[name, split, size, count]

    @property
    def _workers(self) -> int:
        if self.workers is not None:
            return self.workers
        if {self.pair.source, self.pair.target} & set(MINICITY):  # drawn once, and kept in memory
            return 0
        fields = self.plan()
        return fields["workers"].value if "workers" in fields else self.profile.workers

    # --- training --------------------------------------------------------------------------------------------------

    def plan(self, model: str = "", method: str = "", stage: str | None = None) -> dict[str, Field]:
        """What a training here is asked for, field by field, with its source: :func:`labkit.profiles.plan`."""
        return plan(self.profile, self.pair, self.paper, stage=stage, model=model, method=method)

    def experiment(
        self,
        model: str = "bisenet",
        method: str | Method = "source-only",
        *,
        stage: str | None = None,
        source: SegmentationDataset | None = None,
        given: Mapping[str, Path | str] | None = None,
        **changes: Any,
    ) -> Experiment:
        """The complete description of a training with this lab's budget, domains and seed.

        In the profile ``paper`` it begins with every field of the paper's recipe that is a setting of the loop, or of a
        method given by name; a method object keeps its own settings.

        Args:
            model: name of the network.
            method: name of a method, or a method object of one's own.
            stage: of the paper's recipe, for the profile ``paper``; by default the one that trains ``method``.
            source: labelled pictures instead of the pair's source, such as translated ones, at training size.
            given: a file of weights for each network of the method's own that begins with another training's.
            changes: hyperparameters of the method or of the recipe, by name; also ``weights``, ``source_size`` and
                ``target_size``.

        Raises:
            UnknownNameError: an unknown model, method, stage or setting; the message lists the known ones.
        """
        chosen = check_method(create_method(method) if isinstance(method, str) else method)
        fields = self.plan(model, chosen.name, stage)
        if isinstance(method, str):
            own = {name: field.value for name, field in fields.items() if field.kind == "method"}
            chosen = settings.with_settings(chosen, _those_of(type(chosen), own))
        of_method, of_recipe, of_inputs = _sort_settings(chosen, changes)
        asked = {name: field.value for name, field in fields.items() if not field.kind}
        chosen = settings.with_settings(chosen, of_method)
        recipe = settings.with_settings(Recipe(), _those_of(Recipe, asked) | of_recipe)
        inputs = settings.with_settings(Inputs(), _those_of(Inputs, asked) | of_inputs)
        wanted = asked.get("source_split", "train")
        split = wanted if wanted in splits_of(self.pair.source, self.data) else "train"
        streams = {
            SOURCE: lambda: _with_labels(
                self.source(split, inputs.source_size) if source is None else source, "the source"
            ),
            TARGET: lambda: self.unlabelled_target(inputs.target_size, asked.get("unlabelled")),
            LABELLED_TARGET: lambda: _with_labels(
                self.target("train", inputs.target_size), f"the target of method {chosen.name}"
            ),
        }
        if self.unlabelled:
            self.unlabelled_target(inputs.target_size)  # raises, also where no stream draws from it
            if TARGET not in chosen.streams:
                log.warning("method %s uses no unlabelled pictures; %s changes nothing", chosen.name, self.unlabelled)
        return Experiment(
            model=model,
            method=chosen,
            recipe=recipe,
            seed=self.seed,
            datasets={stream: streams[stream]() for stream in chosen.streams},
            validation=self._target_if_there("val", inputs.target_size),
            report=self._target_if_there(self.report_split, inputs.target_size),
            weights=inputs.weights,
            given=given or {},
        )

    def train(self, model: str = "bisenet", method: str | Method = "source-only", **changes: Any) -> Run:
        """Find, continue or do a training; arguments as for :meth:`experiment`."""
        return self.conduct(self.experiment(model, method, **changes)).run

    def conduct(self, experiment: Experiment, *, devices: int = 1, checkpoint_every: int | None = None) -> Outcome:
        """Train an experiment through this lab's store of runs; also tells where it was resumed."""
        return train(
            experiment,
            self.store,
            device=self.device,
            devices=devices,
            workers=self._workers,
            checkpoint_every=checkpoint_every or self.profile.checkpoint_every,
        )

    # --- looking -----------------------------------------------------------------------------------------------------

    def evaluate(self, run: Run, dataset: SegmentationDataset) -> Scores:
        """Score a run's last weights on another data set."""
        device = choose_device(self.device)
        return evaluate(run.load_model().to(device), dataset, device=device)

    def count_pictures(self, run: Run, dataset: SegmentationDataset) -> PictureCounts:
        """What a run's last weights are scored with on another data set, picture by picture."""
        device = choose_device(self.device)
        return count_pictures(run.load_model().to(device), dataset, device=device)

    def predict(self, run: Run, samples: list[Sample]):
        """Predicted trainIds, uint8 ``(H, W)``, of a run's last weights for each sample."""
        return predict_labels(run.load_model().to(choose_device(self.device)), samples)


def _with_labels(dataset: SegmentationDataset, what: str) -> SegmentationDataset:
    if not labelled(dataset):
        raise LabError(f"{dataset.name} has no labels, but {what} needs them; name a data set that has label maps")
    return dataset


def _those_of(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in settings.names(cls) if name in values}


def _sort_settings(method: Method, changes: Mapping[str, Any]) -> tuple[dict, dict, dict]:
    """Which settings are the method's, which the recipe's, which neither's; one that is two's is the first's."""
    known = {name: cls for cls in (Inputs, Recipe, type(method)) for name in settings.names(cls)}
    if unknown := [name for name in changes if name not in known]:
        raise UnknownNameError("setting", unknown[0], known)
    return tuple(
        {name: value for name, value in changes.items() if known[name] is cls} for cls in (type(method), Recipe, Inputs)
    )

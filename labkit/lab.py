"""What a notebook calls: one object that knows the budget, the two domains, the seed, and the store of runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit import settings
from labkit.data.cache import Cached
from labkit.data.catalog import FORMATS, MINICITY, data_root, open_dataset, splits_of
from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.memory import InMemory
from labkit.errors import UnknownNameError
from labkit.evaluation.predict import evaluate, predict_labels
from labkit.evaluation.scores import Scores
from labkit.methods.registry import create_method
from labkit.profiles import Pair, check_seed, pair_named, profile_named
from labkit.training.devices import choose_device
from labkit.training.experiment import Experiment, Outcome, train
from labkit.training.method import LABELLED_TARGET, SOURCE, TARGET, Method
from labkit.training.recipe import Recipe
from labkit.training.runs import Run, RunStore

SPLITS = ("train", "val", "test")

MEMORY_LIMIT = 3 * 2**30
"""Bytes: a data set that takes less at training size is kept in memory."""


def runs_folder() -> Path:
    """The folder of runs: ``$LABKIT_RUNS``, or ``runs`` in the current folder."""
    return Path(os.environ.get("LABKIT_RUNS") or "runs")


class Lab:
    """A budget, a pair of domains and a seed.

    Args:
        profile: a key of :data:`labkit.profiles.PROFILES`.
        pair: a key of :data:`labkit.profiles.PAIRS`, or a pair of one's own.
        seed: of every training that is asked for here.
        runs: folder of runs; :func:`runs_folder` by default.
        data: folder of data sets; :func:`labkit.data.catalog.data_root` by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        workers: loader processes; the profile's by default.

    Raises:
        UnknownNameError: an unknown profile or pair; the message lists the known ones.
    """

    def __init__(
        self,
        profile: str = "mini",
        pair: str | Pair = "minicity",
        seed: int = 0,
        *,
        runs: Path | str | None = None,
        data: Path | str | None = None,
        device: str = "auto",
        workers: int | None = None,
    ):
        self.profile, self.seed = profile_named(profile), check_seed(seed)
        self.pair = pair if isinstance(pair, Pair) else pair_named(pair)
        self.store = RunStore(runs_folder() if runs is None else Path(runs))
        self.data = data_root() if data is None else Path(data)
        self.device, self.workers = device, workers
        self._opened: dict[tuple[str, str], SegmentationDataset] = {}

    def __repr__(self) -> str:
        height, width = self.size
        budget = f"{self.profile.name}: {self.profile.steps} steps at {height}×{width}"
        return f"Lab({self.pair.title}, {budget}, seed {self.seed})"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures, in pixels; the width a multiple of 8."""
        return self.profile.height, round(self.profile.height * self.pair.aspect / 8) * 8

    # --- data ----------------------------------------------------------------------------------------------------

    def has(self, dataset: str) -> bool:
        """Whether a data set can be opened here: generated ones always, others if they are in the data folder."""
        return bool(splits_of(dataset, self.data))

    @property
    def ready(self) -> bool:
        """Whether both domains' data are here."""
        return self.has(self.pair.source) and self.has(self.pair.target)

    def missing(self) -> str:
        """What is not here and how to get it; empty if nothing is missing."""
        absent = [name for name in (self.pair.source, self.pair.target) if not self.has(name)]
        return "; ".join(
            f"{FORMATS[name].name} is not under {self.data.name}/ ({FORMATS[name].source})" for name in absent
        )

    def source(self, split: str = "train") -> SegmentationDataset:
        """The source domain's pictures."""
        return self._open(self.pair.source, split)

    def target(self, split: str | None = None) -> SegmentationDataset:
        """The target domain's pictures; by default of the split that results are reported on."""
        return self._open(self.pair.target, split or self.report_split)

    @property
    def report_split(self) -> str:
        """The pair's report split, or ``val`` if the data set on disk came without it."""
        there = splits_of(self.pair.target, self.data)
        return "val" if "val" in there and self.pair.report_split not in there else self.pair.report_split

    def _target_if_there(self, split: str) -> SegmentationDataset | None:
        there = splits_of(self.pair.target, self.data)
        return self.target(split) if split in there or not there else None  # nothing there: let opening it say so

    def _open(self, name: str, split: str) -> SegmentationDataset:
        if (name, split) not in self._opened:
            if split not in SPLITS:
                raise UnknownNameError("split", split, SPLITS)
            counts = self.profile.generated if name in MINICITY else self.profile.on_disk
            count = counts[SPLITS.index(split)] if counts else None
            dataset = open_dataset(name, split, self.size, count=count, root=self.data)
            size = len(dataset) * self.size[0] * self.size[1] * 4
            keep = not self._workers and size < MEMORY_LIMIT  # each loader process would keep its own
            # What is memory-mapped is in memory already. A run is named by the innermost reader: one layer at most.
            self._opened[name, split] = InMemory(dataset) if keep and not isinstance(dataset, Cached) else dataset
        return self._opened[name, split]

    @property
    def _workers(self) -> int:
        if self.workers is not None:
            return self.workers
        return 0 if self.pair.source in MINICITY else self.profile.workers

    # --- training --------------------------------------------------------------------------------------------------

    def experiment(self, model: str = "bisenet", method: str | Method = "source-only", **changes: Any) -> Experiment:
        """The complete description of a training with this lab's budget, domains and seed.

        Args:
            model: name of the network.
            method: name of a method, or a method object of one's own.
            changes: hyperparameters of the method or of the recipe, by name; also ``weights``.

        Raises:
            UnknownNameError: an unknown model, method or setting; the message lists the known ones.
        """
        profile = self.profile
        recipe = Recipe(steps=profile.steps, batch_size=profile.batch_size, evaluate_every=profile.evaluate_every)
        weights = changes.pop("weights", profile.weights)
        chosen = create_method(method) if isinstance(method, str) else method
        of_method, of_recipe = _sort_settings(chosen, changes)
        chosen = settings.with_settings(chosen, of_method)
        streams = {
            SOURCE: lambda: self.source("train"),
            TARGET: lambda: self.target("train"),
            LABELLED_TARGET: lambda: self.target("train"),
        }
        return Experiment(
            model=model,
            method=chosen,
            recipe=settings.with_settings(recipe, of_recipe),
            seed=self.seed,
            datasets={stream: streams[stream]() for stream in chosen.streams},
            validation=self._target_if_there("val"),
            report=self._target_if_there(self.report_split),
            weights=weights,
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

    def predict(self, run: Run, samples: list[Sample]):
        """Predicted trainIds, uint8 ``(H, W)``, of a run's last weights for each sample."""
        return predict_labels(run.load_model().to(choose_device(self.device)), samples)


def _sort_settings(method: Method, changes: Mapping[str, Any]) -> tuple[dict, dict]:
    """Which settings are the method's, which the recipe's."""
    of_method, of_recipe = settings.names(type(method)), settings.names(Recipe)
    if unknown := [name for name in changes if name not in (*of_method, *of_recipe)]:
        raise UnknownNameError("setting", unknown[0], [*of_method, *of_recipe, "weights"])
    return (
        {name: value for name, value in changes.items() if name in of_method},
        {name: value for name, value in changes.items() if name not in of_method},
    )

"""The training loop. It minimises what a method yields and knows no method by name.

Device, precision and processes are Lightning Fabric's affair; everything else of a step can be read here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import Augmentation, layout, normalize, to_device
from labkit.errors import LabError, UnknownNameError
from labkit.training.method import SEGMENTER, SOURCE, TARGET, Batch, Method, Objective
from labkit.training.random_states import random_states, set_random_states
from labkit.training.recipe import Recipe
from labkit.training.schedule import constant, poly, set_learning_rate
from labkit.training.streams import Batches, batches, derived_seed

if TYPE_CHECKING:
    from lightning_fabric import Fabric  # slow to import, and not needed before a training starts

LOG_EVERY = 10
"""Steps between two readings of the losses: only there does the loop itself wait for the device."""


class NonFiniteLoss(LabError):
    """A loss became infinite or NaN. Names the step (counted from 1), the pictures and the learning rate."""


@dataclass
class _Step:
    """What is remembered of a step until its losses enter the metrics; until they are read they stay on the device."""

    number: int
    learning_rate: float
    names: tuple[str, ...]
    losses: dict[str, Any] = field(default_factory=dict)
    watched: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """One training of ``recipe.steps`` optimiser steps.

    Args:
        fabric: device, precision and processes.
        model: the segmenter; trained in place.
        method: yields the losses.
        recipe: the hyperparameters.
        datasets: one labelled data set for each of the method's streams. The labels of ``"target"`` are dropped here.
        seed: of batch order and augmentation; the network's initial weights are the caller's.
        workers: loader processes for each stream; no number depends on them.
        evaluate: called with the bare model every ``recipe.evaluate_every`` steps; returns columns for the metrics.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        method: Method,
        recipe: Recipe,
        datasets: Mapping[str, SegmentationDataset],
        seed: int,
        *,
        workers: int = 0,
        evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    ):
        if set(datasets) != set(method.streams):
            raise LabError(f"method {method.name} needs the streams {method.streams}, got {tuple(datasets)}")
        micro, rest = divmod(recipe.batch_size, recipe.accumulate * fabric.world_size)
        if rest or not micro:
            raise LabError(
                f"batch_size={recipe.batch_size} cannot be divided among accumulate={recipe.accumulate} micro-batches "
                f"on {fabric.world_size} device(s)"
            )
        for stream, dataset in datasets.items():
            if not len(dataset):
                raise LabError(f"the {stream} data set, {dataset.name} {dataset.split}, is empty")
        self.fabric, self.recipe, self.method, self.seed = fabric, recipe, method, seed
        self.datasets, self.workers, self.evaluate = datasets, workers, evaluate
        self.augmentations = {stream: _augmentation(recipe, stream) for stream in datasets}
        self.step = 0
        self.metrics: list[dict[str, Any]] = []
        self._unread: list[_Step] = []
        self._pending: list[_Step] = []
        self._setup(model)

    # --- before the first step -------------------------------------------------------------------------------

    def _setup(self, model: nn.Module) -> None:
        """Move networks to the device, channels last, and build the optimisers."""
        networks = {SEGMENTER: model, **self.method.build(model)}
        named = {"keeps": self.method.keeps, "is given": self.method.given}
        for what, names in named.items():
            if lacking := [name for name in names if name not in networks]:
                raise UnknownNameError(f"network that method {self.method.name} {what}", lacking[0], networks)
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, network in networks.items():
            parameters = [p for p in network.parameters() if p.requires_grad]
            network.to(memory_format=layout(self.fabric.device))
            if not parameters:  # a teacher, say: it is used and saved, not trained
                self.networks[name] = self.fabric.to_device(network)
                continue
            optimizer = self._optimizer(parameters) if name == SEGMENTER else self.method.optimizer(name, parameters)
            self.networks[name], self.optimizers[name] = self.fabric.setup(network, optimizer)
        if self.fabric.device.type == "cuda" and self.recipe.optimizer == "sgd" and self.recipe.momentum:
            self._start_momentum()
        self.method.model = self.networks[SEGMENTER]
        self.method.networks = {name: net for name, net in self.networks.items() if name != SEGMENTER}
        self.method.receive({stream: data for stream, data in self.datasets.items() if stream != TARGET})
        self.method.training_mode()

    def _optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        recipe = self.recipe
        shared = {
            "lr": recipe.learning_rate,
            "weight_decay": recipe.weight_decay,
            # Fused optimisers take the loss scaler's verdict on the device: no waiting in fp16 either.
            "fused": self.fabric.device.type == "cuda",
        }
        if recipe.optimizer == "adam":
            return torch.optim.Adam(parameters, betas=recipe.betas, **shared)
        return torch.optim.SGD(parameters, momentum=recipe.momentum, **shared)

    def _start_momentum(self) -> None:
        """Momentum from zero, which is what the first step would set it to.

        Fused SGD leaves its buffers uninitialised when the loss scaler skips the first step, as it often does in fp16.
        """
        state = self.optimizers[SEGMENTER].optimizer.state
        for group in self.optimizers[SEGMENTER].optimizer.param_groups:
            for parameter in group["params"]:
                state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    # --- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on. Reads the losses: no checkpoint hides a NaN."""
        self._read_losses()
        return {
            "step": self.step,
            "metrics": self.metrics,
            "pending": [vars(record) for record in self._pending],
            "networks": {name: bare(net).state_dict() for name, net in self.networks.items()},
            "optimizers": {name: opt.optimizer.state_dict() for name, opt in self.optimizers.items()},
            "precision": self.fabric.strategy.precision.state_dict(),
            "method": self.method.state_dict(),
            "random": random_states(self.fabric.device),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.step, self.metrics = state["step"], list(state["metrics"])
        self._pending = [_Step(**record) for record in state["pending"]]
        for name, net in self.networks.items():
            bare(net).load_state_dict(state["networks"][name])
        for name, opt in self.optimizers.items():
            opt.optimizer.load_state_dict(_as_here(state["optimizers"][name], opt.optimizer))
        if state["precision"]:  # a run that was begun without loss scaling has none
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.method.load_state_dict(state["method"])
        set_random_states(state["random"], self.fabric.device)

    # --- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> Generator[int]:
        """Train to the last step; yields the number of steps done after each, so that the caller may save or stop.

        Who stops before the last one closes the generator: that ends the loaders' processes.
        """
        with contextlib.ExitStack() as opened:
            streams = self._open_streams()
            for stream in streams.values():
                opened.callback(stream.close)
            while self.step < self.recipe.steps:
                self._train_step(streams)
                self.step += 1
                last = self.step == self.recipe.steps
                if self.step % LOG_EVERY == 0 or last:
                    self._write_metrics()
                every = self.recipe.evaluate_every
                if self.evaluate and every and (self.step % every == 0 or last):
                    self._evaluate()
                yield self.step

    def _open_streams(self) -> dict[str, Batches]:
        recipe, fabric = self.recipe, self.fabric
        return {
            stream: batches(
                dataset,
                recipe.batch_size // recipe.accumulate,
                derived_seed(self.seed, stream),
                self.step * recipe.accumulate,
                recipe.steps * recipe.accumulate,
                workers=self.workers,
                pin_memory=fabric.device.type == "cuda",
                rank=fabric.global_rank,
                world=fabric.world_size,
            )
            for stream, dataset in self.datasets.items()
        }

    def _train_step(self, streams: dict[str, Batches]) -> None:
        recipe = self.recipe
        self.method.begin_step(self.step, recipe.steps)
        factors = self._factors()
        for name, optimizer in self.optimizers.items():
            set_learning_rate(optimizer, factors[name])
            optimizer.zero_grad(set_to_none=True)
        record = _Step(self.step + 1, recipe.learning_rate * factors[SEGMENTER], ())
        touched: dict[str, None] = {}
        for micro in range(recipe.accumulate):
            step_batches = {stream: self._next_batch(stream, streams[stream], micro) for stream in streams}
            record.names += tuple(name for batch in step_batches.values() for name in batch.names)
            for objective in self.method.objectives(step_batches):
                # Only leaves of the objective's own optimisers collect its gradient.
                own = [leaf for name in objective.optimizers for leaf in self._parameters(name)]
                self.fabric.backward(objective.total / recipe.accumulate, inputs=own)
                self._remember(record, objective)
                touched |= dict.fromkeys(objective.optimizers)
        self._step_optimizers(touched)
        self._unread.append(record)

    def _factors(self) -> dict[str, float]:
        """The factor on every network's first learning rate at this step."""
        schedule = partial(_factor, self.recipe)
        return {name: self.method.learning_rate_factor(name, self.step, schedule) for name in self.networks}

    def _step_optimizers(self, names: Iterable[str]) -> None:
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        if scaler is None:
            for name in names:
                self.optimizers[name].step()
            return
        # Fabric would update the loss scale after each optimiser, and the next one would divide by a scale that its
        # gradients were never multiplied with.
        for name in names:
            scaler.step(self.optimizers[name].optimizer)
        scaler.update()

    def _parameters(self, optimizer: str) -> list[nn.Parameter]:
        if optimizer not in self.optimizers:
            raise UnknownNameError(
                f"optimizer of an objective of method {self.method.name}", optimizer, self.optimizers
            )
        return [p for group in self.optimizers[optimizer].optimizer.param_groups for p in group["params"]]

    def _next_batch(self, stream: str, iterator: Batches, micro: int) -> Batch:
        """The next pictures of a stream: uint8 to the device, augmented and normalised there."""
        images, labels, names = next(iterator)
        device = self.fabric.device
        images = to_device(images, device)
        labels = None if stream == TARGET else to_device(labels, device)
        draws = torch.Generator().manual_seed(
            derived_seed(self.seed, stream, self.step, micro, self.fabric.global_rank)
        )
        images, labels = self.augmentations[stream](images, labels, draws)
        return Batch(normalize(images).contiguous(memory_format=layout(device)), labels, tuple(names))

    # --- losses stay on the device until they are read -----------------------------------------------------------

    def _remember(self, record: _Step, objective: Objective) -> None:
        losses = {name: term.loss for name, term in objective.terms.items()}
        for kept, values in ((record.losses, losses), (record.watched, objective.watched)):
            for name, value in values.items():
                part = value.detach().float() / self.recipe.accumulate
                kept[name] = kept[name] + part if name in kept else part

    def _read_losses(self) -> None:
        """One transfer for all steps since the last reading.

        Raises:
            NonFiniteLoss: at the first step whose loss is not finite.
        """
        records, self._unread = self._unread, []
        scalars = [value for record in records for kept in (record.losses, record.watched) for value in kept.values()]
        values = iter(torch.stack(scalars).tolist() if scalars else ())
        for record in records:
            record.losses = dict(zip(record.losses, values, strict=False))
            record.watched = dict(zip(record.watched, values, strict=False))
            for name, value in record.losses.items():
                if not math.isfinite(value):
                    raise NonFiniteLoss(
                        f"loss {name!r} is {value} at step {record.number} (learning rate {record.learning_rate:.3g}, "
                        f"pictures: {', '.join(record.names)}). Lower learning_rate, use precision=32-true, or look at "
                        "these pictures. The last checkpoint is from before this step."
                    )
        self._pending += records

    def _write_metrics(self) -> None:
        """A row of means over the steps since the last row. Its steps do not depend on when checkpoints were taken."""
        self._read_losses()
        if not self._pending:
            return
        records, self._pending = self._pending, []
        columns: dict[str, list[float]] = {}
        for record in records:
            for name, value in record.losses.items():
                columns.setdefault(f"loss/{name}", []).append(value)
            for name, value in record.watched.items():
                columns.setdefault(name, []).append(value)
        means = {name: sum(column) / len(column) for name, column in columns.items()}
        self.metrics.append({"step": records[-1].number, "learning_rate": records[-1].learning_rate} | means)

    def _evaluate(self) -> None:
        self._write_metrics()
        self.metrics[-1] |= self.evaluate(bare(self.networks[SEGMENTER]))
        self.method.training_mode()


def _augmentation(recipe: Recipe, stream: str) -> Augmentation:
    crop = recipe.source_crop if stream == SOURCE and recipe.source_crop else recipe.crop
    return Augmentation(flip=recipe.flip, jitter=recipe.jitter, blur=recipe.blur, scale=recipe.scale, crop=crop)


def _as_here(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state, to be computed as on this device: a run may have been begun on another kind."""
    groups = zip(saved["param_groups"], optimizer.param_groups, strict=True)
    return saved | {"param_groups": [there | {k: here[k] for k in here.keys() & {"fused"}} for there, here in groups]}


def _factor(recipe: Recipe, step: int) -> float:
    if recipe.schedule == "constant":
        return constant(step, recipe.warmup)
    return poly(step, recipe.steps, recipe.power, recipe.warmup)


def bare(network: nn.Module) -> nn.Module:
    """The network itself, without what Fabric wrapped around it (mixed precision, DDP)."""
    return getattr(network, "module", network)

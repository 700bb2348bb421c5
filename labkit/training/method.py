"""The interface between a method and the loop: what a step is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from labkit.data.dataset import SegmentationDataset
from labkit.errors import LabError


@dataclass(frozen=True)
class Batch:
    """Pictures on the device, augmented and normalised.

    Attributes:
        images: float ``(N, 3, H, W)``, ImageNet-normalised.
        labels: int64 ``(N, H, W)`` trainIds with 255 = ignored; ``None`` for an unlabelled stream.
        names: the pictures' names, for messages.
    """

    images: Tensor
    labels: Tensor | None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """One term of an objective: a scalar loss and the weight λ it enters the sum with."""

    loss: Tensor
    weight: float = 1.0


SEGMENTER = "segmenter"
"""The segmenter's name among networks and optimisers, beside those of the method's own networks."""


@dataclass(frozen=True)
class Objective:
    """Named terms whose weighted sum one optimiser minimises, or several together.

    ``optimizer`` names it: ``"segmenter"``, or one of the networks that :meth:`Method.build` returned; or a tuple of
    such names, for a sum that several networks minimise at once. ``watched`` are
    further scalars, by the name of their column among the metrics; they enter no sum: an accuracy, a threshold.
    """

    terms: Mapping[str, Term]
    optimizer: str | tuple[str, ...] = "segmenter"
    watched: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The names of the optimisers, also where it is one."""
        return (self.optimizer,) if isinstance(self.optimizer, str) else self.optimizer

    @property
    def total(self) -> Tensor:
        """The weighted sum, a float32 scalar."""
        return torch.stack([term.weight * term.loss.float() for term in self.terms.values()]).sum()


SOURCE, TARGET, LABELLED_TARGET = "source", "target", "labelled_target"
STREAMS = (SOURCE, TARGET, LABELLED_TARGET)
"""The batches a method may ask for. ``"target"`` never carries labels, whatever the data set has."""


@dataclass
class Method:
    """Base of every method: how a training step turns batches into losses.

    A method gets networks, never the loop: no device, no optimiser step. The loop asks it for
    objectives; the gradient of each reaches the parameters of its own optimisers and no others. When all have come, the
    optimisers that they named take their steps. Subclasses are dataclasses whose fields are
    the method's hyperparameters; they are part of a run's description.

    Class attributes:
        name: the name on the command line.
        streams: which of :data:`STREAMS` a step gets.
        batch_norm: in a sentence, which pictures move the batch-norm statistics.
        keeps: own networks whose weights a finished run keeps beside the segmenter's, by their names in :meth:`build`.
        given: own networks that begin with the weights of another training, which has to be named.

    The loop sets ``model`` (the segmenter) and ``networks`` (what :meth:`build` returned, on the device) before
    the first step; both are called like any module.
    """

    name: ClassVar[str] = ""
    streams: ClassVar[tuple[str, ...]] = (SOURCE,)
    batch_norm: ClassVar[str] = ""
    keeps: ClassVar[tuple[str, ...]] = ()
    given: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            raise LabError(
                f"method {cls.__name__}: declare hyperparameters as fields of a @dataclass instead of writing "
                "__init__, else they are no part of a run's description"
            )

    def __post_init__(self):
        self.model: nn.Module | None = None
        self.networks: dict[str, nn.Module] = {}

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """Own networks that are saved with the run, by name; those with parameters that require a gradient are trained.

        ``model`` is the bare segmenter.
        """
        return {}

    def receive(self, labelled: Mapping[str, SegmentationDataset]) -> None:
        """Told before the first step the data sets of its labelled streams, to draw further pictures from.

        Their pictures are as on disk, neither augmented nor cropped. The unlabelled target's are never among them.
        """

    def optimizer(self, network: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of one own network; the segmenter's belongs to the recipe."""
        raise NotImplementedError(f"{type(self).__name__} builds {network!r} but gives it no optimiser")

    def training_mode(self) -> None:
        """Set the networks to training mode: before the first step, and again after every evaluation.

        A method that freezes a batch norm, or holds a teacher, says so here.
        """
        for network in (self.model, *self.networks.values()):
            network.train()

    def begin_step(self, step: int, steps: int) -> None:
        """Told before every step its number, counted from 0, and how many there are in all: for phases.

        A step has one, however many micro-batches share it; a resumed training goes on with the next.
        """

    def learning_rate_factor(self, network: str, step: int, recipe: Callable[[int], float]) -> float:
        """The factor on a first learning rate at ``step``, counted from 0.

        ``network`` is ``"segmenter"`` or an own network; ``recipe`` is the recipe's schedule, as a function of the
        step. By default all follow it.
        """
        return recipe(step)

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """Yield the objectives of one step, in order. ``batches`` has one entry for each of ``streams``."""
        raise NotImplementedError(f"{type(self).__name__} has no objectives")

    def state_dict(self) -> dict:
        """State beside networks and optimisers that a resumed run needs (thresholds, pools): tensors, plain values."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Take back what :meth:`state_dict` gave."""

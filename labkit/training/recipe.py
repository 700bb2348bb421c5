"""The hyperparameters of the loop: everything about a training that is neither data, network nor method."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.errors import UnknownNameError
from labkit.settings import setting

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("poly", "constant")


@dataclass(frozen=True)
class Recipe:
    """How long, how fast, on how many pictures at once.

    The defaults are baitan2025 §3.2 and §4.2 (SGD, momentum 0.9, weight decay 5e-4, poly 0.9 from 2.5e-2, batch 4);
    the length is the profile's.

    Attributes:
        steps: optimiser steps.
        batch_size: pictures of each stream in one optimiser step, over all devices and accumulated micro-batches.
        accumulate: micro-batches that share one optimiser step; divides ``batch_size``.
        optimizer: of the segmenter, ``sgd`` or ``adam``.
        learning_rate, weight_decay: of the segmenter's optimiser; Adam's decay is added to the gradient, as SGD's.
        momentum: of SGD.
        betas: β1 and β2 of Adam, below 1 (baitan2025 §4.6.2 has 0.9 and 0.99).
        schedule: of every optimiser's learning rate, ``poly`` or ``constant``.
        power: exponent of the poly schedule.
        warmup: steps of linear warm-up before it.
        flip, jitter, blur: probability of each augmentation per picture (baitan2025 §4.4).
        scale: range of random rescaling, or None.
        crop: height and width of a random crop, or None.
        source_crop: the same for the stream ``source`` alone, instead of ``crop``; None for no difference.
        precision: ``auto``, or one of Lightning Fabric's (``32-true``, ``16-mixed``, ``bf16-mixed``).
        evaluate_every: steps between evaluations on the validation split; 0 for none.

    Raises:
        UnknownNameError: an optimiser or a schedule of another name.
    """

    steps: int = setting(300, 1)
    batch_size: int = setting(4, 1)
    accumulate: int = setting(1, 1)
    optimizer: str = "sgd"
    learning_rate: float = setting(2.5e-2, 0)
    momentum: float = setting(0.9, 0, 1)
    betas: tuple[float, float] = setting((0.9, 0.999), 0, 1 - 2**-53)
    weight_decay: float = setting(5e-4, 0)
    schedule: str = "poly"
    power: float = setting(0.9, 0)
    warmup: int = setting(0, 0)
    flip: float = setting(0.0, 0, 1)
    jitter: float = setting(0.0, 0, 1)
    blur: float = setting(0.0, 0, 1)
    scale: tuple[float, float] | None = setting(None, 0.1, 10)
    crop: tuple[int, int] | None = setting(None, 8)
    source_crop: tuple[int, int] | None = setting(None, 8)
    precision: str = "auto"
    evaluate_every: int = setting(0, 0)

    def __post_init__(self):
        for kind, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if (name := getattr(self, kind)) not in known:
                raise UnknownNameError(kind, name, known)

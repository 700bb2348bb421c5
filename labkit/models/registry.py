"""Networks by name. Each one's module is imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from labkit.errors import LabError, UnknownNameError
from labkit.models.weights import STARTS, load_file

MODELS: dict[str, str] = {
    "bisenet": "labkit.models.bisenet:BiSeNet",
    "deeplabv2": "labkit.models.deeplabv2:DeepLabV2",
    "deeplabv3": "labkit.models.deeplabv3:DeepLabV3",
    "deeplabv3plus": "labkit.models.deeplabv3plus:DeepLabV3Plus",
    "unet": "labkit.models.unet:UNet",
    "unet-padded": "labkit.models.unet:PaddedUNet",
}
"""Name on the command line → ``"module:class"``."""


def module_of(name: str) -> str:
    """Name of the Python module that defines model ``name``; raises UnknownNameError."""
    return _location(name)[0]


def is_named_start(model: str, weights: str | os.PathLike) -> bool:
    """Whether ``weights`` is ``"none"`` or the name of trained weights that there are for ``model``; else it is a file.

    Raises UnknownNameError for an unknown model, and LabError for weights that are neither.
    """
    cls = _class(model)
    known = ["none", *(name for name in STARTS if hasattr(cls, name.upper()))]
    if weights not in known and not Path(weights).is_file():
        hint = "; weights for Pascal VOC have to be a file of your own" if weights == "voc" else ""
        raise LabError(f"weights {str(weights)!r}: neither {', '.join(known)} nor a file, for {model}{hint}")
    return weights in known


def create_model(
    name: str,
    num_classes: int = 19,
    weights: str | os.PathLike = "none",
    seed: int | None = None,
) -> nn.Module:
    """Build a network on the CPU, in training mode.

    Args:
        name: a key of :data:`MODELS`.
        num_classes: classes of the logits.
        weights: ``"none"`` (random initialisation), ``"imagenet"`` (torchvision's ImageNet weights for the
            backbone, downloaded once), for ``deeplabv3`` also ``"coco"`` (torchvision's for all but the last
            layers), or a ``.safetensors`` / ``.pth`` file with all of the network's weights or with ImageNet
            weights of its backbone. For DeepLabV3 and DeepLabV3+ it may be a file of all weights for Pascal VOC.
        seed: seed of the initialisation. With a seed the result depends on it alone and torch's global random
            state is left as it was; without one the global state is used.

    Raises:
        UnknownNameError: no such model.
        LabError: weights that cannot be had or do not fit.
    """
    constructor, named = _class(name), is_named_start(name, weights)
    with ExitStack() as stack:
        if seed is not None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.default_generator.manual_seed(seed)
        model = constructor(num_classes=num_classes)
    if not named:
        load_file(model, weights)
    elif weights != "none":
        STARTS[weights](model)
    return model


def _class(name: str) -> type[nn.Module]:
    module, cls = _location(name)
    return getattr(importlib.import_module(module), cls)


def _location(name: str) -> tuple[str, str]:
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    module, cls = MODELS[name].split(":")
    return module, cls

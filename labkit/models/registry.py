"""Networks by name. Each one's module is imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack

import torch
from torch import nn

from labkit.errors import UnknownNameError
from labkit.models.weights import load_backbone_imagenet, load_file

MODELS: dict[str, str] = {
    "bisenet": "labkit.models.bisenet:BiSeNet",
    "deeplabv2": "labkit.models.deeplabv2:DeepLabV2",
}
"""Name on the command line → ``"module:class"``."""


def module_of(name: str) -> str:
    """Name of the Python module that defines model ``name``; raises UnknownNameError."""
    return _location(name)[0]


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
            backbone, downloaded once), or a ``.safetensors`` / ``.pth`` file with all of the network's
            weights or with ImageNet weights of its backbone.
        seed: seed of the initialisation. With a seed the result depends on it alone and torch's global random
            state is left as it was; without one the global state is used.

    Raises:
        UnknownNameError: no such model.
        LabError: weights that cannot be had or do not fit.
    """
    module, cls = _location(name)
    constructor = getattr(importlib.import_module(module), cls)
    with ExitStack() as stack:
        if seed is not None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.default_generator.manual_seed(seed)
        model = constructor(num_classes=num_classes)
    if weights == "imagenet":
        load_backbone_imagenet(model)
    elif weights != "none":
        load_file(model, weights)
    return model


def _location(name: str) -> tuple[str, str]:
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    module, cls = MODELS[name].split(":")
    return module, cls

"""Methods by name, imported when asked for."""

from __future__ import annotations

import importlib

from labkit.errors import UnknownNameError
from labkit.settings import with_settings
from labkit.training.method import Method

METHODS: dict[str, str] = {
    "source-only": "labkit.methods.supervised:SourceOnly",
    "oracle": "labkit.methods.supervised:Oracle",
    "adabn": "labkit.methods.adaptive_batch_norm:AdaptiveBatchNorm",
    "adversarial": "labkit.methods.adversarial:Adversarial",
    "adversarial-multilevel": "labkit.methods.adversarial:MultiLevelAdversarial",
    "advent": "labkit.methods.adversarial:Advent",
    "histogram": "labkit.methods.restyled:Histogram",
    "fourier": "labkit.methods.restyled:Fourier",
    "mmd": "labkit.methods.mmd:MMD",
    "mmd-multilevel": "labkit.methods.mmd:MultiLevelMMD",
    "cyclegan": "labkit.methods.cyclegan:CycleGAN",
    "cyclegan-translation": "labkit.methods.cyclegan:CycleGANTranslation",
    "cycada": "labkit.methods.cycada:CyCADA",
    "udamobile": "labkit.methods.udamobile:UDAMobile",
    "shannon": "labkit.methods.entropy_minimisation:Shannon",
    "maxsquares": "labkit.methods.entropy_minimisation:MaximumSquares",
    "confidence": "labkit.methods.entropy_minimisation:ConfidenceEntropy",
    "neutral": "labkit.methods.unsupervised_focal:Neutral",
    "unsupervised-focal": "labkit.methods.unsupervised_focal:UnsupervisedFocal",
    "cim": "labkit.methods.cim:CIM",
    "cim-mmd": "labkit.methods.cim_with_mmd:CIMWithMMD",
    "mean-teacher": "labkit.methods.mean_teacher:MeanTeacher",
}
"""Name to ``module:Class``."""


def create_method(name: str, **settings) -> Method:
    """A method with its hyperparameters.

    Raises:
        UnknownNameError: an unknown method or hyperparameter; the message lists the known ones.
        LabError: a hyperparameter of another type or out of its range.
    """
    return with_settings(method_class(name)(), settings)


def method_class(name: str) -> type[Method]:
    """The class of a method."""
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    module, _, cls = METHODS[name].partition(":")
    return getattr(importlib.import_module(module), cls)

"""A trained network as an ONNX file, for programs that know no PyTorch, such as ONNX Runtime.

The file takes photographs as they are, RGB in [0, 1]: ImageNet's normalisation is inside, and so cannot be forgotten.
It answers with logits at the picture's own size. The training-only heads are left out, batch norms are folded into
their convolutions. Its metadata hold the names and colours of the classes.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

import labkit
from labkit.data.transforms import normalize
from labkit.errors import LabError
from labkit.files import write_atomically
from labkit.labels import CLASS_NAMES, PALETTE

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18
"""Version of ONNX's set of operators: the first with bilinear resizing in its present form, read by ONNX Runtime 1.14
and later."""

EXAMPLE = (96, 128)
"""Height and width of the picture that the exporter follows through the network, where the file takes any size."""

ABOUT = {
    "input": "images: float32 (batch, 3, height, width), RGB in [0, 1]; ImageNet's normalisation is inside",
    "output": "logits: float32 (batch, 19, height, width); the arg-max over the classes is the prediction",
    "classes": json.dumps(CLASS_NAMES),
    "colors": json.dumps(PALETTE.tolist()),
}
"""What every file says about itself, beside its origin. ``classes`` and ``colors`` are JSON, in the logits' order."""


class _FromPixels(nn.Module):
    """Logits from RGB in [0, 1]."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(normalize(images)).logits


def export_onnx(
    model: nn.Module, path: Path, *, size: tuple[int, int] | None = None, origin: Mapping[str, str] | None = None
) -> Path:
    """Write ``model`` into the ONNX file ``path``, whole or not at all.

    Args:
        model: a network for normalised images ``(N, 3, H, W)`` and the 19 classes; is left as it is.
        path: ends in ``.onnx``.
        size: height and width of the only pictures that the file takes, one at a time, as some programs for small
            devices want it; without it any number of pictures of any size.
        origin: more metadata, such as the run's name.

    Raises:
        LabError: another ending; onnx or onnxscript is not installed; the network cannot be written as ONNX; or the
            place cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise LabError(f"{path}: a file for ONNX ends in .onnx")
    onnx = require("onnx")
    require("onnxscript")
    model = _FromPixels(copy.deepcopy(model)).to("cpu", memory_format=torch.contiguous_format).eval()
    try:
        written = _translate(model, size)
        onnx.checker.check_model(written, full_check=True)
    except Exception as error:  # the exporter and the checker have many of their own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        name = type(model.network).__name__
        raise LabError(f"{name} cannot be written as ONNX by PyTorch {torch.__version__}: {reason}") from error
    written.producer_name, written.producer_version = labkit.__name__, labkit.__version__
    for key, value in {**ABOUT, **(origin or {})}.items():
        written.metadata_props.add(key=key, value=value)
    write_atomically(path, written.SerializeToString())
    return path


def require(package: str) -> ModuleType:
    """Import one of the packages that only ONNX needs; raises LabError with the way to get them."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise LabError(
            f"ONNX needs the package {package} ({error}): run `make setup`, or pip install onnx onnxscript onnxruntime"
        ) from error


def _translate(model: nn.Module, size: tuple[int, int] | None) -> ModelProto:
    axes = {} if size else {0: "batch", 2: "height", 3: "width"}
    example = torch.zeros(1 if size else 2, 3, *(size or EXAMPLE))  # a size of 1 would be taken as fixed
    with _quiet("onnxscript", "onnx_ir", "torch.onnx"):
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=(axes,) if axes else None,
            opset_version=OPSET,
            verbose=False,
        )
    written = program.model_proto
    shape, answer = (one.type.tensor_type.shape for one in (written.graph.input[0], written.graph.output[0]))
    for axis, name in axes.items():  # the padded U-Net's come out as a formula that says the same
        shape.dim[axis].dim_param = answer.dim[axis].dim_param = name
    graph = written.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]  # where in whose folders the exporter found it
    return written


@contextlib.contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Of the exporter's log only warnings: it tells each step of its optimiser."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.WARNING)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

"""A network in ONNX Runtime: its logits, whether they are PyTorch's, and how long they take beside PyTorch's."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from labkit.data.transforms import to_float
from labkit.errors import LabError
from labkit.evaluation.cost import Latency, measure_latency, time_of
from labkit.evaluation.predict import predict_logits
from labkit.models.onnx_export import require

TOLERANCE = 1e-4
"""How far logits of the two programs may lie apart, and by which share of the largest one where that is above 1.

Sums in another order differ in float32's last digits, and a network hardly trained enlarges that from layer to layer.
"""


class OnnxSegmenter:
    """A file of :func:`labkit.models.onnx_export.export_onnx` in ONNX Runtime, on the CPU.

    Args:
        path: the file.
        threads: that one picture is computed with; by default as many as PyTorch takes.

    Attributes:
        metadata: what the file says about itself, text by name.
        class_names: in the logits' order.
        size: height and width of the only pictures that it takes, one at a time; None if it takes any.

    Raises:
        LabError: onnxruntime is not installed, or no such file, or not one that was exported here.
    """

    def __init__(self, path: Path, threads: int | None = None):
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3  # errors; they are raised as well
        if not Path(path).is_file():
            raise LabError(f"{path}: no such file; `labkit export RUN --onnx {path}` writes one")
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its classes derive from nothing narrower
            raise LabError(f"{path}: ONNX Runtime cannot read it ({error}); export it again") from error
        self.path = Path(path)
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if "classes" not in self.metadata:
            raise LabError(f"{path}: was not written by `labkit export`, so its classes are not known")
        self.class_names: tuple[str, ...] = tuple(json.loads(self.metadata["classes"]))
        height, width = self._session.get_inputs()[0].shape[2:]
        self.size: tuple[int, int] | None = (height, width) if isinstance(height, int) else None

    def logits(self, images: Tensor) -> Tensor:
        """Logits, float32 ``(N, C, H, W)`` on the CPU.

        Args:
            images: uint8 ``(N, 3, H, W)``, or float in [0, 1]; not normalised.

        Raises:
            LabError: pictures of another size, or more than one, for a file of a fixed size.
        """
        if self.size and (tuple(images.shape[2:]) != self.size or len(images) != 1):
            raise LabError(
                f"{self.path}: takes one picture of {self.size[0]}×{self.size[1]}, not {len(images)} of "
                f"{images.shape[2]}×{images.shape[3]}; export it without --size"
            )
        pixels = to_float(images.cpu()).contiguous().numpy()
        return torch.from_numpy(self._session.run(["logits"], {"images": pixels})[0])


class Agreement(NamedTuple):
    """How far two programs agree on the same pictures.

    Attributes:
        difference: the largest between two logits.
        largest: the largest absolute logit of PyTorch's, which says how much that is.
        disagreeing: pixels of another arg-max that are no ties.
        ties: pixels whose two largest logits lie so near each other that differences within :data:`TOLERANCE` can
            exchange them.
        pixels: all.
    """

    difference: float
    largest: float
    disagreeing: int
    ties: int
    pixels: int

    @property
    def within_tolerance(self) -> bool:
        """Whether the logits agree to within :data:`TOLERANCE`, and every arg-max away from ties."""
        return self.difference <= _allowed(self.largest) and not self.disagreeing


def _allowed(largest: float) -> float:
    return TOLERANCE * max(1.0, largest)


def agreement(model: nn.Module, segmenter: OnnxSegmenter, images: Tensor) -> Agreement:
    """Compare a network, which is left as it is, with its file, on uint8 images ``(N, 3, H, W)``.

    On the CPU: a GPU's TF32 alone would differ by more than the tolerance.
    """
    ours = predict_logits(copy.deepcopy(model).cpu(), images.cpu())
    theirs = segmenter.logits(images)
    first, second = ours.topk(2, dim=1).values.unbind(dim=1)
    largest = float(ours.abs().max())
    ties = first - second <= 2 * _allowed(largest)
    other = ours.argmax(dim=1) != theirs.argmax(dim=1)
    return Agreement(
        difference=float((ours - theirs).abs().max()),
        largest=largest,
        disagreeing=int((other & ~ties).sum()),
        ties=int(ties.sum()),
        pixels=ties.numel(),
    )


def latency_beside_pytorch(
    model: nn.Module, segmenter: OnnxSegmenter, size: tuple[int, int], repeats: int | None = None
) -> dict[str, Latency]:
    """Time of one picture of ``size`` on the CPU in both programs, one after the other, with the same clock.

    Both as :func:`labkit.evaluation.cost.measure_latency` does it, with PyTorch's number of threads. The file also
    normalises the picture, which PyTorch's pass finds done: two of some hundred operations.

    Returns:
        By ``"PyTorch"`` and ``"ONNX Runtime"``.
    """
    device = torch.device("cpu")
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    return {
        "PyTorch": measure_latency(model, size, device, repeats),
        "ONNX Runtime": time_of(lambda: segmenter.logits(image), device, repeats),
    }

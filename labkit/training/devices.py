"""Which device, and which precision suits it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import torch

from labkit.errors import LabError, UnknownNameError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

DEVICES = ("auto", "cpu", "cuda", "mps")

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def accelerator() -> str:
    """``cuda``, ``mps`` or ``cpu``: the fastest that is there."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision_for(device: str) -> str:
    """The precision that suits a device.

    bf16 where the hardware has it (compute capability 8, Ampere, and later); fp16 with loss scaling on older cards,
    such as Colab's T4 (PyTorch would emulate bf16 there, slowly); fp32 on the CPU and on Apple's GPUs.
    """
    if device != "cuda":
        return "32-true"
    return "bf16-mixed" if torch.cuda.get_device_capability()[0] >= 8 else "16-mixed"


def choose_device(device: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is the fastest that is there.

    Raises:
        UnknownNameError: not one of :data:`DEVICES`.
        LabError: a device that this machine does not have.
    """
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if (device == "cuda" and not torch.cuda.is_available()) or (
        device == "mps" and not torch.backends.mps.is_available()
    ):
        raise LabError(f"this machine has no device {device}; see `labkit doctor`, or use device auto")
    return torch.device(accelerator() if device == "auto" else device)


def check_device(precision: str, device: str) -> torch.device:
    """The device, if it and the precision are such that :func:`make_fabric` takes them; errors as there."""
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    chosen = choose_device(device)
    if precision == "16-mixed" and chosen.type == "cpu":  # Fabric would take bf16 instead, under this name
        raise LabError("precision=16-mixed needs a GPU; on a CPU set precision=32-true or bf16-mixed")
    return chosen


def make_fabric(precision: str = "auto", device: str = "auto", devices: int = 1) -> Fabric:
    """A Lightning Fabric for ``device`` (``auto``, ``cpu``, ``cuda``, ``mps``) on ``devices`` of its kind.

    Raises:
        UnknownNameError: a precision that is not one of :data:`PRECISIONS`.
        LabError: a device that is not there, or one that the precision does not run on.
    """
    kind = check_device(precision, device).type
    if kind == "cuda" and torch.cuda.device_count() < devices:
        raise LabError(
            f"{devices} CUDA devices asked for, {torch.cuda.device_count()} found; see `labkit doctor`, or use fewer"
        )
    from lightning_fabric import Fabric  # here, because importing it takes longer than all of labkit

    return Fabric(
        accelerator=kind,
        devices=devices,
        # An objective need not reach every parameter: a loss on the target leaves auxiliary heads alone.
        strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
        precision=precision_for(kind) if precision == "auto" else precision,
    )


def describe_device(device: torch.device) -> str:
    """The hardware in words, for a run's record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple {platform.machine()} GPU"
    capability = torch.backends.cpu.get_cpu_capability()  # a core with AVX-512 is several times one without
    return f"{platform.machine()} CPU ({capability}), {torch.get_num_threads()} threads"

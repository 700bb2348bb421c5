"""Checkpoints that are whole or not there.

A file is the SHA-256 of its payload followed by the payload, written under a temporary name and renamed. The last
two are kept, so that a damaged one costs the steps since the one before.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from pathlib import Path
from typing import Any

import torch

from labkit.errors import LabError
from labkit.files import write_atomically

log = logging.getLogger(__name__)


class DamagedCheckpoint(LabError):
    """What a file holds is not what was written."""


MAGIC = b"labkit-checkpoint-1\n"
KEPT = 2


def path_of(folder: Path, step: int) -> Path:
    """The file of the checkpoint taken after ``step`` steps."""
    return folder / f"step-{step:08d}.checkpoint"


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after ``step`` steps, then drop all but the last :data:`KEPT` checkpoints.

    Raises:
        LabError: the disk is full; the checkpoints that were there are intact.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    path = path_of(folder, step)
    write_atomically(path, MAGIC + hashlib.sha256(payload).digest() + payload)
    for old in steps(folder)[:-KEPT]:
        path_of(folder, old).unlink(missing_ok=True)
    return path


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in ``folder``, ascending."""
    found = (re.fullmatch(r"step-(\d+)\.checkpoint", path.name) for path in folder.glob("step-*.checkpoint"))
    return sorted(int(match.group(1)) for match in found if match)


def load(path: Path) -> dict[str, Any]:
    """Read one checkpoint onto the CPU.

    Raises:
        DamagedCheckpoint: the file was cut short or altered.
        LabError: it is missing, cannot be read now, or not by this version of PyTorch.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror}); nothing was deleted: try again") from None
    digest, payload = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    if not data.startswith(MAGIC) or hashlib.sha256(payload).digest() != digest:
        raise DamagedCheckpoint(f"{path}: damaged checkpoint (its checksum does not match its content)")
    try:
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:
        raise LabError(
            f"{path}: a checkpoint that this version of PyTorch cannot read ({error}); nothing was deleted: use the "
            "version that wrote it, or remove it to go on from the one before"
        ) from None


def load_last(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """The newest whole checkpoint and its step, or None; damaged ones are deleted with a warning.

    Raises:
        LabError: the newest one that is whole cannot be read. It is worth more than a new beginning: it stays.
    """
    for step in reversed(steps(folder)):
        try:
            return step, load(path_of(folder, step))
        except DamagedCheckpoint as error:
            log.warning("%s; falling back to the one before", error)
            path_of(folder, step).unlink(missing_ok=True)
    return None

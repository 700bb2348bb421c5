"""Is this machine ready? One line for each thing that the course needs, with the fix where it is missing."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

NEEDED = ("torch", "torchvision", "lightning_fabric", "numpy", "pandas", "PIL", "cv2", "safetensors", "matplotlib")
BOOK = ("jupyter_book", "papermill", "doit", "jupyterlab")
PYTHON = (3, 11)
FREE_GIB = 2


@dataclass(frozen=True)
class Check:
    """One finding. ``ok`` is None for something that is optional and not there."""

    name: str
    ok: bool | None
    message: str

    def as_json(self) -> dict:
        """Name, ok (true, false, or null for optional and absent), message."""
        return asdict(self)


def examine(data: Path, runs: Path) -> Iterator[Check]:
    """Check Python, packages, device, data found under ``data``, and that ``runs`` can be written."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, PYTHON))
    yield Check("python", sys.version_info >= PYTHON, f"{version} (needs {wanted} or newer)")
    missing = [name for name in NEEDED if not _imports(name)]
    yield Check("packages", not missing, f"cannot import {', '.join(missing)}: `make setup`" if missing else "all there")
    without = [name for name in BOOK if importlib.util.find_spec(name) is None]
    yield Check(
        "book tools", None if without else True, f"no {', '.join(without)}: `make setup`" if without else "all there"
    )
    if "torch" not in missing:
        yield _device()
    yield from _data(data)
    yield _writable("runs", runs)


def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _device() -> Check:
    import torch

    from labkit.training.devices import accelerator, describe_device, precision_for

    kind = accelerator()
    words = describe_device(torch.device(kind))
    if kind == "cuda":
        words += f", {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
    advice = "" if kind != "cpu" else "; enough for the profiles smoke and mini"
    return Check("device", True, f"{words}, precision {precision_for(kind)}{advice}")


def _data(root: Path) -> Iterator[Check]:
    from labkit.data.catalog import FORMATS, found_datasets

    yield Check("data minicity", True, "generated, nothing to download")
    found = found_datasets(root)
    for key, reader in FORMATS.items():
        if key in found:
            splits = reader.available_splits(found[key])
            yield Check(f"data {key}", True, f"{found[key]} ({', '.join(splits) or 'no pictures'})")
        else:
            yield Check(f"data {key}", None, f"not under {root} (optional): {reader.source}")


def _writable(name: str, folder: Path) -> Check:
    home = folder
    while not home.exists():
        home = home.parent
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return Check(name, False, f"{home} cannot be written ({error.strerror}): choose another with LABKIT_RUNS")
    free = shutil.disk_usage(home).free / 2**30
    if free < FREE_GIB:
        return Check(name, False, f"{os.fspath(home)} has {free:.1f} GiB free, {FREE_GIB} are needed: free some space")
    return Check(name, True, f"{os.fspath(folder)} can be written, {free:.0f} GiB free")

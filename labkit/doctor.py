"""Is this machine ready? One line for each thing that the course needs, with the fix where it is missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
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
    found, wanted = (".".join(map(str, part)) for part in (sys.version_info[:3], PYTHON))
    yield Check("python", sys.version_info >= PYTHON, f"{found} (needs {wanted} or newer)")
    missing = [fault for name in NEEDED if (fault := _import_fault(name))]
    if missing:
        yield Check("packages", False, f"cannot import {'; '.join(missing)}. Install them: `make setup`")
    else:
        versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "numpy"))
        yield Check("packages", True, versions)
    without = [name for name in BOOK if importlib.util.find_spec(name) is None]
    book = f"no {', '.join(without)} (only building the book needs them): `make setup`" if without else "all there"
    yield Check("book tools", None if without else True, book)
    if not _import_fault("torch"):
        yield _device()
    yield from _data(data)
    yield _writable("runs", runs)


def _import_fault(name: str) -> str:
    """Why a package cannot be imported; empty if it can."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return name if error.name == name else f"{name} ({error})"
    except Exception as error:  # a package that was built for another torch fails in its own way
        return f"{name} ({type(error).__name__}: {error})"
    return ""


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
    from labkit.data.cache import standalone_caches
    from labkit.data.formats import FORMATS, found_datasets

    yield Check("data minicity", True, "generated, nothing to download")
    if os.environ.get("LABKIT_DATA") and not root.is_dir():
        yield Check("data folder", False, f"LABKIT_DATA is {root}, but there is no such folder: correct or unset it")
    found = found_datasets(root)
    for key, reader in FORMATS.items():
        if key in found and (splits := reader.available_splits(found[key])):
            yield Check(f"data {key}", True, f"{found[key]} ({', '.join(splits)})")
        elif key in found:
            advice = f"`labkit data check {found[key]}` tells more"
            yield Check(f"data {key}", False, f"{found[key]} holds no pictures: {advice}")
        elif alone := standalone_caches(key, root):
            sizes = ", ".join(str(folder) for folder in alone)
            yield Check(f"data {key}", True, f"standalone cache: {sizes}")
        else:
            yield Check(f"data {key}", None, f"not under {root} (optional): {reader.source}")


def _writable(name: str, folder: Path) -> Check:
    home = next((part for part in (folder, *folder.absolute().parents) if part.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return Check(name, False, f"{home} cannot be written ({error.strerror}): choose another with LABKIT_RUNS")
    free = shutil.disk_usage(home).free / 2**30
    if free < FREE_GIB:
        return Check(name, False, f"{os.fspath(home)} has {free:.1f} GiB free, {FREE_GIB} are needed: free some space")
    return Check(name, True, f"{os.fspath(folder)} can be written, {free:.0f} GiB free")

"""Where a number came from: code, versions, hardware. Recorded beside a run, never part of its name."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import torch

import labkit
from labkit.training.devices import describe_device

PACKAGES = ("torch", "torchvision", "lightning-fabric", "numpy", "pillow")


def commit() -> str | None:
    """The commit of the checkout that labkit runs from, with ``+`` when files differ from it, or that pip fetched.

    None where neither is known.
    """
    folder = Path(labkit.__file__).parent
    if not (folder.parent / "pyproject.toml").is_file():  # installed: a repository around it is somebody else's
        return _fetched_commit()

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _fetched_commit() -> str | None:
    """What ``pip install git+…`` wrote down, as on Colab."""
    try:
        origin = json.loads(distribution("labkit").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return None
    return origin.get("vcs_info", {}).get("commit_id", "")[:10] or None


def environment(device: torch.device, precision: str, devices: int = 1) -> dict:
    """Versions, hardware, number of devices, precision, commit and the day, as plain JSON."""
    return {
        "labkit": labkit.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "system": platform.system(),
        "hardware": describe_device(device),
        "devices": devices,
        "precision": precision,
        "date": datetime.date.today().isoformat(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

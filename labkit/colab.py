"""Colab: data sets and trainings on Google Drive, where they outlive the session."""

from __future__ import annotations

import os
from pathlib import Path

from labkit.errors import LabError

DRIVE = Path("/content/drive")
FOLDERS = {"LABKIT_DATA": "data", "LABKIT_RUNS": "runs"}
"""Which variable names which folder of ``MyDrive/labkit``."""


def use_drive() -> None:
    """Mount Drive, make ``MyDrive/labkit/data`` and ``MyDrive/labkit/runs`` the folders in use, and say what they hold.

    A folder that ``$LABKIT_DATA`` or ``$LABKIT_RUNS`` names already is kept; where both are named, Drive is left alone.

    Raises:
        LabError: Drive was not mounted, or cannot be written.
    """
    missing = [name for name in FOLDERS if not os.environ.get(name)]
    try:
        if missing:
            _mount()
        for name in missing:
            folder = DRIVE / "MyDrive" / "labkit" / FOLDERS[name]
            folder.mkdir(parents=True, exist_ok=True)
            os.environ[name] = str(folder)
    except Exception as error:  # Colab has several of its own: a window closed, a refusal, a time limit
        raise LabError(
            f"Google Drive cannot be used ({error}): run this cell again and allow the access. To work without it, "
            "until the session ends, run before this cell: %env LABKIT_DATA=/content/data and "
            "%env LABKIT_RUNS=/content/runs"
        ) from error
    data, runs = (Path(os.environ[name]) for name in FOLDERS)
    print(f"Data sets: {', '.join(_folders(data)) or 'none yet'} (in {data})")
    print(f"Trainings: {len(_folders(runs)) or 'none yet'} (in {runs})")


def _mount() -> None:
    from google.colab import drive  # exists on Colab only

    drive.mount(str(DRIVE))


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []

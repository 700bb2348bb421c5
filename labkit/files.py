"""Writing files so that a final name never holds a partial file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from labkit.errors import LabError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write to a temporary name in the same folder (made where missing), flush to the disk, rename.

    Raises:
        LabError: the disk is full, or the place cannot be written; whatever stood under ``path`` before still stands.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LabError(
                f"{path}: the disk is full ({len(data) / 2**20:.1f} MiB were to be written); "
                "nothing there was changed: free some space and start again"
            ) from error
        raise LabError(
            f"{path}: cannot be written ({error.strerror}); choose another folder, or mend its permissions"
        ) from error
    except BaseException:
        _remove(temporary)
        raise


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # the folder may be what is wrong
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        LabError: missing, not readable or damaged, by name.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"{path}: no such file") from None
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror}); try again, or mend its permissions") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise LabError(f"{path}: not valid JSON ({error}); delete it and run the command again") from None

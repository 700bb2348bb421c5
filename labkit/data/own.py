"""A data set of one's own, which a small file in its folder describes.

``labkit-dataset.toml``, in TOML::

    name = "My streets"                  # stands beside every number
    ignored = [11, 255]                  # ids that neither train nor score
    evaluation = "miou"                  # over 19 classes; miou16, miou13, miou11
    storage = "8-bit"                    # or "16-bit first channel", as SYNTHIA's

    [splits.train]
    images = "photos/train/**/*.jpg"
    labels = "labels/train/**/*_ids.png"

    [splits.val]
    images = "photos/val/*.jpg"
    labels = "labels/val/*_ids.png"

    [ids]                                # id on disk = class name or trainId
    0 = "road"
    1 = "sidewalk"
    5 = 13

In place of the table, ``ids = "cityscapes"`` (or ``"synthia"``, ``"camvid"``, ``"trainIds"``) above the tables takes a
known one. All but ``name``, ``splits`` and ``ids`` may be left out, ``labels`` in a split without labels. What the
stars of ``images`` stand for, they stand for in ``labels``: that makes a pair.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar

from labkit.data.pairs import STORAGES, BadFileError, Pair, PairedDataset, read_origin
from labkit.labels import CAMVID_IDS, CITYSCAPES_IDS, CLASS_NAMES, EVALUATIONS, IGNORE, NUM_CLASSES, SYNTHIA_IDS

FILE = "labkit-dataset.toml"
SPLITS = ("train", "val", "test")
KEYS = ("name", "evaluation", "storage", "ids", "ignored", "splits")

KNOWN_IDS: dict[str, dict[int, int]] = {
    "cityscapes": CITYSCAPES_IDS,
    "synthia": SYNTHIA_IDS,
    "camvid": CAMVID_IDS,
    "trainIds": {**{value: value for value in range(NUM_CLASSES)}, IGNORE: IGNORE},
}
"""Tables of ids that need not be written out."""

_STAR = re.compile(r"\*\*/|\*")
_IMAGES = (".png", ".jpg", ".jpeg")


def reader_for(root: Path) -> type[OwnFolder]:
    """The reader of a folder with a :data:`FILE`.

    Raises:
        BadFileError: the file is missing, is no TOML, or says something that cannot be: which key, and what to write.
    """
    root = Path(root)
    return type("OwnFolder", (OwnFolder,), {**_read(root / FILE), "__module__": __name__})


class OwnFolder(PairedDataset):
    """A folder read as its :data:`FILE` says; :func:`reader_for` makes the class for a folder."""

    key = "own"
    layout = f"what {FILE} says"
    source = f"mend {FILE}"
    patterns: ClassVar[dict[str, tuple[str, str | None]]] = {}
    """By split: where images are, and where label maps."""

    def __reduce__(self):
        # Its class cannot be imported: another process makes it anew.
        return _restore, (self.root, self.__dict__)

    @classmethod
    def full_name(cls, root: Path) -> str:
        """The name that the file gives, or what labkit noted when it wrote the folder from another one."""
        origin = read_origin(root)
        return origin["name"] if origin else cls.name

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, ...]:
        """The folders before the first star."""
        return tuple(root / _fixed_part(pattern) for pattern in cls.patterns[split] if pattern)

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Images and label maps whose stars stand for the same."""
        if split not in cls.patterns:
            return []
        images, labels = cls.patterns[split]
        labelled = _matches(root, labels) if labels else set()
        maps = {_fill(labels, stars) for stars in labelled}  # which may lie among the pictures, and fit both patterns
        pictured = {stars for stars in _matches(root, images) if _fill(images, stars) not in maps}
        return [
            Pair("".join(stars), root / _fill(images, stars), labels and root / _fill(labels, stars))
            for stars in sorted(pictured | labelled)
        ]

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Whether the file is there."""
        return (root / FILE).is_file()

    @classmethod
    def all_folders(cls, root: Path) -> tuple[Path, ...]:
        """The folders of the splits that the file names."""
        return tuple(dict.fromkeys(folder for split in cls.patterns for folder in cls.folders(root, split)))

    @classmethod
    def strays(cls, root: Path) -> list[Path]:
        """None: what no pattern names may be anything."""
        return []

    def fingerprint(self) -> dict:
        """Also what the ids mean."""
        ids = {str(value): train_id for value, train_id in sorted(self.ids.items())}
        return super().fingerprint() | {"ids": ids, "storage": self.storage}


def _restore(root: Path, state: dict) -> OwnFolder:
    reader = OwnFolder if state.get("lengths") is not None else reader_for(root)  # remembered: no longer there
    dataset = reader.__new__(reader)
    dataset.__dict__.update(state)
    return dataset


# --- pairs ---------------------------------------------------------------------------------------------------


def _fixed_part(pattern: str) -> str:
    return pattern.partition("*")[0].rpartition("/")[0]


def _matches(root: Path, pattern: str) -> set[tuple[str, ...]]:
    """What the stars stand for in each file that fits; ``**/`` for any folders, ``*`` for a part of a name."""
    expression = re.escape(pattern).replace(r"\*\*/", "((?:.*/)?)").replace(r"\*", "([^/]*)")
    places = (path.relative_to(root).as_posix() for path in root.glob(pattern) if not path.name.startswith("."))
    return {match.groups() for place in places if (match := re.fullmatch(expression, place))}


def _fill(pattern: str, stars: tuple[str, ...]) -> str:
    waiting = iter(stars)
    return _STAR.sub(lambda _: next(waiting), pattern)


# --- the file ------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Any]:
    """The class attributes that a file describes."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFileError(file, "the file is missing; it has to say what the folder holds") from None
    except OSError as error:
        raise BadFileError(file, f"cannot be read ({error.strerror}); check its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFileError(file, f"is not valid TOML ({error}); mend that place") from None
    for key in content:
        _require(file, key in KEYS, key, f"is not known; known: {', '.join(KEYS)}")
    for key in ("name", "splits"):
        _require(file, key in content, key, "is missing; it is needed")
    name, storage = content["name"], content.get("storage", "8-bit")
    evaluation = content.get("evaluation", "miou")
    _require(file, isinstance(name, str) and name.strip(), "name", "write the data set's name in quotes")
    _require(file, storage in STORAGES, "storage", f"is {storage!r}; write one of {_quoted(STORAGES)}")
    _require(file, evaluation in EVALUATIONS, "evaluation", f"is {evaluation!r}; write one of {_quoted(EVALUATIONS)}")
    patterns = _patterns(file, content["splits"])
    labelled = any(labels for _, labels in patterns.values())
    ids = _ids(file, content, storage) if labelled or "ids" in content else {}
    return {
        "name": name.strip(),
        "evaluation": evaluation,
        "storage": storage,
        "splits": tuple(patterns),
        "ids": ids,
        "patterns": patterns,
        "layout": "; ".join(
            f"{split}: {images}" + (f" with {labels}" if labels else " (unlabelled)")
            for split, (images, labels) in patterns.items()
        ),
    }


def _patterns(file: Path, splits: Any) -> dict[str, tuple[str, str | None]]:
    _require(file, isinstance(splits, dict) and splits, "splits", "write a table such as [splits.train]")
    patterns = {}
    for split, table in splits.items():
        key = f"splits.{split}"
        _require(file, split in SPLITS, key, f"is not known; known splits: {', '.join(SPLITS)}")
        _require(file, isinstance(table, dict), key, "write a table with images and labels")
        for name in table:
            _require(file, name in ("images", "labels"), f"{key}.{name}", "is not known; known: images, labels")
        _require(file, "images" in table, f"{key}.images", 'is missing; write a pattern such as "images/*.png"')
        for name, pattern in table.items():
            suffixes = _IMAGES if name == "images" else (".png",)
            _check_pattern(file, f"{key}.{name}", pattern, suffixes)
        images, labels = table["images"], table.get("labels")
        _require(
            file,
            labels is None or _STAR.findall(images) == _STAR.findall(labels),
            f"{key}.labels",
            f"has other stars than images ({images}): the same stars in the same order make the pairs",
        )
        patterns[split] = (images, labels)
    return {split: patterns[split] for split in SPLITS if split in patterns}


def _check_pattern(file: Path, key: str, pattern: Any, suffixes: tuple[str, ...]) -> None:
    _require(file, isinstance(pattern, str), key, 'write a pattern in quotes, such as "images/*.png"')
    parts = pattern.split("/")
    inside = not pattern.startswith("/") and ".." not in parts and "\\" not in pattern and ":" not in pattern
    _require(file, inside, key, f"is {pattern!r}; write a path inside the folder, with / between its parts")
    _require(
        file,
        "*" in parts[-1] and all(part == "**" or "**" not in part for part in parts) and parts[-1] != "**",
        key,
        f"is {pattern!r}; write a star for what differs between file names, and ** for any folders between two /",
    )
    _require(file, not re.search(r"[?\[\]]", pattern), key, f"is {pattern!r}; of wildcards only * and **/ are known")
    _require(
        file,
        pattern.lower().endswith(suffixes),
        key,
        f"is {pattern!r}; it has to end in {' or '.join(suffixes)}",
    )


def _ids(file: Path, content: dict, storage: str) -> dict[int, int]:
    given, ignored = content.get("ids"), content.get("ignored", [])
    _require(file, given is not None, "ids", f"is missing; write a table [ids], or one of {_quoted(KNOWN_IDS)}")
    highest = 255 if storage == "8-bit" else 65535
    if isinstance(given, str):
        _require(file, given in KNOWN_IDS, "ids", f"is {given!r}; write a table [ids], or one of {_quoted(KNOWN_IDS)}")
        ids = dict(KNOWN_IDS[given])
    else:
        _require(file, isinstance(given, dict) and given, "ids", 'write lines such as 0 = "road" below [ids]')
        ids = {}
        for text, value in given.items():
            _require(
                file, text.isdecimal() and int(text) <= highest, f"ids.{text}", f"write a number from 0 to {highest}"
            )
            _require(file, int(text) not in ids, f"ids.{text}", "stands there twice")
            ids[int(text)] = _train_id(file, f"ids.{text}", value)
    _require(file, isinstance(ignored, list), "ignored", "write a list such as [11, 255]")
    for value in ignored:
        number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest
        _require(file, number, "ignored", f"holds {value!r}; write numbers from 0 to {highest}")
        _require(file, ids.get(value, IGNORE) == IGNORE, "ignored", f"holds {value}, which [ids] gives a class")
        ids[value] = IGNORE
    return ids


def _train_id(file: Path, key: str, value: Any) -> int:
    if isinstance(value, str):
        _require(file, value in CLASS_NAMES, key, f"is {value!r}; the classes are {', '.join(CLASS_NAMES)}")
        return CLASS_NAMES.index(value)
    fits = isinstance(value, int) and not isinstance(value, bool) and (0 <= value < NUM_CLASSES or value == IGNORE)
    _require(file, fits, key, f"is {value!r}; write a class name, a trainId from 0 to 18, or 255 for ignored")
    return value


def _quoted(names) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _require(file: Path, fine: Any, key: str, reason: str) -> None:
    if not fine:
        raise BadFileError(file, f"{key}: {reason}")

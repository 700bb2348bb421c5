"""What all data sets on disk share: finding pairs, reading PNG files without guessing, resizing.

A label file is read as the numbers that it stores, never as colours, and only in the storage that its data
set uses. A number outside the data set's ids is an error, not a void pixel: labels that are misread in
silence are found weeks later, as a network that learns nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from labkit.data.dataset import Sample
from labkit.data.selection import evenly
from labkit.errors import LabError, UnknownNameError
from labkit.labels import IGNORE

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, _RGB, _PALETTE = 0, 2, 3  # PNG colour types
_COLOUR_TYPES = {GREY: "grey", _RGB: "RGB", _PALETTE: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
ORIGIN = "labkit-export.json"
"""File in which labkit notes what it exported into a folder."""
_UNKNOWN = 254  # neither a trainId nor the ignored value


class BadFileError(LabError):
    """One file of a data set is missing, damaged or of the wrong kind; ``file`` and ``reason`` apart."""

    def __init__(self, file: Path, reason: str):
        self.file, self.reason = file, reason
        super().__init__(f"{file}: {reason}")

    def __reduce__(self):  # to travel between processes
        return type(self), (self.file, self.reason)


class Pair(NamedTuple):
    """Where an image and its label map are, or should be. ``name`` is unique within the split.

    ``label`` is ``None`` where there never is one: of an unlabelled target.
    """

    name: str
    image: Path
    label: Path | None

    @property
    def files(self) -> dict[str, Path]:
        """What each file is, in words, and where: the image, and the label map unless there is none."""
        return {"image": self.image} | ({"label map": self.label} if self.label else {})


class PngHeader(NamedTuple):
    """The first chunk of a PNG file: size in pixels, bits per channel, colour type."""

    width: int
    height: int
    depth: int
    colour_type: int

    @property
    def storage(self) -> str:
        """In words, for messages: ``"8-bit palette"``."""
        return f"{self.depth}-bit {_COLOUR_TYPES.get(self.colour_type, 'unknown')}"


def read_bytes(path: Path) -> bytes:
    """The whole file; raises :class:`BadFileError` when it is missing, empty or unreadable."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadFileError(path, "the file is missing; copy it again from the original") from None
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror}); check its permissions") from error
    if not data:
        raise BadFileError(path, "the file is empty (0 bytes); copy it again from the original")
    return data


def png_header(data: bytes, path: Path) -> PngHeader:
    """Header of the PNG file whose content is ``data``; raises :class:`BadFileError` when it is no PNG."""
    if not data.startswith(_PNG_SIGNATURE):
        raise BadFileError(path, "is not a PNG file, whatever its name says; copy it again from the original")
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise BadFileError(path, "the PNG file is truncated within its header; copy it again")
    return PngHeader(*struct.unpack(">IIBB", data[16:26]))


def read_header(path: Path) -> PngHeader:
    """Header of a PNG file, of which no more is read; raises :class:`BadFileError`."""
    try:
        with path.open("rb") as file:
            return png_header(file.read(33), path)
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror}); copy it again from the original") from error


def check_png(data: bytes, path: Path) -> None:
    """Walk through all chunks of a PNG file; raises :class:`BadFileError` on a cut or altered one.

    Decoders forgive much: a picture may open although its second half is missing.
    """
    png_header(data, path)
    position, chunk = len(_PNG_SIGNATURE), b""
    while chunk != b"IEND":
        if position + 12 > len(data):
            raise BadFileError(path, f"the PNG file is truncated after {len(data)} bytes; copy it again")
        (length,) = struct.unpack(">I", data[position : position + 4])
        chunk, end = data[position + 4 : position + 8], position + 8 + length
        if end + 4 > len(data):
            raise BadFileError(path, f"the PNG file is truncated after {len(data)} bytes; copy it again")
        if zlib.crc32(data[position + 4 : end]) != struct.unpack(">I", data[end : end + 4])[0]:
            raise BadFileError(path, f"the PNG file is damaged near byte {position}; copy it again")
        position = end + 4


def _open(data: bytes, path: Path) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except UnidentifiedImageError:  # its words name an object in memory
        raise BadFileError(path, "is no picture that can be read; copy it again from the original") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise BadFileError(path, f"cannot be decoded ({error}); copy it again from the original") from error
    return picture


def read_image(path: Path, *, upright: bool = False) -> np.ndarray:
    """A picture as uint8 ``(H, W, 3)`` RGB.

    Args:
        path: of a PNG, a JPEG or another file that Pillow reads.
        upright: turned as the camera noted in it (EXIF), as viewers show it. Label maps are drawn on stored pixels.

    Raises:
        BadFileError: missing, damaged, or of more than 8 bits a channel.
    """
    picture = _open(read_bytes(path), path)
    if picture.mode.startswith(("I", "F")):  # Pillow would cut off what does not fit into 8 bits
        raise BadFileError(path, f"has more than 8 bits a channel (Pillow's mode {picture.mode}); save it with 8")
    if upright:
        picture = ImageOps.exif_transpose(picture)
    return np.array(picture.convert("RGB"))


def read_ids_8bit(path: Path) -> np.ndarray:
    """Stored numbers of an 8-bit grey or palette PNG as uint8 ``(H, W)``, whatever the palette's colours."""
    data = read_bytes(path)
    header = png_header(data, path)
    # Greys of fewer bits are stretched to 0–255 by decoders, so their numbers would be lost.
    if header.colour_type != _PALETTE and (header.colour_type, header.depth) != (GREY, 8):
        raise BadFileError(
            path,
            f"a label map must be an 8-bit grey or palette PNG that stores ids; this one is {header.storage} "
            "(colours cannot be turned back into ids: take the file from the original archive)",
        )
    return np.array(_open(data, path))


def read_ids_16bit_first_channel(path: Path) -> np.ndarray:
    """First (R) channel of a 16-bit RGB PNG as uint16 ``(H, W)``, the way SYNTHIA stores its classes."""
    import cv2  # Pillow keeps only the upper 8 of the 16 bits, which are all zero here

    data = read_bytes(path)
    header = png_header(data, path)
    if (header.colour_type, header.depth) != (_RGB, 16):
        raise BadFileError(
            path,
            f"a SYNTHIA label map must be a 16-bit RGB PNG (class in R, instance in G); this one is "
            f"{header.storage}, so 16 bits were read as 8, or colours were saved: take the file from GT/LABELS of the "
            "original archive",
        )
    if b"IEND" not in data[-16:]:
        raise BadFileError(path, f"the PNG file is truncated after {len(data)} bytes; copy it again")
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.shape != (header.height, header.width, 3):
        raise BadFileError(path, "cannot be decoded as a 16-bit PNG; copy it again from the original")
    return np.ascontiguousarray(stored[..., -1])  # OpenCV's order is BGR


STORAGES = {"8-bit": read_ids_8bit, "16-bit first channel": read_ids_16bit_first_channel}
"""How label maps store their numbers, and what reads them."""


def resize_image(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """A picture uint8 ``(H, W, 3)`` at ``size`` = (H, W), bilinear with antialiasing."""
    if size is None or image.shape[:2] == size:
        return image
    picture = Image.fromarray(image)
    return np.array(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=3.0))


def resize_labels(train_ids: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """TrainIds uint8 ``(H, W)`` at ``size`` = (H, W) by nearest neighbour, so that no new ids appear."""
    if size is None or train_ids.shape == size:
        return train_ids
    return np.array(Image.fromarray(train_ids).resize((size[1], size[0]), Image.Resampling.NEAREST))


def match_pairs(images: Path, image_suffix: str, labels: Path | None, label_suffix: str, depth: int = 1) -> list[Pair]:
    """Pairs by name, sorted: whatever has an image *or* a label, so that the missing half can be named.

    ``labels`` is ``None`` for pictures without labels. ``depth`` is 1 for files directly in the folders and 2 for files
    in subfolders (Cityscapes' cities).
    """

    def names(folder: Path, suffix: str) -> set[str]:
        files = folder.glob("/".join(["*"] * (depth - 1) + [f"*{suffix}"]))
        return {
            file.relative_to(folder).as_posix().removesuffix(suffix)
            for file in files
            if not file.name.startswith(".")  # file managers leave ._name.png beside name.png
        }

    found = names(images, image_suffix) | (names(labels, label_suffix) if labels else set())
    return [
        Pair(Path(name).name, images / (name + image_suffix), labels and labels / (name + label_suffix))
        for name in sorted(found)
    ]


class PairedDataset:
    """Base of the readers: a folder of images and label maps that belong together by name.

    Args:
        root: the data set's folder.
        split: ``"train"``, ``"val"``, … as far as :meth:`available_splits` finds it.
        size: (H, W) in pixels that images (bilinear, antialiased) and labels (nearest) are resized to; the
            stored size when ``None``.
        count: at most so many pairs, spread evenly over the split; all of them when ``None``.

    Raises:
        UnknownNameError: no split of that name exists in this format.
        LabError: the split is not in the folder, is empty, or lacks one half of a pair.

    Subclasses say how the format looks in the class attributes ``key`` (name on the command line), ``name``,
    ``evaluation``, ``splits``, ``ids`` (every known id to its trainId), ``storage`` (a key of :data:`STORAGES`),
    ``layout`` and ``source`` (sentences for messages), and in :meth:`folders` and :meth:`list_pairs`. Known faults of a
    data set are left out in :meth:`usable`, or reported by :meth:`suspicion`. What labkit exported from another data
    set keeps that one's name; ``note`` is added to either.
    """

    key: ClassVar[str]
    name: str
    note: ClassVar[str] = ""
    evaluation: str = "miou"
    splits: ClassVar[tuple[str, ...]]
    ids: ClassVar[dict[int, int]]
    storage: ClassVar[str] = "8-bit"
    layout: ClassVar[str]
    source: ClassVar[str]
    upright: ClassVar[bool] = False
    """Whether pictures are turned as their camera noted: see :func:`read_image`."""
    same_files_as: ClassVar[str] = ""
    """The key of the reader of the same files and ids in other splits: a cache of that one serves this one too."""
    unequal_sizes: ClassVar[str] = ""
    """Why a label map of another size than its image is no fault of the copy; such pairs are left out then."""
    lengths: dict[Path, int] | None = None
    """Of files that are remembered, not there (a standalone cache): their lengths in bytes."""

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        size: tuple[int, int] | None = None,
        *,
        count: int | None = None,
    ):
        self.root, self.split = Path(root), split
        self.name = self.full_name(self.root)
        self.size = None if size is None else (int(size[0]), int(size[1]))
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        if count is not None and count < 1:
            raise LabError(f"{self.name}: count must be at least 1, not {count}")
        pairs = self.list_pairs(self.root, split)
        if not pairs:
            there = ", ".join(self.available_splits(self.root)) or "none"
            raise LabError(
                f"{self.root}: no pictures of {self.name}'s split {split!r}; splits found here: {there}. "
                f"Expected {self.layout}"
            )
        for pair in pairs:
            for kind, file in pair.files.items():
                if not file.is_file():
                    raise BadFileError(
                        file,
                        f"this {kind} is missing; `labkit data check {self.root}` lists all such files",
                    )
        self.pairs = self.usable([pairs[i] for i in evenly(len(pairs), len(pairs) if count is None else count)])

    @classmethod
    def full_name(cls, root: Path) -> str:
        """The name beside a number: the data set's own, or of what labkit wrote in its format."""
        origin = read_origin(root)
        return (f"{origin['name']} ({cls.name} format)" if origin else cls.name) + cls.note

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, ...]:
        """Where the format keeps a split's images and its label maps, if it has any."""
        raise NotImplementedError

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """All pairs of a split, sorted by name; either half of a pair may be missing on disk."""
        raise NotImplementedError

    def usable(self, pairs: list[Pair]) -> list[Pair]:
        """The pairs that are used: all. A reader whose data set is known for faults leaves them out here, by name."""
        return pairs

    @classmethod
    def read_ids(cls, path: Path) -> np.ndarray:
        """The numbers that a label map stores, as an unsigned ``(H, W)`` array."""
        return STORAGES[cls.storage](path)

    @classmethod
    def suspicion(cls, ids: np.ndarray, split: str) -> str | None:
        """Why a label map of known ids is nevertheless no label map of this data set, and what to do; else ``None``."""
        return None

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Whether the folder is laid out like this data set."""
        return any(folder.is_dir() for folder in cls.all_folders(root))

    @classmethod
    def all_folders(cls, root: Path) -> tuple[Path, ...]:
        """The folders of images and of label maps of all splits, each once."""
        return tuple(dict.fromkeys(folder for split in cls.splits for folder in cls.folders(root, split)))

    @classmethod
    def strays(cls, root: Path) -> list[Path]:
        """Files with the names of images or label maps in places where no split looks for them."""
        tops = {root / folder.relative_to(root).parts[0] for folder in cls.all_folders(root)}
        found = {file for top in tops for file in top.rglob("*.png") if not file.name.startswith(".")}
        known = {file for split in cls.splits for pair in cls.list_pairs(root, split) for file in pair.files.values()}
        return sorted(found - known)

    @classmethod
    def available_splits(cls, root: Path | str) -> tuple[str, ...]:
        """The splits of which the folder holds at least one picture."""
        return tuple(split for split in cls.splits if cls.list_pairs(Path(root), split))

    @classmethod
    def unknown_ids(cls, ids: np.ndarray) -> list[int]:
        """The stored numbers in ``ids`` that the data set does not define, sorted."""
        known = {_stored(value) for value in cls.ids}
        return [int(value) for value in np.unique(ids) if int(value) not in known]

    @classmethod
    def read_label(cls, path: Path) -> np.ndarray:
        """A label map as trainIds, uint8 ``(H, W)``; raises :class:`BadFileError` on an unknown id."""
        table = np.full(65536, _UNKNOWN, dtype=np.uint8)
        for value, train_id in cls.ids.items():
            table[_stored(value)] = train_id
        ids = cls.read_ids(path)
        train_ids = table[ids]
        if (train_ids == _UNKNOWN).any():
            raise BadFileError(path, unknown_ids_reason(cls, cls.unknown_ids(ids)))
        return train_ids

    @property
    def labelled(self) -> bool:
        """Whether the pictures have label maps. Where not, labels are ignored (255) throughout."""
        return all(pair.label is not None for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        image = read_image(pair.image, upright=self.upright)
        label = np.full(image.shape[:2], IGNORE, np.uint8) if pair.label is None else self.read_label(pair.label)
        if image.shape[:2] != label.shape:
            raise BadFileError(pair.label, size_reason(label.shape, image.shape[:2]))
        return Sample(resize_image(image, self.size), resize_labels(label, self.size), pair.name)

    def fingerprint(self) -> dict:
        """Data set, split, size, and a digest of every file's relative name and length in bytes."""
        digest = hashlib.sha256()
        for file in sorted(file for pair in self.pairs for file in pair.files.values()):
            length = file.stat().st_size if self.lengths is None else self.lengths[file]
            digest.update(f"{file.relative_to(self.root).as_posix()}\0{length}\n".encode())
        return {
            "dataset": self.name,
            "split": self.split,
            "size": None if self.size is None else list(self.size),
            "pairs": len(self.pairs),
            "files": digest.hexdigest(),
        }


def _stored(value: int) -> int:
    """The number on disk of an id: −1 is 255 in eight bits."""
    return value if value >= 0 else value + 256


def read_origin(root: Path) -> dict | None:
    """What labkit noted when it wrote this folder itself; ``None`` for anybody else's."""
    try:
        return json.loads((root / ORIGIN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadFileError(root / ORIGIN, f"cannot be read ({error}); export the folder again") from error


def size_reason(label: tuple[int, ...], image: tuple[int, ...], advice: str = "") -> str:
    """Why a label map of ``label`` = (H, W) does not fit its image, and what to do, which ``advice`` may replace."""
    sizes = f"the label map is {label[1]}×{label[0]} but its image is {image[1]}×{image[0]}"
    return f"{sizes}; {advice or 'replace the pair from the original, or remove both files'}"


def unknown_ids_reason(dataset: type[PairedDataset], ids: list[int]) -> str:
    """Why ``ids`` cannot be labels of ``dataset``, and what to do."""
    known = sorted(dataset.ids)
    shown = ", ".join(map(str, ids[:8])) + (", …" if len(ids) > 8 else "")
    return (
        f"stores the {'ids' if len(ids) > 1 else 'id'} {shown}, but {dataset.name}'s go from {known[0]} to "
        f"{known[-1]}; take the label map from the original archive, or name the right data set"
    )

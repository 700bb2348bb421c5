"""Translated data sets: what a finished run's generator makes of every picture, in memory or as a folder on disk.

A picture is translated by itself, at its own size, in float32, and rounded to 8 bits. On one device of one machine the
same generator writes the same bytes, so what was interrupted continues where it stopped and ends identical.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from labkit.data import own
from labkit.data.cache import find_source
from labkit.data.dataset import SegmentationDataset
from labkit.data.export import claim, encode_png, export
from labkit.data.formats import ATTRIBUTIONS, KEYS, MINICITY
from labkit.data.gta5 import SPLIT_FILE
from labkit.data.memory import InMemory
from labkit.data.minicity import MiniCity
from labkit.data.pairs import ORIGIN, Pair, PairedDataset, read_bytes, read_image, read_origin, resize_image
from labkit.data.restyle import Restyled, to_uint8
from labkit.data.selection import evenly
from labkit.errors import LabError, UnknownNameError
from labkit.files import write_atomically
from labkit.methods.registry import create_method
from labkit.models.registry import create_model
from labkit.models.weights import load_weights
from labkit.training.devices import choose_device
from labkit.training.method import Method
from labkit.training.runs import Run

log = logging.getLogger(__name__)

GENERATORS = "generators"
"""The network, by its name in a method's ``build``, that translates: an ``nn.ModuleDict`` of both directions."""

DIRECTIONS: dict[str, str] = {"target": "to_target", "source": "to_source"}
"""The generators by the domain whose look they give."""

STRIDE = 4
"""Generators take heights and widths that this number divides."""

GENERATED_FORMATS: dict[str, str] = dict(zip(MINICITY, ("gta5", "synthia", "cityscapes"), strict=True))
"""In whose on-disk format a translated style of MiniCity is written."""

JPEG_QUALITY = 95


def load_generators(run: Run, method: Method | None = None) -> nn.ModuleDict:
    """The generators that a finished run has kept, by the names in :data:`DIRECTIONS`: in evaluation mode, on the CPU.

    Args:
        run: of a method that keeps its generators.
        method: the run's method, where it is one of your own, which no name leads to.

    Raises:
        LabError: the method has no generators, or the run is not finished.
    """
    description = run.description
    named = dict(description["method"])
    method = method or create_method(named.pop("name"), **named)
    if GENERATORS not in method.keeps:
        raise LabError(
            f"run {run.name} was trained with {method.name}, which keeps no generators; train one that translates, "
            "such as cyclegan"
        )
    model = create_model(description["model"]["name"], num_classes=description["model"]["num_classes"])
    generators, path = method.build(model)[GENERATORS], run.network_file(GENERATORS)
    if not path.is_file():
        raise LabError(f"run {run.name} has no {path.name}; it is not finished: run its training again")
    from safetensors.torch import load_file

    load_weights(generators, load_file(path), source=str(path))
    return generators.eval()


@torch.inference_mode()
def translate_images(generator: nn.Module, images: Tensor) -> Tensor:
    """Pictures of any size through a generator that maps [−1, 1] to [−1, 1].

    What is lacking to a multiple of four is mirrored in from the right and lower border, and cut off afterwards.

    Args:
        generator: in evaluation mode.
        images: float32 ``(N, 3, H, W)`` in [0, 1], on the generator's device; sides of 5 pixels or more.

    Returns:
        The same shape, in [0, 1].

    Raises:
        LabError: a smaller picture.
    """
    height, width = images.shape[-2:]
    if min(height, width) <= STRIDE:  # the generators need two values a side at a quarter of the size
        raise LabError(
            f"a picture of {height}×{width} is too small to translate; {STRIDE + 1} pixels a side are needed"
        )
    padded = F.pad(2 * images - 1, (0, -width % STRIDE, 0, -height % STRIDE), mode="reflect")
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        return (generator(padded)[..., :height, :width] + 1) / 2


def translated(dataset: SegmentationDataset, generator: nn.Module, name: str, made_by: dict | None = None) -> Restyled:
    """A data set whose pictures are translated whenever they are asked for.

    Args:
        dataset: any.
        generator: in evaluation mode, on any device.
        name: of the translated data set, as a reader should see it beside a number.
        made_by: what tells this generator from others, for the fingerprint; a digest of its weights by default.
    """
    device = next(generator.parameters()).device
    made_by = made_by or {"generator": digest(generator)}
    return Restyled(dataset, lambda picture, _: translate_images(generator, picture.to(device)), name, made_by)


def translated_in_memory(dataset: SegmentationDataset, run: Run, device: str = "auto") -> InMemory:
    """A data set as a finished run's generator gives it the target's look; each picture is translated once, and kept.

    Args:
        dataset: any, small enough for memory.
        run: see :func:`load_generators`.
        device: as for :func:`labkit.training.devices.choose_device`.

    Raises:
        LabError: as :func:`load_generators`.
    """
    generator = load_generators(run)[DIRECTIONS["target"]].to(choose_device(device))
    return InMemory(translated(dataset, generator, f"{dataset.name}, translated"))


def digest(generator: nn.Module) -> str:
    """SHA-256 (hex) of a generator's weights."""
    sha = hashlib.sha256()
    for key, value in generator.state_dict().items():
        sha.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class Translation:
    """What :func:`translate` wrote: a data set of ``pictures`` in ``format`` (a reader's key), named ``dataset``."""

    folder: Path
    dataset: str
    format: str
    pictures: int


def translate(
    run: Run,
    source: str,
    out: Path | str,
    *,
    split: str | None = None,
    count: int | None = None,
    size: tuple[int, int] | None = None,
    towards: str = "target",
    device: str = "auto",
    root: Path | None = None,
    method: Method | None = None,
    progress: Callable[[int, int], None] | None = None,
    wait: bool = False,
) -> Translation:
    """Write a data set as a run's generator translates it, in its own on-disk format; labels stay as they are.

    A style of MiniCity is drawn, and written as ``labkit data make`` writes it: ``minicity-game`` in GTA5's format,
    ``toon`` in SYNTHIA's, ``real`` in Cityscapes'. A data set on disk keeps its folders and file names; its label maps
    are copied byte by byte, GTA5's ``split.mat`` and a ``labkit-dataset.toml`` too. PNG stays PNG; a JPEG is written
    anew with quality 95.

    Interrupted, the same call continues: files appear only when they are complete. A second one in the same folder is
    refused while the first is at work.

    Args:
        run: see :func:`load_generators`.
        source: a name or a folder, as for :func:`labkit.data.catalog.open_dataset`, but no cache.
        out: the folder to write, new or begun by the same call.
        split: only this one. By default all of a data set on disk, so that what is written divides as the original
            does; of MiniCity ``"train"``.
        count: at most so many pictures, spread evenly; of MiniCity how many are drawn, by default as many as the run
            was trained on.
        size: (H, W) in pixels of what is written; also labels are then resized (nearest). By default the pictures' own,
            of MiniCity the run's. A generator has learned textures at one scale: that of its training is the best.
        towards: ``"target"`` or ``"source"``: whose look is given.
        device: as for :func:`labkit.training.devices.choose_device`.
        root: folder of data sets, for a name.
        method: see :func:`load_generators`.
        progress: called after each picture with done and total.
        wait: whether to wait for another process that writes the folder, instead of being refused.

    Raises:
        UnknownNameError: no such data set, split or direction.
        LabError: the run has no generators; the folder holds something else; a picture cannot be read; …
    """
    if towards not in DIRECTIONS:
        raise UnknownNameError("direction of translation", towards, DIRECTIONS)
    generator = load_generators(run, method)[DIRECTIONS[towards]]
    made_by = {"run": run.name, "towards": towards, "generator": digest(generator)}
    work = _Work(
        generator.to(choose_device(device)), f"translated to the {towards} by {run.name}", made_by, Path(out), wait
    )
    progress = progress or (lambda done, total: None)
    if source in MINICITY:
        known = run.generated_like(source, split or "train")
        amount = count or known.get("count") or 200
        drawn = MiniCity(
            source.removeprefix("minicity-"), split or "train", size or run.size, amount, known.get("seed", 0)
        )
        return work.draw(drawn, GENERATED_FORMATS[source], progress)
    reader, folder = find_source(source, root)
    return work.copy(reader, folder, split, count, size, progress)


@dataclass(frozen=True)
class _Work:
    """A generator, what it is called, and the folder that its pictures go to."""

    generator: nn.Module
    title: str
    made_by: dict
    out: Path
    wait: bool

    def draw(self, scenes: MiniCity, format: str, progress) -> Translation:
        """Write translated scenes as any data set is exported."""
        pictures = translated(scenes, self.generator, f"{scenes.name} {self.title}", self.made_by)
        with _alone(self.out, self.wait):
            written = export(pictures, self.out, format, progress)
        return Translation(self.out, KEYS[format].full_name(self.out), format, written)

    def copy(self, reader: type[PairedDataset], root: Path, split, count, size, progress) -> Translation:
        """Write a folder anew, with other pictures."""
        if root.resolve() in (self.out.resolve(), *self.out.resolve().parents):
            raise LabError(f"{self.out}: lies in the data set that is read, {root}; choose a folder beside it")
        datasets = [reader(root, one) for one in ([split] if split else reader.available_splits(root))]
        if not datasets:
            raise LabError(f"{root}: holds no pictures; expected {reader.layout}")
        pairs = list({pair.image: pair for dataset in datasets for pair in dataset.pairs}.values())
        chosen = [pairs[i] for i in evenly(len(pairs), count or len(pairs))]
        name = (read_origin(root) or {"name": datasets[0].name})["name"]
        content = {
            "splits": [dataset.fingerprint() for dataset in datasets],
            "count": count,
            "size": size and list(size),
            "restyled": self.made_by,
        }
        claim(self.out, f"{name} {self.title}", reader.key, split or "all", content)
        if reader.key in ATTRIBUTIONS:  # translated photographs are still somebody's photographs
            log.info("%s", ATTRIBUTIONS[reader.key])
        with _alone(self.out, self.wait):
            for extra in (SPLIT_FILE, own.FILE):
                if (root / extra).is_file():
                    write_atomically(self.out / extra, read_bytes(root / extra))
            if count is None:
                self._copy_left_out(datasets, pairs)
            for done, pair in enumerate(chosen, 1):
                self._copy_pair(reader, root, pair, size)
                progress(done, len(chosen))
        return Translation(self.out, reader.full_name(self.out), reader.key, len(chosen))

    def _copy_left_out(self, datasets: list[PairedDataset], pairs: list[Pair]) -> None:
        """Pairs that the reader leaves out, as they are: a split that counts pictures counts these, too."""
        used = {pair.image for pair in pairs}
        left_out = [pair for one in datasets for pair in one.list_pairs(one.root, one.split) if pair.image not in used]
        for file in (file for pair in left_out for file in pair.files.values()):
            write_atomically(self.out / file.relative_to(datasets[0].root), read_bytes(file))

    def _copy_pair(self, reader: type[PairedDataset], root: Path, pair: Pair, size) -> None:
        image = self.out / pair.image.relative_to(root)
        label = pair.label and self.out / pair.label.relative_to(root)
        if image.exists() and (label is None or label.exists()):
            return
        picture = (
            torch.from_numpy(resize_image(read_image(pair.image, upright=reader.upright), size))
            .permute(2, 0, 1)[None]
            .float()
            / 255
        )
        device = next(self.generator.parameters()).device
        pixels = to_uint8(translate_images(self.generator, picture.to(device)))[0].permute(1, 2, 0).cpu().numpy()
        if label is not None:
            stored = read_bytes(pair.label)
            write_atomically(label, stored if size is None else _resized_label(reader, pair.label, size))
        write_atomically(image, _encode(pixels, image.suffix))


@contextmanager
def _alone(out: Path, wait: bool) -> Iterator[None]:
    """Keep others out of a folder; what a killed process left half written is removed."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / ".lock")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise LabError(f"{out}: another `labkit translate` is at work here; wait until it is done") from None
    except OSError as error:
        raise LabError(f"{out}: cannot be written ({error.strerror}); choose another folder") from None
    try:
        if (out / ORIGIN).is_file():  # in a folder of ours alone
            for leftover in out.rglob(".*.tmp"):
                leftover.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
        if not (out / ORIGIN).is_file():  # the folder was refused: leave nothing in it
            (out / ".lock").unlink(missing_ok=True)


def _encode(pixels: np.ndarray, suffix: str) -> bytes:
    picture = Image.fromarray(pixels)
    if suffix.lower() == ".png":
        return encode_png(picture)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _resized_label(reader: type[PairedDataset], path: Path, size: tuple[int, int]) -> bytes:
    """A label map at another size, with the ids, the depth and the palette that it has."""
    ids = reader.read_ids(path)  # raises on what is no label map
    if reader.storage == "8-bit":
        with Image.open(path) as picture:
            return encode_png(picture.resize(size[::-1], Image.Resampling.NEAREST))
    import cv2  # Pillow has no 16-bit colour

    rows, columns = (_nearest(before, after) for before, after in zip(ids.shape, size, strict=True))
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return cv2.imencode(".png", np.ascontiguousarray(stored[rows][:, columns]))[1].tobytes()


def _nearest(before: int, after: int) -> np.ndarray:
    """Which of ``before`` pixels Pillow takes for each of ``after``."""
    places = Image.fromarray(np.arange(before, dtype=np.int32)[None])
    return np.array(places.resize((after, 1), Image.Resampling.NEAREST))[0]

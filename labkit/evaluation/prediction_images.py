"""A network's answer for one photograph, as pictures: colours, overlay, entropy, and what it is certain of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from labkit.data.dataset import Sample
from labkit.data.export import encode_png
from labkit.data.pairs import read_image, resize_image
from labkit.data.transforms import to_batch
from labkit.errors import LabError
from labkit.evaluation.predict import predict_logits
from labkit.files import write_atomically
from labkit.labels import colorize

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Of the files that count as pictures in a folder."""


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """The pictures that ``paths`` name: a file itself, of a folder all pictures directly in it, by name.

    Raises:
        LabError: a path that is not there, a folder without pictures, or two pictures of one name, whose predictions
            would overwrite each other.
    """
    pictures: list[Path] = []
    for path in paths:
        inside = sorted(file for file in path.glob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise LabError(f"{path}: no pictures in this folder ({', '.join(SUFFIXES)})")
        pictures += inside
    if missing := [path for path in pictures if not path.is_file()]:
        raise LabError(f"{missing[0]}: no such picture")
    pictures = list(dict.fromkeys(pictures))
    name, times = Counter(path.stem for path in pictures).most_common(1)[0]
    if times > 1:
        same = ", ".join(str(path) for path in pictures if path.stem == name)
        raise LabError(f"{same}: their predictions would have the same name; predict them into different folders")
    return pictures


def predict_image(model: nn.Module, image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Predict a picture of any size with a network that was trained at ``size``.

    The picture is resized to ``size``, and the logits back to the picture's size (bilinear).

    Args:
        model: in any mode, on any device.
        image: uint8 ``(H, W, 3)``.
        size: height and width that the network sees.

    Returns:
        uint8 ``(H, W)`` trainIds, and float32 ``(H, W)``: the entropy of the prediction over its maximum log C, 0–1.
    """
    device = next(model.parameters()).device
    small = Sample(resize_image(image, size), np.zeros(size, np.uint8), "")
    logits = predict_logits(model, to_batch([small]).images.to(device)).float()
    labels, entropy = _upsampled(logits, image.shape[:2])
    return labels.cpu().numpy(), entropy.cpu().numpy()


@torch.inference_mode()
def _upsampled(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Class and normalised entropy at ``size`` from logits ``(1, C, h, w)``.

    One class at a time, because the logits of a 12-megapixel photograph, all at its size, take 0.9 GB and what follows
    from them four times that. With m the largest logit so far, s = Σ exp(z − m) and t = Σ z exp(z − m) are kept; then
    the entropy is log s + m − t / s.
    """
    best = s = t = labels = None
    for number in range(logits.shape[1]):
        z = F.interpolate(logits[:, number : number + 1], size, mode="bilinear", align_corners=False)[0, 0]
        if best is None:
            best, s, t = z, torch.ones_like(z), z.clone()
            labels = torch.zeros_like(z, dtype=torch.uint8)
            continue
        labels[z > best] = number
        larger = torch.maximum(best, z)
        before, now = (best - larger).exp(), (z - larger).exp()
        s, t, best = s * before + now, t * before + z * now, larger
    entropy = (s.log() + best - t / s) / math.log(logits.shape[1])
    return labels, entropy.clamp(0, 1)


def draw_prediction(
    image: np.ndarray, labels: np.ndarray, entropy: np.ndarray, uncertain: float = 0.5
) -> dict[str, np.ndarray]:
    """A prediction as five pictures of the photograph's size, uint8, by kind.

    ``trainIds`` (8-bit grey), ``color`` (Cityscapes' colours), ``overlay`` (half colour, half photograph), ``entropy``
    (8-bit grey, white = log C), ``certain`` (colours, with pixels of entropy above ``uncertain`` · log C black).

    Args:
        image: uint8 ``(H, W, 3)``.
        labels, entropy: as :func:`predict_image` returns them.
        uncertain: share of the largest entropy above which a pixel is blacked out.
    """
    color = colorize(labels)
    return {
        "trainIds": labels,
        "color": color,
        "overlay": ((image.astype(np.uint16) + color) // 2).astype(np.uint8),
        "entropy": np.round(entropy * 255).astype(np.uint8),
        "certain": np.where((entropy <= uncertain)[..., None], color, 0).astype(np.uint8),
    }


def write_prediction(
    model: nn.Module, path: Path, out: Path, size: tuple[int, int], *, uncertain: float = 0.5
) -> dict[str, str]:
    """Predict the picture at ``path`` and write :func:`draw_prediction`'s into ``out``, as ``<name>_<kind>.png``.

    Returns:
        The files by kind.

    Raises:
        LabError: the picture cannot be read, or the folder cannot be written.
    """
    image = read_image(path, upright=True)
    written = {}
    for kind, pixels in draw_prediction(image, *predict_image(model, image, size), uncertain).items():
        file = out / f"{path.stem}_{kind}.png"
        write_atomically(file, encode_png(Image.fromarray(pixels)))
        written[kind] = str(file)
    return written

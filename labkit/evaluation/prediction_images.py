"""A network's answer for one photograph, as pictures: colours, overlay, entropy, and what it is certain of."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from labkit.data.dataset import Sample
from labkit.data.pairs import read_image, resize_image
from labkit.data.transforms import to_batch
from labkit.errors import LabError
from labkit.evaluation.predict import predict_logits
from labkit.files import write_atomically
from labkit.labels import colorize


def predict_image(model: nn.Module, image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Predict a picture of any size with a network that was trained at ``size``.

    The picture is resized to ``size``, and the logits back to the picture's size.

    Args:
        model: in any mode, on any device.
        image: uint8 ``(H, W, 3)``.
        size: height and width that the network sees.

    Returns:
        uint8 ``(H, W)`` trainIds, and float32 ``(H, W)``: the entropy of the prediction over its maximum log C, 0–1.
    """
    device = next(model.parameters()).device
    small = resize_image(image, size)
    batch = to_batch([Sample(small, np.zeros(size, np.uint8), "")]).images.to(device)
    logits = F.interpolate(predict_logits(model, batch).float(), image.shape[:2], mode="bilinear", align_corners=False)
    log_p = logits.log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1) / math.log(logits.shape[1])
    return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy(), entropy[0].clamp(0, 1).cpu().numpy()


def write_prediction(
    model: nn.Module, path: Path, out: Path, size: tuple[int, int], *, uncertain: float = 0.5
) -> dict[str, str]:
    """Predict the picture at ``path`` and write five PNGs of its size into ``out``.

    ``…_trainIds`` (8-bit grey), ``…_color`` (Cityscapes colours), ``…_overlay`` (half colour, half picture), ``…_entropy``
    (8-bit grey, white = log C), ``…_certain`` (colours, with pixels of entropy above ``uncertain`` · log C black).

    Returns:
        The paths by kind.

    Raises:
        LabError: the picture cannot be read.
    """
    from PIL import Image

    if not path.is_file():
        raise LabError(f"{path}: no such picture")
    image = read_image(path)
    labels, entropy = predict_image(model, image, size)
    color = colorize(labels)
    pictures = {
        "trainIds": labels,
        "color": color,
        "overlay": ((image.astype(np.uint16) + color) // 2).astype(np.uint8),
        "entropy": np.round(entropy * 255).astype(np.uint8),
        "certain": np.where((entropy <= uncertain)[..., None], color, 0).astype(np.uint8),
    }
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for kind, pixels in pictures.items():
        file = out / f"{path.stem}_{kind}.png"
        write_atomically(file, _png(Image.fromarray(pixels)))
        written[kind] = str(file)
    return written


def _png(picture) -> bytes:
    import io

    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()

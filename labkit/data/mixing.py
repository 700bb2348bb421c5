"""Mixing pictures class by class: ClassMix, long-tail pasting and boundary weights (yan2022 §III-C).

Functions of whole batches on their device. Labels are trainIds, uint8 or int64, 255 where a pixel is ignored. Random
numbers are drawn on the CPU, one row for each picture, from a generator that the caller owns or, where it is ``None``,
from torch's global one. Nothing waits for the device but :func:`selection_probabilities`, whose answer is on the CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.data.transforms import to_device
from labkit.errors import LabError
from labkit.labels import NUM_CLASSES


def half_of_classes(labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The mixing mask I_m: the pixels of half of the classes of each picture, chosen at random.

    Of n classes that a picture has, ⌈n/2⌉ are chosen. The paper says "half" and leaves odd numbers open; of its two
    forerunners' public code, ClassMix's (Olsson et al., WACV 2021) rounds down and DACS's (Tranheden et al., WACV 2021)
    up. Ignored pixels are never chosen.

    Args:
        labels: ``(N, H, W)``.
        generator: a CPU generator; every call takes the same number of draws for each picture.

    Returns:
        Bool ``(N, H, W)``.
    """
    draws = to_device(torch.rand(len(labels), NUM_CLASSES, generator=generator), labels.device)
    columns = labels.long().clamp(max=NUM_CLASSES).flatten(1)  # one more, for what is ignored
    present = torch.zeros(len(labels), NUM_CLASSES + 1, dtype=torch.bool, device=labels.device)
    present = present.scatter(1, columns, True)[:, :NUM_CLASSES]
    place = draws.masked_fill(~present, 2).argsort(dim=1).argsort(dim=1)  # present ones first, in the draws' order
    chosen = F.pad(place < (present.sum(dim=1, keepdim=True) + 1) // 2, (0, 1))
    return chosen.gather(1, columns).reshape(labels.shape)


def paste(
    images: Tensor,
    labels: Tensor,
    other_images: Tensor,
    other_labels: Tensor,
    classes: Sequence[Collection[int]],
) -> tuple[Tensor, Tensor]:
    """Long-tail class pasting: of each other picture the pixels of the chosen classes, where they lie, on this one.

    Args:
        images, other_images: ``(N, K, H, W)``.
        labels, other_labels: ``(N, H, W)``.
        classes: for each picture the trainIds that are taken from the other; none leaves it as it is.

    Returns:
        Images and labels of the same shapes; the given ones are not changed.

    Raises:
        LabError: shapes that do not fit, or something else than trainIds.
    """
    _check_shapes(labels, images, other_images, other_labels)
    if len(classes) != len(images):
        raise LabError(f"pasting: {len(images)} pictures, but classes for {len(classes)}; give a collection for each")
    chosen = torch.zeros(len(images), NUM_CLASSES + 1, dtype=torch.bool)
    for row, train_ids in zip(chosen, classes, strict=True):
        for train_id in train_ids:
            if not 0 <= train_id < NUM_CLASSES:
                raise LabError(f"pasting: {train_id} is no class; expected trainIds from 0 to {NUM_CLASSES - 1}")
            row[train_id] = True
    columns = other_labels.long().clamp(max=NUM_CLASSES).flatten(1)
    mask = to_device(chosen, labels.device).gather(1, columns).reshape(labels.shape)
    return mix(mask, other_images, other_labels, images, labels)


def mix(
    mask: Tensor, source_images: Tensor, source_labels: Tensor, target_images: Tensor, pseudo_labels: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Cross-domain mixing, eq. (10): the source inside of the mask, the target and its pseudo-labels outside.

    .. math:: x_m = I_m x_{s'} + (1 - I_m) x_t, \qquad y_m = I_m y_{s'} + (1 - I_m) \tilde y_t

    Args:
        mask: bool ``(N, H, W)``.
        source_images, target_images: ``(N, K, H, W)``.
        source_labels, pseudo_labels: ``(N, H, W)``.

    Raises:
        LabError: shapes that do not fit.
    """
    _check_shapes(mask, source_images, source_labels, target_images, pseudo_labels)
    images = torch.where(mask[:, None], source_images, target_images)
    return images, torch.where(mask, source_labels, pseudo_labels)


def boundary_weights(mask: Tensor, size: int = 7, weight: float = 2.0) -> Tensor:
    """The weights W_m of eq. (11): more where the network sees both domains at once.

    The paper weights "the pixels within the 7 × 7 field of the boundary point". A boundary point is here a pixel of
    which one of the four neighbours lies on the other side of the mask; there are such on both sides. The picture's own
    border is no boundary.

    Args:
        mask: bool ``(N, H, W)``.
        size: side of the square field around a boundary point, odd, in pixels.
        weight: inside of a field.

    Returns:
        Float32 ``(N, H, W)``: ``weight`` where a boundary point's field reaches, else 1.

    Raises:
        LabError: a size that is not odd and positive.
    """
    if size < 1 or size % 2 == 0:
        raise LabError(f"boundary weights: the field is {size} pixels wide; expected an odd number, such as 7")
    boundary = torch.zeros_like(mask)
    beside, above = mask[:, :, 1:] != mask[:, :, :-1], mask[:, 1:] != mask[:, :-1]
    boundary[:, :, 1:] |= beside
    boundary[:, :, :-1] |= beside
    boundary[:, 1:] |= above
    boundary[:, :-1] |= above
    field, reach = boundary.float().unsqueeze(1), size // 2
    field = F.max_pool2d(field, (size, 1), stride=1, padding=(reach, 0))
    field = F.max_pool2d(field, (1, size), stride=1, padding=(0, reach))
    return 1 + (weight - 1) * field.squeeze(1)


def selection_probabilities(thresholds: Tensor, available: Collection[int]) -> Tensor:
    r"""How often each class is chosen for long-tail pasting: more often the lower its dynamic threshold α.

    .. math:: P_c = \frac{e^{1/\alpha_c}}{\sum_k e^{1/\alpha_k}}

    over the available classes. The paper (§III-C) uses "the inverse of the dynamic threshold α after softmax". Ours is
    the softmax of the inverses. It could also be the inverses of the softmax, divided by their sum, which is
    softmax(−α): nearly uniform, because thresholds lie between 0 and 1, so that no class is chosen more than e ≈ 2.7
    times as often as another. For α = 0.9 and 0.3 ours chooses the second 9.2 times as often, the other reading 1.8
    times; with 0.1 in place of 0.3 it is 7,250 and 2.2 times.

    Args:
        thresholds: float ``(C,)`` in [0, 1], of each trainId.
        available: the trainIds that may be chosen, :attr:`labkit.data.class_database.ClassDatabase.classes`.

    Returns:
        Float32 ``(C,)`` on the CPU, the sum 1; 0 for classes that are not available.

    Raises:
        LabError: no class is available, or one that has no threshold.
    """
    thresholds = thresholds.detach().float().cpu()
    classes = sorted({int(train_id) for train_id in available})
    if not classes or not 0 <= classes[0] <= classes[-1] < len(thresholds):
        raise LabError(f"pasting: classes {classes} are to be chosen from; expected some of 0 to {len(thresholds) - 1}")
    probabilities = torch.zeros_like(thresholds)
    # A threshold of 0 would have an infinite inverse.
    probabilities[classes] = (1 / thresholds[classes].clamp(min=1e-6)).softmax(dim=0)
    return probabilities


def _check_shapes(labels: Tensor, *others: Tensor) -> None:
    shapes = [tuple(other.shape) for other in others]
    if any((shape[0], *shape[-2:]) != tuple(labels.shape) for shape in shapes):
        raise LabError(f"mixing: labels or mask {tuple(labels.shape)} beside {shapes}; cut all to one size first")

"""Splits of data sets that come without one, or that a paper splits in its own way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from labkit.data.pairs import Pair

LODA_SEED = "loda2025"
LODA_SHARES = {"train": 60, "val": 10, "test": 30}
"""Percent of the pictures in each part (loda2025 §2.1)."""
LODA_TRAINED = 12_500
"""Of GTA5's train part, so many pictures are used (loda2025 §2.1.1)."""


def hold_out(pairs: list[Pair], split: str) -> list[Pair]:
    """Split a set that has no split of its own: in the order of names every tenth pair is ``val``, the rest ``train``.

    ``all`` is both, ``test`` is empty.
    """
    if split == "all":
        return pairs
    if split == "test":
        return []
    return [pair for i, pair in enumerate(pairs) if (i % 10 == 9) == (split == "val")]


def loda_split(pairs: Sequence[Pair], split: str, most: int | None = None) -> list[Pair]:
    """One part of the 60/10/30 split of loda2025 §2.1, sorted by name.

    The paper does not say in which order it divides. Ours: by SHA-256 of ``loda2025/NAME``, which is random, the same
    on every machine, and the same for the pictures that are there when some are missing. Of n pictures, ⌊0.6 n⌋ train,
    ⌊0.1 n⌋ validate, the rest test.

    Args:
        pairs: the whole set.
        split: ``"train"``, ``"val"`` or ``"test"``.
        most: of the train part only the first so many in that order.
    """
    ordered = sorted(pairs, key=lambda pair: hashlib.sha256(f"{LODA_SEED}/{pair.name}".encode()).digest())
    first = len(ordered) * LODA_SHARES["train"] // 100
    second = first + len(ordered) * LODA_SHARES["val"] // 100
    part = {"train": ordered[:first][:most], "val": ordered[first:second], "test": ordered[second:]}[split]
    return sorted(part, key=lambda pair: pair.name)

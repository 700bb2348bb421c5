"""Randomness that is the same on every machine: a counter-based integer hash, and textures made of it.

NumPy does not promise that its generators' streams stay the same between versions, so nothing here uses them.
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) is a bijection of 64-bit integers whose outputs look random;
draw number ``n`` of a stream is the mixed value of ``key + n · golden ratio``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

TILE = 512
"""Side of a noise tile in cells; a power of two, so that wrapping round is a bitwise and."""


def mix(value: int) -> int:
    """SplitMix64's finaliser: one 64-bit integer to another, every bit depending on every bit."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * _MIX_2) & _MASK
    return value ^ (value >> 31)


def key_of(*parts: int | str) -> int:
    """A 64-bit key that depends on every part and on their order."""
    key = 0
    for part in parts:
        # Text is prefixed, and an integer is hashed by its decimal digits, so 1 and "1" are different parts.
        data = (f"s{part}" if isinstance(part, str) else f"i{int(part)}").encode()
        key = mix(key + _GOLDEN * (len(data) + 1))
        for byte in data:
            key = mix(key ^ byte)
    return key


class Dice:
    """A stream of draws that is a pure function of its key."""

    def __init__(self, *key: int | str):
        self.key = key_of(*key)
        self._state = self.key

    def fork(self, *parts: int | str) -> Dice:
        """An independent stream: drawing more from one leaves the other as it is."""
        return Dice(str(self.key), *parts)

    def bits(self) -> int:
        """64 random bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        return mix(self._state)

    def unit(self) -> float:
        """A number in [0, 1), a multiple of 2⁻⁵³."""
        return (self.bits() >> 11) * (1.0 / (1 << 53))

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """An integer from low to high, both possible."""
        return low + self.bits() % (high - low + 1)

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.unit() < probability

    def count(self, mean: float) -> int:
        """A count between 0 and about twice its mean."""
        return int(2.0 * mean * self.unit() + self.unit())

    def pick(self, items):
        """One of the items, each as likely."""
        return items[self.bits() % len(items)]

    def weighted(self, weights: dict[str, float]) -> str:
        """One of the keys, in proportion to its weight."""
        total = 0.0
        for weight in weights.values():  # sum() rounds differently since Python 3.12
            total += weight
        left = self.unit() * total
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                return name
        return name


def hash_grid(key: int, height: int, width: int) -> np.ndarray:
    """uint64 ``(height, width)``: random bits in every cell, a pure function of key, row and column."""
    rows = np.arange(height, dtype=np.uint64)[:, None] * np.uint64(_MIX_1)
    cols = np.arange(width, dtype=np.uint64)[None, :] * np.uint64(_GOLDEN)
    value = rows + cols + np.uint64(key)  # wraps round at 2⁶⁴, as it should
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_MIX_1)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_MIX_2)
    return value ^ (value >> np.uint64(31))


def _stretch(coarse: np.ndarray, factor: int) -> np.ndarray:
    """Linear interpolation between cells along the first axis, wrapping round, in integers."""
    following = np.roll(coarse, -1, axis=0)
    steps = np.arange(factor, dtype=np.int64)[None, :, None]
    fine = (coarse[:, None, :] * (factor - steps) + following[:, None, :] * steps) // factor
    return fine.reshape(-1, coarse.shape[1])


@lru_cache(maxsize=8)
def tile(name: str, largest: int) -> np.ndarray:
    """Value noise, float32 ``(TILE·TILE,)`` in [−1, 1], tiling without a seam.

    Octaves from ``largest`` cells down to one, each half as strong as the one before. Flat, because it is
    read at computed indices.
    """
    total = np.zeros((TILE, TILE), dtype=np.int64)
    cells, weight = largest, 256
    while cells >= 1:
        side = TILE // cells
        coarse = (hash_grid(key_of(name, cells), side, side) >> np.uint64(56)).astype(np.int64) * 256
        total += weight * _stretch(_stretch(coarse, cells).T, cells).T
        cells, weight = cells // 2, weight // 2
    low, high = int(total.min()), int(total.max())
    out = ((total - low) * 2 / (high - low) - 1).astype(np.float32).ravel()
    out.setflags(write=False)
    return out

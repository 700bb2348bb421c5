"""Is one method better than another, or were the pictures and the seeds kind to it? A paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labkit.errors import LabError
from labkit.evaluation.picture_counts import PictureCounts

RESAMPLES = 2000

_AT_ONCE = 256
"""Resamples whose sums are held in memory together."""


class Difference(NamedTuple):
    """What one method has over another, in mIoU as a fraction.

    Attributes:
        difference: over all pictures, the mean over seeds.
        low, high: the percentile interval.
        share_below: share of the resamples whose difference is below 0.
        resampled: the difference in each resample, float64 ``(resamples,)``; NaN where no class was left to score.
    """

    difference: float
    low: float
    high: float
    share_below: float
    resampled: np.ndarray


def paired_bootstrap(
    first: Sequence[PictureCounts],
    second: Sequence[PictureCounts],
    *,
    evaluation: str | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """The mIoU of ``first`` less that of ``second``, and how far chance in pictures and seeds may have moved it.

    A resample draws pictures, as many as there are, with replacement, and seeds of training in the same way, both at
    once and independently (Owen's pigeonhole bootstrap, 2007). The pairing is that both methods, and all seeds, get the
    same pictures, and both methods the same seeds: trainings of one seed share initial weights and the order of the
    pictures. Of each drawn training the mIoU over the drawn pictures is taken, absent classes left out as everywhere;
    the difference is that of the means over the drawn seeds. The interval is the percentiles of these differences.

    With one seed the pictures alone vary: the interval then says nothing about another training. A few seeds, drawn
    from themselves, vary less than new ones would. Where the seeds alone decide, three of them give the interval from
    the smallest to the largest of their differences (one of 27 draws has the smallest three times, more than 2.5 %),
    and all three lie on one side of the truth in a quarter of all cases: it holds the truth with 75 %, not 95.

    Args:
        first, second: the counts of each training, in the same order of seeds, on the same pictures in the same order.
        evaluation: the classes of the mean, a key of :data:`labkit.labels.EVALUATIONS`; by default the data set's own.
        confidence: of the interval, between 0 and 1.
        resamples: how many.
        seed: of the draws; the same seed gives the same numbers.

    Raises:
        LabError: no training, different numbers of trainings or of pictures, or no pictures.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise LabError(f"confidence {confidence} has to lie between 0 and 1, and resamples {resamples} be 1 or more")
    if not first or len(first) != len(second):
        raise LabError(f"{len(first)} and {len(second)} trainings: a pair needs the same seeds of both methods")
    numbers = {len(one) for one in (*first, *second)}
    if len(numbers) > 1 or numbers == {0}:
        raise LabError(
            f"trainings were scored on {sorted(numbers)} pictures: a pair needs the same pictures, at least 1"
        )
    evaluation = evaluation or first[0].evaluation
    pictures, runs = numbers.pop(), len(first)
    counts = np.array([one.over(evaluation) for one in (*first, *second)], dtype=np.float64)  # (2 runs, 2, images, C)

    def differences(times: np.ndarray) -> np.ndarray:
        """For numbers of times that each picture is drawn, ``(B, images)``: ``(B, runs)``."""
        scores = _miou(np.tensordot(times, counts, axes=(1, 2)))
        return scores[:, :runs] - scores[:, runs:]

    generator = np.random.default_rng(seed)
    resampled = np.empty(resamples)
    for start in range(0, resamples, _AT_ONCE):
        part = resampled[start : start + _AT_ONCE]
        times = generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=len(part))
        shares = generator.multinomial(runs, np.full(runs, 1 / runs), size=len(part)) / runs
        part[:] = (differences(times.astype(np.float64)) * shares).sum(axis=1)
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        raise LabError("none of the pictures has a labelled pixel, so there is nothing to compare")
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    total = float(differences(np.ones((1, pictures))).mean())
    return Difference(total, float(low), float(high), float((known < 0).mean()), resampled)


def _miou(sums: np.ndarray) -> np.ndarray:
    """The mean IoU of summed intersections and unions ``(…, 2, C)``, without classes of an empty union; else NaN."""
    intersections, unions = sums[..., 0, :], sums[..., 1, :]
    present = unions > 0
    ratios = np.divide(intersections, unions, out=np.zeros_like(unions), where=present)
    number = present.sum(axis=-1)
    return np.divide(ratios.sum(axis=-1), number, out=np.full(number.shape, np.nan), where=number > 0)

"""Scores of a network on a data set: confusion counts and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.evaluation.confusion import iou, merge_counts
from labkit.labels import CLASS_NAMES, EVALUATIONS


@dataclass(frozen=True)
class Scores:
    """Confusion counts over a data set, with the class set that the data set is scored over.

    Attributes:
        counts: int64 ``(19, 20)``, see :func:`labkit.evaluation.confusion.confusion_counts`.
        images: number of pictures.
        evaluation: key of :data:`labkit.labels.EVALUATIONS` that ``miou`` is the mean over: ``miou`` (19 classes),
            ``miou16``, or ``miou11`` for CamVid, whose classes are merged first.
    """

    counts: np.ndarray
    images: int
    evaluation: str = "miou"

    @property
    def confusion(self) -> np.ndarray:
        """Counts over the data set's own classes, merged as it merges them: int64 ``(C, C)``, rows are the truth."""
        chosen = EVALUATIONS[self.evaluation]
        return merge_counts(self.counts, chosen.merge)[np.ix_(chosen.train_ids, chosen.train_ids)]

    @property
    def iou(self) -> dict[str, float]:
        """IoU by class name, in 0–1, over the data set's classes; NaN for a class in neither truth nor prediction."""
        chosen = EVALUATIONS[self.evaluation]
        values = iou(merge_counts(self.counts, chosen.merge))
        return {CLASS_NAMES[i]: float(values[i]) for i in chosen.train_ids}

    @property
    def miou(self) -> float:
        """The mean over the data set's classes, absent ones left out; NaN if nothing was scored."""
        return _mean(list(self.iou.values()))

    def over(self, evaluation: str) -> float | None:
        """The mean over another class set; None where it makes no sense (CamVid's labels against the others')."""
        merged = "miou11"
        if evaluation == self.evaluation:
            return self.miou
        if merged in (evaluation, self.evaluation):
            return None
        values = iou(self.counts)
        return _mean([values[i] for i in EVALUATIONS[evaluation].train_ids])

    def as_json(self) -> dict[str, Any]:
        """The JSON of ``labkit evaluate`` and ``labkit score``; NaN becomes null."""
        return {
            "miou": _null(self.miou),
            **{key: _null(self.over(key)) for key in ("miou16", "miou13", "miou11")},
            "iou": {name: _null(value) for name, value in self.iou.items()},
            "confusion": self.counts.tolist(),
            "confusion_rows": list(CLASS_NAMES),
            "confusion_columns": [*CLASS_NAMES, "void"],
            "images": self.images,
            "evaluation": self.evaluation,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Scores:
        """The scores that :meth:`as_json` described."""
        return cls(np.array(value["confusion"], dtype=np.int64), value["images"], value["evaluation"])


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _null(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value

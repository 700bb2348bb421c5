"""What every data set is to the rest of the laboratory: named pairs of an image and a map of trainIds."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np


class Sample(NamedTuple):
    """One picture with its ground truth.

    ``image`` is uint8 ``(H, W, 3)``, RGB. ``label`` is uint8 ``(H, W)``: trainIds 0–18, and 255 where a pixel
    is ignored. ``name`` identifies the picture within its data set (for messages and file names).
    """

    image: np.ndarray
    label: np.ndarray
    name: str


@runtime_checkable
class SegmentationDataset(Protocol):
    """A finite, ordered, reproducible collection of :class:`Sample`.

    Attributes:
        name: the data set's name, as a reader should see it beside a number (``"MiniCity real"``).
        split: ``"train"``, ``"val"`` or ``"test"``.
        evaluation: which classes it is scored over, a key of :data:`labkit.labels.EVALUATIONS`.
    """

    name: str
    split: str
    evaluation: str

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The picture at ``index``, always the same one; raises IndexError past the end."""
        ...

    def fingerprint(self) -> dict:
        """What decides the pixels, as plain JSON: two data sets with equal fingerprints are equal."""
        ...


def labelled(dataset: SegmentationDataset) -> bool:
    """Whether a data set's pictures have labels. One without says ``labelled = False``; all its labels are 255."""
    return getattr(dataset, "labelled", True)

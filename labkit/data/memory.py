"""A data set held in memory, for sets that are small at training size."""

from __future__ import annotations

from labkit.data.dataset import Sample, SegmentationDataset, labelled


class InMemory:
    """Keeps every picture once it has been read: uint8, so 400 pictures of 96×192 take 29 MiB.

    Behaves as the data set it wraps; the arrays are read-only.
    """

    def __init__(self, dataset: SegmentationDataset):
        self.dataset = dataset
        self.name, self.split, self.evaluation = dataset.name, dataset.split, dataset.evaluation
        self.labelled = labelled(dataset)
        self._samples: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        if index not in self._samples:
            sample = self.dataset[index]
            for array in (sample.image, sample.label):
                array.flags.writeable = False  # whoever draws into a picture must not change later trainings
            self._samples[index] = sample
        return self._samples[index]

    def fingerprint(self) -> dict:
        """The wrapped data set's own."""
        return self.dataset.fingerprint()

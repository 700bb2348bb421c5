"""A data set held in memory, for sets that are small at training size."""

from __future__ import annotations

import multiprocessing

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
            self._keep(index, self.dataset[index])
        return self._samples[index]

    def _keep(self, index: int, sample: Sample) -> None:
        for array in (sample.image, sample.label):
            array.flags.writeable = False  # whoever draws into a picture must not change later trainings
        self._samples[index] = sample

    def fill(self, processes: int) -> None:
        """Read every picture now, with several processes at once; they are forked, which Linux alone does safely."""
        absent = [index for index in range(len(self)) if index not in self._samples]
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            for index, sample in zip(absent, pool.imap(self.dataset.__getitem__, absent, chunksize=4), strict=True):
                self._keep(index, sample)

    def fingerprint(self) -> dict:
        """The wrapped data set's own."""
        return self.dataset.fingerprint()

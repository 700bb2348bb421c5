"""Scoring 2048×1024 label maps: ``labkit score`` beside the Cityscapes scripts, in one run; one JSON object.

Both read the same files and have to find the same counts. ``decoding_share`` is the part of labkit's time that goes
into reading the PNG files. Both tools take turns, and medians count, as the machine may be busy with something else.
The scripts' own C extension is used where it was built (``referee_extension``), else their NumPy code.

python benchmarks/scoring.py [--pairs N] [--repeats N]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from labkit.data.pairs import read_ids_8bit
from labkit.evaluation import folders
from labkit.labels import CITYSCAPES_LABELS, TRAIN_ID_TO_ID

SIZE = (1024, 2048)


def write_pairs(root: Path, number: int) -> None:
    """Blobs of all ids, and predictions that are wrong in a third of the places, with void ids among them."""
    random = np.random.default_rng(0)
    ids = [label.id for label in CITYSCAPES_LABELS if label.id >= 0]
    for i in range(number):
        truth = random.choice(ids, (64, 128)).astype(np.uint8)
        prediction = np.where(random.random(truth.shape) < 1 / 3, random.choice(ids, truth.shape), truth).astype(
            np.uint8
        )
        for folder, small, name in (("said", prediction, "pred"), ("truth", truth, "gtFine_labelIds")):
            (root / folder).mkdir(exist_ok=True)
            picture = Image.fromarray(small).resize(SIZE[::-1], Image.Resampling.NEAREST)
            picture.save(root / folder / f"ulm_{i:06d}_000019_{name}.png")


def cityscapesscripts(pairs: list[tuple[Path, Path]]) -> tuple[np.ndarray, bool]:
    """The scripts' counts (rows and columns are ids, −1 last), and whether their C extension ran."""
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as referee

    referee.args.evalInstLevelScore = False
    referee.args.evalPixelAccuracy = False
    matrix = referee.generateMatrix(referee.args)
    for said, truth in pairs:
        referee.evaluatePair(str(said), str(truth), matrix, {}, {}, referee.args)
    return np.asarray(matrix), bool(referee.CSUPPORT)


class Decoding:
    """Stands in for labkit's reader of label maps, and sums up the seconds that it takes."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self, path: Path) -> np.ndarray:
        taken, ids = seconds(read_ids_8bit, path)
        self.seconds += taken
        return ids


def seconds(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5, help="of which the medians count")
    arguments = parser.parse_args()
    number = arguments.pairs
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pairs(root, number)
        pairs = folders.match_folders(root / "said", root / "truth", "ids")
        folders.score_folders(root / "said", root / "truth")  # both tools then find the files in the disk's cache
        ours, shares, theirs = [], [], []
        for _ in range(arguments.repeats):
            folders.read_ids_8bit = decoding = Decoding()
            taken, scores = seconds(folders.score_folders, root / "said", root / "truth")
            ours.append(taken)
            shares.append(decoding.seconds / taken)
            with contextlib.redirect_stdout(io.StringIO()):
                taken, (matrix, extension) = seconds(cityscapesscripts, pairs)
            theirs.append(taken)
    ids = TRAIN_ID_TO_ID.astype(int)
    if not np.array_equal(scores.counts[:, :-1], matrix[np.ix_(ids, ids)]):
        raise SystemExit("the counts differ")
    ours, share, theirs = map(statistics.median, (ours, shares, theirs))
    line = {
        "pairs": number,
        "size": list(SIZE),
        "seconds": round(ours, 2),
        "seconds_cityscapesscripts": round(theirs, 2),
        "ratio": round(theirs / ours, 2),
        "decoding_share": round(share, 2),
        "referee_extension": extension,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""Who stands where on a recorded leaderboard: scores, gains over the control, and how safe a place is.

Where the counts of single pictures have been recorded, too, they say what a mean over seeds cannot: how far the choice
of pictures may have moved a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from labkit.errors import UnknownNameError
from labkit.evaluation.bootstrap import Difference, paired_bootstrap
from labkit.evaluation.picture_counts import PictureCounts
from labkit.profiles import pair_named
from labkit.report.counts import load_counts
from labkit.report.curves import about
from labkit.report.results import load_results, provenance, scores_of
from labkit.report.tables import Words

BOARD = "yan2022.leaderboard"
START, CONTINUED, ORACLE = "Source only", "Source only, continued", "Oracle"
REFERENCES = (START, ORACLE)
"""Rows without a place: one has fewer steps, the other the target's labels."""


Board = tuple[dict[str, Any], dict[str, list[PictureCounts]]]
"""A record of the sweep, and the counts of its pictures by row."""


class Standing(NamedTuple):
    """A row of the board.

    Attributes:
        name: of the row.
        place: counted from 1; None for :data:`REFERENCES`.
        scores: mIoU in 0–1, ``(seeds,)``.
        gains: percentage points over :data:`CONTINUED` of the same seed, ``(seeds,)``.
        bootstrap: the same difference over resamples of pictures and seeds, in 0–1; None without counts.
        places: shares of the resamples in which it takes each place, ``(contenders,)``; None without counts or place.
    """

    name: str
    place: int | None
    scores: np.ndarray
    gains: np.ndarray
    bootstrap: Difference | None = None
    places: np.ndarray | None = None


def standings(
    record: Mapping[str, Any], counts: Mapping[str, Sequence[PictureCounts]], measure: str = "last"
) -> list[Standing]:
    """The rows of a recorded board, the best mean first.

    Every row is compared with :data:`CONTINUED` by the same draws of pictures and seeds (the bootstrap draws the same
    for the same seed), so the resampled differences can be set against each other, too: that gives the places.

    Args:
        record: the outcome of the sweep.
        counts: of its pictures, as :func:`load_counts` gives them; may be empty.
        measure: ``last``, or ``last16`` for the mean over SYNTHIA's sixteen classes.

    Raises:
        UnknownNameError: the record lacks the row that all are compared with.
    """
    own = record["report"]["evaluation"]
    scores = {row["name"]: np.array(scores_of(measure, row, own)[0], dtype=float) for row in record["rows"]}
    if CONTINUED not in scores:
        raise UnknownNameError(f"recorded row of {record['sweep']}", CONTINUED, scores)
    over = "miou16" if measure == "last16" and own == "miou" else own
    bootstraps = {name: paired_bootstrap(of, counts[CONTINUED], evaluation=over) for name, of in counts.items()}
    order = sorted(scores, key=lambda name: -scores[name].mean())
    contenders = [name for name in order if name not in REFERENCES]
    shares = place_shares([bootstraps[name].resampled for name in contenders]) if bootstraps else None
    return [
        Standing(
            name,
            contenders.index(name) + 1 if name in contenders else None,
            scores[name],
            100 * (scores[name] - scores[CONTINUED]),
            bootstraps.get(name),
            shares[contenders.index(name)] if shares is not None and name in contenders else None,
        )
        for name in order
    ]


def place_shares(resampled: Sequence[np.ndarray]) -> np.ndarray:
    """How often each of M takes each place, ``(M, M)``: of M differences in each resample the largest is first.

    Equal ones share their places evenly. Resamples in which one is NaN are left out.
    """
    gains = np.stack(resampled)
    gains = gains[:, ~np.isnan(gains).any(axis=0)]
    shares = np.zeros((len(gains), len(gains)))
    for values in gains.T:
        above = (values[:, None] < values).sum(axis=1)
        equal = (values[:, None] == values).sum(axis=1)
        for row, (first, number) in enumerate(zip(above, equal, strict=True)):
            shares[row, first : first + number] += 1 / number
    return shares / gains.shape[1]


def recorded_board(pair: str, profile: str, folder: Path) -> Board | None:
    """The recorded sweep with the counts of its pictures (none where it has none).

    None if it has not been recorded, or not the row that all are compared with; :func:`no_board` says which.
    """
    record = load_results(BOARD, pair, profile, folder)
    if record is None or CONTINUED not in {row["name"] for row in record["rows"]}:
        return None
    return record, load_counts(record, folder)


def no_board(pair: str, profile: str, folder: Path) -> Words:
    """Why there is no board, in a sentence, where :func:`recorded_board` has none."""
    where = f"on {pair_named(pair).title} with the profile {profile}"
    if load_results(BOARD, pair, profile, folder) is None:
        return Words(f"{BOARD} has not been recorded {where}.")
    return Words(f"{BOARD} has been recorded {where} without the row {CONTINUED!r}, with which all are compared.")


def board_title(record: Mapping[str, Any]) -> str:
    """What a figure of the board is about."""
    return about(record).removesuffix(", and each")


def board_origin(record: Mapping[str, Any]) -> str:
    """Where the record comes from; what *best* is stays out, because the board has none."""
    return provenance(record).partition(" *Best")[0]


def interval_text(low: float, high: float) -> str:
    """Both ends of an interval in 0–1, in percentage points."""
    return f"{100 * low:+.1f} … {100 * high:+.1f}"

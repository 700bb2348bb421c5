"""The leaderboard: all methods of the four papers on one network, from one start, with equally many steps and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from labkit.evaluation.bootstrap import RESAMPLES, paired_bootstrap
from labkit.report.counts import load_counts
from labkit.report.results import RESULTS, all_results, mean_of_known, rows_of, scores_of
from labkit.report.spread import spread_text
from labkit.report.standings import (
    BOARD,
    CONTINUED,
    Standing,
    board_origin,
    board_title,
    interval_text,
    no_board,
    recorded_board,
    standings,
)
from labkit.report.sweep_tables import SWEEPS
from labkit.report.tables import Noted, Words

LADDER = (
    (CONTINUED, "Threshold-adaptive focal"),
    ("Threshold-adaptive focal", "Threshold-adaptive focal + CIM"),
    ("Threshold-adaptive focal + CIM", "MMD + focal + CIM"),
    ("Threshold-adaptive focal + CIM", "CycleGAN + focal + CIM"),
    ("CycleGAN + focal + CIM", "Jitter + blur + CycleGAN + focal + CIM"),
)
"""Pairs of rows: the second has what the first has, and one thing more; with CIM its labeller's training."""

COMBINATIONS = {
    "MMD + focal + CIM": ("MMD", "Threshold-adaptive focal + CIM"),
    "CycleGAN + focal + CIM": ("CycleGAN", "Threshold-adaptive focal + CIM"),
    "Jitter + blur + CycleGAN + focal + CIM": ("Jitter + blur", "CycleGAN", "Threshold-adaptive focal + CIM"),
}
"""Rows whose parts are rows of their own."""


_GAIN = f"gain: points over “{CONTINUED}”, each seed against the same seed's"
_NO_COUNTS = "The counts of single pictures have not been recorded, so nothing is resampled here"


def _drawn(record: Mapping[str, Any]) -> str:
    """What the intervals of a board are, in words."""
    count = len(record["seeds"])
    what = "pictures and seeds" if count > 1 else "pictures"
    certain = (
        f"of {count} seeds that is no 95 % of certainty" if count > 1 else "what another seed gives they do not say"
    )
    return (
        f"Middle 95 %: of {RESAMPLES:,} resamples that draw {what} with replacement, the same for all rows; {certain}, "
        "see The idea"
    )


def boards_table(folder: Path = RESULTS) -> Noted | Words:
    """Which boards have been recorded, a row each; words if none has."""
    import pandas

    records = [one for one in all_results(folder) if one["sweep"] == BOARD]
    if not records:
        return Words(f"{BOARD} has not been recorded yet, on no pair: the tables and figures of this page say so.")
    rows = {
        (record["data"], record["profile"]): {
            "methods": len(record["rows"]),
            "seeds": ", ".join(map(str, record["seeds"])),
            "steps": ", ".join(sorted({f"{row['steps']:,}" for row in rows_of(record)})),
            "size": f"{record['rows'][0]['size'][0]}×{record['rows'][0]['size'][1]}",
            "counts of single pictures": "yes" if load_counts(record, folder) else "no",
        }
        for record in records
    }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(["data", "profile"])
    return Noted(table, f"The whole sweep has {len(SWEEPS[BOARD].rows)} methods.")


def leaderboard_table(pair: str, profile: str = "mini", measure: str = "last", folder: Path = RESULTS) -> Noted | Words:
    """The recorded board as a table, the best mean first; words if it has not been recorded.

    Args:
        pair, profile: of the recording.
        measure: as for :func:`standings`.
        folder: of the recorded results.
    """
    import pandas

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, counts = board
    rows = {}
    for one in standings(record, counts, measure):
        rows[one.name] = {
            "place": "–" if one.place is None else one.place,
            "mIoU %": spread_text(100 * one.scores),
            "gain": "" if one.name == CONTINUED else spread_text(one.gains, "+"),
        }
        if counts:
            rows[one.name] |= {
                "middle 95 %": "" if one.name == CONTINUED else interval_text(one.bootstrap.low, one.bootstrap.high),
                "first in": "–" if one.places is None else f"{100 * one.places[0]:.0f} %",
            }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(record["data"])
    drawn = f"{_drawn(record)}. First in: how many of these have the row on top" if counts else _NO_COUNTS
    classes = scores_of(measure, record["rows"][0], record["report"]["evaluation"])[1]
    note = f"Mean over {classes} classes after the last step; {_GAIN}. {drawn}. {board_origin(record)}"
    return Noted(table, note)


def leaderboard_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """The recorded gains with seeds and intervals; words if nothing has been recorded."""
    from labkit import plots

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, counts = board
    gains = {one.name: _gain(one) for one in standings(record, counts) if one.name != CONTINUED}
    return plots.gain_intervals(
        {"": gains}, title=board_title(record), baseline=CONTINUED, note="first in" if counts else ""
    )


def _gain(one: Standing, *, noted: bool = True):
    from labkit import plots

    ends = (100 * one.bootstrap.low, 100 * one.bootstrap.high) if one.bootstrap else (np.nan, np.nan)
    note = f"{100 * one.places[0]:.0f}\u2009%" if noted and one.places is not None else ""
    return plots.Gain(one.gains, *ends, note, one.place is not None)


def places_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """How often each contender takes each place when pictures and seeds are drawn anew; words without counts."""
    from labkit import plots

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, counts = board
    if not counts:
        return Words(f"{_NO_COUNTS} ({record['data']}).")
    ranked = [one for one in standings(record, counts) if one.places is not None]
    title = f"{record['data']}, profile {profile}: {RESAMPLES:,} resamples of pictures and seeds"
    return plots.place_shares(np.stack([one.places for one in ranked]), [one.name for one in ranked], title=title)


def classes_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """IoU of every method and class, coloured by what it has over :data:`CONTINUED`; words if not recorded."""
    from labkit import plots

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, _ = board
    rows = {row["name"]: row for row in record["rows"]}
    names, classes = [one.name for one in standings(record, {})], list(record["rows"][0]["iou"])
    iou = [[mean_of_known(rows[name]["iou"][c]) for c in classes] for name in names]
    return plots.class_gains(np.array(iou), names, classes, baseline=CONTINUED, title=board_title(record))


def equal_methods(seeds: int, deviation: float, *, methods: int = 12, draw: int = 0):
    """A board of methods that are all as good as the baseline: what chance alone makes of it. Invented, not trained.

    Args:
        seeds: trainings of each method, and of the baseline.
        deviation: standard deviation of a training's mIoU, in percentage points.
        methods: how many.
        draw: the seed of the numbers; with more seeds, the same numbers and more.
    """
    from labkit import plots

    trainings = np.stack([np.random.default_rng([draw, k]).normal(0, deviation, methods + 1) for k in range(seeds)])
    gains = trainings[:, 1:] - trainings[:, :1]
    order = np.argsort(-gains.mean(axis=0))
    rows = {f"method {which + 1}": plots.Gain(gains[:, which]) for which in order}
    best = gains.mean(axis=0).max()
    return plots.gain_intervals(
        {"": rows},
        title=f"Invented: {methods} equal methods, {seeds} seed{'s' * (seeds > 1)}; the best has {best:+.2f} points",
        baseline="the baseline, no worse than they",
        limits=(-4 * deviation, 4 * deviation),
    )


# --- both sources ----------------------------------------------------------------------------------------------------

SOURCES = {"minicity": "game", "minicity-toon": "toon"}
"""Pairs that differ in the source alone, and what stands for each in a table."""


def sources_table(profile: str = "mini", folder: Path = RESULTS) -> Noted | Words:
    """The board from both sources side by side, over the sixteen classes that both have; words if none is recorded."""
    import pandas

    boards = _sources(profile, folder)
    if not boards:
        return no_board(next(iter(SOURCES)), profile, folder)
    columns = {}
    for title, (record, counts) in boards.items():
        found = standings(record, counts, "last16")
        columns[f"mIoU %, {title} (place)"] = {one.name: _with_place(one) for one in found}
        columns[f"gain, {title}"] = {one.name: spread_text(one.gains, "+") for one in found if one.name != CONTINUED}
    first = next(iter(columns.values()))
    names = dict.fromkeys([*first, *(name for column in columns.values() for name in column)])
    table = pandas.DataFrame(columns, index=list(names)).fillna("")
    words = [f"Means over the sixteen classes of SYNTHIA; {_GAIN}", *_absent(boards, profile, folder)]
    words += [f"The rank correlation of both orders is {_correlation(boards):.2f}"] if len(boards) > 1 else []
    about_each = " ".join(board_origin(record) for record, _ in boards.values())
    return Noted(table.rename_axis("to MiniCity real"), f"{'. '.join(words)}. {about_each}")


def _with_place(one: Standing) -> str:
    return f"{spread_text(100 * one.scores)} ({'–' if one.place is None else one.place})"


def sources_figure(profile: str = "mini", folder: Path = RESULTS):
    """The gains from both sources, a panel each, over the sixteen classes that both have; words if none is recorded."""
    from labkit import plots

    boards = _sources(profile, folder)
    if not boards:
        return no_board(next(iter(SOURCES)), profile, folder)
    panels = {
        f"from {title}": {
            one.name: _gain(one, noted=False) for one in standings(record, counts, "last16") if one.name != CONTINUED
        }
        for title, (record, counts) in boards.items()
    }
    title = f"→ MiniCity real, the sixteen classes of SYNTHIA, profile {profile}"
    return plots.gain_intervals(panels, title=title, baseline=CONTINUED)


def _sources(profile: str, folder: Path) -> dict[str, tuple]:
    boards = {title: recorded_board(pair, profile, folder) for pair, title in SOURCES.items()}
    return {title: board for title, board in boards.items() if board}


def _absent(boards: Mapping[str, Any], profile: str, folder: Path) -> list[str]:
    return [str(no_board(pair, profile, folder)).rstrip(".") for pair, title in SOURCES.items() if title not in boards]


def _correlation(boards: Mapping[str, tuple]) -> float:
    """Spearman's, of the mean scores of the contenders that all boards have."""
    from scipy.stats import spearmanr

    means = [
        {one.name: one.scores.mean() for one in standings(record, {}, "last16") if one.place}
        for record, _ in boards.values()
    ]
    shared = [name for name in means[0] if name in means[1]]
    return float(spearmanr(*([of[name] for name in shared] for of in means)).statistic)


# --- what adds up ----------------------------------------------------------------------------------------------------


def ladder_table(pair: str, profile: str = "mini", folder: Path = RESULTS) -> Noted | Words:
    """What each single addition brings, seed by seed and with its interval; words if not recorded."""
    import pandas

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, counts = board
    scores = {row["name"]: np.array(row["miou"]) for row in record["rows"]}
    rows = {}
    for before, after in LADDER:
        if before in scores and after in scores:
            rows[before, after] = {"points": spread_text(100 * (scores[after] - scores[before]), "+")}
            if counts:
                found = paired_bootstrap(counts[after], counts[before])
                rows[before, after]["middle 95 %"] = interval_text(found.low, found.high)
    if not rows:
        return Words(f"The rows of this table have not been recorded on {record['data']}.")
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(["from", "to"])
    return Noted(table, f"{record['data']}, profile {profile}. {_drawn(record) if counts else _NO_COUNTS}.")


def combinations_table(pair: str, profile: str = "mini", folder: Path = RESULTS) -> Noted | Words:
    """Gains of combinations beside the sum of their parts' gains; words if not recorded."""
    import pandas

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, counts = board
    found = {one.name: one for one in standings(record, counts)}
    rows = {}
    for name, parts in COMBINATIONS.items():
        if not {name, *parts} <= set(found):
            continue
        together, single = found[name], [found[part] for part in parts]
        beyond = together.gains - sum(one.gains for one in single)
        rows[name] = {
            "gains of the parts": "; ".join(f"{one.name} {spread_text(one.gains, '+')}" for one in single),
            "their sum": spread_text(sum(one.gains for one in single), "+"),
            "together": spread_text(together.gains, "+"),
            "beyond the sum": spread_text(beyond, "+"),
        }
        if counts:
            drawn = together.bootstrap.resampled - sum(one.bootstrap.resampled for one in single)
            rows[name]["middle 95 %"] = interval_text(*np.nanquantile(drawn, [0.025, 0.975]))
    if not rows:
        return Words(f"No combination of this table has been recorded with its parts on {record['data']}.")
    table = pandas.DataFrame.from_dict(rows, orient="index")
    drawn = f"{_drawn(record)}, of what is beyond the sum" if counts else _NO_COUNTS
    return Noted(table, f"{record['data']}, profile {profile}; {_GAIN}. {drawn}.")

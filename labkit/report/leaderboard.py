"""The leaderboard: every method of the four papers on one network, from one start, with equally many steps and seeds.

Where the counts of single pictures have been recorded, too, they say what a mean over seeds cannot: how far the choice
of pictures may have moved a difference, and how safe a place is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from labkit.errors import UnknownNameError
from labkit.evaluation.bootstrap import RESAMPLES, Difference, paired_bootstrap
from labkit.evaluation.pareto import pareto_front
from labkit.evaluation.picture_counts import PictureCounts, count_pictures
from labkit.report.counts import load_counts
from labkit.report.curves import about
from labkit.report.ledger import scores_of
from labkit.report.networks import deviation
from labkit.report.results import RESULTS, all_results, load_results, provenance, recorded_seeds, rows_of
from labkit.report.rows import train_row
from labkit.report.sweeps import SWEEPS, values_of
from labkit.report.tables import Noted, Words
from labkit.training.devices import choose_device

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.training.method import Method
    from labkit.training.runs import Run

BOARD = "yan2022.leaderboard"
START, CONTINUED, ORACLE = "Source only", "Source only, continued", "Oracle"
REFERENCES = (START, ORACLE)
"""Rows without a place: one has fewer steps, the other the target's labels."""

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

# --- who stands where ------------------------------------------------------------------------------------------------


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
    shares = _place_shares([bootstraps[name].resampled for name in contenders]) if bootstraps else None
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


def _place_shares(resampled: Sequence[np.ndarray]) -> np.ndarray:
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


def _board(pair: str, profile: str, folder: Path) -> tuple[dict[str, Any], dict[str, list[PictureCounts]]] | None:
    record = load_results(BOARD, pair, profile, folder)
    return record and (record, load_counts(record, folder))


_GAIN = f"gain: points over “{CONTINUED}”, each seed against the same seed's"
_DRAWN = (
    f"95 %: the middle of {RESAMPLES:,} resamples that draw pictures and seeds with replacement, the same for all rows"
)
_NO_COUNTS = "The counts of single pictures have not been recorded, so nothing is resampled here"


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

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, counts = board
    rows = {}
    for one in standings(record, counts, measure):
        rows[one.name] = {
            "place": "–" if one.place is None else one.place,
            "mIoU %": _spread(100 * one.scores),
            "gain": "" if one.name == CONTINUED else _spread(one.gains, "+"),
        }
        if counts:
            rows[one.name] |= {
                "95 %": "" if one.name == CONTINUED else _interval(one.bootstrap.low, one.bootstrap.high),
                "first in": "–" if one.places is None else f"{100 * one.places[0]:.0f} %",
            }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(record["data"])
    drawn = f"{_DRAWN}. First in: how many of these have the row on top" if counts else _NO_COUNTS
    classes = scores_of(measure, record["rows"][0], record["report"]["evaluation"])[1]
    note = f"Mean over {classes} classes after the last step; {_GAIN}. {drawn}. {_origin(record)}"
    return Noted(table, note)


def leaderboard_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """The recorded gains with seeds and intervals; words if nothing has been recorded."""
    from labkit import plots

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, counts = board
    gains = {one.name: _gain(one) for one in standings(record, counts) if one.name != CONTINUED}
    return plots.gain_intervals(
        {"": gains}, title=_title(record), baseline=CONTINUED, note="first in" if counts else ""
    )


def _gain(one: Standing, *, noted: bool = True):
    from labkit import plots

    ends = (100 * one.bootstrap.low, 100 * one.bootstrap.high) if one.bootstrap else (np.nan, np.nan)
    note = f"{100 * one.places[0]:.0f}\u2009%" if noted and one.places is not None else ""
    return plots.Gain(one.gains, *ends, note, one.place is not None)


def places_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """How often each contender takes each place when pictures and seeds are drawn anew; words without counts."""
    from labkit import plots

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, counts = board
    if not counts:
        return Words(f"{_NO_COUNTS} ({record['data']}).")
    ranked = [one for one in standings(record, counts) if one.places is not None]
    title = f"{record['data']}, profile {profile}: {RESAMPLES:,} resamples of pictures and seeds"
    return plots.place_shares(np.stack([one.places for one in ranked]), [one.name for one in ranked], title=title)


def classes_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """IoU of every method and class, coloured by what it has over :data:`CONTINUED`; words if not recorded."""
    from labkit import plots

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, _ = board
    rows = {row["name"]: row for row in record["rows"]}
    names, classes = [one.name for one in standings(record, {})], list(record["rows"][0]["iou"])
    iou = [[np.array(rows[name]["iou"][c], dtype=float).mean() for c in classes] for name in names]
    return plots.class_gains(np.array(iou), names, classes, baseline=CONTINUED, title=_title(record))


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
        return recorded_seeds(BOARD, next(iter(SOURCES)), profile)
    columns = {}
    for title, (record, counts) in boards.items():
        found = standings(record, counts, "last16")
        columns[f"place, {title}"] = {one.name: "–" if one.place is None else str(one.place) for one in found}
        columns[f"mIoU %, {title}"] = {one.name: _spread(100 * one.scores) for one in found}
        columns[f"gain, {title}"] = {one.name: _spread(one.gains, "+") for one in found if one.name != CONTINUED}
    first = next(iter(columns.values()))
    names = dict.fromkeys([*first, *(name for column in columns.values() for name in column)])
    table = pandas.DataFrame(columns, index=list(names)).fillna("")
    words = [f"Means over the sixteen classes of SYNTHIA; {_GAIN}", *_absent(boards, profile)]
    words += [f"The rank correlation of both orders is {_correlation(boards):.2f}"] if len(boards) > 1 else []
    about_each = " ".join(_origin(record) for record, _ in boards.values())
    return Noted(table.rename_axis("to MiniCity real"), f"{'. '.join(words)}. {about_each}")


def sources_figure(profile: str = "mini", folder: Path = RESULTS):
    """The gains from both sources, a panel each, over the sixteen classes that both have; words if none is recorded."""
    from labkit import plots

    boards = _sources(profile, folder)
    if not boards:
        return recorded_seeds(BOARD, next(iter(SOURCES)), profile)
    panels = {
        f"from {title}": {
            one.name: _gain(one, noted=False) for one in standings(record, counts, "last16") if one.name != CONTINUED
        }
        for title, (record, counts) in boards.items()
    }
    title = f"→ MiniCity real, the sixteen classes of SYNTHIA, profile {profile}"
    return plots.gain_intervals(panels, title=title, baseline=CONTINUED)


def _sources(profile: str, folder: Path) -> dict[str, tuple]:
    boards = {title: _board(pair, profile, folder) for pair, title in SOURCES.items()}
    return {title: board for title, board in boards.items() if board}


def _absent(boards: Mapping[str, Any], profile: str) -> list[str]:
    return [
        str(recorded_seeds(BOARD, pair, profile)).rstrip(".") for pair, title in SOURCES.items() if title not in boards
    ]


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

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, counts = board
    scores = {row["name"]: np.array(row["miou"]) for row in record["rows"]}
    rows = {}
    for before, after in LADDER:
        if before in scores and after in scores:
            rows[before, after] = {"points": _spread(100 * (scores[after] - scores[before]), "+")}
            if counts:
                found = paired_bootstrap(counts[after], counts[before])
                rows[before, after]["95 %"] = _interval(found.low, found.high)
    if not rows:
        return Words(f"The rows of this table have not been recorded on {record['data']}.")
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(["from", "to"])
    return Noted(table, f"{record['data']}, profile {profile}. {_DRAWN if counts else _NO_COUNTS}.")


def combinations_table(pair: str, profile: str = "mini", folder: Path = RESULTS) -> Noted | Words:
    """Gains of combinations beside the sum of their parts' gains; words if not recorded."""
    import pandas

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, counts = board
    found = {one.name: one for one in standings(record, counts)}
    rows = {}
    for name, parts in COMBINATIONS.items():
        if not {name, *parts} <= set(found):
            continue
        together, single = found[name], [found[part] for part in parts]
        beyond = together.gains - sum(one.gains for one in single)
        rows[name] = {
            "gains of the parts": "; ".join(f"{one.name} {_spread(one.gains, '+')}" for one in single),
            "their sum": _spread(sum(one.gains for one in single), "+"),
            "together": _spread(together.gains, "+"),
            "beyond the sum": _spread(beyond, "+"),
        }
        if counts:
            drawn = together.bootstrap.resampled - sum(one.bootstrap.resampled for one in single)
            rows[name]["95 %"] = _interval(*np.nanquantile(drawn, [0.025, 0.975]))
    if not rows:
        return Words(f"No combination of this table has been recorded with its parts on {record['data']}.")
    table = pandas.DataFrame.from_dict(rows, orient="index")
    drawn = f"{_DRAWN}, of what is beyond the sum" if counts else _NO_COUNTS
    return Noted(table, f"{record['data']}, profile {profile}; {_GAIN}. {drawn}.")


# --- what it costs ---------------------------------------------------------------------------------------------------


def training_costs(record: Mapping[str, Any]) -> dict[str, float]:
    """The mean time of each row's further steps, as a multiple of that of :data:`CONTINUED`; NaN where not recorded.

    The time of trainings that a row alone begins with, a translator's or a labeller's, counts where the record has it
    (``seconds_before``, one a seed); the common start does not.
    """

    def seconds(row: Mapping[str, Any]) -> float:
        own = np.array(row["seconds"], dtype=float)
        return float((own + np.array(row.get("seconds_before") or 0, dtype=float)).mean())

    found = {row["name"]: seconds(row) for row in record["rows"] if row["name"] != START}
    return {name: value / found[CONTINUED] for name, value in found.items()}


def cost_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """mIoU against the time of training, with the Pareto front of the contenders; words if not recorded."""
    from labkit import plots

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, _ = board
    costs = training_costs(record)
    ranked = [one for one in standings(record, {}) if one.place and not np.isnan(costs[one.name])]
    if not ranked:
        return Words(f"The times of the trainings have not been recorded on {record['data']}.")
    points = {one.name: (costs[one.name], float(one.scores.mean())) for one in ranked}
    return plots.cost_accuracy(
        points,
        pareto_front(points),
        numbers={one.name: one.place for one in ranked},
        title=_title(record),
        cost=f"time of training, × that of “{CONTINUED}”",
        spreads={one.name: deviation(one.scores) for one in ranked},
    )


def cost_table(pair: str, profile: str = "mini", folder: Path = RESULTS) -> Noted | Words:
    """The Pareto front of accuracy and time of training, the cheapest first; words if not recorded."""
    import pandas

    board = _board(pair, profile, folder)
    if board is None:
        return recorded_seeds(BOARD, pair, profile)
    record, _ = board
    costs = training_costs(record)
    ranked = {one.name: one for one in standings(record, {}) if one.place}
    front = pareto_front({name: (costs[name], float(one.scores.mean())) for name, one in ranked.items()})
    rows = {
        name: {
            "× the time": f"{costs[name]:.1f}",
            "mIoU %": _spread(100 * ranked[name].scores),
            "place": ranked[name].place,
        }
        for name in front
    }
    if not rows:
        return Words(f"The times of the trainings have not been recorded on {record['data']}.")
    whole = any(row.get("seconds_before") for row in record["rows"])
    counted = (
        "with the trainings that a row begins with"
        if whole
        else ("the further steps alone: what a translator and a labeller took before comes on top")
    )
    hardware = record["environment"]["hardware"]
    note = f"{record['data']}, profile {profile}. Time, on {hardware}: {counted}; the common start is not counted."
    return Noted(pandas.DataFrame.from_dict(rows, orient="index").rename_axis("Pareto front"), note)


# --- a method of one's own -------------------------------------------------------------------------------------------


def train_contender(lab: Lab, method: Method, **changes: Any) -> Run:
    """Train a method of one's own as the board's rows are: from the same start, with the same further steps.

    Args:
        lab: budget, domains and seed.
        method: an object of one's own class, or a method's name.
        changes: settings in which it shall differ all the same; it then has no fair place.
    """
    lab = lab.after(BOARD.partition(".")[0])
    row = next(one for one in SWEEPS[BOARD].rows if one.name == CONTINUED)
    start = train_row(lab, BOARD, START).folder / "weights.safetensors"
    return lab.train(row.model, method, **{"stage": row.stage, "weights": start, **values_of(row, lab), **changes})


def placed(lab: Lab, runs: Mapping[str, Run], folder: Path = RESULTS) -> Noted | Words:
    """Runs of this page among the recorded rows of the same seed; words where there is no such board.

    Args:
        lab: whose pair, profile and seed decide the board.
        runs: finished runs by title; one with the title of a recorded row shows how far this machine's numbers are
            from the recorded ones.
        folder: of the recorded results.
    """
    import pandas

    found = {title: f"{100 * run.result['miou_target']:.1f} %" for title, run in runs.items()}
    here = f"On this page, seed {lab.seed}: {', '.join(f'{title} {score}' for title, score in found.items())}."
    board = _board(lab.pair.name, lab.profile.name, folder)
    if board is None:
        return Words(f"{recorded_seeds(BOARD, lab.pair.name, lab.profile.name)} {here}")
    record, counts = board
    if lab.seed not in record["seeds"]:
        return Words(f"The board has been recorded with the seeds {record['seeds']}, not with {lab.seed}. {here}")
    at = record["seeds"].index(lab.seed)
    recorded = {row["name"]: row["miou"][at] for row in record["rows"]}
    rows = {name: {"mIoU %": f"{100 * score:.1f}", "score": score} for name, score in recorded.items()}
    steps = rows_of(record)[0]["steps"]
    for title, run in runs.items():
        score, taken = run.result["miou_target"], run.result["steps"]
        name = f"→ {title}, this page" + ("" if taken == steps else f" ({taken} steps)")
        rows[name] = {"mIoU %": f"{100 * score:.1f}", "score": score}
        if counts:
            one = paired_bootstrap([_counts_of(run, lab)], [counts[CONTINUED][at]])
            rows[name]["95 %, pictures alone"] = _interval(one.low, one.high)
    table = pandas.DataFrame.from_dict(rows, orient="index").sort_values("score", ascending=False)
    table.insert(1, f"over “{CONTINUED}”", [f"{100 * (one - recorded[CONTINUED]):+.1f}" for one in table["score"]])
    note = (
        f"One seed ({lab.seed}) of every row: an anecdote, to be compared with the spread of the seeds in the board. "
        f"Rows with an arrow were trained here, the others are recorded. {_origin(record)}"
    )
    table = table.drop(columns="score").fillna("").rename_axis(f"{record['data']}, seed {lab.seed}")
    return Noted(table, note)


def _counts_of(run: Run, lab: Lab) -> PictureCounts:
    device = choose_device(lab.device)
    reported = lab.target(size=tuple(run.description["report"]["size"]))
    return count_pictures(run.load_model().to(device), reported, device=device)


def _title(record: Mapping[str, Any]) -> str:
    return about(record).removesuffix(", and each")


def _origin(record: Mapping[str, Any]) -> str:
    """Where the record comes from; what *best* is stays out, because the board has none."""
    return provenance(record).partition(" *Best")[0]


def _spread(values: np.ndarray, sign: str = "") -> str:
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.1f}{deviation}"


def _interval(low: float, high: float) -> str:
    return f"{100 * low:+.1f} … {100 * high:+.1f}"

"""A method of one's own beside the recorded rows of the leaderboard, trained as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.evaluation.bootstrap import paired_bootstrap
from labkit.evaluation.picture_counts import PictureCounts, count_pictures
from labkit.report.plans import values_of
from labkit.report.results import RESULTS, recorded_seeds, rows_of
from labkit.report.rows import train_row
from labkit.report.standings import BOARD, CONTINUED, START, board_origin, interval_text, recorded_board
from labkit.report.sweep_tables import SWEEPS
from labkit.report.tables import Noted, Words
from labkit.training.devices import choose_device

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.training.method import Method
    from labkit.training.runs import Run


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
    board = recorded_board(lab.pair.name, lab.profile.name, folder)
    if board is None:
        return Words(f"{recorded_seeds(BOARD, lab.pair.name, lab.profile.name, folder)} {here}")
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
            rows[name]["95 %, pictures alone"] = interval_text(one.low, one.high)
    table = pandas.DataFrame.from_dict(rows, orient="index").sort_values("score", ascending=False)
    table.insert(1, f"over “{CONTINUED}”", [f"{100 * (one - recorded[CONTINUED]):+.1f}" for one in table["score"]])
    note = (
        f"One seed ({lab.seed}) of every row: an anecdote, to be compared with the spread of the seeds in the board. "
        f"Rows with an arrow were trained here, the others are recorded. {board_origin(record)}"
    )
    table = table.drop(columns="score").fillna("").rename_axis(f"{record['data']}, seed {lab.seed}")
    return Noted(table, note)


def _counts_of(run: Run, lab: Lab) -> PictureCounts:
    device = choose_device(lab.device)
    reported = lab.target(size=tuple(run.description["report"]["size"]))
    return count_pictures(run.load_model().to(device), reported, device=device)

"""Table 3 of baitan2025 and ours: trainings with augmentations, each beside the one without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from labkit.labels import CLASS_NAMES
from labkit.papers import load
from labkit.report.curves import about, drawn_curves
from labkit.report.results import load_results, provenance, recorded_seeds, seeds_table, training_text
from labkit.report.spread import percent_text
from labkit.report.tables import Noted, Words

if TYPE_CHECKING:
    import pandas

TITLES = {
    "1": "flip",
    "2": "jitter",
    "3": "blur",
    "12": "flip + jitter",
    "13": "flip + blur",
    "23": "jitter + blur",
    "123": "all three",
}
"""The rows of Table 3 in words."""

BASELINE = "source only"
_TABLE, _BASELINE_TABLE = "table3", "table2"


def published_augmentations() -> pandas.DataFrame:
    """Table 3 with the row of Table 2 that it is compared with, turned: mIoU and classes down, trainings across."""
    import pandas

    rows = pandas.concat([load("baitan2025", _BASELINE_TABLE), load("baitan2025", _TABLE).rename(index=TITLES)])
    table = rows.T
    table.columns.name = "GTA5 → Cityscapes, %, as printed"
    return table


def recorded_augmentations(pair: str, profile: str = "mini") -> pandas.DataFrame | None:
    """The same of our recorded sweeps: mean over seeds, in percent; NaN for an absent class; None if not recorded."""
    import pandas

    baseline, outcome = _recorded(pair, profile)
    if baseline is None or outcome is None:
        return None
    rows = {BASELINE: _row(baseline, BASELINE)} | {TITLES[row["name"]]: row for row in outcome["rows"]}
    columns = {
        title: {"mIoU": 100 * np.mean(row["miou"])}
        | {name: 100 * np.mean(np.array(seeds, dtype=float)) for name, seeds in row["iou"].items()}
        for title, row in rows.items()
    }
    table = pandas.DataFrame(columns)
    table.columns.name = f"{outcome['data']}, %, mean of seeds"
    return table


def augmentation_seeds(pair: str, profile: str = "mini") -> Noted | Words:
    """Our recorded trainings, source only first: mean ± standard deviation over seeds, with provenance."""
    baseline, outcome = _recorded(pair, profile)
    if baseline is None or outcome is None:
        return recorded_seeds(f"baitan2025.{_BASELINE_TABLE if baseline is None else _TABLE}", pair, profile)
    rows = [_row(baseline, BASELINE), *(row | {"name": TITLES[row["name"]]} for row in outcome["rows"])]
    note = provenance(outcome)
    if provenance(baseline) != note:
        note += f" Source only: {provenance(baseline)}"
    return Noted(seeds_table(outcome | {"rows": rows}), note)


def augmentation_curves_figure(pair: str, column: str | Sequence[str] = "val/miou", profile: str = "mini"):
    """One or several columns of our recorded trainings by step, source only first; words if not recorded.

    Args:
        pair, profile: names.
        column: as for :func:`labkit.report.recorded_curves_figure`.
    """
    baseline, outcome = _recorded(pair, profile)
    if baseline is None or outcome is None:
        return augmentation_seeds(pair, profile)
    rows = {BASELINE: _row(baseline, BASELINE)} | {TITLES[row["name"]]: row for row in outcome["rows"]}
    return drawn_curves({title: row.get("curves") or [] for title, row in rows.items()}, column, about(outcome))


def augmentation_gains(pair: str, profiles: Sequence[str] = ("mini", "mini-900", "scratch")) -> Noted | Words:
    """What jitter + blur adds to source only, in several lengths and sizes of training, beside the oracle.

    The gain is the mean ± standard deviation of the differences, each of two trainings with the same seed.

    Args:
        pair: name.
        profiles: names; those that have not been recorded are left out.
    """
    import pandas

    rows, notes = {}, []
    for profile in profiles:
        baseline, (combined, outcome) = _recorded(pair, profile)[0], _jitter_blur(pair, profile)
        if baseline is None or combined is None:
            continue
        scores = {row["name"]: row["miou"] for row in baseline["rows"]}
        first, second = _by_seed(baseline, _row(baseline, BASELINE)), _by_seed(outcome, combined)
        gains = [second[seed] - first[seed] for seed in second if seed in first]
        (height, width) = baseline["size"]
        rows[f"{baseline['steps']} steps at {height}×{width}"] = {
            f"{BASELINE}, mIoU %": percent_text(scores[BASELINE]),
            "jitter + blur": percent_text(combined["miou"]),
            "gain": percent_text(gains, "+"),
            "oracle": percent_text(scores["oracle"]) if "oracle" in scores else "–",
        }
        notes += [f"Recorded: {training_text(one)}." for one in (baseline, outcome)]
    if not rows:
        return recorded_seeds(f"baitan2025.{_BASELINE_TABLE}", pair, profiles[0])
    return Noted(pandas.DataFrame.from_dict(rows, orient="index"), " ".join(dict.fromkeys(notes)))


def additivity(table: pandas.DataFrame) -> pandas.DataFrame:
    """What combinations change in mIoU against what their parts change one by one, in percentage points.

    Args:
        table: from :func:`published_augmentations` or :func:`recorded_augmentations`.

    Returns:
        A row for each combination of the table: the sum of the single changes, the change that was measured, and the
        difference: how much the parts are worth to each other.
    """
    import pandas

    change = table.loc["mIoU"].astype(float) - float(table.loc["mIoU", BASELINE])
    rows = {}
    for number, title in TITLES.items():
        if len(number) > 1 and title in change:
            parts = sum(change[TITLES[part]] for part in number)
            rows[title] = {"sum of the parts": parts, "measured": change[title], "beyond": change[title] - parts}
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis(columns=table.columns.name)


def recorded_additivity(pair: str, profile: str = "mini") -> pandas.DataFrame | Words:
    """The same of our recorded trainings: mean ± standard deviation over seeds, each seed on its own."""
    import pandas

    baseline, outcome = _recorded(pair, profile)
    if baseline is None or outcome is None:
        return augmentation_seeds(pair, profile)
    rows = {BASELINE: _by_seed(baseline, _row(baseline, BASELINE))}
    rows |= {TITLES[row["name"]]: _by_seed(outcome, row) for row in outcome["rows"]}
    points = [
        additivity(pandas.DataFrame({name: {"mIoU": 100 * scores[seed]} for name, scores in rows.items()}))
        for seed in outcome["seeds"]
        if seed in rows[BASELINE]
    ]
    stacked = np.stack([one.to_numpy(float) for one in points])
    mean = pandas.DataFrame(stacked.mean(0), points[0].index, points[0].columns).map("{:+.1f}".format)
    if len(points) > 1:
        mean += pandas.DataFrame(stacked.std(0, ddof=1), mean.index, mean.columns).map(" ± {:.1f}".format)
    return mean.rename_axis(columns=f"{outcome['data']}, points")


def difference_figure(table: pandas.DataFrame | None, data: str):
    """Every training's IoU less that of source only, class by class: a heat map; words without a table.

    Args:
        table: from :func:`published_augmentations` or :func:`recorded_augmentations`.
        data: the data's name, for the figure's title.
    """
    from labkit import plots

    if table is None:
        return Words(f"The trainings with augmentations have not been recorded on {data}.")
    points = table.drop(columns=BASELINE).sub(table[BASELINE], axis=0)
    order = [*(name for name in CLASS_NAMES if name in points.index), "mIoU"]
    title = f"{data}: points of IoU, less source only"
    return plots.difference_map(points.loc[order].to_numpy(), order, list(points), title=title)


def _by_seed(outcome: dict, row: dict) -> dict[int, float]:
    return dict(zip(outcome["seeds"], row["miou"], strict=True))


def _recorded(pair: str, profile: str) -> tuple[dict | None, dict | None]:
    return tuple(load_results(f"baitan2025.{table}", pair, profile) for table in (_BASELINE_TABLE, _TABLE))


def _jitter_blur(pair: str, profile: str) -> tuple[dict | None, dict | None]:
    """The row with both and its outcome: of Table 3, or the same training where Table 4 is compared with it."""
    for sweep, name in ((_TABLE, "23"), ("adversarial", BASELINE)):
        outcome = load_results(f"baitan2025.{sweep}", pair, profile)
        for row in outcome["rows"] if outcome else ():
            if row["name"] == name:
                return row, outcome
    return None, None


def _row(outcome: dict, name: str) -> dict:
    return next(row for row in outcome["rows"] if row["name"] == name)

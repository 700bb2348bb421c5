"""One training, two checkpoints: the last, and the best on target labels; on the source and on the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit.evaluation.predict import evaluate
from labkit.report.tables import Noted, scored_on
from labkit.training.devices import choose_device

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.training.runs import Run


def selection_table(runs: Mapping[str, Run], lab: Lab) -> Noted:
    """mIoU in percent of each run's last and best checkpoint, on source validation, target validation and the report.

    loda2025, §3.2, keeps the best on source and the best on target validation; the last needs neither's labels.

    Args:
        runs: finished runs by title.
        lab: whose data they were trained on.
    """
    import pandas

    home, device = lab.source("val"), choose_device(lab.device)
    name = lab.target().name
    rows = {}
    for title, run in runs.items():
        measured = run.metrics["val/miou"].dropna() if "val/miou" in run.metrics else ()
        found = {"last": (measured.iloc[-1] if len(measured) else None, run.scores)}
        if run.best_scores:
            found["best"] = (measured.max(), run.best_scores)
        for which, (on_val, scores) in found.items():
            values = {
                f"{home.name}, val": evaluate(run.load_model(which).to(device), home, device=device).miou,
                f"{name}, val": on_val,
                f"{name}, {lab.report_split}": scores.miou,  # the same, where the report split is val
            }
            row = f"{title}, {which}{'*' if which == 'best' else ''}"
            rows[row] = {head: "–" if value is None else f"{100 * value:.1f}" for head, value in values.items()}
    table = pandas.DataFrame.from_dict(rows, orient="index")
    return Noted(table.rename_axis("mIoU %"), f"{scored_on(lab)} The source's validation pictures are {len(home)}.")

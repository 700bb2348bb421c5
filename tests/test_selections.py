"""The table of both checkpoints: its numbers are the run's own, and those of another evaluation of its weights."""

from __future__ import annotations

import pytest

from labkit import report
from labkit.lab import Lab


def test_both_checkpoints_on_both_domains(tmp_path):
    lab = Lab("smoke", runs=tmp_path)
    run = lab.train("bisenet", "source-only", steps=2, evaluate_every=1)
    blind = lab.train("bisenet", "source-only", steps=1, evaluate_every=0)
    noted = report.selection_table({"short": run, "blind": blind}, lab)
    assert list(noted.table.index)[:2] == ["short, last", "short, best*"]
    home, val, target = (float(text) for text in noted.table.loc["short, last"])
    assert target == pytest.approx(100 * run.result["miou_target"], abs=0.051)
    assert home == pytest.approx(100 * lab.evaluate(run, lab.source("val")).miou, abs=0.051)
    assert val == pytest.approx(100 * lab.evaluate(run, lab.target("val")).miou, abs=0.051)
    best = float(noted.table.loc["short, best*"].iloc[1])
    assert best == pytest.approx(100 * run.metrics["val/miou"].max(), abs=0.051) and best >= val
    assert float(noted.table.loc["blind, last"].iloc[2]) == pytest.approx(100 * blind.result["miou_target"], abs=0.051)
    assert blind.best_scores is None and "blind, best*" not in noted.table.index
    assert "MiniCity game, val" in noted.table.columns and "validation pictures are 4" in noted.note

"""Curves by step: of recorded sweeps, means and ranges over seeds, and of runs at hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from matplotlib.text import Text

from labkit import plots, report
from labkit.errors import LabError, UnknownNameError
from labkit.lab import Lab
from labkit.report import curves as page

STEPS = [50, 100]


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def lines(ax) -> dict[str, list[float]]:
    named = [line for line in ax.lines if not line.get_label().startswith("_")]
    return {line.get_label(): list(map(float, line.get_ydata())) for line in named}


@pytest.fixture
def recorded(monkeypatch) -> dict:
    """Two seeds of two rows; one of them has watched a discriminator."""

    def row(name, *seeds, **more):
        curves = [{"step": STEPS, "val/miou": one, "loss/main": [2.0, None], **more} for one in seeds]
        return {"name": name, "curves": curves}

    watched = {"discriminator accuracy": [0.6, 0.8]}
    kept = {
        "data": "A → B",
        "profile": "mini",
        "size": [96, 192],
        "steps": 100,
        "seeds": [0, 1],
        "report": {"data": "B", "split": "test", "images": 10},
        "rows": [
            row("source only", [0.1, 0.2], [0.3, 0.2]),
            row("adversarial", [0.2, 0.4], [0.2, 0.5], **watched),
        ],
    }
    names = {"baitan2025.adversarial": kept}
    monkeypatch.setattr(page, "load_results", lambda name, pair, profile="mini", *_: names.get(name))
    return kept


def test_lines_are_means_over_seeds_and_thin_ones_the_seeds(recorded):
    figure = report.recorded_curves_figure("baitan2025.adversarial", "minicity", "val/miou")
    (ax,) = figure.axes
    assert lines(ax) == {
        "source only": pytest.approx([0.2, 0.2]),
        "adversarial": pytest.approx([0.2, 0.45]),
    }
    thin = [list(map(float, line.get_ydata())) for line in ax.lines if line.get_linewidth() < 1]
    assert thin == [[0.1, 0.2], [0.3, 0.2], [0.2, 0.4], [0.2, 0.5]]
    assert list(ax.lines[0].get_xdata()) == STEPS and ax.get_ylim()[0] == 0
    assert "A → B, profile mini: mean of 2 seeds, and each" in texts(figure)
    assert ax.yaxis.get_major_formatter()(0.2) == "20\u2009%"


def test_a_row_without_the_column_is_left_out_and_keeps_its_colour_elsewhere(recorded):
    figure = report.recorded_curves_figure(
        "baitan2025.adversarial", "minicity", ["val/miou", "discriminator accuracy", "loss/main"]
    )
    score, accuracy, loss = figure.axes
    assert list(lines(accuracy)) == ["adversarial"] and len(lines(score)) == len(lines(loss)) == 2
    colours = [[line.get_color() for line in ax.lines if line.get_linewidth() > 1] for ax in (score, accuracy)]
    assert colours[1] == colours[0][1:] != colours[0][:1]
    assert np.isnan(loss.lines[0].get_ydata()[1]), "not measured is no number"
    assert loss.yaxis.get_major_formatter()(2.0) != "200\u2009%"


def test_rows_are_chosen_and_titled(recorded):
    figure = report.recorded_curves_figure(
        "baitan2025.adversarial", "minicity", "val/miou", rows={"adversarial": "ours", "ADVENT": "entropy"}
    )
    assert list(lines(figure.axes[0])) == ["ours"], "a row that is not recorded is left out"
    with pytest.raises(UnknownNameError, match="ADVENT"):
        report.recorded_curves_figure("baitan2025.adversarial", "minicity", "val/miou", rows=["adversarail"])


def test_what_is_not_recorded_is_said(recorded):
    shown = report.recorded_curves_figure("yan2022.table1", "minicity", "val/miou", "mini-900")
    assert str(shown).startswith("yan2022.table1") and "mini-900" in str(shown)
    assert "val/loss" in str(report.recorded_curves_figure("baitan2025.adversarial", "minicity", "val/loss"))
    recorded["rows"][0].pop("curves")
    recorded["rows"][1]["curves"] = [{}]
    assert "val/miou" in str(report.recorded_curves_figure("baitan2025.adversarial", "minicity", "val/miou"))
    assert "was run here" in str(report.curves_figure({}, "val/miou"))


def test_rows_that_learn_from_other_data_say_so(recorded):
    recorded["rows"][1]["data"] = "B, train → test"
    show = partial(report.recorded_curves_figure, "baitan2025.adversarial", "minicity", "val/miou")
    assert any(text.startswith("A → B") for text in texts(show()))
    assert any(text.startswith("B, train → test") for text in texts(show(rows=["adversarial"])))


def test_one_seed_is_called_so(recorded):
    recorded["seeds"] = [0]
    figure = report.recorded_curves_figure("baitan2025.adversarial", "minicity", "val/miou")
    assert "A → B, profile mini: one seed" in texts(figure)


def test_runs_at_hand_are_drawn_at_their_evaluations(tmp_path):
    run = report.train_row(Lab("smoke", runs=tmp_path), "baitan2025.table2", "source only")
    figure = report.curves_figure({"source only": run}, ["val/loss", "loss/main"])
    target, source = figure.axes
    assert "MiniCity game → MiniCity real: this page's trainings" in texts(figure)
    metrics = run.metrics
    measured, until = metrics.dropna(subset=["val/loss"]), metrics.loc[metrics["step"] <= 4, "loss/main"]
    assert list(target.lines[0].get_xdata()) == measured["step"].tolist() == [4, 8]
    np.testing.assert_allclose(target.lines[0].get_ydata(), measured["val/loss"], atol=1e-5)
    np.testing.assert_allclose(source.lines[0].get_ydata()[0], until.mean(), atol=1e-4)


def test_kinds_of_lines_stand_in_columns_of_the_legend():
    one = np.array(STEPS), np.array([[0.1, 0.2]])
    figure = plots.seed_curves({"score": dict.fromkeys("abcdef", one)}, per_line=3)
    drawn = figure.axes[0].lines
    assert [line.get_color() for line in drawn[:3]] == [line.get_color() for line in drawn[3:]]
    assert [line.get_linestyle() for line in drawn] == ["-"] * 3 + ["--"] * 3
    assert figure.legends[0]._ncols == 2
    long = plots.seed_curves({"score": {f"{letter * 45}": one for letter in "abc"}})
    assert long.legends[0]._ncols == 1, "names are not cut off"
    with pytest.raises(LabError, match="no curves"):
        plots.seed_curves({})

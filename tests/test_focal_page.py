"""What notebook 07 measures and draws, and its exercises: against autograd, closed forms and printed numbers."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from torch import nn

from labkit import plots, report
from labkit.data.dataset import Sample
from labkit.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from labkit.errors import LabError
from labkit.evaluation.step_sizes import StepSizes, descend, step_sizes
from labkit.evaluation.surprise import focal_of, focal_slope, surprise_map, surprises
from labkit.exercises import focal as exercises
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES
from labkit.losses.focal import focal_loss
from labkit.models.output import SegmentationOutput
from labkit.papers import load
from labkit.report import focal as page
from labkit.report import results
from labkit.report.curves import curves_of
from labkit.report.plans import experiment_of
from labkit.report.sweep_tables import SWEEPS

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "07_focal_loss_and_adam.ipynb"

chances = st.floats(1e-3, 1 - 1e-3)
gammas = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


# --- measurements -----------------------------------------------------------------------------------------------------


@given(chances, gammas)
def test_loss_and_pull_of_a_pixel_are_those_of_the_library_and_autograd(p, gamma):
    logits = torch.zeros(1, 19, 1, 1, dtype=torch.float64)
    logits[0, 4] = np.log(18 * p / (1 - p))
    logits.requires_grad_()
    loss = focal_loss(logits, torch.full((1, 1, 1), 4), gamma)
    loss.backward()
    assert focal_of(-np.log(p), gamma) == pytest.approx(loss.item(), rel=1e-5, abs=1e-12)
    assert focal_slope(p, gamma) == pytest.approx(abs(float(logits.grad[0, 4])), rel=1e-4, abs=1e-9)


def test_certainty_costs_nothing_and_pulls_nowhere():
    for gamma in (0.0, 2.0, 3.0):
        assert focal_of(0.0, gamma) == 0 == focal_slope(1.0, gamma)
        assert np.isfinite(focal_of(200.0, gamma)) and focal_slope(0.0, gamma) == pytest.approx(1)


class Reads(nn.Module):
    """Logits that are the picture's three channels, in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        return SegmentationOutput(self.scale * (images * std + mean), (), {})


def test_surprise_is_minus_log_p_of_the_truth_and_nan_where_ignored():
    draws = np.random.default_rng(0)
    image = draws.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    label = draws.integers(0, 3, (6, 7)).astype(np.uint8)
    label[2:4] = 255
    found = surprise_map(Reads(), Sample(image, label, "p"))
    for y, x in np.ndindex(6, 7):
        exponentials = np.exp(image[y, x] / 255)
        if label[y, x] == 255:
            assert np.isnan(found[y, x])
        else:
            assert found[y, x] == pytest.approx(-np.log(exponentials[label[y, x]] / exponentials.sum()), rel=1e-4)
    data = [Sample(image, label, "p"), Sample(image, label * 0 + 1, "q")]
    assert len(surprises(Reads(), data)) == (label != 255).sum() + label.size


def test_plain_sgd_moves_by_rate_times_gradient_and_adam_by_its_rate():
    def loss(model, batch):
        return ((model(batch[0]) - batch[1]) ** 2).mean()

    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1)).state_dict()
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(3)]
    found = {}
    for name in ("sgd", "adam"):
        model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))
        model.load_state_dict(start)
        model.register_parameter("unused", nn.Parameter(torch.ones(2)))
        rates = {"sgd": torch.optim.SGD(model.parameters(), 0.05), "adam": torch.optim.Adam(model.parameters(), 0.01)}
        found[name] = step_sizes(model, rates[name], loss, batches)
        assert found[name].gradient.shape == found[name].update.shape == (3, 4)
    np.testing.assert_allclose(found["sgd"].update, 0.05 * found["sgd"].gradient, rtol=1e-3)
    np.testing.assert_allclose(found["adam"].update[0], 0.01, rtol=1e-4)


def test_a_path_without_noise_is_the_closed_form():
    path = descend(lambda x: torch.optim.SGD(x, 0.1), noise=0.0, steps=20)
    factors = (1 - 0.1 * np.array([1.0, 0.05])) ** np.arange(21)[:, None]
    np.testing.assert_allclose(path, np.array([1.0, 4.0]) * factors)


def test_a_smaller_loss_is_a_smaller_step_for_sgd_alone():
    def paths(optimizer):
        return [
            descend(optimizer, curvatures=(f * 1.0, f * 0.05), noise=f * 0.02, steps=40, seed=1) for f in (1.0, 0.1)
        ]

    whole, tenth = paths(lambda x: torch.optim.Adam(x, 0.05, betas=(0.9, 0.99), eps=1e-15))
    np.testing.assert_allclose(whole, tenth, atol=1e-6)
    whole, tenth = paths(lambda x: torch.optim.SGD(x, 0.05))
    np.testing.assert_allclose(tenth[1] - tenth[0], 0.1 * (whole[1] - whole[0]))


# --- figures ----------------------------------------------------------------------------------------------------------


def test_dots_lie_where_they_were_measured():
    at = np.array([0.2, 0.8])
    figure = plots.focal_curves({0: (at, -np.log(at), 1 - at), 2: (at, at * 0 + 0.5, at * 0 + 0.25)})
    dots = [line.get_xydata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots[0], np.stack([at, -np.log(at)], 1))
    np.testing.assert_allclose(dots[1][:, 1], 0.5)


def test_a_larger_gamma_listens_to_less_certain_pixels():
    surprise = -np.log(np.random.default_rng(0).uniform(0.01, 1, 4000))
    figure = plots.loss_shares({"source": surprise, "target": 2 * surprise}, (0, 2))
    for ax in figure.axes:
        pixels, plain, focal = (line.get_ydata() for line in ax.lines)
        for line in (pixels, plain, focal):
            assert line[0] == 0 and line[-1] == pytest.approx(1) and (np.diff(line) >= 0).all()
        assert (focal[1:-1] >= plain[1:-1] - 1e-9).all() and (plain >= pixels - 1e-9).all()
    middle = figure.axes[0].lines[0].get_ydata()[100]
    assert middle == pytest.approx((np.exp(-surprise) < 0.5).mean(), abs=1e-9)
    with pytest.raises(LabError, match="no pixels"):
        plots.loss_shares({"source": np.array([])})


def test_the_loss_map_counts_the_pixels_that_hold_half_of_the_loss():
    surprise = np.full((10, 20), 0.001, np.float32)
    surprise[0, :10] = 5.0  # ten of 200 pixels hold nearly all
    surprise[9] = np.nan
    label = np.zeros((10, 20), np.uint8)
    label[9] = 255
    figure = plots.loss_map(Sample(np.zeros((10, 20, 3), np.uint8), label, "p"), surprise, 2.0)
    assert any("half of the loss in 3.3" in text for text in texts(figure))  # six of 180
    drawn = figure.axes[3].images[0].get_array()
    assert (drawn[0, :10] == (213, 94, 0)).all() and (drawn[5] >= 250).all()
    with pytest.raises(LabError, match="ignored"):
        plots.loss_map(Sample(np.zeros((2, 2, 3), np.uint8), label[:2, :2], "p"), np.full((2, 2), np.nan), 2.0)


def test_every_tensor_has_a_dot_at_its_gradient_and_change():
    found = StepSizes(np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([[0.1, 0.2], [0.1, 0.4]]))
    figure = plots.update_sizes({"SGD": found}, {"SGD": 0.1})
    dots = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(dots, [[1.0, 0.1], [4.0, 0.4]])
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), [0.15, 0.25])


def test_a_valley_shows_the_height_of_a_path():
    path = descend(lambda x: torch.optim.SGD(x, 0.1), noise=0.0, steps=20)
    figure = plots.valley_paths({"SGD": path})
    assert figure.axes[1].lines[0].get_ydata()[0] == pytest.approx(0.5 * (1 + 0.05 * 16))


def test_last_and_best_are_where_they_belong():
    figure = plots.last_and_best({"a": (20.0, 25.0), "b": (10.0, 10.0)}, title="data", spread={"a": 2.0})
    marks = {tuple(map(float, line.get_xydata()[0])) for line in figure.axes[0].lines if line.get_marker() == "o"}
    assert marks == {(20.0, 0.0), (25.0, 0.0), (10.0, 1.0)}
    assert any(list(line.get_xdata()) == [18.0, 22.0] for line in figure.axes[0].lines)


# --- the paper's tables and ours --------------------------------------------------------------------------------------


def test_the_published_rows_of_both_optimisers():
    table = report.published_focal()
    assert list(table.index) == [f"{name}, γ = {gamma}" for name in ("SGD", "Adam") for gamma in (0, 2, 3)]
    assert table.loc["Adam, γ = 3"].tolist() == [16.94, 24.67, 11] and "GTA5" in table.columns.name


def test_the_contradictions_that_the_page_tells():
    row = load("baitan2025", "table8").iloc[0]
    mean = row[list(CLASS_NAMES)].mean()
    five = load("baitan2025", "table5").loc["2"]
    assert round(mean, 2) == five["last mIoU"] == 22.53 and row["mIoU"] == 26.31 and five["best mIoU"] == 25.07
    meant = load("baitan2025", "table3").loc["23"]
    assert row["rider"] < meant["rider"] and row["traffic sign"] > meant["traffic sign"] and row["bus"] > meant["bus"]
    assert meant["road"] - row["road"] > 14


@pytest.fixture
def recorded(monkeypatch) -> dict:
    def outcome(level):
        rows = [
            {
                "name": gamma,
                "miou": [level, level + 0.02],
                "miou_best": [level + 0.05, level + 0.05],
                "best_step": [100, 200],
                "curves": [
                    {"step": [100, 200], "val/miou": [0.1, level], "val/loss": [3.0, 4.0], "loss/main": [2.0, 1.0]}
                ]
                * 2,
            }
            for gamma in ("0", "2")
        ]
        return {
            "data": "A → B",
            "profile": "mini",
            "size": [96, 192],
            "steps": 300,
            "seeds": [0, 1],
            "report": {"data": "B", "split": "test", "images": 10},
            "selection": "last",
            "environment": {"date": "today", "hardware": "a CPU", "precision": "32-true", "commit": "abc"},
            "rows": rows,
        }

    kept = {"baitan2025.table5": outcome(0.2), "baitan2025.table7": outcome(0.1)}
    for module in (page, results):
        monkeypatch.setattr(module, "load_results", lambda name, pair, profile="mini", *_: kept.get(name))
    return kept


def test_recorded_trainings_with_the_step_of_their_best(recorded):
    shown = report.focal_seeds("minicity")
    assert list(shown.table.index) == ["SGD, γ = 0", "SGD, γ = 2", "Adam, γ = 0", "Adam, γ = 2"]
    assert shown.table.loc["Adam, γ = 2", "step of the best"] == "100, 200" and "abc" in shown.note
    assert shown.table.loc["SGD, γ = 2", "best less last"] == "4.0 ± 1.4"  # 5 and 3 points
    figure = report.focal_figure("minicity")
    marks = [float(line.get_xdata()[0]) for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert marks == pytest.approx([25, 21, 25, 21, 15, 11, 15, 11]) and "A → B, means over seeds" in texts(figure)
    curves = report.focal_curves_figure("minicity")
    np.testing.assert_allclose(curves.axes[0].lines[0].get_ydata(), [0.1, 0.2])
    np.testing.assert_allclose(curves.axes[1].lines[0].get_ydata(), [3.0, 4.0])
    np.testing.assert_allclose(curves.axes[2].lines[0].get_ydata(), [2.0, 1.0])


def test_results_from_before_the_steps_were_recorded(recorded):
    for outcome in recorded.values():
        for row in outcome["rows"]:
            row.pop("best_step")
            row.pop("curves")
    assert "step of the best" not in report.focal_seeds("minicity").table
    assert "have not been recorded" in str(report.focal_curves_figure("minicity"))


def test_what_is_not_recorded_is_said(recorded):
    recorded.pop("baitan2025.table7")
    for show in (report.focal_seeds, report.focal_figure, report.focal_curves_figure):
        assert str(show("minicity")).startswith("baitan2025.table7")


def test_a_sweep_records_each_evaluation_and_the_mean_loss_before_it(tmp_path):
    run = report.train_row(Lab("smoke", runs=tmp_path), "baitan2025.table5", "0")
    curves, metrics = curves_of(run), run.metrics
    evaluated = metrics.dropna(subset=["val/miou"])
    assert curves["step"] == evaluated["step"].tolist() == [4, 8]
    assert curves["val/miou"] == pytest.approx(evaluated["val/miou"].tolist(), abs=1e-5)
    first = metrics.loc[metrics["step"] <= 4, "loss/main"].mean()
    second = metrics.loc[metrics["step"] > 4, "loss/main"].mean()
    assert curves["loss/main"] == pytest.approx([first, second], abs=1e-4)


def test_gamma_zero_with_sgd_is_the_training_of_notebook_04(tmp_path):
    lab = Lab("smoke", runs=tmp_path)
    rows = {table: {row.name: row for row in SWEEPS[f"baitan2025.{table}"].rows} for table in ("table5", "table3")}
    ours, theirs = (experiment_of(row, lab).describe() for row in (rows["table5"]["0"], rows["table3"]["23"]))
    assert ours == theirs


# --- exercises --------------------------------------------------------------------------------------------------------


def test_the_hidden_solutions_are_right():
    names: dict = {"np": np}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_weight(names["weight"]).right
    assert exercises.check_ratio(names["ratio"]).right
    assert exercises.check_first_update(names["first_update"]).right


def right_ratio(p, gamma):
    return (1 - p) ** gamma * (1 - gamma * p * np.log(p) / (1 - p))


def corrected(gradient, rate, beta1, beta2):
    return -rate * np.sign(gradient)


WRONG = {
    exercises.check_weight: [
        (lambda p, gamma: None, "returns nothing"),
        (lambda p, gamma: p**gamma, "grows with p"),
        (lambda p, gamma: gamma * (1 - p), "exponent"),
        (lambda p, gamma: -((1 - p) ** gamma) * np.log(p), "factor alone"),
        (lambda p, gamma: (1 - p) ** (gamma + 1), "to the power"),
    ],
    exercises.check_ratio: [
        (lambda p, gamma: None, "returns nothing"),
        (lambda p, gamma: (1 - p) ** gamma, "derivative of its own"),
        (lambda p, gamma: right_ratio(p, gamma) * (1 - p), "gradient itself"),
        (lambda p, gamma: 1 / right_ratio(p, gamma), "Upside down"),
        (lambda p, gamma: -right_ratio(p, gamma), "positive"),
        (lambda p, gamma: 0.5, "autograd finds"),
        (lambda p, gamma: p / 0, "ZeroDivisionError"),
    ],
    exercises.check_first_update: [
        (lambda *case: None, "returns nothing"),
        (lambda *case: -corrected(*case), "minus"),
        (lambda gradient, rate, one, two: -rate * gradient, "plain SGD"),
        (lambda gradient, rate, one, two: -rate * (1 - one) / (1 - two) ** 0.5 * np.sign(gradient), "hats"),
        (lambda gradient, rate, one, two: -2 * rate * np.sign(gradient), "torch.optim.Adam moves by"),
    ],
}


@pytest.mark.parametrize(
    ("check", "attempt", "hint"), [(check, *case) for check, cases in WRONG.items() for case in cases]
)
def test_a_wrong_answer_gets_the_hint_that_helps(check, attempt, hint):
    answer = check(attempt)
    assert not answer.right and hint in answer.message

"""Differences of recorded rows, seed by seed, and scores with their loss."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.segmentation import MeanIoU

from labkit import report
from labkit.data.dataset import Sample
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.predict import evaluate, evaluate_with_loss
from labkit.labels import IGNORE, NUM_CLASSES
from labkit.models.output import SegmentationOutput
from labkit.profiles import PROFILES, profile_named
from labkit.report import differences
from labkit.report.results import load_results


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    outcome = load_results("baitan2025.table2", "minicity")
    for sweep, scores in (("baitan2025.table2", {"source only": [0.1, 0.2, 0.4]}), ("baitan2025.table3", None)):
        scores = scores or {"1": [0.2, 0.2, 0.2], "2": [0.11, 0.21, 0.41]}
        rows = [outcome["rows"][0] | {"name": name, "miou": values} for name, values in scores.items()]
        value = outcome | {"sweep": sweep, "seeds": [0, 1, 5], "rows": rows}
        (tmp_path / f"{sweep}.minicity.mini.json").write_text(json.dumps(value))

    def load(name, pair, profile="mini"):
        return load_results(name, pair, profile, tmp_path)

    monkeypatch.setattr(differences, "load_results", load)


def test_differences_are_paired_by_seed(recorded):
    shown = report.recorded_differences("baitan2025.table3", "minicity", "source only", of="baitan2025.table2")
    table = shown.table
    assert table.loc["1", "seed by seed"] == "+10.0, +0.0, -20.0"
    assert table.loc["1", "mean"] == f"{np.mean([10, 0, -20]):+.1f} ± {np.std([10, 0, -20], ddof=1):.1f}"
    assert table.loc["2", "mean"] == "+1.0 ± 0.0", "the spread of the pairs, not of the rows"
    assert "MiniCity" in table.index.name and "Recorded" in shown.note


def test_a_baseline_of_the_same_sweep_is_not_compared_with_itself(recorded):
    shown = report.recorded_differences("baitan2025.table3", "minicity", "2")
    assert list(shown.table.index) == ["1"]


def test_an_unknown_baseline_and_a_missing_seed_are_errors(recorded, monkeypatch):
    with pytest.raises(UnknownNameError, match="known: source only"):
        report.recorded_differences("baitan2025.table3", "minicity", "oracle", of="baitan2025.table2")
    outcome = differences.load_results("baitan2025.table2", "minicity")
    other = {"baitan2025.table2": outcome, "baitan2025.table3": outcome | {"seeds": [0, 1, 7]}}
    monkeypatch.setattr(differences, "load_results", lambda name, *_: other[name])
    with pytest.raises(LabError, match=r"\[7\]"):
        report.recorded_differences("baitan2025.table3", "minicity", "source only", of="baitan2025.table2")


def test_what_is_not_recorded_is_said(recorded):
    assert "has not been recorded" in str(report.recorded_differences("yan2022.table1", "minicity", "x", "smoke"))


# --- a score and its loss --------------------------------------------------------------------------------------------


class Scores(nn.Module):
    """A network whose logits are a fixed function of the pixel."""

    def forward(self, images):
        ramp = torch.linspace(-1, 1, NUM_CLASSES).reshape(1, -1, 1, 1)
        return SegmentationOutput(3 * torch.sin(5 * ramp + images.mean(dim=1, keepdim=True)), (), {})


class Pictures(list):
    name, split, evaluation = "drawn", "val", "miou"


def drawn(count: int, void: float) -> Pictures:
    rng = np.random.default_rng(0)
    found = Pictures()
    for number in range(count):
        label = rng.integers(0, NUM_CLASSES, (6, 7)).astype(np.uint8)
        label[rng.random(label.shape) < void * (number + 1) / count] = IGNORE
        image = rng.integers(0, 256, (6, 7, 3)).astype(np.uint8)
        found.append(Sample(image=image, label=label, name=str(number)))
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_loss_is_the_mean_over_all_labelled_pixels(batch_size):
    from labkit.evaluation.predict import normalized

    data = drawn(5, 0.9)
    scores, loss = evaluate_with_loss(Scores(), data, batch_size=batch_size)
    images = torch.from_numpy(np.stack([sample.image for sample in data])).permute(0, 3, 1, 2)
    log_p = Scores()(normalized(images)).logits.double().log_softmax(dim=1).numpy()
    labels = np.stack([sample.label for sample in data])
    naive = [-log_p[n, labels[n, y, x], y, x] for n, y, x in np.ndindex(*labels.shape) if labels[n, y, x] != IGNORE]
    assert loss == pytest.approx(np.mean(naive), rel=1e-5)
    assert (scores.confusion == evaluate(Scores(), data).confusion).all()
    referee = MeanIoU(NUM_CLASSES, include_background=True, per_class=True, input_format="index")
    valid = torch.from_numpy(labels != IGNORE)
    predicted = torch.from_numpy(log_p.argmax(1))
    referee.update(predicted[valid][None], torch.from_numpy(labels).long()[valid][None])
    assert [scores.iou[name] for name in scores.iou] == pytest.approx(referee.compute().tolist(), abs=1e-6)


def test_without_a_labelled_pixel_there_is_no_loss():
    data = drawn(2, 0)
    for sample in data:
        sample.label[:] = IGNORE
    assert np.isnan(evaluate_with_loss(Scores(), data)[1])


# --- a profile with a number of steps --------------------------------------------------------------------------------


def test_a_profile_may_carry_its_steps():
    longer = profile_named("mini-900")
    assert (longer.name, longer.steps, longer.height) == ("mini-900", 900, PROFILES["mini"].height)
    assert "mini-900" not in PROFILES


@pytest.mark.parametrize("name", ["paper-900", "mini-0", "mini-", "mini--5", "900", "maxi-900", "mini-9.5", "mini-007"])
def test_other_endings_are_unknown_profiles(name):
    with pytest.raises(UnknownNameError, match="known: gpu, mini, paper, scratch, smoke"):
        profile_named(name)

"""What notebook 09 draws, measures and says: against naive versions, printed numbers, and pictures made for it."""

from __future__ import annotations

import io
import json
import math
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from labkit import plots, report
from labkit.data.class_database import build_class_database
from labkit.data.dataset import Sample
from labkit.errors import LabError
from labkit.evaluation import binary_losses as binary
from labkit.evaluation.confidence import class_confidence, thresholds_over
from labkit.evaluation.gradients import gradient_norms
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES, EVALUATIONS
from labkit.losses import unsupervised
from labkit.models.output import SegmentationOutput
from labkit.report import results
from labkit.report import unsupervised as page

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (32, 64, 3), dtype=np.uint8)
LABEL = np.repeat(np.arange(32, dtype=np.uint8)[:, None] // 8, 64, axis=1)
INSIDE = np.linspace(0.01, 0.99, 99)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def some_metrics(step: float = 0.0) -> pd.DataFrame:
    table = pd.DataFrame({"step": [10, 20, 30], "loss/main": [1.0, 0.5, 0.4]})
    for index, name in enumerate(CLASS_NAMES):
        table[f"threshold/{name}"] = 0.8 - np.array([0.0, 0.01, 0.02]) * index - step
    return table


def some_curves() -> dict[str, plots.Curve]:
    dots = np.array([0.2, 0.6])
    focal = plots.Curve(binary.focal_line(INSIDE, 0.6, 2), binary.focal_line(dots, 0.6, 2), 0.605)
    return {"Shannon": plots.Curve(binary.shannon_line(INSIDE)), "focal": focal}


FIGURES = {
    "binary": lambda: plots.binary_losses(INSIDE, some_curves(), np.array([0.2, 0.6])),
    "thresholds": lambda: plots.class_thresholds(
        np.array([np.nan, *np.linspace(0.9, 0.3, 18)]),
        np.full(19, 0.7),
        {"above 0.8": np.array([np.nan, *np.linspace(1, 0, 18)]), "above α": np.full(19, 0.3)},
    ),
    "paths": lambda: plots.threshold_paths({"stage 1": some_metrics(), "stage 2": some_metrics(0.1)}),
    "maps": lambda: plots.map_rows(
        [{"a": PICTURE, "b": LABEL}, {"c": LABEL > 1, "d": LABEL / 4.0}, {"e": LABEL, "f": PICTURE}]
    ),
    "weights": lambda: plots.scores_by_weight(
        {"Shannon": ((0.005, 0.01, 0.1), np.array([[0.1, 0.2, 0.15]])), "Focal": ((0.01, 0.1), np.full((2, 2), 0.2))},
        axis="λ_u",
        title="A → B",
        marks={"Shannon": 0.01, "Focal": 0.01},
    ),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_every_figure_draws_cleanly(name):
    figure = FIGURES[name]()
    pixels = np.asarray(Image.open(io.BytesIO(figure.png())).convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    sizes = [t.get_fontsize() for t in figure.findobj(matplotlib.text.Text) if t.get_text().strip()]
    assert min(sizes) >= 9


def test_maps_are_drawn_by_what_they_are():
    figure = FIGURES["maps"]()
    shown = {ax.get_title(loc="left"): np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images}
    np.testing.assert_array_equal(shown["a"], PICTURE)
    assert set(np.unique(shown["c"])) == {45, 255} and (shown["c"][LABEL > 1] == 255).all()
    assert shown["d"][0, 0].sum() > shown["d"][-1, 0].sum()  # dark is large
    assert {"road", "sidewalk", "building", "wall"} <= set(texts(figure))
    for wrong, words in (
        ([{"a": PICTURE}, {"b": PICTURE, "c": PICTURE}], "as many to each"),
        ([{"a": PICTURE, "b": LABEL[:, :30]}], "different shapes"),
        ([{"a": LABEL.astype(np.int64)}], "neither picture"),
    ):
        with pytest.raises(LabError, match=words):
            plots.map_rows(wrong)


def test_threshold_paths_have_a_panel_for_each_class():
    figure = FIGURES["paths"]()
    assert set(CLASS_NAMES) <= set(texts(figure))
    with pytest.raises(LabError, match="hold no thresholds"):
        plots.threshold_paths({"baseline": some_metrics()[["step", "loss/main"]]})


def test_the_surest_class_is_on_top_and_its_bars_are_its_shares():
    left, right = FIGURES["thresholds"]().axes
    assert left.get_yticklabels()[0].get_text() == "sidewalk" and "not predicted" in [t.get_text() for t in left.texts]
    assert right.containers[0][0].get_width() == 1.0 and right.containers[1][0].get_width() == 0.3


# --- two classes ------------------------------------------------------------------------------------------------------

LINES = {
    "Shannon": (binary.shannon_line, unsupervised.shannon_entropy),
    "squares": (binary.squares_line, unsupervised.maximum_squares),
    **{
        f"γ = {gamma}": (
            lambda p, gamma=gamma: binary.focal_line(p, 0.6, gamma),
            lambda z, gamma=gamma: (
                unsupervised.shannon_entropy(z) + unsupervised.adjusted_divergence(binary.pixel(0.6), z, gamma)
            ),
        )
        for gamma in (0, 0.5, 1, 2, 3)
    },
}


@pytest.mark.parametrize("name", LINES)
def test_formulas_slopes_and_the_library_agree(name):
    line, loss = LINES[name]
    at, step = np.array([0.05, 0.3, 0.5, 0.7, 0.95]), 1e-6
    found, seen = line(at), binary.measured(loss, at)
    np.testing.assert_allclose(found.loss, seen.loss, atol=1e-12)
    np.testing.assert_allclose(found.slope, seen.slope, atol=1e-10)
    differences = (line(at + step).loss - line(at - step).loss) / (2 * step)
    np.testing.assert_allclose(found.slope, differences, atol=1e-6)


def test_the_printed_minimum_is_that_of_gamma_one():
    assert [round(binary.least_at(0.6, gamma), 3) for gamma in (0, 1, 2)] == [0.824, 0.665, 0.605]
    assert f"{binary.least_at(0.6, 0):.2f}" == "0.82" and abs(binary.least_at(0.6, 1) - 0.67) < 0.01


# --- confidence -------------------------------------------------------------------------------------------------------


class Listed:
    """A data set of given samples."""

    evaluation = "miou"

    def __init__(self, samples, name="listed", split="test"):
        self.samples, self.name, self.split = samples, name, split

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def fingerprint(self):
        return {"name": self.name}


class ByColour(nn.Module):
    """Logits are a fixed linear map of the pixel's colour: 19 classes, and what it says depends on the pixel alone."""

    num_classes = 19

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 19, 1)
        torch.manual_seed(0)
        nn.init.normal_(self.mix.weight, std=1.5)

    def forward(self, images):
        return SegmentationOutput(self.mix(images), (), {})


@pytest.fixture
def streets():
    random = np.random.default_rng(1)
    samples = []
    for index in range(4):
        label = random.integers(0, 19, (24, 48)).astype(np.uint8)
        label[:3] = 255
        samples.append(Sample(random.integers(0, 256, (24, 48, 3)).astype(np.uint8), label, f"street {index}"))
    return Listed(samples)


def probabilities_of(network, sample) -> np.ndarray:
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = (sample.image / 255 - mean) / std
    weight, bias = (one.detach().double().numpy() for one in (network.mix.weight[..., 0, 0], network.mix.bias))
    logits = pixels @ weight.T + bias
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_confidence_by_class_is_the_naive_count(streets):
    network, thresholds = ByColour(), torch.linspace(0.3, 0.9, 19)
    found = class_confidence(network, streets, thresholds)
    for c in range(19):
        pixels = confidence = entropy = passing = labelled = wrong = both = 0
        for sample in streets.samples:
            p = probabilities_of(network, sample)
            said, sure = p.argmax(-1) == c, p.max(-1)
            known = sample.label != 255
            above = sure > thresholds[c].item()
            pixels += said.sum()
            confidence += sure[said].sum()
            entropy += -(p[said] * np.log(p[said])).sum()
            passing += (said & above).sum()
            labelled += (said & known).sum()
            wrong += (said & known & (sample.label != c)).sum()
            both += (said & known & above & (sample.label != c)).sum()
        got = (found.pixels[c], found.passing[c], found.labelled[c], found.wrong[c], found.passing_wrong[c])
        assert got == (pixels, passing, labelled, wrong, both)
        assert found.confidence[c] == pytest.approx(confidence, abs=1e-3)
        assert found.entropy[c] == pytest.approx(entropy, abs=1e-3)
    seen = found.pixels > 0
    assert np.isnan(found.mean_confidence[~seen]).all() and (found.mean_confidence[seen] > 1 / 19).all()


def test_merged_classes_are_right_for_the_class_they_were_merged_into(streets):
    network, merge = ByColour(), np.array(EVALUATIONS["miou11"].merge)
    said = [probabilities_of(network, one).argmax(-1) for one in streets.samples]
    merged = Listed([one._replace(label=merge[p]) for one, p in zip(streets.samples, said, strict=True)])
    merged.evaluation = "miou11"
    assert class_confidence(network, merged, 0.0).wrong.sum() == 0


def test_thresholds_of_a_still_network_follow_the_pictures_in_order(streets):
    network = ByColour()
    alpha = np.full(19, 0.8)
    for sample in streets.samples:
        p = probabilities_of(network, sample).reshape(-1, 19)
        said, sure = p.argmax(1), p.max(1)
        for c in np.unique(said):
            ranked = np.sort(sure[said == c])[::-1]
            place = max(math.floor(0.8 * math.exp(alpha[c] - 1) ** 8 * len(ranked)), 1)
            alpha[c] = 0.9 * alpha[c] + 0.1 * ranked[place - 1]
    np.testing.assert_allclose(thresholds_over(network, streets).numpy(), alpha, atol=2e-3)
    assert (thresholds_over(network, streets, a=1.0) == torch.tensor(0.8)).all()


def test_a_frozen_network_is_reached_by_nothing():
    free, frozen = nn.Linear(2, 1), nn.Linear(2, 1).requires_grad_(False)
    norms = gradient_norms((free(torch.ones(2)) + frozen(torch.ones(2))).sum(), {"free": free, "frozen": frozen})
    assert norms["frozen"] is None and norms["free"] == pytest.approx(math.sqrt(3))


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_what_g_brings_in_from_outside_does_not_count(streets):
    rows = report.perturbation_rows(ByColour(), streets[0], threshold=0.3)
    assert [next(iter(row)) for row in rows] == list(page.PERTURBATIONS)
    still, coloured, moved, both = ([*row.values()] for row in rows)
    np.testing.assert_array_equal(still[1], still[2])  # nothing was done: the views agree
    assert np.abs(still[0].astype(int) - streets[0].image).max() <= 1
    np.testing.assert_array_equal(coloured[1], still[1])
    for row in (moved, both):
        outside = row[1] == 255
        assert outside.any() and not row[3][outside].any()


def test_frames_of_masks_say_what_passes(streets):
    network, sample = ByColour(), streets[0]
    frames, labels = report.mask_frames(
        network, streets, 0, {"t = 0": 0.0, "t = 1": 1.0, "own": torch.full((19,), 0.5)}
    )
    p = probabilities_of(network, sample)
    known = sample.label != 255
    wrong = (p.argmax(-1) != sample.label)[known].mean()
    assert len(frames) == 3 and labels[0] == f"t = 0: 100 % pass, {100 * wrong:.0f} % of them wrong"
    assert labels[1] == "t = 1: 0 % pass, – of them wrong"
    assert labels[2].startswith(f"own: {100 * (p.max(-1) > 0.5).mean():.0f} % pass")


def test_a_mixed_picture_is_source_inside_of_the_mask_and_target_outside():
    lab = Lab("smoke")
    thresholds = torch.full((19,), 0.8)
    labeller = ByColour()
    state = torch.random.get_rng_state()
    given = (lab.source(), lab.unlabelled_target(), labeller, thresholds, build_class_database(lab.source()))
    rows = report.mixing_rows(*given, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    (x_s, x_long, x_t, x_m), (y_s, y_long, pseudo, y_m), (pasted, mask, dark, wrong) = ([*r.values()] for r in rows)
    np.testing.assert_array_equal(x_m, np.where(mask[..., None], x_long, x_t))
    np.testing.assert_array_equal(y_m, np.where(mask, y_long, pseudo))
    np.testing.assert_array_equal(x_long[~pasted], x_s[~pasted])
    np.testing.assert_array_equal(y_long[~pasted], y_s[~pasted])
    classes = set(np.unique(y_long)) - {255}
    assert set(np.unique(y_long[mask])) < classes and len(np.unique(y_long[mask])) == (len(classes) + 1) // 2
    assert set(np.unique(dark)) <= {0.0, 1.0} and not wrong[mask].any()
    again = report.mixing_rows(*given, seed=3)
    np.testing.assert_array_equal([*again[0].values()][3], x_m)


def test_both_readings_of_the_sentence_stand_side_by_side():
    alpha = torch.tensor([0.9, 0.3] + [0.8] * 17)
    table = report.pasting_table(alpha, (0, 1))
    assert list(table.index) == ["sidewalk", "road"]
    ours, other = (table[name].astype(float) for name in table.columns[1:])
    assert ours["sidewalk"] / ours["road"] == pytest.approx(9.2, abs=0.1)
    assert other["sidewalk"] / other["road"] == pytest.approx(math.exp(0.6), abs=0.01)


# --- tables -----------------------------------------------------------------------------------------------------------


class SmallLab:
    """As much of a lab as the tables of certainty need."""

    def __init__(self, dataset):
        self.dataset = dataset

    def target(self):
        return self.dataset


def test_certainty_is_counted_over_all_classes(streets):
    network = ByColour()
    p = np.stack([probabilities_of(network, one) for one in streets.samples])
    truth = np.stack([one.label for one in streets.samples])
    sure, wrong, known = p.max(-1) > 0.8, p.argmax(-1) != truth, truth != 255
    row = report.certainty_table({"one": network}, SmallLab(streets)).table.loc["one"]
    assert float(row["mean entropy, nats"]) == pytest.approx(-(p * np.log(p)).sum(-1).mean(), abs=0.006)
    assert float(row["above 0.8, %"]) == pytest.approx(100 * sure.mean(), abs=0.06)
    assert float(row["of these wrong, %"]) == pytest.approx(100 * wrong[sure & known].mean(), abs=0.06)
    assert float(row["of all wrong, %"]) == pytest.approx(100 * wrong[known].mean(), abs=0.06)
    assert float(row["of the wrong above 0.8, %"]) == pytest.approx(100 * sure[wrong & known].mean(), abs=0.06)
    by_class = report.sure_and_wrong({"one": network}, SmallLab(streets))
    said, c = p.argmax(-1), np.bincount(p.argmax(-1).ravel(), minlength=19).argmax()
    assert by_class.table.index[0] == CLASS_NAMES[c]
    assert float(by_class.table["one", "above 0.8"].iloc[0]) == pytest.approx(100 * sure[said == c].mean(), abs=0.06)
    assert "behind the curtain" in by_class.note and "4 pictures" in by_class.note


def a_row(name: str, *miou: float) -> dict:
    names = [CLASS_NAMES[i] for i in EVALUATIONS["miou"].train_ids]
    absent = ("terrain", "truck", "train")
    iou = {one: [value + (0.19 if one in absent else 0) for value in miou] for one in names}
    over_all = [value + 0.03 for value in miou]
    return {"name": name, "miou": over_all, "miou_best": over_all, "iou": iou}


def an_outcome(sweep: str, pair: str, rows: list[dict]) -> dict:
    return {
        "sweep": sweep,
        "pair": pair,
        "data": "A → B",
        "profile": "mini",
        "size": [96, 192],
        "steps": 300,
        "seeds": list(range(len(rows[0]["miou"]))),
        "report": {"data": "B", "split": "test", "images": 100, "evaluation": "miou"},
        "selection": "last",
        "rows": rows,
        "environment": {"hardware": "a machine", "precision": "32-true", "commit": "abc", "date": "today"},
    }


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Write an outcome where the page will look for it."""
    monkeypatch.setattr(page, "load_results", lambda *of: results.load_results(*of, folder=tmp_path))
    monkeypatch.setattr(page, "recorded_seeds", lambda *of: results.recorded_seeds(*of, folder=tmp_path))

    def write(sweep: str, pair: str, rows: list[dict]):
        (tmp_path / f"{sweep}.{pair}.mini.json").write_text(json.dumps(an_outcome(sweep, pair, rows)))

    return write


def test_fixed_thresholds_stand_below_the_paper(recorded):
    empty = report.recorded_thresholds("minicity-toon")
    paper, ours = "paper: SYNTHIA → Cityscapes val, 13 classes", "ours: MiniCity toon → MiniCity real, 13 classes"
    assert empty.table.loc[f"Shannon, {paper}", "t = 0.4"] == "50.6"
    assert empty.table.loc[f"Shannon, {ours}", "t = 0.4"] == "not recorded"
    assert empty.table.loc[f"Shannon, {ours}", "t dynamic"] == "–" and "has not been recorded" in empty.note
    recorded("yan2022.table6", "minicity-toon", [a_row("Shannon, 0.4", 0.2, 0.3), a_row("Focal, dynamic", 0.1)])
    table = report.recorded_thresholds("minicity-toon").table
    own = {row.partition(",")[0]: row for row in table.index if "ours" in row}
    assert table.loc[own["Shannon"], "t = 0.4"] == "25.0" and table.loc[own["Focal"], "t dynamic"] == "10.0"
    assert table.loc[own["Focal"], "t = 0.2"] == "not recorded" and all("13 classes" in row for row in own.values())


def test_means_over_sixteen_classes_are_means_over_sixteen(recorded):
    assert "has not been recorded" in str(report.recorded_means("yan2022.stages", "minicity-toon"))
    recorded("yan2022.stages", "minicity-toon", [a_row("Stage 1", 0.23, 0.43)])
    row = report.recorded_means("yan2022.stages", "minicity-toon").table.loc["Stage 1"]
    assert row["over 19 classes"].startswith("36.0 ±") and row["over 16 classes"].startswith("33.0 ±")
    assert row["over 13 classes"] == "33.0 ± 14.1"


def test_weights_are_drawn_with_the_papers_choice(recorded):
    assert "has not been recorded" in str(report.weights_figure("yan2022.figure7", "minicity"))
    rows = [
        a_row(f"Shannon, {weight}", score) for weight, score in ((0.1, 0.1), (0.05, 0.2), (0.01, 0.3), (0.005, 0.2))
    ]
    recorded("yan2022.figure7", "minicity", rows)
    ax = report.weights_figure("yan2022.figure7", "minicity").axes[0]
    assert list(ax.lines[0].get_xdata()) == [0.005, 0.01, 0.05, 0.1]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [23, 33, 23, 13])
    assert [text.xy[0] for text in ax.texts] == [0.01] and "A → B" in ax.get_title(loc="left")
    recorded("yan2022.figure8", "minicity", [a_row("0.4", 0.1), a_row("1.0", 0.2)])
    ax = report.weights_figure("yan2022.figure8", "minicity").axes[0]
    assert [text.xy[0] for text in ax.texts] == [1.0] and ax.get_xlabel() == "λ_m"


def test_costs_are_those_of_the_networks(tmp_path):
    run = SimpleNamespace(
        result={"seconds": 120.0},
        description={"model": {"name": "bisenet"}},
        scores=SimpleNamespace(miou=0.25),
    )
    table = report.adaptation_costs(Lab("smoke", runs=tmp_path), {"a": run}, {"b": run}, repeats=2)
    ours = table.table.loc["BiSeNet, here, 48×96"]
    assert ours["parameters, M"] == "12.07" and ours["training"] == "4.0 min" and ours["mIoU, %"].startswith("25.0,")
    assert table.table.loc["DeepLabV2, here, 48×96", "training"] == "not trained here"
    assert "BiSeNet 103 G" in table.note and table.table.iloc[0]["multiply-adds, G"] == "121"

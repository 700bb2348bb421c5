"""What notebook 04 measures and draws, and its exercises: against naive versions and printed numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from torch import nn
from torchvision.transforms.v2 import functional as torchvision_functional

from labkit import plots, report
from labkit.data.augmented import Augmented, augmented_draws
from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.picture_statistics import PictureStatistics, class_colours, picture_statistics
from labkit.data.transforms import Augmentation
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.invariance import feature_movement, mean_distance, movement, spread
from labkit.exercises import augmentations as exercises
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES
from labkit.models.output import SegmentationOutput
from labkit.papers import load
from labkit.report import augmentations as page
from labkit.report import results
from labkit.report.plans import experiment_of
from labkit.report.sweep_tables import SWEEPS

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "04_augmentations.ipynb"
EACH = {name: Augmentation(**{name: 1.0}) for name in ("flip", "jitter", "blur")}


def noise(height: int = 32, width: int = 48, seed: int = 0) -> Sample:
    draws = np.random.default_rng(seed)
    image = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
    label = draws.integers(0, 19, (height, width)).astype(np.uint8)
    label[:3] = 255
    return Sample(image, label, f"noise {seed}")


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


# --- data -------------------------------------------------------------------------------------------------------------


def test_a_draw_without_augmentation_is_the_picture():
    sample = noise()
    for draw in augmented_draws(sample, Augmentation(), 3):
        assert draw.image.dtype == draw.label.dtype == np.uint8 and draw.name == sample.name
        np.testing.assert_array_equal(draw.image, sample.image)
        np.testing.assert_array_equal(draw.label, sample.label)


def test_a_flip_moves_picture_and_labels_together():
    sample = noise()
    (draw,) = augmented_draws(sample, EACH["flip"], 1)
    mirrored = torchvision_functional.horizontal_flip(torch.from_numpy(sample.image).permute(2, 0, 1))
    np.testing.assert_array_equal(draw.image, mirrored.permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(draw.label, np.fliplr(sample.label))
    flipped = [not np.array_equal(d.label, sample.label) for d in augmented_draws(sample, Augmentation(flip=0.5), 40)]
    assert 8 < sum(flipped) < 32


def test_jitter_and_blur_leave_the_labels_alone():
    sample = noise()
    for name in ("jitter", "blur"):
        for draw in augmented_draws(sample, EACH[name], 3):
            np.testing.assert_array_equal(draw.label, sample.label)
            assert not np.array_equal(draw.image, sample.image)


def test_twice_the_range_is_twice_the_change():
    grey = Sample(np.full((32, 48, 3), 100, np.uint8), np.zeros((32, 48), np.uint8), "grey")
    colourless = {"jitter": 1.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    weak, strong = (
        [d.image.mean() - 100 for d in augmented_draws(grey, Augmentation(brightness=b, **colourless), 5)]
        for b in (0.25, 0.5)
    )
    np.testing.assert_allclose(np.array(strong), 2 * np.array(weak), atol=1.5)
    assert np.ptp(strong) > 10


def test_augmented_is_a_data_set_of_the_same_pictures_each_time(squares):
    data = Augmented(squares(), Augmentation(jitter=1.0, flip=0.5), seed=3)
    assert isinstance(data, SegmentationDataset) and len(data) == len(squares())
    np.testing.assert_array_equal(data[4].image, data[4].image)
    assert not np.array_equal(data[4].image, Augmented(squares(), Augmentation(jitter=1.0), seed=4)[4].image)
    assert json.dumps(data.fingerprint()) != json.dumps(Augmented(squares(), Augmentation(jitter=1.0)).fingerprint())
    with pytest.raises(IndexError):
        data[len(data)]


def test_picture_statistics_against_loops(squares):
    found = picture_statistics(squares())
    for index in range(12):
        image = squares()[index].image.astype(float)
        assert found.means[index] == pytest.approx([image[..., c].mean() for c in range(3)])
        luma = 0.2989 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
        steps = [abs(luma[y, x + 1] - luma[y, x]) for y in range(32) for x in range(63)]
        assert found.detail[index] == pytest.approx(np.mean(steps))


def test_what_each_augmentation_does_to_the_statistics(squares):
    plain = picture_statistics(squares())
    changed = {name: picture_statistics(Augmented(squares(), change)) for name, change in EACH.items()}
    np.testing.assert_allclose(changed["flip"].means, plain.means)
    np.testing.assert_allclose(changed["flip"].detail, plain.detail)
    assert np.abs(changed["blur"].means - plain.means).max() < 3 and (changed["blur"].detail <= plain.detail).all()
    assert changed["jitter"].means.std(0).max() > 1.5 * plain.means.std(0).max()


def test_class_colours_are_means_over_the_classes_pixels(squares):
    found = class_colours(squares())
    images = np.stack([squares()[i].image for i in range(12)]).astype(float)
    labels = np.stack([squares()[i].label for i in range(12)])
    for index, name in enumerate(CLASS_NAMES):
        if (labels == index).any():
            np.testing.assert_allclose(found[name], images[labels == index].mean(0))
        else:
            assert np.isnan(found[name]).all()
    merged = class_colours(squares(), "miou11")
    building = images[(labels == 2) | (labels == 3)].mean(0)  # CamVid counts walls as buildings
    np.testing.assert_allclose(merged["building"], building)
    assert "wall" not in merged


# --- invariance -------------------------------------------------------------------------------------------------------


def test_movement_and_distance_in_units_of_the_spread():
    before = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    assert spread(before) == pytest.approx(2**0.5)
    assert movement(before, before) == 0
    away = before + np.array([3.0, 4.0])
    assert movement(before, away) == pytest.approx(5 / 2**0.5)
    assert mean_distance(before, away) == pytest.approx(5 / 2**0.5)
    swapped = before[::-1]  # the means agree, the pictures have moved
    assert mean_distance(before, swapped) == 0 and movement(before, swapped) == pytest.approx(2.0)


class Means(nn.Module):
    """Features that are the picture's channels: pooled, their means."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return SegmentationOutput(images[:, :1], (), {"backbone": self.scale * images})


def test_means_do_not_notice_a_flip_and_notice_jitter(squares):
    found = feature_movement(Means(), squares(), EACH)
    assert list(found) == list(EACH)
    assert found["flip"] == pytest.approx(0, abs=1e-5) and found["blur"] < 0.2 < found["jitter"]


# --- figures ----------------------------------------------------------------------------------------------------------


def test_label_maps_stand_where_they_differ():
    sample = noise()
    figure = plots.augmentation_draws(
        {
            "flip": augmented_draws(sample, Augmentation(flip=0.5), 4, 1),
            "jitter": augmented_draws(sample, EACH["jitter"], 4),
        }
    )
    pictures = [ax for ax in figure.axes if ax.images]
    assert len(pictures) == 12 and {"flip", "jitter"} <= set(texts(figure))
    shown = pictures[0].images[0].get_array()
    np.testing.assert_array_equal(shown, augmented_draws(sample, Augmentation(flip=0.5), 4, 1)[0].image)
    with pytest.raises(LabError, match="equally many"):
        plots.augmentation_draws({"a": [sample], "b": [sample, sample]})


def test_picture_statistics_are_drawn_as_dots_with_their_mean():
    sets = {
        name: PictureStatistics(np.full((5, 3), level) + np.arange(5)[:, None], np.arange(5.0) + row)
        for row, (name, level) in enumerate((("source", 90.0), ("jitter", 100.0), ("target", 120.0)))
    }
    figure = plots.picture_statistics_figure(sets)
    red = figure.axes[0]
    dots = [line for line in red.lines if len(line.get_xdata()) == 5]
    np.testing.assert_allclose([line.get_xdata().mean() for line in dots], [92, 102, 122])
    assert "92 ± 1" in texts(figure) and "122 ± 1" in texts(figure)
    with pytest.raises(LabError, match="two sets"):
        plots.picture_statistics_figure({"source": sets["source"]})


def test_bars_are_as_long_as_the_movement():
    figure = plots.movement_bars({"a": {"flip": 0.5, "blur": 2.0}, "b": {"flip": 0.25, "blur": 1.0}}, title="movement")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == [0.5, 2.0, 0.25, 1.0] and "2.00" in texts(figure)
    with pytest.raises(LabError, match="same changes"):
        plots.movement_bars({"a": {"flip": 0.5}, "b": {"blur": 1.0}}, title="")


def test_differences_are_written_and_coloured_by_their_sign():
    points = np.array([[10.0, -10.0], [0.0, np.nan]])
    figure = plots.difference_map(points, ["road", "mIoU"], ["flip", "blur"], title="data")
    assert {"+10.0", "−10.0", "0.0", "–"} <= set(texts(figure))
    image = figure.axes[0].images[0]
    colours = image.cmap(image.norm(points[0]))
    assert colours[0][2] > colours[0][0] and colours[1][0] > colours[1][2], "blue above zero, orange below"
    with pytest.raises(LabError, match="shape"):
        plots.difference_map(points, ["road"], ["flip", "blur"], title="data")


def test_every_class_has_a_dot_and_absent_ones_have_none():
    across = {"road": 1.0, "car": 2.0, "bus": float("nan")}
    figure = plots.class_scatter(across, {"road": 5.0, "car": -3.0, "bus": 1.0}, names=("across", "up"))
    dots = [tuple(line.get_xydata()[0]) for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert dots == [(1.0, 5.0), (2.0, -3.0)]
    assert {"road", "car"} <= set(texts(figure)) and "bus" not in texts(figure)


# --- the paper's table and ours ---------------------------------------------------------------------------------------


def test_the_published_means_are_the_means_of_their_rows():
    table = report.published_augmentations()
    assert list(table) == ["source only", "flip", "jitter", "blur", "flip + jitter", "jitter + blur", "all three"]
    np.testing.assert_allclose(table.drop(index="mIoU").mean(), table.loc["mIoU"], atol=0.006)
    assert table.loc["road", "all three"] == load("baitan2025", "table3").loc["123", "road"] == 83.62


def test_parts_and_combinations_of_the_published_table():
    found = report.additivity(report.published_augmentations())
    assert list(found.index) == ["flip + jitter", "jitter + blur", "all three"]
    both = found.loc["jitter + blur"]
    assert both["sum of the parts"] == pytest.approx((23.07 - 18.76) + (15.71 - 18.76))
    assert both["measured"] == pytest.approx(25.57 - 18.76) and both["beyond"] == pytest.approx(5.55)


@pytest.fixture
def recorded(monkeypatch):
    """Two seeds of two rows, as a sweep records them."""

    def outcome(rows):
        return {
            "data": "A → B",
            "pair": "minicity",
            "profile": "mini",
            "size": [96, 192],
            "steps": 300,
            "seeds": [0, 1],
            "report": {"data": "B", "split": "test", "images": 10, "evaluation": "miou"},
            "selection": "last",
            "environment": {"date": "today", "hardware": "a CPU", "precision": "32-true", "commit": "abc"},
            "rows": [
                {"name": name, "miou": miou, "miou_best": miou, "iou": {"road": road, "train": [None, None]}}
                for name, miou, road in rows
            ],
        }

    kept = {
        "baitan2025.table2": outcome([("source only", [0.10, 0.12], [0.5, 0.7])]),
        "baitan2025.table3": outcome([("2", [0.2, 0.3], [0.8, 0.9]), ("13", [0.1, 0.1], [0.4, 0.4])]),
    }
    for module in (page, results):
        monkeypatch.setattr(module, "load_results", lambda name, pair, profile="mini", *_: kept.get(name))
    return kept


def test_recorded_rows_stand_beside_source_only(recorded):
    table = report.recorded_augmentations("minicity")
    assert list(table) == ["source only", "jitter", "flip + blur"] and "A → B" in table.columns.name
    assert table.loc["mIoU"].tolist() == pytest.approx([11, 25, 10])
    assert table.loc["road"].tolist() == pytest.approx([60, 85, 40]) and table.loc["train"].isna().all()
    seeds = report.augmentation_seeds("minicity")
    assert list(seeds.table.index) == ["source only", "jitter", "flip + blur"] and "abc" in seeds.note
    figure = report.difference_figure(table, "A → B")
    assert {"+25.0", "+14.0", "−20.0", "flip +\nblur"} <= set(texts(figure))


def test_what_is_not_recorded_is_said(recorded):
    recorded.pop("baitan2025.table3")
    assert report.recorded_augmentations("minicity") is None
    assert "table3" in str(report.recorded_additivity("minicity"))
    assert "not been recorded" in str(report.difference_figure(None, "A → B"))


def with_curves(outcome):
    for row in outcome["rows"]:
        row["curves"] = [{"step": [50, 100], "val/miou": [0.05, miou]} for miou in row["miou"]]


def test_recorded_curves_begin_with_source_only(recorded):
    for outcome in recorded.values():
        with_curves(outcome)
    (ax,) = report.augmentation_curves_figure("minicity").axes
    named = {line.get_label(): line.get_ydata() for line in ax.lines if not line.get_label().startswith("_")}
    assert list(named) == ["source only", "jitter", "flip + blur"]
    np.testing.assert_allclose(named["jitter"], [0.05, 0.25])
    assert "val/loss" in str(report.augmentation_curves_figure("minicity", "val/loss"))


def test_parts_and_combinations_seed_by_seed(recorded):
    single = {"flip": ("1", [0.11, 0.15]), "blur": ("3", [0.12, 0.14])}
    more = [{**recorded["baitan2025.table3"]["rows"][0], "name": n, "miou": miou} for n, miou in single.values()]
    recorded["baitan2025.table3"]["rows"] += more
    found = report.recorded_additivity("minicity")
    # source only 10, 12: flip +1, +3 and blur +2, +2 are +3, +5; both were measured at 10, 10: 0, -2
    assert found.loc["flip + blur"].tolist() == ["+4.0 ± 1.4", "-1.0 ± 1.4", "-5.0 ± 2.8"]
    assert list(found.index) == ["flip + blur"] and "A → B" in found.columns.name


def test_the_gain_is_that_of_trainings_with_the_same_seed(recorded, monkeypatch):
    both = {**recorded["baitan2025.table3"]["rows"][0], "name": "23", "miou": [0.20, 0.26]}
    recorded["baitan2025.table3"]["rows"].append(both)
    long = {**recorded["baitan2025.table2"], "profile": "scratch", "steps": 1000, "size": [256, 512]}
    long["rows"] = [*long["rows"], {**long["rows"][0], "name": "oracle", "miou": [0.5, 0.6]}]
    kept = {("mini", name): outcome for name, outcome in recorded.items()} | {
        ("scratch", "baitan2025.table2"): long,
        ("scratch", "baitan2025.adversarial"): {**long, "rows": [{**both, "name": "source only", "miou": [0.1, 0.1]}]},
    }
    monkeypatch.setattr(page, "load_results", lambda name, pair, profile="mini", *_: kept.get((profile, name)))
    shown = report.augmentation_gains("minicity")
    assert list(shown.table.index) == ["300 steps at 96×192", "1000 steps at 256×512"], "mini-900 is left out"
    assert shown.table["gain"].tolist() == ["+12.0 ± 2.8", "-1.0 ± 1.4"]  # (10, 14) and (0, -2)
    assert shown.table["oracle"].tolist() == ["–", "55.0 ± 7.1"] and shown.note.count("Recorded") == 2


# --- rows that a page trains ------------------------------------------------------------------------------------------


def test_a_page_asks_for_the_very_training_that_its_sweep_records(tmp_path):
    lab = Lab("smoke", runs=tmp_path)
    row = next(row for row in SWEEPS["baitan2025.table3"].rows if row.name == "23")
    asked = lab.experiment("bisenet", "source-only", jitter=0.5, blur=0.5).describe()
    assert experiment_of(row, lab).describe() == asked
    with pytest.raises(UnknownNameError, match="123"):
        report.train_row(lab, "baitan2025.table3", "24")
    with pytest.raises(UnknownNameError, match="table3"):
        report.train_row(lab, "baitan2025.table33", "23")


def test_rows_are_trained_once_and_not_without_data(tmp_path):
    lab = Lab("smoke", runs=tmp_path)
    first = report.train_rows(lab, {"jitter": ("baitan2025.table3", "2")})
    assert first["jitter"].finished and first["jitter"].description["recipe"]["jitter"] == 0.5
    again = report.train_row(lab, "baitan2025.table3", "2")
    assert again.folder == first["jitter"].folder and len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    absent = Lab("smoke", "gta5-cityscapes", runs=tmp_path, data=tmp_path)
    assert report.train_rows(absent, {"jitter": ("baitan2025.table3", "2")}) == {}


# --- exercises --------------------------------------------------------------------------------------------------------


@pytest.fixture
def changed() -> dict:
    return {name: augmented_draws(noise(), change, 1, seed=2)[0].image for name, change in EACH.items()}


def test_the_hidden_solutions_are_right(changed):
    names: dict = {"np": np, "before": noise().image, "changed": changed}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_unchanged(names["unchanged"]).right
    assert exercises.check_flip(names["mirror"]).right
    assert exercises.check_channel_means(names["largest"], noise().image, changed).right


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda count, chances: None, "returns nothing"),
        (lambda count, chances: float(np.prod([1 - c for c in chances])), "how many are there in the batch"),
        (lambda count, chances: count * (1 - float(np.prod([1 - c for c in chances]))), "how many are changed"),
        (lambda count, chances: count * (1 - sum(chances)), "multiply"),
        (lambda count, chances: count * 0.5 ** len(chances), "0.5 · 0.8"),
        (lambda count, chances: count / 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_expectation_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_unchanged(attempt)
    assert not answer.right and hint in answer.message


def in_place(image, label):
    image[:], label[:] = image[:, ::-1].copy(), label[:, ::-1].copy()
    return image, label


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda image, label: None, "returns nothing"),
        (lambda image, label: image[:, ::-1], "two things"),
        (lambda image, label: (image[:, ::-1], label), "Only the picture"),
        (lambda image, label: (image, label[:, ::-1]), "Only the label map"),
        (lambda image, label: (image[::-1], label[::-1]), "sky is at the bottom"),
        (lambda image, label: (image[..., ::-1], label[:, ::-1]), "Red and blue"),
        (lambda image, label: (np.flip(image), np.flip(label)), "first pixel"),
        (lambda image, label: (image.swapaxes(0, 1), label.T), "came back"),
        (in_place, "changed with it"),
        (lambda image, label: (image, label), "first pixel"),
    ],
)
def test_a_wrong_flip_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_flip(attempt)
    assert not answer.right and hint in answer.message


def test_wrong_channel_means_get_the_hint_that_helps(changed):
    before = noise().image
    differences = {name: image.mean((0, 1)) - before.mean((0, 1)) for name, image in changed.items()}
    dark = {"jitter": np.full_like(before, 10)}
    fall = dark["jitter"].mean((0, 1)) - before.mean((0, 1))
    cases = (
        (None, changed, "dictionary"),
        ({"flip": 0.0}, changed, "Wanted are"),
        (differences, changed, "One number each"),
        ({"jitter": fall.max()}, dark, "absolute value"),
        ({"jitter": abs(fall.mean())}, dark, "all channels"),
        (dict.fromkeys(changed, 99.0), changed, "For flip"),
        ({name: np.abs((i - before).mean((0, 1))).max() for name, i in changed.items()}, changed, "wraps around"),
    )
    for attempt, after, hint in cases:
        answer = exercises.check_channel_means(attempt, before, after)
        assert not answer.right and hint in answer.message, (hint, answer.message)

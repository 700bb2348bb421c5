"""What notebook 08 draws, measures and says: against naive versions, on pictures whose answers are known."""

from __future__ import annotations

import io
import json

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from labkit import plots, report
from labkit.data.dataset import Sample
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.content import mean_picture, picture_agreement
from labkit.evaluation.features import pooled_features
from labkit.evaluation.predict import evaluate
from labkit.evaluation.translations import FrechetFloor, Spectrum, frechet_distance, label_agreement
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES, EVALUATIONS
from labkit.models.output import SegmentationOutput
from labkit.report import results, translations

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (48, 96, 3), dtype=np.uint8)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def a_floor() -> FrechetFloor:
    sizes = np.array([2, 5, 10])
    return FrechetFloor(sizes, 100 / sizes[:, None] * RNG.uniform(0.8, 1.2, (3, 20)))


def a_spectrum(power: float) -> Spectrum:
    return Spectrum(np.linspace(0.02, 0.48, 8), power - 20 * np.linspace(0, 1, 8))


FIGURES = {
    "rows": lambda: plots.picture_rows([{"one": PICTURE, "two": PICTURE}] * 3),
    "spectra": lambda: plots.spectra({"source": a_spectrum(5), "target": a_spectrum(4.9), "adapted": a_spectrum(4)}),
    "floor": lambda: plots.frechet_by_size(a_floor(), {"source": 60.0, "adapted": 58.0}, 10),
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


def test_pictures_stand_in_rows_as_given():
    figure = plots.picture_rows([{"a": PICTURE, "b": 255 - PICTURE}, {"c": PICTURE, "d": PICTURE}])
    assert [text for text in texts(figure) if text in "abcd"] == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), 255 - PICTURE)
    with pytest.raises(LabError, match="as many to each"):
        plots.picture_rows([{"a": PICTURE}, {"b": PICTURE, "c": PICTURE}])
    with pytest.raises(LabError, match="different shapes"):
        plots.picture_rows([{"a": PICTURE, "b": PICTURE[:, :50]}])


def test_a_fade_begins_and_ends_with_its_pictures():
    other = 255 - PICTURE
    np.testing.assert_array_equal(plots.faded(PICTURE, other, 0), PICTURE)
    np.testing.assert_array_equal(plots.faded(PICTURE, other, 1), other)
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert (plots.faded(black, white, 0.2) == 51).all()


def test_the_diamonds_are_the_distances():
    floor = a_floor()
    ax = plots.frechet_by_size(floor, {"source": 60.0, "adapted": 58.0}, 10).axes[0]
    mean, *diamonds = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), floor.distances.mean(axis=1))
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in diamonds] == [(10, 60.0), (10, 58.0)]


# --- content ----------------------------------------------------------------------------------------------------------


class Listed:
    """A data set of given samples."""

    def __init__(self, samples, name="listed"):
        self.samples, self.name, self.split, self.evaluation = samples, name, "val", "miou"

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def fingerprint(self):
        return {"name": self.name}


class ByRed(nn.Module):
    """Says sky where red is above one half, else road; its feature is the picture."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        logits = torch.zeros(len(images), 19, *images.shape[-2:])
        logits[:, 0], logits[:, 10] = -images[:, 0], images[:, 0]
        return SegmentationOutput(self.scale * logits, (), {"backbone": images})


def scene(share: float, seed: int = 0) -> Sample:
    """A picture of 32×64 whose left ``share`` is red and labelled sky, the rest black and road; a void line above."""
    image, label = np.zeros((32, 64, 3), np.uint8), np.zeros((32, 64), np.uint8)
    width = int(64 * share)
    image[:, :width, 0], label[:, :width], label[:2] = 250, 10, 255
    image[..., 1:] = np.random.default_rng(seed).integers(0, 40, (32, 64, 2))
    return Sample(image, label, f"scene {seed}")


def spoiled(sample: Sample, columns: int) -> Sample:
    image = sample.image.copy()
    image[:, :columns, 0] = 250 - image[:, :columns, 0]
    return sample._replace(image=image)


@pytest.fixture
def scenes():
    originals = Listed([scene(0.25 + 0.1 * i, i) for i in range(5)], "source")
    changed = Listed([spoiled(originals[i], 4 * i) for i in range(5)], "changed")
    return originals, changed


def test_the_mean_picture_is_the_mean(scenes):
    pictures = np.stack([sample.image for sample in scenes[0].samples]).astype(float)
    np.testing.assert_array_equal(mean_picture(scenes[0]), np.rint(pictures.mean(0)).astype(np.uint8))
    with pytest.raises(LabError, match="one size"):
        mean_picture(Listed([scene(0.5), scene(0.5)._replace(image=PICTURE)]))


def test_agreement_by_picture_is_that_of_all_pixels(scenes):
    model, changed = ByRed(), scenes[1]
    shares = picture_agreement(model, changed)
    np.testing.assert_allclose(shares, [1 - 4 * i / 64 for i in range(5)])
    assert shares.mean() == pytest.approx(label_agreement(evaluate(model, changed)))
    void = scene(0.5)._replace(label=np.full((32, 64), 255, np.uint8))
    assert np.isnan(picture_agreement(model, Listed([void]))).all()


def test_the_drift_figure_shows_what_lost_most(scenes):
    shown = texts(report.drift_figure(ByRed(), *scenes, count=2))
    assert "scene 4" in shown and "scene 3" in shown and "scene 2" not in shown
    assert any(text.startswith("75") for text in shown)  # 16 of 64 columns


# --- statistics -------------------------------------------------------------------------------------------------------


def test_the_table_says_what_is_closer_and_what_was_kept(scenes):
    model, (originals, changed) = ByRed(), scenes
    target = Listed([scene(0.5, 10 + i) for i in range(10)], "target")
    rivals = {translations.BEST_MAP: originals, translations.HISTOGRAM: originals}
    same = Listed([scene(0.5, 20 + i) for i in range(5)], "same")
    versions = {"source as it is": originals, **rivals, "same": same, "changed": changed}
    scores = {title: evaluate(model, data) for title, data in versions.items()}
    scores["target"] = evaluate(model, target)
    sets = {**versions, "target": target}
    features = {title: pooled_features(model, data, "backbone") for title, data in sets.items()}
    shown = report.translation_table(versions, target, scores, features, learned=["same", "changed"])
    table = shown.table
    assert list(table.index) == [*versions, "halves of the target"]
    assert table["label agreement, %"].tolist() == ["100.0"] * 4 + ["87.5", "100.0"]
    assert "Fréchet d², 5 pictures" in table
    colour = table["colour, grey levels"].astype(float)
    assert colour["same"] < 1 and colour["halves of the target"] < 1 < colour["source as it is"]
    assert table.loc["source as it is", "is one map of colours, %"] == "–"
    assert table.loc[translations.HISTOGRAM, "is one map of colours, %"] == "–"  # nothing was changed
    apart = frechet_distance(features["changed"], features["target"][::2])
    assert float(table.loc["changed", "Fréchet d², 5 pictures"]) == pytest.approx(apart, rel=0.01)
    same, other = shown.note.split(". changed:")
    assert same.startswith("same: closer") and "at least that of histogram matching and at least" in same
    assert "below that of histogram matching and below" in other


def test_the_verdict_is_of_its_numbers():
    rows = {
        "source as it is": {"colour": 40, "texture": 6, "features": 100, "agreement": 50},
        translations.HISTOGRAM: {"colour": 20, "texture": 6, "features": 100, "agreement": 45},
        translations.BEST_MAP: {"colour": 0, "texture": 6, "features": 100, "agreement": 60},
        "all": {"colour": 10, "texture": 5, "features": 9, "agreement": 45},
        "none": {"colour": 40, "texture": 7, "features": 200, "agreement": 44.9},
    }
    assert translations.verdict("all", rows) == (
        "all: closer to the target than the source is in colour, texture, features, not closer in nothing; "
        "label agreement at least that of histogram matching and below that of one map, all channels."
    )
    assert translations.verdict("none", rows) == (
        "none: closer to the target than the source is in nothing, not closer in colour, texture, features; "
        "label agreement below that of histogram matching and below that of one map, all channels."
    )


def test_agreement_by_class_is_the_recall_of_the_judge(scenes):
    scores = {title: evaluate(ByRed(), data) for title, data in zip(("before", "after"), scenes, strict=True)}
    table = report.agreement_by_class(scores)
    assert set(table.index) == {"road", "sky"}  # classes without a pixel are left out
    labels, wrong = 0, 0
    for before, after in zip(scenes[0].samples, scenes[1].samples, strict=True):
        sky = before.label == 10
        labels, wrong = labels + sky.sum(), wrong + (sky & (after.image[..., 0] < 125)).sum()
    assert table.loc["sky", "before"] == "100.0"
    assert float(table.loc["sky", "after"]) == pytest.approx(100 * (1 - wrong / labels), abs=0.06)


def test_cheap_translations_keep_labels_and_move_colours():
    lab = Lab("smoke")
    versions = report.cheap_translations(lab)
    source = lab.source("val")
    assert next(iter(versions.values())) is source and len(versions) == 6
    aim = np.stack([lab.unlabelled_target()[i].image for i in range(16)]).reshape(-1, 3).mean(0)
    before = np.abs(np.stack([source[i].image for i in range(4)]).reshape(-1, 3).mean(0) - aim).mean()
    for title, version in versions.items():
        assert all((version[i].label == source[i].label).all() for i in range(4)), title
        after = np.abs(np.stack([version[i].image for i in range(4)]).reshape(-1, 3).mean(0) - aim).mean()
        assert version is source or after < before, title


# --- published and recorded -------------------------------------------------------------------------------------------


def test_lost_cells_are_named():
    shown = report.published_with_lost("toldo2020", "table1")
    cells = shown.table.rename(columns=lambda head: head.partition(",")[0])
    assert cells.loc["road", "CycleGAN"] == "lost" and cells.loc["mIoU", "CyCADA"] == "37.3"
    assert all("Cityscapes" in head for head in shown.table.columns)
    assert "dropped the columns road to traffic sign" in shown.note
    assert not (report.published_with_lost("toldo2020", "table2").table == "lost").any(axis=None)


def test_recorded_means_stand_beside_the_published(tmp_path, monkeypatch):
    names = [CLASS_NAMES[i] for i in EVALUATIONS["miou"].train_ids]
    iou = {name: [0.2, 0.4] if name in ("terrain", "truck", "train") else [0.1, 0.3] for name in names}
    row = {"name": "CycleGAN", "miou": [0.116, 0.316], "miou_best": [0.2, 0.3], "iou": iou}
    outcome = {
        "sweep": "toldo2020.table2",
        "pair": "minicity-toon",
        "data": "A → B",
        "profile": "mini",
        "size": [96, 192],
        "steps": 300,
        "seeds": [0, 1],
        "report": {"data": "B", "split": "test", "images": 100, "evaluation": "miou"},
        "selection": "last",
        "rows": [row],
        "environment": {"hardware": "a machine", "precision": "32-true", "commit": "abc", "date": "today"},
    }
    path = tmp_path / "toldo2020.table2.minicity-toon.mini.json"
    path.write_text(json.dumps(outcome))
    load = results.load_results
    for module in (translations, results):
        monkeypatch.setattr(module, "load_results", lambda *of: load(*of[:3], folder=tmp_path))
    shown = report.recorded_beside("toldo2020.table2", "minicity-toon", "last16")
    head = "mIoU %, A → B, profile mini"
    assert shown.table.loc["CycleGAN", head] == "20.0 ± 14.1 (over 16)"
    assert shown.table.loc["CyCADA", head] == "not recorded" and "Recorded: profile mini" in shown.note
    assert report.recorded_beside("toldo2020.table2", "minicity-toon").table.loc["CycleGAN", head].endswith("(over 19)")
    path.unlink()
    empty = report.recorded_beside("toldo2020.table2", "minicity-toon")
    assert "has not been recorded" in empty.note and empty.table.iloc[1, 0] == "32.6"


def test_speed_is_the_recorded_one(tmp_path):
    measured = {
        "training": {
            "cyclegan, translation, 256x512, 32-true": {"milliseconds_per_step": 77.2, "memory_gib": 3.23},
            "udamobile, all, 600x600, bf16-mixed": {"error": "CUDA out of memory"},
        },
        "environment": {"hardware": "a card", "packages": {"torch": "2"}, "commit": "abc", "date": "today"},
    }
    (tmp_path / "translation_speed.json").write_text(json.dumps(measured))
    shown = report.translation_speed(tmp_path)
    assert shown.table.loc["CycleGAN, translation alone, 256×512, float32"].tolist() == ["77", "3.2"]
    assert "out of memory" in shown.table.loc["toldo2020, all of it, 600×600, bf16", "ms a step"]
    assert "a card" in shown.note
    (tmp_path / "translation_speed.json").unlink()
    assert "translation_speed.py" in str(report.translation_speed(tmp_path))
    assert len(report.translation_speed().table) == 8


# --- trainings and gradients ------------------------------------------------------------------------------------------


def test_a_row_with_a_start_trains_its_start_first_and_once(tmp_path):
    lab = Lab("smoke", paper="loda2025", runs=tmp_path)
    begun = report.train_row(lab, "loda2025.kernels", "median, pooled")
    before = report.train_row(lab, "loda2025.kernels", "before")
    assert begun.description["model"]["weights"].startswith("sha256:")
    assert begun.description["method"]["name"] == "mmd" and len([p for p in tmp_path.iterdir() if p.is_dir()]) == 2
    assert before.finished and report.train_row(lab, "loda2025.kernels", "median, pooled").folder == begun.folder
    with pytest.raises(UnknownNameError, match="median"):
        report.train_row(lab, "loda2025.kernels", "mean, pooled")


@pytest.fixture(scope="module")
def reach():
    small = {"generator_blocks": 1, "generator_filters": 4, "discriminator_filters": 4}
    how = {"model": "deeplabv3plus", "by_part": ("segmenter", "generators")}
    return report.gradient_reach(Lab("smoke"), "udamobile", **how, step=3, steps=4, **small)


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("image-target", {"to_target", "discriminator-target"}),
        ("cycle", {"to_target", "to_source"}),
        ("semantic", {"encoder", "decoder", "segmentation_head", "to_target", "to_source"}),
        ("feature-source", {"encoder", "to_source", "discriminator-features-source"}),
        ("main", {"encoder", "decoder", "segmentation_head", "to_target"}),
        ("discriminator-features-target original", {"discriminator-features-target"}),
    ],
)
def test_the_table_of_gradients_shows_parts(reach, term, wanted):
    row = reach.loc[term].drop("taken by")
    assert set(row.index[row != "–"]) == wanted


def test_triples_go_there_and_back(scenes):
    class Inverse(nn.Module):
        def __init__(self):
            super().__init__()
            self.sign = nn.Parameter(-torch.ones(()))

        def forward(self, pictures):
            return self.sign * pictures

    generators = nn.ModuleDict({"to_target": Inverse(), "to_source": Inverse()})
    figure = report.triple_figure(generators, *scenes, count=1)
    first, adapted, again, *_ = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    np.testing.assert_array_equal(adapted, 255 - first)
    np.testing.assert_array_equal(again, first)
    assert texts(figure)[:3] == ["source", "as changed", "and back"]

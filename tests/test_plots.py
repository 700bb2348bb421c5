"""Figures show what they were given: colours, lengths, marks and texts are read back from what was drawn."""

import ast
import base64
import html.parser
import io
import itertools
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from PIL import Image

from labkit import plots
from labkit.data.dataset import Sample
from labkit.errors import LabError, UnknownNameError
from labkit.labels import CLASS_NAMES, EVALUATIONS, PALETTE
from labkit.plots.classes import LOOKS, READABLE_PALETTE, color_label
from labkit.plots.confusions import row_shares, top_confusions
from labkit.plots.features import project
from labkit.plots.label_maps import borders, name_places
from labkit.plots.panels import error_map, picture_scores
from labkit.plots.style import SERIES, WIDTH, WRONG, spread_apart

RNG = np.random.default_rng(0)


def scene(seed: int = 0, height: int = 48, width: int = 96) -> Sample:
    """Sky over building over road, a car, and an ignored strip at the bottom."""
    draws = np.random.default_rng(seed)
    label = np.full((height, width), 2, np.uint8)
    label[: height // 4] = 10
    label[height // 2 :] = 0
    label[height // 2 : height // 2 + 8, 20:44] = 13
    label[-4:] = 255
    return Sample(draws.integers(0, 256, (height, width, 3), dtype=np.uint8), label, f"scene {seed}")


def metrics(steps: int = 100, level: float = 1.0) -> pd.DataFrame:
    step = np.arange(10, steps + 1, 10)
    table = pd.DataFrame({"step": step, "learning_rate": 0.025 * (1 - step / (steps + 1)) ** 0.9})
    table["loss/main"], table["loss/aux16"] = level / step, 2 * level / step
    table["miou"] = np.where(step % 50 == 0, 0.3 / level, np.nan)
    return table


def legend_texts(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def all_texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def uniform(shape) -> np.ndarray:
    return np.random.default_rng(1).random(shape)


FIGURES = {
    "label maps": lambda: plots.label_map_figure([scene(0), scene(1)]),
    "label maps, readable": lambda: plots.label_map_figure([scene(0)], look="readable"),
    "styles": lambda: plots.styles_figure({"game": [scene(0)], "real": [scene(1)]}),
    "panels": lambda: plots.prediction_panels(
        [plots.Panel(*scene(i)[:2], {"a": scene(i).label, "b": scene(i).label * 0}, "p") for i in range(2)]
    ),
    "panels in rows": lambda: plots.prediction_panels(
        [plots.Panel(*scene(i)[:2], {"a": scene(i).label * 0}, "p") for i in range(2)], layout="row"
    ),
    "bars": lambda: plots.class_iou_bars({"a": np.linspace(0, 0.9, 19), "b": uniform((3, 19))}),
    "curves": lambda: plots.learning_curves({"a": metrics(), "b": metrics(level=2)}, score="miou"),
    "curves of one run": lambda: plots.learning_curves(metrics()),
    "scores": lambda: plots.score_curves({"a": metrics(), "b": metrics(level=2)}, "miou"),
    "channels": lambda: plots.channel_statistics([scene(0).image], [scene(1).image]),
    "frequencies": lambda: plots.class_frequencies({"a": np.arange(19), "b": np.arange(19)[::-1]}),
    "projection": lambda: plots.feature_projection({"a": uniform((9, 5)), "b": uniform((8, 5, 2, 2))}),
    "feature channels": lambda: plots.statistics_by_channel(uniform((2, 5)), uniform((2, 5))),
    "confusion": lambda: plots.confusion_figure((100 * uniform((19, 19))).astype(int)),
    "co-occurrence": lambda: plots.cooccurrence_figure(uniform((30, 19)) > 0.7),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_every_figure_draws_cleanly_and_leaves_nothing_behind(name):
    before = dict(matplotlib.rcParams)
    figure = FIGURES[name]()
    shown = figure._repr_png_()
    image = Image.open(io.BytesIO(shown))
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
    assert image.width == round(WIDTH * figure.dpi)
    # White all around: no text or picture is cut off at the edge, and it is legible on a dark page.
    pixels = np.asarray(image.convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    sizes = [text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
    assert min(sizes) >= 9
    assert FIGURES[name]()._repr_png_() == shown  # a page that is built again does not change


def test_a_notebook_shows_the_whole_figure(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    figure = FIGURES["scores"]()
    figure._ipython_display_()
    assert [image.data for image in shown] == [figure.png()]


def test_the_package_imports_neither_matplotlib_nor_pandas():
    heavy = {"matplotlib", "pandas", "seaborn", "cv2", "torch"}
    code = f"import sys, labkit.plots, labkit.papers; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_loads_from_the_module_that_the_package_states():
    stated = {}
    for node in ast.walk(ast.parse(Path(plots.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("labkit.plots."):
            stated |= {alias.name: node.module for alias in node.names}
    assert set(stated) == set(plots.__all__)
    for name, module in stated.items():
        assert getattr(plots, name).__module__ == module
    with pytest.raises(AttributeError):
        plots.nothing_of_that_name  # noqa: B018


# --- label maps ----------------------------------------


def test_the_legend_holds_the_classes_that_occur_in_order():
    assert legend_texts(plots.label_map_figure([scene()])) == ["road", "building", "sky", "car", "ignored"]
    colors = [patch.get_facecolor()[:3] for patch in plots.label_map_figure([scene()]).legends[0].get_patches()]
    expected = [*(PALETTE[[0, 2, 10, 13]] / 255), (0, 0, 0)]
    np.testing.assert_allclose(colors, expected, atol=1e-6)


@pytest.mark.parametrize("look", LOOKS)
def test_a_label_map_has_each_classs_colour(look):
    label = np.arange(19, dtype=np.uint8)[None].repeat(3, axis=0)
    np.testing.assert_array_equal(color_label(label, look)[1], LOOKS[look])
    assert not (color_label(np.full((60, 60), 255, np.uint8))).any()


def test_a_picture_stands_above_its_own_map():
    figure = plots.label_map_figure([scene(0), scene(1)])
    pictures = [ax.images[0] for ax in figure.axes]
    np.testing.assert_array_equal(pictures[0].get_array(), scene(0).image)
    np.testing.assert_array_equal(pictures[1].get_array(), scene(1).image)
    np.testing.assert_array_equal(pictures[2].get_array(), color_label(scene(0).label))
    tops = [ax.get_position().y1 for ax in figure.axes]
    assert tops[0] == tops[1] > tops[2]


def _lab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB to CIE L*a*b*, D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = rgb @ to_xyz.T / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


# Machado, Oliveira and Fernandes (2009), severity 1.0.
SIGHT = {
    "full": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def _smallest_difference(palette: np.ndarray, sight: str) -> float:
    srgb = palette / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lab = _lab(np.clip(linear @ np.transpose(SIGHT[sight]), 0, 1))
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return float(distance[np.triu_indices(len(lab), 1)].min())


@pytest.mark.parametrize("sight", SIGHT)
def test_the_readable_palette_is_readable_with_any_cones(sight):
    assert _smallest_difference(READABLE_PALETTE, sight) > 20
    assert _smallest_difference(PALETTE, sight) < 16


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)))
def test_borders_lie_exactly_between_different_neighbours(label):
    found = {(tuple(a), tuple(b)) for a, b in borders(label)}
    expected = set()
    for y in range(label.shape[0]):
        for x in range(label.shape[1]):
            if x + 1 < label.shape[1] and label[y, x] != label[y, x + 1]:
                expected.add(((x + 0.5, y - 0.5), (x + 0.5, y + 0.5)))
            if y + 1 < label.shape[0] and label[y, x] != label[y + 1, x]:
                expected.add(((x - 0.5, y + 0.5), (x + 0.5, y + 0.5)))
    assert found == expected


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_names_stand_inside_regions_of_their_class(seed, line_height):
    draws = np.random.default_rng(seed)
    label = np.kron(draws.choice([0, 10, 13, 255], (3, 4)), np.ones((20, 30))).astype(np.uint8)
    for x, y, name in name_places(label, line_height):
        half = int(line_height * 0.62 * len(name) / 2) - 1
        box = label[int(y) - line_height // 2 : int(y) + line_height // 2, int(x) - half : int(x) + half]
        assert (box == CLASS_NAMES.index(name)).all()


def test_a_readable_map_names_large_regions_and_draws_their_borders():
    figure = plots.label_map_figure([scene()], look="readable")
    assert {"road", "building", "sky"} <= {text.get_text() for text in figure.axes[1].texts}
    assert any(isinstance(artist, LineCollection) for artist in figure.axes[1].collections)


def test_pictures_of_other_shapes_are_refused():
    with pytest.raises(LabError, match="shapes"):
        plots.label_map_figure([scene(), scene(height=96)])
    with pytest.raises(UnknownNameError, match="readable"):
        plots.label_map_figure([scene()], look="pretty")
    with pytest.raises(LabError, match="at least one"):
        plots.label_map_figure([])


# --- panels ----------------------------------------


@given(st.integers(0, 10_000))
def test_exactly_the_wrong_and_not_ignored_pixels_are_marked(seed):
    draws = np.random.default_rng(seed)
    image = draws.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    truth = draws.choice(np.uint8([0, 1, 2, 255]), (20, 30))
    prediction = draws.choice(np.uint8([0, 1, 2, 255]), (20, 30))
    marked = (error_map(image, truth, prediction) == WRONG).all(axis=2)
    np.testing.assert_array_equal(marked, (truth != prediction) & (truth != 255))


def test_the_errors_stand_below_their_prediction():
    sample = scene()
    wrong = np.where(sample.label == 13, 0, sample.label)
    figure = plots.prediction_panels([plots.Panel(sample.image, sample.label, {"a": sample.label, "b": wrong})])
    pictures = [ax.images[0].get_array() for ax in figure.axes]
    expected = [sample.image, color_label(sample.label), color_label(wrong), color_label(sample.label)]
    for picture, drawn in zip(expected, pictures, strict=False):
        np.testing.assert_array_equal(drawn, picture)
    for drawn, prediction in zip(pictures[4:], (sample.label, wrong), strict=True):
        np.testing.assert_array_equal(drawn, error_map(sample.image, sample.label, prediction))
    assert "wrong" in legend_texts(figure)
    assert [ax.get_title(loc="left") for ax in figure.axes[1:3]] == ["a", "b"]
    assert figure.axes[4].get_title(loc="left") == "100\u2009% right, mIoU 100\u2009%"


def test_a_pictures_scores_agree_with_torchmetrics():
    from torch import from_numpy
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

    truth, prediction = RNG.integers(0, 19, (40, 50)), RNG.integers(0, 19, (40, 50))
    truth[:5] = 255
    accuracy, miou = picture_scores(truth, prediction, EVALUATIONS["miou"])
    maps = from_numpy(prediction), from_numpy(truth)
    assert accuracy == pytest.approx(float(MulticlassAccuracy(19, average="micro", ignore_index=255)(*maps)))
    assert miou == pytest.approx(float(MulticlassJaccardIndex(19, ignore_index=255)(*maps)))


def test_classes_that_camvid_merged_are_no_errors():
    sample = scene()
    prediction = sample.label.copy()
    prediction[prediction == 13] = 15  # a bus, where CamVid knows cars only
    panel = plots.Panel(sample.image, sample.label, {"a": prediction})
    merged = plots.prediction_panels([panel], evaluation="miou11")
    assert "bus" not in legend_texts(merged) and "100\u2009% of pixels right" in " ".join(all_texts(merged))
    assert "bus" in legend_texts(plots.prediction_panels([panel]))


def test_a_prediction_of_another_size_is_refused_by_name():
    panel = plots.Panel(*scene()[:2], {"oracle": np.zeros((3, 3), np.uint8)}, "street 7")
    with pytest.raises(LabError, match=r"street 7.*oracle"):
        plots.prediction_panels([panel])
    good = plots.Panel(*scene()[:2], {"a": scene().label, "b": scene().label})
    with pytest.raises(LabError, match="one run"):
        plots.prediction_panels([good], layout="row")
    with pytest.raises(UnknownNameError, match="miou16"):
        plots.prediction_panels([good], evaluation="iou")
    with pytest.raises(LabError, match="same runs"):
        plots.prediction_panels([good, good._replace(predictions={"b": scene().label})])


# --- bars ----------------------------------------


def test_bars_are_as_long_as_the_numbers():
    first, second = RNG.random(19), RNG.random(19)
    first[16] = second[16] = second[3] = np.nan
    figure = plots.class_iou_bars({"source only": first, "oracle": second}, order="trainId")
    ax = figure.axes[0]
    for container, values in zip(ax.containers, (first, second), strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in container], np.nan_to_num(values))
    assert [label.get_text() for label in ax.get_yticklabels()] == list(CLASS_NAMES)
    absent = [text for text in ax.texts if text.get_text() == "absent"]
    assert len(absent) == 2  # train once for both runs, wall for the second run alone
    means = [
        f"{name}: mIoU {100 * np.nanmean(v):.1f}\u2009%" for name, v in (("source only", first), ("oracle", second))
    ]
    assert legend_texts(figure) == means
    assert [to_rgb(container[0].get_facecolor()) for container in ax.containers] == [to_rgb(c) for c in SERIES[:2]]


def test_rows_are_ordered_as_asked():
    first, second = np.full(19, 0.2), np.linspace(0.2, 0.9, 19)
    second[4] = np.nan

    def rows(**options):
        ax = plots.class_iou_bars({"a": first, "b": second}, **options).axes[0]
        return [label.get_text() for label in ax.get_yticklabels()]

    assert rows()[:2] == ["bicycle", "motorcycle"] and rows()[-1] == CLASS_NAMES[4]
    frequency = np.arange(19)[::-1] % 7
    by_count = sorted(range(19), key=lambda i: -frequency[i])
    assert rows(order="frequency", frequency=frequency) == [CLASS_NAMES[i] for i in by_count]
    with pytest.raises(LabError, match="frequency"):
        rows(order="frequency")
    with pytest.raises(UnknownNameError, match="gap"):
        rows(order="random")


def test_swatches_have_the_colours_of_their_rows():
    ax = plots.class_iou_bars({"a": np.linspace(0, 0.9, 19)}).axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    swatches = [line for line in ax.findobj(matplotlib.lines.Line2D) if str(line.get_gid()).startswith("swatch ")]
    assert len(swatches) == 19
    for swatch in swatches:
        name = swatch.get_gid().removeprefix("swatch ")
        assert swatch.get_ydata()[0] == names.index(name)
        np.testing.assert_allclose(to_rgb(swatch.get_markerfacecolor()), PALETTE[CLASS_NAMES.index(name)] / 255)


def test_seeds_are_dots_on_the_mean_of_them():
    seeds = RNG.random((3, 19)) * 0.5
    figure = plots.class_iou_bars({"a": seeds}, order="trainId")
    ax = figure.axes[0]
    np.testing.assert_allclose([bar.get_width() for bar in ax.containers[0]], seeds.mean(0))
    dots = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(np.stack(dots), seeds.T)
    scores = 100 * seeds.mean(1)
    assert legend_texts(figure) == [f"a: mIoU {scores.mean():.1f} ± {scores.std(ddof=1):.1f}\u2009%"]


def test_a_data_frame_and_another_set_of_classes_work():
    names = EVALUATIONS["miou11"].class_names
    frame = pd.DataFrame({"a": np.linspace(0, 0.5, 11), "b": np.linspace(0.2, 0.9, 11)}, index=names)
    figure = plots.class_iou_bars(frame, classes=names)
    assert len(figure.axes[0].containers[0]) == 11
    with pytest.raises(LabError, match="19 classes"):
        plots.class_iou_bars(frame)
    with pytest.raises(LabError, match="percent"):
        plots.class_iou_bars({"paper": np.full(19, 18.76)})


# --- curves ----------------------------------------


def test_curves_hold_the_metrics():
    first, second = metrics(), metrics(level=2)
    figure = plots.learning_curves({"a": first, "b": second}, score="miou")
    score, loss, rate = figure.axes
    assert score.lines[0].get_xdata().tolist() == [50, 100]  # only where it was measured
    np.testing.assert_allclose(score.lines[1].get_ydata(), [0.15, 0.15])
    drawn = {line.get_label(): line.get_ydata() for line in loss.lines}
    np.testing.assert_allclose(drawn["b aux16"], second["loss/aux16"])
    assert len(loss.lines) == 4 and len(rate.lines) == 1
    assert {text.get_text() for text in score.texts} == {"a 30.0\u2009%", "b 15.0\u2009%"}
    assert {text.get_text() for text in loss.get_legend().get_texts()} == {"main", "aux16"}


def test_one_runs_terms_are_named_at_their_ends():
    loss, _ = plots.learning_curves(metrics()).axes
    assert {text.get_text() for text in loss.texts} == {"main", "aux16"} and loss.get_legend() is None


def test_metrics_without_their_columns_are_refused():
    with pytest.raises(LabError, match=r"'a'.*learning_rate"):
        plots.learning_curves({"a": metrics().drop(columns="learning_rate")})
    with pytest.raises(LabError, match="at least one"):
        plots.score_curves({}, "miou")


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.01, 0.12))
def test_labels_are_pushed_apart_but_stay_in_the_axes(heights, gap):
    placed = spread_apart(sorted(heights), gap)
    assert len(placed) == len(heights)
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(placed))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in placed)


def test_labels_that_do_not_touch_stay_where_they_are():
    assert spread_apart([0.1, 0.4, 0.9], 0.1) == pytest.approx([0.1, 0.4, 0.9])
    assert spread_apart([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])


# --- domains ----------------------------------------


def test_channel_statistics_are_those_of_the_pixels():
    source, target = [scene(0).image, scene(1).image], [scene(2).image // 2]
    figure = plots.channel_statistics(source, target, names=("game", "real"))
    for channel, ax in enumerate(figure.axes):
        a = np.concatenate([image[..., channel].ravel() for image in source]).astype(np.float64)
        b = target[0][..., channel].astype(np.float64)
        expected = [f"{a.mean():.0f} ± {a.std():.0f}", f"{b.mean():.0f} ± {b.std():.0f}"]
        assert [text.get_text() for text in ax.texts] == expected
        shares = [patch.get_data().values for patch in ax.patches]
        assert all(share.sum() == pytest.approx(1) for share in shares)
    with pytest.raises(LabError, match="uint8"):
        plots.channel_statistics([source[0] / 255], target)


def test_class_frequencies_are_shares_and_absence_is_hollow():
    counts = np.array([1000, 0, *[10] * 17])
    figure = plots.class_frequencies({"a": counts, "b": np.ones(19)})
    ax = figure.axes[0]
    assert ax.get_yticklabels()[0].get_text() == "road"
    filled, hollow = ax.lines[0], ax.lines[1]
    np.testing.assert_allclose(sorted(filled.get_xdata()), sorted(counts[counts > 0] / counts.sum()))
    assert len(hollow.get_xdata()) == 1 and hollow.get_markerfacecolor() == "white"
    assert "absent" in [label.get_text() for label in ax.get_xticklabels()]
    with pytest.raises(LabError, match="not all zero"):
        plots.class_frequencies({"a": np.zeros(19)})


def test_the_projection_is_a_principal_component_analysis():
    import torch

    first, second = RNG.random((30, 6)) * [9, 4, 1, 1, 1, 1], RNG.random((20, 6)) + 1
    found = project({"a": first, "b": second})
    everything = np.concatenate([first, second])
    # Independent referee: eigenvectors of the covariance.
    values, vectors = torch.linalg.eigh(torch.cov(torch.from_numpy(everything).T))
    expected = (everything - everything.mean(0)) @ vectors.flip(1)[:, :2].numpy()
    drawn = np.concatenate(list(found.points.values()))
    np.testing.assert_allclose(np.abs(drawn), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(found.explained, (values.flip(0) / values.sum())[:2].numpy())
    assert project({"a": first, "b": first}).distance == pytest.approx(0, abs=1e-12)


def test_the_distance_counts_spreads():
    points = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])  # every point one away from the mean
    assert project({"a": points, "b": points + np.array([3, 0])}).distance == pytest.approx(3)
    with pytest.raises(LabError, match="two sets"):
        plots.feature_projection({"a": points})


def test_channel_statistics_of_features_lie_where_they_should():
    source, target = RNG.random((2, 5)), RNG.random((2, 5)) * 2
    for index, ax in enumerate(plots.statistics_by_channel(source, target).axes):
        points = ax.lines[-1]
        np.testing.assert_allclose(points.get_xdata(), source[index])
        np.testing.assert_allclose(points.get_ydata(), target[index])
        x, y = ax.lines[0].get_data()
        assert list(x) == list(y)  # the diagonal
    with pytest.raises(LabError, match="5 channels"):
        plots.statistics_by_channel(source, target[:, :3])


# --- confusions ----------------------------------------


def test_the_heat_map_holds_shares_of_rows_and_names_the_largest_mistakes():
    confusion = np.eye(19, dtype=np.int64) * 90
    confusion[12, 11], confusion[3, 2], confusion[16, 16] = 210, 10, 0
    assert top_confusions(confusion) == [("rider", "person", 0.7), ("wall", "building", 0.1)]
    assert np.isnan(row_shares(confusion)[16]).all()
    figure = plots.confusion_figure(confusion)
    drawn = figure.axes[0].collections[0].get_array().filled(np.nan).reshape(19, 19)
    np.testing.assert_allclose(drawn, row_shares(confusion))
    texts = " ".join(all_texts(figure))
    assert "rider taken for person: 70" in texts and "absent" in texts
    outlined = {patch.get_xy() for patch in figure.axes[0].patches}
    assert outlined == {(11, 12), (2, 3)}
    with pytest.raises(LabError, match="square"):
        plots.confusion_figure(np.zeros((3, 4)))


def test_cooccurrence_is_a_share_of_the_rows_pictures():
    present = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    figure = plots.cooccurrence_figure(present, classes=["a", "b", "c"])
    drawn = figure.axes[0].collections[0].get_array().filled(np.nan).reshape(3, 3)
    np.testing.assert_allclose(drawn, [[1, 2 / 3, 0], [2 / 3, 1, 0], [np.nan] * 3])
    with pytest.raises(LabError, match="3 classes"):
        plots.cooccurrence_figure(present[:, :2], classes=["a", "b", "c"])


# --- frames ----------------------------------------


class _Page(html.parser.HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def _frames(count=3):
    return [RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(count)]


def test_a_slider_has_every_frame_with_its_own_description():
    shown = plots.slider(_frames(), ["λ = 0", "λ = 1", 'λ > "1"'], "A street with", title="weight", caption="One <b>.")
    page = _Page(shown._repr_html_())
    assert [image["alt"] for image in page.all("img")] == [
        "A street with λ = 0",
        "A street with λ = 1",
        'A street with λ > "1"',
    ]
    assert len(page.all("figure")) == len(page.all("figcaption")) == 3
    (control,) = page.all("input")
    assert (control["type"], control["min"], control["max"], control["value"]) == ("range", "0", "2", "0")
    assert control["aria-label"] == "weight"
    assert [button["aria-label"] for button in page.all("button")] == ["previous", "next"]
    assert not page.all("b")  # a caption is text
    text = shown._repr_html_()
    assert not re.search(r"https?:|//[a-z]+\.", re.sub(r'src="data:[^"]*"', "", text))
    assert "id=" not in re.sub(r'src="data:[^"]*"', "", text)  # nothing that two controls could share


def test_a_sliders_pictures_are_the_frames():
    frames = [*_frames(2), Image.fromarray(_frames(1)[0]), plots.score_curves({"a": metrics()}, "miou")]
    page = _Page(plots.slider(frames, list("abcd"), ["w", "x", "y", "z"])._repr_html_())
    for frame, image in zip(frames, page.all("img"), strict=True):
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/webp;base64"
        drawn = Image.open(io.BytesIO(base64.b64decode(data)))
        assert drawn.size == (int(image["width"]), int(image["height"]))
        if not hasattr(frame, "savefig"):
            np.testing.assert_array_equal(np.asarray(drawn), np.asarray(frame))


def test_a_slider_stays_small_whatever_it_shows():
    frames = [RNG.integers(0, 256, (900, 1600, 3), dtype=np.uint8) for _ in range(4)]
    shown = plots.slider(frames, list("abcd"), "noise")
    assert len(shown._repr_html_()) < 1_000_000
    assert max(width for width, _ in shown.sizes) <= 1080


def test_the_same_pictures_make_the_same_page_and_others_another_key():
    frames = _frames()
    text = [plots.slider(frames, list("abc"), "x")._repr_html_() for _ in range(2)]
    assert text[0] == text[1]
    key = re.compile(r'data-key="(\w+)"')
    other = plots.slider(frames, list("abd"), "x")._repr_html_()
    assert key.search(text[0])[1] != key.search(other)[1]
    assert text[0].count(key.search(text[0])[1]) == 2  # the element, and the script that looks for it


def test_a_slider_without_descriptions_is_refused():
    for labels, alt in ((list("ab"), "x"), (list("abc"), ""), (list("abc"), ["x", "", "z"])):
        with pytest.raises(LabError):
            plots.slider(_frames(), labels, alt)
    with pytest.raises(LabError, match="start"):
        plots.slider(_frames(), list("abc"), "x", start=3)
    with pytest.raises(LabError, match="not str"):
        plots.slider(["picture.png"], ["a"], "x")

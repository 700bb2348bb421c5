"""What a network saw, what it should have said, what it said, and where it was wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from labkit.data.dataset import Sample
from labkit.errors import LabError, UnknownNameError
from labkit.labels import EVALUATIONS, IGNORE, Evaluation
from labkit.plots.classes import classes_present, stripes
from labkit.plots.label_maps import draw_label_map
from labkit.plots.style import SMALL, WRONG, Figure, percent, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture


class Panel(NamedTuple):
    """One picture: uint8 RGB ``(H, W, 3)``, its true trainIds ``(H, W)``, and predicted trainIds by run."""

    image: np.ndarray
    truth: np.ndarray
    predictions: Mapping[str, np.ndarray]
    name: str = ""


def make_panels(samples: Sequence[Sample], predictions: Mapping[str, Sequence[np.ndarray]]) -> list[Panel]:
    """Pictures with what each run predicts for them.

    Args:
        samples: pictures with their truth.
        predictions: by run's title, one map of trainIds for each of ``samples``.
    """
    return [
        Panel(sample.image, sample.label, {run: maps[i] for run, maps in predictions.items()}, sample.name)
        for i, sample in enumerate(samples)
    ]


def error_map(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Where a prediction is wrong, as a picture: uint8 RGB ``(H, W, 3)``.

    Wrong pixels are vermilion (:data:`labkit.plots.style.WRONG`), right ones show the image in pale grey,
    ignored ones (truth 255) are striped in grey. A predicted 255 on a valid truth is wrong.
    """
    grey = np.asarray(image, dtype=np.float32) @ np.float32([0.299, 0.587, 0.114])
    picture = np.repeat((150 + 0.41 * grey).astype(np.uint8)[..., None], 3, axis=2)
    ignored = np.asarray(truth) == IGNORE
    light = stripes(*ignored.shape)
    picture[ignored & light], picture[ignored & ~light] = 125, 25
    picture[(np.asarray(prediction) != truth) & ~ignored] = WRONG
    return picture


def picture_scores(truth: np.ndarray, prediction: np.ndarray, evaluation: Evaluation) -> tuple[float, float]:
    """Pixel accuracy and mean IoU of one picture, fractions; NaN where every pixel is ignored.

    Classes that occur in neither map are left out of the mean.
    """
    valid = np.asarray(truth) != IGNORE
    truth, prediction = truth[valid], prediction[valid]
    if not truth.size:
        return float("nan"), float("nan")
    hits = np.bincount(truth[truth == prediction], minlength=256)
    union = np.bincount(truth, minlength=256) + np.bincount(prediction, minlength=256) - hits
    classes = [train_id for train_id in evaluation.train_ids if union[train_id]]
    iou = hits[classes] / union[classes]
    return hits.sum() / truth.size, float(iou.mean()) if classes else float("nan")


def _scored(panel: Panel, evaluation: Evaluation) -> Panel:
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[: len(evaluation.merge)] = evaluation.merge
    for run, prediction in panel.predictions.items():
        if np.shape(prediction) != np.shape(panel.truth):
            raise LabError(
                f"{panel.name or 'a picture'}: the prediction of {run!r} is {np.shape(prediction)}, its "
                f"truth {np.shape(panel.truth)}; resize the prediction's logits to the truth first"
            )
    return panel._replace(predictions={run: table[np.asarray(p)] for run, p in panel.predictions.items()})


@themed
def prediction_panels(
    panels: Sequence[Panel], *, evaluation: str = "miou", layout: str = "block", look: str = "cityscapes"
) -> Figure:
    """Image, truth, prediction and errors of several pictures.

    Args:
        panels: pictures of one shape, all predicted by the same runs.
        evaluation: a key of :data:`labkit.labels.EVALUATIONS`. Predictions are shown and judged after its
            merging of classes (CamVid's 11), and the mean is over its classes.
        layout: ``"block"``: image over truth, and beside them each run's prediction over its errors, large
            enough for a phone; ``"row"``: image, truth, prediction, errors side by side, for one run.
        look: ``"cityscapes"`` or ``"readable"`` (see :func:`labkit.plots.label_maps.draw_label_map`).

    Raises:
        LabError: pictures of different shapes, other runs in some of them, or predictions of another size.
        UnknownNameError: an unknown evaluation, layout or look.
    """
    if evaluation not in EVALUATIONS:
        raise UnknownNameError("evaluation", evaluation, EVALUATIONS)
    if layout not in ("block", "row"):
        raise UnknownNameError("layout", layout, ("block", "row"))
    chosen = EVALUATIONS[evaluation]
    panels = [_scored(panel, chosen) for panel in panels]
    aspect = common_aspect([panel.image for panel in panels])
    runs = list(panels[0].predictions)
    if any(list(panel.predictions) != runs for panel in panels):
        raise LabError("every picture of one figure needs predictions of the same runs, in the same order")
    if layout == "row" and len(runs) != 1:
        raise LabError(f"layout 'row' has room for one run, not {len(runs)}: use layout='block'")
    maps = [label for panel in panels for label in (panel.truth, *panel.predictions.values())]
    present = classes_present(*maps)
    if layout == "row":
        return _rows(panels, runs[0], chosen, aspect, present, look)
    return _blocks(panels, runs, chosen, aspect, present, look)


def _caption(panel: Panel, run: str, evaluation: Evaluation) -> str:
    accuracy, miou = picture_scores(panel.truth, panel.predictions[run], evaluation)
    return f"{percent(accuracy, 0)} of pixels right, mIoU {percent(miou, 0)}"


def _blocks(panels, runs, evaluation, aspect, present, look) -> Figure:
    figure, axes = picture_grid([1, 1] * len(panels), 1 + len(runs), aspect, present=present, look=look, wrong=True)
    for index, panel in enumerate(panels):
        above, below = axes[2 * index], axes[2 * index + 1]
        show_picture(above[0], panel.image, panel.name or "image", bold=True)
        draw_label_map(below[0], panel.truth, "truth", look=look)
        for column, run in enumerate(runs, start=1):
            prediction = panel.predictions[run]
            draw_label_map(above[column], prediction, run, look=look, bold=True)
            caption = _caption(panel, run, evaluation)
            if len(runs) > 1:
                caption = caption.replace(" of pixels", "")
            if len(runs) > 3:  # no room for two numbers
                caption = caption.partition(",")[0]
            show_picture(below[column], error_map(panel.image, panel.truth, prediction), caption, exact=True)
    return figure


def _rows(panels, run, evaluation, aspect, present, look) -> Figure:
    figure, axes = picture_grid([2] + [1] * (len(panels) - 1), 4, aspect, present=present, look=look, wrong=True)
    for index, (panel, row) in enumerate(zip(panels, axes, strict=True)):
        prediction = panel.predictions[run]
        show_picture(row[0], panel.image)
        draw_label_map(row[1], panel.truth, look=look)
        draw_label_map(row[2], prediction, look=look)
        show_picture(row[3], error_map(panel.image, panel.truth, prediction), exact=True)
        caption = " · ".join(filter(None, (panel.name, _caption(panel, run, evaluation))))
        row[0].text(0, 1.0, caption, transform=row[0].transAxes, va="bottom", fontsize=SMALL)
        if index == 0:
            for ax, title in zip(row, ("image", "truth", run, "errors"), strict=True):
                ax.set_title(title, fontweight="bold", loc="left", pad=18)
    return figure

"""The notebooks as sources: clean, short, described; executed they are in test_wheel.py and test_book_pages.py."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit import labels
from labkit.data.recolour import Recoloured
from labkit.data.statistics import ColourStatistics, class_pixels, colour_statistics
from labkit.exercises import datasets, domain_shift
from labkit.labels import CLASS_NAMES
from labkit.profiles import PAIRS, PROFILES

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PARAMETERS = ["profile", "pair", "seed", "runs"]
LONGEST_CELL = 20


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_datasets_and_label_maps",
        "02_deeplabv2_and_bisenet",
        "03_domain_shift",
        "04_augmentations",
        "05_adversarial_adaptation",
        "06_maximum_mean_discrepancy",
        "07_focal_loss_and_adam",
        "08_cyclegan_pipeline",
        "09_threshold_focal_cim",
        "10_leaderboard",
    ]


def test_sources_hold_no_output(notebook):
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert not cell.outputs and cell.execution_count is None, cell.id


def test_cell_ids_are_stable_words(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z-]+", cell_id) for cell_id in ids), "a tool has renumbered the cells"


def test_no_cell_reaches_out_of_its_folder(notebook):
    """From a wheel, or on Colab, there is no checkout around it."""
    for cell in code_cells(notebook):
        assert not re.search(r"[\"']\.\.?/|\bchdir\b|__file__", cell.source), cell.id


def test_cells_are_short(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.id


def test_parameters_are_the_agreed_ones(notebook):
    (cell,) = [cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])]
    values: dict = {}
    exec(cell.source, values)
    names = [name for name in values if not name.startswith("__")]
    assert names == PARAMETERS and values["profile"] in PROFILES and values["pair"] in PAIRS and values["seed"] == 0


def test_every_figure_has_a_caption_and_alt_text_of_its_own(notebook):
    figures = [cell for cell in code_cells(notebook) if cell.id.startswith("fig-")]
    described = [cell.metadata["mystnb"]["image"]["alt"] for cell in figures]
    assert len(figures) >= 3 and len(set(described)) == len(described)
    assert all(len(alt) > 60 for alt in described)
    assert all(cell.metadata["mystnb"]["figure"]["caption"] for cell in figures)
    drawing = re.compile(r"\bplots\.(?!slider|make_panels)\w+\(|prediction_figure\(")
    for cell in code_cells(notebook):
        if drawing.search(cell.source) and "plots.slider(" not in cell.source:
            assert cell in figures, f"{cell.id} draws, but its id does not begin with fig-"


def test_figures_have_labels_of_their_own_in_the_whole_book():
    cells = [cell for path in NOTEBOOKS for cell in code_cells(nbformat.read(path, as_version=4))]
    names = [cell.metadata["mystnb"]["figure"]["name"] for cell in cells if cell.id.startswith("fig-")]
    assert len(set(names)) == len(names)


def test_the_rhythm_is_kept(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for part in ("you will be able to", "memory", "## The idea", "## Beside the paper", "## Exercises", "## Take-away"):
        assert part in text, part
    assert "## Where to read on" in text and r"\tag{" in text
    assert text.count("### Exercise") >= 3 and text.count("<summary>Solution</summary>") == text.count("### Exercise")


# --- exercises --------------------------------------------------------------------------------------------------------


def solutions(path: Path) -> dict[str, str]:
    """The hidden solutions by cell id."""
    notebook = nbformat.read(path, as_version=4)
    return {
        cell.id: re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1)
        for cell in notebook.cells
        if cell.id.startswith("sol-")
    }


class ScoresStub:
    def __init__(self, **iou):
        self.iou = iou


@pytest.fixture
def solved() -> dict:
    """The names that the solutions of notebook 03 define."""
    names: dict = {"np": np}

    class Run:
        pass

    source_only, oracle = Run(), Run()
    source_only.scores = ScoresStub(road=0.9, car=0.3, sky=0.7, bus=0.04, train=float("nan"))
    oracle.scores = ScoresStub(road=0.95, car=0.8, sky=0.8, bus=0.0, train=float("nan"))
    names |= {"source_only": source_only, "oracle": oracle}
    for code in solutions(ROOT / "notebooks" / "03_domain_shift.ipynb").values():
        exec(code, names)
    return names


def test_the_hidden_solutions_are_right(solved):
    assert domain_shift.check_iou(solved["iou_from_counts"]).right
    answer = domain_shift.check_gap_share(
        solved["share"], solved["source_only"].scores.iou, solved["oracle"].scores.iou
    )
    assert answer.right and answer.message.startswith("car, sky, road: 107 % of the gap")
    assert domain_shift.check_recolour(solved["recolour"]).right


def recall(counts):
    return np.diag(counts) / counts.sum(1)


def precision(counts):
    return np.diag(counts) / counts.sum(0)


def hits_counted_twice(counts):
    return np.diag(counts) / (counts.sum(0) + counts.sum(1))


def zero_for_absent(counts):
    hits = np.diag(counts).astype(float)
    return hits / np.maximum(counts.sum(0) + counts.sum(1) - hits, 1)


def nan_without_truth(counts):
    hits = np.diag(counts)
    return np.where(counts.sum(1) > 0, hits / np.maximum(counts.sum(0) + counts.sum(1) - hits, 1), np.nan)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda counts: None, "returns nothing"),
        (nan_without_truth, "only predicted"),
        (recall, "recall"),
        (precision, "precision"),
        (hits_counted_twice, "counted twice"),
        (zero_for_absent, "use NaN"),
        (lambda counts: 0.5, "shape"),
        (lambda counts: counts / undefined, "NameError"),  # noqa: F821
    ],
)
def test_a_wrong_iou_gets_the_hint_that_helps(attempt, hint):
    answer = domain_shift.check_iou(attempt)
    assert not answer.right and hint in answer.message and hint in answer._repr_html_()


def test_a_wrong_share_gets_the_hint_that_helps():
    names = ("car", "sky", "bus", "road")
    scores = [dict(zip(names, values, strict=True)) for values in ((0.1, 0.6, 0.0, 0.8), (0.7, 0.8, 0.1, 0.9))]
    assert domain_shift.check_gap_share(90, *scores).right
    hints = {None: "Give a number", 0.9: "fraction", 75: "3 of 4 classes", 22.5: "gap of the means", 12: "Sort"}
    for attempt, words in hints.items():
        answer = domain_shift.check_gap_share(attempt, *scores)
        assert not answer.right and words in answer.message
    assert not domain_shift.check_gap_share("car", *scores).right


def shifted_only(image, own, other):
    return np.clip(np.rint(image - own.mean + other.mean), 0, 255).astype(np.uint8)


def by_picture(image, own, other):
    itself = ColourStatistics(image.mean((0, 1)), image.std((0, 1)))
    return np.clip(np.rint(as_float(image, itself, other)), 0, 255).astype(np.uint8)


def not_clipped(image, own, other):
    return np.rint((image - own.mean) / own.std * other.std + other.mean).astype(np.int64).astype(np.uint8)


def as_float(image, own, other):
    return (image - own.mean) / own.std * other.std + other.mean


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda image, own, other: image, "first pixel"),
        (shifted_only, "spread has not"),
        (by_picture, "own mean and spread"),
        (as_float, "float64"),
        (not_clipped, "wraps around"),
        (lambda image, own, other: image[0], "shape"),
    ],
)
def test_a_wrong_recolouring_gets_the_hint_that_helps(attempt, hint):
    answer = domain_shift.check_recolour(attempt)
    assert not answer.right and hint in answer.message


def test_class_pixels_are_merged_as_the_evaluation_merges(squares):
    labels = np.concatenate([squares()[i].label.ravel() for i in range(12)])
    plain, merged = class_pixels(squares()), class_pixels(squares(), "miou11")
    assert plain == {name: int((labels == i).sum()) for i, name in enumerate(CLASS_NAMES)}
    assert merged["building"] == plain["building"] + plain["wall"] and len(merged) == 11
    assert sum(merged.values()) == sum(plain.values()) == (labels != 255).sum()


def test_recoloured_has_the_other_sets_statistics(squares):
    own = colour_statistics(squares())
    pixels = np.concatenate([squares()[i].image.reshape(-1, 3) for i in range(12)]).astype(float)
    np.testing.assert_allclose(own.mean, pixels.mean(0))
    np.testing.assert_allclose(own.std, pixels.std(0), atol=1e-6)
    other = ColourStatistics(np.array([120.0, 110.0, 90.0]), np.array([20.0, 25.0, 1.0]))
    moved = colour_statistics(Recoloured(squares(), own, other))
    np.testing.assert_allclose(moved.mean, other.mean, atol=0.5)
    np.testing.assert_allclose(moved.std[:2], other.std[:2], atol=0.5)
    same = Recoloured(squares(), own, other, amount=0.0)
    assert all((same[i].image == squares()[i].image).all() for i in range(12))


# --- exercises of notebook 01 -----------------------------------------------------------------------------------------


def test_the_hidden_solutions_of_notebook_01_are_right():
    names: dict = {"np": np, "labels": labels}
    for code in solutions(ROOT / "notebooks" / "01_datasets_and_label_maps.ipynb").values():
        exec(code, names)
    assert datasets.check_lookup(names["to_train_ids"]).right
    assert datasets.check_synthia(names["read_synthia"]).right
    assert datasets.check_frequency(names["frequency"]).right


def table_of_zeros(ids):
    table = np.zeros(256, np.uint8)
    for label in labels.TRAIN_LABELS:
        table[label.id] = label.train_id
    return table[ids]


def replaced_in_turn(ids):
    ids = ids.copy()
    for label in reversed(labels.CITYSCAPES_LABELS):
        ids[ids == label.id % 256] = label.train_id
    return ids


def from_the_list(ids):
    table = np.zeros(256, np.uint8)
    for label in labels.CITYSCAPES_LABELS:
        table[label.id] = label.train_id
    return table[ids]


def without_the_plate(ids):
    table = np.full(256, 0, np.uint8)
    table[:34] = labels.CITYSCAPES_TO_TRAIN[:34]
    return table[ids]


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda ids: None, "returns nothing"),
        (table_of_zeros, "became road"),
        (replaced_in_turn, "chain of replacements"),
        (lambda ids: labels.CITYSCAPES_TO_TRAIN[ids].astype(np.int64), "int64"),
        (without_the_plate, "licence plate"),
        (from_the_list, "Numbers from 34 on"),
        (lambda ids: ids[0], "shape"),
    ],
)
def test_a_wrong_lookup_gets_the_hint_that_helps(attempt, hint):
    answer = datasets.check_lookup(attempt)
    assert not answer.right and hint in answer.message


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda stored: None, "returns nothing"),
        (lambda stored: stored, "All three channels"),
        (lambda stored: labels.SYNTHIA_TO_TRAIN[stored[..., 0]], "first channel"),
        (lambda stored: stored[..., -1], "SYNTHIA's own"),
        (lambda stored: labels.CITYSCAPES_TO_TRAIN[stored[..., -1]], "Cityscapes' table"),
        (lambda stored: labels.SYNTHIA_TO_TRAIN[stored[..., 1] % 256], "Channel −1"),
    ],
)
def test_a_wrong_reading_of_synthia_gets_the_hint_that_helps(attempt, hint):
    answer = datasets.check_synthia(attempt)
    assert not answer.right and hint in answer.message


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda label: None, "returns nothing"),
        (lambda label: np.bincount(label.ravel(), minlength=256), "256 numbers"),
        (lambda label: np.bincount(label.ravel(), minlength=256)[:19], "counts"),
        (lambda label: np.bincount(label.ravel(), minlength=256)[:19] / label.size, "ignored pixels were counted"),
        (lambda label: np.ones(19) / 19, "0.6, 0.2 and 0.2"),
    ],
)
def test_a_wrong_frequency_gets_the_hint_that_helps(attempt, hint):
    answer = datasets.check_frequency(attempt)
    assert not answer.right and hint in answer.message

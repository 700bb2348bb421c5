"""Confusion counts and IoU against torchmetrics and cityscapesscripts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from labkit.errors import LabError
from labkit.evaluation import folders
from labkit.evaluation.confusion import VOID, confusion_counts, iou, merge_counts
from labkit.evaluation.folders import score_folders
from labkit.evaluation.scores import Scores
from labkit.labels import CITYSCAPES_LABELS, CLASS_NAMES, EVALUATIONS, IGNORE, NUM_CLASSES, TRAIN_ID_TO_ID

SHAPE = (2, 13, 17)
TRAIN_IDS = st.sampled_from([*range(NUM_CLASSES), IGNORE])


def maps(elements=TRAIN_IDS):
    return arrays(np.uint8, SHAPE, elements=elements)


def counts_of(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    return confusion_counts(torch.from_numpy(prediction), torch.from_numpy(label)).numpy()


@given(maps(st.integers(0, NUM_CLASSES - 1)), maps())
@settings(max_examples=40, deadline=None)
def test_iou_agrees_with_torchmetrics(prediction, label):
    from torchmetrics.classification import MulticlassJaccardIndex

    referee = MulticlassJaccardIndex(NUM_CLASSES, average=None, ignore_index=IGNORE)
    expected = referee(torch.from_numpy(prediction).long(), torch.from_numpy(label).long()).numpy()
    ours = iou(counts_of(prediction, label))
    occurs = ~np.isnan(ours)
    np.testing.assert_allclose(ours[occurs], expected[occurs], atol=1e-6)
    # torchmetrics says 0 where we say "absent".
    valid = label != IGNORE
    present = set(label[valid]) | set(prediction[valid])
    assert set(np.flatnonzero(occurs)) == present


@given(maps(st.integers(0, 255)), maps(st.integers(0, 255)))
@settings(max_examples=20, deadline=None)
def test_every_valid_pixel_is_counted_once(prediction, label):
    counts = counts_of(prediction, label)
    assert counts.sum() == (label < NUM_CLASSES).sum()
    np.testing.assert_array_equal(counts.sum(1), np.bincount(label[label < NUM_CLASSES], minlength=NUM_CLASSES))
    assert counts[:, VOID].sum() == ((label < NUM_CLASSES) & (prediction >= NUM_CLASSES)).sum()


@given(maps(), maps())
@settings(max_examples=20, deadline=None)
def test_merging_counts_is_counting_merged_maps(prediction, label):
    merge = EVALUATIONS["miou11"].merge
    table = np.full(256, IGNORE, np.uint8)
    table[:NUM_CLASSES] = merge
    np.testing.assert_array_equal(
        merge_counts(counts_of(prediction, label), merge), counts_of(table[prediction], table[label])
    )


def test_absent_classes_are_left_out_of_the_mean():
    label = np.zeros((4, 4), np.uint8)
    label[:2] = 10
    prediction = label.copy()
    prediction[0] = 2  # a class that is only predicted counts, with IoU 0
    scores = Scores(counts_of(prediction, label), 1)
    assert scores.iou["road"] == 1 and scores.iou["sky"] == 0.5 and scores.iou["building"] == 0
    assert np.isnan(scores.iou["car"])
    assert scores.miou == pytest.approx((1 + 0.5 + 0) / 3)
    assert scores.as_json()["iou"]["car"] is None and scores.as_json()["miou11"] is None


def test_nothing_to_score_is_not_zero():
    scores = Scores(counts_of(np.zeros((2, 2), np.uint8), np.full((2, 2), IGNORE, np.uint8)), 1)
    assert np.isnan(scores.miou) and scores.as_json()["miou"] is None


def test_class_sets_are_means_over_their_classes():
    random = np.random.default_rng(0)
    counts = random.integers(1, 50, (NUM_CLASSES, NUM_CLASSES + 1))
    scores = Scores(counts, 3)
    for key in ("miou16", "miou13"):
        names = EVALUATIONS[key].class_names
        assert scores.over(key) == pytest.approx(np.mean([scores.iou[name] for name in names]))
    assert len(EVALUATIONS["miou16"].class_names) == 16 and len(EVALUATIONS["miou13"].class_names) == 13
    merged = Scores(counts, 3, "miou11")
    assert len(merged.iou) == 11 and merged.miou == merged.over("miou11") and merged.over("miou16") is None
    assert Scores.from_json(merged.as_json()).miou == merged.miou


# --- against the Cityscapes scripts, on files ------------------------------------------------------------------------


def full_size_pair(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """2048×1024 ids in blobs; the truth with ignored regions, the prediction with void ids."""
    ids = [label.id for label in CITYSCAPES_LABELS if label.id >= 0]
    truth = random.choice(ids, (32, 64)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
    prediction = truth.copy()
    wrong = random.random(truth.shape) < 0.3
    prediction[wrong] = random.choice(ids, wrong.sum())
    return prediction, truth


def cityscapes_counts(pairs) -> np.ndarray:
    """Counts by the public scripts: rows and columns are ids 0–33, and −1 last."""
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as referee

    referee.args.evalInstLevelScore = False
    referee.args.evalPixelAccuracy = False
    matrix = referee.generateMatrix(referee.args)
    per_image: dict = {}
    for prediction, truth in pairs:
        referee.evaluatePair(str(prediction), str(truth), matrix, {}, per_image, referee.args)
    return np.asarray(matrix)


@pytest.mark.parametrize("encoding", ["ids", "trainIds"])
def test_counts_equal_cityscapesscripts_to_the_pixel(tmp_path, encoding):
    from labkit.labels import CITYSCAPES_TO_TRAIN

    (tmp_path / "said" / "ulm").mkdir(parents=True)
    (tmp_path / "truth" / "ulm").mkdir(parents=True)
    random = np.random.default_rng(7)
    referee_pairs = []
    for number in range(2):
        prediction, truth = full_size_pair(random)
        name = f"ulm/ulm_{number:06d}_000019"
        files = tmp_path / f"p{number}.png", tmp_path / f"t{number}.png"
        for file, ids in zip(files, (prediction, truth), strict=True):
            Image.fromarray(ids).save(file)
        referee_pairs.append(files)
        stored = (
            (prediction, truth) if encoding == "ids" else (CITYSCAPES_TO_TRAIN[prediction], CITYSCAPES_TO_TRAIN[truth])
        )
        suffix = "labelIds" if encoding == "ids" else "labelTrainIds"
        Image.fromarray(stored[0]).save(tmp_path / "said" / f"{name}_leftImg8bit.png")
        Image.fromarray(stored[1]).save(tmp_path / "truth" / f"{name}_gtFine_{suffix}.png")
        Image.fromarray(truth).save(tmp_path / "truth" / f"{name}_gtFine_instanceIds.png")
    matrix = cityscapes_counts(referee_pairs)
    scores = score_folders(tmp_path / "said", tmp_path / "truth", encoding)
    ids = TRAIN_ID_TO_ID.astype(int)
    np.testing.assert_array_equal(scores.counts[:, :NUM_CLASSES], matrix[np.ix_(ids, ids)])
    void = [i for i in range(matrix.shape[0]) if i not in ids]
    np.testing.assert_array_equal(scores.counts[:, VOID], matrix[np.ix_(ids, void)].sum(1))
    assert scores.counts[:, VOID].sum() > 1000 and scores.images == 2

    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as referee

    for name, value in scores.iou.items():
        label = int(ids[CLASS_NAMES.index(name)])
        assert value == pytest.approx(referee.getIouScoreForLabel(label, matrix, referee.args), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), size=st.tuples(st.integers(1, 9), st.integers(1, 9)), at_once=st.integers(1, 100))
def test_files_are_counted_as_maps_are(data, size, at_once):
    """Any stored numbers at any size, counted whole or in parts, as pixel by pixel on the device."""
    from labkit.labels import CITYSCAPES_TO_TRAIN

    said, truth = (data.draw(arrays(np.uint8, size, elements=st.integers(0, 255))) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "_AT_ONCE", at_once)
        stored = folders._count_stored(said, truth)
    expected = np.zeros((256, 256), np.int64)
    np.add.at(expected, (truth, said), 1)
    np.testing.assert_array_equal(stored, expected)
    np.testing.assert_array_equal(folders._by_train_id(stored, "trainIds"), counts_of(said, truth))
    mapped = counts_of(CITYSCAPES_TO_TRAIN[said], CITYSCAPES_TO_TRAIN[truth])
    np.testing.assert_array_equal(folders._by_train_id(stored, "ids"), mapped)


def test_many_pixels_of_one_pair_are_counted_exactly():
    """More than float32 can count one by one."""
    side = 4100
    assert side * side > 2**24 > folders._AT_ONCE
    stored = folders._count_stored(np.full((side, side), 7, np.uint8), np.full((side, side), 11, np.uint8))
    assert stored[11, 7] == stored.sum() == side * side


def test_evaluate_equals_cityscapesscripts_on_full_size_labels(tmp_path):
    """A network on 2048×1024 pictures in Cityscapes' format, with ignored regions (the bonnet, licence plates)."""
    from labkit.data.cityscapes import Cityscapes
    from labkit.data.export import make
    from labkit.evaluation.predict import evaluate, predict_labels
    from labkit.models.registry import create_model

    make(tmp_path / "data", "real", "cityscapes", 2, (1024, 2048))
    data, model = Cityscapes(tmp_path / "data", "val"), create_model("bisenet", seed=0)
    scores = evaluate(model, data)
    (label,) = (tmp_path / "data" / "gtFine" / "val").rglob("*_labelIds.png")
    (prediction,) = predict_labels(model, [data[0]])
    Image.fromarray(TRAIN_ID_TO_ID[prediction]).save(tmp_path / "said.png")
    matrix = cityscapes_counts([(tmp_path / "said.png", label)])
    ids = TRAIN_ID_TO_ID.astype(int)
    np.testing.assert_array_equal(scores.counts[:, :NUM_CLASSES], matrix[np.ix_(ids, ids)])
    assert 0 < scores.counts.sum() < 2048 * 1024, "nothing was ignored"


def test_scoring_names_what_does_not_fit(tmp_path):
    said, truth = tmp_path / "said", tmp_path / "truth"
    said.mkdir()
    truth.mkdir()
    with pytest.raises(LabError, match=r"truth: no PNG files"):
        score_folders(said, truth)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(truth / "a.png")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(said / "a.png")
    with pytest.raises(LabError, match=r"a\.png: 4×5 pixels"):
        score_folders(said, truth)
    (said / "a.png").rename(said / "b.png")
    with pytest.raises(LabError, match=r"1 of 1 label maps .*a\.png"):
        score_folders(said, truth)
    with pytest.raises(LabError, match="known: ids, trainIds"):
        score_folders(said, truth, "colours")


def test_equal_names_in_subfolders_are_kept_apart(tmp_path):
    for city, value in (("a", 0), ("b", 10)):
        for kind in ("said", "truth"):
            (tmp_path / kind / city).mkdir(parents=True)
            Image.fromarray(np.full((4, 4), value, np.uint8)).save(tmp_path / kind / city / "0001.png")
    assert score_folders(tmp_path / "said", tmp_path / "truth", "trainIds").miou == 1
    (tmp_path / "said" / "b" / "0001.png").rename(tmp_path / "said" / "0001.png")
    with pytest.raises(LabError, match="same subfolder"):
        score_folders(tmp_path / "said", tmp_path / "truth", "trainIds")


def test_two_predictions_of_one_label_map_are_not_chosen_between(tmp_path):
    for name in ("said/x.png", "said/x_pred.png", "truth/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    with pytest.raises(LabError, match=r"x\.png and .*x_pred\.png are named alike"):
        score_folders(tmp_path / "said", tmp_path / "truth")

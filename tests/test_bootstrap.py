"""Counts of single pictures, and the paired bootstrap over them and over seeds."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from labkit.data.minicity.dataset import MiniCity
from labkit.errors import LabError
from labkit.evaluation.bootstrap import paired_bootstrap
from labkit.evaluation.picture_counts import PictureCounts, count_pictures
from labkit.evaluation.predict import evaluate, predict_labels
from labkit.evaluation.scores import Scores
from labkit.labels import EVALUATIONS, IGNORE, NUM_CLASSES
from labkit.models.registry import create_model


def confusions(pictures, seed, right=0.6, classes=(0, 1, 2, 5, 11)):
    """Confusion counts of pictures of 500 pixels, of which about a share is right; not every class is in every one."""
    random = np.random.default_rng(seed)
    counts = np.zeros((pictures, NUM_CLASSES, NUM_CLASSES + 1), dtype=np.int64)
    for one in counts:
        truth = random.choice(random.choice(classes, 3, replace=False), 500)
        wrong = random.choice([*classes, NUM_CLASSES], 500)
        np.add.at(one, (truth, np.where(random.random(500) < right, truth, wrong)), 1)
    return counts


def counted(pictures, seed, **options):
    return PictureCounts.from_confusion(confusions(pictures, seed, **options))


# --- counts ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_counts_are_those_of_sets_of_pixels(data):
    """Per picture and class: pixels where both name it, and pixels where either does, void truth left out."""
    count = data.draw(st.integers(1, 4))
    pixels = st.lists(st.sampled_from([0, 3, 7, 18, IGNORE]), min_size=12, max_size=12)
    maps = [(np.array(data.draw(pixels)), np.array(data.draw(pixels))) for _ in range(count)]
    confusion = np.zeros((count, NUM_CLASSES, NUM_CLASSES + 1), dtype=np.int64)
    for one, (truth, predicted) in zip(confusion, maps, strict=True):
        for t, p in zip(truth, predicted, strict=True):
            if t != IGNORE:
                one[t, min(p, NUM_CLASSES)] += 1
    found = PictureCounts.from_confusion(confusion)
    assert found.unions.dtype == found.intersections.dtype == np.int64 and len(found) == count
    for i, (truth, predicted) in enumerate(maps):
        for c in range(NUM_CLASSES):
            true, said = truth == c, (predicted == c) & (truth != IGNORE)
            assert found.intersections[i, c] == (true & said).sum()
            assert found.unions[i, c] == (true | said).sum()


@pytest.mark.parametrize("evaluation", ["miou", "miou16", "miou13", "miou11"])
def test_sums_over_pictures_give_the_scores(evaluation):
    counts = np.random.default_rng(0).integers(0, 50, (6, NUM_CLASSES, NUM_CLASSES + 1))
    own = "miou11" if evaluation == "miou11" else "miou"
    intersections, unions = PictureCounts.from_confusion(counts, own).over(evaluation)
    expected = Scores(counts.sum(axis=0), 6, own).over(evaluation)
    assert (intersections.sum(axis=0) / unions.sum(axis=0)).mean() == pytest.approx(expected)


def test_a_networks_pictures():
    city = MiniCity("real", split="val", size=(32, 64), count=5)
    model = create_model("bisenet", seed=0)
    found = count_pictures(model, city, batch_size=2)
    for i in range(5):
        (predicted,) = predict_labels(model, [city[i]])
        for c in range(NUM_CLASSES):
            valid = city[i].label != IGNORE
            true, said = city[i].label == c, valid & (predicted == c)
            assert (found.intersections[i, c], found.unions[i, c]) == ((true & said).sum(), (true | said).sum())
    scores = evaluate(model, city)
    intersections, unions = found.intersections.sum(axis=0), found.unions.sum(axis=0)
    present = unions > 0
    assert (intersections[present] / unions[present]).mean() == pytest.approx(scores.miou)
    assert found.evaluation == scores.evaluation and not model.training


def test_counts_travel_as_json():
    counts = counted(3, 0)
    again = PictureCounts.from_json(json.loads(json.dumps(counts.as_json())))
    assert (again.unions == counts.unions).all() and (again.intersections == counts.intersections).all()
    assert again.evaluation == counts.evaluation and again.unions.dtype == np.int64
    assert len(PictureCounts.from_json(PictureCounts.from_confusion([]).as_json())) == 0


def test_counts_that_cannot_be():
    with pytest.raises(LabError, match=r"expected \(images, 19\)"):
        PictureCounts(np.zeros((3, 19), dtype=np.int64), np.zeros((3, 16), dtype=np.int64))
    with pytest.raises(LabError, match="counted for miou11 cannot be scored over miou"):
        PictureCounts.from_confusion(confusions(2, 0), "miou11").over("miou")


# --- the bootstrap ---------------------------------------------------------------------------------------------------


def naive_miou(counts, chosen, evaluation="miou"):
    """The mean over classes of TP / (TP + FP + FN), over pictures that may come several times."""
    total = {c: [0, 0] for c in EVALUATIONS[evaluation].train_ids}
    for i in chosen:
        for c, sums in total.items():
            sums[0] += int(counts.intersections[i, c])
            sums[1] += int(counts.unions[i, c])
    return np.mean([both / either for both, either in total.values() if either])


def naive_difference(first, second, runs, chosen, evaluation="miou"):
    both = [[naive_miou(one[r], chosen, evaluation) for r in runs] for one in (first, second)]
    return np.mean(both[0]) - np.mean(both[1])


def test_every_possible_resample():
    """Three pictures and two seeds have 27 · 4 equally likely resamples; these are their differences and no others."""
    first, second = ([counted(3, 10 * kind + run) for run in range(2)] for kind in range(2))
    found = paired_bootstrap(first, second, resamples=20_000, confidence=0.8)
    every = np.array(
        [
            naive_difference(first, second, runs, chosen)
            for runs in itertools.product(range(2), repeat=2)
            for chosen in itertools.product(range(3), repeat=3)
        ]
    )
    assert found.difference == pytest.approx(naive_difference(first, second, range(2), range(3)))
    assert np.isclose(found.resampled[:, None], np.unique(every.round(12)), atol=1e-9).any(axis=1).all()
    assert found.resampled.mean() == pytest.approx(every.mean(), abs=0.05 * every.std())
    assert found.resampled.std() == pytest.approx(every.std(), rel=0.03)
    assert found.share_below == pytest.approx((every < 0).mean(), abs=0.01)
    assert 0.05 < found.share_below < 0.95
    assert (every < found.low).mean() <= 0.115 and (every <= found.low).mean() >= 0.085  # a tenth lies below
    assert (every > found.high).mean() <= 0.115 and (every >= found.high).mean() >= 0.085


def test_interval_of_one_seed_is_scipys():
    first, second = counted(40, 1, right=0.65), counted(40, 2, right=0.6)
    found = paired_bootstrap([first], [second], resamples=8000, confidence=0.9)

    def statistic(i, axis=-1):
        both = [
            (one.intersections[i].sum(axis=-2), one.unions[i].sum(axis=-2)) for one in (first, second)
        ]  # classes that are nowhere have 0 / 0
        with np.errstate(invalid="ignore"):
            return np.subtract(*(np.nanmean(intersection / union, axis=-1) for intersection, union in both))

    theirs = stats.bootstrap(
        (np.arange(40),), statistic, n_resamples=8000, confidence_level=0.9, method="percentile", rng=1
    )
    assert found.difference == pytest.approx(statistic(np.arange(40)))
    low, high = theirs.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.04 * (high - low))
    assert found.resampled.std() == pytest.approx(theirs.standard_error, rel=0.03)


def test_pairing_takes_out_what_both_share():
    """Of two methods that fail in the same pictures, the difference varies far less than either score."""
    first = confusions(30, 3, right=0.2)
    first[:15] = confusions(15, 4, right=0.95)  # easy pictures, hard pictures
    second = first.copy()
    second[:, 0, 0] += 3
    paired = paired_bootstrap([PictureCounts.from_confusion(second)], [PictureCounts.from_confusion(first)])
    alone = [
        naive_miou(PictureCounts.from_confusion(first), np.random.default_rng(i).integers(0, 30, 30)) for i in range(50)
    ]
    assert paired.resampled.std() < 0.1 * np.std(alone)
    assert 0 < paired.low < paired.difference < paired.high and paired.share_below == 0


def test_seeds_vary_too():
    """Three trainings that differ among themselves leave more doubt than one; equal ones leave as much."""
    first, second = [counted(50, run, right=right) for run, right in enumerate((0.5, 0.6, 0.7))], [counted(50, 9)] * 3
    one = paired_bootstrap(first[1:2], second[:1])
    three = paired_bootstrap(first, second)
    assert three.high - three.low > 2 * (one.high - one.low)
    same = paired_bootstrap(first[1:2] * 3, second)
    assert same.difference == pytest.approx(one.difference)
    assert same.high - same.low == pytest.approx(one.high - one.low, rel=0.1)


def test_a_class_that_nobody_names_counts_nowhere():
    """Class 4 is in the second picture alone; a resample without that picture is the mean over the others."""
    counts = np.zeros((2, NUM_CLASSES, NUM_CLASSES + 1), dtype=np.int64)
    counts[0, 0, 0], counts[0, 0, 1] = 6, 4
    counts[1, 0, 0], counts[1, 4, 0] = 5, 5
    first, perfect = PictureCounts.from_confusion(counts), np.zeros_like(counts)
    perfect[:, 0, 0], perfect[1, 4, 4] = (10, 5), 5
    found = paired_bootstrap([first], [PictureCounts.from_confusion(perfect)], resamples=400)
    without = (6 / 10 + 0) / 2 - 1  # classes 0 and 1 (named wrongly) against class 0 alone
    only = (5 / 10 + 0) / 2 - 1
    both = (11 / 20 + 0 + 0) / 3 - 1
    assert np.unique(found.resampled) == pytest.approx(sorted((without, only, both)))


def test_pictures_without_labels_take_nothing_away():
    first, second = confusions(6, 0), confusions(6, 1)
    first[3:] = second[3:] = 0
    found = paired_bootstrap(*([PictureCounts.from_confusion(one)] for one in (first, second)), resamples=4000)
    assert 0 < np.isnan(found.resampled).sum() < 200  # all three draws of six from the empty half: 1 / 64
    assert not any(math.isnan(value) for value in found[:4])


def test_the_same_seed_gives_the_same_numbers():
    first, second = [counted(20, 0)], [counted(20, 1)]
    found = paired_bootstrap(first, second, resamples=300)
    assert (paired_bootstrap(first, second, resamples=300).resampled == found.resampled).all()
    assert (paired_bootstrap(first, second, resamples=300, seed=1).resampled != found.resampled).any()
    swapped = paired_bootstrap(second, first, resamples=300)
    np.testing.assert_allclose(swapped.resampled, -found.resampled, atol=1e-12)


def test_other_class_sets():
    first, second = [counted(8, 0)], [counted(8, 1)]
    for evaluation in ("miou13", "miou16"):
        found = paired_bootstrap(first, second, evaluation=evaluation, resamples=10)
        assert found.difference == pytest.approx(naive_difference(first, second, [0], range(8), evaluation))
    assert paired_bootstrap(first, second, evaluation="miou13", resamples=10).difference != pytest.approx(
        paired_bootstrap(first, second, resamples=10).difference
    )


def test_what_cannot_be_compared():
    three, four, none = counted(3, 0), counted(4, 0), PictureCounts.from_confusion([])
    unlabelled = PictureCounts.from_confusion(np.zeros((2, NUM_CLASSES, NUM_CLASSES + 1), dtype=np.int64))
    for first, second, words in (
        ([], [], "0 and 0 trainings"),
        ([three, three], [three], "2 and 1 trainings: a pair needs the same seeds"),
        ([three], [four], r"\[3, 4\] pictures: a pair needs the same pictures"),
        ([none], [none], "at least 1"),
        ([unlabelled], [unlabelled], "none of the pictures has a labelled pixel"),
    ):
        with pytest.raises(LabError, match=words):
            paired_bootstrap(first, second)
    for wrong in ({"confidence": 1}, {"confidence": 0}, {"resamples": 0}):
        with pytest.raises(LabError, match="has to lie between 0 and 1"):
            paired_bootstrap([three], [three], **wrong)


def test_of_three_seeds_alone_the_interval_reaches_from_the_worst_to_the_best():
    """One of 27 draws has the worst seed three times: more than the 2.5 % that are cut off."""
    alike = [PictureCounts(*(np.repeat(part[:1], 8, axis=0) for part in (one.intersections, one.unions)))
             for one in (counted(1, seed, right=right) for seed, right in enumerate((0.5, 0.6, 0.8)))]  # fmt: skip
    base = [PictureCounts(*(np.repeat(part[:1], 8, axis=0) for part in (one.intersections, one.unions)))
            for one in [counted(1, 9)] * 3]  # fmt: skip
    singles = [paired_bootstrap([one], [other]).difference for one, other in zip(alike, base, strict=True)]
    found = paired_bootstrap(alike, base)
    assert (found.low, found.high) == pytest.approx((min(singles), max(singles)))

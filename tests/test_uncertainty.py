"""Entropy and confidence against scipy, AUROC against torchmetrics, and what thresholds do, counted by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from torch import nn
from torchmetrics.functional.classification import binary_auroc

from labkit.data.dataset import Sample
from labkit.evaluation.prediction_images import predict_image
from labkit.evaluation.uncertainty import (
    Uncertainty,
    auroc,
    background_scores,
    blacked_out,
    entropy_and_confidence,
    uncertainty,
)
from labkit.labels import EVALUATIONS, IGNORE
from labkit.models.output import SegmentationOutput


def logits(seed=0, *shape):
    return torch.randn(*(shape or (2, 19, 3, 4)), generator=torch.Generator().manual_seed(seed)) * 3


def test_entropy_in_nats_against_scipy():
    z = logits()
    found, confidence = entropy_and_confidence(z)
    p = z.double().softmax(dim=1).numpy()
    np.testing.assert_allclose(found, scipy_entropy(p, axis=1), atol=1e-5)
    np.testing.assert_allclose(confidence, p.max(axis=1), atol=1e-6)
    assert found.dtype == torch.float32 and found.shape == (2, 3, 4)


def test_a_spike_has_no_entropy_and_a_flat_distribution_all_of_it():
    spike = torch.zeros(1, 19, 1, 2)
    spike[0, 3, 0, 0] = 1e4
    entropy, confidence = entropy_and_confidence(spike.half())
    assert entropy.isfinite().all() and entropy[0, 0, 0] == 0 and confidence[0, 0, 0] == 1
    assert entropy[0, 0, 1] == pytest.approx(math.log(19)) and confidence[0, 0, 1] == pytest.approx(1 / 19)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),  # few values: ties
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
)
def test_auroc_against_torchmetrics_and_against_pairs(positives, negatives):
    found = auroc(np.array(positives), np.array(negatives))
    scores = torch.tensor(positives + negatives) / 6
    truth = torch.tensor([1] * len(positives) + [0] * len(negatives))
    assert found == pytest.approx(float(binary_auroc(scores, truth)), abs=1e-6)
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert found == pytest.approx(np.mean(pairs))


def test_auroc_of_nothing_is_nan():
    assert math.isnan(auroc(np.empty(0), np.ones(3))) and math.isnan(auroc(np.ones(3), np.empty((0, 2))))


def test_thresholds_black_out_what_is_on_their_wrong_side():
    entropy, confidence = np.array([1.0, 1.01, 0.2, 2.0]), np.array([0.5, 0.6, 0.49, 0.3])
    assert blacked_out(entropy, confidence).tolist() == [False, True, True, True]
    assert blacked_out(entropy, confidence, 1.5, 0).tolist() == [False, False, False, True]


def test_scores_of_a_background_that_was_counted_by_hand():
    found = Uncertainty(
        entropy=np.array([[[2.0, 0.1, 0.2, 0.3, 1.5, 0.4]]], np.float32),
        confidence=np.array([[[0.3, 0.9, 0.8, 0.7, 0.45, 0.6]]], np.float32),
        predicted=np.array([[[0, 1, 2, 2, 2, 5]]], np.uint8),
        truth=np.array([[[IGNORE, IGNORE, 2, 2, 3, 4]]], np.uint8),
    )
    scores = background_scores(found)
    assert scores.auroc_entropy == pytest.approx(4 / 8)  # 2.0 above all four valid pixels, 0.1 below them all
    assert scores.auroc_confidence == pytest.approx(4 / 8)
    assert scores.auroc_errors == 1  # 1.5 and 0.4 above 0.2 and 0.3
    assert (scores.void_black, scores.valid_black) == (0.5, 0.25)
    assert (scores.accuracy, scores.accuracy_shown) == (0.5, pytest.approx(2 / 3))


def test_without_void_there_is_nothing_to_rank():
    one = np.zeros((1, 2, 2))
    scores = background_scores(Uncertainty(one, one + 1, one.astype(np.uint8), one.astype(np.uint8)))
    assert math.isnan(scores.auroc_entropy) and math.isnan(scores.void_black) and scores.accuracy == 1


class ByColour(nn.Module):
    """Logits that are the picture itself, in 19 channels."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 19, 1)

    def forward(self, images):
        return SegmentationOutput(self.mix(images) * 4, (), {})


def test_over_a_data_set_and_as_the_pictures_of_the_command_line_have_it(squares):
    torch.manual_seed(0)
    model, data = ByColour(), squares(6)
    found = uncertainty(model, data, limit=3)
    assert {maps.shape for maps in found} == {(3, 32, 64)}
    assert [maps.dtype for maps in found] == [np.float32, np.float32, np.uint8, np.uint8]
    sample: Sample = data[2]
    np.testing.assert_array_equal(found.truth[1], sample.label)
    labels, entropy = predict_image(model, sample.image, (32, 64))
    np.testing.assert_array_equal(found.predicted[1], labels)
    np.testing.assert_allclose(found.entropy[1] / math.log(19), entropy, atol=1e-5)


def test_predictions_are_merged_as_camvid_merges(squares):
    class Merged(squares):
        evaluation = "miou11"

    torch.manual_seed(0)
    model = ByColour()
    plain, merged = uncertainty(model, squares(2)), uncertainty(model, Merged(2))
    table = np.array(EVALUATIONS["miou11"].merge, np.uint8)
    np.testing.assert_array_equal(merged.predicted, table[plain.predicted])
    np.testing.assert_array_equal(merged.entropy, plain.entropy)
    assert (merged.predicted != plain.predicted).any()

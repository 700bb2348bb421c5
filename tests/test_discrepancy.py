"""Readings of kernels, draws against closed forms, gradients by class, and the figures of notebook 06."""

import numpy as np
import pytest
import torch

from labkit import plots
from labkit.data.dataset import Sample
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.class_gradients import gradient_shares, pixel_gradients, rare_class_pull, road_and_poles
from labkit.evaluation.discrepancy import estimates_over_draws, feature_maps, read_kernel, spread_share
from labkit.evaluation.features import pooled_features
from labkit.labels import IGNORE
from labkit.losses.cross_entropy import cross_entropy
from labkit.losses.dice import dice_loss
from labkit.models.output import SegmentationOutput

RANDOM = np.random.default_rng(0)


def sets(n=5, m=7, d=6, shift=0.5):
    return RANDOM.normal(size=(n, d)), RANDOM.normal(size=(m, d)) + shift


# --- kernels ----------------------------------------------------------------------------------------------------------


def test_the_printed_kernel_reads_the_means_alone():
    x, y = sets()
    reading = read_kernel(x, y, "printed", sigma=2.0)
    apart = x.mean(0) - y.mean(0)
    assert reading.biased == pytest.approx((apart**2).sum() / 4)
    by_hand = np.concatenate([np.tile(2 * apart / 5 / 4, (5, 1)), np.tile(-2 * apart / 7 / 4, (7, 1))])
    assert reading.gradient == pytest.approx(np.linalg.norm(by_hand))
    both = np.concatenate([x, y])
    np.testing.assert_allclose(reading.matrix, -((both[:, None] - both[None]) ** 2).sum(-1) / 8, atol=1e-12)


def test_the_rbf_is_blind_where_vectors_are_long():
    x, y = sets(d=4000)
    reading = read_kernel(x, y, "rbf")
    np.testing.assert_array_equal(reading.matrix, np.eye(12))
    assert reading.gradient == 0 and reading.biased == pytest.approx(1 / 5 + 1 / 7) and reading.unbiased == 0
    assert read_kernel(x, y, "median").gradient > 0


def test_a_single_vector_has_no_unbiased_estimate():
    assert np.isnan(read_kernel(np.zeros((1, 2)), np.ones((3, 2)), "rbf").unbiased)
    with pytest.raises(UnknownNameError, match="median"):
        read_kernel(*sets(), "cubic")


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_draws_agree_with_the_closed_form(shift):
    found = estimates_over_draws([3, 12], shift=shift, dimension=4, draws=600, sigma=2.0)
    error = 4 * np.stack([found.biased.std(1), found.unbiased.std(1)]) / np.sqrt(600)
    assert (np.abs(found.biased.mean(1) - found.truth - found.bias) < error[0]).all()
    assert (np.abs(found.unbiased.mean(1) - found.truth) < error[1]).all()
    assert (found.bias > 5 * error[0] / 4).all(), "the draws are too few to tell the bias from chance"
    assert (found.biased >= 0).all() and (found.unbiased < 0).any()


def test_the_truth_against_a_large_sample():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 4000, 4, dtype=torch.float64, generator=generator)
    distances = [((a[:2000, None] - b[None, 2000:]) ** 2).sum(-1) for a, b in ((x, x), (y, y), (x, y + 0.6))]
    within, other, across = (float(torch.exp(-one / 8).mean()) for one in distances)
    found = estimates_over_draws([2], shift=0.6, dimension=4, draws=1, sigma=2.0)
    assert found.truth == pytest.approx(within + other - 2 * across, abs=0.01)


def test_the_share_of_the_spread_against_drawn_batches():
    generator = np.random.default_rng(3)
    x = generator.normal(scale=[1, 2, 3], size=(20_000, 3))
    y = generator.normal(loc=[1, 0, 0], size=(20_000, 3))
    means = [one.reshape(5000, 4, 3).mean(1) for one in (x, y)]
    average = ((means[0] - means[1]) ** 2).sum(1).mean()
    assert spread_share(x, y, 4) == pytest.approx(1 - 1 / average, abs=0.02)  # the true means are 1 apart
    assert spread_share(x, x, 4) == pytest.approx(1, abs=0.01)


class OneFeature(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 5, 3, stride=4)

    def forward(self, images):
        maps = self.layer(images)
        return SegmentationOutput(maps, (), {"backbone": maps})


def test_feature_maps_are_those_that_are_pooled_elsewhere(squares):
    torch.manual_seed(0)
    network = OneFeature()
    maps = feature_maps(network, squares(9), "backbone", limit=3)
    assert maps.shape == (3, 5, 8, 16) and maps.dtype == np.float32
    pooled = pooled_features(network, squares(9), "backbone", limit=3)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), pooled, atol=1e-6)
    with pytest.raises(UnknownNameError, match="backbone"):
        feature_maps(network, squares(2), "aspp")


# --- gradients by class -----------------------------------------------------------------------------------------------


def test_shares_of_cross_entropys_gradient_by_its_formula():
    z, labels = road_and_poles(0.02, 0.3)
    # |p − y| over both classes is twice the missing probability: 0.7 on a pole, 0.1 on the road.
    np.testing.assert_allclose(gradient_shares(cross_entropy, z, labels)[1], 0.02 * 0.7 / (0.02 * 0.7 + 0.98 * 0.1))
    np.testing.assert_allclose(z.softmax(1)[0, 1, 0, 0], 0.3)
    assert (labels == 1).sum() == 200


def test_dice_pulls_harder_at_the_rare_class_but_not_where_it_is_missed_completely():
    shares, seen = np.array([0.001, 0.01]), np.array([1e-4, 0.5, 0.9])
    entropy, dice = (rare_class_pull(loss, shares, seen) for loss in (cross_entropy, dice_loss))
    assert (dice.by_share > 3 * entropy.by_share).all()
    np.testing.assert_allclose(entropy.by_probability, (1 - seen) / (1 - 1e-4), rtol=1e-6)
    assert dice.by_probability[0] < 1e-3 and dice.by_probability[1] == 1


def test_ignored_pixels_and_absent_classes_have_no_share():
    z = torch.randn(1, 4, 2, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[0, 1, IGNORE], [1, 0, IGNORE]]])
    assert (pixel_gradients(cross_entropy, z, labels)[labels == IGNORE] == 0).all()
    shares = gradient_shares(dice_loss, z, labels)
    assert shares.sum() == pytest.approx(1) and (shares[2:] == 0).all() and (shares[:2] > 0).all()
    assert not gradient_shares(cross_entropy, z, torch.full_like(labels, IGNORE)).any()


# --- figures ----------------------------------------------------------------------------------------------------------


def test_the_figure_of_gradients_draws_what_was_measured():
    shares, seen = np.logspace(-3, -1, 5), np.linspace(0.1, 0.9, 4)
    pulls = {name: rare_class_pull(loss, shares, seen) for name, loss in (("CE", cross_entropy), ("Dice", dice_loss))}
    left, right = plots.class_gradients(shares, seen, pulls).axes
    np.testing.assert_array_equal(left.lines[2].get_ydata(), pulls["Dice"].by_share)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), pulls["CE"].by_probability)
    assert left.lines[1].get_label() == "CE" and left.get_xscale() == "log"


def test_kernel_matrices_keep_their_own_scale():
    x, y = sets()
    readings = {name: read_kernel(x, y, name).matrix for name in ("printed", "rbf")}
    figure = plots.kernel_matrices({"as printed\npooled": readings["printed"], "RBF": readings["rbf"]}, len(x))
    pictures = [ax.images[0] for ax in figure.axes if ax.images]
    for picture, matrix in zip(pictures, readings.values(), strict=True):
        np.testing.assert_array_equal(picture.get_array(), matrix)
        assert picture.get_clim() == (matrix.min(), matrix.max())
    assert figure.axes[0].get_title(loc="left") == "as printed"
    for wrong in ({}, {"a": np.zeros((3, 4))}):
        with pytest.raises(LabError, match="square"):
            plots.kernel_matrices(wrong, 1)


def test_estimates_are_drawn_with_truth_and_bias():
    found = estimates_over_draws([2, 4, 8], draws=20)
    (ax,) = plots.discrepancy_estimates({"same": found}, batch=4).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.lines}
    np.testing.assert_allclose(lines["biased"], found.biased.mean(1))
    np.testing.assert_allclose(lines["truth + bias, by formula"], found.bias)
    assert set(lines["truth"]) == {0.0}


def test_uncertain_pixels_are_black():
    label = np.repeat(np.uint8([[0], [2], [IGNORE], [IGNORE]]), 8, axis=1).repeat(4, axis=0)
    sample = Sample(np.full((16, 8, 3), 90, np.uint8), label, "street")
    predicted = np.zeros((16, 8), np.uint8)
    black = np.arange(16)[:, None].repeat(8, 1) > 7
    figure = plots.uncertain_pixels(sample, predicted, np.full((16, 8), np.log(19)), black, "sure")
    _, _, entropy, shown = (ax.images[0].get_array() for ax in figure.axes)
    assert (np.asarray(entropy) == 255).all()
    assert (np.asarray(shown)[black] == 0).all() and (np.asarray(shown)[~black] == [128, 64, 128]).all()


def test_histograms_are_shares_of_each_group():
    groups = {
        "void": {"entropy": np.array([2.0, 2.0]), "confidence": np.array([0.2, 0.9])},
        "right": {"entropy": np.array([0.1]), "confidence": np.array([1.0])},
        "wrong": {"entropy": np.empty(0), "confidence": np.empty(0)},
    }
    figure = plots.uncertainty_histograms(groups, (1.0, 0.5), ("entropy", "confidence"))
    heights = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [values.sum() for values in heights] == [1, 1, 1, 1]  # outline and filling of two groups
    with pytest.raises(LabError, match="thresholds"):
        plots.uncertainty_histograms(groups, (1.0,), ("entropy", "confidence"))

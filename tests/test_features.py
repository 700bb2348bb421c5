"""Features and batch-norm statistics against a plain computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labkit.data.selection import evenly
from labkit.data.transforms import normalize, to_batch, to_float
from labkit.errors import UnknownNameError
from labkit.evaluation.features import batch_norm_moments, pooled_features
from labkit.models.registry import create_model


def test_moments_are_those_of_the_layers_input(squares):
    model, data = create_model("bisenet", seed=0).eval(), squares(count=3)
    norm = model.backbone.bn1  # the first batch norm: its input is the first convolution of the picture
    with torch.no_grad():
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
        images = normalize(to_float(to_batch([data[i] for i in range(3)]).images))
        values = model.backbone.conv1(images).double().transpose(0, 1).flatten(1)
    stored, given = batch_norm_moments(model, data, layer=0)
    np.testing.assert_allclose(given.mean, values.mean(1), atol=1e-4)
    np.testing.assert_allclose(given.std, values.std(1, unbiased=False), rtol=1e-3)
    np.testing.assert_allclose(stored.std, norm.running_var.sqrt())
    before = norm.running_mean.clone()
    batch_norm_moments(model, data)
    assert torch.equal(before, norm.running_mean), "looking must not change the running statistics"
    assert not norm._forward_pre_hooks


def test_pooled_features_are_means_over_positions(squares):
    model, data = create_model("bisenet", seed=0), squares(count=5)
    pooled = pooled_features(model, data, "backbone", limit=2)
    with torch.inference_mode():
        one = model.eval()(normalize(to_float(to_batch([data[2]]).images))).features["backbone"]
    assert pooled.shape == (2, 512)
    np.testing.assert_allclose(pooled[1], one.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    with pytest.raises(UnknownNameError, match=r"known: .*backbone"):
        pooled_features(model, data, "conv7")


@given(st.integers(0, 500), st.integers(1, 100))
def test_even_choices_are_distinct_ordered_and_begin_at_the_first(length, count):
    chosen = list(evenly(length, count))
    assert chosen == sorted(set(chosen)) and len(chosen) == min(length, count)
    assert all(0 <= i < length for i in chosen) and chosen[:1] == ([0] if length else [])

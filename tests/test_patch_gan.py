"""Discriminators of patches: layer by layer as described, what they see, and how many answers they give."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit.errors import LabError, UnknownNameError
from labkit.models.generator import InstanceNorm
from labkit.models.patch_gan import FeatureDiscriminator, ImageDiscriminator, PatchGAN

WIDTHS = (64, 128, 256, 512, 1)
NETWORKS = {
    "patch": (PatchGAN, (2, 2, 2, 1, 1)),
    "printed": (lambda *args, **kw: ImageDiscriminator("printed", *args, **kw), (2, 2, 2, 2, 2)),
    "published-code": (lambda *args, **kw: ImageDiscriminator("published-code", *args, **kw), (2, 2, 2, 2, 1)),
    "features": (FeatureDiscriminator, (1, 1, 1, 1, 1)),
}


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# --- what they are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "channels"), [("patch", 3), ("printed", 3), ("published-code", 3), ("features", 1280)]
)
def test_every_layer(name, channels):
    make, strides = NETWORKS[name]
    with torch.device("meta"):
        network = make(channels)
    found = [(c.in_channels, c.out_channels, c.kernel_size, c.stride) for c in convolutions(network)]
    inputs = (channels, *WIDTHS)
    assert found == [(i, o, (4, 4), (s, s)) for i, o, s in zip(inputs, WIDTHS, strides, strict=False)]
    kinds = [type(module) for module in network if not isinstance(module, nn.ZeroPad2d)]
    middle = [nn.Conv2d, InstanceNorm, nn.LeakyReLU]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, *middle, *middle, *middle, nn.Conv2d]  # no sigmoid
    assert {module.negative_slope for module in network if isinstance(module, nn.LeakyReLU)} == {0.2}
    total = sum(i * o * 16 + o for i, o in zip(inputs, WIDTHS, strict=False))
    assert sum(parameter.numel() for parameter in network.parameters()) == total
    assert total == {3: 2_764_737, 1280: 4_072_385}[channels]


def test_the_default_layers_are_the_printed_ones():
    assert [c.stride for c in convolutions(ImageDiscriminator(filters=2))] == [(2, 2)] * 5
    with pytest.raises(UnknownNameError, match="'code'; known: printed, published-code"):
        ImageDiscriminator("code")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_answer_as_a_naive_version(name):
    make, strides = NETWORKS[name]
    torch.manual_seed(0)
    network, maps = make(3, filters=4), noise(2, 3, 64, 96)
    with torch.no_grad():
        for convolution in convolutions(network):
            convolution.weight.mul_(10)
            convolution.bias.normal_(0, 0.3)
    x = maps.double()
    for number, (layer, stride) in enumerate(zip(convolutions(network), strides, strict=True)):
        before, after = (1, 2) if name == "features" else (1, 1)
        x = F.conv2d(F.pad(x, (before, after, before, after)), layer.weight.double(), layer.bias.double(), stride)
        if 1 <= number <= 3:
            x = x - x.mean(dim=(2, 3), keepdim=True)
            x = x / (x.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()
        if number < 4:
            x = torch.where(x > 0, x, 0.2 * x)
    torch.testing.assert_close(network(maps).double(), x, rtol=1e-4, atol=1e-5)
    assert x.min() < 0 < 1 < x.max()  # neither a sigmoid's nor a probability's range


@pytest.mark.parametrize("name", NETWORKS)
def test_their_start(name):
    torch.manual_seed(0)
    for convolution in convolutions(NETWORKS[name][0](3, filters=16)):
        assert not convolution.bias.any()
        assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.15)


# --- what they see -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "field"), [("patch", 70), ("printed", 94), ("published-code", 94), ("features", 16)])
def test_receptive_field(name, field):
    """Of the convolutions: a norm's mean and variance are of the whole picture, so it is taken out."""
    torch.manual_seed(0)
    layers = [layer for layer in NETWORKS[name][0](2, filters=2) if not isinstance(layer, InstanceNorm)]
    network = nn.Sequential(*layers)
    with torch.no_grad():
        for convolution in convolutions(network):
            convolution.weight.fill_(1)
    maps = torch.ones(1, 2, 288, 288, requires_grad=True)
    answers = network(maps)
    answers[0, 0, answers.shape[2] // 2, answers.shape[3] // 2].backward()
    seen = maps.grad[0].abs().sum(0) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == field


def test_thirty_by_thirty_answers():
    with torch.device("meta"):
        assert PatchGAN()(torch.empty(2, 3, 256, 256)).shape == (2, 1, 30, 30)


@settings(max_examples=30, deadline=None)
@given(st.integers(32, 700), st.integers(32, 700))
def test_number_of_answers(height, width):
    with torch.device("meta"):
        images = torch.empty(1, 3, height, width)
        for make, answers in (
            (PatchGAN, lambda side: side // 8 - 2),
            (ImageDiscriminator, lambda side: side // 32),
            (NETWORKS["published-code"][0], lambda side: side // 16 - 1),
            (FeatureDiscriminator, lambda side: side),
        ):
            assert make(channels=3, filters=1)(images).shape == (1, 1, answers(height), answers(width))


@pytest.mark.parametrize(("name", "side"), [("patch", 24), ("printed", 32), ("published-code", 32)])
def test_smallest_pictures(name, side):
    network = NETWORKS[name][0](3, filters=2)
    assert network(noise(1, 3, side, side)).shape == (1, 1, 1, 1)
    for size in ((side - 1, 100), (100, side - 1)):
        with pytest.raises(LabError, match=f"{size[0]}×{size[1]} pixels: it needs {side}"):
            network(noise(1, 3, *size))


@pytest.mark.parametrize("size", [(1, 2), (3, 4), (3, 6), (38, 38)])
def test_features_of_small_pictures(size):
    network = FeatureDiscriminator(5, filters=2)
    assert network(noise(1, 5, *size)).shape == (1, 1, *size)
    with pytest.raises(LabError, match="one position"):
        network(noise(4, 5, 1, 1))


# --- statistics and precision ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pictures_scores_depend_on_nothing_else(name):
    torch.manual_seed(0)
    network, maps = NETWORKS[name][0](3, filters=4), noise(3, 3, 48, 64)
    together = network(maps)
    torch.testing.assert_close(together, torch.cat([network(maps[i : i + 1]) for i in range(3)]), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(network.eval()(maps), together)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NETWORKS)
def test_autocast(name, dtype):
    torch.manual_seed(0)
    network, maps = NETWORKS[name][0](3, filters=4), noise(2, 3, 64, 96)
    reference = network(maps)
    with torch.autocast("cpu", dtype):
        scores = network(maps)
    assert scores.dtype == dtype
    assert (scores - reference).abs().mean() < 0.05 * reference.std()
    scores.float().square().mean().backward()
    assert all(convolution.weight.grad.isfinite().all() for convolution in convolutions(network))

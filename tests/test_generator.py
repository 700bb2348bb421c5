"""CycleGAN's generator: layer by layer as the paper writes it, and a naive version in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit.errors import LabError
from labkit.models.generator import Generator, InstanceNorm


def described(blocks, filters=64):
    """(inputs, outputs, kernel, stride, transposed) of each layer: c7s1-64, d128, d256, R256 …, u128, u64, c7s1-3."""
    yield (3, filters, 7, 1, False)
    yield (filters, 2 * filters, 3, 2, False)
    yield (2 * filters, 4 * filters, 3, 2, False)
    yield from [(4 * filters, 4 * filters, 3, 1, False)] * (2 * blocks)
    yield (4 * filters, 2 * filters, 3, 2, True)
    yield (2 * filters, filters, 3, 2, True)
    yield (filters, 3, 7, 1, False)


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def pictures(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    network = Generator(blocks=2, filters=4)
    with torch.no_grad():
        for convolution in convolutions(network):  # large enough that biases and tanh matter
            convolution.weight.mul_(5)
            convolution.bias.normal_(0, 0.2)
    return network


# --- what it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "total"), [(9, 11_378_179), (6, 7_837_699)])
def test_the_published_number_of_parameters(blocks, total):
    with torch.device("meta"):
        network = Generator(blocks)
    assert sum(parameter.numel() for parameter in network.parameters()) == total
    assert total == sum(i * o * k * k + o for i, o, k, _, _ in described(blocks))


@pytest.mark.parametrize(("blocks", "filters"), [(9, 64), (6, 64), (2, 4)])
def test_every_layer(blocks, filters):
    with torch.device("meta"):
        network = Generator(blocks, filters)
    found = [
        (c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0], isinstance(c, nn.ConvTranspose2d))
        for c in convolutions(network)
    ]
    assert found == list(described(blocks, filters))
    norms = [module for module in network.modules() if isinstance(module, nn.InstanceNorm2d)]
    assert [norm.num_features for norm in norms] == [outputs for _, outputs, *_ in described(blocks, filters)][:-1]
    assert not any(norm.affine or norm.track_running_stats for norm in norms)
    assert list(network.buffers()) == []


def naive(network, images):
    """From the description, in float64: reflected borders but where a convolution strides, norm and ReLU after each."""
    parameters = iter([(c.weight.double(), c.bias.double()) for c in convolutions(network)])

    def norm(x):
        x = x - x.mean(dim=(2, 3), keepdim=True)
        return x / (x.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()

    def reflected(x, border):
        return F.conv2d(F.pad(x, (border,) * 4, mode="reflect"), *next(parameters))

    x = norm(reflected(images.double(), 3)).relu()
    for _ in range(2):
        x = norm(F.conv2d(x, *next(parameters), stride=2, padding=1)).relu()
    for _ in range(2):
        x = x + norm(reflected(norm(reflected(x, 1)).relu(), 1))
    for _ in range(2):
        full = F.conv_transpose2d(x, *next(parameters), stride=2)  # one row and column too many on the side of the 0
        x = norm(full[..., 1:, 1:]).relu()
    return reflected(x, 3).tanh()


def test_the_same_answer_as_a_naive_version(small):
    x = pictures(2, 3, 16, 24)
    answer, expected = small(x), naive(small, x)
    assert expected.abs().max() > 0.5  # tanh matters
    torch.testing.assert_close(answer.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(naive(small, x), small.double()(x.double()), rtol=1e-9, atol=1e-9)
    small.float()


def test_its_start():
    torch.manual_seed(0)
    network = Generator(blocks=3, filters=32)
    for convolution in convolutions(network):
        assert not convolution.bias.any()
        assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert abs(convolution.weight.mean().item()) < 0.001


# --- sizes ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 200), st.integers(2, 200))
def test_multiples_of_four_keep_their_size(rows, columns):
    with torch.device("meta"):
        images = torch.empty(1, 3, 4 * rows, 4 * columns)
        assert Generator(blocks=1, filters=2)(images).shape == images.shape


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200))
def test_other_sizes_are_refused(height, width):
    if height % 4 == width % 4 == 0 and min(height, width) >= 8:
        height += 1
    with torch.device("meta"), pytest.raises(LabError, match=f"{height}×{width} pixels: .* multiples of four"):
        Generator(blocks=1, filters=2)(torch.empty(1, 3, height, width))


@pytest.mark.parametrize("size", [(8, 8), (48, 64), (48, 96)])
def test_small_pictures_are_translated(small, size):
    x = pictures(1, 3, *size)
    answer = small(x)
    assert answer.shape == x.shape and answer.isfinite().all() and answer.abs().max() <= 1


# --- statistics of single pictures -----------------------------------------------------------------------------------


def test_a_pictures_translation_depends_on_nothing_else(small):
    x = pictures(3, 3, 16, 16)
    together = small(x)
    torch.testing.assert_close(together, torch.cat([small(x[i : i + 1]) for i in range(3)]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(small.eval()(x), together)
    small.train()


def test_accumulated_gradients_are_those_of_the_batch(small):
    x = pictures(4, 3, 16, 16)

    def gradients(parts):
        small.zero_grad()
        for part in x.chunk(parts):
            (small(part).square().mean() / parts).backward()
        return [parameter.grad.clone() for parameter in small.parameters()]

    for whole, parts in zip(gradients(1), gradients(4), strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-6)
    small.zero_grad(set_to_none=True)


# --- mixed precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("mean", "deviation"), [(0, 3e4), (0, 1e-3), (500, 4)])
def test_instance_norm_of_half_precision_against_float64(dtype, mean, deviation):
    """Squares beyond fp16's largest number, squares below its smallest, and a difference of nearly equal numbers."""
    generator = torch.Generator().manual_seed(0)
    maps = (mean + deviation * (torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1)).to(dtype)
    answer = InstanceNorm(3)(maps)
    x = maps.double()
    x = x - x.mean(dim=(2, 3), keepdim=True)
    expected = x / (x.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()
    assert answer.dtype == dtype
    torch.testing.assert_close(answer.double(), expected, rtol=torch.finfo(dtype).eps, atol=2e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_pictures_and_gradients_whole(small, dtype):
    x = pictures(2, 3, 32, 32)
    reference = small(x)
    seen = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
        for module in small.modules()
        if isinstance(module, InstanceNorm)
    ]
    with torch.autocast("cpu", dtype):
        answer = small(x)
    for hook in hooks:
        hook.remove()
    assert seen == [(dtype, dtype)] * len(hooks)
    assert answer.dtype == torch.float32
    assert (answer - reference).abs().mean() < 0.02
    answer.square().mean().backward()
    weights = [convolution.weight for convolution in convolutions(small)]
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in weights)
    small.zero_grad(set_to_none=True)

"""What an output sees of its picture: by formula from kernels, strides and rates, and measured by gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """What a convolution or a pooling does to the receptive field; a kernel of 3 with rate 2 spans 5."""

    kernel: int
    stride: int = 1
    rate: int = 1


class Reach(NamedTuple):
    """The receptive field after a layer.

    Attributes:
        size: side of the square of input pixels that one output depends on.
        jump: input pixels between two neighbouring outputs.
    """

    size: int
    jump: int


def receptive_field(layers: Iterable[Layer]) -> list[Reach]:
    r"""The receptive field after each layer of a chain, on an unlimited picture.

    .. math:: r_l = r_{l-1} + (k_l - 1)\, d_l\, j_{l-1}, \quad j_l = s_l\, j_{l-1}, \quad r_0 = j_0 = 1

    with kernel k, rate d, stride s.
    """
    size = jump = 1
    reaches = []
    for layer in layers:
        size += (layer.kernel - 1) * layer.rate * jump
        jump *= layer.stride
        reaches.append(Reach(size, jump))
    return reaches


def chain(*parts: nn.Module) -> list[Layer]:
    """The convolutions and max poolings of ``parts``, one after the other in the order of their definition.

    For networks whose main path is defined in the order of its calls, as torchvision's ResNets and our paths are, with
    square kernels. The 1×1 convolution of a residual block's shortcut (``downsample``) runs beside it: it is left out.
    """
    layers = []
    for part in parts:
        for name, module in part.named_modules():
            if isinstance(module, (nn.Conv2d, nn.MaxPool2d)) and "downsample" not in name:
                layers.append(Layer(*(_side(value) for value in (module.kernel_size, module.stride, module.dilation))))
    return layers


def _side(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else value[0]


def measured_fields(model: nn.Module, images: Tensor, outputs: Mapping[str, nn.Module]) -> dict[str, np.ndarray]:
    """How strongly the central output of some modules depends on each pixel.

    .. math:: g(u) = \\sum_c \\Big| \\frac{\\partial}{\\partial x_{c,u}} \\sum_k y_k(\\mathrm{centre}) \\Big|

    (after Luo et al., *Understanding the effective receptive field*, 2016), averaged over the pictures. The model is
    put into evaluation mode, where batch norm does not tie positions to each other.

    Args:
        model: a network for images ``(N, 3, H, W)``.
        images: normalised pictures, or noise, of that shape, on the model's device.
        outputs: modules of the model that return one tensor ``(N, K, h, w)``, by the name that they get in the result.

    Returns:
        By name, float64 ``(H, W)``, not negative; zeros are pixels that the output has not depended on.
    """
    model.eval()
    caught: dict[str, Tensor] = {}
    images = images.detach().clone().requires_grad_()
    with ExitStack() as stack:
        for name, module in outputs.items():
            stack.enter_context(module.register_forward_hook(_catch(caught, name)))
        model(images)
    fields = {}
    for name in outputs:
        height, width = caught[name].shape[-2:]
        centre = caught[name][:, :, height // 2, width // 2].sum()
        (gradient,) = torch.autograd.grad(centre, images, retain_graph=True)
        fields[name] = gradient.abs().double().sum(dim=1).mean(dim=0).cpu().numpy()
    return fields


def _catch(caught: dict[str, Tensor], name: str):
    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        caught[name] = output

    return hook


def extent(field: np.ndarray) -> tuple[int, int]:
    """Height and width of the smallest box around all pixels of ``field`` that are not zero; (0, 0) if all are."""
    rows, columns = field.any(axis=1).nonzero()[0], field.any(axis=0).nonzero()[0]
    if not len(rows):
        return 0, 0
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def effective_side(field: np.ndarray, share: float = 0.95) -> int:
    """Side of the smallest square around the picture's middle with ``share`` of the field's sum; odd, and clipped."""
    height, width = field.shape
    rows, columns = np.abs(np.arange(height) - height // 2), np.abs(np.arange(width) - width // 2)
    distance = np.maximum.outer(rows, columns)
    within = np.cumsum(np.bincount(distance.ravel(), weights=field.ravel()))
    radius = int(np.searchsorted(within, share * within[-1]))
    return min(2 * radius + 1, max(height, width))


def taps_inside(kernel: int, rate: int, size: tuple[int, int]) -> float:
    """Share of a square kernel's taps that fall on the map rather than on its zero padding, mean over all positions.

    Args:
        kernel: side of the kernel, odd.
        rate: of the atrous convolution.
        size: height and width of the map, which padding keeps.
    """
    offsets = rate * (np.arange(kernel) - kernel // 2)
    shares = [np.clip(side - np.abs(offsets), 0, None).mean() / side for side in size]
    return float(np.prod(shares))

"""What each of BiSeNet's two paths contributes to a trained network: a path is silenced where both meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from labkit.errors import UnknownNameError
from labkit.models.bisenet import BiSeNet, global_average

INPUTS = {"spatial": (0,), "context": (1, 2), "context16": (1,), "context32": (2,)}
"""Which inputs of the feature fusion belong to a path; the context path hands over two, at 1/16 and at 1/32."""

FILLS = ("average", "zero")


@contextmanager
def without(model: BiSeNet, path: str, fill: str = "average") -> Iterator[BiSeNet]:
    """Within this context, ``model`` fuses its paths without one of them. The model itself is not changed.

    A network that was trained with both paths has never met zeros there, so a part of what zeros destroy is due to the
    surprise. The average over the picture keeps each channel's level, *what* there is, and takes away *where*.

    Args:
        model: a BiSeNet.
        path: a key of :data:`INPUTS`.
        fill: what the fusion gets instead: each channel's ``"average"`` over the picture, or ``"zero"``.

    Raises:
        UnknownNameError: an unknown path or fill.
    """
    if path not in INPUTS:
        raise UnknownNameError("path", path, INPUTS)
    if fill not in FILLS:
        raise UnknownNameError("fill", fill, FILLS)

    def replace(module, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(_filled(m, fill) if place in INPUTS[path] else m for place, m in enumerate(maps))

    with model.fusion.register_forward_pre_hook(replace):
        yield model


def _filled(maps: Tensor, fill: str) -> Tensor:
    return maps.new_zeros(maps.shape) if fill == "zero" else global_average(maps).expand_as(maps)

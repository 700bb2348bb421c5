"""Learning-rate schedules, as pure functions of the step."""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer


def poly(step: int, steps: int, power: float = 0.9, warmup: int = 0) -> float:
    """The factor on the base learning rate at ``step`` (counted from 0).

    .. math:: \\alpha(t)/\\alpha_0 = \\left(1 - \\frac{t - w}{T - w}\\right)^p

    with ``T = steps`` (baitan2025 §3.2, w = 0) after ``w = warmup`` steps in which it rises linearly, from 1/w to 1
    (yan2022 §IV-C). The last step, T − 1, still has a positive rate.
    """
    if step < warmup:
        return (step + 1) / warmup
    return (1 - (step - warmup) / (steps - warmup)) ** power


def constant(step: int, warmup: int = 0) -> float:
    """The factor 1 (loda2025 §3: no scheduler), after a linear warm-up if there is one."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def restarted(schedule: Callable[[int], float], step: int, begin: int) -> float:
    """The factor of a schedule that begins anew, with 1, at step ``begin``: poly from there to its end.

    0 before, for a network that is not trained yet; a constant schedule stays 1.
    """
    if step < begin:
        return 0.0
    return min(1.0, schedule(step) / schedule(begin)) if begin else schedule(step)


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set *every* parameter group to ``factor`` times the rate that it was built with.

    A schedule that touches only ``param_groups[0]`` leaves the head at its first rate for ever.
    """
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

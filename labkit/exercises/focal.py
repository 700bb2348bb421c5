"""Checks for the exercises of notebook 07, focal loss and Adam."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from labkit.exercises.answer import Answer, checked, hint, right
from labkit.losses.focal import focal_loss

PLACES = ((0.9, 2.0), (0.5, 3.0), (0.2, 0.0), (0.99, 2.0))
"""p of the true class, and γ."""


@checked
def check_weight(student: Callable[[float, float], float]) -> Answer:
    """Exercise 7.1: by which factor the focal loss of a pixel is smaller than its cross-entropy."""
    given = [student(p, gamma) for p, gamma in PLACES]
    if any(value is None for value in given):
        return hint("The function returns nothing yet. It is the factor in front of the logarithm in (7.1).")
    wanted = [(1 - p) ** gamma for p, gamma in PLACES]
    if np.allclose(given, wanted):
        return right("At p = 0.9 and γ = 2 a hundredth: a hundred such pixels count as much as one did.")
    if np.allclose(given, [p**gamma for p, gamma in PLACES]):
        return hint("This grows with p: it would listen to what is right already.")
    if np.allclose(given, [gamma * (1 - p) for p, gamma in PLACES]):
        return hint("γ is an exponent. With γ = 0 the weight has to be 1, not 0.")
    if np.allclose(given, [-((1 - p) ** gamma) * np.log(p) for p, gamma in PLACES]):
        return hint("That is the loss itself; the factor alone is asked for.")
    place = next(index for index, pair in enumerate(zip(given, wanted, strict=True)) if not np.isclose(*pair))
    p, gamma = PLACES[place]
    return hint(f"At p = {p} and γ = {gamma:g} you have {given[place]:g}. How far is p from 1, to the power of γ?")


def _slope(p: float, gamma: float) -> float:
    """∂L/∂z at the true class's logit, by autograd on three classes."""
    logits = torch.tensor([np.log(2 * p / (1 - p)), 0.0, 0.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    logits.requires_grad_()
    focal_loss(logits, torch.zeros(1, 1, 1, dtype=torch.long), gamma).backward()
    return float(logits.grad[0, 0])


@checked
def check_ratio(student: Callable[[float, float], float]) -> Answer:
    """Exercise 7.2: gradient of the focal loss over gradient of cross-entropy, at the true class's logit."""
    given = [student(p, gamma) for p, gamma in PLACES]
    if any(value is None for value in given):
        return hint("The function returns nothing yet. Divide (7.2) for γ by (7.2) for 0, which is 1 − p.")
    wanted = [_slope(p, gamma) / _slope(p, 0.0) for p, gamma in PLACES]
    if np.allclose(given, wanted, rtol=1e-4):
        return right(f"{wanted[0]:.4f} at p = 0.9 and γ = 2: almost three times the weight of 0.01.")
    if np.allclose(given, [(1 - p) ** gamma for p, gamma in PLACES]):
        return hint("That is the weight. But the factor depends on p as well, and has a derivative of its own.")
    if np.allclose(given, [_slope(p, gamma) for p, gamma in PLACES], rtol=1e-4) or np.allclose(
        given, [-_slope(p, gamma) for p, gamma in PLACES], rtol=1e-4
    ):
        return hint("That is the gradient itself; divide by that of cross-entropy.")
    if np.allclose(given, [1 / value for value in wanted], rtol=1e-4):
        return hint("Upside down: focal loss over cross-entropy.")
    if np.allclose(given, [-value for value in wanted], rtol=1e-4):
        return hint("Both pull the same way: the ratio is positive.")
    place = next(i for i, pair in enumerate(zip(given, wanted, strict=True)) if not np.isclose(*pair, rtol=1e-4))
    p, gamma = PLACES[place]
    return hint(f"At p = {p} and γ = {gamma:g} autograd finds {wanted[place]:.4f}, you have {given[place]:.4f}.")


CASES = tuple((gradient, 1e-3, 0.9, beta2) for beta2 in (0.99, 0.999) for gradient in (1e-2, 1.0, -250.0))
"""Gradient, learning rate, β1 and β2."""


@checked
def check_first_update(student: Callable[[float, float, float, float], float]) -> Answer:
    """Exercise 7.3: by how much Adam changes a parameter in its first step (ε left out)."""
    given = [student(*case) for case in CASES]
    if any(value is None for value in given):
        return hint("The function returns nothing yet. Begin with m = v = 0 and go through (7.3) once.")
    wanted = [_adam(*case) for case in CASES]
    if np.allclose(given, wanted, rtol=1e-4):
        return right(
            "The learning rate, whatever the gradient: a hundredth and −250 alike. Only the sign is left of it."
        )
    if np.allclose(given, [-value for value in wanted], rtol=1e-4):
        return hint("Right in size. But it goes downhill: minus.")
    if np.allclose(given, [-rate * gradient for gradient, rate, _, _ in CASES]):
        return hint("That is plain SGD. Adam divides by √v̂.")
    uncorrected = [-rate * (1 - one) / (1 - two) ** 0.5 * np.sign(gradient) for gradient, rate, one, two in CASES]
    if np.allclose(given, uncorrected, rtol=1e-4):
        return hint("Right for β2 = 0.99, by chance; for 0.999 it is 3.2 times too far. Where are the hats, 1/(1 − β)?")
    place = next(i for i, pair in enumerate(zip(given, wanted, strict=True)) if not np.isclose(*pair, rtol=1e-4))
    gradient, rate, one, two = CASES[place]
    return hint(
        f"For a gradient of {gradient:g}, rate {rate:g}, β = ({one}, {two}), torch.optim.Adam moves by "
        f"{wanted[place]:.4g}, you by {given[place]:.4g}."
    )


def _adam(gradient: float, rate: float, beta1: float, beta2: float) -> float:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    x.grad = torch.tensor([gradient], dtype=torch.float64)
    torch.optim.Adam([x], lr=rate, betas=(beta1, beta2)).step()
    return x.item()

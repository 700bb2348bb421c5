"""Checks for the exercises of notebook 04, augmentations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from labkit.exercises.answer import Answer, checked, hint, right

BATCHES = ((8, (0.5, 0.5, 0.5)), (8, (0.5, 0.2)), (4, ()), (10, (0.0, 1.0)))
"""Number of pictures, and the probability of each augmentation."""


@checked
def check_unchanged(student: Callable[[int, Sequence[float]], float]) -> Answer:
    """Exercise 4.1: how many pictures of a batch no augmentation touches, in expectation."""
    given = [student(count, list(chances)) for count, chances in BATCHES]
    if any(value is None for value in given):
        return hint("The function returns nothing yet. One picture first: no flip, and no jitter, and no blur.")
    wanted = [count * float(np.prod([1 - chance for chance in chances])) for count, chances in BATCHES]
    if np.allclose(given, wanted):
        return right("One of eight pictures with three augmentations at p = 0.5; half of them with one.")
    if np.allclose(given[0], wanted[0] / 8):
        return hint("That is the probability for one picture; how many are there in the batch?")
    if np.allclose(given[0], 7):
        return hint("That is how many are changed. The others are asked for.")
    if np.allclose(given[0], 8 * (1 - 1.5)) or np.allclose(given[0], 4):
        return hint("Three independent draws: their probabilities multiply.")
    if np.allclose(given[0], wanted[0]) and not np.allclose(given[1], wanted[1]):
        return hint("Right for p = 0.5. With 0.5 and 0.2, a picture stays unchanged with probability 0.5 · 0.8.")
    place = next(index for index, pair in enumerate(zip(given, wanted, strict=True)) if not np.isclose(*pair))
    count, chances = BATCHES[place]
    return hint(f"{count} pictures, probabilities {chances}: {given[place]:g} is not it. Ask for one picture first.")


@checked
def check_flip(student: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Answer:
    """Exercise 4.2: mirror a picture ``(H, W, 3)`` and its label map ``(H, W)`` left to right, into new arrays."""
    random = np.random.default_rng(0)
    image, label = random.integers(0, 256, (6, 9, 3), np.uint8), random.integers(0, 19, (6, 9)).astype(np.uint8)
    kept = image.copy(), label.copy()
    given = student(image, label)
    if given is None:
        return hint("The function returns nothing yet. Which axis of (H, W, 3) runs from left to right?")
    if not isinstance(given, tuple | list) or len(given) != 2:
        return hint("Return two things: the picture and its label map.")
    picture, truth = (np.asarray(part) for part in given)
    if picture.shape != image.shape or truth.shape != label.shape:
        return hint(f"Shapes {kept[0].shape} and {kept[1].shape} came back as {picture.shape} and {truth.shape}.")
    image, label = kept
    right_picture, right_truth = np.array_equal(picture, image[:, ::-1]), np.array_equal(truth, label[:, ::-1])
    if np.array_equal(picture, image[::-1]) or np.array_equal(truth, label[::-1]):
        return hint("The sky is at the bottom now: axis 0 runs down the picture, and left to right is wanted.")
    if np.array_equal(picture, image[..., ::-1]) or np.array_equal(picture, image[:, ::-1, ::-1]):
        return hint("Red and blue have changed places: the last axis of a picture holds its channels.")
    if right_picture and np.array_equal(truth, label):
        return hint(
            "Only the picture is flipped. The loss would now teach what stands on the other side of the street."
        )
    if right_truth and np.array_equal(picture, image):
        return hint("Only the label map is flipped; the picture is as it was.")
    if not (right_picture and right_truth):
        return hint("The first pixel of each row has to become its last, in the picture and in the label map.")
    again = student(image.copy(), label.copy())
    first = image.copy(), label.copy()
    student(*first)
    if not (np.array_equal(first[0], image) and np.array_equal(first[1], label)):
        return hint("Right, but what you were given has changed with it. A cached data set would be flipped for good.")
    if not np.array_equal(np.asarray(again[0]), picture):
        return hint("A second call gives something else; the draw belongs outside of this function.")
    return right("Picture and labels move together. Jitter and blur leave the labels alone.")


@checked
def check_channel_means(
    student: Mapping[str, float] | None, before: np.ndarray, after: Mapping[str, np.ndarray]
) -> Answer:
    """Exercise 4.3: by augmentation, the largest change of a channel's mean, in grey values (0 to 255).

    Args:
        student: the answer.
        before: uint8 ``(H, W, 3)``.
        after: the same picture changed, by augmentation.
    """
    if student is None:
        return hint("Give a dictionary: for each name in `changed`, one number. `mean(axis=(0, 1))` has three.")
    if set(student) != set(after):
        return hint(f"Wanted are {', '.join(after)}; you have {', '.join(map(str, student)) or 'none'}.")
    means = np.asarray(before, dtype=np.float64).mean((0, 1))
    wanted = {
        name: float(np.abs(np.asarray(image, np.float64).mean((0, 1)) - means).max()) for name, image in after.items()
    }
    signed = {name: float((np.asarray(image, np.float64).mean((0, 1)) - means).max()) for name, image in after.items()}
    whole = {name: abs(float(np.asarray(image, np.float64).mean() - means.mean())) for name, image in after.items()}
    given = {name: np.asarray(student[name], dtype=float) for name in after}
    if any(value.shape != () for value in given.values()):
        return hint("One number each: of the three channels the one that has changed most.")
    if _close(given, wanted):
        most = max(wanted, key=wanted.get)
        return right(
            ", ".join(f"{name} {value:.1f}" for name, value in wanted.items())
            + f". Only {most} reaches a difference of colour between two domains."
        )
    if _close(given, signed):
        return hint("A mean may fall as well as rise: take the absolute value before the largest.")
    if _close(given, whole):
        return hint("This is the mean over all channels, where changes of two channels can cancel.")
    if _close(given, {name: _wrapped(before, image) for name, image in after.items()}):
        return hint("uint8 less uint8 wraps around at 256. Take means first, or make floats.")
    off = next(name for name in after if not np.isclose(given[name], wanted[name], atol=0.06))
    return hint(
        f"For {off} you have {float(given[off]):.2f}. Mean of each channel before, after, and their difference."
    )


def _wrapped(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs((after - before).mean((0, 1))).max())


def _close(given: Mapping[str, np.ndarray], wanted: Mapping[str, float]) -> bool:
    return all(np.isclose(given[name], wanted[name], atol=0.06) for name in wanted)

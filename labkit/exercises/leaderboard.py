"""Checks for the exercises of notebook 10, all methods side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from labkit.exercises.answer import Answer, checked, hint, right


@checked
def check_mean_iou(student: Callable[[np.ndarray, np.ndarray], float]) -> Answer:
    """Exercise 10.1: the mIoU of some pictures, from their intersections and unions ``(pictures, classes)``."""
    random = np.random.default_rng(10)
    for pictures, kind in ((4, "all there"), (6, "one absent"), (5, "one never right"), (5, "one in some"), (1, "one")):
        unions = random.integers(20, 900, (pictures, 5))
        intersections = (unions * random.uniform(0.1, 0.9, unions.shape)).astype(np.int64)
        if kind == "one absent":
            unions[:, 2] = intersections[:, 2] = 0
        elif kind == "one never right":
            intersections[:, 1] = 0
        elif kind == "one in some":
            unions[:2, 3] = intersections[:2, 3] = 0
        given = student(intersections.copy(), unions.copy())
        if given is None:
            return hint("The function returns nothing yet. First sum over the pictures, then divide.")
        given = float(given)
        sums = intersections.sum(axis=0), unions.sum(axis=0)
        present = sums[1] > 0
        wanted = float((sums[0][present] / sums[1][present]).mean())
        if math.isclose(given, wanted, rel_tol=1e-6):
            continue
        if math.isnan(given):
            return hint("That is NaN: 0 / 0 of a class that no picture has. Leave such classes out of the mean.")
        quotients = sums[0] / np.maximum(sums[1], 1)
        if math.isclose(given, quotients[sums[0] > 0].mean(), rel_tol=1e-6):
            return hint("A class that is never right has an IoU of 0, and counts. Leave out what has no union.")
        if math.isclose(given, quotients[unions.min(axis=0) > 0].mean(), rel_tol=1e-6):
            return hint("A class that some pictures lack counts as well: its sums come from the others.")
        if math.isclose(given, quotients.mean(), rel_tol=1e-6):
            return hint("A class that no picture has counts as 0 here. It belongs to no mean.")
        if math.isclose(given, sums[0].sum() / sums[1].sum(), rel_tol=1e-6):
            return hint("All classes in one sum: road decides alone. Every class has its own quotient.")
        if math.isclose(given, (intersections / np.maximum(unions, 1)).mean(axis=0)[present].mean(), rel_tol=1e-6):
            return hint("The mean of the pictures' IoU: ten pixels of a far-off bus weigh as much as a bus. Sum first.")
        return hint(f"For {pictures} pictures it gives {given:.4f} instead of {wanted:.4f}.")
    return right(
        "Sums first, then quotients, then their mean. So a resample needs no prediction again: drawing a picture twice "
        "is counting its two rows twice."
    )


@checked
def check_paired(student: Callable[[Sequence[float], Sequence[float]], tuple[float, float]]) -> Answer:
    """Exercise 10.2: mean and sample standard deviation of the differences of two methods, seed by seed."""
    for method, baseline in (([12.0, 15.0, 18.5], [11.0, 13.5, 18.0]), ([20.0, 18.0], [21.0, 16.0])):
        given = student(list(method), list(baseline))
        if given is None:
            return hint("The function returns nothing yet. Give two numbers: the mean difference, and its deviation.")
        mean, deviation = (float(one) for one in given)
        a, b = np.array(method), np.array(baseline)
        if not math.isclose(mean, (a - b).mean(), rel_tol=1e-6):
            turned = math.isclose(mean, (b - a).mean(), rel_tol=1e-6)
            return hint(
                "The method less the baseline, not the other way round." if turned else "The mean is not right."
            )
        if math.isclose(deviation, (a - b).std(ddof=1), rel_tol=1e-6):
            continue
        if math.isclose(deviation, (a - b).std(), rel_tol=1e-6):
            return hint("Nearly: NumPy divides by n unless it is told otherwise (ddof=1). Few seeds feel that.")
        if math.isclose(deviation, (a - b).std(ddof=1) / math.sqrt(len(a)), rel_tol=1e-6):
            return hint("That is the standard error of the mean; the deviation of the differences is asked for.")
        if math.isclose(deviation, math.hypot(a.std(ddof=1), b.std(ddof=1)), rel_tol=1e-6):
            return hint("So it would be for independent trainings. Here each seed has both: first the differences.")
        if math.isclose(deviation, a.std(ddof=1) - b.std(ddof=1), rel_tol=1e-6, abs_tol=1e-9):
            return hint("Deviations cannot be subtracted. First the differences, then their deviation.")
        return hint(f"The deviation of {method} less {baseline} is not {deviation:.3f}.")
    return right(
        "What both trainings of a seed share acts alike on both here, and is gone from the difference: 3.3 "
        "and 3.5 points between the seeds of each method, 0.5 between the differences."
    )


@checked
def check_front(student: Callable[[Sequence[tuple[float, float]]], Collection[int]]) -> Answer:
    """Exercise 10.3: the indices of the points (cost, accuracy) that no other dominates."""
    from labkit.evaluation.pareto import pareto_front

    cases = (
        [(1.0, 0.30), (2.0, 0.35), (3.0, 0.33), (2.5, 0.40), (6.0, 0.40)],
        [(2.0, 0.5), (1.0, 0.5), (1.0, 0.4)],
        [(1.0, 0.2), (1.0, 0.2), (4.0, 0.1)],
    )
    for points in cases:
        given = student(list(points))
        if given is None:
            return hint("The function returns nothing yet. Give the indices of the points on the front.")
        if any(isinstance(one, (bool, np.bool_)) for one in given):
            return hint("That is a mask. The indices of the points are asked for.")
        given = {int(one) for one in given}
        wanted = {int(name) for name in pareto_front({str(i): point for i, point in enumerate(points)})}
        if given == wanted:
            continue
        if given < wanted and any(points[i] == points[j] for i in wanted - given for j in given):
            return hint("Equal points do not dominate each other: both are on the front, and one of them is missing.")
        if given == {max(range(len(points)), key=lambda i: points[i][1])}:
            return hint("That is the most accurate one alone. A cheaper one that nobody beats stays, too.")
        if beaten := sorted(given - wanted):
            cost, accuracy = points[beaten[0]]
            return hint(f"({cost:g}, {accuracy:g}) of {points} is dominated: another costs no more and is no worse.")
        cost, accuracy = points[min(wanted - given)]
        return hint(
            f"({cost:g}, {accuracy:g}) of {points} is missing: no other is better in one and as good in the other."
        )
    return right("Whoever is off the front has somebody who is at least as good for at most the same price.")


@checked
def check_late(student: Callable[[Sequence[float], float], float]) -> Answer:
    """Exercise 10.4: the share of pictures that a camera of some frames a second has to wait for."""
    passes = [20.0] * 16 + [33.2, 60.0, 90.0, 300.0]
    for frames in (15.0, 30.0, 50.0, 60.0):
        given = student(list(passes), frames)
        if given is None:
            return hint("The function returns nothing yet. How many milliseconds does a frame leave?")
        given, room, times = float(given), 1000 / frames, np.array(passes)
        wanted = float((times > room).mean())
        if math.isclose(given, wanted, abs_tol=1e-9):
            continue
        if math.isclose(given, float((times > room // 1).mean()), abs_tol=1e-9):
            return hint(f"1000 / {frames:g} is {room:.2f}; cut to whole milliseconds, a pass of 33.2 comes too late.")
        if math.isclose(given, (times > frames).mean(), abs_tol=1e-9):
            return hint("Milliseconds were compared with frames a second. A frame leaves 1000 / frames milliseconds.")
        if math.isclose(given, float((times >= room).mean()), abs_tol=1e-9):
            return hint(f"At {frames:g} frames a second a pass of {room:g} ms ends just in time.")
        if math.isclose(given, float((times <= room).mean()), abs_tol=1e-9):
            return hint("Those are the ones in time.")
        if math.isclose(given, float(times.mean() > room), abs_tol=1e-9):
            return hint("The mean decides here, but every single picture has its own deadline.")
        return hint(f"At {frames:g} frames a second it gives {given:.3f} instead of {wanted:.3f}.")
    return right(
        "The mean of these passes is 40.2 ms, too slow for 30 frames a second, and yet 17 of 20 are in time; at 15 "
        "frames the mean is fine, and every tenth picture is late."
    )

"""Which points nothing else beats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labkit.evaluation.pareto import pareto_front

FEW = st.sampled_from([0.0, 1.0, 2.0, 2.5, 3.0, float("nan")])  # few values, so that ties are many
ANY = st.floats(allow_nan=True, allow_infinity=True)
POINTS = st.lists(st.tuples(FEW, FEW) | st.tuples(ANY, ANY), max_size=12).map(
    lambda points: {f"method {i}": point for i, point in enumerate(points)}
)


def dominates(one, other):
    """The definition: nowhere worse, somewhere better. A comparison with a NaN is false."""
    return one[0] <= other[0] and one[1] >= other[1] and (one[0] < other[0] or one[1] > other[1])


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points):
    measured = {name: point for name, point in points.items() if point[0] == point[0] and point[1] == point[1]}
    expected = {
        name for name, point in measured.items() if not any(dominates(other, point) for other in measured.values())
    }
    front = pareto_front(points)
    assert set(front) == expected and len(front) == len(expected)
    assert bool(front) == bool(measured)
    costs = [points[name][0] for name in front]
    accuracies = [points[name][1] for name in front]
    assert costs == sorted(costs) and accuracies == sorted(accuracies)


def test_an_example():
    points = {
        "deeplabv2": (375, 0.40),
        "bisenet": (26, 0.35),
        "twin": (26, 0.35),
        "slower and no better": (40, 0.35),
        "as cheap and worse": (26, 0.30),
        "unmeasured": (float("nan"), 0.90),
    }
    assert pareto_front(points) == ("bisenet", "twin", "deeplabv2")
    assert pareto_front({}) == ()

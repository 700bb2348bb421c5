"""Recorded differences between the rows of a sweep, seed by seed."""

from __future__ import annotations

from labkit.errors import LabError, UnknownNameError
from labkit.report.results import load_results, provenance, recorded_seeds
from labkit.report.spread import spread_text
from labkit.report.tables import Noted, Words


def recorded_differences(
    sweep: str, pair: str, baseline: str, profile: str = "mini", *, of: str | None = None
) -> Noted | Words:
    """What each row of a recorded sweep has over a baseline, in points of target mIoU after the last step.

    Trainings of one seed share initial weights and the order of source pictures, so they are compared in pairs: the
    spread of the difference is not the difference of the spreads.

    Args:
        sweep, pair, profile: the recorded sweep; words if it has not been recorded.
        baseline: a row, with all the seeds of the others.
        of: the sweep that the baseline is a row of; by default the same.

    Returns:
        For each row but the baseline the mean difference ± its standard deviation over seeds (n − 1), and the single
        ones.
    """
    import pandas

    for name in (sweep, of or sweep):
        if load_results(name, pair, profile) is None:
            return recorded_seeds(name, pair, profile)
    outcome, other = load_results(sweep, pair, profile), load_results(of or sweep, pair, profile)
    if baseline not in _scores(other):
        raise UnknownNameError(f"recorded row of {of or sweep}", baseline, _scores(other))
    base = dict(zip(other["seeds"], _scores(other)[baseline], strict=True))
    if lacking := set(outcome["seeds"]) - set(base):
        raise LabError(f"{of or sweep} has not been recorded with the seeds {sorted(lacking)} of {sweep}")
    rows = {}
    for name, scores in _scores(outcome).items():
        if (name, sweep) == (baseline, of or sweep):
            continue
        differences = [100 * (score - base[seed]) for seed, score in zip(outcome["seeds"], scores, strict=True)]
        rows[name] = {
            "mean": spread_text(differences, "+"),
            "seed by seed": ", ".join(f"{one:+.1f}" for one in differences),
        }
    table = pandas.DataFrame.from_dict(rows, orient="index")
    return Noted(table.rename_axis(f"points over “{baseline}”, {outcome['data']}"), provenance(outcome))


def _scores(outcome: dict) -> dict[str, list[float]]:
    return {row["name"]: row["miou"] for row in outcome["rows"]}

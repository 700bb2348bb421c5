"""The leaderboard: every method on one network, from one start; no table of a paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labkit.report.sweep_tables.rows import SYNTHIA, Row, Sweep
from labkit.report.sweep_tables.toldo2020 import MOVING, SMALL_NETWORKS
from labkit.report.sweep_tables.yan2022 import GENTLE, PLAIN, TRANSLATOR, weight_of

_BOARD_START = replace(PLAIN, experiment=("A4",))


def _contender(name: str, method: str, experiment: str, **changes: Any) -> Row:
    """One line of the leaderboard: the same start, and as many further steps with the same pictures a step."""
    return Row(
        name,
        "bisenet",
        method,
        (experiment,),
        changes,
        stage="stage-one",
        keeps=("batch_size",),
        elsewhere=GENTLE | weight_of(method, changes),
        start=_BOARD_START,
    )


def _translating(name: str, method: str, experiment: str) -> Row:
    """One that learns to translate on the way; BiSeNet cannot learn from single pictures, as their papers have it."""
    return replace(_contender(name, method, experiment), elsewhere=GENTLE | MOVING, small=SMALL_NETWORKS)


def _second_stage(name: str, method: str = "cim", translator: Row | None = None, **changes: Any) -> Row:
    """Stage two, whose labeller is stage one with the same source pictures and the same changes."""
    first = replace(_contender("stage one", "unsupervised-focal", "D1", **changes), translator=translator)
    return replace(_contender(name, method, "D3", **changes), translator=translator, given={"labeller": first})


_AUGMENTED = {"jitter": 0.5, "blur": 0.5}

_LEADERBOARD = (
    _BOARD_START,
    _contender("Source only, continued", "source-only", "A4"),
    _contender("Jitter + blur", "source-only", "A5", **_AUGMENTED),
    _contender("Adaptive batch norm", "adabn", "A6"),
    _contender("Target passes, λ = 0", "shannon", "D1", lambda_u=0.0),
    _contender("Adversarial", "adversarial", "A6"),
    _contender("ADVENT", "advent", "A6"),
    _contender("MMD", "mmd", "B3", kernel="median", dice=0.0),
    _contender("Histogram matching", "histogram", "C1"),
    _contender("Fourier", "fourier", "C1"),
    replace(_contender("CycleGAN", "source-only", "C1"), translator=TRANSLATOR),
    _translating("CyCADA", "cycada", "C1"),
    _translating("UDA mobile", "udamobile", "C1"),
    *(
        _contender(name, method, "D1")
        for name, method in (
            ("Shannon", "shannon"),
            ("Maximum squares", "maxsquares"),
            ("Confidence", "confidence"),
            ("Neutral", "neutral"),
            ("Threshold-adaptive focal", "unsupervised-focal"),
        )
    ),
    _second_stage("Threshold-adaptive focal + CIM"),
    _second_stage("MMD + focal + CIM", "cim-mmd"),
    _second_stage("CycleGAN + focal + CIM", translator=TRANSLATOR),
    _second_stage("Jitter + blur + CycleGAN + focal + CIM", translator=TRANSLATOR, **_AUGMENTED),
    _contender("Mean teacher with class mixing", "mean-teacher", "D5"),
    _contender("Oracle", "oracle", "A2"),
)

SWEEP = Sweep(
    SYNTHIA,
    _LEADERBOARD,
    "No table of the paper: the methods of all four, combinations that none of them tried, and a mean teacher, on "
    "one network, from one start, with equally many further steps of two pictures of each domain. The rows with "
    "CycleGAN in their name have source pictures that a CycleGAN trained before has translated; CyCADA's "
    "segmenter learns in half of the steps, UDA mobile's in three quarters; the rows with CIM have a labeller "
    "trained before, stage one. With λ = 0 the target's pictures pass as in the rows of yan2022's losses, and move "
    "batch norm's running statistics, without a loss. The oracle has the same further steps, on the target's labels.",
    by_picture=True,
)

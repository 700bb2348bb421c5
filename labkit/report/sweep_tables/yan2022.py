"""yan2022: losses without labels, thresholds by class, mixed pictures, in two stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from labkit.report.sweep_tables.rows import GTA5, SYNTHIA, Row, Sweep
from labkit.report.sweep_tables.toldo2020 import SMALL_NETWORKS

TRANSLATOR = Row(
    "CycleGAN", "bisenet", "cyclegan-translation", ("D1",), keeps=("batch_size", "learning_rate"), small=SMALL_NETWORKS
)
"""What gives BiSeNet's source pictures the target's look (§III); DeepLabV2 learns from them as they are."""


def _baseline(model: str, experiment: tuple[str, ...] = ("D1",)) -> Row:
    title = {"bisenet": "Baseline (IST), BiSeNet", "deeplabv2": "source only, DeepLabV2"}[model]
    return Row(title, model, "source-only", experiment, translator=TRANSLATOR if model == "bisenet" else None)


def _unsupervised(name: str, method: str, experiment: str, section: str = "", model: str = "bisenet", **changes) -> Row:
    row = Row(
        name,
        model,
        method,
        (experiment,),
        changes,
        section if changes else "",
        keeps=("batch_size",),
        elsewhere=GENTLE,
        start=_baseline(model),
        translator=TRANSLATOR if model == "bisenet" else None,
    )
    if method != "cim":
        return row
    return replace(row, given={"labeller": _unsupervised("stage one", "unsupervised-focal", "D1", model=model)})


GENTLE = {"learning_rate": 2.5e-3}
"""A tenth of the pretraining's, where the paper has a fiftieth: its trainings are some seventy times as long."""

_LOSSES = {
    "Shannon": "shannon",
    "Maximum": "maxsquares",
    "Confidence": "confidence",
    "Neutral": "neutral",
    "Focal": "unsupervised-focal",
}
_FIXED = {"a": 1.0}
"""A memory of 1 keeps the threshold where it starts (Table V)."""

PLAIN = Row("Source only", "bisenet", "source-only", ("D4",))


def _without_translation(name: str, method: str) -> Row:
    """A stage that begins with source only, and goes on with source pictures as they are."""
    row = replace(_unsupervised(name, method, "D4"), start=PLAIN, translator=None)
    stage_one = {network: _without_translation("stage one", one.method) for network, one in row.given.items()}
    return replace(row, given=stage_one)


_COMPARED = (
    Row("Oracle, BiSeNet", "bisenet", "oracle", ("D5",)),
    _baseline("bisenet"),
    *(
        _unsupervised(f"{name}, BiSeNet", _LOSSES[name], "D1")
        for name in ("Shannon", "Maximum", "Confidence", "Neutral")
    ),
    _unsupervised("Ours (stage 1), BiSeNet", "unsupervised-focal", "D1"),
    _unsupervised("Ours (stage 2), BiSeNet", "cim", "D3"),
    _unsupervised("Ours, DeepLabV2", "cim", "D5", model="deeplabv2"),
)
_QUOTED = "The paper's other DeepLabV2 rows are quoted from other papers; the oracle's network is read as BiSeNet."


def _thresholds() -> Iterable[Row]:
    for name, method in _LOSSES.items():
        fixed = _FIXED if name == "Focal" else {}
        for threshold in (0.2, 0.4, 0.6, 0.8):
            yield _unsupervised(f"{name}, {threshold}", method, "D2", "§IV-E.4", threshold=threshold, **fixed)
    yield _unsupervised("Focal, dynamic", "unsupervised-focal", "D2")


TABLES = {
    "table1": Sweep(SYNTHIA, _COMPARED, _QUOTED),
    "table2": Sweep(GTA5, _COMPARED, _QUOTED),
    "table3": Sweep(
        SYNTHIA,
        (
            replace(_baseline("bisenet"), name="none", experiment=("D4",)),
            _unsupervised("focal", "unsupervised-focal", "D4", "§IV-E.1", **_FIXED),
            _unsupervised("focal + threshold", "unsupervised-focal", "D4"),
            _unsupervised("focal + threshold + mixing", "cim", "D4"),
        ),
    ),
    "table4": Sweep(
        SYNTHIA,
        tuple(
            _unsupervised(str(gamma), "unsupervised-focal", "D4", "§IV-E.2", gamma=gamma, **_FIXED)
            for gamma in (1.0, 2.0, 3.0)
        ),
    ),
    "table5": Sweep(
        SYNTHIA,
        (
            _unsupervised("a=1.0", "unsupervised-focal", "D2", "§IV-E.3", **_FIXED),
            *(
                _unsupervised(f"a=0.9 b={b} d={d}", "unsupervised-focal", "D2", "§IV-E.3", a=0.9, b=b, d=float(d))
                for b, d in ((0.8, 4), (0.8, 8), (0.8, 10), (0.9, 8), (0.5, 8))
            ),
        ),
    ),
    "table6": Sweep(SYNTHIA, tuple(_thresholds())),
    "figure7": Sweep(
        SYNTHIA,
        tuple(
            _unsupervised(f"{name}, {weight}", _LOSSES[name], "D4", "§IV-E.5", lambda_u=weight)
            for name in ("Shannon", "Maximum", "Neutral", "Focal")
            for weight in (0.1, 0.05, 0.01, 0.005)
        ),
        "The weight λ_u of each loss.",
    ),
    "figure8": Sweep(
        SYNTHIA,
        tuple(
            _unsupervised(str(weight), "cim", "D3", "§IV-E.5", lambda_m=weight) for weight in (0.4, 0.6, 1.0, 1.4, 1.6)
        ),
        "The weight λ_m of the mixed pictures.",
    ),
    "stages": Sweep(
        SYNTHIA,
        (
            PLAIN,
            _baseline("bisenet"),
            replace(
                _unsupervised("Baseline, continued", "source-only", "D4"), stage="stage-one", keeps=("batch_size",)
            ),
            _unsupervised("Stage 1", "unsupervised-focal", "D4"),
            _unsupervised("Stage 2", "cim", "D4"),
            _without_translation("Stage 1, source as it is", "unsupervised-focal"),
            _without_translation("Stage 2, source as it is", "cim"),
        ),
        "No table of the paper: its stages beside source only on pictures as they are, beside as many further steps "
        "without the target, and without CycleGAN.",
    ),
}

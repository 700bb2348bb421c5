"""Sweeps: a published table as a named list of experiments, trained over seeds.

A sweep has the name of its table, a row the name that it has in the table, as :func:`labkit.papers.load` gives it. Rows
that a paper quotes from other papers are no experiments of its own and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from labkit import settings
from labkit.data.dataset import SegmentationDataset
from labkit.data.export import encode_png
from labkit.data.selection import evenly
from labkit.errors import LabError, UnknownNameError
from labkit.files import write_atomically
from labkit.lab import Inputs, Lab
from labkit.labels import PALETTE
from labkit.methods.registry import METHODS, method_class
from labkit.models.registry import MODELS
from labkit.papers.recipes import Field, recipe, stage_of
from labkit.profiles import PAPER
from labkit.training.experiment import Experiment
from labkit.training.recipe import Recipe
from labkit.training.runs import Run


@dataclass(frozen=True)
class Row:
    """One experiment of a table.

    Attributes:
        name: of the row in the published table.
        model, method: names on the command line.
        experiment: ids in the ledger.
        settings: hyperparameters in which the row differs; they hold in every profile.
        section: where the paper gives ``settings``; empty where they are ours.
        stage: of the paper's recipe; by default the one that trains ``method``.
        keeps: fields of that stage that belong to the experiment, not to its budget: they hold in every profile.
        budget: changes to the recipe for the profile ``paper`` alone.
        start: the experiment whose last weights this one begins with, instead of the profile's.
        needs: what is not there yet beside networks, methods and settings; empty if nothing.
    """

    name: str
    model: str
    method: str
    experiment: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    section: str = ""
    stage: str | None = None
    keeps: tuple[str, ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    start: Row | None = None
    needs: str = ""


@dataclass(frozen=True)
class Sweep:
    """A published table's experiments, the pair that they are published for, and a remark."""

    pair: str
    rows: tuple[Row, ...]
    note: str = ""


# --- baitan2025 ------------------------------------------------------------------------------------------------------

GTA5, SYNTHIA = "gta5-cityscapes", "synthia-cityscapes"

_AUGMENTATIONS = {"1": "flip", "2": "jitter", "3": "blur"}


def _augmented(which: str) -> Row:
    probabilities = {name: 0.5 if number in which else 0.0 for number, name in _AUGMENTATIONS.items()}
    section = "" if which == "13" else "§4.4"  # the combination that the paper leaves out
    return Row(which, "bisenet", "source-only", ("A5",), probabilities, section, "augmentation")


def _focal(gamma: int, optimizer: str, name: str = "") -> Row:
    adam = ("optimizer", "betas", "learning_rate", "weight_decay") if optimizer == "adam" else ()
    return Row(
        name or str(gamma),
        "bisenet",
        "source-only",
        ("A7",),
        {"gamma": float(gamma)},
        "§4.6",
        f"focal-{optimizer}",
        keeps=("jitter", "blur", *adam),
    )


_LIKE_TABLE4 = {"adabn": "augmentation", "source-only": "augmentation"}  # without λ and a discriminator


def _compared(name: str, method: str, **changes: float | bool) -> Row:
    """A training beside Table 4's, with its jitter and blur; what it differs in is ours."""
    probabilities = {name: 0.5 if name in ("jitter", "blur") else 0.0 for name in _AUGMENTATIONS.values()}
    stage = _LIKE_TABLE4.get(method, "adversarial")
    return Row(name, "bisenet", method, ("A6",), {**probabilities, **changes}, "", stage)


_BAITAN = {
    "table1": Sweep(
        GTA5,
        (
            Row("DeepLabV2", "deeplabv2", "oracle", ("A1", "A3")),
            Row("BiSeNet", "bisenet", "oracle", ("A2", "A3")),
        ),
        "Both networks on the target's own labels: what each could reach.",
    ),
    "table2": Sweep(
        GTA5,
        (
            Row("source only", "bisenet", "source-only", ("A4",)),
            Row("oracle", "bisenet", "oracle", ("A2",)),
        ),
        "Table 2 prints the source-only row; the oracle that §4.3 compares it with stands in Table 1.",
    ),
    "table3": Sweep(
        GTA5,
        tuple(_augmented(which) for which in ("1", "2", "3", "12", "13", "23", "123")),
        "1 flip, 2 jitter, 3 blur. Row 13 is missing in the paper.",
    ),
    "table4": Sweep(
        GTA5,
        (Row("adversarial", "bisenet", "adversarial", ("A6",), keeps=("weight", "jitter", "blur")),),
    ),
    "adversarial": Sweep(
        GTA5,
        (
            _compared("source only", "source-only"),
            _compared("adaptive batch norm", "adabn"),
            _compared("λ = 0, target moves batch norm", "adversarial", weight=0.0),
            _compared("λ = 0, target does not", "adversarial", weight=0.0, target_statistics=False),
            _compared("adversarial", "adversarial"),
            _compared("adversarial, target does not move batch norm", "adversarial", target_statistics=False),
            _compared("adversarial, two levels", "adversarial-multilevel"),
            _compared("ADVENT", "advent"),
        ),
        "No table of the paper: what its Table 4 has to be compared with. Source only is row 23 of Table 3.",
    ),
    "table5": Sweep(GTA5, tuple(_focal(gamma, "sgd") for gamma in (0, 2, 3)), "γ = 0 is row 23 of Table 3."),
    "table7": Sweep(GTA5, tuple(_focal(gamma, "adam") for gamma in (0, 2, 3))),
    "table8": Sweep(GTA5, (_focal(2, "sgd", "focal γ=2, SGD"),), "The training of Table 5 with γ = 2, by class."),
}

# --- loda2025 --------------------------------------------------------------------------------------------------------

_WIDE = {"source_size": (256, 480), "target_size": (256, 480)}
_ADAM = ("optimizer", "learning_rate", "betas", "weight_decay", "schedule")


def _segmentation(name: str, model: str, budget: Mapping[str, Any]) -> Row:
    return Row(name, model, "source-only", ("B1", "B2"), section="§2.2", keeps=("dice", *_ADAM), budget=budget)


def _mmd(name: str, start: Row, weight: float, method: str = "mmd") -> Row:
    experiment = "B3" if method == "mmd" else "B4"
    return Row(
        name,
        start.model,
        method,
        (experiment,),
        {"lambda_mmd": weight},
        "§3.2",
        keeps=("dice", "sigma", *_ADAM),
        budget=start.budget,
        start=start,
    )


_DEEPLABV3 = _segmentation("ImageNet1k", "deeplabv3", {})
_DEEPLABV3_WIDE = _segmentation("480x256", "deeplabv3", _WIDE)
_UNET = _segmentation("480x256", "unet", _WIDE)
_MMD_DEEPLABV3 = (
    replace(_DEEPLABV3, name="0", experiment=("B3",)),
    *(_mmd(str(weight), _DEEPLABV3, weight) for weight in (0.2, 0.1, 0.05, 0.01)),
    *(_mmd(f"{weight} multilevel", _DEEPLABV3, weight, "mmd-multilevel") for weight in (0.05, 0.01)),
)
_MMD_UNET = (
    replace(_UNET, name="pre-adaptation", experiment=("B3",)),
    *(_mmd(str(weight), _UNET, weight) for weight in (0.05, 0.01)),
)
_BISENET = replace(_segmentation("before", "bisenet", {}), experiment=("B3",))
_KERNELS = (
    _BISENET,
    replace(_BISENET, name="source only, continued", start=_BISENET),
    *(
        replace(
            _mmd(name, _BISENET, 0.05), settings={"lambda_mmd": 0.05, "kernel": kernel, "pooled": pooled}, section=""
        )
        for name, kernel, pooled in (
            ("printed, pooled", "printed", True),
            ("rbf, raw", "rbf", False),
            ("median, pooled", "median", True),
        )
    ),
)
_ON_SOURCE = "The paper's checkpoints are the best on source validation; ours is the last."
_ON_TARGET = "The paper's checkpoints are the best on target validation labels: compare with our best."

_LODA = {
    "table1": Sweep(GTA5, (_segmentation("COCO", "deeplabv3", {"weights": "coco"}), _DEEPLABV3, _DEEPLABV3_WIDE)),
    "table2": Sweep(GTA5, (_segmentation("padded", "unet-padded", {}), _UNET)),
    "table3": Sweep(GTA5, (replace(_DEEPLABV3_WIDE, name="DeepLabV3 480x256"), replace(_UNET, name="U-Net 480x256"))),
    "table4": Sweep(GTA5, _MMD_DEEPLABV3, _ON_SOURCE),
    "table5": Sweep(GTA5, _MMD_DEEPLABV3, _ON_TARGET),
    "table6": Sweep(GTA5, _MMD_UNET, _ON_SOURCE),
    "table7": Sweep(GTA5, _MMD_UNET, _ON_TARGET),
    "table8": Sweep(
        GTA5,
        (
            _mmd("DeepLabV3, best source", _DEEPLABV3, 0.05, "mmd-multilevel"),
            _mmd("DeepLabV3, best target", _DEEPLABV3, 0.05, "mmd-multilevel"),
            _mmd("U-Net, best source", _UNET, 0.01),
            _mmd("U-Net, best target", _UNET, 0.05),
        ),
        "Of each network the last checkpoint and the best stand for the paper's two selections.",
    ),
    "kernels": Sweep(
        GTA5,
        _KERNELS,
        "No table of the paper: three readings of its kernel on BiSeNet, each from the weights of `before`, beside as many "
        "further steps of source only.",
    ),
}

# --- toldo2020 -------------------------------------------------------------------------------------------------------


def _mobile(name: str, method: str, experiment: str = "C1", **changes: float) -> Row:
    start = None if method in ("source-only", "oracle") else _mobile("Source only", "source-only", experiment)
    return Row(name, "deeplabv3plus", method, (experiment,), changes, "§5.5" if changes else "", start=start)


_TOLDO_METHODS = {
    "Source only": "source-only",
    "CycleGAN": "cyclegan",
    "CyCADA": "cycada",
    "Ours (full)": "udamobile",
    "Oracle": "oracle",
}

_TOLDO = {
    "table1": Sweep(GTA5, tuple(_mobile(name, method) for name, method in _TOLDO_METHODS.items())),
    "table2": Sweep(SYNTHIA, tuple(_mobile(name, method) for name, method in _TOLDO_METHODS.items())),
    "table3": Sweep(
        GTA5,
        (
            _mobile("Source only", "source-only", "C2"),
            _mobile("Ours (λ_sem, λ_feat = 0)", "udamobile", "C2", lambda_sem=0.0, lambda_feat=0.0),
            _mobile("Ours (λ_sem = 0)", "udamobile", "C2", lambda_sem=0.0),
            _mobile("Ours (λ_feat = 0)", "udamobile", "C2", lambda_feat=0.0),
            _mobile("Ours (full)", "udamobile", "C2"),
            _mobile("Oracle", "oracle", "C2"),
        ),
    ),
}

# --- yan2022 ---------------------------------------------------------------------------------------------------------

_TRANSLATED = "source pictures translated by CycleGAN"


def _baseline(model: str, experiment: tuple[str, ...] = ("D1",)) -> Row:
    title = {"bisenet": "Baseline (IST), BiSeNet", "deeplabv2": "source only, DeepLabV2"}[model]
    return Row(title, model, "source-only", experiment, needs=_TRANSLATED if model == "bisenet" else "")


def _unsupervised(name: str, method: str, experiment: str, section: str = "", model: str = "bisenet", **changes) -> Row:
    needs = _TRANSLATED if model == "bisenet" else ""
    return Row(
        name, model, method, (experiment,), changes, section if changes else "", start=_baseline(model), needs=needs
    )


_LOSSES = {
    "Shannon": "shannon",
    "Maximum": "maxsquares",
    "Confidence": "confidence",
    "Neutral": "neutral",
    "Focal": "unsupervised-focal",
}
_FIXED = {"a": 1.0}
"""A memory of 1 keeps the threshold where it starts (Table V)."""

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


_YAN = {
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
}

SWEEPS: dict[str, Sweep] = {
    f"{paper}.{table}": sweep
    for paper, tables in (("baitan2025", _BAITAN), ("loda2025", _LODA), ("toldo2020", _TOLDO), ("yan2022", _YAN))
    for table, sweep in tables.items()
}
"""Every published table of experiments, by ``PAPER.TABLE``, but for tables of costs and colours; and comparisons that a
paper does not have, after its recipe."""


# --- what is asked for -----------------------------------------------------------------------------------------------


def sweep_named(name: str) -> Sweep:
    """The sweep of that name, or an UnknownNameError that lists the known ones."""
    if name not in SWEEPS:
        raise UnknownNameError("sweep", name, SWEEPS)
    return SWEEPS[name]


def missing(row: Row, lab: Lab) -> list[str]:
    """What a row needs and is not there yet, in words: networks, methods, their settings, data; none if it can run."""
    absent = [f"network {row.model}"] if row.model not in MODELS else []
    if row.method not in METHODS:
        absent.append(f"method {row.method}")
    else:
        known = settings.names(method_class(row.method))
        asked = [name for name, one in resolve(row, lab).items() if one.kind == "method"]
        absent += [f"setting {name} of method {row.method}" for name in asked if name not in known]
    if row.needs:
        absent.append(row.needs)
    if row.start:
        absent += [one for one in missing(row.start, lab) if one not in absent]
    return absent


def changes_of(row: Row, lab: Lab) -> dict[str, Field]:
    """What a row changes in the plan of its lab, field by field, with where it comes from."""
    stage = row.stage or stage_of(lab.paper, row.method)
    its = recipe(lab.paper, stage, model=row.model, source=lab.pair.source, method=row.method)
    changes = {name: its[name] for name in row.keeps}
    given = {**row.settings, **(row.budget if lab.profile.name == PAPER else {})}
    own = {*settings.names(Recipe), *settings.names(Inputs)}
    for name, value in given.items():
        kind = "" if name in own else "method"
        reason = "" if row.section else "the paper does not have it"
        changes[name] = Field(value, row.section, ours=not row.section, reason=reason, kind=kind)
    return changes


def resolve(row: Row, lab: Lab) -> dict[str, Field]:
    """Every hyperparameter that a row is trained with, with its section or as ours; needs no data and no network."""
    fields = lab.plan(row.model, row.method, row.stage) | changes_of(row, lab)
    if row.start:
        fields["weights"] = Field(f"the last of {row.start.name}", reason="trained before, with the same seed")
    default = Recipe()
    for name in settings.names(Recipe):
        if name not in fields:
            fields[name] = Field(getattr(default, name), ours=True, reason=_why_default(name, fields, lab))
    return fields


_UNUSED = {"momentum": ("optimizer", "adam"), "betas": ("optimizer", "sgd"), "power": ("schedule", "constant")}
"""Settings of the loop without effect beside another one's value."""


def _why_default(name: str, fields: Mapping[str, Field], lab: Lab) -> str:
    other, value = _UNUSED.get(name, ("", None))
    chosen = fields[other].value if other in fields else getattr(Recipe(), other, None)
    if other and chosen == value:
        return f"without effect: {other} is {value}"
    return "not in the paper; our default" if lab.profile.name == PAPER else "our default, after baitan2025"


def plan_sweep(name: str, pair: str, profile: str, seeds: list[int], rows: Iterable[str] = ()) -> dict[str, Any]:
    """What a sweep would train, as plain JSON; nothing is trained, and no data needed.

    Args:
        name, pair, profile, seeds: as for :func:`sweep`.
        rows: names of rows, for a part of the table.

    Raises:
        UnknownNameError: no such sweep, row, pair or profile.
    """
    lab = _lab(name, pair, profile)
    chosen = _chosen(name, rows)
    return {
        "sweep": name,
        "pair": lab.pair.name,
        "data": lab.pair.title,
        "published_pair": SWEEPS[name].pair,
        "profile": profile,
        "seeds": seeds,
        "note": SWEEPS[name].note,
        "rows": [_planned(row, lab) for row in chosen],
    }


def _planned(row: Row, lab: Lab) -> dict[str, Any]:
    fields = resolve(row, lab)
    return {
        "name": row.name,
        "experiment": list(row.experiment),
        "model": row.model,
        "method": row.method,
        "stage": row.stage or stage_of(lab.paper, row.method),
        "data": {"source": lab.pair.source, "target": lab.pair.target, "reported on": lab.pair.report_split},
        "start": row.start.name if row.start else None,
        "missing": missing(row, lab),
        "recipe": {name: fields[name].as_json() for name in sorted(fields)},
    }


def plan_text(planned: dict[str, Any]) -> str:
    """The plan of a sweep, as :func:`plan_sweep` gives it, in lines for a terminal."""
    lines = [f"{planned['sweep']}, {planned['data']}, profile {planned['profile']}, seeds {planned['seeds']}"]
    if planned["published_pair"] != planned["pair"]:
        lines.append(f"The published table is of the pair {planned['published_pair']}.")
    lines += [planned["note"]] if planned["note"] else []
    for row in planned["rows"]:
        ids, data = ", ".join(row["experiment"]), row["data"]
        lines += [
            "",
            f"{row['name']} ({ids}): {row['model']}, {row['method']}",
            f"  source {data['source']}, target {data['target']}, reported on {data['reported on']}",
        ]
        lines += [f"  begins with the weights of {row['start']}"] if row["start"] else []
        lines += [f"  NOT THERE YET: {', '.join(row['missing'])}"] if row["missing"] else []
        lines += [f"  {name:28} {_field_text(name, one)}" for name, one in row["recipe"].items()]
    return "\n".join(lines)


def _field_text(name: str, one: dict[str, Any]) -> str:
    between = "×" if name.endswith(("size", "crop")) else ", "
    value = between.join(map(str, one["value"])) if isinstance(one["value"], list) else str(one["value"])
    words = [one["section"], "ours" if one["ours"] else "", one["reason"]]
    words += [f"printed: {one['printed']}"] if one["printed"] is not None else []
    return f"{value:20} {'; '.join(filter(None, words))}".rstrip()


def _lab(name: str, pair: str, profile: str, **options: Any) -> Lab:
    sweep_named(name)
    return Lab(profile, pair, paper=name.partition(".")[0], **options)


def _chosen(name: str, rows: Iterable[str]) -> tuple[Row, ...]:
    known = {row.name: row for row in SWEEPS[name].rows}
    wanted = tuple(rows) or tuple(known)
    if unknown := [row for row in wanted if row not in known]:
        raise UnknownNameError(f"row of {name}", unknown[0], known)
    return tuple(row for row in SWEEPS[name].rows if row.name in wanted)


# --- training --------------------------------------------------------------------------------------------------------


def sweep(
    name: str,
    pair: str,
    profile: str,
    seeds: list[int],
    *,
    rows: Iterable[str] = (),
    pictures: Path | None = None,
    **lab_options: Any,
) -> dict[str, Any]:
    """Train every experiment of a sweep with every seed (finished ones are found); the outcome as plain JSON.

    Args:
        name: ``PAPER.TABLE``, a key of :data:`SWEEPS`.
        pair, profile, seeds: of the trainings.
        rows: names of rows, for a part of the table.
        pictures: a folder for predictions of each row's first seed, palette PNGs of trainIds, of pictures spread evenly
            over the report split; the outcome names them, relative to the folder.
        lab_options: further arguments of :class:`labkit.lab.Lab`.

    Raises:
        UnknownNameError: no such sweep, row, pair or profile.
        LabError: a row needs something that is not there yet, or data are not there. Nothing has been trained then.
    """
    lab, chosen = _lab(name, pair, profile, **lab_options), _chosen(name, rows)
    if absent := {row.name: found for row in chosen if (found := missing(row, lab))}:
        able = [row.name for row in chosen if row.name not in absent]
        listed = "; ".join(f"{title}: {', '.join(found)}" for title, found in absent.items())
        raise LabError(
            f"{name} cannot be trained whole. Not there yet: {listed}. "
            + (f"Rows that can be trained: {'; '.join(able)}" if able else "No row can be trained")
        )
    for row in chosen:  # opens all data and checks all settings before the first step
        experiment_of(row, lab)
    outcomes, environments = [], []
    for row in chosen:
        runs = [_train(row, lab, seed) for seed in seeds]
        scores = [run.scores for run in runs]
        environments += [run.result["environment"] for run in runs]
        outcomes.append(
            {
                "name": row.name,
                "experiment": list(row.experiment),
                "model": row.model,
                "method": row.method,
                "settings": values_of(row, lab),
                "miou": [score.miou for score in scores],
                "miou_best": [run.result["miou_target_best"] for run in runs],
                "iou": {c: [_null(score.iou[c]) for score in scores] for c in scores[0].iou},
                "steps": runs[0].result["steps"],
                "seconds": [run.result["seconds"] for run in runs],
                "runs": [run.name for run in runs],
            }
        )
        if pictures is not None:
            label = f"{name}.{lab.pair.name}.{profile}/{SWEEPS[name].rows.index(row) + 1:02}"
            outcomes[-1]["pictures"] = _write_pictures(runs[0], experiment_of(row, lab).report, pictures, label, lab)
    report = lab.target()
    return {
        "sweep": name,
        "pair": lab.pair.name,
        "data": _data(lab),
        "profile": profile,
        "size": list(lab.size),
        "steps": outcomes[-1]["steps"],
        "seeds": seeds,
        "report": {"data": report.name, "split": report.split, "images": len(report), "evaluation": report.evaluation},
        "selection": "last checkpoint; best is selected on target validation labels",
        "rows": outcomes,
        "environment": _summary(environments),
    }


def _data(lab: Lab) -> str:
    """Both domains by the names of the data that were opened: MiniCity written as GTA5 is not GTA5."""
    source = lab.source().name if lab.has(lab.pair.source) else lab.pair.title.partition(" → ")[0]
    return f"{source} → {lab.target().name}"


def values_of(row: Row, lab: Lab) -> dict[str, Any]:
    """What a row changes, as arguments of :meth:`labkit.lab.Lab.experiment`, tuples as lists."""
    values = ((name, one.value) for name, one in changes_of(row, lab).items())
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def experiment_of(row: Row, lab: Lab, **changes: Any) -> Experiment:
    """The training of a row with the lab's seed; with the lab's weights instead of those of its start."""
    return lab.experiment(row.model, row.method, stage=row.stage, **{**values_of(row, lab), **changes})


def _train(row: Row, lab: Lab, seed: int) -> Run:
    changes = {"weights": _train(row.start, lab, seed).folder / "weights.safetensors"} if row.start else {}
    return lab.conduct(replace(experiment_of(row, lab, **changes), seed=seed)).run


def _write_pictures(
    run: Run, dataset: SegmentationDataset, folder: Path, label: str, lab: Lab, count: int = 3
) -> dict[str, str]:
    """Predictions by the picture's name: files in ``folder``, whose names begin with ``label``."""
    samples = [dataset[index] for index in evenly(len(dataset), count)]
    files = {}
    for number, (sample, train_ids) in enumerate(zip(samples, lab.predict(run, samples), strict=True), 1):
        picture = Image.fromarray(train_ids)
        picture.putpalette(PALETTE.flatten().tolist())
        files[sample.name] = f"{label}-{number}.png"
        write_atomically(folder / files[sample.name], encode_png(picture))
    return files


def _summary(environments: list[dict[str, Any]]) -> dict[str, Any]:
    """What all runs share; where they differ, all the different values, as text."""
    values = {key: [env.get(key) for env in environments] for key in environments[0]}
    return {
        key: found[0] if all(value == found[0] for value in found) else " / ".join(sorted(set(map(str, found))))
        for key, found in values.items()
    }


def _null(value: float) -> float | None:
    return None if np.isnan(value) else value

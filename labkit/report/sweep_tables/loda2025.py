"""loda2025: U-Net and DeepLabV3, and MMD from their last weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labkit.report.sweep_tables.rows import GTA5, Row, Sweep

_WIDE = {"source_size": (256, 480), "target_size": (256, 480)}
_ADAM = ("optimizer", "learning_rate", "betas", "weight_decay", "schedule")


def _segmentation(name: str, model: str, budget: Mapping[str, Any]) -> Row:
    return Row(name, model, "source-only", ("B1", "B2"), section="§2.2", keeps=("dice", "beta", *_ADAM), budget=budget)


def _mmd(name: str, start: Row, weight: float, method: str = "mmd") -> Row:
    experiment = "B3" if method == "mmd" else "B4"
    return Row(
        name,
        start.model,
        method,
        (experiment,),
        {"lambda_mmd": weight},
        "§3.2",
        keeps=("dice", "beta", "sigma", *_ADAM),
        budget=start.budget,
        start=start,
    )


_DEEPLABV3 = _segmentation("ImageNet1k", "deeplabv3", {})
_DEEPLABV3_WIDE = _segmentation("480x256", "deeplabv3", _WIDE)
_UNET = _segmentation("480x256", "unet", _WIDE)
_PADDED = replace(_segmentation("padded", "unet-padded", {}), paper_only="a size that has to be padded")


def _started(row: Row, weights: str = "imagenet") -> Row:
    """Table 1 compares starts: they hold in every profile."""
    return replace(row, settings={"weights": weights})


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
    replace(_BISENET, name="source only, continued", stage="mmd", start=_BISENET),
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
_ON_SOURCE = "The paper's checkpoints are the best on source validation, which is not done here: ours is the last."
_ON_TARGET = "The paper's checkpoints are the best on target validation labels: compare with our best."

TABLES = {
    "table1": Sweep(
        GTA5,
        (
            _started(replace(_DEEPLABV3, name="COCO"), "coco"),
            _started(_DEEPLABV3),
            replace(_started(_DEEPLABV3_WIDE), paper_only="a size of its own"),
        ),
        _ON_SOURCE,
    ),
    "table2": Sweep(GTA5, (_PADDED, _UNET), _ON_SOURCE),
    "table3": Sweep(
        GTA5,
        (replace(_DEEPLABV3_WIDE, name="DeepLabV3 480x256"), replace(_UNET, name="U-Net 480x256")),
        _ON_SOURCE,
    ),
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
        "No table of the paper: three readings of its kernel on BiSeNet, each from the weights of `before`, beside as "
        "many further steps of source only.",
    ),
}

"""baitan2025: both networks, augmentations, adversarial adaptation, focal loss."""

from __future__ import annotations

from labkit.report.sweep_tables.rows import GTA5, Row, Sweep

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


TABLES = {
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
        (Row("adversarial", "bisenet", "adversarial", ("A6",), keeps=("lambda_adv", "jitter", "blur")),),
    ),
    "adversarial": Sweep(
        GTA5,
        (
            _compared("source only", "source-only"),
            _compared("adaptive batch norm", "adabn"),
            _compared("λ = 0, target moves batch norm", "adversarial", lambda_adv=0.0),
            _compared("λ = 0, target does not", "adversarial", lambda_adv=0.0, target_statistics=False),
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

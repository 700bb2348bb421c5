"""The papers' recipes: every hyperparameter of every training, with its section, or marked as ours.

Under ``recipes/`` every paper has a JSON file. ``every`` holds what all its trainings share, ``stages`` what each of
them has of its own: ``null`` takes a shared field away, ``like`` takes the fields of another stage, ``ours`` says why
nothing of a stage is printed. ``network`` is the one whose settings are printed, if only one's are; ``data`` names the
data sets that the paper divides in its own way. A field whose value depends on the network, the source or the method
says so (``by``) and lists the values; ``open`` says of which of them the paper is silent, and why they are so. A field
with ``methods`` is theirs alone.

Fields that name a setting of the loop or, marked ``"kind": "method"``, of the method are set when ``profile=paper``;
the others say in words what the code does, or should do, by itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from labkit.errors import UnknownNameError

_RECIPES = files("labkit.papers") / "recipes"


@dataclass(frozen=True)
class Field:
    """One hyperparameter.

    Attributes:
        value: what is used; numbers in SI or pixels, sizes as (height, width).
        section: where the paper says so; empty where it does not.
        ours: the paper leaves it open, or cannot be followed; ``reason`` says why this value.
        reason: why, or how the paper's words were read.
        printed: what the paper prints, where that is something else; else None.
        kind: ``"method"`` for a setting of the method, else empty.
    """

    value: Any
    section: str = ""
    ours: bool = False
    reason: str = ""
    printed: Any = None
    kind: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values, tuples as lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def _papers() -> list[str]:
    return sorted(file.name.removesuffix(".json") for file in _RECIPES.iterdir() if file.name.endswith(".json"))


@cache
def _read(paper: str) -> dict[str, Any]:
    known = _papers()
    if paper not in known:
        raise UnknownNameError("paper with a recipe", paper, known)
    return json.loads((_RECIPES / f"{paper}.json").read_text(encoding="utf-8"))


def stages(paper: str) -> dict[str, str]:
    """The trainings that a paper describes: name to title with section, in the paper's order.

    Raises:
        UnknownNameError: no recipe of that paper; the message lists those there are.
    """
    return {name: f"{about['title']} ({about['section']})" for name, about in _read(paper)["stages"].items()}


def recipe_notes(paper: str) -> tuple[str, ...]:
    """What is contradictory or open in a paper's recipe as a whole; errors as :func:`stages`."""
    return tuple(_read(paper)["notes"])


def data_of(paper: str, dataset: str) -> str:
    """The name of a data set as a paper divides it, where that has one of its own; errors as :func:`stages`."""
    return _read(paper).get("data", {}).get(dataset, dataset)


def stage_of(paper: str, method: str) -> str:
    """The stage in which a paper trains a method; of a method that it does not have, its training on the source.

    Raises:
        UnknownNameError: no recipe of that paper.
    """
    content = _read(paper)
    found = (name for name, about in content["stages"].items() if method in about["methods"])
    return next(found, content["default"])


def papers_of(method: str) -> list[str]:
    """The papers that train a method, by name."""
    every = {paper: _read(paper)["stages"].values() for paper in _papers()}
    return [paper for paper, stages in every.items() if any(method in about["methods"] for about in stages)]


def recipe(paper: str, stage: str, *, model: str = "", source: str = "", method: str = "") -> dict[str, Field]:
    """Every hyperparameter of a stage, by name.

    Args:
        paper: ``"baitan2025"``, …
        stage: a name of :func:`stages`.
        model, source, method: for fields that depend on them, as names on the command line (``"bisenet"``, ``"gta5"``).
            One that the paper does not have gets a value of ours.

    Raises:
        UnknownNameError: no recipe of that paper, or no such stage; the message lists those there are.
    """
    content = _read(paper)
    if stage not in content["stages"]:
        raise UnknownNameError(f"stage of {paper}", stage, content["stages"])
    about = content["stages"][stage]
    like = content["stages"][about["like"]]["fields"] if "like" in about else {}
    merged = content["every"] | like | about["fields"]
    given = {"model": model, "source": source, "method": method}
    fields = {
        name: _field(one, given)
        for name, one in merged.items()
        if one is not None and (not method or method in one.get("methods", method))
    }
    reason, printed = about.get("ours", ""), set()
    if model not in (content.get("network", model), ""):  # another network than that whose settings are printed
        reason, printed = content["other_networks"], {name for name in fields if merged[name].get("by") == "model"}
    if not reason:
        return fields
    return {
        name: one if one.ours or name in printed else replace(one, ours=True, reason=reason)
        for name, one in fields.items()
    }


def _field(about: dict[str, Any], given: dict[str, str]) -> Field:
    about = {key: value for key, value in about.items() if key != "methods"}
    if depends := about.pop("by", None):
        values, name, silent = about["value"], given[depends], about.pop("open", {})
        about["value"] = values[name if name in values else "other"]
        if name and name not in values:
            silent = {name: f"the paper has no {depends} {name}"}
        if name in silent:
            about |= {"ours": True, "reason": "; ".join(filter(None, (silent[name], about.get("reason"))))}
    return Field(**{key: _tuple(value) for key, value in about.items()})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def steps_of(fields: dict[str, Field]) -> Field:
    """The optimiser steps of a recipe: as printed, or epochs × images / batch size, rounded down (our count)."""
    if "steps" in fields:
        return fields["steps"]
    epochs, images, batch = (fields[name].value for name in ("epochs", "images", "batch_size"))
    parts = [fields[name].section for name in ("epochs", "images", "batch_size")]
    return Field(
        epochs * images // batch,
        section=", ".join(dict.fromkeys(part for part in parts if part)),
        ours=any(fields[name].ours for name in ("epochs", "images", "batch_size")),
        reason=f"{epochs} epochs of {images:,} images in batches of {batch}, rounded down",
    )

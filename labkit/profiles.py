"""Budgets and pairs of domains: the two parameters that every notebook has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from labkit.errors import LabError, UnknownNameError
from labkit.papers.recipes import Field, data_of, recipe, stage_of, steps_of

PAPER = "paper"
"""The profile in which a paper's own recipe decides, instead of one budget for all."""

PAPER_TARGETS = ("cityscapes", "cityscapes-loda")
"""The target of all four papers, whole and as loda2025 divides it; on other data their sizes take the pair's shape."""


@dataclass(frozen=True)
class Profile:
    """A budget: how large the pictures, how many, how long.

    What a paper's recipe decides is None in the profile ``paper``: see :func:`plan`.

    Attributes:
        name, title: key, and what it is for.
        height: of the pictures in pixels; the pair's aspect gives the width.
        steps, batch_size: of a training.
        weights: initial weights.
        generated: pictures drawn of MiniCity for the train, val and test split.
        evaluate_every: steps between evaluations on the target's validation split; in the profile ``paper`` where the
            recipe counts no epochs.
        checkpoint_every: steps between checkpoints.
        on_disk: the same as ``generated`` for data sets on disk, at most so many; None uses them whole.
        workers: loader processes for data sets on disk. MiniCity is drawn once and kept in memory.
    """

    name: str
    title: str
    height: int | None
    steps: int | None
    batch_size: int | None
    weights: str | None
    generated: tuple[int, int, int]
    evaluate_every: int
    checkpoint_every: int
    on_disk: tuple[int, int, int] | None = None
    workers: int = 0


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="smoke",
            title="does every cell run? Seconds; its numbers mean nothing",
            height=48,
            steps=8,
            batch_size=4,
            weights="none",
            generated=(16, 4, 6),
            on_disk=(16, 4, 6),
            evaluate_every=4,
            checkpoint_every=4,
        ),
        Profile(
            name="mini",
            title="minutes on two CPU cores, from scratch at low resolution",
            height=96,
            steps=300,
            batch_size=8,
            weights="none",
            generated=(400, 40, 100),
            evaluate_every=50,
            checkpoint_every=50,
        ),
        Profile(
            name="scratch",
            title="minutes on a data-centre card, a quarter of the papers' pixels, from scratch: nothing to download",
            height=256,
            steps=1_000,
            batch_size=8,
            weights="none",
            generated=(1000, 50, 200),
            evaluate_every=100,
            checkpoint_every=500,
            workers=2,
        ),
        Profile(
            name="gpu",
            title="hours on one 16 GB card, as on Colab, at a quarter of the papers' pixels",
            height=256,
            steps=10_000,
            batch_size=8,
            weights="imagenet",
            generated=(3000, 100, 500),
            evaluate_every=500,
            checkpoint_every=500,
            workers=2,
        ),
        Profile(
            name=PAPER,
            title="each paper's own schedule, field by field: labkit sweep PAPER.TABLE --profile paper --dry-run",
            height=None,
            steps=None,
            batch_size=None,
            weights=None,
            generated=(2975, 100, 500),
            evaluate_every=750,
            checkpoint_every=750,
            workers=2,
        ),
    )
}


@dataclass(frozen=True)
class Pair:
    """Where labels are plentiful, and where the network has to work.

    Attributes:
        name, title: key, and the words beside a number.
        source, target: names of data sets, as :func:`labkit.data.catalog.open_dataset` knows them.
        aspect: width over height of training pictures.
        report_split: the target split that results are reported on; it neither trains nor chooses anything.
    """

    name: str
    title: str
    source: str
    target: str
    aspect: float
    report_split: str


PAIRS: dict[str, Pair] = {
    pair.name: pair
    for pair in (
        Pair("minicity", "MiniCity game → MiniCity real", "minicity-game", "minicity-real", 2, "test"),
        Pair("minicity-toon", "MiniCity toon → MiniCity real", "minicity-toon", "minicity-real", 2, "test"),
        Pair("minicity-camvid", "MiniCity game → CamVid", "minicity-game", "camvid", 4 / 3, "test"),
        Pair("gta5-cityscapes", "GTA5 → Cityscapes", "gta5", "cityscapes", 2, "val"),
        Pair("synthia-cityscapes", "SYNTHIA → Cityscapes", "synthia", "cityscapes", 2, "val"),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name, or an error that lists the known ones.

    ``mini-900`` is the profile ``mini`` with trainings of 900 steps; the same for every profile but ``paper``.
    """
    base, _, steps = name.rpartition("-")
    if base in PROFILES and base != PAPER and steps.isdecimal() and int(steps) and str(int(steps)) == steps:
        return replace(PROFILES[base], name=name, steps=int(steps))
    if name not in PROFILES:
        raise UnknownNameError("profile", name, PROFILES)
    return PROFILES[name]


def pair_named(name: str) -> Pair:
    """The pair of that name, or an error that lists the known ones."""
    if name not in PAIRS:
        raise UnknownNameError("pair", name, PAIRS)
    return PAIRS[name]


def pair_of(source: str, target: str) -> Pair:
    """The known pair of these two data sets, or one made of any two.

    Shape of the pictures and the split that is reported belong to the target: a known one has them from its pairs,
    whatever the source is; another has 2:1 pictures, and ``val``.
    """
    for pair in PAIRS.values():
        if (pair.source, pair.target) == (source, target):
            return pair
    known = next((pair for pair in PAIRS.values() if pair.target == target), None)
    aspect, split = (known.aspect, known.report_split) if known else (2, "val")
    return Pair(f"{source}-to-{target}", f"{source} → {target}", source, target, aspect, split)


def divided(pair: Pair, profile: Profile, paper: str) -> Pair:
    """The pair with its data sets divided as the paper does; in other profiles than ``paper`` the pair itself."""
    if profile.name != PAPER:
        return pair
    return replace(pair, source=data_of(paper, pair.source), target=data_of(paper, pair.target))


def plan(
    profile: Profile, pair: Pair, paper: str, *, stage: str | None = None, model: str = "", method: str = ""
) -> dict[str, Field]:
    """What a training is asked for, field by field, each with where it comes from.

    In the profile ``paper``: the paper's recipe for the stage, with ``steps`` as printed or counted
    (:func:`labkit.papers.recipes.steps_of`: epochs × images as the paper counts them, whatever data is at hand), and an
    evaluation each epoch. In the others: the budget, and no word of the paper's.

    Args:
        profile, pair: budget and domains.
        paper: whose recipe.
        stage: one of its stages; by default the one that trains ``method``.
        model, method: names, for what depends on them.

    Raises:
        UnknownNameError: an unknown paper or stage; the message lists the known ones.
    """
    if profile.name != PAPER:
        size = profile.height, _width(profile.height, pair)
        values = {
            "source_size": size,
            "target_size": size,
            "steps": profile.steps,
            "batch_size": profile.batch_size,
            "weights": profile.weights,
            "workers": profile.workers,
            "evaluate_every": profile.evaluate_every,
        }
        return {name: Field(value, ours=True, reason=f"profile {profile.name}") for name, value in values.items()}
    fields = recipe(paper, stage or stage_of(paper, method), model=model, source=pair.source, method=method)
    if pair.target not in PAPER_TARGETS:
        for name in ("source_size", "target_size"):
            height = fields[name].value[0]
            fields[name] = _instead(fields[name], (height, _width(height, pair)), f"the shape of {pair.title}")
        if fields.pop("unlabelled", None):
            about = f"the training pictures of {pair.title}"
            fields["target_images"] = _instead(fields["target_images"], "the target's own", about)
    every = Field(profile.evaluate_every, ours=True, reason="the paper does not say")
    if "epochs" in fields:
        images, batch = fields["images"].value, fields["batch_size"].value
        every = Field(images // batch, ours=True, reason="once an epoch")
    return fields | {"steps": steps_of(fields), "evaluate_every": every}


def _instead(field: Field, value: Any, reason: str) -> Field:
    """The field with another value, which is ours; with what the paper prints, if it prints something."""
    if value == field.value:
        return field
    printed = field.printed if field.ours else field.value
    why = "; ".join(filter(None, (field.reason, reason)))
    return replace(field, value=value, ours=True, reason=why, printed=printed)


def _width(height: int, pair: Pair) -> int:
    """The width of pictures of that height, a multiple of 8."""
    return round(height * pair.aspect / 8) * 8


def check_seed(seed: object) -> int:
    """A seed: a whole number from 0, below 2³²."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise LabError(f"seed {seed!r} is not a whole number from 0 to {2**32 - 1}")
    return seed

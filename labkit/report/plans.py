"""What a sweep would train: every hyperparameter of every row, with its section in the paper or as ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labkit import settings
from labkit.errors import UnknownNameError
from labkit.lab import Inputs, Lab
from labkit.methods.registry import METHODS, create_method, method_class
from labkit.models.registry import MODELS
from labkit.papers.recipes import Field, recipe, stage_of
from labkit.profiles import PAPER
from labkit.report.sweep_tables import SWEEPS, Row, Sweep
from labkit.report.sweep_tables.rows import SMALL
from labkit.training.experiment import Experiment
from labkit.training.recipe import Recipe

HOW = ("accumulate", "precision", "evaluate_every")
"""Settings of a recipe that make no other experiment: how a machine does it, and how often it is looked at."""


def sweep_named(name: str) -> Sweep:
    """The sweep of that name, or an UnknownNameError that lists the known ones."""
    if name not in SWEEPS:
        raise UnknownNameError("sweep", name, SWEEPS)
    return SWEEPS[name]


def fitting(row: Row, lab: Lab) -> Row:
    """The row as the lab's pictures have it: its small form where they are small and there is one."""
    return row.for_height(lab.size[0])


def missing(row: Row, lab: Lab) -> list[str]:
    """What a row needs and is not there yet, in words: networks, methods, their settings, data; none if it can run."""
    absent = [f"network {row.model}"] if row.model not in MODELS else []
    if row.method not in METHODS:
        absent.append(f"method {row.method}")
    else:
        known = settings.names(method_class(row.method))
        asked = [name for name, one in resolve(row, lab).items() if one.kind == "method"]
        absent += [f"setting {name} of method {row.method}" for name in asked if name not in known]
    if wanting := row.wanting(lab.profile.name):
        absent.append(wanting)
    for other in row.before:
        absent += [one for one in missing(other, lab) if one not in absent]
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
    rows, fitted = lab.size[0], {}
    if lab.profile.name != PAPER:
        fitted |= {name: (value, "for trainings shorter than the paper's") for name, value in row.elsewhere.items()}
    if rows < SMALL:
        fitted |= {name: (value, f"for pictures of {rows} rows") for name, value in row.small.items()}
    for name, (value, reason) in fitted.items():
        changes[name] = Field(value, ours=True, reason=reason, kind="" if name in own else "method")
    return changes | {name: Field(value, ours=True, reason="asked for here") for name, value in row.how.items()}


def values_of(row: Row, lab: Lab) -> dict[str, Any]:
    """What a row changes, as arguments of :meth:`labkit.lab.Lab.experiment`, tuples as lists."""
    values = ((name, one.value) for name, one in changes_of(row, lab).items())
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def experiment_of(row: Row, lab: Lab, **changes: Any) -> Experiment:
    """The training of a row with the lab's seed; with the lab's weights instead of those of its start."""
    return lab.experiment(row.model, row.method, stage=row.stage, **{**values_of(row, lab), **changes})


_BEFORE = "trained before, with the same seed"
_AS_IT_IS = Field("none", ours=True, reason="this row learns from the source's pictures as they are")


def resolve(row: Row, lab: Lab) -> dict[str, Field]:
    """Every hyperparameter that a row is trained with, with its section or as ours; needs no data and no network."""
    row = fitting(row, lab)
    fields = lab.plan(row.model, row.method, row.stage) | changes_of(row, lab)
    if row.start:
        fields["weights"] = Field(f"the last of {row.start.name}", reason=_BEFORE)
    if row.translator and lab.profile.name != PAPER:
        fields["source_translation"] = Field(f"by the last of {row.translator.name}", ours=True, reason=_BEFORE)
    if not row.translator and fields.get("source_translation", _AS_IT_IS).value != _AS_IT_IS.value:
        fields["source_translation"] = _AS_IT_IS
    for network, other in row.given.items():
        fields[network] = Field(f"the last of {other.name}", reason=_BEFORE)
    defaults = [("", Recipe())] + ([("method", create_method(row.method))] if row.method in METHODS else [])
    for kind, default in defaults:
        for name in settings.names(type(default)):
            if name not in fields:
                reason = _why_default(name, fields, lab)
                fields[name] = Field(getattr(default, name), ours=True, reason=reason, kind=kind)
    return fields


_UNUSED = {"momentum": ("optimizer", "adam"), "betas": ("optimizer", "sgd"), "power": ("schedule", "constant")}
"""Settings of the loop without effect beside another one's value."""


def _why_default(name: str, fields: Mapping[str, Field], lab: Lab) -> str:
    other, value = _UNUSED.get(name, ("", None))
    chosen = fields[other].value if other in fields else getattr(Recipe(), other, None)
    if other and chosen == value:
        return f"without effect: {other} is {value}"
    if lab.profile.name == PAPER:
        return "not in the paper; our default"
    return "our default, after baitan2025" if name in settings.names(Recipe) else "our default"


def plan_sweep(
    name: str,
    pair: str,
    profile: str,
    seeds: list[int],
    rows: Iterable[str] = (),
    how: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a sweep would train, as plain JSON; nothing is trained, and no data needed.

    Args:
        name, pair, profile, seeds, rows, how: as for :func:`sweep`.

    Raises:
        UnknownNameError: no such sweep, row, pair, profile or setting.
    """
    lab = sweep_lab(name, pair, profile)
    chosen = chosen_rows(name, lab, rows, how)
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
        "given": {network: other.name for network, other in row.given.items()},
        "translator": row.translator.name if row.translator else None,
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
        lines += [f"  source pictures translated by {row['translator']}"] if row["translator"] else []
        lines += [f"  begins with the weights of {row['start']}"] if row["start"] else []
        lines += [f"  its {network} begins with the weights of {other}" for network, other in row["given"].items()]
        lines += [f"  NOT THERE YET: {', '.join(row['missing'])}"] if row["missing"] else []
        lines += [f"  {name:28} {_field_text(name, one)}" for name, one in row["recipe"].items()]
    return "\n".join(lines)


def _field_text(name: str, one: dict[str, Any]) -> str:
    between = "×" if name.endswith(("size", "crop")) else ", "
    value = between.join(map(str, one["value"])) if isinstance(one["value"], list) else str(one["value"])
    words = [one["section"], "ours" if one["ours"] else "", one["reason"]]
    words += [f"printed: {one['printed']}"] if one["printed"] is not None else []
    return f"{value:20} {'; '.join(filter(None, words))}".rstrip()


def sweep_lab(name: str, pair: str, profile: str, **options: Any) -> Lab:
    """The lab in which a sweep's rows are trained: its paper's recipes, on a pair, with a budget.

    Raises:
        UnknownNameError: no such sweep, pair or profile.
    """
    sweep_named(name)
    return Lab(profile, pair, paper=name.partition(".")[0], **options)


def chosen_rows(name: str, lab: Lab, rows: Iterable[str], how: Mapping[str, Any] | None = None) -> tuple[Row, ...]:
    """The rows of a sweep with these names, or all, as the lab's pictures have them, in the order of the table.

    Raises:
        UnknownNameError: no such row, or ``how`` has a setting that is not one of :data:`HOW`.
    """
    known = {row.name: row for row in SWEEPS[name].rows}
    wanted = tuple(rows) or tuple(known)
    if unknown := [row for row in wanted if row not in known]:
        raise UnknownNameError(f"row of {name}", unknown[0], known)
    changes = _checked(how or {})
    return tuple(_done_so(fitting(row, lab), changes) for row in SWEEPS[name].rows if row.name in wanted)


def _checked(how: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := [name for name in how if name not in HOW]:
        raise UnknownNameError("setting that a sweep can be given", unknown[0], HOW)
    recipe_with = settings.with_settings(Recipe(), how)
    return {name: getattr(recipe_with, name) for name in how}


def _done_so(row: Row, how: Mapping[str, Any]) -> Row:
    return replace(
        row,
        how=how,
        start=row.start and _done_so(row.start, how),
        translator=row.translator and _done_so(row.translator, how),
        given={network: _done_so(other, how) for network, other in row.given.items()},
    )

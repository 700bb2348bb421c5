"""Hyperparameters as dataclass fields: read from text, checked for name, type and range.

A field declares its range in its metadata: ``field(default=0.4, metadata={"range": (0, None)})``. Both
``--set key=value`` on the command line and keyword arguments in a notebook come through :func:`with_settings`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from labkit.errors import LabError, UnknownNameError

Settings = TypeVar("Settings")


def setting(default: Any, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with a default and a closed range; ``None`` leaves a side open."""
    return dataclasses.field(default=default, metadata={"range": (low, high)})


def names(cls: type) -> list[str]:
    """The names of a settings class's fields."""
    return [f.name for f in dataclasses.fields(cls)]


def describe(settings: Any) -> dict[str, Any]:
    """Settings as plain JSON values, tuples as lists."""
    return {
        f.name: list(value) if isinstance(value := getattr(settings, f.name), tuple) else value
        for f in dataclasses.fields(settings)
    }


def with_settings(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """A copy of ``settings`` with ``changes``; values may be text.

    Raises:
        UnknownNameError: a name that is no field; the message lists the fields.
        LabError: a value of another type, or outside the field's range.
    """
    fields = {f.name: f for f in dataclasses.fields(settings)}
    hints = typing.get_type_hints(type(settings))
    values = {}
    for name, value in changes.items():
        if name not in fields:
            raise UnknownNameError("setting", name, fields)
        values[name] = _check_range(fields[name], _coerce(name, value, hints[name]))
    return dataclasses.replace(settings, **values)


def _coerce(name: str, value: Any, hint: Any) -> Any:
    options = [h for h in typing.get_args(hint) if h is not types.NoneType] if _is_optional(hint) else [hint]
    if _is_optional(hint) and (value is None or value == "none"):
        return None
    kind = options[0]
    origin = typing.get_origin(kind) or kind
    try:
        if origin is tuple:
            parts = value.replace("x", ",").split(",") if isinstance(value, str) else list(value)
            elements = typing.get_args(kind)
            if len(parts) != len(elements):
                raise ValueError
            return tuple(_coerce(name, part, element) for part, element in zip(parts, elements, strict=True))
        if origin is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]
        if origin is int and isinstance(value, float) and value != int(value):
            raise ValueError
        return origin(value)
    except (KeyError, TypeError, ValueError):
        wanted = kind.__name__ if isinstance(kind, type) and origin is not tuple else f"{kind}, written like 64,128"
        raise LabError(f"setting {name}={value!r} is not of type {wanted}") from None


def _is_optional(hint: Any) -> bool:
    return types.NoneType in typing.get_args(hint)


def _check_range(field: dataclasses.Field, value: Any) -> Any:
    low, high = field.metadata.get("range", (None, None))
    for number in value if isinstance(value, tuple) else (value,):
        if not isinstance(number, int | float) or isinstance(number, bool):
            continue
        if (low is not None and not number >= low) or (high is not None and not number <= high):
            span = f"{'−∞' if low is None else low} … {'∞' if high is None else high}"
            raise LabError(f"setting {field.name}={number} is outside its range {span}")
    return value

"""Showing real source in a notebook, so that a page never holds a copy that has gone stale."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import Code


def show_source(item: Any) -> Code:
    """The source of a labkit function or class, highlighted, as it stands now."""
    from IPython.display import Code

    return Code(inspect.getsource(item), language="python")

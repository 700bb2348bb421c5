"""What an exercise's check says: right, or a hint that does not give the solution away.

Never an exception, never the network.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """The outcome of a check, shown as a coloured line in a notebook."""

    right: bool
    message: str

    def __str__(self) -> str:
        return f"{'Right.' if self.right else 'Not yet.'} {self.message}"

    def _repr_html_(self) -> str:
        colour, mark = ("#0072b2", "✓") if self.right else ("#d55e00", "→")
        return (
            f'<p class="lab-answer" style="border-left:4px solid {colour};padding:.2em .8em">'
            f"<strong>{mark} {'Right.' if self.right else 'Not yet.'}</strong> {html.escape(self.message)}</p>"
        )


def right(message: str) -> Answer:
    """A right answer, and what it tells."""
    return Answer(True, message)


def hint(message: str) -> Answer:
    """A wrong or missing answer, and where to look."""
    return Answer(False, message)


def checked(check: Callable[..., Answer]) -> Callable[..., Answer]:
    """Turn whatever a student's code raises into a hint, so that the notebook goes on."""

    @functools.wraps(check)
    def safely(*args, **kwargs) -> Answer:
        try:
            return check(*args, **kwargs)
        except Exception as error:
            return hint(f"Your code stopped with {type(error).__name__}: {error}")

    return safely

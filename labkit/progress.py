"""A progress bar where somebody looks, log lines where nobody does."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")


def interactive() -> bool:
    """Whether a person watches: a terminal on standard error, or a live notebook; never under ``LABKIT_BATCH=1``."""
    if os.environ.get("LABKIT_BATCH"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def track(items: Iterable[Item], total: int, title: str, *, done: int = 0, lines: int = 5) -> Iterator[Item]:
    """Yield ``items``, showing how many of ``total`` are through; ``done`` of them before the start.

    Interactive: a bar on standard error. Else about ``lines`` log lines.
    """
    if interactive():
        from tqdm import tqdm

        yield from tqdm(items, total=total, initial=done, desc=title, file=sys.stderr, leave=False, mininterval=0.5)
        return
    start, every = time.monotonic(), max(1, total // lines)
    for number, item in enumerate(items, start=done + 1):
        yield item
        if number % every == 0 or number == total:
            log.info("%s: %d of %d, %.0f s", title, number, total, time.monotonic() - start)


def callback(title: str, unit: str = "files") -> Callable[[int, int | None], None]:
    """A function of (done, total or None) that shows how far a piece of work is."""
    if interactive():
        from tqdm import tqdm

        bar = tqdm(desc=title, unit=unit, unit_scale=unit == "bytes", file=sys.stderr, leave=False, mininterval=0.5)

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)
            if done == total:
                bar.close()

        return show
    last = -math.inf

    def note(done: int, total: int | None) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 15:
            last = time.monotonic()
            log.info("%s: %d of %s %s", title, done, total or "?", unit)

    return note

"""Trainings side by side: several processes on one machine, which share the pictures in memory."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from labkit.errors import LabError

NOT_BEGUN = "not begun"

_tasks: Sequence[Callable[[], object]] = ()
_stop: Any = None
"""An event that all processes share: begin nothing more."""


def check_jobs(jobs: int) -> None:
    """Raise a LabError where processes cannot be forked: they would not share the pictures."""
    if jobs > 1 and sys.platform != "linux":
        raise LabError(
            "several trainings at a time need Linux, whose processes share memory. Elsewhere leave --jobs out, or "
            "start the same command in several terminals: no training is done twice"
        )


def side_by_side(tasks: Sequence[Callable[[], object]], jobs: int) -> None:
    """Run every task once, ``jobs`` at a time, begun in their order, each in one of ``jobs`` forked processes.

    What a task returns is dropped: trainings leave their runs on disk. Every process computes with one CPU thread (a
    forked one could wait for its parent's for ever), so as many jobs as cores use a CPU whole. Nothing may have used a
    GPU in this process before. If this process dies, its trainings are saved and end as well.

    Raises:
        LabError: of the first task that failed or was stopped by a signal, after its state was saved; or a process was
            killed. Tasks under way are finished before, no other is begun.
    """
    global _tasks
    check_jobs(jobs)
    fork = multiprocessing.get_context("fork")
    stop, _tasks, left = fork.Event(), tasks, 0
    executor = ProcessPoolExecutor(jobs, fork, _begin, (stop,))
    try:
        for future in as_completed([executor.submit(_run, number) for number in range(len(tasks))]):
            failed = future.result()
            left += failed == NOT_BEGUN
            if failed not in ("", NOT_BEGUN):
                raise LabError(failed)
    except BrokenProcessPool:
        raise LabError(
            "a training's process was killed, as the system does when memory runs out. What is finished is kept; start "
            "the same again with fewer --jobs"
        ) from None
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)
        _tasks = ()
    if left:
        raise LabError(f"stopped; {left} of {len(tasks)} trainings were not begun")


def _begin(stop: Any) -> None:
    """In every new process: one thread, and SIGTERM when the parent dies, upon which a training saves and ends."""
    global _stop
    import torch

    _stop = stop
    torch.set_num_threads(1)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _run(number: int) -> str:
    """The message of a task's error, empty if there was none: not every error can travel between processes."""
    if _stop.is_set():
        return NOT_BEGUN
    try:
        _tasks[number]()
    except (LabError, KeyboardInterrupt) as error:  # TrainingInterrupted is one of the latter
        _stop.set()
        return str(error) or "interrupted"
    except BaseException:
        _stop.set()
        raise
    return ""

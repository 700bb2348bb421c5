"""Trainings side by side: several processes on one machine, which share the pictures in memory."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from labkit.errors import LabError
from labkit.training.signals import TrainingInterrupted

_tasks: Sequence[Callable[[], object]] = ()
_stopped = False


def check_jobs(jobs: int) -> None:
    """Raise a LabError where processes cannot be forked: they would not share the pictures."""
    if jobs > 1 and sys.platform != "linux":
        raise LabError(
            "several trainings at a time need Linux, whose processes share memory. Elsewhere leave --jobs out, or "
            "start the same command in several terminals: no training is done twice"
        )


def side_by_side(tasks: Sequence[Callable[[], object]], jobs: int) -> None:
    """Run every task once, ``jobs`` at a time, begun in their order, each in one of ``jobs`` forked processes.

    What a task returns is dropped: trainings leave their runs on disk. Nothing may have used a GPU in this process
    before. The CPU's cores are shared out among the processes.

    Raises:
        LabError: of the first task that failed or was stopped by a signal, after it was saved. Those under way are
            finished before, no other is begun.
    """
    global _tasks
    check_jobs(jobs)
    _tasks = tasks
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _begin, (threads,))
    try:
        for future in as_completed([executor.submit(_run, number) for number in range(len(tasks))]):
            if failed := future.result():
                raise LabError(failed)
    finally:
        executor.shutdown(cancel_futures=True)
        _tasks = ()


def _begin(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _run(number: int) -> str:
    """The message of a task's error, empty if there was none: not every error can travel between processes."""
    global _stopped
    if _stopped:
        return "stopped"
    try:
        _tasks[number]()
    except LabError as error:
        return str(error)
    except TrainingInterrupted as stop:
        _stopped = True
        return str(stop)
    return ""

"""Several trainings at a time: the same runs as one after the other, each trained once, errors and memory."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit import report
from labkit.data.catalog import open_dataset
from labkit.data.memory import InMemory
from labkit.data.pairs import BadFileError
from labkit.errors import LabError, UnknownNameError
from labkit.report.side_by_side import check_jobs, side_by_side
from labkit.training.runs import RunStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def test_every_task_is_done_once_in_several_processes(tmp_path):
    def write(number: int):
        import os

        time.sleep(0.2)
        (tmp_path / f"{number}").write_text(str(os.getpid()))

    side_by_side([lambda n=n: write(n) for n in range(6)], 3)
    pids = [path.read_text() for path in tmp_path.iterdir()]
    assert len(pids) == 6 and 2 <= len(set(pids)) <= 3


def test_after_an_error_nothing_is_begun(tmp_path):
    """A worker's queue holds tasks that cannot be cancelled any more; they are not begun either."""

    def fail():
        raise LabError("data/gta5 is not there")

    def late(number: int):
        (tmp_path / f"{number}").touch()
        time.sleep(0.5)

    with pytest.raises(LabError, match=r"^data/gta5 is not there$"):
        side_by_side([fail, *(lambda n=n: late(n) for n in range(12))], 2)
    assert len(list(tmp_path.iterdir())) <= 2  # what the other process had begun by then, and one for luck


def test_a_killed_process_is_an_error_in_words():
    with pytest.raises(LabError, match=r"killed.*memory.*fewer --jobs"):
        side_by_side([lambda: os.kill(os.getpid(), signal.SIGKILL)], 2)


ORPHANS = """
import os, sys, time
from labkit.report.side_by_side import side_by_side

def task():
    os.write(1, str(os.getpid()).rjust(9).encode())
    time.sleep(60)

side_by_side([task, task], 2)
"""


def test_no_process_outlives_its_parent():
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True)
    pids = [int(parent.stdout.read(9)) for _ in range(2)]
    parent.terminate()
    parent.wait(20)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_forked_processes_do_not_wait_for_their_parents_threads():
    """The parent has computed with two threads, which a fork does not take along."""

    def compute():
        assert torch.ones(2000, 2000).mm(torch.ones(2000, 2000))[0, 0] == 2000

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        compute()
        side_by_side([compute, compute], 2)
    finally:
        torch.set_num_threads(before)


class Damaged:
    """A data set of damaged files."""

    name, split, evaluation, labelled = "damaged", "train", "miou", True

    def __len__(self):
        return 6

    def __getitem__(self, index):
        raise BadFileError(Path("gta5/images/00001.png"), "cannot be decoded")


def test_a_damaged_picture_is_an_error_not_a_wait():
    with pytest.raises(BadFileError, match=r"00001.png: cannot be decoded"):
        InMemory(Damaged()).fill(2)


@pytest.mark.parametrize("error", [UnknownNameError("profile", "x", ["b", "a"]), BadFileError(Path("a.png"), "empty")])
def test_errors_travel_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_other_systems_are_told(monkeypatch):
    check_jobs(4)
    monkeypatch.setattr(sys, "platform", "win32")
    check_jobs(1)
    with pytest.raises(LabError, match=r"need Linux.*several terminals"):
        check_jobs(4)


def test_pictures_that_several_processes_drew_are_the_same():
    alone = open_dataset("minicity-game", "train", (48, 96), count=5)
    together = InMemory(open_dataset("minicity-game", "train", (48, 96), count=5))
    together[3]  # read before
    together.fill(2)
    for one, other in zip(alone, together, strict=True):
        assert one.name == other.name and (one.image == other.image).all() and (one.label == other.label).all()
        assert not other.image.flags.writeable and not other.label.flags.writeable
    assert len(together._samples) == 5


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two sweeps that share a training, one training after the other, and two at a time."""
    folder = tmp_path_factory.mktemp("jobs")
    program = "from labkit.cli import main; main()"
    for jobs in ("1", "2"):
        words = ["sweep", "baitan2025.table5", "baitan2025.table8", "--profile", "smoke", "--seeds", "0", "--json"]
        done = subprocess.run(
            [sys.executable, "-c", program, *words, "--jobs", jobs, "--runs", str(folder / jobs), "--device", "cpu"],
            capture_output=True,
            text=True,
            timeout=300,
            env={"OMP_NUM_THREADS": "1", "PATH": ""},
        )
        assert done.returncode == 0, done.stderr
        (folder / f"{jobs}.json").write_text(done.stdout)
    return folder


def test_side_by_side_or_not_the_numbers_are_the_same(both):
    one, two = (json.loads((both / f"{jobs}.json").read_text())["sweeps"] for jobs in "12")
    assert [sweep["sweep"] for sweep in one] == ["baitan2025.table5", "baitan2025.table8"]
    for alone, together in zip(one, two, strict=True):
        for row, other in zip(alone["rows"], together["rows"], strict=True):
            for key in ("name", "miou", "miou_best", "iou", "runs", "source"):
                assert row[key] == other[key], key
            assert row["curves"] == other["curves"]


def test_a_training_that_two_sweeps_ask_for_is_trained_once(both):
    names = [run.name for run in RunStore(both / "2").all()]
    assert len(names) == 3  # γ = 0, 2, 3; Table 8 is γ = 2


def test_rows_with_a_start_come_after_it(monkeypatch, tmp_path):
    """The order in which tasks are given out: whatever others begin with is trained first."""
    begun = []
    monkeypatch.setattr(report.sweeps, "side_by_side", lambda tasks, jobs: begun.extend(task.args for task in tasks))
    report.train_ahead({"loda2025.kernels": "minicity"}, "smoke", [0, 1], jobs=2, runs=tmp_path)
    rows = [(row.name, seed) for row, _, seed in begun]
    assert rows[:2] == [("before", 0), ("before", 1)] and len(rows) == len(set(rows)) == 10


def test_the_source_score_is_that_of_the_source_pictures(both):
    from labkit.lab import Lab

    (table5, _) = json.loads((both / "1.json").read_text())["sweeps"]
    row = table5["rows"][0]
    lab = Lab("smoke", runs=both / "1", device="cpu")
    run = RunStore(both / "1").find(row["runs"][0])
    expected = lab.evaluate(run, lab.source("val")).miou
    assert row["source"] == {"data": "MiniCity game", "images": 4, "classes": 19, "miou": [pytest.approx(expected)]}
    assert np.isfinite(row["curves"][0]["val/loss"]).all()


def test_every_sweep_is_checked_before_the_first_is_trained(tmp_path):
    from click.testing import CliRunner

    from labkit import cli

    words = ["sweep", "baitan2025.table5", "baitan2025.tabel5", "--profile", "smoke", "--runs", str(tmp_path)]
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 2 and "tabel5" in done.output and not list(tmp_path.iterdir())

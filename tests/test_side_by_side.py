"""Several trainings at a time: the same runs as one after the other, each trained once, errors and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from labkit import report
from labkit.data.catalog import open_dataset
from labkit.data.memory import InMemory
from labkit.errors import LabError
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


def test_an_error_ends_the_rest_and_keeps_its_words(tmp_path):
    def fail():
        raise LabError("data/gta5 is not there")

    def late(number: int):
        time.sleep(0.3)
        (tmp_path / f"{number}").touch()

    with pytest.raises(LabError, match=r"^data/gta5 is not there$"):
        side_by_side([fail, *(lambda n=n: late(n) for n in range(20))], 2)
    assert len(list(tmp_path.iterdir())) < 20


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

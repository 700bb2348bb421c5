"""The store of runs: found, continued, damaged, interrupted, asked for twice."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from labkit import sources
from labkit.errors import LabError, UnknownNameError
from labkit.files import write_atomically
from labkit.lab import Lab
from labkit.methods.supervised import SourceOnly
from labkit.training import checkpoints
from labkit.training.experiment import Experiment, Outcome, train
from labkit.training.recipe import Recipe
from labkit.training.runs import RunStore

ROOT = Path(__file__).parent.parent

RECIPE = Recipe(steps=4, batch_size=2, evaluate_every=2)


def experiment(squares, **changes) -> Experiment:
    given = {
        "model": "bisenet",
        "method": SourceOnly(),
        "recipe": RECIPE,
        "seed": 0,
        "datasets": {"source": squares()},
        "validation": squares(split="val", seed=1, count=2),
        "report": squares(split="test", seed=2, count=2),
    }
    return Experiment(**given | changes)


def files_of(folder: Path) -> dict[str, bytes]:
    """What must not depend on how the training got there: weights, metrics, scores."""
    return {
        name: (folder / name).read_bytes()
        for name in ("weights.safetensors", "best.safetensors", "metrics.csv", "scores.json")
    }


def test_a_run_is_written_and_found_again(squares, tmp_path):
    store = RunStore(tmp_path)
    first = train(experiment(squares), store, device="cpu")
    assert first.resumed_from == 0 and first.run.finished
    before = {path: path.stat().st_mtime_ns for path in first.run.folder.rglob("*")}
    again = train(experiment(squares), store, device="cpu")
    assert again.resumed_from is None and again.run.folder == first.run.folder
    assert before == {path: path.stat().st_mtime_ns for path in first.run.folder.rglob("*")}

    run = first.run
    assert not run.checkpoints.exists()
    assert run.result["steps"] == 4 and run.result["miou_target"] == run.scores.miou
    assert run.result["best"]["selected_on"] == "target validation labels"
    assert set(run.result["environment"]) >= {"commit", "hardware", "precision", "packages"}
    assert run.scores.images == 2 and list(run.metrics["step"]) == [2, 4]
    assert run.size == (32, 64) and run.summary()["data"] == "Squares"
    with torch.no_grad():
        assert run.load_model()(torch.zeros(1, 3, 32, 64)).logits.shape == (1, 19, 32, 64)
    assert [found.name for found in store.all()] == [run.name] and store.find(run.name[:20]).name == run.name
    with pytest.raises(UnknownNameError, match=run.name):
        store.find("nothing")


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"recipe": dataclasses.replace(RECIPE, learning_rate=0.1)},
        {"method": SourceOnly(beta=0.1)},
        {"report": None},
    ],
)
def test_any_change_of_the_request_is_another_run(squares, tmp_path, change):
    store = RunStore(tmp_path)
    assert (
        store.request(experiment(squares).describe()).name
        != store.request(experiment(squares, **change).describe()).name
    )


OWN_METHOD = """
from dataclasses import dataclass
from functools import wraps
from labkit.losses.cross_entropy import cross_entropy
from labkit.training.method import Method, Objective, Term

FACTORS = [2, 3]

def doubled(loss):
    return 2 * loss

def decorated(function):
    @wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

@dataclass
class Own(Method):
    name = "own"
    weight: float = 1.0
    ramp = {"start": 0}

    @staticmethod
    def shifted(loss):
        return loss + 1

    @decorated
    def scaled(self, loss):
        return FACTORS[0] * doubled(loss)

    def objectives(self, batches):
        import labkit.training.schedule
        batch = batches["source"]
        loss = cross_entropy(self.model(batch.images).logits, batch.labels)
        yield Objective({"main": Term(self.scaled(self.shifted(loss)), self.weight)})
"""


def defined_in_a_cell(source: str):
    """A class as a notebook cell defines it: in a module without a file, its source known to linecache alone."""
    import linecache

    name = f"<cell {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), names)
    return names["Own"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("batch.images)", "batch.images * 2)"),
        ("2 * loss", "3 * loss"),
        ("FACTORS = [2, 3]", "FACTORS = [9, 3]"),
        ("loss + 1", "loss + 2"),
        ("FACTORS[0] *", "FACTORS[1] *"),
        ('{"start": 0}', '{"start": 5}'),
        ('name = "own"', 'name = "own"\n    streams = ("source", "target")'),
    ],
)
def test_a_method_of_ones_own_is_told_apart_by_what_it_does(old, new):
    assert old in OWN_METHOD
    first, again, other = (
        sources.of_object(defined_in_a_cell(text))
        for text in (OWN_METHOD, OWN_METHOD.replace("\n\n", "\n\n\n"), OWN_METHOD.replace(old, new))
    )
    assert first == again and first != other
    assert {"labkit.losses.cross_entropy", "labkit.training.schedule"} <= first[1]


def test_a_method_of_ones_own_trains(squares, tmp_path):
    run = train(
        experiment(squares, method=defined_in_a_cell(OWN_METHOD)(weight=0.5)), RunStore(tmp_path), device="cpu"
    ).run
    assert run.name.startswith("bisenet-own-seed0-") and run.description["method"] == {"name": "own", "weight": 0.5}


def test_a_method_without_readable_source_is_refused():
    names: dict = {"__name__": "__main__"}
    exec(compile(OWN_METHOD, "<nowhere>", "exec"), names)
    with pytest.raises(LabError, match="source cannot be read"):
        sources.of_object(names["Own"])


def test_what_was_edited_after_it_was_loaded_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "_STARTED", 0.0)  # as if this process were older than every file
    with pytest.raises(LabError, match=r"\.py: edited after Python had loaded it; restart the kernel"):
        sources.digest(["labkit.methods.supervised"])


def test_unfinished_and_missing_parts_are_said(squares, tmp_path):
    run = RunStore(tmp_path).request(experiment(squares).describe())
    with pytest.raises(LabError, match=r"has no scores\.json; it is not finished"):
        _ = run.scores
    (run.folder / "description.json").write_text("{")
    with pytest.raises(LabError, match=r"description\.json: not valid JSON"):
        _ = run.description


# --- what an edit trains again ------------------------------------------------------------------------------------

DIGESTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import labkit
from labkit import sources
assert labkit.__file__.startswith(sys.argv[1])
loop = ["labkit.training.loop", "labkit.models.bisenet", "labkit.evaluation.predict", "labkit.data.minicity.dataset"]
print(json.dumps({
    "source-only": sources.digest([*loop, "labkit.methods.supervised"]),
    "other": sources.digest([*loop, "labkit.methods.other"]),
}))
"""


@pytest.fixture
def edited(tmp_path):
    """A copy of labkit with a second loss and a method that uses it: edit a file, get both methods' digests."""
    shutil.copytree(ROOT / "labkit", tmp_path / "labkit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "labkit" / "losses" / "other.py").write_text("def other(x):\n    return x\n")
    (tmp_path / "labkit" / "methods" / "other.py").write_text("from labkit.losses.other import other\n")

    def edit(file: str = "", old: str = "", new: str = "") -> dict[str, str]:
        if file:
            path = tmp_path / "labkit" / file
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))
        command = [sys.executable, "-c", DIGESTS, str(tmp_path)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return edit


def test_an_edit_trains_again_exactly_what_it_changes(edited):
    before = edited()
    assert edited("plots/panels.py", "def error_map(", "def map_of_errors(") == before
    assert edited("report/tables.py", "100 *", "99 *") == before
    assert edited("losses/cross_entropy.py", "Mean cross-entropy", "Average cross-entropy") == before, "a docstring"
    loss = edited("losses/other.py", "return x", "return 2 * x")
    assert loss["source-only"] == before["source-only"] and loss["other"] != before["other"]
    loss = edited("losses/cross_entropy.py", ".clamp(min=1)", ".clamp(min=2)")
    assert loss["source-only"] != before["source-only"]
    network = edited("models/bisenet.py", "bias=False", "bias=True")
    assert all(network[name] != loss[name] for name in network), "the network concerns every run"


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, caplog):
    for step in (10, 20, 30):
        checkpoints.save(tmp_path, step, {"value": torch.full((3,), step)})
    assert checkpoints.steps(tmp_path) == [20, 30]
    for damage in (lambda data: data[:-100], lambda data: data[:50] + b"x" + data[51:], lambda data: b""):
        path = checkpoints.path_of(tmp_path, 30)
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        with caplog.at_level(logging.WARNING):
            step, state = checkpoints.load_last(tmp_path)
        assert step == 20 and state["value"][0] == 20
        assert "step-00000030.checkpoint: damaged" in caplog.text
        caplog.clear()
        path.write_bytes(whole)
    assert checkpoints.load_last(tmp_path)[0] == 30


def test_what_cannot_be_read_now_is_not_deleted(tmp_path, monkeypatch):
    for step in (10, 20):
        checkpoints.save(tmp_path, step, {"value": step})
    for name, error, words in (
        ("read_bytes", OSError(errno.EIO, "Input/output error"), "Input/output error.*try again"),
        ("load", MemoryError("no memory"), "PyTorch cannot read .*no memory.*nothing was deleted"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(
                Path if name == "read_bytes" else torch, name, lambda *_, raised=error, **__: raise_(raised)
            )
            with pytest.raises(LabError, match=rf"step-00000020\.checkpoint: .*{words}"):
                checkpoints.load_last(tmp_path)
        assert checkpoints.steps(tmp_path) == [10, 20]
    assert checkpoints.load_last(tmp_path)[0] == 20


def raise_(error: Exception):
    raise error


def test_a_gpu_that_is_too_small_is_said_in_words(squares, tmp_path, monkeypatch):
    def full(self, batches):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    monkeypatch.setattr(SourceOnly, "objectives", full)
    with pytest.raises(
        LabError, match=r"memory is too small: CUDA out of memory\. Set accumulate=2 or more .*continues"
    ):
        train(experiment(squares), RunStore(tmp_path), device="cpu")


def test_no_partial_file_under_a_final_name(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(LabError, match=r"disk is full.*free some space"):
        write_atomically(path, "new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_disk_keeps_the_previous_checkpoint(squares, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    # A checkpoint of BiSeNet with momentum takes 93 MiB, the best weights 46 MiB: the second checkpoint does not fit.
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=180m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with pytest.raises(LabError, match=r"step-00000002\.checkpoint: the disk is full"):
            train(experiment(squares), RunStore(disk), device="cpu", checkpoint_every=1)
        (run,) = RunStore(disk).all()
        assert checkpoints.load_last(run.checkpoints)[0] == 1
        assert not [path for path in run.folder.rglob("*") if path.suffix == ".tmp"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- processes --------------------------------------------------------------------------------------------------------


def command(runs: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "labkit.cli", "train", "--profile", "smoke", "--device", "cpu", "--steps", "14"),
        *("--workers", "2", "--checkpoint-every", "2", "--set", "flip=0.5", "--set", "jitter=0.5"),
        *("--runs", str(runs), "--json", *more),
    ]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "LABKIT_BATCH": "1"}


def finish(process: subprocess.CompletedProcess) -> dict:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, bytes]:
    runs = tmp_path_factory.mktemp("whole")
    result = finish(subprocess.run(command(runs), env=environment(), capture_output=True, text=True, timeout=300))
    assert result["resumed_from"] == 0 and result["steps"] == 14
    return files_of(Path(result["run"]))


def wait_for_checkpoint(runs: Path, after: int, process: subprocess.Popen | None = None) -> int:
    """Wait until a checkpoint later than step ``after`` is on the disk."""
    for _ in range(3000):
        found = [step for folder in runs.glob("*/checkpoints") for step in checkpoints.steps(folder)]
        if found and max(found) > after:
            return max(found)
        assert process is None or process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.02)
    raise AssertionError("no checkpoint in a minute")


@pytest.mark.slow
def test_kill_9_three_times_changes_no_bit(uninterrupted, tmp_path):
    moments = random.Random(20260101)
    reached = 0
    for _ in range(3):
        process = subprocess.Popen(command(tmp_path), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        now = wait_for_checkpoint(tmp_path, reached, process)
        time.sleep(moments.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        reached = now
    result = finish(subprocess.run(command(tmp_path), env=environment(), capture_output=True, text=True, timeout=300))
    assert result["resumed_from"] >= reached > 0
    assert files_of(Path(result["run"])) == uninterrupted


ADAPTATION = {"steps": 5, "evaluate_every": 2, "flip": 0.5, "jitter": 0.5}


def _adapt(method: str, folder: Path, checkpoint_every: int = 2) -> Outcome:
    """Adapt BiSeNet with this process's only thread, or go on where a killed process stopped."""
    torch.set_num_threads(1)
    lab = Lab("smoke", device="cpu", runs=folder)
    return lab.conduct(lab.experiment("bisenet", method, **ADAPTATION), checkpoint_every=checkpoint_every)


def _adapt_and_die(method: str, folder: Path) -> None:
    def die() -> None:
        wait_for_checkpoint(folder, 0)
        time.sleep(0.1)  # into a step that will be lost
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=die, daemon=True).start()
    _adapt(method, folder)


@pytest.fixture(scope="module")
def loaded():
    """Processes that begin with everything imported, which takes longer than what they do."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labkit.lab", "lightning_fabric", "torchvision"])
    return context


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "optimizers"),
    [
        ("adversarial", {"segmenter", "discriminator"}),
        ("adversarial-multilevel", {"segmenter", "discriminator", "discriminator-auxiliary"}),
        ("mmd", {"segmenter"}),
    ],
)
def test_kill_9_changes_no_bit_of_an_adaptation(loaded, tmp_path, method, optimizers):
    """Two data streams, up to three optimisers: killed in one process, continued in another."""
    process = loaded.Process(target=_adapt_and_die, args=(method, tmp_path / "killed"))
    process.start()
    whole = _adapt(method, tmp_path / "whole", ADAPTATION["steps"])  # meanwhile
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (killed,) = RunStore(tmp_path / "killed").all()
    reached, state = checkpoints.load_last(killed.checkpoints)
    assert not killed.finished and set(state["trainer"]["optimizers"]) == optimizers
    assert set(killed.description["data"]) == {"source", "target"}

    continued = _adapt(method, tmp_path / "killed")
    assert continued.run.name == whole.run.name == killed.name
    assert whole.resumed_from == 0 and 0 < continued.resumed_from == reached < ADAPTATION["steps"]
    assert files_of(continued.run.folder) == files_of(whole.run.folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_saved_and_continued(uninterrupted, tmp_path, number):
    process = subprocess.Popen(
        command(tmp_path, "--checkpoint-every", "100"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr:
        if " of 14" in line:
            break
    os.killpg(process.pid, number)  # as a terminal and a scheduler do: the loaders get it, too
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number and "saved in" in err and "Traceback" not in err and not out
    result = finish(subprocess.run(command(tmp_path), env=environment(), capture_output=True, text=True, timeout=300))
    assert result["resumed_from"] > 0 and files_of(Path(result["run"])) == uninterrupted


def _train_in_process(squares, folder, queue):
    torch.set_num_threads(1)
    queue.put(train(experiment(squares), RunStore(folder), device="cpu").resumed_from)


@pytest.mark.slow
def test_two_processes_train_a_run_once(squares, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_train_in_process, args=(squares, tmp_path, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    outcomes = {queue.get(timeout=240) for _ in processes}
    for process in processes:
        process.join()
    assert outcomes == {0, None}, "one trains, the other finds"
    assert len(RunStore(tmp_path).all()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["source-only", "unsupervised-focal"])  # whose target loss leaves heads unused
def test_two_devices_share_a_batch(tmp_path, method):
    words = command(tmp_path, "--devices", "2", "--method", method)
    result = finish(subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=300))
    assert result["steps"] == 14 and (Path(result["run"]) / "weights.safetensors").is_file()

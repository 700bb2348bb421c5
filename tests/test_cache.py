"""The cache: the same samples as the files themselves, whole or not there, and never stale."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from labkit import doctor
from labkit.data import cache, catalog
from labkit.data.cache import INDEX, Cached, StaleCacheError, build, open_cache
from labkit.data.camvid import CamVid
from labkit.data.cityscapes import Cityscapes
from labkit.data.dataset import SegmentationDataset
from labkit.data.export import make
from labkit.data.gta5 import GTA5
from labkit.data.synthia import Synthia
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.predict import evaluate
from labkit.lab import Lab
from labkit.models.output import SegmentationOutput
from labkit.profiles import Pair
from labkit.training.streams import batches

SIZE = (16, 24)
READERS = {"gta5": GTA5, "synthia": Synthia, "cityscapes": Cityscapes}


def write_camvid(root: Path, counts: dict[str, int], size: tuple[int, int] = (24, 32)) -> Path:
    numbers = np.random.default_rng(0)
    for split, count in counts.items():
        for i in range(count):
            for folder, shape, most in ((split, (*size, 3), 256), (f"{split}annot", size, 12)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                picture = Image.fromarray(numbers.integers(0, most, shape, dtype=np.uint8))
                picture.save(root / folder / f"{i:03}.png")
    return root


@pytest.fixture
def source(tmp_path) -> Path:
    return write_camvid(tmp_path / "data" / "camvid", {"train": 7, "val": 3})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def assert_same(one: SegmentationDataset, other: SegmentationDataset) -> None:
    assert len(one) == len(other) > 0
    assert one.fingerprint() == other.fingerprint()
    assert (one.name, one.split, one.evaluation) == (other.name, other.split, other.evaluation)
    for i in range(len(one)):
        for a, b in zip(one[i], other[i], strict=True):
            np.testing.assert_array_equal(a, b)
        assert one[i].image.dtype == one[i].label.dtype == np.uint8 and one[i].name == other[i].name
    with pytest.raises(IndexError):
        one[len(one)]


# --- the same samples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", list(READERS))
def test_every_format_and_split(tmp_path, format):
    make(tmp_path / "set", "toon", format, 11, (32, 48))
    report = build(str(tmp_path / "set"), tmp_path / "cache", SIZE, jobs=1)
    assert (report.pictures, report.decoded, report.bytes) == (11, 11, 11 * 16 * 24 * 4)  # overlapping splits: once
    reader = READERS[format]
    for split in reader.available_splits(tmp_path / "set"):
        cached = open_cache(tmp_path / "cache", split)
        assert isinstance(cached, SegmentationDataset)
        assert_same(cached, reader(tmp_path / "set", split, SIZE))
    assert catalog.splits_of(str(tmp_path / "cache")) == reader.available_splits(tmp_path / "set")
    with pytest.raises(UnknownNameError, match="nowhere"):
        open_cache(tmp_path / "cache", "nowhere")


@given(
    height=st.integers(1, 20), width=st.integers(1, 20), size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    count=st.integers(1, 6),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_size_and_count(height, width, size, count):
    with tempfile.TemporaryDirectory() as folder:
        root = write_camvid(Path(folder, "set"), {"train": 4, "test": 1}, (height, width))
        build(str(root), Path(folder, "cache"), size, jobs=1)
        cached = catalog.open_dataset(str(Path(folder, "cache")), "train", size, count=count)
        assert_same(cached, CamVid(root, "train", size, count=count))


def test_camvid_photographs_through_processes_and_loader(camvid, tmp_path):
    build("camvid", tmp_path / "cache", (48, 64), jobs=2, root=camvid)
    for split in catalog.splits_of("camvid", camvid):
        assert_same(open_cache(tmp_path / "cache", split, count=9), CamVid(camvid / "camvid", split, (48, 64), count=9))
    cached, plain = open_cache(tmp_path / "cache", "val"), CamVid(camvid / "camvid", "val", (48, 64))
    for one, other in zip(batches(cached, 4, 0, 0, 3, workers=1), batches(plain, 4, 0, 0, 3), strict=True):
        assert one[0].equal(other[0]) and one[1].equal(other[1]) and one[2] == other[2]


def test_one_process_or_two_write_the_same_bytes(source, tmp_path):
    reports = [build(str(source), tmp_path / f"{jobs}", SIZE, jobs=jobs) for jobs in (1, 2)]
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert [report.decoded for report in reports] == [10, 10]


def test_a_loaders_process_gets_no_copy_of_the_pixels(source, tmp_path):
    build(str(source), tmp_path / "cache", (96, 128), jobs=1)
    cached = open_cache(tmp_path / "cache")
    cached[0]
    pickled = pickle.dumps(cached)
    assert len(pickled) < 96 * 128 * 3
    assert_same(pickle.loads(pickled), cached)
    with pytest.raises(ValueError, match="read-only"):
        cached[0].image[0, 0] = 0


class Brightness(nn.Module):
    """A network whose prediction depends on every pixel."""

    def forward(self, images):
        logits = nn.functional.one_hot((images.sum(1) * 50).long() % 19, 19).permute(0, 3, 1, 2).float()
        return SegmentationOutput(logits, (), {})


def test_scores_are_identical(source, tmp_path):
    build(str(source), tmp_path / "cache", SIZE, jobs=1)
    model = Brightness()
    one = evaluate(model, open_cache(tmp_path / "cache", "train"), batch_size=3)
    other = evaluate(model, CamVid(source, "train", SIZE), batch_size=3)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.as_json() == other.as_json() and one.counts.sum() > 0


# --- found by name, and the same runs --------------------------------------------------------------------------------


def test_used_by_name_when_it_is_there_and_fresh(source, tmp_path, caplog):
    root = tmp_path / "data"
    build("camvid", cache.default_folder("camvid", SIZE, root), SIZE, jobs=1, root=root)
    assert cache.default_folder("camvid", SIZE, root) == root / "cache" / "camvid-16x24"
    cached = catalog.open_dataset("camvid", "train", SIZE, root=root, count=3)
    assert isinstance(cached, Cached)
    assert_same(cached, CamVid(source, "train", SIZE, count=3))
    for other in (None, (8, 12)):
        assert type(catalog.open_dataset("camvid", "train", other, root=root)) is CamVid
    assert not caplog.records
    os.utime(source / "train" / "000.png", (0, 0))
    with caplog.at_level(logging.WARNING):
        plain = catalog.open_dataset("camvid", "train", SIZE, root=root)
    assert type(plain) is CamVid and len(plain) == 7
    assert "000.png" in caplog.text and "labkit data cache" in caplog.text


def test_a_run_keeps_its_name(source, tmp_path):
    def description(workers):
        lab = Lab(
            "smoke", Pair("photographs", "", "camvid", "camvid", 1.5, "val"), data=tmp_path / "data", workers=workers
        )
        return lab.experiment("bisenet", "oracle").describe(), lab

    before, lab = description(0)
    assert not isinstance(lab.target("train"), Cached)
    build(
        "camvid", cache.default_folder("camvid", lab.size, tmp_path / "data"), lab.size, jobs=1, root=tmp_path / "data"
    )
    for workers in (0, 1):
        after, lab = description(workers)
        assert isinstance(lab.target("train"), Cached)
        assert after == before


def test_a_moved_data_folder_keeps_its_cache(source, tmp_path):
    root = tmp_path / "data"
    build("camvid", cache.default_folder("camvid", SIZE, root), SIZE, jobs=1, root=root)
    root.rename(tmp_path / "moved")
    assert isinstance(catalog.open_dataset("camvid", "val", SIZE, root=tmp_path / "moved"), Cached)
    folder = cache.default_folder("camvid", SIZE, tmp_path / "moved")
    with pytest.raises(LabError, match=r"no longer in .*data.camvid"):
        catalog.open_dataset(str(folder), "val")
    assert build("camvid", folder, SIZE, root=tmp_path / "moved").decoded == 0
    assert len(catalog.open_dataset(str(folder), "val")) == 3


# --- changed sources -------------------------------------------------------------------------------------------------


def change(path: Path) -> None:
    """Other pixels in a file of the same length: only the time tells."""
    before = path.stat()
    data = np.asarray(Image.open(path))
    Image.fromarray(data[::-1].copy()).save(path)
    padding = before.st_size - path.stat().st_size
    if padding > 0:
        path.write_bytes(path.read_bytes() + bytes(padding))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.mark.parametrize("which", ["image", "label", "new", "renamed"])
def test_what_has_changed_is_not_served_and_only_that_is_read_again(source, tmp_path, which):
    folder = tmp_path / "cache"
    build(str(source), folder, SIZE, jobs=1)
    before = {path.name for path in folder.glob("*.npy")}
    if which == "new":
        for part in ("train", "trainannot"):
            shutil.copy(source / part / "003.png", source / part / "100.png")
    elif which == "renamed":
        for part in ("train", "trainannot"):
            (source / part / "003.png").rename(source / part / "100.png")
    else:
        change(source / ("train" if which == "image" else "trainannot") / "003.png")
    message = "train/100.png" if which in ("new", "renamed") else "train/003.png"
    with pytest.raises(StaleCacheError, match=f"{message}.*`labkit data cache .* --size 16x24` brings it up to date"):
        open_cache(folder, "train")
    assert len(open_cache(folder, "val")) == 3  # unharmed
    assert build(str(source), folder, SIZE, jobs=1).decoded == 1
    assert_same(open_cache(folder, "train"), CamVid(source, "train", SIZE))
    build(str(source), tmp_path / "afresh", SIZE, jobs=1)
    assert content(folder) == content(tmp_path / "afresh")
    assert not before & set(content(folder))


def test_a_removed_pair_is_let_go(source, tmp_path):
    build(str(source), tmp_path / "cache", SIZE, jobs=1)
    for part in ("train", "trainannot"):
        (source / part / "006.png").unlink()
    assert_same(open_cache(tmp_path / "cache", "train"), CamVid(source, "train", SIZE))
    assert build(str(source), tmp_path / "cache", SIZE, jobs=1).pictures == 9


def test_other_code_makes_a_cache_stale(source, tmp_path, monkeypatch):
    build(str(source), tmp_path / "cache", SIZE, jobs=1)
    monkeypatch.setattr("PIL.__version__", "0.0")
    with pytest.raises(StaleCacheError, match="Pillow"):
        open_cache(tmp_path / "cache")
    assert build(str(source), tmp_path / "cache", SIZE, jobs=1).decoded == 10
    assert len(open_cache(tmp_path / "cache")) == 7


def test_a_file_that_changes_while_it_is_read(source, tmp_path, monkeypatch):
    read = CamVid.__getitem__

    def read_and_touch(self, index):
        os.utime(self.pairs[index].label, ns=(1, 1))
        return read(self, index)

    monkeypatch.setattr(CamVid, "__getitem__", read_and_touch)
    with pytest.raises(LabError, match=r"000\.png: changed while it was read"):
        build(str(source), tmp_path / "cache", SIZE, jobs=1)
    assert not (tmp_path / "cache" / INDEX).exists()


# --- interrupted -----------------------------------------------------------------------------------------------------

SLOWLY = """
import sys, time
from labkit.data import cache, camvid
read = camvid.CamVid.__getitem__
def slowly(self, index):
    time.sleep(0.004)
    return read(self, index)
camvid.CamVid.__getitem__ = slowly
write = cache._write
def in_pieces(file, data):
    view = memoryview(data).cast("B")
    for start in range(0, len(view), max(1, len(view) // 2)):
        write(file, view[start : start + max(1, len(view) // 2)])
        time.sleep(0.001)
cache._write = in_pieces
print("ready", flush=True)
cache.build(sys.argv[1], sys.argv[2], (16, 24), jobs=1)
"""


def test_killed_at_random_moments_it_continues_and_ends_with_the_same_bytes(tmp_path):
    root = write_camvid(tmp_path / "set", {"train": 30, "val": 10})
    build(str(root), tmp_path / "expected", SIZE, jobs=1)
    folder, moments = tmp_path / "cache", random.Random(0)
    killed = 0
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", SLOWLY, root, folder], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0.02, 0.2))
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        killed += process.wait() != 0
        process.stdout.close()
        if not (folder / INDEX).exists():
            with pytest.raises(LabError):
                open_cache(folder)
    assert killed
    build(str(root), folder, SIZE, jobs=1)
    assert content(folder) == content(tmp_path / "expected")


ORIGINALS = (
    (cache, "_write", cache._write),
    (cache, "write_atomically", cache.write_atomically),
    (Path, "replace", Path.replace),
    (Path, "unlink", Path.unlink),
)
"""All that changes a cache's folder."""


def interruptions(source, folder, monkeypatch):
    """Stop the work at its first write, rename or removal, then at its second, …; yields after each stop."""

    class StopError(BaseException):
        pass

    left = 0

    def counting(function):
        def wrapped(*args, **kwargs):
            nonlocal left
            left -= 1
            if left < 0:
                raise StopError
            return function(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for owner, name, function in ORIGINALS:
            patch.setattr(owner, name, counting(function))
        for allowed in range(1000):
            left = allowed
            try:
                build(str(source), folder, SIZE, jobs=1)
            except StopError:
                yield allowed
            else:
                return


def test_stopped_before_any_write_rename_or_removal(tmp_path, monkeypatch):
    source = write_camvid(tmp_path / "set", {"train": 2, "val": 1})
    build(str(source), tmp_path / "expected", SIZE, jobs=1)
    stops = 0
    for stop in interruptions(source, tmp_path / "cache", monkeypatch):
        stops += 1
        rehearsal = tmp_path / "rehearsal"
        shutil.copytree(tmp_path / "cache", rehearsal, ignore=shutil.ignore_patterns(".lock"))
        with monkeypatch.context() as patch:
            for owner, name, function in ORIGINALS:
                patch.setattr(owner, name, function)
            build(str(source), rehearsal, SIZE, jobs=1)
        assert content(rehearsal) == content(tmp_path / "expected"), stop
        shutil.rmtree(rehearsal)
        shutil.rmtree(tmp_path / "cache")
    assert stops > 10
    assert content(tmp_path / "cache") == content(tmp_path / "expected")


def test_damaged_parts_are_written_again(source, tmp_path, monkeypatch):
    build(str(source), tmp_path / "expected", SIZE, jobs=1)
    for stop in interruptions(source, tmp_path / "cache", monkeypatch):
        if stop == 6:
            break
    parts = list((tmp_path / "cache").glob("*.part"))
    assert len(parts) == 3
    images = next(part for part in parts if part.name.startswith("images"))
    data = bytearray(images.read_bytes())
    data[128 + 16 * 24 * 3 + 5] ^= 1  # in the second picture
    images.write_bytes(data)
    assert build(str(source), tmp_path / "cache", SIZE, jobs=1).decoded == 9
    assert content(tmp_path / "cache") == content(tmp_path / "expected")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_killed_with_helpers_none_of_them_stays(tmp_path):
    root = write_camvid(tmp_path / "set", {"train": 600})
    program = "import sys\nfrom labkit.data.cache import build\nbuild(sys.argv[1], sys.argv[2], (400, 600), jobs=2)"
    process = subprocess.Popen([sys.executable, "-c", program, root, tmp_path / "cache"])
    task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not any(p.stat().st_size for p in (tmp_path / "cache").glob("done-*")):
        time.sleep(0.02)
    children = [int(child) for child in task.read_text().split()]
    process.kill()
    process.wait()
    assert len(children) >= 2
    while time.monotonic() < deadline and any(map(alive, children)):
        time.sleep(0.05)
    assert not any(map(alive, children))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- what is refused -------------------------------------------------------------------------------------------------


def test_another_size_is_refused(source, tmp_path):
    build(str(source), tmp_path / "cache", SIZE, jobs=1)
    with pytest.raises(LabError, match=r"holds pictures of 16x24 .* but 24x16 was asked for"):
        catalog.open_dataset(str(tmp_path / "cache"), "train", (24, 16))
    with pytest.raises(LabError, match="the stored size was asked for"):
        Cached(CamVid(source), tmp_path / "cache")
    with pytest.raises(LabError, match=r"already holds a cache of .* at 16x24"):
        build(str(source), tmp_path / "cache", (24, 16))
    assert len(open_cache(tmp_path / "cache")) == 7


def test_places_that_are_refused(source, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(LabError, match=r"thesis\.tex is in it"):
        build(str(source), tmp_path / "mine", SIZE)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"
    with pytest.raises(LabError, match="is a file"):
        build(str(source), tmp_path / "mine" / "thesis.tex", SIZE)
    with pytest.raises(LabError, match="is drawn, not read"):
        build("minicity-game", tmp_path / "cache", SIZE)
    with pytest.raises(UnknownNameError, match="camvit"):
        build("camvit", tmp_path / "cache", SIZE)
    with pytest.raises(LabError, match="no such folder"):
        build(str(tmp_path / "nowhere"), tmp_path / "cache", SIZE)
    with pytest.raises(LabError, match="Cityscapes was not found"):
        build("cityscapes", tmp_path / "cache", SIZE, root=tmp_path)
    assert not (tmp_path / "cache").exists()
    build(str(source), tmp_path / "cache", SIZE, jobs=1)
    with pytest.raises(LabError, match="is a cache made by"):
        build(str(tmp_path / "cache"), tmp_path / "again", SIZE)


def test_two_at_once_are_refused(source, tmp_path):
    from filelock import FileLock

    (tmp_path / "cache").mkdir()
    with FileLock(tmp_path / "cache" / ".lock"), pytest.raises(LabError, match="another `labkit data cache`"):
        build(str(source), tmp_path / "cache", SIZE)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_picture_is_named(source, tmp_path, jobs):
    Image.fromarray(np.full((24, 32), 77, np.uint8)).save(source / "valannot" / "001.png")
    with pytest.raises(LabError, match=r"valannot.001\.png: stores the id 77"):
        build(str(source), tmp_path / "cache", SIZE, jobs=jobs)
    assert not (tmp_path / "cache" / INDEX).exists() and not list((tmp_path / "cache").glob("*.npy"))


def test_a_full_disk_leaves_nothing_under_a_final_name(source, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    free = shutil.disk_usage(tmp_path)._replace(free=100)
    with monkeypatch.context() as patch:
        patch.setattr(cache.shutil, "disk_usage", lambda place: free)
        with pytest.raises(LabError, match="the cache needs 0 MiB more, but only 0 MiB are free"):
            build(str(source), folder, SIZE, jobs=1)
    write, room = cache._write, 5000

    def fill(file, data):
        nonlocal room
        room -= len(memoryview(data).cast("B"))
        if room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_write", fill)
        with pytest.raises(LabError, match="the disk is full; free some space and give the same command again"):
            build(str(source), folder, SIZE, jobs=1)
    assert not (folder / INDEX).exists() and not list(folder.glob("*.npy"))
    assert 0 < build(str(source), folder, SIZE, jobs=1).decoded < 10  # what fitted was kept
    assert_same(open_cache(folder), CamVid(source, "train", SIZE))


@pytest.mark.parametrize("damage", ["cut", "gone", "other", "index"])
def test_a_damaged_cache_is_refused(source, tmp_path, damage):
    folder = tmp_path / "cache"
    build(str(source), folder, SIZE, jobs=1)
    images = next(folder.glob("images-*.npy"))
    if damage == "cut":
        images.write_bytes(images.read_bytes()[:-100])
    elif damage == "gone":
        images.unlink()
    elif damage == "other":
        np.save(images, np.zeros((10, 16, 24), np.uint8))
    else:
        (folder / INDEX).write_text(json.dumps({"format": "camvid"}))
    with pytest.raises(LabError, match="make it again"):
        open_cache(folder)
    if damage == "index":
        shutil.rmtree(folder)
    build(str(source), folder, SIZE, jobs=1)
    build(str(source), tmp_path / "afresh", SIZE, jobs=1)
    assert content(folder) == content(tmp_path / "afresh")


def test_nothing_damaged_is_taken_over(source, tmp_path):
    folder = tmp_path / "cache"
    build(str(source), folder, SIZE, jobs=1)
    labels = next(folder.glob("labels-*.npy"))
    data = bytearray(labels.read_bytes())
    data[-1] ^= 1
    labels.write_bytes(data)
    change(source / "train" / "000.png")
    with pytest.raises(LabError, match=r"damaged \(picture 9\); remove this folder"):
        build(str(source), folder, SIZE, jobs=1)


# --- without the files -----------------------------------------------------------------------------------------------


def test_a_standalone_cache_is_used_without_the_files(source, tmp_path):
    root, folder = tmp_path / "data", tmp_path / "data" / "cache" / "camvid-16x24"
    build("camvid", folder, SIZE, jobs=1, root=root)
    before = content(folder)
    expected = {split: CamVid(source, split, SIZE, count=count) for split, count in (("train", 5), ("val", None))}
    samples = {split: [data[i] for i in range(len(data))] for split, data in expected.items()}
    names = {split: data.fingerprint() for split, data in expected.items()}
    assert build("camvid", folder, SIZE, standalone=True, root=root).decoded == 0  # only the word that it is one
    assert {name for name, data in content(folder).items() if data != before[name]} == {INDEX}
    shutil.rmtree(source)
    (tmp_path / "drive").mkdir()
    root.rename(tmp_path / "drive" / "data")
    root = tmp_path / "drive" / "data"
    assert catalog.splits_of("camvid", root) == ("train", "val")
    assert catalog.splits_of(str(root / "cache" / "camvid-16x24")) == ("train", "val")
    assert [check.message for check in doctor._data(root) if check.name == "data camvid"] == [
        f"standalone cache: {root / 'cache' / 'camvid-16x24'}"
    ]
    for split, count in (("train", 5), ("val", None)):
        by_name = catalog.open_dataset("camvid", split, SIZE, count=count, root=root)
        by_folder = catalog.open_dataset(str(root / "cache" / "camvid-16x24"), split, count=count)
        for cached in (by_name, by_folder, pickle.loads(pickle.dumps(by_name))):
            assert isinstance(cached, Cached) and len(cached) == len(samples[split])
            assert (cached.name, cached.split, cached.evaluation) == ("CamVid", split, "miou11")
            assert cached.fingerprint() == names[split]  # a run has the same name here and there
            for i, sample in enumerate(samples[split]):
                np.testing.assert_array_equal(cached[i].image, sample.image)
                np.testing.assert_array_equal(cached[i].label, sample.label)
                assert cached[i].name == sample.name
    with pytest.raises(UnknownNameError, match="split of CamVid 'test'; known: train, val"):
        catalog.open_dataset("camvid", "test", SIZE, root=root)
    with pytest.raises(LabError, match=r"CamVid was not found: .* only caches without it \(camvid-16x24\)"):
        catalog.open_dataset("camvid", "train", (8, 12), root=root)
    with pytest.raises(LabError, match="count must be at least 1"):
        catalog.open_dataset("camvid", "train", SIZE, count=0, root=root)


def test_runs_of_a_standalone_cache_are_those_of_the_files(source, tmp_path):
    def described():
        lab = Lab("smoke", Pair("photographs", "", "camvid", "camvid", 1.5, "val"), data=tmp_path / "data")
        return lab.size, lab.experiment("bisenet", "oracle").describe()

    size, before = described()
    build(
        "camvid", cache.default_folder("camvid", size, tmp_path / "data"), size, standalone=True, root=tmp_path / "data"
    )
    shutil.rmtree(source)
    assert described()[1] == before


def test_while_the_files_are_there_by_name_they_are_compared_with(source, tmp_path, caplog):
    root = tmp_path / "data"
    build("camvid", cache.default_folder("camvid", SIZE, root), SIZE, jobs=1, root=root, standalone=True)
    change(source / "train" / "003.png")
    assert type(catalog.open_dataset("camvid", "train", SIZE, root=root)) is CamVid and "003.png" in caplog.text
    assert isinstance(catalog.open_dataset(str(cache.default_folder("camvid", SIZE, root)), "train"), Cached)
    report = build("camvid", cache.default_folder("camvid", SIZE, root), SIZE, jobs=1, root=root)
    assert report.decoded == 1  # and an ordinary cache again
    shutil.rmtree(source)
    with pytest.raises(LabError, match=r"with --standalone, it is used without"):
        catalog.open_dataset(str(cache.default_folder("camvid", SIZE, root)), "val")
    assert catalog.splits_of("camvid", root) == ()

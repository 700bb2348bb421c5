"""The 60/10/30 split of loda2025, and the held-out tenth."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats import EVERY_CLASS, Drawn, write_ids

from labkit.data import cache
from labkit.data.cache import Cached
from labkit.data.catalog import known_names, open_dataset, splits_of
from labkit.data.cityscapes import Cityscapes, CityscapesLoda
from labkit.data.export import export
from labkit.data.gta5 import GTA5, GTA5Loda
from labkit.data.pairs import Pair
from labkit.data.splits import loda_split
from labkit.errors import UnknownNameError
from labkit.lab import Lab
from labkit.profiles import pair_of

PARTS = ("train", "val", "test")


def pairs(count: int) -> list[Pair]:
    return [Pair(f"{number:05d}", Path(f"{number}.png"), None) for number in range(1, count + 1)]


@given(st.integers(1, 300))
def test_three_parts_of_the_right_sizes(count):
    whole = pairs(count)
    parts = {part: loda_split(whole, part) for part in PARTS}
    assert sorted(pair.name for part in parts.values() for pair in part) == [pair.name for pair in whole]
    assert (len(parts["train"]), len(parts["val"])) == (int(count * 0.6 + 1e-9), int(count * 0.1 + 1e-9))
    assert all(part == sorted(part) for part in parts.values())
    assert loda_split(whole[::-1], "train") == parts["train"]


def test_of_gta5s_size_as_the_paper_has_it():
    whole = pairs(24_966)
    parts = {part: {pair.name for pair in loda_split(whole, part, 12_500)} for part in PARTS}
    assert [len(parts[part]) for part in PARTS] == [12_500, 2496, 7491]
    assert not (parts["train"] & parts["val"] or parts["train"] & parts["test"] or parts["val"] & parts["test"])
    mean = np.mean([int(name) for name in parts["train"]])
    assert abs(mean - 12_483) < 5 * 24_966 / np.sqrt(12 * 12_500)  # drawn from everywhere, not the first frames
    # The order is the one that the documentation gives.
    ordered = sorted(
        (pair.name for pair in whole), key=lambda name: hashlib.sha256(f"loda2025/{name}".encode()).hexdigest()
    )
    assert parts["train"] == set(ordered[:12_500]) and parts["test"] == set(ordered[14_979 + 2496 :])


def test_gta5_by_name(tmp_path):
    export(Drawn([EVERY_CLASS] * 20), tmp_path / "gta5", "gta5")
    found = {part: open_dataset("gta5-loda", part, root=tmp_path) for part in PARTS}
    assert [len(found[part]) for part in PARTS] == [12, 2, 6]
    whole = {pair.name: pair for pair in GTA5(tmp_path / "gta5", "all").pairs}
    assert {pair.name for data in found.values() for pair in data.pairs} == set(whole)
    assert found["val"].name == "Drawn (GTA5 format), split of loda2025" and GTA5Loda.ids == GTA5.ids
    assert splits_of("gta5-loda", tmp_path) == PARTS and "gta5-loda" in known_names()
    with pytest.raises(UnknownNameError, match="split of Drawn"):
        open_dataset("gta5-loda", "all", root=tmp_path)
    write_ids(tmp_path / "gta5" / "labels" / f"{found['val'].pairs[0].name}.png", np.zeros((3, 5)), "P")
    assert [len(open_dataset("gta5-loda", part, root=tmp_path)) for part in PARTS] == [12, 1, 6]


def test_cityscapes_without_its_test_pictures(tmp_path):
    for split, count in (("train", 6), ("val", 4), ("test", 5)):
        export(Drawn([EVERY_CLASS] * count, split), tmp_path / "cityscapes", "cityscapes")
    found = [open_dataset("cityscapes-loda", part, root=tmp_path) for part in PARTS]
    assert [len(data) for data in found] == [6, 1, 3]
    images = {pair.image for data in found for pair in data.pairs}
    fine = Cityscapes(tmp_path / "cityscapes", "train").pairs + Cityscapes(tmp_path / "cityscapes", "val").pairs
    assert images == {pair.image for pair in fine} and len(images) == 10
    lab = Lab("smoke", pair_of("gta5-loda", "cityscapes-loda"), data=tmp_path)
    assert not lab.ready and "GTA5 is not under" in lab.missing()
    assert CityscapesLoda.splits == PARTS


def test_a_standalone_cache_of_a_split(tmp_path):
    export(Drawn([EVERY_CLASS] * 20), tmp_path / "gta5", "gta5")
    size = (2, 3)
    whole = {part: GTA5Loda(tmp_path / "gta5", part, size).fingerprint() for part in PARTS}
    folder = cache.default_folder("gta5-loda", size, tmp_path)
    cache.build("gta5-loda", folder, size, jobs=1, root=tmp_path, standalone=True)
    assert isinstance(open_dataset("gta5-loda", "val", size, root=tmp_path), Cached)
    (tmp_path / "gta5").rename(tmp_path / "gone")
    assert splits_of("gta5-loda", tmp_path) == PARTS and splits_of("gta5", tmp_path) == ()
    assert {part: open_dataset("gta5-loda", part, size, root=tmp_path).fingerprint() for part in PARTS} == whole


def test_they_share_the_cache_of_the_whole(tmp_path):
    export(Drawn([EVERY_CLASS] * 20), tmp_path / "gta5", "gta5")
    size = (2, 3)
    cache.build("gta5", cache.default_folder("gta5", size, tmp_path), size, jobs=1, root=tmp_path)
    plain = GTA5Loda(tmp_path / "gta5", "train", size)
    cached = open_dataset("gta5-loda", "train", size, root=tmp_path)
    assert isinstance(cached, Cached) and cached.fingerprint() == plain.fingerprint() and len(cached) == 12
    for i in range(12):
        np.testing.assert_array_equal(cached[i].label, plain[i].label)

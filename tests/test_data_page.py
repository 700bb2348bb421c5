"""The page about data sets tells the truth: its commands exist, its example is read, its sums are right."""

from __future__ import annotations

import re
import shlex

import numpy as np
from PIL import Image
from test_documents import parsed, text
from test_formats import write_ids

from labkit.data.catalog import known_names, open_dataset, splits_of
from labkit.data.check import check
from labkit.data.gta5 import BRIGHTNESSES, GTA5
from labkit.data.own import FILE

PAGE = "book/data.md"


def test_its_commands_exist():
    lines = re.findall(r"^ *(labkit .*)$", text(PAGE), flags=re.M) + re.findall(r"`(labkit \w[^`]*)`", text(PAGE))
    assert len(lines) >= 12
    for line in lines:
        parsed(tuple(shlex.split(line, comments=True)[1:]))


def test_its_example_describes_a_folder_that_is_read(tmp_path):
    (example,) = re.findall(r"^```toml\n(.*?)^```$", text(PAGE), flags=re.M | re.S)
    (tmp_path / FILE).write_text(example, encoding="utf-8")
    for place in ("train/north/7", "val/1"):
        photo = tmp_path / "photos" / f"{place}.jpg"
        photo.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((2, 6, 3), np.uint8)).save(photo)
        write_ids(tmp_path / "labels" / f"{place}_ids.png", [[0, 1, 2, 5, 11, 255]] * 2)
    assert check(tmp_path).clean and splits_of(str(tmp_path)) == ("train", "val")
    data = open_dataset(str(tmp_path))
    assert (data.name, len(data)) == ("My streets", 1) and data[0].label[0].tolist() == [0, 1, 2, 13, 255, 255]


def test_what_caches_take():
    rows = re.findall(r"^\| [\w ]+ \| (\d+) \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \|$", text(PAGE), flags=re.M)
    assert len(rows) == 5
    for pictures, *sizes in rows:
        for (height, width), shown in zip(((96, 192), (256, 512), (512, 1024)), sizes, strict=True):
            assert f"{int(pictures) * height * width * 4 / 1e9:.1f}" == shown
    assert f"{(24_966 + 5000) * 256 * 512 * 4 / 1e9:.1f} GB together" in text(PAGE)


def test_names_and_numbers_of_the_text():
    page = text(PAGE)
    for name in ("cityscapes-extra", "cityscapes-loda", "gta5-loda", "camvid", "minicity-real"):
        assert name in known_names() and name in page
    valid = ", ".join(str(value) for value in sorted(BRIGHTNESSES & set(GTA5.ids)))
    assert f"brightnesses ({valid}) are valid ids" in page

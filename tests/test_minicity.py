import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.data.dataset import SegmentationDataset
from labkit.data.minicity import SPLITS, STYLES, VERSION, MiniCity
from labkit.data.minicity.noise import TILE, Dice, hash_grid, key_of, mix, tile
from labkit.data.minicity.render import fill, render
from labkit.data.minicity.scene import sample_scene
from labkit.data.minicity.shapes import ELLIPSE, ID, QUAD
from labkit.data.minicity.styles import STYLE_BY_NAME
from labkit.errors import LabError, UnknownNameError
from labkit.labels import EVALUATIONS, IGNORE

# A change here is a change of VERSION: numbers measured on other pixels do not compare.
GOLDEN = {
    "game train 96x192 0": "df53ead26ac3f5fb1c1ef21c2b28dea9",
    "game val 64x96 5": "1af102537b41742e271524bb79560783",
    "game test 128x256 17": "5d7cf660f051d436d5c0d0532d0ffba2",
    "toon train 96x192 0": "ea1a2e2b62f6e29f2e7cd901d0ae1184",
    "toon val 64x96 5": "d46a3d5cce3ab7b613b73ed43700a42d",
    "toon test 128x256 17": "a187e1722fce2fd0e57748c6e0d7858e",
    "real train 96x192 0": "772d0dec3e4bb394eee51978075e6e0d",
    "real val 64x96 5": "c7df11bd59752e68150b62ec015f603a",
    "real test 128x256 17": "9f2b438a86e69bcee81a26fe21217338",
    "real train 520x1032 1": "3d1e80fe52e2d97ded148e56a8c614a8",
}


def digest(sample) -> str:
    """The first 128 bits of the SHA-256 of pixels and labels."""
    return hashlib.sha256(sample.image.tobytes() + sample.label.tobytes()).hexdigest()[:32]


def golden_now() -> dict[str, str]:
    """Digests of scenes that the table holds, drawn now."""
    out = {}
    for style in STYLES:
        for split, size, index in (("train", (96, 192), 0), ("val", (64, 96), 5), ("test", (128, 256), 17)):
            sample = MiniCity(style, split, size, 18)[index]
            out[f"{style} {split} {size[0]}x{size[1]} {index}"] = digest(sample)
    large = MiniCity("real", "train", (520, 1032), 2)[1]  # one sample per pixel from here on
    return {**out, "real train 520x1032 1": digest(large)}


@pytest.fixture(scope="module")
def labels() -> dict[str, np.ndarray]:
    """Label maps of a small training set of each style."""
    return {style: np.stack([s.label for s in MiniCity(style, size=(64, 128), count=200)]) for style in STYLES}


def test_pixels_are_those_of_this_version():
    assert VERSION == 1
    assert golden_now() == GOLDEN


def another_process(**environment: str) -> dict[str, str]:
    code = "import json, test_minicity; print(json.dumps(test_minicity.golden_now()))"
    path = os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), *sys.path])  # noqa: PTH100, PTH120
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_another_process_without_vector_instructions_draws_the_same():
    """As a stand-in for other processors: NumPy's plain loops instead of its AVX or SVE ones."""
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    except ImportError:  # NumPy 1
        from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    found = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(found)} if found else {}
    assert another_process(PYTHONHASHSEED="7", OMP_NUM_THREADS="3", **plain) == golden_now()


def test_order_of_asking_does_not_matter():
    city = MiniCity("game", "val", (48, 96), 8)
    forward = [digest(city[i]) for i in range(8)]
    other = MiniCity("game", "val", (48, 96), 100)
    assert [digest(other[i]) for i in reversed(range(8))] == forward[::-1]


def test_same_scene_at_another_size():
    """Averaged down, the large picture is the small one but for texture and edges; another scene is not."""
    small, large = MiniCity("game", size=(64, 128)), MiniCity("game", size=(256, 512))
    for index in range(4):
        averaged = large[index].image.reshape(64, 4, 128, 4, 3).mean(axis=(1, 3))
        same = np.abs(averaged - small[index].image).mean()
        other = np.abs(averaged - small[index + 1].image).mean()
        assert same < 6 and other > 3 * same
        assert (large[index].label[2::4, 2::4] == small[index].label).mean() > 0.95


def test_all_classes_and_their_long_tail(labels):
    share = {}
    for style, maps in labels.items():
        count = np.bincount(maps.ravel(), minlength=256)
        evaluation = EVALUATIONS[MiniCity(style).evaluation]
        assert set(np.flatnonzero(count)) - {IGNORE} == set(evaluation.train_ids)
        share[style] = count / count.sum()
    for style in ("game", "real"):
        assert share[style][[ID["road"], ID["building"]]].min() > 0.1
        assert 0 < share[style][[ID["train"], ID["bus"], ID["motorcycle"], ID["rider"]]].max() < 0.015
    # The styles differ as the data sets do in what they show.
    assert share["real"][ID["car"]] > 1.5 * share["game"][ID["car"]]
    assert share["real"][ID["bicycle"]] > 3 * share["game"][ID["bicycle"]]
    assert share["game"][ID["sky"]] > 1.5 * share["real"][ID["sky"]]
    assert share["toon"][ID["person"]] > 2 * share["real"][ID["person"]]
    assert share["toon"][ID["sidewalk"]] > 2 * share["game"][ID["sidewalk"]]


def test_bonnet_is_void_in_real_alone(labels):
    assert (labels["real"][:, -1, :] == IGNORE).all()
    for style in ("game", "toon"):
        assert (labels[style] == IGNORE).mean() < 0.005


def test_splits_and_seeds_hold_different_scenes():
    seen = set()
    total = 0
    for style in STYLES:
        for split in SPLITS:
            for seed in (0, 1):
                city = MiniCity(style, split, (16, 32), 12, seed)
                seen |= {digest(sample) for sample in city}
                total += len(city)
    assert len(seen) == total == 216


def test_keys_of_splits_and_seeds_never_meet():
    keys = {
        key_of("MiniCity", VERSION, style, split, seed, index)
        for style in STYLES
        for split in SPLITS
        for seed in (*range(-3, 6), 10**12)
        for index in range(300)
    }
    assert len(keys) == 3 * 3 * 10 * 300
    assert key_of("a", "b") != key_of("ab") and key_of(1) != key_of("1") and key_of(1, 23) != key_of(12, 3)


@settings(max_examples=40, deadline=None)
@given(
    style=st.sampled_from(STYLES),
    split=st.sampled_from(SPLITS),
    height=st.integers(16, 140),
    width=st.integers(16, 140),
    seed=st.integers(0, 10**6),
    index=st.integers(0, 10**6),
)
def test_any_picture_is_well_formed(style, split, height, width, seed, index):
    city = MiniCity(style, split, (height, width), index + 1, seed)
    sample = city[index]
    assert sample.image.shape == (height, width, 3) and sample.image.dtype == np.uint8
    assert sample.label.shape == (height, width) and sample.label.dtype == np.uint8
    assert set(np.unique(sample.label)) <= {*EVALUATIONS[city.evaluation].train_ids, IGNORE}
    assert sample.name == f"{style}_{split}_{index:06d}"
    assert sample.image.std() > 5


def test_data_set_protocol():
    city = MiniCity("toon", "test", (32, 64), 3, seed=4)
    assert isinstance(city, SegmentationDataset)
    assert (city.name, city.split, city.evaluation, len(city)) == ("MiniCity toon", "test", "miou16", 3)
    assert len(list(city)) == 3
    assert digest(city[-1]) == digest(city[np.int64(2)])
    with pytest.raises(IndexError, match="3 pictures"):
        city[3]
    text = json.dumps(city.fingerprint())
    assert json.loads(text) == {
        "dataset": "MiniCity",
        "version": VERSION,
        "style": "toon",
        "split": "test",
        "size": [32, 64],
        "count": 3,
        "seed": 4,
    }


def test_an_empty_street_can_be_drawn():
    scene = sample_scene(STYLE_BY_NAME["game"], Dice("empty"))._replace(things=[], shades=[])
    image, label = render(scene, 32, 64)
    assert image.shape == (32, 64, 3)
    surfaces = "road sidewalk building terrain sky wall fence vegetation"
    assert set(np.unique(label)) <= {ID[name] for name in surfaces.split()}


def test_bad_arguments_are_named():
    with pytest.raises(UnknownNameError, match=r"'gta'.*known: game, real, toon"):
        MiniCity("gta")
    with pytest.raises(UnknownNameError, match=r"'dev'.*known: test, train, val"):
        MiniCity("real", "dev")
    for size in ((8, 64), (64, 5000), 64, (1, 2, 3), "big", (0, 0)):
        with pytest.raises(LabError, match="MiniCity"):
            MiniCity("real", size=size)
    with pytest.raises(LabError, match="-1"):
        MiniCity("real", count=-1)


def test_label_and_image_share_their_geometry():
    """Repainting every car changes the picture exactly where the label says car."""
    for index in range(3):
        scene = sample_scene(STYLE_BY_NAME["game"], Dice("geometry", index))
        roles = ("paint", "roof", "glass", "under", "tyre", "hub")
        magenta = dict.fromkeys(roles, (255, 0, 255))
        things = [t._replace(colors={**t.colors, **magenta}) if t.kind == "car" else t for t in scene.things]
        repainted = scene._replace(things=things)
        assert scene.things != things
        # One sample per pixel: exact, but for lights and for what keeps its colour in saturated light.
        before, label = render(scene, 520, 1032)
        after, same = render(repainted, 520, 1032)
        changed, car = (before != after).any(axis=2), label == ID["car"]
        assert (label == same).all() and not (changed & ~car).any() and changed[car].mean() > 0.9
        # Four samples per pixel: a car's edge is soft, and a speck of one may colour other labels' pixels.
        before, label = render(scene, 128, 256)
        after, same = render(repainted, 128, 256)
        changed, car = (before != after).any(axis=2), label == ID["car"]
        assert (label == same).all() and (changed & car).sum() > 0.9 * car.sum()
        assert (changed & ~car).sum() < 0.35 * changed.sum()


@settings(max_examples=80, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(-9, 29), st.floats(-9, 25)), min_size=3, max_size=3),
    cut=st.floats(0.1, 1.0),
)
def test_fill_agrees_with_half_planes(points, cut):
    """Trapezia, upright, slanted and flat ones, against the definition: inside of all four edges."""
    a, b, c = (np.array(p) for p in points)
    quad = np.stack([a, b, c, c + (a - b) * cut])
    got = fill(quad[None, :, 0], quad[None, :, 1], np.array([QUAD]), np.array([True]), 16, 20).reshape(16, 20)
    y, x = np.mgrid[:16, :20] + 0.5
    sides = []
    for p, q in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        length = max(np.hypot(*(q - p)), 1e-12)
        sides.append(((q - p)[0] * (y - p[1]) - (q - p)[1] * (x - p[0])) / length)
    sides = np.stack(sides)
    inside = (sides > 1e-6).all(axis=0) | (sides < -1e-6).all(axis=0)
    outside = (sides > 1e-6).any(axis=0) & (sides < -1e-6).any(axis=0)
    assert (got[inside] == 1).all() and (got[outside] == 0).all()


def test_fill_ellipse_and_painting_order():
    col = np.array([[2.0, 18, 18, 2], [0, 10, 10, 0]])
    row = np.array([[3.0, 3, 13, 13], [0, 0, 16, 16]])
    form, keep = np.array([ELLIPSE, QUAD]), np.array([True, True])
    y, x = np.mgrid[:16, :20] + 0.5
    disc = ((x - 10) / 8) ** 2 + ((y - 8) / 5) ** 2 < 1
    got = fill(col, row, form, keep, 16, 20).reshape(16, 20)
    assert (got == np.where(x < 10, 2, disc.astype(int))).all()
    assert (fill(col, row, form, np.array([True, False]), 16, 20).reshape(16, 20) == disc).all()


def test_mix_is_splitmix64():
    """The first outputs of SplitMix64 from state 1234567, as the algorithm's reference code gives them."""
    state, out = 1234567, []
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) & ((1 << 64) - 1)
        out.append(mix(state))
    assert out == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_dice():
    dice = Dice("test", 1)
    units = [dice.unit() for _ in range(4000)]
    assert min(units) >= 0 and max(units) < 1 and abs(np.mean(units) - 0.5) < 0.02
    assert {dice.whole(2, 4) for _ in range(100)} == {2, 3, 4}
    assert abs(np.mean([dice.count(1.7) for _ in range(4000)]) - 1.7) < 0.08
    drawn = [dice.weighted({"a": 3.0, "b": 1.0, "never": 0.0}) for _ in range(4000)]
    assert abs(drawn.count("a") / 4000 - 0.75) < 0.03 and "never" not in drawn
    assert Dice("test", 1).fork("x").bits() == Dice("test", 1).fork("x").bits() != Dice("test", 1).bits()


def test_noise_tiles_wrap_round_and_are_read_only():
    for largest in (2, 32):
        noise = tile("seam", largest).reshape(TILE, TILE)
        assert noise.min() == -1 and noise.max() == 1 and not noise.flags.writeable
        step = np.abs(np.diff(noise, axis=0)).max()
        assert np.abs(noise[0] - noise[-1]).max() <= step
    bits = hash_grid(5, 64, 64)
    assert len(np.unique(bits)) == 4096 and bits[3, 7] == hash_grid(5, 4, 8)[3, 7]

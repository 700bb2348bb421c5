"""What notebook 10 draws and says, on invented boards whose answers are known, against naive versions."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from labkit import plots, report
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.bootstrap import RESAMPLES
from labkit.evaluation.cost import Latency
from labkit.evaluation.picture_counts import PictureCounts
from labkit.evaluation.scores import Scores
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES, EVALUATIONS, NUM_CLASSES
from labkit.methods.supervised import SourceOnly
from labkit.profiles import pair_named
from labkit.report import networks
from labkit.report.counts import counts_file, load_counts, mean_iou, write_counts
from labkit.report.leaderboard import COMBINATIONS, LADDER
from labkit.report.leaderboard_costs import training_costs
from labkit.report.standings import REFERENCES, place_shares, standings
from labkit.report.sweep_tables import SWEEPS
from labkit.report.tables import Words

CONTINUED, FOCAL, CIM = "Source only, continued", "Threshold-adaptive focal", "Threshold-adaptive focal + CIM"
SHARES = {
    "Oracle": 0.9,
    CIM: 0.55,
    FOCAL: 0.5,
    "Jitter + blur": 0.47,
    "MMD": 0.44,
    "MMD + focal + CIM": 0.54,
    CONTINUED: 0.42,
    "CycleGAN": 0.4,
    "Source only": 0.3,
}
"""Of the pixels, how many each method has right."""


def confusions(random, pictures: int, share: float) -> np.ndarray:
    """Pictures of 400 pixels of a few classes, of which about a share is right."""
    counts = np.zeros((pictures, NUM_CLASSES, NUM_CLASSES + 1), dtype=np.int64)
    classes = np.array([0, 2, 8, 10, 13])
    for one in counts:
        truth, other = random.choice(classes, (2, 400))
        np.add.at(one, (truth, np.where(random.random(400) < share, truth, other)), 1)
    return counts


def a_board(pair="minicity", *, seeds=3, pictures=10, shares=SHARES, profile="mini", draw=0):
    """A record of the leaderboard with its counts; invented."""
    random = np.random.default_rng(draw)
    title, evaluation = pair_named(pair).title, "miou11" if "camvid" in pair else "miou"
    names = [CLASS_NAMES[i] for i in EVALUATIONS[evaluation].train_ids]
    rows, counts = [], {}
    for number, (name, share) in enumerate(shares.items(), 1):
        confusion = [confusions(random, pictures, share) for _ in range(seeds)]
        scores = [Scores(one.sum(0), pictures, evaluation) for one in confusion]
        counts[name] = [PictureCounts.from_confusion(one, evaluation) for one in confusion]
        iou = [score.iou for score in scores]
        rows.append(
            {
                "name": name,
                "model": "bisenet",
                "method": "oracle" if name == "Oracle" else "source-only",
                "miou": [score.miou for score in scores],
                "miou_best": [score.miou for score in scores],
                "iou": {c: [None if np.isnan(one[c]) else one[c] for one in iou] for c in names},
                "steps": 300,
                "size": [96, 192],
                "data": title,
                "seconds": [10.0 * number] * seeds,
            }
        )
    record = {
        "sweep": "yan2022.leaderboard",
        "pair": pair,
        "data": title,
        "profile": profile,
        "size": [96, 192],
        "steps": 300,
        "seeds": list(range(seeds)),
        "report": {"data": title, "split": "test", "images": pictures, "evaluation": evaluation},
        "selection": "last checkpoint",
        "rows": rows,
        "environment": {"hardware": "nothing", "precision": "none", "commit": "invented", "date": "never"},
    }
    return record, counts


def put(folder, record, counts=None):
    name = f"{record['sweep']}.{record['pair']}.{record['profile']}.json"
    (folder / name).write_text(json.dumps(record), encoding="utf-8")
    if counts:
        write_counts(record, counts, folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Recorded boards of both sources, and of photographs."""
    for draw, pair in enumerate(("minicity", "minicity-toon", "minicity-camvid")):
        put(tmp_path, *a_board(pair, draw=draw))
    return tmp_path


# --- counts ----------------------------------------------------------------------------------------------------------


def test_counts_come_back_as_they_were_written(tmp_path):
    record, counts = a_board()
    path = write_counts(record, counts, tmp_path)
    assert path == tmp_path / "yan2022.leaderboard.minicity.mini" / "counts.npz" == counts_file(record, tmp_path)
    with np.load(path) as arrays:
        assert sorted(arrays) == sorted(f"{i:02}/{n}" for i in range(1, 10) for n in ("intersection", "union"))
        assert all(arrays[name].dtype == np.int32 and arrays[name].shape == (3, 10, 19) for name in arrays)
        np.testing.assert_array_equal(arrays["02/union"][1], counts[CIM][1].unions)
    found = load_counts(json.loads(json.dumps(record)), tmp_path)
    assert list(found) == [row["name"] for row in record["rows"]]
    for name, of in found.items():
        for one, other in zip(of, counts[name], strict=True):
            np.testing.assert_array_equal(one.intersections, other.intersections)
            np.testing.assert_array_equal(one.unions, other.unions)
            assert one.evaluation == other.evaluation and one.unions.dtype == np.int64
    before = path.read_bytes()
    assert write_counts(record, counts, tmp_path).read_bytes() == before


@pytest.mark.parametrize("evaluation", ["miou", "miou11"])
def test_the_mean_of_counts_is_the_score_of_their_confusion(evaluation):
    confusion = confusions(np.random.default_rng(1), 7, 0.6)
    counts, scores = PictureCounts.from_confusion(confusion, evaluation), Scores(confusion.sum(0), 7, evaluation)
    assert mean_iou(counts) == pytest.approx(scores.miou)
    if evaluation == "miou":
        assert mean_iou(counts, "miou16") == pytest.approx(scores.over("miou16"))
    assert np.isnan(mean_iou(PictureCounts(*np.zeros((2, 3, 19), dtype=np.int64))))


def test_counts_of_something_else_are_refused(tmp_path):
    record, counts = a_board()
    _, others = a_board(draw=5)
    without = {name: of for name, of in counts.items() if name != FOCAL}
    for wrong, message in (
        (without, f"no counts of the row '{FOCAL}'"),
        ({**counts, FOCAL: others[FOCAL]}, f"counts of '{FOCAL}'"),
        ({**counts, FOCAL: counts[FOCAL][:2]}, f"counts of '{FOCAL}'"),
        ({**counts, FOCAL: a_board(pictures=9)[1][FOCAL]}, r"of \[9\] pictures"),
    ):
        with pytest.raises(LabError, match=message):
            write_counts(record, wrong, tmp_path)
    assert not list(tmp_path.rglob("*.npz"))
    write_counts(record, counts, tmp_path)
    for row in record["rows"]:
        row["miou"] = [score + 0.01 for score in row["miou"]]  # as if trained again
    with pytest.raises(LabError, match="Record both together"):
        load_counts(record, tmp_path)


def test_a_damaged_file_is_named_and_a_missing_one_is_none(tmp_path):
    record, counts = a_board()
    assert load_counts(record, tmp_path) == {}
    path = write_counts(record, counts, tmp_path)
    record["rows"].append({**record["rows"][0], "name": "new"})
    with pytest.raises(LabError, match=r"counts\.npz: damaged, or not of this record"):
        load_counts(record, tmp_path)
    record["rows"].pop()
    whole = path.read_bytes()
    for content in (whole[:500], b"", b"nothing of the kind"):
        path.write_bytes(content)
        with pytest.raises(LabError, match=r"counts\.npz: damaged, or not of this record"):
            load_counts(record, tmp_path)
    for place in range(40, len(whole), len(whole) // 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(LabError):  # a few bytes of a zip are read by nobody
            load_counts(record, tmp_path)


# --- places ----------------------------------------------------------------------------------------------------------


def naive_score(counts: PictureCounts, times: np.ndarray) -> float:
    ratios = []
    for c in range(NUM_CLASSES):
        hits = sum(int(n) * int(i) for n, i in zip(times, counts.intersections[:, c], strict=True))
        either = sum(int(n) * int(u) for n, u in zip(times, counts.unions[:, c], strict=True))
        ratios += [hits / either] if either else []
    return sum(ratios) / len(ratios)


def test_places_are_those_of_the_same_draws_for_all():
    """All rows ranked within each resample, its pictures and seeds drawn once: the bootstrap compares them in pairs."""
    record, counts = a_board(pictures=4, seeds=2, shares={CONTINUED: 0.5, "MMD": 0.5, FOCAL: 0.52, "Oracle": 0.9})
    found = {one.name: one for one in standings(record, counts)}
    contenders = [name for name in found if name != "Oracle"]
    generator, number, ranked = np.random.default_rng(0), 256, np.zeros((3, 3))  # the bootstrap's first draws
    times = generator.multinomial(4, np.full(4, 0.25), size=number)
    seeds = generator.multinomial(2, np.full(2, 0.5), size=number) / 2
    assert number <= RESAMPLES
    for n, k in zip(times, seeds, strict=True):
        scores = {
            name: sum(share * naive_score(one, n) for share, one in zip(k, counts[name], strict=True)) for name in found
        }
        for name in contenders:
            place = sum(scores[other] > scores[name] + 1e-12 for other in contenders)
            ranked[contenders.index(name), place] += 1
    shares = place_shares([found[name].bootstrap.resampled[:number] for name in contenders])
    np.testing.assert_allclose(shares, ranked / number, atol=1e-9)
    places = np.stack([found[name].places for name in contenders])
    np.testing.assert_allclose(places.sum(0), 1)
    np.testing.assert_allclose(places.sum(1), 1)


def test_equal_ones_share_their_places_and_the_surely_better_one_is_first():
    record, counts = a_board(shares={CONTINUED: 0.4, FOCAL: 0.4, CIM: 0.95})
    record["rows"][1] = {**record["rows"][0], "name": FOCAL}
    counts[FOCAL] = counts[CONTINUED]
    found = {one.name: one for one in standings(record, counts)}
    assert found[CIM].place == 1
    np.testing.assert_allclose(found[CIM].places, [1, 0, 0])
    for name in (CONTINUED, FOCAL):
        np.testing.assert_allclose(found[name].places, [0, 0.5, 0.5])
    shares = place_shares([np.array([1.0, np.nan, 0.0]), np.array([0.0, 5.0, 1.0])])
    np.testing.assert_allclose(shares, 0.5)  # the resample with a NaN counts for nothing


def test_the_board_is_in_order_and_references_have_no_place():
    record, counts = a_board()
    found = standings(record, counts)
    means = [one.scores.mean() for one in found]
    assert means == sorted(means, reverse=True)
    assert {one.name for one in found if one.place is None} == set(REFERENCES) == {"Oracle", "Source only"}
    assert [one.place for one in found if one.place] == list(range(1, 8))
    base = next(np.array(row["miou"]) for row in record["rows"] if row["name"] == CONTINUED)
    for one in found:
        np.testing.assert_allclose(one.gains, 100 * (one.scores - base))
        assert one.bootstrap.difference == pytest.approx(one.gains.mean() / 100)
        assert one.bootstrap.low <= one.bootstrap.difference <= one.bootstrap.high
    plain = standings(record, {})
    assert [one.name for one in plain] == [one.name for one in found] and plain[0].bootstrap is None


def test_over_sixteen_classes_everything_is():
    record, counts = a_board()
    for one in standings(record, counts, "last16"):
        expected = [mean_iou(of, "miou16") for of in counts[one.name]]
        np.testing.assert_allclose(one.scores, expected)
        assert one.bootstrap.difference == pytest.approx(one.gains.mean() / 100)


def test_a_board_without_its_baseline_is_refused():
    record, _ = a_board()
    record["rows"] = [row for row in record["rows"] if row["name"] != CONTINUED]
    with pytest.raises(UnknownNameError, match="Source only, continued"):
        standings(record, {})


def test_the_names_of_the_page_are_rows_of_the_sweep():
    rows = {row.name for row in SWEEPS["yan2022.leaderboard"].rows}
    named = {*REFERENCES, *SHARES, *COMBINATIONS, *(one for pair in LADDER for one in pair)}
    assert named | {part for parts in COMBINATIONS.values() for part in parts} <= rows


# --- tables and figures ----------------------------------------------------------------------------------------------


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_the_table_says_what_was_recorded(folder):
    table = report.leaderboard_table("minicity", folder=folder)
    assert list(table.table.columns) == ["place", "mIoU %", "gain", "middle 95 %", "first in"]
    assert table.table.loc["Oracle", "place"] == "–" and table.table.iloc[1]["place"] == 1
    record, counts = a_board()
    (cim,) = [one for one in standings(record, counts) if one.name == CIM]
    low, high = (100 * end for end in (cim.bootstrap.low, cim.bootstrap.high))
    assert table.table.loc[CIM, "gain"] == f"{cim.gains.mean():+.1f} ± {cim.gains.std(ddof=1):.1f}"
    assert table.table.loc[CIM, "middle 95 %"] == f"{low:+.1f} … {high:+.1f}"
    assert "resamples" in table.note and "commit invented" in table.note and "best" not in table.note.lower()
    (folder / "yan2022.leaderboard.minicity.mini" / "counts.npz").unlink()
    bare = report.leaderboard_table("minicity", folder=folder)
    assert list(bare.table.columns) == ["place", "mIoU %", "gain"] and "have not been recorded" in bare.note
    assert "11 classes" in report.leaderboard_table("minicity-camvid", folder=folder).note


def test_one_seed_has_no_spread(tmp_path):
    put(tmp_path, *a_board(seeds=1))
    noted = report.leaderboard_table("minicity", folder=tmp_path)
    assert "±" not in noted.table.loc[CIM, "gain"] and "…" in noted.table.loc[CIM, "middle 95 %"]
    assert "draw pictures with replacement" in noted.note and "another seed" in noted.note
    report.leaderboard_figure("minicity", folder=tmp_path).png()
    report.cost_figure("minicity", folder=tmp_path).png()


NOT_RECORDED = "yan2022.leaderboard has not been recorded on MiniCity game → MiniCity real with the profile mini."


def test_what_is_not_recorded_is_said_in_words(tmp_path):
    for name in ("leaderboard_table", "leaderboard_figure", "places_figure", "classes_figure", "ladder_table"):
        assert getattr(report, name)("minicity", folder=tmp_path) == Words(NOT_RECORDED)
    for name in ("combinations_table", "cost_table", "cost_figure"):
        assert getattr(report, name)("minicity", folder=tmp_path) == Words(NOT_RECORDED)
    for table in (report.sources_table, report.sources_figure):
        assert table(folder=tmp_path) == Words(NOT_RECORDED)
    assert "not been recorded yet" in report.boards_table(tmp_path).text
    put(tmp_path, a_board()[0])
    assert "single pictures have not been recorded" in report.places_figure("minicity", folder=tmp_path).text
    assert "MiniCity toon" in report.sources_table(folder=tmp_path).note


def test_a_board_recorded_in_parts_without_its_control_says_so(tmp_path):
    put(tmp_path, *a_board(shares={"MMD": 0.5, FOCAL: 0.6}))
    for name in ("leaderboard_table", "places_figure", "classes_figure", "ladder_table", "cost_table", "cost_figure"):
        assert f"without the row '{CONTINUED}'" in getattr(report, name)("minicity", folder=tmp_path).text
    assert f"without the row '{CONTINUED}'" in report.sources_table(folder=tmp_path).text


def test_a_class_that_one_seed_alone_has_is_the_mean_of_that_seed(tmp_path, monkeypatch):
    record, counts = a_board()
    record["rows"][0]["iou"]["train"] = [0.0, None, None]
    shown = {}
    monkeypatch.setattr(plots, "class_gains", lambda iou, names, classes, **_: shown.update(iou=iou, classes=classes))
    report.classes_figure("minicity", folder=put(tmp_path, record, counts))
    assert shown["iou"][0][shown["classes"].index("train")] == 0  # as the ledger has it; the oracle is first


def test_the_recorded_boards_are_listed(folder):
    table = report.boards_table(folder).table
    assert len(table) == 3 and (table["methods"] == len(SHARES)).all()
    assert (table["counts of single pictures"] == "yes").all() and (table["size"] == "96×192").all()


def test_both_sources_stand_side_by_side(folder):
    found = report.sources_table(folder=folder)
    record, _ = a_board("minicity-toon", draw=1)
    toon = {one.name: one for one in standings(record, {}, "last16")}
    shown = found.table.loc[FOCAL, "mIoU %, toon (place)"]
    assert shown.startswith(f"{100 * toon[FOCAL].scores.mean():.1f} ±") and shown.endswith(f" ({toon[FOCAL].place})")
    assert "rank correlation" in found.note
    same = json.loads((folder / "yan2022.leaderboard.minicity.mini.json").read_text())
    put(folder, {**same, "pair": "minicity-toon"}, a_board()[1])
    assert "is 1.00" in report.sources_table(folder=folder).note
    assert [ax.get_title("left") for ax in report.sources_figure(folder=folder).axes] == ["from game", "from toon"]


def resampled(signs):
    """The middle 95 % of a sum of rows, all with the same draws, picture by picture and seed by seed."""
    _, counts = a_board()
    generator, totals = np.random.default_rng(0), []
    pictures, seeds = len(counts[CIM][0]), len(counts[CIM])
    while len(totals) < RESAMPLES:
        number = min(256, RESAMPLES - len(totals))  # as many as the bootstrap draws at once
        times = generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=number)
        shares = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=number) / seeds
        for n, k in zip(times, shares, strict=True):
            total = 0.0
            for name, sign in signs.items():
                for share, one in zip(k, counts[name], strict=True):
                    hits, either = n @ one.intersections, n @ one.unions
                    total += sign * share * (hits[either > 0] / either[either > 0]).mean()
            totals.append(100 * total)
    return "{:+.1f} … {:+.1f}".format(*np.quantile(totals, [0.025, 0.975]))


def test_what_adds_up_is_counted_seed_by_seed(folder):
    record, _ = a_board()
    scores = {row["name"]: 100 * np.array(row["miou"]) for row in record["rows"]}
    row = report.combinations_table("minicity", folder=folder).table.loc["MMD + focal + CIM"]
    parts = scores["MMD"] + scores[CIM] - 2 * scores[CONTINUED]
    beyond = scores["MMD + focal + CIM"] - scores[CONTINUED] - parts
    assert row["their sum"] == f"{parts.mean():+.1f} ± {parts.std(ddof=1):.1f}"
    assert row["beyond the sum"] == f"{beyond.mean():+.1f} ± {beyond.std(ddof=1):.1f}"
    assert row["middle 95 %"] == resampled({"MMD + focal + CIM": 1, "MMD": -1, CIM: -1, CONTINUED: 1})
    assert (
        "Jitter + blur + CycleGAN + focal + CIM" not in report.combinations_table("minicity", folder=folder).table.index
    )
    ladder = report.ladder_table("minicity", folder=folder).table
    step = scores[CIM] - scores[FOCAL]
    assert ladder.loc[(FOCAL, CIM), "points"] == f"{step.mean():+.1f} ± {step.std(ddof=1):.1f}"
    assert ladder.loc[(FOCAL, CIM), "middle 95 %"] == resampled({CIM: 1, FOCAL: -1})


def test_numbers_of_points_close_together_stand_apart():
    points = {"a": (2.0, 0.152), "b": (2.02, 0.153), "c": (2.1, 0.154), "d": (9.0, 0.2), "e": (1.0, 0.1)}
    numbers = {name: place for place, name in enumerate(points, 11)}
    nothing = dict.fromkeys(points, float("nan"))
    figure = plots.cost_accuracy(points, ["d"], title="A → B", cost="time", spreads=nothing, numbers=numbers)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_costs_are_relative_and_count_what_came_before(folder):
    record, _ = a_board()
    costs = training_costs(record)
    assert costs[CONTINUED] == 1 and costs["Oracle"] == pytest.approx(10 / 70) and "Source only" not in costs
    assert {name for name, cost in costs.items() if np.isnan(cost)} == {CIM, "MMD + focal + CIM", "CycleGAN"}
    table = report.cost_table("minicity", folder=folder)
    assert CIM not in table.table.index and "Without a time" in table.note and CIM in table.note
    next(row for row in record["rows"] if row["name"] == CIM)["seconds_before"] = [120.0, 120.0, 1200.0]
    assert training_costs(record)[CIM] == pytest.approx(2), "one disturbed training counts for nothing"
    put(folder, record)
    whole = report.cost_table("minicity", folder=folder)
    assert list(whole.table.index)[-1] == CIM and len(whole.table) > 1


@pytest.mark.parametrize("other", [{"hardware": "a card", "commit": "a"}, {"hardware": "a CPU", "commit": "b"}])
def test_times_that_were_not_taken_together_are_not_compared(other):
    record, _ = a_board()
    for row in record["rows"]:
        row["seconds_before"] = [0, 0, 0]
        row["environment"] = other if row["name"] == CIM else {"hardware": "a CPU", "commit": "a"}
    costs = training_costs(record)
    assert np.isnan(costs[CIM]) and costs[CONTINUED] == 1
    assert sum(np.isnan(value) for value in costs.values()) == 1


FIGURES = {
    "board": lambda folder: report.leaderboard_figure("minicity", folder=folder),
    "places": lambda folder: report.places_figure("minicity", folder=folder),
    "classes": lambda folder: report.classes_figure("minicity", folder=folder),
    "classes of photographs": lambda folder: report.classes_figure("minicity-camvid", folder=folder),
    "sources": lambda folder: report.sources_figure(folder=folder),
    "cost": lambda folder: report.cost_figure("minicity", folder=folder),
    "chance": lambda folder: report.equal_methods(3, 0.5),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_every_figure_draws_cleanly(name, folder):
    figure = FIGURES[name](folder)
    pixels = np.asarray(Image.open(io.BytesIO(figure.png())).convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0]):
        assert (edge == 255).all()
    sizes = [t.get_fontsize() for t in figure.findobj(matplotlib.text.Text) if t.get_text().strip()]
    assert min(sizes) >= 9


def test_a_gain_beyond_the_axis_is_written_with_an_arrow(folder):
    record, counts = a_board()
    figure = report.leaderboard_figure("minicity", folder=folder)
    (oracle,) = [one for one in standings(record, counts) if one.name == "Oracle"]
    assert f"{oracle.gains.mean():+.1f} →" in texts(figure) and "first in" in texts(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [one.name for one in standings(record, counts) if one.name != CONTINUED]
    with pytest.raises(LabError, match="no gains to draw"):
        plots.gain_intervals({}, title="", baseline="")


def test_the_class_table_has_the_numbers_and_the_colours_of_the_gains():
    iou = np.array([[0.5, np.nan], [0.3, 0.1]])
    figure = plots.class_gains(iou, ["A", "base"], ["road", "train"], baseline="base", title="x")
    assert [t for t in texts(figure) if t in ("50", "30", "10", "–")] == ["50", "–", "30", "10"]
    drawn = np.ma.filled(figure.axes[0].images[0].get_array().astype(float), np.nan)
    np.testing.assert_allclose(drawn, [[20, np.nan], [0, 0]])
    with pytest.raises(LabError, match="classes over 'other'"):
        plots.class_gains(iou, ["A", "base"], ["road", "train"], baseline="other", title="x")


def test_the_front_is_named_and_the_others_are_numbered():
    points = {"cheap": (1.0, 0.1), "good": (3.0, 0.3), "bad": (4.0, 0.2)}
    none = dict.fromkeys(points, 0.01)
    drawn = texts(
        plots.cost_accuracy(
            points, ("cheap", "good"), title="x", cost="y", spreads=none, numbers={"cheap": 3, "good": 1, "bad": 2}
        )
    )
    assert {"3 cheap", "1 good", "2"} <= set(drawn) and "2 bad" not in drawn and "bad" not in drawn
    assert {"cheap", "good", "bad"} <= set(
        texts(plots.cost_accuracy(points, ("cheap", "good"), title="x", cost="y", spreads=none))
    )


def test_of_equal_methods_the_best_shrinks_with_the_seeds():
    def best(seeds):
        (title,) = [text for text in texts(report.equal_methods(seeds, 0.5)) if text.startswith("Invented")]
        return float(title.split("best has ")[1].split(" ")[0])

    assert best(300) < best(10) < best(1) and best(300) < 0.2 < best(1)


# --- a method of one's own -------------------------------------------------------------------------------------------


@dataclass
class Own(SourceOnly):
    """Anything."""

    name = "own"


class RunStub:
    """What :func:`labkit.report.placed` reads of a run."""

    def __init__(self, score, steps=300):
        self.result = {"miou_target": score, "steps": steps}


def test_an_own_method_is_trained_as_the_rows_are(tmp_path):
    lab = Lab("smoke-1", runs=tmp_path)
    own = report.train_contender(lab, Own())
    row = report.train_row(lab.after("yan2022"), "yan2022.leaderboard", CONTINUED)
    for key in ("model", "recipe", "seed", "data", "report"):
        assert own.description[key] == row.description[key], key
    assert own.description["method"]["name"] == "own" and own.finished
    words = report.placed(lab, {"own": own}, folder=tmp_path)
    assert "with the profile smoke-1" in words.text and "own" in words.text

    record, counts = a_board(pictures=len(lab.target()), profile="smoke-1")
    put(tmp_path, record, counts)
    found = report.placed(lab, {"own": own}, folder=tmp_path)
    assert "…" in found.table.loc["→ own, this page (1 steps)", "95 %, pictures alone"]


def test_the_place_is_among_the_rows_of_the_same_seed(tmp_path):
    record, _ = a_board()
    put(tmp_path, record)
    scores = {row["name"]: row["miou"][1] for row in record["rows"]}
    between = (scores[CIM] + scores["Oracle"]) / 2
    found = report.placed(Lab("mini", seed=1), {"mine": RunStub(between)}, folder=tmp_path)
    assert list(found.table.index[:2]) == ["Oracle", "→ mine, this page"] and len(found.table) == len(SHARES) + 1
    assert found.table.iloc[1, 1] == f"{100 * (between - scores[CONTINUED]):+.1f}"
    assert "One seed (1)" in found.note
    late = report.placed(Lab("mini", seed=7), {"mine": RunStub(0.2)}, folder=tmp_path)
    assert "not with 7" in late.text and "mine 20.0 %" in late.text


# --- networks --------------------------------------------------------------------------------------------------------


def test_networks_are_measured_and_stand_beside_what_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "NETWORKS", {"BiSeNet": "bisenet"})
    costs = report.network_costs("minicity", (32, 64), torch.device("cpu"), repeats=2, folder=tmp_path)
    assert costs["BiSeNet"].parameters == 12_068_672 and costs["BiSeNet"].latency.repeats == 2
    assert costs["BiSeNet"].multiply_adds > 0 and costs["BiSeNet"].scores == {}
    assert "not been recorded" in report.network_figure(costs, "oracle", "minicity", (32, 64)).text
    table = report.network_table(costs, "minicity", (32, 64))
    assert table.table.loc["BiSeNet", "oracle, mIoU %"] == "not recorded"


def test_the_front_of_the_networks_has_a_star():
    def network(milliseconds, *scores):
        return networks.NetworkCost(1, 1, Latency(milliseconds, 0.1, 3), {"oracle": np.array(scores)})

    costs = {"BiSeNet": network(5, 0.3), "U-Net": network(20, 0.2, 0.3), "DeepLabV2": network(90, 0.4, 0.5)}
    table = report.network_table(costs, "minicity", (96, 192)).table["oracle, mIoU %"]
    assert list(table) == ["30.0 *", "25.0 ± 7.1", "45.0 ± 7.1 *"]
    assert {"BiSeNet", "U-Net"} <= set(texts(report.network_figure(costs, "oracle", "minicity", (96, 192))))


def test_the_recorded_rows_of_the_networks_are_rows_of_their_sweeps():
    for rows in networks.RECORDED.values():
        for title, (sweep, name) in rows.items():
            (row,) = [row for row in SWEEPS[sweep].rows if row.name == name]
            assert row.model == networks.NETWORKS[title] and row.start is None

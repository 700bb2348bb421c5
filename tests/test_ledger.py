"""The ledger: every experiment is in it, its numbers are the papers', and ours never stand without their data."""

from __future__ import annotations

import json
import math
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from labkit import cli, papers
from labkit.data.export import make
from labkit.errors import LabError, UnknownNameError
from labkit.files import write_json
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES
from labkit.papers.experiments import MEASURES, experiments
from labkit.profiles import PAIRS
from labkit.report.ledger import as_text, ledger
from labkit.report.local_runs import asks_for, data_asked, local_results
from labkit.report.plans import resolve
from labkit.report.recording import record
from labkit.report.results import provenance
from labkit.report.sweep_tables import SWEEPS
from labkit.training.runs import RunStore

ROOT = Path(__file__).parent.parent
IDS = [f"{letter}{n}" for letter, last in (("A", 7), ("B", 5), ("C", 4), ("D", 7)) for n in range(1, last + 1)]
DATA_NAMES = ("MiniCity", "CamVid", "GTA5", "SYNTHIA", "Cityscapes")
WITHOUT_NUMBER = {"A3", "B2", "B5", "C3", "C4", "D7"}

# Rows that a paper quotes from elsewhere for comparison: no experiments of it.
QUOTED = {"AdaptSeg", "BDL", "FDA", "DACS", "Rectifying", "IAST", "SAC", "CorDA", "ProDA"}
# Sentences about the paper that a table's own note says too.
SAID_BY_A_TABLE = ("43 % on Cityscapes", "Adam's learning rate", "18 of 19", "two 1080Ti")

# What the issue and the papers' summaries quote, typed from the print.
QUOTES = {
    "A1": [51.77, 247.23, 12.31, 375, 43.901],
    "A2": [45.39, 16.20, 1.35, 25.78, 12.582],
    "A4": [18.76],
    "A5": [16.25, 23.07, 15.71, 22.79, 25.57, 24.65],
    "A6": [23.89],
    "A7": [25.57, 25.90, 31, 22.53, 25.07, 36, 21.03, 22.21, 49,
           9.39, 16.95, 26, 11.31, 20.46, 9, 16.94, 24.67, 11, 26.31],
    "C1": [17.5, 29.3, 37.3, 41.1, 70.6, 18.2, 24.2, 27.5, 32.6, 73.6],
    "C2": [39.1, 39.6, 40.7, 41.1],
    "D5": [52.2, 59.1, 58.4, 65.4, 65.4, 69.2, 55.4, 59.6, 68.2],
    "D6": [121, 13, 54, 7, 28, 2172, 65, 261, 87, 94, 2172, 65, 261, 104, 94],
}  # fmt: skip


# --- the experiments -------------------------------------------------------------------------------------------------


def test_every_experiment_is_there_in_order():
    found = experiments()
    assert list(found) == IDS
    assert {name for name, one in found.items() if not one.blocks} == WITHOUT_NUMBER
    for name, one in found.items():
        assert one.id == name and one.paper in papers.PAPERS and one.title and one.what.endswith(".")
        assert re.search(r"§|Fig", one.where), name
    assert set(experiments("toldo2020")) == {"C1", "C2", "C3", "C4"}
    with pytest.raises(UnknownNameError, match="known: baitan2025"):
        experiments("baitan2024")


@pytest.mark.parametrize("name", QUOTES)
def test_the_published_numbers_are_those_in_print(name):
    assert [number.value for number in experiments()[name].numbers if not number.missing] == QUOTES[name]


def test_a_number_is_the_cell_that_it_names():
    for one in experiments().values():
        for number in one.numbers:
            frame = papers.load(number.paper, number.table)
            assert number.measure in ("", *MEASURES) and number.pair in ("", *PAIRS)
            assert number.unit and number.setting and any(data in number.data for data in DATA_NAMES)
            assert number.reproduced_by[0][0] == f"{number.paper}.{number.table}"
            if number.row not in frame.index:
                assert (one.id, number.row, number.missing) == ("A5", "13", "not in the paper")
                continue
            printed = frame.loc[number.row, number.column]
            assert math.isnan(printed) == bool(number.missing)
            assert number.missing or printed == number.value == float(number.printed)
            assert all(name in CLASS_NAMES for name in number.iou)
            if number.measure:  # what is compared is of one kind
                of_network = ("params", "macs", "latency", "latency_std")
                assert ("mIoU" in number.metric) == (number.measure not in of_network)


def test_no_row_of_a_published_table_is_left_out():
    there = {(number.paper, number.table, number.row) for one in experiments().values() for number in one.numbers}
    for paper in papers.PAPERS:
        for table in papers.table_names(paper):
            if (paper, table) == ("baitan2025", "table6"):
                continue  # the colours of the classes
            for row in papers.load(paper, table).index:
                quoted = paper == "yan2022" and row.split(",")[0] in QUOTED
                repeated = paper == "toldo2020" and table == "table3" and row in ("Source only", "Oracle")
                assert (paper, table, row) in there or quoted or repeated, (paper, table, row)


def test_every_contradiction_stands_somewhere():
    shown = set()
    for one in experiments().values():
        shown |= {*one.notes, *(note for block in one.blocks for note in block.notes)}
        shown |= {note for number in one.numbers for note in number.notes}
    assert all(note.endswith(".") for note in shown)
    for paper in papers.PAPERS:
        for note in papers.notes(paper):
            assert note in shown or any(phrase in note for phrase in SAID_BY_A_TABLE), note
        for table in papers.table_names(paper):
            if (paper, table) != ("baitan2025", "table6"):
                assert set(papers.load(paper, table).attrs["notes"]) <= shown


def test_contradictions_stand_at_the_numbers_that_they_concern():
    def at(name: str, row: str) -> str:
        return " ".join(note for number in experiments()[name].numbers if number.row == row for note in number.notes)

    assert "12,068,672" in at("A2", "BiSeNet") and not at("A1", "DeepLabV2")
    assert "blur alone" in at("A5", "3") and not at("A5", "23")
    assert "26.31" in at("A7", "2") and "26.31" not in at("A7", "3")
    assert "48.4" in at("D1", "Ours (stage 1), BiSeNet")


# --- ours ------------------------------------------------------------------------------------------------------------


def outcome(sweep: str, row: str, pair: str, miou, best=None, evaluation: str = "miou", **other) -> dict:
    """A recorded sweep of one row, as ``labkit sweep --record`` writes it."""
    iou = {name: [(place + 1) / 100 for _ in miou] for place, name in enumerate(CLASS_NAMES)}
    return {
        "sweep": sweep,
        "pair": pair,
        "data": PAIRS[pair].title,
        "profile": "gpu",
        "size": [256, 512],
        "steps": 10_000,
        "seeds": list(range(len(miou))),
        "report": {"data": "Somewhere", "split": "val", "images": 500, "evaluation": evaluation},
        "selection": "last checkpoint",
        "rows": [{"name": row, "miou": miou, "miou_best": best or miou, "iou": iou}],
        "environment": {"hardware": "a card", "precision": "bf16", "commit": "abc", "date": "2026-01-01"},
        **other,
    }


def recorded(folder: Path, *outcomes: dict) -> Path:
    for one in outcomes:
        write_json(folder / f"{one['sweep']}.{one['pair']}.{one['profile']}.json", one)
    return folder


def of(entries, name: str, table: str, row: str, column: str = "mIoU"):
    """The one entry of that experiment, and that cell."""
    wanted = (name, table, row, column)
    (entry,) = [
        entry for entry in entries if (n := entry.number) and (entry.experiment.id, n.table, n.row, n.column) == wanted
    ]
    return entry


def test_without_results_everything_is_not_run(tmp_path):
    rows = [row for entry in ledger(folder=tmp_path / "none") for row in entry.rows()]
    assert list(dict.fromkeys(row["id"] for row in rows)) == IDS
    assert {row["state"] for row in rows} == {"not run", "not measured here", "no number", "computed"}
    for row in rows:
        assert {"id", "paper", "published", "ours", "data", "seeds", "spread"} <= set(row)
        assert row["seeds"] == [] and (row["ours"] is None) == (row["state"] != "computed")
        assert row["data"] is None or any(name in row["data"] for name in DATA_NAMES)
        if row["state"] == "not run":
            assert row["data"] == row["published_data"]
    assert len({frozenset(row) for row in rows}) == 1, "every row has the same keys"


def test_mean_and_spread_over_seeds_in_the_published_unit(tmp_path):
    values = [0.181, 0.203, 0.196]
    folder = recorded(
        tmp_path,
        outcome("baitan2025.table2", "source only", "minicity", values),
        outcome("loda2025.table4", "0.05", "gta5-cityscapes", [0.25]),
    )
    entries = ledger(folder=folder)
    entry = of(entries, "A4", "table2", "source only")
    (own, toy) = entry.rows()
    assert (own["state"], own["data"], own["ours"], own["published"]) == (
        "not run",
        "GTA5 → Cityscapes val",
        None,
        18.76,
    )
    assert toy["data"] == "MiniCity game → MiniCity real" and toy["state"] == "recorded" and toy["seeds"] == [0, 1, 2]
    assert toy["ours"] == pytest.approx(100 * statistics.mean(values))
    assert toy["spread"] == pytest.approx(100 * statistics.stdev(values))
    assert (toy["hardware"], toy["commit"], toy["steps"], toy["size"]) == ("a card", "abc", 10_000, [256, 512])
    assert "not run" in as_text([entry]) and "on MiniCity game → MiniCity real (recorded" in as_text([entry])

    (only,) = of(entries, "B3", "table4", "0.05", "target validation mIoU").rows()
    assert only["unit"] == "fraction" and only["ours"] == 0.25 and math.isnan(only["spread"])
    assert only["state"] == "recorded" and only["data"] == "GTA5 → Cityscapes"


@pytest.mark.parametrize("profile", ["smoke", "smoke-20"])
def test_a_smoke_run_on_the_papers_data_runs_nothing(tmp_path, profile):
    same = {"profile": profile, "size": [48, 96], "steps": 8}
    folder = recorded(tmp_path, outcome("baitan2025.table2", "source only", "gta5-cityscapes", [0.01], **same))
    states = [row["state"] for row in of(ledger("baitan2025", folder), "A4", "table2", "source only").rows()]
    assert states == ["not run", "recorded"]


def test_lost_cells_are_empty_with_the_reason():
    rows = [row for entry in ledger("toldo2020", Path("none")) for row in entry.rows()]
    cyclegan = next(row for row in rows if (row["setting"], row["published"]) == ("CycleGAN", 29.3))
    assert math.isnan(cyclegan["published_iou"]["road"]) and cyclegan["published_iou"]["car"] == 72.4
    assert any("dropped the columns road to traffic sign" in note for note in cyclegan["notes"])
    assert any("80.2" in note for entry in rows if entry["setting"] == "CyCADA" for note in entry["notes"])


def test_best_and_last_are_kept_apart(tmp_path):
    folder = recorded(tmp_path, outcome("baitan2025.table5", "2", "minicity", [0.2, 0.3], best=[0.4, 0.5]))
    entries = ledger("baitan2025", folder)
    (last,) = of(entries, "A7", "table5", "2", "last mIoU").ours
    (best,) = of(entries, "A7", "table5", "2", "best mIoU").ours
    assert last.mean == pytest.approx(25) and "last step" in last.selection
    assert best.mean == pytest.approx(45) and "target validation labels" in best.selection
    epoch = of(entries, "A7", "table5", "2", "best epoch")
    assert epoch.ours == () and epoch.state == "not measured here"


def test_means_over_the_classes_of_the_published_number(tmp_path):
    folder = recorded(
        tmp_path,
        outcome("yan2022.table1", "Oracle, BiSeNet", "synthia-cityscapes", [0.5]),
        outcome("yan2022.table1", "Oracle, BiSeNet", "minicity-camvid", [0.4], evaluation="miou11"),
    )
    entries = ledger("yan2022", folder)
    places = {name: place + 1 for place, name in enumerate(CLASS_NAMES)}  # each class's IoU in percent
    without = {"terrain", "truck", "train"}
    sixteen = [value for name, value in places.items() if name not in without]
    thirteen = [value for name, value in places.items() if name not in {*without, "wall", "fence", "pole"}]
    photographs, over_16 = of(entries, "D5", "table1", "Oracle, BiSeNet", "mIoU").ours
    (over_13,) = of(entries, "D5", "table1", "Oracle, BiSeNet", "mIoU*").ours  # CamVid has one mean, shown once
    for own, values in ((over_16, sixteen), (over_13, thirteen)):
        assert own.mean == pytest.approx(statistics.mean(values)) and own.classes == len(values)
    assert photographs.mean == pytest.approx(40) and photographs.classes == 11


def test_a_recorded_latency_stands_beside_the_published_one_with_its_card(tmp_path):
    about = {"hardware": "a card", "packages": {"torch": "2.15"}, "commit": "abc", "date": "2026-01-01"}
    measured = {"bisenet, float32, not compiled": {"milliseconds": 2.5, "deviation": 0.25}}
    speed = {"training": {}, "inference": measured, "size": [512, 1024], "environment": about}
    write_json(tmp_path / "gpu_speed.json", speed)
    entries = ledger("baitan2025", tmp_path)
    for column, value in (("latency", 2.5), ("latency std", 0.25)):
        entry = of(entries, "A2", "table1", "BiSeNet", column)
        (ours,) = entry.ours
        assert (ours.mean, ours.unit, entry.state) == (value, "ms", "recorded")
        assert ours.data == "one picture of 512×1024, Cityscapes' 19 classes, a card"
        assert "gpu_speed.py" in ours.provenance and "commit abc" in ours.provenance
        (row,) = entry.rows()
        assert (row["ours"], row["seeds"], row["profile"]) == (value, [], None)
    assert "ours  2.50 ms on one picture of 512×1024, Cityscapes' 19 classes, a card (recorded)" in as_text(entries)
    other = of(entries, "A1", "table1", "DeepLabV2", "latency")
    assert other.state == "not measured here" and other.ours == ()


def test_a_damaged_result_is_named(tmp_path):
    (tmp_path / "baitan2025.table2.minicity.mini.json").write_text("{")
    with pytest.raises(LabError, match=r"baitan2025\.table2\.minicity\.mini\.json"):
        ledger(folder=tmp_path)
    incomplete = outcome("baitan2025.table2", "source only", "minicity", [0.2])
    del incomplete["environment"]
    write_json(tmp_path / "baitan2025.table2.minicity.mini.json", incomplete)
    with pytest.raises(LabError, match=r"minicity\.mini\.json.*environment.*record"):
        ledger(folder=tmp_path)


def test_other_files_beside_the_results_count_for_nothing(tmp_path):
    write_json(tmp_path / "throughput.json", {"pictures_per_second": 100})
    write_json(tmp_path / "list.json", [1, 2])
    assert all(entry.state != "recorded" for entry in ledger("toldo2020", tmp_path))


def test_a_part_of_a_table_joins_what_was_recorded_before(tmp_path):
    about = {"environment": {"hardware": "a card", "precision": "bf16", "commit": "abc", "date": "2026-01-01"}}
    later = {"environment": {"hardware": "a CPU", "precision": "bf16", "commit": "def", "date": "2026-02-01"}}
    oracle = outcome("baitan2025.table2", "oracle", "minicity", [0.4, 0.5], **about)
    path = record(oracle, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == oracle
    record(outcome("baitan2025.table2", "source only", "minicity", [0.2, 0.3], **later, steps=900), tmp_path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [row["name"] for row in found["rows"]] == ["source only", "oracle"]  # as the table has them
    assert [row["environment"]["commit"] for row in found["rows"]] == ["def", "abc"]
    assert found["environment"]["commit"] == "abc / def" and found["environment"]["precision"] == "bf16"
    assert found["steps"] is None and [row["steps"] for row in found["rows"]] == [900, 10_000]
    assert "900 steps at 256×512 (source only)" in provenance(found)
    # a row again: the new one counts, and what both commits gave stays said
    record(outcome("baitan2025.table2", "source only", "minicity", [0.25, 0.35], **later, steps=900), tmp_path)
    again = json.loads(path.read_text(encoding="utf-8"))
    assert [row["miou"] for row in again["rows"]] == [[0.25, 0.35], [0.4, 0.5]]
    assert again["environment"]["commit"] == "abc / def"


def test_rows_that_begin_with_another_training_of_their_start_are_named(tmp_path):
    def of_board(row, start):
        whole = outcome("yan2022.leaderboard", row, "minicity", [0.2, 0.3], size=[96, 192])
        whole["rows"][0] |= {"start": {"name": "Source only", "weights": start}} if start else {}
        return whole

    path = record(of_board("MMD", ["sha256:a", "sha256:b"]), tmp_path)
    record(of_board("Shannon", ["sha256:a", "sha256:b"]), tmp_path)
    assert "trainings of" not in provenance(json.loads(path.read_text(encoding="utf-8")))
    record(of_board("Fourier", ["sha256:a", "sha256:c"]), tmp_path)
    said = provenance(json.loads(path.read_text(encoding="utf-8")))
    assert "begun with 2 trainings of Source only, recorded at different times: MMD, Shannon | Fourier" in said

    with_labeller = of_board("Threshold-adaptive focal + CIM", ["sha256:a", "sha256:c"])
    with_labeller["rows"][0]["before"] = [{"name": "Threshold-adaptive focal", "weights": ["sha256:d", "sha256:e"]}]
    record(with_labeller, tmp_path)
    assert "trainings of Threshold-adaptive focal" not in provenance(json.loads(path.read_text(encoding="utf-8")))
    another = of_board("MMD + focal + CIM", ["sha256:a", "sha256:c"])
    another["rows"][0]["before"] = [{"name": "Threshold-adaptive focal", "weights": ["sha256:d", "sha256:f"]}]
    record(another, tmp_path)
    said = provenance(json.loads(path.read_text(encoding="utf-8")))
    assert (
        "2 trainings of Threshold-adaptive focal, recorded at different times: Threshold-adaptive focal + CIM |" in said
    )

    other = tmp_path / "other"  # a record of before, which does not say what its rows begin with
    path = record(of_board("MMD", None), other)
    record(of_board("Shannon", ["sha256:a", "sha256:b"]), other)
    assert "MMD | Shannon" in provenance(json.loads(path.read_text(encoding="utf-8")))


def test_batches_in_parts_are_named():
    whole = outcome("baitan2025.table2", "source only", "minicity", [0.2, 0.3])
    assert "in 2 parts" not in provenance(whole)
    whole["rows"][0]["settings"] = {"accumulate": 2}
    assert "source only: batches in 2 parts" in provenance(whole)


@pytest.mark.parametrize("content", ["[]", '{"sweep": "baitan2025.table2", "rows": []}'])
def test_a_record_that_is_none_is_named_and_stays(tmp_path, content):
    path = tmp_path / "baitan2025.table2.minicity.mini.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LabError, match=r"table2\.minicity\.mini\.json: .*record"):
        record(outcome("baitan2025.table2", "source only", "minicity", [0.2, 0.3], profile="mini"), tmp_path)
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": [3, 4]}, "seeds"),
        ({"report": {"data": "Somewhere", "split": "test", "images": 9, "evaluation": "miou"}}, "report"),
        ({"selection": "best checkpoint"}, "selection"),
    ],
)
def test_rows_are_added_only_to_their_like(tmp_path, change, named):
    before = outcome("baitan2025.table2", "oracle", "minicity", [0.4, 0.5])
    path = record(before, tmp_path)
    part = outcome("baitan2025.table2", "source only", "minicity", [0.2, 0.3], **change)
    with pytest.raises(LabError, match=rf"oracle.*Their {named}:.*of the new ones:"):
        record(part, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == before
    assert record(part, tmp_path / "elsewhere").is_file()


def test_recording_again_loses_no_seed_that_was_recorded(tmp_path):
    whole = outcome("baitan2025.table2", "source only", "minicity", [0.2, 0.3, 0.4])
    path = record(whole, tmp_path)
    with pytest.raises(LabError, match=r"seeds that are not among the new ones: 1, 2"):
        record(outcome("baitan2025.table2", "source only", "minicity", [0.5]), tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == whole
    more = outcome("baitan2025.table2", "source only", "minicity", [0.2, 0.3, 0.4, 0.5])
    assert record(more, tmp_path) == path


def test_minicity_in_the_papers_formats_is_not_the_papers_data(tmp_path):
    drawn = "MiniCity game (GTA5 format) → MiniCity real (Cityscapes format)"
    toy = outcome("baitan2025.table2", "source only", "gta5-cityscapes", [0.3], data=drawn)
    own = outcome("baitan2025.table2", "source only", "gta5-cityscapes", [0.2])
    first, second = record(toy, tmp_path), record(own, tmp_path / "other")
    assert first.name != second.name == "baitan2025.table2.gta5-cityscapes.gpu.json"
    entry = of(ledger("baitan2025", tmp_path), "A4", "table2", "source only")
    assert [(row["state"], row["data"]) for row in entry.rows()] == [
        ("not run", "GTA5 → Cityscapes val"),
        ("recorded", drawn),
    ]
    assert record(own, tmp_path) != first  # neither takes the other's place
    entry = of(ledger("baitan2025", tmp_path), "A4", "table2", "source only")
    assert entry.state == "recorded" and [one.mean for one in entry.on_own_data] == [pytest.approx(20)]
    assert {one.data for one in entry.ours} == {drawn, "GTA5 → Cityscapes"}


def test_the_papers_own_division_is_its_data(tmp_path):
    own = "GTA5, split of loda2025 → Cityscapes, split of loda2025"
    about = {"profile": "paper", "data": own}
    path = record(outcome("loda2025.table4", "0.05", "gta5-cityscapes", [0.25], **about), tmp_path)
    assert path.name == "loda2025.table4.gta5-cityscapes.paper.json"
    assert of(ledger("loda2025", tmp_path), "B3", "table4", "0.05", "target validation mIoU").state == "recorded"


def test_an_oracle_is_not_labelled_with_a_source(tmp_path):
    before = outcome("baitan2025.table2", "oracle", "gta5-cityscapes", [0.4])
    before["rows"][0]["method"] = "oracle"
    before["report"] = {"data": "Cityscapes", "split": "val", "images": 500, "evaluation": "miou"}
    (ours,) = of(ledger("baitan2025", recorded(tmp_path, before)), "A2", "table1", "BiSeNet").on_own_data
    assert ours.data == "Cityscapes, train → val" and ours.provenance.startswith("Cityscapes, train → val (recorded):")


def test_the_networks_before_adaptation_were_not_chosen_on_target_labels():
    for table, row in (("table5", "0"), ("table7", "pre-adaptation")):
        (number,) = [
            one
            for one in experiments()["B3"].numbers
            if (one.table, one.row) == (table, row) and one.measure in ("last", "best")
        ]
        assert (number.measure, number.selection) == ("last", "best on source validation")
        (other,) = papers.load("loda2025", {"table5": "table4", "table7": "table6"}[table]).loc[[row], number.column]
        assert number.value == other


def test_costs_are_computed_from_the_networks():
    entries = ledger("baitan2025", Path("none"))
    flops, live = (of(entries, "A2", "table1", "BiSeNet", column).ours[0] for column in ("FLOPs", "parameters"))
    assert flops.mean == pytest.approx(25.78, abs=0.005) and live.mean == pytest.approx(12.068672)
    assert of(entries, "A1", "table1", "DeepLabV2", "parameters").ours[0].text == "43.901"


# --- runs on this machine --------------------------------------------------------------------------------------------


def finish(store: RunStore, experiment, miou: float):
    """A run that looks trained, so that no test has to train it."""
    run = store.request(experiment.describe())
    counts = [[0] * 20 for _ in range(19)]
    counts[0][0], counts[0][1] = round(1000 * miou), 1000 - round(1000 * miou)
    scores = {"last": {"confusion": counts, "images": 6, "evaluation": "miou"}}
    write_json(run.folder / "scores.json", scores)
    environment = {"hardware": "a laptop", "precision": "32-true", "commit": "def+", "date": "2026-01-02"}
    result = {"steps": experiment.recipe.steps, "miou_target": miou, "miou_target_best": None}
    write_json(run.folder / "result.json", result | {"environment": environment})
    return run


def test_runs_at_hand_are_told_by_what_they_were_asked_for(tmp_path):
    for seed in (0, 1):
        finish(RunStore(tmp_path), Lab("smoke", "minicity", seed).experiment("bisenet", "source-only"), 0.2)
    lab = Lab("smoke", "minicity")
    finish(RunStore(tmp_path), lab.experiment("bisenet", "source-only", steps=3), 0.3)
    finish(RunStore(tmp_path), lab.experiment("bisenet", "source-only", learning_rate=0.9), 0.9)
    finish(RunStore(tmp_path), lab.experiment("bisenet", "source-only", jitter=0.5), 0.25)
    RunStore(tmp_path).request(
        Lab("smoke", "minicity", 7).experiment("bisenet", "source-only").describe()
    )  # not trained
    entries = ledger("baitan2025", tmp_path / "none", tmp_path)
    (found,) = of(entries, "A4", "table2", "source only").ours
    assert (found.seeds, found.outcome["steps"], found.profile) == ((0, 1), 8, "smoke")
    assert found.state == "local, not recorded" and found.data == "MiniCity game → MiniCity real"
    (augmented,) = of(entries, "A5", "table3", "2").ours
    assert augmented.seeds == (0,) and augmented.mean != found.mean
    assert not of(entries, "A5", "table3", "23").ours and not of(entries, "A2", "table1", "BiSeNet").ours

    # What is recorded with the same budget takes their place.
    same = {"profile": "smoke", "size": [48, 96], "steps": 8}
    folder = recorded(tmp_path / "results", outcome("baitan2025.table2", "source only", "minicity", [0.5], **same))
    (found,) = of(ledger("baitan2025", folder, tmp_path), "A4", "table2", "source only").ours
    assert found.state == "recorded" and found.mean == pytest.approx(50)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"source only"}),
        ({"jitter": 0.5}, {"2"}),
        ({"jitter": 0.5, "blur": 0.5}, {"23", "0"}),  # which is γ = 0 of the focal loss, too
        ({"jitter": 0.5, "blur": 0.5, "gamma": 2.0}, {"2 of table5", "focal γ=2, SGD"}),
        ({"beta": 1.0}, set()),
        ({"batch_size": 2}, set()),
        ({"evaluate_every": 3}, {"source only"}),
    ],
)
def test_a_run_with_other_settings_is_another_experiment(changes, expected):
    lab = Lab("smoke", "minicity")
    description = lab.experiment("bisenet", "source-only", **changes).describe()
    found = {
        f"{row.name} of table5" if (name, row.name) == ("baitan2025.table5", "2") else row.name
        for name, sweep in SWEEPS.items()
        for row in sweep.rows
        if name.startswith("baitan2025.table") and asks_for(description, row, lab)
    }
    assert found == expected


def test_other_data_is_another_experiment(tmp_path):
    make(tmp_path / "pictures", "toon", "gta5", 12, (48, 96))
    lab = Lab("smoke", "minicity", unlabelled=str(tmp_path / "pictures"), runs=tmp_path / "runs")
    adversarial = SWEEPS["baitan2025.table4"].rows[0]
    described = lab.experiment("bisenet", "adversarial", jitter=0.5, blur=0.5).describe()
    assert described["data"]["target"]["name"] == "MiniCity toon (GTA5 format)"
    assert not asks_for(described, adversarial, Lab("smoke", "minicity"))
    described["data"]["target"] = Lab("smoke", "minicity").unlabelled_target().fingerprint() | {"name": "MiniCity real"}
    assert asks_for(described, adversarial, Lab("smoke", "minicity"))

    finish(lab.store, lab.experiment("bisenet", "source-only", source_size=(32, 64)), 0.3)
    assert local_results(lab.store) == []
    finish(lab.store, lab.experiment("bisenet", "source-only"), 0.3)
    assert {one["sweep"] for one in local_results(lab.store)} >= {"baitan2025.table2"}


def described_as(names: dict[str, str]):
    """A function that gives every data set of an experiment the name of another, as if it had been that one."""

    def renamed(experiment):
        described = experiment.describe()
        for about in (*described["data"].values(), described["report"]):
            about["name"] = names[about["name"]]
        return described

    return renamed


@pytest.mark.parametrize(
    ("pair", "method", "names", "expected"),
    [
        (
            "gta5-cityscapes",
            "oracle",
            {"MiniCity real": "Cityscapes"},
            {("baitan2025.table1", "gta5-cityscapes"), ("baitan2025.table2", "gta5-cityscapes")}
            | {("yan2022.table1", "synthia-cityscapes"), ("yan2022.table2", "gta5-cityscapes")},
        ),
        (
            "synthia-cityscapes",
            "source-only",
            {"MiniCity game": "SYNTHIA", "MiniCity real": "Cityscapes"},
            {("baitan2025.table2", "synthia-cityscapes")},
        ),
    ],
)
def test_a_run_belongs_to_the_pairs_that_its_data_fit(tmp_path, pair, method, names, expected):
    run = finish(RunStore(tmp_path), Lab("smoke", "minicity").experiment("bisenet", method), 0.2)
    described = described_as(names)(Lab("smoke", "minicity").experiment("bisenet", method))
    write_json(run.folder / "description.json", described)
    found = {(one["sweep"], one["pair"]) for one in local_results(RunStore(tmp_path))}
    assert found >= expected and len(found) == len({sweep for sweep, _ in found})


def test_a_run_on_a_papers_own_division_is_in_the_ledger(tmp_path):
    row, lab = SWEEPS["loda2025.table3"].rows[1], Lab("paper", "gta5-cityscapes", paper="loda2025")
    wanted = {name: list(v) if isinstance(v := one.value, tuple) else v for name, one in resolve(row, lab).items()}
    experiment = Lab("smoke", "minicity").experiment("bisenet", "source-only")
    run, described = finish(RunStore(tmp_path), experiment, 0.2), experiment.describe()
    asked = data_asked(row, lab)
    described |= {"data": asked["data"], "report": asked["report"]}
    described["model"] |= {"name": row.model, "weights": wanted["weights"]}
    for part in ("method", "recipe"):
        described[part] |= {name: wanted[name] for name in described[part] if name in wanted}
    write_json(run.folder / "description.json", described)
    (entry,) = [one for one in local_results(RunStore(tmp_path)) if one["sweep"] == "loda2025.table3"]
    assert entry["data"] == "GTA5, split of loda2025 → Cityscapes, split of loda2025"
    assert (entry["profile"], entry["pair"]) == ("paper", "gta5-cityscapes")


def test_a_sweep_and_its_published_rows_have_the_same_names():
    compared = 0
    for number in (number for one in experiments().values() for number in one.numbers):
        name, title = number.reproduced_by[0]
        if number.measure and name in SWEEPS:
            compared += title in {row.name for row in SWEEPS[name].rows}
            assert number.pair == SWEEPS[name].pair
            assert title in {row.name for row in SWEEPS[name].rows} or number.missing or "DeepLabV2" in title
    assert compared > 60


def test_a_damaged_run_hides_no_other(tmp_path):
    finish(RunStore(tmp_path), Lab("smoke", "minicity").experiment("bisenet", "source-only"), 0.2)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "description.json").write_text("{")
    (tmp_path / "damaged" / "result.json").write_text("{")
    assert {one["sweep"] for one in local_results(RunStore(tmp_path))} >= {"baitan2025.table2"}


# --- the command -----------------------------------------------------------------------------------------------------


def labkit(*words: object) -> str:
    done = CliRunner().invoke(cli.main, ["results", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_one_json_object(tmp_path):
    folder = recorded(tmp_path, outcome("baitan2025.table2", "source only", "minicity", [0.2]))
    rows = json.loads(labkit("--json", "--paper", "baitan2025", "--folder", folder, "--runs", tmp_path / "runs"))[
        "rows"
    ]
    assert {row["paper"] for row in rows} == {"baitan2025"}
    (ours,) = [row for row in rows if row["sweep"]]
    assert (ours["id"], ours["published"], ours["seeds"], ours["spread"]) == ("A4", 18.76, [0], None)
    assert ours["ours"] == pytest.approx(20) and ours["published_iou"]["road"] == 44.8


def test_the_command_says_when_there_is_nothing(tmp_path):
    text = labkit("--folder", tmp_path / "none", "--runs", tmp_path / "runs")
    assert "nothing was trained yet" in text and "18.76 % on GTA5 → Cityscapes val" in text
    wrong = CliRunner().invoke(cli.main, ["results", "--paper", "nobody2020"])
    assert wrong.exit_code == 2 and "known: baitan2025" in wrong.stderr


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """The book's pages of the ledger and of its commands, built alone, every warning an error, from results of ours."""
    root = tmp_path_factory.mktemp("book")
    same = {"profile": "smoke", "size": [48, 96], "steps": 8}
    mobile = outcome("toldo2020.table1", "Source only", "minicity", [0.1])
    mobile["rows"].append({**mobile["rows"][0], "name": "Oracle", "method": "oracle", "miou": [0.4]})
    recorded(
        root / "results",
        mobile,
        outcome("baitan2025.table2", "source only", "minicity", [0.125, 0.135, 0.14]),
        outcome("baitan2025.table2", "source only", "minicity-camvid", [0.0123], **same),
        outcome("baitan2025.table5", "2", "gta5-cityscapes", [0.2], best=[0.3]),
    )
    settings = (
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        "extensions = ['myst_nb', 'sphinxcontrib.bibtex', 'ledger_page', 'reproduce_page']\n"
        "root_doc = 'book/ledger'\nnb_execution_mode = 'off'\n"
        "myst_enable_extensions = ['colon_fence', 'dollarmath', 'substitution']\n"
        f"html_static_path = [{str(ROOT / 'book' / '_static')!r}]\nhtml_css_files = ['custom.css']\n"
        "html_theme = 'sphinx_book_theme'\nhtml_context = {'default_mode': 'auto'}\n"
        "bibtex_bibfiles = ['references.bib']\n"
    )
    (root / "conf.py").write_text(settings, encoding="utf-8")
    text = (ROOT / "book" / "ledger.md").read_text(encoding="utf-8")
    (root / "book").mkdir()
    (root / "book" / "ledger.md").write_text(text + "\n```{bibliography}\n```\n", encoding="utf-8")
    text = (ROOT / "book" / "reproduce.md").read_text(encoding="utf-8")
    text = "---\norphan: true\n---\n" + text.replace("](data.md)", "]")
    (root / "book" / "reproduce.md").write_text(text, encoding="utf-8")
    (root / "notebooks").mkdir()
    for name in {one.page for one in experiments().values()} - {""}:  # the pages that it links to
        title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": [f"# {name}"]}
        empty = {"cells": [title], "metadata": {"orphan": True}, "nbformat": 4, "nbformat_minor": 5}
        (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(empty), encoding="utf-8")
    (root / "references.bib").write_bytes((ROOT / "book" / "references.bib").read_bytes())
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-q",
        "-W",
        "--keep-going",
        str(root),
        str(root / "_build"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root / "_build" / "book"


@pytest.fixture(scope="module")
def page(pages):
    """The page of the ledger."""
    from bs4 import BeautifulSoup

    return BeautifulSoup((pages / "ledger.html").read_text(encoding="utf-8"), "html.parser")


def part(page, name: str):
    """The section of an experiment."""
    return page.find(id=f"ledger-{name.lower()}").find_parent("section")


def columns(page, name: str, which: int = 0) -> dict[str, list[str]]:
    """The columns of an experiment's table, by head."""
    found = part(page, name).select("table")[which]
    heads = [head.get_text(" ", strip=True) for head in found.select("thead th")]
    rows = [[cell.get_text(" ", strip=True) for cell in row.select("td")] for row in found.select("tbody tr")]
    return dict(zip(heads, zip(*rows, strict=True), strict=True))


def test_every_experiment_has_its_place_on_the_page(page):
    assert all(page.find(id=f"ledger-{name.lower()}") for name in IDS)
    links = {link["href"] for link in page.select("table a[href^='#ledger-']")}
    assert links == {f"#ledger-{name.lower()}" for name in IDS}


def test_a_cell_with_other_data_than_its_column_names_them(page):
    ours = next(
        cells for head, cells in columns(page, "C1").items() if head.startswith("ours: mIoU (%), MiniCity game")
    )
    assert ours[0].startswith("10.0") and ours[-1].endswith(", Somewhere, train → val") and ours[-1].startswith("40.0")
    assert set(ours[1:-1]) == {"not run"}


def test_no_column_of_the_page_is_without_its_data(page):
    compared = 0
    for found in page.select("table"):
        heads = [head.get_text(" ", strip=True) for head in found.select("thead th")]
        if "experiment" in heads:
            continue  # the overviews show no scores
        compared += 1
        assert heads[0] == "" and len(heads) > 1
        for head in heads[1:]:
            assert any(name in head for name in DATA_NAMES), head
    assert compared == sum(len(one.blocks) for one in experiments().values())


def test_the_page_shows_paper_and_ours_apart(page):
    shift = columns(page, "A4")
    assert shift["paper: mIoU (%), GTA5 → Cityscapes val"] == ("18.76",)
    assert shift["ours, GTA5 → Cityscapes val"] == ("not run",)
    assert shift["ours: mIoU (%), MiniCity game → MiniCity real (gpu)"] == (
        "13.3\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.8",
    )
    assert not any("CamVid" in head for head in shift), "a smoke number is no result"
    focal = columns(page, "A7")
    assert focal["ours: last mIoU (%), GTA5 → Cityscapes (gpu)"] == ("not run", "20.0", "not run")
    assert focal["ours: best mIoU (%), GTA5 → Cityscapes (gpu)"] == ("not run", "30.0", "not run")
    assert focal["paper: best epoch, GTA5 → Cityscapes val"] == ("31", "36", "49")
    multilevel = columns(page, "B4")["paper: target validation mIoU (fraction), GTA5 → Cityscapes, own splits"]
    assert multilevel == ("0.2990", "0.2940"), "as printed, digit for digit"
    assert papers.load("loda2025", "table4").attrs["data"] in part(page, "B4").get_text()
    costs = next(cells for head, cells in columns(page, "D6").items() if head.startswith("ours"))
    assert set(costs) == {"not measured here"}
    assert "not in the paper" in columns(page, "A5")["paper: mIoU (%), GTA5 → Cityscapes val"]


def test_the_page_says_where_numbers_come_from_and_what_is_odd(page):
    text = part(page, "A4").get_text(" ", strip=True)
    assert "10000 steps at 256×512, seeds 0, 1, 2" in text and "commit abc" in text and "a card" in text
    assert "labkit sweep baitan2025.table2 --pair gta5-cityscapes --profile paper --record results" in text
    assert "one class too far left" in text
    assert "22.53, not the 26.31" in part(page, "A7").get_text()
    assert "{sup}" not in page.get_text() and "{ledger" not in page.get_text()


def test_every_experiment_with_numbers_says_how_to_repeat_it(page, pages):
    from bs4 import BeautifulSoup

    commands = {one.get_text().strip() for one in page.select("pre")}
    lines = {line for text in commands for line in text.splitlines()}
    assert all(line.startswith(("labkit sweep ", "labkit cost ")) for line in lines)
    for name, experiment in experiments().items():
        shown = part(page, name).select("pre")
        assert bool(shown) == bool(experiment.blocks), name
    for curve, name in (("figure7", "D4"), ("figure8", "D3")):
        assert f"labkit sweep yan2022.{curve}" in part(page, name).get_text()
    assert "labkit cost bisenet" in part(page, "A2").get_text() and "deeplabv2" not in part(page, "A2").get_text()
    other = BeautifulSoup((pages / "reproduce.html").read_text(encoding="utf-8"), "html.parser")
    assert lines <= {line for one in other.select("pre") for line in one.get_text().splitlines()}
    assert {link["href"] for link in other.select("section a[href^='ledger.html#']")} >= {
        f"ledger.html#ledger-{name.lower()}" for name, one in experiments().items() if one.blocks
    }


def test_new_results_build_the_pages_again(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    import dodo

    book = dodo.Book(ROOT, "smoke", "minicity", ROOT / "data", ROOT / "runs", [])
    sources = set(dodo.page_sources(book))
    assert set((ROOT / "results").glob("*.json")) <= sources
    assert ROOT / "labkit" / "papers" / "experiments.json" in sources


def test_recipes_pictures_and_costs_name_the_notebook_that_shows_them():
    shown = {name: one.page for name, one in experiments().items() if one.page}
    without_scores = {name for name, one in experiments().items() if not any(number.measure for number in one.numbers)}
    assert without_scores == {"A3", "B2", "B5", "C3", "C4", "D6", "D7"}
    if "notebooks/09_" not in (ROOT / "_toc.yml").read_text(encoding="utf-8"):  # which shows these two
        without_scores -= {"D6", "D7"}
    assert set(shown) == without_scores
    for page in shown.values():
        assert (Path(__file__).parents[1] / "notebooks" / f"{page}.ipynb").is_file()

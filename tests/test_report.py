"""What pages say about results: data's names beside numbers, spread over seeds, provenance, and what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from labkit import cli, report
from labkit.data.export import make
from labkit.errors import UnknownNameError
from labkit.lab import Lab
from labkit.labels import CLASS_NAMES
from labkit.losses.cross_entropy import cross_entropy
from labkit.profiles import PAIRS, pair_of
from labkit.report.results import pair_title

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> tuple[dict, Path]:
    """A tiny sweep through the command line, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("sweep")
    words = ["sweep", "baitan2025.table2", "--profile", "smoke", "--seeds", "0,1", "--json"]
    done = CliRunner().invoke(cli.main, [*words, "--runs", str(folder / "runs"), "--record", str(folder)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), folder


def test_a_sweep_is_recorded_with_everything_that_a_number_needs(outcome):
    value, folder = outcome
    (path,) = folder.glob("*.json")
    assert path.name == "baitan2025.table2.minicity.smoke.json" and json.loads(path.read_text()) == value
    assert [row["name"] for row in value["rows"]] == ["source only", "oracle"]
    assert value["seeds"] == [0, 1] and all(len(row["miou"]) == 2 for row in value["rows"])
    assert value["data"] == "MiniCity game → MiniCity real" and value["report"]["split"] == "test"
    assert {"hardware", "commit", "precision", "date"} <= set(value["environment"])
    for row in value["rows"]:
        for seed in (0, 1):
            known = [values[seed] for values in row["iou"].values() if values[seed] is not None]
            assert row["miou"][seed] == pytest.approx(np.mean(known))


def test_a_recorded_sweep_is_shown_with_spread_and_provenance(outcome):
    value, folder = outcome
    found = report.load_results("baitan2025.table2", "minicity", "smoke", folder)
    table = report.seeds_table(found)
    values = [100 * miou for miou in value["rows"][0]["miou"]]
    assert table.loc["source only", "mIoU %"] == f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"
    assert list(table["data"]) == ["MiniCity game → MiniCity real", "MiniCity real, train → test"]
    (alone,) = [row for row in found["rows"] if row["name"] == "oracle"]
    assert "mIoU %, MiniCity real, train → test" in report.seeds_table(found | {"rows": [alone]})
    words = report.provenance(found)
    assert "8 steps at 48×96" in words and "seeds 0, 1" in words and "MiniCity real test" in words
    assert report.load_results("baitan2025.table2", "minicity-camvid", "smoke", folder) is None
    assert "not been recorded" in str(report.recorded_seeds("baitan2025.table2", "gta5-cityscapes"))


def test_rows_of_different_lengths_are_told_apart(outcome):
    value, _ = outcome
    first, second = value["rows"]
    words = report.provenance(value | {"rows": [first, second | {"steps": 16, "size": [32, 64]}]})
    assert "8 steps at 48×96 (source only), 16 steps at 32×64 (oracle)" in words


def test_a_record_of_before_says_what_its_oracle_learnt_from():
    found = report.load_results("baitan2025.table2", "minicity")
    for row in found["rows"]:
        for key in ("steps", "size", "data"):
            row.pop(key, None)
    table = report.seeds_table(found)
    assert list(table["data"]) == ["MiniCity game → MiniCity real", "MiniCity real, train → test"]
    assert f"{found['steps']} steps at 96×192, seeds 0, 1, 2" in report.provenance(found)


def test_titles_from_the_data_sets_names_are_the_pairs():
    assert {pair.name: pair_title(pair) for pair in PAIRS.values()} == {one.name: one.title for one in PAIRS.values()}


def test_an_unknown_sweep_lists_the_known():
    with pytest.raises(UnknownNameError, match=r"known: .*baitan2025\.table1, baitan2025\.table2"):
        report.sweep("baitan2025.table99", "minicity", "smoke", [0])
    wrong = CliRunner().invoke(cli.main, ["sweep", "baitan2025.table2", "--seeds", "one"])
    assert wrong.exit_code == 2 and "whole numbers" in wrong.output


def test_a_result_table_names_its_data(outcome):
    _, folder = outcome
    lab = Lab("smoke", "minicity", runs=folder / "runs")
    runs = report.source_only_and_oracle(lab)
    shown = report.result_table(runs, lab)
    assert list(shown.table.index) == ["source only", "oracle"]
    assert shown.table.columns[0] == "mIoU %, MiniCity real"
    assert "6 pictures of MiniCity real (split test) at 48×96" in shown.note and shown.note in shown._repr_html_()
    assert report.prediction_figure(lab, runs, pictures=1) is not None


def test_without_the_data_a_page_says_how_to_get_it(tmp_path):
    lab = Lab("smoke", "minicity-camvid", data=tmp_path)
    assert not lab.ready and report.source_only_and_oracle(lab) == {}
    words = str(report.result_table({}, lab))
    assert "CamVid" in words and "labkit data get camvid" in words
    assert report.prediction_figure(lab, {}) is None


@pytest.mark.parametrize("known", [PAIRS["minicity-camvid"], PAIRS["minicity"], PAIRS["gta5-cityscapes"]])
def test_another_source_is_scored_on_the_same_pictures(known):
    """Shape and split are the target's: a translated source must not move what is compared."""
    made = pair_of("data/translated", known.target)
    assert (made.aspect, made.report_split) == (known.aspect, known.report_split)
    assert pair_of(known.source, known.target) == known
    assert (pair_of("here", "there").aspect, pair_of("here", "there").report_split) == (2, "val")


def test_another_papers_recipe_keeps_another_source():
    other = Lab("smoke").from_source("minicity-toon").after("yan2022")
    assert (other.pair.source, other.paper) == ("minicity-toon", "yan2022")
    own = pair_of("here", "there")
    assert Lab("smoke", own).after("toldo2020").pair == own
    papers = Lab("paper", "gta5-cityscapes", paper="loda2025")
    assert papers.pair.source == "gta5-loda" and papers.after("yan2022").pair.source == "gta5"


def test_of_a_large_split_some_pictures_are_opened_once():
    lab = Lab("smoke")
    assert len(lab.source("val", most=3)) == 3 and lab.source("val", most=3) is lab.source("val", most=3)
    assert lab.source("val", most=500) is lab.source("val") and len(lab.source("val")) == 4


def test_a_target_without_labelled_splits_trains_unscored(tmp_path):
    make(tmp_path / "source", "game", "gta5", 12, (48, 96))
    make(tmp_path / "target", "real", "cityscapes", 4, (48, 96))
    for part in ("leftImg8bit", "gtFine"):
        shutil.rmtree(tmp_path / "target" / part / "val")
    lab = Lab("smoke", pair_of(str(tmp_path / "source"), str(tmp_path / "target")), runs=tmp_path / "runs")
    result = lab.train("bisenet", "source-only", steps=2).result
    assert result["miou_target"] is None and result["best"] is None


def test_photographs_stand_with_their_attribution(camvid, tmp_path):
    lab = Lab("smoke", "minicity-camvid", runs=tmp_path, data=camvid)
    note = report.result_table(report.source_only_and_oracle(lab), lab).note
    assert "Brostow" in note and "CC BY-NC 4.0" in note and "11 classes" in note
    if not (camvid / "camvid" / "test").is_dir():
        assert "split val" in note and "best on the same pictures" in note


def test_per_class_table_tells_absent_from_not_scored():
    table = report.per_class_table({"a": {"road": 0.5, "car": float("nan")}, "b": {"road": 0.25}})
    assert list(table.index) == ["road", "car", "mean"]
    assert (
        table.loc["car", "a"] == "absent" and table.loc["car", "b"] == "" and table.loc["mean", "a"] == "50.0 (over 1)"
    )
    assert list(report.per_class_table({"all": dict.fromkeys(CLASS_NAMES, 0.1)}).index) == [*CLASS_NAMES, "mean"]


def test_shown_source_is_the_source():
    assert "def cross_entropy(" in report.show_source(cross_entropy).data


def test_recorded_results_are_of_the_default_budget():
    for pair in ("minicity", "minicity-camvid"):
        found = report.load_results("baitan2025.table2", pair)
        assert found is not None, f"results/ has no sweep of {pair}"
        assert found["seeds"] == [0, 1, 2] and found["environment"]["commit"], "a number without its commit"
        assert found["steps"] == 300 and not found["environment"]["commit"].endswith("+")

"""Sweeps: what a dry run says without data, what is refused before anything is trained, real ones on made folders."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from labkit import cli, papers, report
from labkit.data.export import make
from labkit.errors import LabError, UnknownNameError
from labkit.lab import Lab
from labkit.labels import colorize
from labkit.profiles import PAIRS, PROFILES
from labkit.report import sweeps
from labkit.report.counts import counts_file, load_counts
from labkit.report.plans import experiment_of, fitting, missing, sweep_lab, values_of
from labkit.report.recording import picture_file, pictures_folder
from labkit.report.results import data_title, load_results
from labkit.report.sweep_tables import SWEEPS, Row, Sweep

SMALL = {"steps": 1, "evaluate_every": 0}
HERE = Row("here", "bisenet", "source-only", ("A4",), SMALL)
THERE = Row("there", "bisenet", "oracle", ("A2",), SMALL)


def of_rows(monkeypatch, *rows: Row) -> str:
    """The name of a sweep of these rows."""
    monkeypatch.setitem(SWEEPS, "baitan2025.table99", Sweep("gta5-cityscapes", rows))
    return "baitan2025.table99"


def run_of(outcome: dict, row: int = 0) -> str:
    (name,) = outcome["rows"][row]["runs"]
    return name


# --- the list ---------------------------------------------------------------------------------------------------------

NOT_PUBLISHED = {
    "baitan2025.table2": {"oracle"},  # stands in Table 1
    "baitan2025.table3": {"13"},  # missing in the paper
}


@pytest.mark.parametrize("name", SWEEPS)
def test_rows_are_those_of_the_published_table(name):
    paper, table = name.split(".")
    names = [row.name for row in SWEEPS[name].rows]
    assert len(set(names)) == len(names)
    if table.startswith("figure") or SWEEPS[name].note.startswith("No table of the paper"):
        return
    published = papers.load(paper, table)
    if name == "yan2022.table6":  # a table of two entries: loss and threshold
        printed = {f"{loss}, {column}" for loss in published.index for column in published.columns}
        printed -= {f"{loss}, dynamic" for loss in published.index if loss != "Focal"}  # dashes
        assert set(names) == printed
        return
    assert set(names) - NOT_PUBLISHED.get(name, set()) <= set(published.index)
    left_out = set(published.index) - set(names)
    assert not left_out or paper == "yan2022", "only yan2022 quotes rows of other papers"
    assert all(re.search("DeepLabV2", row) for row in left_out)


def test_every_table_of_experiments_is_there():
    costs_and_colours = {"baitan2025.table6", "yan2022.table7"}
    printed = {f"{paper}.{table}" for paper in papers.PAPERS for table in papers.table_names(paper)}
    assert printed - set(SWEEPS) == costs_and_colours


def test_every_row_has_its_ids():
    known = {
        f"{letter}{number}"
        for letter, count in zip("ABCD", (7, 5, 4, 7), strict=True)
        for number in range(1, count + 1)
    }
    for sweep in SWEEPS.values():
        for row in sweep.rows:
            assert row.experiment and set(row.experiment) <= known


# --- a dry run --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("pair", PAIRS)
def test_every_sweep_is_shown_without_data(profile, pair, tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("LABKIT_RUNS", str(tmp_path / "runs"))
    for name in SWEEPS:
        planned = report.plan_sweep(name, pair, profile, [0])
        assert [row["name"] for row in planned["rows"]] == [row.name for row in SWEEPS[name].rows]
        for row in planned["rows"]:
            assert {"steps", "batch_size", "learning_rate", "source_size", "target_size", "weights"} <= set(
                row["recipe"]
            )
        text = report.plan_text(planned)
        assert all(row.name in text for row in SWEEPS[name].rows)
        json.dumps(planned, allow_nan=False)
    assert not list(tmp_path.iterdir()), "something was written"


def test_a_dry_run_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path))
    words = ["sweep", "baitan2025.table1", "--pair", "gta5-cityscapes", "--profile", "paper", "--dry-run"]
    shown = CliRunner().invoke(cli.main, words)
    assert shown.exit_code == 0 and "learning_rate                0.025                §3.2" in shown.output
    assert re.search(r"max_iter .* ours; contradicts the 50 epochs of §4.2; printed: 300", shown.output)
    value = json.loads(CliRunner().invoke(cli.main, [*words, "--json", "--row", "BiSeNet"]).stdout)
    (row,) = value["rows"]
    assert row["experiment"] == ["A2", "A3"] and row["data"]["target"] == "cityscapes" and row["missing"] == []
    assert row["recipe"]["batch_size"] == {
        "value": 4,
        "section": "§4.2",
        "ours": False,
        "reason": "",
        "printed": None,
        "kind": "",
    }


def test_a_dry_run_shows_what_is_not_there(monkeypatch):
    adapted = Row("adapted", "transformer", "dreaming", ("A6",), start=Row("first", "perceptron", "oracle", ("A1",)))
    shown = CliRunner().invoke(cli.main, ["sweep", of_rows(monkeypatch, adapted), "--dry-run"])
    assert "NOT THERE YET: network transformer, method dreaming, network perceptron" in shown.output
    assert "begins with the weights of first" in shown.output


def test_a_method_without_the_setting_is_not_there(monkeypatch):
    (row,) = report.plan_sweep(
        of_rows(monkeypatch, Row("x", "bisenet", "oracle", ("A1",), {"fancy": 1.0})), "minicity", "smoke", [0]
    )["rows"]
    assert row["missing"] == ["setting fancy of method oracle"]


def test_rows_that_are_two_trainings_in_the_paper_are_two_in_every_profile():
    """Or one of them is refused: a network is not compared with itself."""

    def trainings(name: str, profile: str) -> dict[str, str]:
        planned = report.plan_sweep(name, "minicity", profile, [0])["rows"]
        values = {row["name"]: [row["model"], row["method"], row["recipe"]] for row in planned}
        return {
            row["name"]: json.dumps([values[row["name"]], values.get(row["start"])])
            for row in planned
            if not any("alone has" in one for one in row["missing"])
        }

    def same(rows: dict[str, str]) -> set[tuple[str, str]]:
        return {(a, b) for a in rows for b in rows if a < b and rows[a] == rows[b]}

    for name in SWEEPS:
        once = same(trainings(name, "paper"))
        for profile in PROFILES:
            assert same(trainings(name, profile)) <= once, f"{name} {profile}"
    assert "padded" not in trainings("loda2025.table2", "mini"), "nothing is padded at 96×192"


def test_the_starts_of_table1_hold_in_every_profile():
    for profile in PROFILES:
        rows = report.plan_sweep("loda2025.table1", "minicity", profile, [0])["rows"]
        assert [row["recipe"]["weights"]["value"] for row in rows] == ["coco", "imagenet", "imagenet"]


def test_translations_have_small_networks_for_small_pictures_and_phases_that_fit_every_profile():
    """Batches of one picture and the weights are the paper's in every profile; its phases, in steps, in its own."""
    small, whole = (2, 16, 16, 1e-3), (9, 64, 64, 2e-4)
    for profile, size in {"smoke": small, "mini": small, "mini-900": small, "gpu": whole, "paper": whole}.items():
        (row,) = report.plan_sweep("toldo2020.table1", "minicity", profile, [0], ["Ours (full)"])["rows"]
        fields = {name: field["value"] for name, field in row["recipe"].items()}
        networks = ("generator_blocks", "generator_filters", "discriminator_filters", "adversarial_learning_rate")
        assert tuple(fields[name] for name in networks) == size, profile
        assert (fields["batch_size"], fields["lambda_cycle"]) == (1, 20) and not row["missing"]
        assert fields["frozen_steps"] == (20_000 if profile == "paper" else None)


@pytest.mark.parametrize("table", ["table1", "table2", "table3", "table4", "table5", "table6", "figure7", "figure8"])
def test_stages_on_small_pictures_learn_from_the_source_as_it_is(table):
    name = f"yan2022.{table}"
    for profile, translated in (("mini", False), ("scratch", True), ("paper", True)):
        rows = report.plan_sweep(name, "minicity", profile, [0])["rows"]
        stages = [row for row in rows if row["model"] == "bisenet" and row["start"]]
        assert stages
        for row in stages:
            assert (row["translator"] is not None) == translated
            assert row["start"] == ("Baseline (IST), BiSeNet" if translated else "Source only")


def test_the_stages_and_the_leaderboard_share_their_trainings():
    lab = Lab("mini", "minicity", paper="yan2022")

    def identity(sweep, name):
        row = next(row for row in SWEEPS[f"yan2022.{sweep}"].rows if row.name == name)
        return sweeps._identity(fitting(row, lab), lab, 0)

    for others, on_board in (
        ((("stages", "Source only"),), "Source only"),
        ((("stages", "Source only, continued"),), "Source only, continued"),
        ((("table2", "Shannon, BiSeNet"), ("table6", "Shannon, 0.8")), "Shannon"),
        ((("table2", "Ours (stage 1), BiSeNet"), ("stages", "Stage 1")), "Threshold-adaptive focal"),
        ((("table3", "focal + threshold + mixing"), ("stages", "Stage 2")), "Threshold-adaptive focal + CIM"),
    ):
        assert {identity(*one) for one in others} == {identity("leaderboard", on_board)}


def test_the_published_pair_is_the_profiles_own():
    def pair_of(*words: str) -> str:
        shown = CliRunner().invoke(cli.main, ["sweep", "yan2022.table1", "--dry-run", "--json", *words])
        return json.loads(shown.stdout)["pair"]

    assert pair_of("--profile", "paper") == "synthia-cityscapes" and pair_of() == "minicity"
    assert pair_of("--profile", "paper", "--pair", "minicity") == "minicity"


def test_how_a_machine_does_it_is_asked_for_beside_the_rows():
    words = ["sweep", "baitan2025.table4", "--dry-run", "--profile", "paper", "--json", "--set", "precision=32-true"]
    (row,) = json.loads(CliRunner().invoke(cli.main, words).stdout)["rows"]
    assert row["recipe"]["precision"]["value"] == "32-true" and row["recipe"]["precision"]["ours"]
    refused = CliRunner().invoke(cli.main, [*words, "--set", "learning_rate=1"])
    assert refused.exit_code == 2 and "known: accumulate, evaluate_every, precision" in refused.output


# --- refused before anything is trained -------------------------------------------------------------------------------


def test_rows_that_are_not_there_stop_the_sweep_before_it_begins(monkeypatch, tmp_path):
    name = of_rows(monkeypatch, HERE, Row("later", "transformer", "oracle", ("A1",)))
    with pytest.raises(LabError, match=r"later: network transformer\. Rows that can be trained: here$"):
        report.sweep(name, "minicity", "smoke", [0], runs=tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(LabError, match="No row can be trained"):
        report.sweep(name, "minicity", "smoke", [0], rows=["later"], runs=tmp_path)


def test_a_row_that_is_itself_in_the_profile_paper_alone_is_refused_elsewhere(tmp_path):
    with pytest.raises(LabError, match="padded: a size that has to be padded, which the profile paper alone has"):
        report.sweep("loda2025.table2", "minicity", "smoke", [0], runs=tmp_path)
    lab = sweep_lab("loda2025.table2", "minicity", "paper")
    assert not any(missing(row, lab) for row in SWEEPS["loda2025.table2"].rows)


def test_a_seed_twice_is_refused(tmp_path):
    words = ["sweep", "baitan2025.table2", "--profile", "smoke", "--seeds", "0,1,0", "--runs", str(tmp_path / "runs")]
    refused = CliRunner().invoke(cli.main, words)
    assert refused.exit_code == 2 and "write each once" in refused.output and not (tmp_path / "runs").exists()


def test_data_that_are_not_there_stop_the_sweep_before_it_begins(monkeypatch, tmp_path):
    make(tmp_path / "data" / "gta5", "game", "gta5", 2, (48, 96))
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "data"))
    name = of_rows(monkeypatch, HERE, THERE)
    with pytest.raises(LabError, match="Cityscapes was not found"):
        report.sweep(name, "gta5-cityscapes", "smoke", [0], runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_target_without_labels_stops_the_sweep_before_it_begins(monkeypatch, tmp_path):
    name = of_rows(monkeypatch, HERE)
    monkeypatch.setattr(sweeps, "experiment_of", lambda row, lab, **more: replace(experiment_of(row, lab), report=None))
    with pytest.raises(LabError, match="minicity-real has no labels in its split test"):
        report.sweep(name, "minicity", "smoke", [0], runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_row_lists_the_known():
    with pytest.raises(UnknownNameError, match="known: BiSeNet, DeepLabV2"):
        report.sweep("baitan2025.table1", "minicity", "smoke", [0], rows=["bisenet"])


# --- trained ----------------------------------------------------------------------------------------------------------


def test_a_row_that_is_finished_is_found(monkeypatch, tmp_path):
    name = of_rows(monkeypatch, HERE, THERE)
    first = report.sweep(name, "minicity", "smoke", [0], rows=["here"], runs=tmp_path)
    (result,) = tmp_path.glob("*/result.json")
    written = result.stat().st_mtime_ns
    both = report.sweep(name, "minicity", "smoke", [0], runs=tmp_path)
    assert run_of(both) == run_of(first) and result.stat().st_mtime_ns == written
    assert [row["name"] for row in both["rows"]] == ["here", "there"] and run_of(both, 1) != run_of(both)
    assert both["rows"][0]["experiment"] == ["A4"] and both["rows"][0]["settings"] == SMALL


def test_each_row_says_its_own_length_size_and_data(monkeypatch, tmp_path):
    longer = Row("longer", "bisenet", "oracle", ("A2",), {"steps": 2, "target_size": (32, 64), "evaluate_every": 0})
    outcome = report.sweep(of_rows(monkeypatch, HERE, longer), "minicity", "smoke", [0], runs=tmp_path)
    here, there = outcome["rows"]
    assert (here["steps"], here["size"], here["data"]) == (1, [48, 96], "MiniCity game → MiniCity real")
    assert (there["steps"], there["size"], there["data"]) == (2, [32, 64], "MiniCity real, train → test")
    assert outcome["steps"] is None and outcome["size"] is None and outcome["report"]["data"] == "MiniCity real"
    alone = report.sweep(outcome["sweep"], "minicity", "smoke", [0], rows=["longer"], runs=tmp_path)
    assert alone["steps"] == 2 and alone["size"] == [32, 64]


def test_unlabelled_pictures_of_other_data_are_named():
    adapted = Lab("smoke", unlabelled="minicity-toon").experiment("bisenet", "adversarial")
    assert data_title(adapted.describe()) == "MiniCity game with MiniCity toon → MiniCity real"
    adapted = Lab("smoke").experiment("bisenet", "adversarial")
    assert data_title(adapted.describe()) == "MiniCity game → MiniCity real"


def test_how_reaches_a_row_and_its_start(monkeypatch, tmp_path):
    later = Row("later", "bisenet", "oracle", ("A2",), SMALL, start=HERE)
    name = of_rows(monkeypatch, later)
    outcome = report.sweep(name, "minicity", "smoke", [0], how={"accumulate": "2"}, device="cpu", runs=tmp_path)
    found = [json.loads(path.read_text())["recipe"] for path in tmp_path.glob("*/description.json")]
    assert [recipe["accumulate"] for recipe in found] == [2, 2]
    assert outcome["rows"][0]["settings"]["accumulate"] == 2


def test_a_row_begins_with_the_weights_of_another(monkeypatch, tmp_path):
    import hashlib

    later = Row("later", "bisenet", "oracle", ("A2",), SMALL, start=HERE)
    outcome = report.sweep(of_rows(monkeypatch, later), "minicity", "smoke", [0], runs=tmp_path)
    (first,) = (path.parent for path in tmp_path.glob("*/result.json") if "source-only" in path.parent.name)
    digest = hashlib.sha256((first / "weights.safetensors").read_bytes()).hexdigest()
    described = json.loads((tmp_path / run_of(outcome) / "description.json").read_text())
    assert described["model"]["weights"] == f"sha256:{digest}"


def test_row_settings_hold_in_every_profile(tmp_path):
    outcome = report.sweep("baitan2025.table7", "minicity", "smoke", [0], rows=["0"], runs=tmp_path)
    recipe = json.loads((tmp_path / run_of(outcome) / "description.json").read_text())["recipe"]
    assert recipe["optimizer"] == "adam" and recipe["betas"] == [0.9, 0.99] and recipe["learning_rate"] == 1e-4
    assert (recipe["flip"], recipe["jitter"], recipe["blur"]) == (0, 0.5, 0.5)
    assert recipe["steps"] == PROFILES["smoke"].steps


def test_source_only_is_one_training_in_all_tables_of_baitan():
    """Row 23 of Table 3 is Table 5's γ = 0, and no augmentation is Table 2: the store finds them."""
    lab = sweep_lab("baitan2025.table3", "minicity", "smoke")
    rows = {
        name: {row.name: row for row in SWEEPS[f"baitan2025.{name}"].rows} for name in ("table2", "table3", "table5")
    }
    for one, other in (
        (rows["table3"]["23"], rows["table5"]["0"]),
        (rows["table5"]["2"], SWEEPS["baitan2025.table8"].rows[0]),
    ):
        descriptions = [
            lab.experiment(row.model, row.method, stage=row.stage, **values_of(row, lab)).describe()
            for row in (one, other)
        ]
        assert descriptions[0] == descriptions[1]


def test_the_comparison_of_adversarial_trainings_shares_those_of_the_tables():
    """Only what is not in a table is trained for it; λ is the paper's where the row does not change it."""
    lab = sweep_lab("baitan2025.adversarial", "minicity", "smoke")
    rows = {row.name: row for row in SWEEPS["baitan2025.adversarial"].rows}
    described = {name: experiment_of(row, lab).describe() for name, row in rows.items()}
    (augmented,) = [row for row in SWEEPS["baitan2025.table3"].rows if row.name == "23"]
    assert described["source only"] == experiment_of(augmented, lab).describe()
    (table4,) = SWEEPS["baitan2025.table4"].rows
    assert described["adversarial"] == experiment_of(table4, lab).describe()
    recipes, methods = ([d[part] for d in described.values()] for part in ("recipe", "method"))
    assert {(recipe["flip"], recipe["jitter"], recipe["blur"]) for recipe in recipes} == {(0.0, 0.5, 0.5)}
    assert [m["lambda_adv"] for m in methods if "lambda_adv" in m] == [0.0, 0.0, 0.001, 0.001, 0.001, 0.001]
    paper = sweep_lab("baitan2025.adversarial", "minicity", "paper")
    assert not [absent for row in rows.values() for absent in missing(row, paper)]


def test_the_table_is_whole_on_a_narrow_terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "40")
    name = of_rows(monkeypatch, replace(HERE, name="a row with a name that takes half of the line"))
    shown = CliRunner().invoke(cli.main, ["sweep", name, "--profile", "smoke", "--seeds", "0", "--runs", str(tmp_path)])
    assert shown.exit_code == 0 and "best*" in shown.stdout and "single seeds" in shown.stdout
    assert "..." not in shown.stdout and "\\" not in shown.stdout


def test_recorded_predictions_are_small_label_maps(monkeypatch, tmp_path):
    name = of_rows(monkeypatch, HERE, THERE)
    outcome = report.sweep(name, "minicity", "smoke", [0], rows=["there"], pictures=tmp_path / "out", runs=tmp_path)
    lab = Lab("smoke", runs=tmp_path)
    shown = outcome["rows"][0]["pictures"]
    assert list(shown) == [lab.target()[index].name for index in (0, 2, 4)]  # of six, spread evenly
    samples = {sample.name: sample for sample in lab.target()}
    (run,) = lab.store.all()
    for picture, file in shown.items():
        assert file.startswith(f"{name}.minicity.smoke/there-")
        stored = Image.open(tmp_path / "out" / file)
        assert stored.mode == "P" and (tmp_path / "out" / file).stat().st_size < 20_000
        (expected,) = lab.predict(run, [samples[picture]])
        np.testing.assert_array_equal(np.asarray(stored), expected)
        np.testing.assert_array_equal(np.asarray(stored.convert("RGB")), colorize(expected))


@pytest.mark.slow
def test_a_board_recorded_in_parts_has_the_counts_of_all_its_rows(monkeypatch, tmp_path):
    monkeypatch.setitem(SWEEPS, "baitan2025.table99", Sweep("gta5-cityscapes", (HERE, THERE), by_picture=True))
    folder = tmp_path / "results"
    asked = ["sweep", "baitan2025.table99", "--profile", "smoke", "--seeds", "0", "--runs", str(tmp_path / "runs")]
    for row in ("there", "here"):
        result = CliRunner().invoke(cli.main, [*asked, "--row", row, "--record", str(folder)])
        assert result.exit_code == 0, result.output
    found = load_results("baitan2025.table99", "minicity", "smoke", folder)
    assert [row["name"] for row in found["rows"]] == ["here", "there"]
    counts = load_counts(found, folder)  # raises where they do not give the recorded scores
    assert {name: len(of) for name, of in counts.items()} == {"here": 1, "there": 1}
    assert len({name for row in found["rows"] for name in row["pictures"].values()}) == 6
    assert all((folder / name).is_file() for row in found["rows"] for name in row["pictures"].values())

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(sweeps, "train_with_start", lambda *_: pytest.fail("it was trained before it was refused"))
    refused = CliRunner().invoke(cli.main, [*asked[:-4], "--seeds", "1", "--row", "here", "--record", str(folder)])
    assert refused.exit_code == 2 and "Their seeds: 0; of the new ones: 1" in refused.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    monkeypatch.undo()

    monkeypatch.setitem(SWEEPS, "baitan2025.table99", Sweep("gta5-cityscapes", (HERE, THERE), by_picture=True))
    (folder / "baitan2025.table99.minicity.smoke" / "counts.npz").write_bytes(b"damaged")
    picture = folder / "baitan2025.table99.minicity.smoke" / "here-1.png"
    picture.write_bytes(b"as it was")
    result = CliRunner().invoke(cli.main, [*asked, "--row", "here", "--record", str(folder)])
    assert (
        result.exit_code == 2 and "counts.npz: damaged" in result.output and "record the sweep again" in result.output
    )
    assert picture.read_bytes() == b"as it was", "what cannot be joined writes nothing"
    again = CliRunner().invoke(cli.main, [*asked, "--record", str(folder)])
    assert again.exit_code == 0, again.output
    assert set(load_counts(load_results("baitan2025.table99", "minicity", "smoke", folder), folder)) == {
        "here",
        "there",
    }


@pytest.mark.parametrize("name", SWEEPS)
def test_no_two_rows_write_the_same_picture(name):
    files = [picture_file(row.name, 1) for row in SWEEPS[name].rows]
    assert len(set(files)) == len(files) and all(re.fullmatch(r"[a-z0-9.=-]+-1\.png", file) for file in files)


def test_records_of_other_data_have_pictures_and_counts_of_their_own():
    own = {"sweep": "baitan2025.table2", "pair": "gta5-cityscapes", "profile": "smoke", "data": "GTA5 → Cityscapes"}
    drawn = own | {"data": "MiniCity game (GTA5 format) → MiniCity real (Cityscapes format)"}
    places = [pictures_folder(one, Path("results")) for one in (own, drawn)]
    assert places[0] == Path("results/baitan2025.table2.gta5-cityscapes.smoke") != places[1]
    assert [counts_file(one, Path("results")).parent for one in (own, drawn)] == places


def test_table1_on_folders_in_the_papers_formats(tmp_path, monkeypatch):
    """MiniCity written as GTA5 and Cityscapes, both networks trained on it through the command line, and recorded."""
    make(tmp_path / "data" / "gta5", "game", "gta5", 4, (96, 192))
    make(tmp_path / "data" / "cityscapes", "real", "cityscapes", 10, (96, 192))
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABKIT_RUNS", str(tmp_path / "runs"))
    words = ["sweep", "baitan2025.table1", "--pair", "gta5-cityscapes", "--profile", "smoke", "--seeds", "0"]
    done = CliRunner().invoke(cli.main, [*words, "--record", str(tmp_path / "results"), "--json"])
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    (recorded,) = (tmp_path / "results").glob("*.json")
    assert recorded.name.startswith("baitan2025.table1.gta5-cityscapes.smoke.minicity-game-gta5-format-"), "not GTA5's"
    assert json.loads(recorded.read_text()) == value
    assert value["report"] | {"images": 0} == {
        "data": value["report"]["data"],
        "split": "val",
        "images": 0,
        "evaluation": "miou",
    }
    for title in (value["report"]["data"], *value["data"].split(" → ")):
        assert "MiniCity" in title, "a number on generated pictures has to say so"
    assert [(row["name"], row["model"]) for row in value["rows"]] == [
        ("DeepLabV2", "deeplabv2"),
        ("BiSeNet", "bisenet"),
    ]
    for row in value["rows"]:
        assert all((tmp_path / "results" / file).is_file() for file in row["pictures"].values()) and row["pictures"]
        assert 0 <= row["miou"][0] <= 1 and row["steps"] == PROFILES["smoke"].steps and row["seconds"][0] > 0
    assert {"hardware", "commit", "precision", "date"} <= set(value["environment"]) and value["seeds"] == [0]

"""To reproduce a published table: one command each, the paper's recipe field by field, and run on made folders.

The folders are in GTA5's, SYNTHIA's and Cityscapes' own formats, made by the commands of ``book/reproduce.md``. Every
table is run in smoke, with the rows of :data:`REHEARSED`; with ``LABKIT_EVERY_ROW=1`` in the environment, all
of its rows (some minutes).
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_documents import commands, parsed, text

from labkit import cli, papers, settings
from labkit.errors import UnknownNameError
from labkit.lab import Inputs, Lab
from labkit.methods.registry import method_class
from labkit.papers.experiments import experiments
from labkit.papers.recipes import Field, recipe, stage_of, steps_of
from labkit.report import plan_sweep
from labkit.report.ledger import command, cost_commands, ledger
from labkit.report.plans import experiment_of, missing, resolve
from labkit.report.reproduce import reproducible, reproduction
from labkit.report.sweep_tables import SWEEPS, Row, Sweep
from labkit.training.method import SOURCE, TARGET
from labkit.training.recipe import Recipe

TABLES = [name for name in reproducible() if name in SWEEPS]

REHEARSED = {
    "baitan2025.table1": ["BiSeNet"],
    "baitan2025.table2": ["source only", "oracle"],
    "baitan2025.table3": ["23"],
    "baitan2025.table4": ["adversarial"],
    "baitan2025.table5": ["0", "2"],  # γ = 0 is row 23 above
    "baitan2025.table7": ["3"],
    "baitan2025.table8": ["focal γ=2, SGD"],  # table5's row 2
    "loda2025.table1": ["ImageNet1k"],
    "loda2025.table2": ["480x256"],
    "loda2025.table3": ["U-Net 480x256"],
    "loda2025.table4": ["0"],
    "loda2025.table5": ["0"],
    "loda2025.table6": ["pre-adaptation", "0.01"],
    "loda2025.table7": ["0.01"],
    "loda2025.table8": ["U-Net, best source"],
    "toldo2020.table1": ["Source only", "Oracle"],
    "toldo2020.table2": ["CycleGAN"],
    "toldo2020.table3": ["Ours (λ_sem = 0)"],
    "yan2022.table1": ["Oracle, BiSeNet", "Baseline (IST), BiSeNet", "Ours (stage 2), BiSeNet"],
    "yan2022.table2": ["Shannon, BiSeNet"],
    "yan2022.table3": ["none", "focal + threshold"],  # trained for table1's stage two
    "yan2022.table4": ["2.0"],
    "yan2022.table5": ["a=1.0"],
    "yan2022.table6": ["Focal, 0.8"],
    "yan2022.figure7": ["Focal, 0.05"],
    "yan2022.figure8": ["1.0"],
}
"""The rows that are trained in smoke: cheap ones, and such as share their trainings."""


def with_those_before(row: Row) -> Iterator[Row]:
    yield row
    for other in row.before:
        yield from with_those_before(other)


# --- the commands ----------------------------------------------------------------------------------------------------


def test_every_published_table_has_its_command():
    printed = {f"{paper}.{table}" for paper in papers.PAPERS for table in papers.table_names(paper)}
    assert set(reproducible()) == printed - {"baitan2025.table6"} | {"yan2022.figure7", "yan2022.figure8"}
    assert set(TABLES) == set(REHEARSED), "one rehearsal each"
    for name in reproducible():
        one = reproduction(name)
        assert one.command or one.costs, name
        assert not one.lacking, f"{name}: rows that cannot be trained: {dict(one.lacking)}"
        assert one.caption.endswith(".") and one.experiments and one.printed.endswith(one.label)
    with pytest.raises(UnknownNameError, match=r"known: baitan2025\.table1"):
        reproduction("baitan2025.table6")
    with pytest.raises(UnknownNameError, match="known: baitan2025"):
        reproducible("nobody2020")


def test_every_experiment_with_numbers_is_in_a_table_that_has_one():
    listed = {name for table in reproducible() for name in reproduction(table).experiments}
    assert {name for name, one in experiments().items() if one.blocks} <= listed
    for one in experiments().values():
        for number in one.numbers:
            if not number.model and f"{number.paper}.{number.table}" in SWEEPS:
                about = reproduction(f"{number.paper}.{number.table}")
                assert number.pair == SWEEPS[about.name].pair and one.id in about.experiments
                quoted = number.reproduced_by[0][1] not in {row.name for row in SWEEPS[about.name].rows}
                assert command(number) == ("" if quoted else about.command)
            else:
                assert cost_commands(number)


@pytest.mark.parametrize("name", TABLES)
def test_the_command_is_the_whole_table_with_the_papers_schedule(name):
    words = shlex.split(reproduction(name).command)
    given = parsed(tuple(words[1:])).params
    assert words[0] == "labkit" and given["names"] == (name,) and given["profile"] == "paper"
    assert given["pair"] == SWEEPS[name].pair and given["rows"] == () and given["folder"] == Path("results")
    shown = CliRunner().invoke(cli.main, [*words[1:], "--dry-run", "--json"])
    assert shown.exit_code == 0 and json.loads(shown.stdout) == plan_sweep(name, SWEEPS[name].pair, "paper", [0, 1, 2])


@pytest.mark.parametrize("name", reproducible())
def test_the_commands_that_prepare_and_measure_exist(name):
    one = reproduction(name)
    for line in (*one.checks, *one.caches, *one.costs.values()):
        words = shlex.split(line)
        assert words[0] == "labkit" and parsed(tuple(words[1:]))
    assert bool(one.checks) == bool(one.caches) == bool(one.command)


def test_the_commands_of_the_page_exist():
    shown = commands("book/reproduce.md")
    assert len(shown) >= 4 and all(words[0] == "labkit" for words in shown)
    for words in shown:
        if words[-1] != "--help":
            assert parsed(tuple(words[1:]))
    assert all(f"```{{reproduce}} {paper}\n```" in text("book/reproduce.md") for paper in papers.PAPERS)


def test_what_the_commands_read():
    def read(name: str) -> list[str]:
        return list(reproduction(name).inputs)

    assert read("baitan2025.table1") == ["cityscapes"], "two oracles"
    assert read("loda2025.table4") == ["gta5", "cityscapes"] and read("toldo2020.table2") == ["synthia", "cityscapes"]
    assert read("yan2022.table1") == ["synthia", "cityscapes", "cityscapes-extra"]
    assert reproduction("loda2025.table2").inputs["gta5"] == ((256, 466), (256, 480))
    assert "labkit data check data/cityscapes --dataset cityscapes-extra" in reproduction("yan2022.table1").checks


def test_a_table_that_lacks_something_names_it_and_runs_the_rest(monkeypatch):
    rows = (Row("here now", "bisenet", "oracle", ("A1",)), Row("later", "transformer", "oracle", ("A1",)))
    monkeypatch.setitem(SWEEPS, "baitan2025.table2", Sweep("gta5-cityscapes", rows))
    one = reproduction.__wrapped__("baitan2025.table2")
    assert one.lacking == {"later": ("network transformer",)}
    assert shlex.split(one.command)[-4:] == ["--row", "here now", "--record", "results"]
    monkeypatch.setitem(SWEEPS, "baitan2025.table2", Sweep("gta5-cityscapes", rows[1:]))
    assert reproduction.__wrapped__("baitan2025.table2").command == ""


# --- the papers' recipes, field by field -----------------------------------------------------------------------------


def departures(row: Row, lab: Lab, table: str) -> list[str]:
    """Where a row, as it would be trained, differs from its paper's recipe without saying so."""
    stage = row.stage or stage_of(lab.paper, row.method)
    its = recipe(lab.paper, stage, model=row.model, source=lab.pair.source, method=row.method)
    sections = {field.section for field in its.values()} | {reproduction(table).printed.rpartition(", ")[0]}
    its |= {"steps": steps_of(its)}
    resolved = resolve(row, lab)
    own = {**row.settings, **row.budget}
    found = []
    begins = {**({"weights": row.start} if row.start else {}), **row.given}
    for name, other in begins.items():
        if resolved[name].value != f"the last of {other.name}" or "start" not in its:
            found.append(f"{name}: {resolved[name].value} instead of what the paper begins with")
    translated = "source_translation" in its and its["source_translation"].value == "cyclegan"
    if translated != (row.translator is not None):
        found.append("source_translation: not what the paper learns from")
    for name, field in its.items():
        if name in begins:
            continue
        if name in own:
            said = resolved[name]
            sure = said.section and any(one.startswith(said.section) for one in sections)
            if said.value != own[name] or not (sure or (said.ours and said.reason)):
                found.append(f"{name}: {said.value} of section {said.section!r}")
        elif resolved[name] != field:
            found.append(f"{name}: {resolved[name]} instead of {field}")
    for name, said in resolved.items():
        if name not in {*its, *own, *begins} and not (said.ours and said.reason):
            found.append(f"{name}: {said.value} is neither the paper's nor ours")
    return found


@pytest.mark.parametrize("name", TABLES)
def test_the_configuration_is_the_papers_recipe_field_by_field(name):
    lab = Lab("paper", SWEEPS[name].pair, paper=name.partition(".")[0])
    planned = plan_sweep(name, SWEEPS[name].pair, "paper", [0])["rows"]
    for row, about in zip(SWEEPS[name].rows, planned, strict=True):
        assert about["recipe"] == {field: one.as_json() for field, one in resolve(row, lab).items()}
        for one in with_those_before(row):
            assert not departures(one, lab, name), f"{row.name}, {one.name}"


PRINTED_OVERRIDDEN = {
    ("baitan2025.table3", "13"): {"jitter"},  # the combination that the paper leaves out
}
"""Printed values that a published table's row changes to values of ours."""


def test_no_row_changes_a_printed_value_to_one_of_ours():
    found: dict[tuple[str, str], set[str]] = {}
    for name in TABLES:
        lab = Lab("paper", SWEEPS[name].pair, paper=name.partition(".")[0])
        for row in SWEEPS[name].rows:
            stage = row.stage or stage_of(lab.paper, row.method)
            its = recipe(lab.paper, stage, model=row.model, source=lab.pair.source, method=row.method)
            resolved = resolve(row, lab)
            for field, printed in its.items():
                if not printed.ours and resolved[field].ours and resolved[field].value != printed.value:
                    found.setdefault((name, row.name), set()).add(field)
    assert found == PRINTED_OVERRIDDEN


@pytest.mark.parametrize(
    ("changes", "noticed"),
    [
        ({}, []),
        ({"settings": {"learning_rate": 0.5}, "section": "§9"}, ["learning_rate"]),
        ({"stage": "adversarial"}, ["jitter", "blur"]),
        ({"settings": {"learning_rate": 0.5}}, []),  # which is marked as ours
    ],
)
def test_a_row_that_departs_from_the_recipe_would_be_noticed(changes, noticed, monkeypatch):
    lab = Lab("paper", "gta5-cityscapes", paper="baitan2025")
    row = Row("x", "bisenet", "source-only", ("A4",), **{**changes, "stage": None})
    if "stage" in changes:  # trained with another stage's values under the name of its own
        other = resolve(replace(row, stage=changes["stage"]), lab)
        monkeypatch.setattr("test_reproduce.resolve", lambda row, lab: other)
    assert {text.partition(":")[0] for text in departures(row, lab, "baitan2025.table2")} >= set(noticed)
    assert bool(departures(row, lab, "baitan2025.table2")) == bool(noticed)


def test_a_field_without_source_would_be_noticed(monkeypatch):
    lab = Lab("paper", "gta5-cityscapes", paper="baitan2025")
    row = Row("x", "bisenet", "source-only", ("A4",))
    spoilt = resolve(row, lab) | {"dice": Field(0.5)}
    monkeypatch.setattr("test_reproduce.resolve", lambda row, lab: spoilt)
    assert departures(row, lab, "baitan2025.table2") == ["dice: 0.5 is neither the paper's nor ours"]


# --- on folders in the data sets' own formats ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """What the page's commands make; and Cityscapes' further pictures, which have no labels."""
    root = tmp_path_factory.mktemp("rehearsal")
    made = [words for words in commands("book/reproduce.md") if words[:3] == ["labkit", "data", "make"]]
    assert [Path(words[3]).name for words in made] == ["gta5", "synthia", "cityscapes"]
    for words in made:
        folder = root / Path(words[3]).name
        done = CliRunner().invoke(cli.main, ["data", "make", str(folder), *words[4:]])
        assert done.exit_code == 0, done.output
        assert CliRunner().invoke(cli.main, ["data", "check", str(folder)]).exit_code == 0
    extra = root / "cityscapes" / "leftImg8bit" / "train_extra" / "bayreuth"
    extra.mkdir(parents=True)
    for number, path in enumerate(sorted((root / "cityscapes" / "leftImg8bit" / "train").rglob("*.png"))):
        (extra / f"bayreuth_{number:06}_000000_leftImg8bit.png").write_bytes(path.read_bytes())
    return root


@pytest.mark.parametrize("name", TABLES)
def test_what_would_be_trained_on_folders_is_the_plan(name, folders):
    """The opened experiment, not only its plan, has the recipe's values; with the paper's schedule, untrained."""
    lab = Lab("paper", SWEEPS[name].pair, paper=name.partition(".")[0], data=folders)
    for row in {one.name: one for whole in SWEEPS[name].rows for one in with_those_before(whole)}.values():
        fields = {field: one.value for field, one in resolve(row, lab).items()}
        experiment = experiment_of(row, lab)
        own = {key: value for part in (experiment.recipe, experiment.method) for key, value in vars_of(part).items()}
        assert own == {key: fields[key] for key in own}, row.name
        assert row.start or experiment.weights == fields["weights"]
        assert {"steps", "batch_size", "learning_rate"} <= set(own) and row.method == experiment.method.name
        assert experiment.report.fingerprint()["size"] == list(fields["target_size"])
        for stream, dataset in experiment.datasets.items():
            size = fields["source_size" if stream == SOURCE else "target_size"]
            assert dataset.fingerprint()["size"] == list(size), stream
        if TARGET in experiment.datasets:
            extra = fields.get("unlabelled") == "cityscapes-extra"
            assert ("extra" in experiment.datasets[TARGET].name) == extra
        words_alone = set(fields) - set(own) - {*settings.names(Inputs), *settings.names(method_class(row.method))}
        assert not words_alone & set(settings.names(Recipe))


def vars_of(part) -> dict:
    """Its settings, as they are."""
    return {name: getattr(part, name) for name in settings.names(type(part))}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """One store for all tables, as on a student's machine: what one has trained, the next finds."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def no_download(monkeypatch):
    """Table 1 of loda2025 compares downloaded starts in every profile: here, random ones of the same shape."""
    from torchvision.models import resnet50

    def stand_in(name: str):
        assert name.startswith("ResNet50"), f"{name} is not rehearsed"
        return resnet50(weights=None).state_dict()

    monkeypatch.setattr("labkit.models.weights.torchvision_weights", stand_in)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_command_runs_from_end_to_end_in_smoke(name, folders, runs, no_download, tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_DATA", str(folders))
    monkeypatch.setenv("LABKIT_RUNS", str(runs))
    lab = Lab("smoke", SWEEPS[name].pair, paper=name.partition(".")[0])
    able = [row.name for row in SWEEPS[name].rows if not missing(row, lab) and row.settings.get("weights") != "coco"]
    rows = able if os.environ.get("LABKIT_EVERY_ROW") else REHEARSED[name]
    words = shlex.split(reproduction(name).command)[1:]
    words[words.index("paper")], words[words.index("results")] = "smoke", str(tmp_path)
    words += ["--seeds", "0", "--json", *(word for row in rows for word in ("--row", row))]
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    assert (outcome["sweep"], outcome["pair"], outcome["profile"]) == (name, SWEEPS[name].pair, "smoke")
    assert {row["name"] for row in outcome["rows"]} == set(rows)
    (recorded,) = tmp_path.glob("*.json")
    assert json.loads(recorded.read_text(encoding="utf-8")) == outcome
    assert "minicity" in recorded.name, "recorded as what it is, not as the paper's data"
    by_name = {row.name: row for row in SWEEPS[name].rows}
    for row in outcome["rows"]:
        assert "MiniCity" in row["data"] and 0 <= row["miou"][0] <= 1
        assert all((tmp_path / file).is_file() for file in row["pictures"].values()) and row["pictures"]
        described = json.loads((runs / row["runs"][0] / "description.json").read_text(encoding="utf-8"))
        trained = described["recipe"] | described["method"]
        for field, value in by_name[row["name"]].settings.items():
            assert field == "weights" or trained[field] == value, "the row's own settings hold in smoke too"
    entries = [entry for entry in ledger(name.partition(".")[0], tmp_path) if entry.number]
    assert {entry.state for entry in entries} <= {"not run", "not measured here", "computed"}, "drawn pictures"

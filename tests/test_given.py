"""What a method is handed before its first step: other trainings' weights, and the labelled data sets."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from click.testing import CliRunner

from labkit import cli
from labkit.data.check import check
from labkit.data.memory import InMemory
from labkit.errors import LabError, UnknownNameError
from labkit.lab import Lab
from labkit.methods.supervised import SourceOnly
from labkit.models.registry import create_model
from labkit.report.sweep_tables import SWEEPS
from labkit.report.sweeps import train_with_start
from labkit.training.experiment import train
from labkit.training.method import SOURCE, TARGET
from labkit.translate import load_generators, translated_in_memory


@dataclass
class Taught(SourceOnly):
    """Source only, beside a network of another training's that does nothing."""

    name: ClassVar[str] = "taught"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    given: ClassVar[tuple[str, ...]] = ("elder",)
    keeps: ClassVar[tuple[str, ...]] = ("elder",)

    def build(self, model):
        return {"elder": copy.deepcopy(model).requires_grad_(False)}

    def receive(self, labelled):
        Taught.received = labelled  # the loop works with a copy of the method

    def training_mode(self):
        self.model.train()
        self.networks["elder"].eval()


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return Lab("smoke", runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def first(lab):
    return lab.train("bisenet", "source-only", steps=4)


def last(run):
    return run.folder / "weights.safetensors"


def test_a_network_begins_and_stays_with_the_weights_it_was_given(lab, first):
    run = lab.train("bisenet", Taught(), given={"elder": last(first)})
    assert run.network_file("elder").read_bytes() == last(first).read_bytes()
    assert last(run).read_bytes() != last(first).read_bytes()
    assert set(Taught.received) == {SOURCE}, "the target's pictures come with labels, which no method may see"
    assert Taught.received[SOURCE].name == lab.source().name


def test_the_given_weights_are_a_part_of_the_runs_name(lab, first, tmp_path):
    other = lab.train("bisenet", "source-only", steps=2)
    names = [
        lab.store.request(lab.experiment("bisenet", Taught(), given={"elder": file}).describe()).name
        for file in (last(first), last(other))
    ]
    assert names[0] != names[1]
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes(last(first).read_bytes())
    again = lab.experiment("bisenet", Taught(), given={"elder": copied})
    assert lab.store.request(again.describe()).name == names[0], "a file counts by its content"
    assert "given" not in lab.experiment("bisenet", "source-only").describe()


def test_weights_that_lack_or_are_too_many_are_refused_before_there_is_a_folder(lab, first, tmp_path):
    asked = (
        ({}, LabError, "taught needs weights of another training for its network elder"),
        ({"elder": last(first), "child": last(first)}, UnknownNameError, "child"),
    )
    before = len(lab.store.all())
    for given, error, words in asked:
        with pytest.raises(error, match=words):
            train(lab.experiment("bisenet", Taught(), given=given), lab.store)
    with pytest.raises(LabError, match=r"nowhere\.safetensors: cannot be read"):
        train(lab.experiment("bisenet", Taught(), given={"elder": tmp_path / "nowhere.safetensors"}), lab.store)
    with pytest.raises(UnknownNameError, match="elder"):
        train(lab.experiment("bisenet", "source-only", given={"elder": last(first)}), lab.store)
    assert len(lab.store.all()) == before


def test_weights_of_another_network_are_refused(lab, tmp_path):
    from safetensors.torch import save_file

    file = tmp_path / "other.safetensors"
    save_file({"layer": torch.zeros(2)}, file)
    with pytest.raises(LabError, match=r"other.safetensors do not fit"):
        lab.train("bisenet", Taught(), given={"elder": file})


def test_source_pictures_of_ones_own_take_the_sources_place(lab):
    translator = lab.train("bisenet", "cyclegan-translation", **SMALL)
    pictures = translated_in_memory(lab.source(), translator)
    assert isinstance(pictures, InMemory) and len(pictures) == len(lab.source())
    assert (pictures[3].label == lab.source()[3].label).all() and (pictures[3].image != lab.source()[3].image).any()
    own = lab.experiment("bisenet", "source-only", source=pictures)
    assert own.datasets[SOURCE] is pictures
    described = own.describe()
    assert described["data"][SOURCE]["restyled"]["generator"]
    assert described["sources"] != lab.experiment("bisenet", "source-only").describe()["sources"]


SMALL = {"generator_blocks": 1, "generator_filters": 4, "discriminator_filters": 4, "batch_size": 1}


def test_the_translation_alone_leaves_the_segmenter_as_it_starts(lab):
    run = lab.train("bisenet", "cyclegan-translation", **SMALL)
    untouched = create_model("bisenet", num_classes=19, seed=lab.seed).state_dict()
    assert all(torch.equal(value, untouched[name]) for name, value in run.load_model().state_dict().items())
    assert load_generators(run)["to_target"]
    losses = run.metrics
    assert {"loss/image-target", "loss/cycle"} <= set(losses) and "loss/main" not in losses


def test_the_command_line_gives_a_network_a_run(lab, first, monkeypatch):
    from labkit.methods.registry import METHODS

    monkeypatch.setitem(METHODS, "taught", f"{__name__}:Taught")
    words = ["train", "--profile", "smoke", "--method", "taught", "--runs", str(lab.store.folder), "--json"]
    answer = CliRunner().invoke(cli.main, [*words, "--given", f"elder={first.name}"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["steps"] == lab.profile.steps
    for wrong, text in (([], "--given elder=RUN"), (["--given", "elder"], "--given 'elder': write it as NETWORK=RUN")):
        refused = CliRunner().invoke(cli.main, [*words, *wrong])
        assert refused.exit_code == 2 and text in refused.output


def test_pictures_that_are_not_kept_in_memory_are_translated_into_a_folder(tmp_path):
    for name, style, form in (("gta5", "game", "gta5"), ("cityscapes", "real", "cityscapes")):
        words = ["data", "make", str(tmp_path / name), "--style", style, "--format", form, "--count", "6"]
        made = CliRunner().invoke(cli.main, [*words, "--size", "32x64"])
        assert made.exit_code == 0, made.output
    lab = Lab("smoke", "gta5-cityscapes", paper="yan2022", runs=tmp_path / "runs", data=tmp_path, workers=1)
    row = next(row for row in SWEEPS["yan2022.stages"].rows if row.translator)
    run = train_with_start(row, lab, 0)
    (folder,) = (tmp_path / "translated").iterdir()
    assert folder.name.startswith("gta5-bisenet-cyclegan-translation") and check(folder).ok == 6
    again = lab.from_source(str(folder)).experiment("bisenet", "source-only")
    assert run.description["data"][SOURCE] == again.describe()["data"][SOURCE]
    assert not isinstance(again.datasets[SOURCE], InMemory)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert train_with_start(row, lab, 0).name == run.name
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == before

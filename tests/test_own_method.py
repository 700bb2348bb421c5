"""The page on a method of one's own: its code runs, computes what it says, and its errors are the ones that come."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch import nn

from labkit.data.perturbation import Perturbation
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.methods.supervised import SourceOnly
from labkit.methods.unsupervised_focal import Neutral
from labkit.models.output import SegmentationOutput
from labkit.settings import setting
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.method import Batch, Objective, Term
from labkit.training.recipe import Recipe

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "book" / "own-method.md").read_text(encoding="utf-8")
METHOD, TRAINING, JUDGED = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)


def executed(*blocks: str) -> dict:
    """The names that blocks of the page define, executed one after the other, as cells of a notebook are."""
    names: dict = {"__name__": "__main__"}
    for block in blocks:
        cell = f"<cell {hash(block)}>"
        linecache.cache[cell] = (len(block), None, block.splitlines(True), cell)
        exec(compile(block, cell, "exec"), names)
    return names


def test_the_page_and_the_notebook_have_one_text():
    notebook = nbformat.read(ROOT / "notebooks" / "06_maximum_mean_discrepancy.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.id == "own-method"]
    assert cell.source == METHOD.rstrip("\n")
    assert len(METHOD.splitlines()) <= 30


def test_the_pages_code_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_RUNS", str(tmp_path))
    short = TRAINING.replace("Coral(weight=20)", "Coral(weight=20), steps=2, evaluate_every=1")
    assert short != TRAINING
    names = executed(METHOD, short)
    run = names["run"]
    assert run.name.startswith("bisenet-coral-seed0-") and run.folder.parent == tmp_path and run.finished
    assert run.description["method"] == {"name": "coral", "weight": 20.0, "beta": 0.4, "gamma": 0.0, "dice": 0.0}
    assert set(run.description["data"]) == {"source", "target"}
    assert list(run.metrics["step"]) == [1, 2] and (run.metrics["loss/coral"] > 0).all()
    coral, lab = names["Coral"], names["lab"]
    assert lab.conduct(lab.experiment("bisenet", coral(), weight=20, steps=2, evaluate_every=1)).resumed_from is None
    other = executed(METHOD.replace(" / 4", " / 5"))["Coral"]
    asked = {"steps": 2, "evaluate_every": 1, "weight": 20}
    assert lab.experiment("bisenet", other(), **asked).describe()["sources"] != run.description["sources"]


# --- CORAL's value ----------------------------------------------------------------------------------------------------


class Fixed(nn.Module):
    """Hands out given features for given pictures."""

    num_classes = 19

    def __init__(self, features: dict[str, torch.Tensor]):
        super().__init__()
        self.features = features

    def forward(self, images):
        logits = torch.zeros(len(images), self.num_classes, 4, 4)
        return SegmentationOutput(logits, (logits,), {"backbone": self.features[images]})


class Named(str):
    """Stands for the pictures of a stream."""

    def __len__(self):
        return 2


def coral_of(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    method = executed(METHOD)["Coral"]()
    method.model = Fixed({"source": source, "target": target})
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    batches = {"source": Batch(Named("source"), labels), "target": Batch(Named("target"), None)}
    (objective,) = method.objectives(batches)
    assert objective.terms["coral"].weight == method.weight and objective.terms["main"].weight == 1
    return objective.terms["coral"].loss


def vectors(maps: torch.Tensor) -> list[np.ndarray]:
    """The vectors of ``(N, d, h, w)``, one a position."""
    n, _, h, w = maps.shape
    return [maps[i, :, y, x].detach().double().numpy() for i, y, x in product(range(n), range(h), range(w))]


def naive_covariance(maps: torch.Tensor) -> np.ndarray:
    """Deep CORAL's equations 2 and 3, sum by sum, in float64."""
    rows, d = vectors(maps), maps.shape[1]
    n = len(rows)
    return np.array(
        [
            [
                (sum(f[i] * f[j] for f in rows) - sum(f[i] for f in rows) * sum(f[j] for f in rows) / n) / (n - 1)
                for j in range(d)
            ]
            for i in range(d)
        ]
    )


@pytest.fixture
def maps():
    draws = torch.Generator().manual_seed(0)
    source = torch.randn(2, 5, 2, 3, generator=draws)
    return source, 1.5 * torch.randn(2, 5, 3, 2, generator=draws) + 2


def test_coral_is_the_distance_of_covariances(maps):
    apart = naive_covariance(maps[0]) - naive_covariance(maps[1])
    expected = sum(value**2 for value in apart.flat) / (4 * 5**2)
    np.testing.assert_allclose(coral_of(*maps), expected, rtol=1e-5)


def test_coral_is_the_mmd_of_a_squared_product(maps):
    """What the notebook says: centred, with k(a, b) = ⟨a, b⟩² in its (6.2), but for n in place of n − 1."""
    centred = [[f - np.mean(vectors(one), axis=0) for f in vectors(one)] for one in maps]

    def mean(left, right):
        return np.mean([np.dot(a, b) ** 2 for a in left for b in right])

    source, target = centred
    n = len(source)
    discrepancy = mean(source, source) - 2 * mean(source, target) + mean(target, target)
    assert len(target) == n
    np.testing.assert_allclose(coral_of(*maps), discrepancy * (n / (n - 1)) ** 2 / (4 * 5**2), rtol=1e-5)


def test_coral_sees_spread_and_not_the_mean(maps):
    source, _ = maps
    assert coral_of(source, source + 3) < 1e-9 < 1e-3 < coral_of(source, 2 * source)


def test_coral_has_a_gradient_for_both_domains(maps):
    source, target = (one.clone().requires_grad_() for one in maps)
    for gradient in torch.autograd.grad(coral_of(source, target), (source, target)):
        assert gradient.isfinite().all() and gradient.abs().max() > 0


# --- the second example: own network, optimiser and state -------------------------------------------------------------


class Tiny(nn.Module):
    """One convolution, as a segmenter."""

    num_classes = 19

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 19, 3, padding=1)

    def forward(self, images):
        return SegmentationOutput(self.head(images), (), {"backbone": images})


@pytest.fixture
def training(squares):
    method = executed(METHOD, JUDGED)["Judged"]

    def new() -> Trainer:
        torch.manual_seed(0)
        sets = {"source": squares(), "target": squares(seed=1)}
        return Trainer(make_fabric(device="cpu"), Tiny(), method(), Recipe(steps=4, batch_size=4), sets, 0)

    return new


def test_the_judge_learns_is_watched_and_resumed(training):
    whole, half, rest = training(), training(), training()
    whole.method.right = half.method.right = 0.96  # listened to from the second step on
    begun = whole.networks["judge"].module.weight.detach().clone()
    assert list(whole.run()) == [1, 2, 3, 4]
    assert not torch.equal(begun, whole.networks["judge"].module.weight)
    assert set(whole.optimizers) == {"segmenter", "judge"} and 0 <= whole.metrics[-1]["judge is right"] <= 1

    for step in half.run():
        if step == 2:
            break
    rest.load_state_dict(half.state_dict())
    assert rest.method.right == half.method.right > 0.5
    assert list(rest.run()) == [3, 4]
    assert rest.metrics == whole.metrics and rest.method.right == whole.method.right
    for name in whole.networks:
        for a, b in zip(whole.networks[name].parameters(), rest.networks[name].parameters(), strict=True):
            assert torch.equal(a, b)


def test_the_segmenter_does_not_listen_to_a_judge_who_is_right_too_often(training):
    trainer = training()
    trainer.method.model, trainer.method.networks = Tiny(), {"judge": nn.Conv2d(19, 1, 1)}
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    batches = {"source": Batch(images, torch.zeros(2, 8, 8, dtype=torch.int64)), "target": Batch(images, None)}
    for right, weight in ((0.9, 0.001), (0.99, 0)):
        trainer.method.right = right
        assert next(trainer.method.objectives(batches)).terms["deceived"].weight == weight


# --- errors -----------------------------------------------------------------------------------------------------------


def plain():
    class Own(SourceOnly):
        name = "own"

    return Own()


def nameless():
    @dataclass
    class Own(SourceOnly):
        pass

    return Own()


def of_streams(given):
    @dataclass
    class Own(SourceOnly):
        name, streams = "own", given

    return Own()


def named(given):
    @dataclass
    class Own(SourceOnly):
        name = given

    return Own()


def out_of_range():
    @dataclass
    class Own(SourceOnly):
        name = "own"
        weight: float = setting(1.0, 0)

    return Own(weight=-1)


def changed_beside_its_settings():
    method = Neutral()
    method.perturbation = Perturbation(rotation=0)
    return method


def with_initialiser():
    class Own(SourceOnly):
        def __init__(self):
            self.weight = 1

    return Own()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (plain, "decorate the class with @dataclass"),
        (nameless, "give the class a name of its own"),
        (lambda: named("a b/c"), "give the class a name of its own"),
        (lambda: of_streams("source"), "has to be a tuple"),
        (lambda: of_streams(("source", "traget")), "unknown stream of method"),
        (out_of_range, "is outside its range"),
        (changed_beside_its_settings, "is not its class's and no setting"),
        (with_initialiser, "declare hyperparameters as fields of a @dataclass"),
    ],
)
def test_what_cannot_become_a_run_is_refused_at_once(tmp_path, fault, message):
    with pytest.raises(LabError, match=message):
        Lab("smoke", runs=tmp_path).experiment("bisenet", fault())
    assert f"`{message}" in PAGE and not list(tmp_path.iterdir())


def test_a_class_in_place_of_an_object_is_refused(tmp_path):
    with pytest.raises(LabError, match=r"give an object of it: Coral\(\)"):
        Lab("smoke", runs=tmp_path).experiment("bisenet", executed(METHOD)["Coral"])


def test_the_other_messages_of_the_page_are_what_comes(training, squares):
    def first_step(objectives):
        @dataclass
        class Own(SourceOnly):
            name = "own"

        Own.objectives = objectives
        trainer = Trainer(make_fabric(device="cpu"), Tiny(), Own(), Recipe(steps=1), {"source": squares()}, 0)
        list(trainer.run())

    def loss(self, batches):
        return self.supervised(self.model(batches["source"].images), batches["source"])["main"]

    def returned(self, batches):
        return Objective({"main": loss(self, batches)})

    def without_term(self, batches):
        yield Objective({"main": loss(self, batches).loss})

    def unknown_optimizer(self, batches):
        yield Objective({"main": loss(self, batches)}, optimizer="judge")

    def not_a_number(self, batches):
        yield Objective({"coral": Term(loss(self, batches).loss * float("nan"))})

    def without_labels(self, batches):
        target = Batch(batches["source"].images, None)
        yield Objective(self.supervised(self.model(target.images), target))

    for objectives, message in (
        (returned, "'Objective' object is not iterable"),
        (without_term, "'Tensor' object has no attribute 'weight'"),
        (unknown_optimizer, "unknown optimizer of an objective"),
        (not_a_number, "loss 'coral' is nan at step"),
        (without_labels, "must be Tensor, not NoneType"),
    ):
        assert message in PAGE
        with pytest.raises(Exception, match=message):
            first_step(objectives)


def test_a_network_without_an_optimiser_is_said(squares):
    judged = JUDGED.replace("def optimizer(", "def optimiser(")
    method = executed(METHOD, judged)["Judged"]()
    sets = {"source": squares(), "target": squares()}
    with pytest.raises(NotImplementedError, match="builds 'judge' but gives it no optimiser"):
        Trainer(make_fabric(device="cpu"), Tiny(), method, Recipe(steps=1), sets, 0)
    assert "`builds 'judge' but gives it no optimiser`" in PAGE


def test_what_a_method_keeps_has_to_be_there_and_to_have_a_name_of_its_own(tmp_path):
    from dataclasses import dataclass

    from labkit.errors import LabError, UnknownNameError
    from labkit.lab import Lab
    from labkit.methods.supervised import SourceOnly

    @dataclass
    class Forgetful(SourceOnly):
        name, keeps = "forgetful", ("teacher",)

    @dataclass
    class Careless(SourceOnly):
        name, keeps = "careless", ("weights",)

    lab = Lab("smoke-1", runs=tmp_path)
    with pytest.raises(UnknownNameError, match="network that method forgetful keeps 'teacher'"):
        lab.train("bisenet", Forgetful())
    with pytest.raises(LabError, match="keeps names weights"):
        lab.train("bisenet", Careless())
    assert not list(tmp_path.rglob("result.json"))

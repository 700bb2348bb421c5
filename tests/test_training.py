"""The loop: schedule, streams, accumulation, precision, losses that explode."""

from __future__ import annotations

import copy
import itertools
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit.data.dataset import Sample
from labkit.data.pairs import BadFileError
from labkit.errors import LabError, UnknownNameError
from labkit.methods.supervised import Oracle, SourceOnly
from labkit.models.output import SegmentationOutput
from labkit.settings import with_settings
from labkit.training.devices import make_fabric, precision_for
from labkit.training.loop import LOG_EVERY, NonFiniteLoss, Trainer
from labkit.training.method import Batch, Method, Objective, Term
from labkit.training.recipe import Recipe
from labkit.training.schedule import constant, poly, set_learning_rate
from labkit.training.streams import BatchIndices, batches


class TinyNetwork(nn.Module):
    """Two convolutions with the interface of a segmentation network; no batch norm, so that batches may be split."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 19, 1)

    def forward(self, images):
        features = torch.relu(self.features(images))
        logits = self.head(features)
        return SegmentationOutput(logits, (logits,) if self.training else (), {"features": features})


def trainer(squares, recipe=None, method=None, *, model=None, seed=0, **options) -> Trainer:
    torch.manual_seed(seed)
    method = method or SourceOnly()
    return Trainer(
        make_fabric(device="cpu"),
        model or TinyNetwork(),
        method,
        recipe or Recipe(steps=6, batch_size=4),
        {stream: squares() for stream in method.streams},
        seed,
        **options,
    )


def exhaust(training: Trainer) -> Trainer:
    for _ in training.run():
        pass
    return training


def weights(training: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in training.networks["segmenter"].parameters()])


# --- schedule ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.floats(0.1, 3))
def test_poly_falls_from_one_and_stays_positive(steps, power):
    factors = [poly(step, steps, power) for step in range(0, steps, max(1, steps // 50))]
    assert factors[0] == 1 and all(a > b > 0 for a, b in itertools.pairwise(factors))


def test_poly_against_the_printed_formula():
    # baitan2025 §3.2: α₀ = 2.5e-2, max_iter = 300, p = 0.9
    for t in (0, 1, 150, 299):
        assert 2.5e-2 * poly(t, 300, 0.9) == pytest.approx(2.5e-2 * (1 - t / 300) ** 0.9, rel=1e-12)


def test_warmup_and_poly_against_the_printed_formula():
    # yan2022 §IV-C: 100 iterations of warm-up, then (1 − (iter − warm_iter)/(total_iter − warm_iter))^0.9
    factors = [poly(step, 20_000, 0.9, warmup=100) for step in range(20_000)]
    assert factors[0] == pytest.approx(0.01) and factors[49] == pytest.approx(0.5) and factors[99] == factors[100] == 1
    for step in (101, 5_000, 19_999):
        assert factors[step] == pytest.approx((1 - (step - 100) / (20_000 - 100)) ** 0.9, rel=1e-12)


def test_a_warmup_longer_than_the_training_only_rises():
    factors = [poly(step, 8, warmup=100) for step in range(8)]
    assert factors == [pytest.approx((step + 1) / 100) for step in range(8)]


def test_a_constant_rate_stays(squares):
    assert {constant(step) for step in range(50)} == {1.0}  # loda2025 §3: no scheduler
    assert [constant(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    training = exhaust(trainer(squares, Recipe(steps=20, batch_size=2, schedule="constant")))
    assert {row["learning_rate"] for row in training.metrics} == {2.5e-2}


def test_the_schedule_steps_every_group():
    a, b = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 10.0}])
    for factor in (0.5, 0.25):
        set_learning_rate(optimizer, factor)
        assert [group["lr"] for group in optimizer.param_groups] == [factor, 10 * factor]


# --- streams ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5), st.integers(0, 30), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_batches_do_not_depend_on_where_one_begins(length, per_device, seed, first, world):
    size, last = per_device * world, 40
    whole = list(BatchIndices(length, size, seed, 0, last))
    assert list(BatchIndices(length, size, seed, first, last)) == whole[first:]
    shares = [list(BatchIndices(length, size, seed, first, last, rank, world)) for rank in range(world)]
    for number, batch in enumerate(whole[first:]):
        assert sorted(i for share in shares for i in share[number]) == sorted(batch)
    flat = [i for batch in whole for i in batch]
    for epoch in range(len(flat) // length):  # every picture once an epoch
        assert sorted(flat[epoch * length : (epoch + 1) * length]) == list(range(length))


def test_epochs_differ_and_seeds_differ():
    orders = [next(iter(BatchIndices(20, 20, seed, epoch, epoch + 1))) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


def test_workers_change_nothing(squares):
    def drawn(workers):
        return [(images, names) for images, _, names in batches(squares(), 4, 3, 2, 7, workers=workers)]

    state = torch.get_rng_state()
    for (a, a_names), (b, b_names) in zip(drawn(0), drawn(2), strict=True):
        assert a_names == b_names and torch.equal(a, b)
    assert torch.equal(state, torch.get_rng_state()), "the loader touched the global random state"


class Damaged:
    """Wraps a data set whose pictures from the second on cannot be read."""

    def __init__(self, dataset, error: Exception):
        self.dataset, self.error = dataset, error

    def __getattr__(self, name):
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int):
        if index:
            raise self.error
        return self.dataset[index]


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_cannot_read_is_said_in_its_own_words(squares, workers):
    drawn = batches(Damaged(squares(), BadFileError(Path("train/7.png"), "is empty")), 4, 3, 0, 2, workers=workers)
    with pytest.raises(BadFileError) as caught:
        next(drawn)
    assert str(caught.value) == "train/7.png: is empty"
    drawn.close()


class OfTwoSizes:
    """Pictures that fit into no batch."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        size = (4, 4 + index)
        return Sample(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), f"picture {index}")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_a_worker_cannot_stack_is_said_in_its_own_words(workers):
    drawn = batches(OfTwoSizes(), 4, 3, 0, 2, workers=workers)
    with pytest.raises(LabError, match=r"^picture \d does not fit into a batch with picture \d"):
        next(drawn)
    drawn.close()


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_training_lowers_the_loss_and_records_it(squares):
    training = exhaust(trainer(squares, Recipe(steps=40, batch_size=4)))
    losses = [row["loss/main"] for row in training.metrics]
    assert [row["step"] for row in training.metrics] == [10, 20, 30, 40] and losses[-1] < 0.7 * losses[0]
    assert set(training.metrics[0]) == {"step", "learning_rate", "loss/main", "loss/auxiliary"}


def test_same_seed_same_weights_and_another_seed_others(squares):
    recipe = Recipe(steps=3, batch_size=4, flip=0.5, jitter=0.5, blur=0.5)
    first, second, other = (weights(exhaust(trainer(squares, recipe, seed=seed))) for seed in (0, 0, 1))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_state_continues_to_the_same_bits(squares):
    recipe = Recipe(steps=7, batch_size=4, flip=0.5, jitter=0.5)
    whole = exhaust(trainer(squares, recipe))
    half = trainer(squares, recipe)
    for step in half.run():
        if step == 3:
            break
    state = half.state_dict()
    rest = trainer(squares, recipe, seed=0, model=TinyNetwork())
    rest.load_state_dict(state)
    exhaust(rest)
    assert torch.equal(weights(rest), weights(whole))


@pytest.mark.parametrize("error", [ValueError("a bug"), BadFileError(Path("7.png"), "is empty")])
def test_no_worker_outlives_a_training_that_failed(squares, error):
    """They ignore SIGTERM, so Python would wait for them for ever at its end, while the traceback holds the loader."""
    training = trainer(lambda: Damaged(squares(), error), Recipe(steps=6, batch_size=4), workers=1)
    with pytest.raises(type(error)) as caught:
        exhaust(training)
    assert caught.tb is not None and not multiprocessing.active_children()


def test_no_worker_outlives_a_training_that_was_left(squares):
    steps = trainer(squares, workers=1).run()
    next(steps)
    assert multiprocessing.active_children()
    steps.close()
    assert not multiprocessing.active_children()


def test_a_state_from_another_kind_of_device_is_computed_as_here(squares):
    state = exhaust(trainer(squares)).state_dict()
    (group,) = state["optimizers"]["segmenter"]["param_groups"]
    assert group["fused"] is False
    group["fused"] = True  # as a GPU would have written it
    here = trainer(squares)
    here.load_state_dict(state)
    assert here.optimizers["segmenter"].optimizer.param_groups[0]["fused"] is False and group["fused"] is True


class Adam64:
    """Adam as baitan2025 §4.6.2 prints it, ε outside the root, in float64."""

    def __init__(self, beta1: float, beta2: float):
        self.betas, self.m, self.v, self.t = (beta1, beta2), 0.0, 0.0, 0

    def __call__(self, x: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        (one, two), self.t = self.betas, self.t + 1
        self.m = one * self.m + (1 - one) * gradient
        self.v = two * self.v + (1 - two) * gradient**2
        return x - rate * (self.m / (1 - one**self.t)) / (np.sqrt(self.v / (1 - two**self.t)) + 1e-8)


@dataclass
class Bowl(SourceOnly):
    """A loss whose gradient is known without a network: the sum of (w − 1)²."""

    def objectives(self, batches):
        yield Objective({"bowl": Term(sum(((p - 1) ** 2).sum() for p in self.model.parameters()))})


def test_adam_against_the_printed_update(squares):
    recipe = Recipe(steps=12, optimizer="adam", betas=(0.9, 0.99), learning_rate=0.1, weight_decay=0, batch_size=2)
    training = trainer(squares, recipe, Bowl())
    expected, update = weights(training).double().numpy(), Adam64(0.9, 0.99)
    exhaust(training)
    for step in range(12):
        expected = update(expected, 2 * (expected - 1), 0.1 * (1 - step / 12) ** 0.9)
    np.testing.assert_allclose(weights(training).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_adam_continues_to_the_same_bits(squares):
    recipe = Recipe(steps=7, batch_size=4, flip=0.5, jitter=0.5, optimizer="adam", learning_rate=1e-3)
    whole = exhaust(trainer(squares, recipe))
    half = trainer(squares, recipe)
    for step in half.run():
        if step == 3:
            break
    rest = trainer(squares, recipe, seed=0, model=TinyNetwork())
    rest.load_state_dict(half.state_dict())
    exhaust(rest)
    assert torch.equal(weights(rest), weights(whole))
    other = exhaust(trainer(squares, Recipe(steps=7, batch_size=4, flip=0.5, jitter=0.5, learning_rate=1e-3)))
    assert not torch.equal(weights(other), weights(whole)), "it was SGD"


@pytest.mark.parametrize(
    ("change", "known"), [({"optimizer": "lion"}, "adam, sgd"), ({"schedule": "step"}, "constant")]
)
def test_an_unknown_optimizer_or_schedule_is_refused(change, known):
    with pytest.raises(UnknownNameError, match=f"known: {known}"):
        with_settings(Recipe(), change)


def test_betas_of_one_are_refused():
    assert with_settings(Recipe(), {"betas": "0.9,0.99"}).betas == (0.9, 0.99)
    with pytest.raises(LabError, match="betas=1"):
        with_settings(Recipe(), {"betas": (0.9, 1)})


@pytest.mark.parametrize(
    ("crops", "source", "target"),
    [
        ({}, (32, 64), (32, 64)),
        ({"crop": (16, 24)}, (16, 24), (16, 24)),
        ({"source_crop": (16, 24)}, (16, 24), (32, 64)),
        ({"crop": (8, 8), "source_crop": (16, 24)}, (16, 24), (8, 8)),
    ],
)
def test_the_source_may_have_a_crop_of_its_own(squares, crops, source, target):
    seen = {}

    @dataclass_method
    class Looks(SourceOnly):
        streams = ("source", "target")

        def objectives(self, batches):
            seen.update({stream: tuple(batch.images.shape[2:]) for stream, batch in batches.items()})
            assert batches["source"].labels.shape[1:] == batches["source"].images.shape[2:]
            return super().objectives(batches)

    exhaust(trainer(squares, Recipe(steps=1, batch_size=2, **crops), Looks()))
    assert seen == {"source": source, "target": target}


def test_accumulation_is_one_large_batch(squares):
    once = exhaust(trainer(squares, Recipe(steps=3, batch_size=8)))
    four = exhaust(trainer(squares, Recipe(steps=3, batch_size=8, accumulate=4)))
    torch.testing.assert_close(weights(four), weights(once), rtol=1e-4, atol=1e-5)
    assert four.metrics[-1]["loss/main"] == pytest.approx(once.metrics[-1]["loss/main"], rel=1e-4)


def test_batches_that_cannot_be_divided_are_refused(squares):
    with pytest.raises(LabError, match="batch_size=4 cannot be divided among accumulate=3"):
        trainer(squares, Recipe(batch_size=4, accumulate=3))


def test_an_empty_data_set_is_refused(squares):
    with pytest.raises(LabError, match="source data set, Squares train, is empty"):
        Trainer(make_fabric(device="cpu"), TinyNetwork(), SourceOnly(), Recipe(), {"source": squares(count=0)}, 0)


def test_a_loss_that_explodes_names_step_pictures_and_rate(squares):
    @dataclass_method
    class Explodes(SourceOnly):
        def objectives(self, batches):
            (objective,) = super().objectives(batches)
            self.calls = getattr(self, "calls", 0) + 1
            bad = objective.terms["main"].loss * (float("nan") if self.calls == 4 else 1)
            yield Objective(objective.terms | {"main": Term(bad)})

    training = trainer(squares, Recipe(steps=30, batch_size=2), Explodes())
    with pytest.raises(NonFiniteLoss, match=r"'main' is nan at step 4 \(learning rate 0\.02.*square_\d+, square_\d+"):
        exhaust(training)
    assert training.step < LOG_EVERY + 1
    with pytest.raises(NonFiniteLoss):  # and no checkpoint may be taken of it before it was noticed
        broken = trainer(squares, Recipe(steps=30, batch_size=2), Explodes())
        for step in broken.run():
            if step == 5:
                broken.state_dict()


def dataclass_method(cls):
    from dataclasses import dataclass

    return dataclass(cls)


def test_the_target_stream_carries_no_labels(squares):
    seen: dict[str, Batch] = {}

    @dataclass_method
    class Looks(Method):
        name = "looks"
        streams = ("source", "target", "labelled_target")

        def objectives(self, batches):
            seen.update(batches)
            loss = sum(self.model(batch.images).logits.mean() for batch in batches.values())
            yield Objective({"mean": Term(loss)})

    exhaust(trainer(squares, Recipe(steps=1, batch_size=2), Looks()))
    assert seen["target"].labels is None and seen["source"].labels.dtype == torch.int64
    assert seen["labelled_target"].labels is not None
    assert seen["source"].names != seen["target"].names, "the streams must not be drawn in the same order"


def test_own_networks_have_own_optimizers_and_are_resumed(squares):
    @dataclass_method
    class Adversary(Method):
        name = "adversary"
        streams = ("source", "target")

        def build(self, model):
            return {"discriminator": nn.Conv2d(19, 1, 1)}

        def optimizer(self, network, parameters):
            return torch.optim.Adam(parameters, lr=1e-3)

        def objectives(self, batches):
            said = self.model(batches["source"].images).logits
            yield Objective({"main": Term(said.square().mean())})
            judged = self.networks["discriminator"](said.detach())
            yield Objective({"judge": Term(judged.square().mean())}, "discriminator")

    whole = exhaust(trainer(squares, Recipe(steps=4, batch_size=2), Adversary()))
    half = trainer(squares, Recipe(steps=4, batch_size=2), Adversary())
    for step in half.run():
        if step == 2:
            break
    rest = trainer(squares, Recipe(steps=4, batch_size=2), Adversary(), seed=0)
    rest.load_state_dict(half.state_dict())
    exhaust(rest)
    for name in ("segmenter", "discriminator"):
        for a, b in zip(whole.networks[name].parameters(), rest.networks[name].parameters(), strict=True):
            assert torch.equal(a, b)
    assert whole.optimizers["discriminator"].param_groups[0]["lr"] == pytest.approx(1e-3 * poly(3, 4))


def test_a_gradient_reaches_the_parameters_of_its_own_optimizer_alone(squares):
    """Nothing is detached or frozen here, as in the first draft of many an adversarial method."""

    @dataclass_method
    class Leaky(Method):
        name = "leaky"

        def build(self, model):
            return {"discriminator": nn.Conv2d(19, 1, 1)}

        def optimizer(self, network, parameters):
            return torch.optim.SGD(parameters, lr=0.1)

        def objectives(self, batches):
            for optimizer, factor in (("segmenter", 1), ("discriminator", 0)):
                judged = self.networks["discriminator"](self.model(batches["source"].images).logits)
                yield Objective({optimizer: Term(factor * judged.mean())}, optimizer)

    training = trainer(squares, Recipe(steps=1, batch_size=2, weight_decay=0), Leaky())
    before, segmenter = [p.clone() for p in training.networks["discriminator"].parameters()], weights(training)
    exhaust(training)
    assert all(torch.equal(a, b) for a, b in zip(before, training.networks["discriminator"].parameters(), strict=True))
    assert not torch.equal(segmenter, weights(training))

    @dataclass_method
    class Misnamed(Leaky):
        def objectives(self, batches):
            yield Objective({"x": Term(self.model(batches["source"].images).logits.mean())}, "critic")

    with pytest.raises(LabError, match="of method leaky 'critic'; known: discriminator"):
        exhaust(trainer(squares, Recipe(steps=1, batch_size=2), Misnamed()))


def test_a_teacher_is_used_and_saved_without_an_optimizer(squares):
    @dataclass_method
    class Teacher(Method):
        name = "teacher"

        def build(self, model):
            return {"teacher": copy.deepcopy(model).requires_grad_(False)}

        def training_mode(self):
            self.model.train()
            self.networks["teacher"].eval()

        def objectives(self, batches):
            assert self.model.training and not self.networks["teacher"].training
            taught = self.networks["teacher"](batches["source"].images).logits
            yield Objective({"same": Term((self.model(batches["source"].images).logits - taught + 1).square().mean())})

    def evaluate(model):
        model.train()  # whatever an evaluation does to modes, the method's own come back
        training.networks["teacher"].train()
        return {"val/miou": 0.0}

    training = trainer(squares, Recipe(steps=4, batch_size=2, evaluate_every=2), Teacher(), evaluate=evaluate)
    exhaust(training)
    assert set(training.state_dict()["networks"]) == {"segmenter", "teacher"} and set(training.optimizers) == {
        "segmenter"
    }


def test_a_method_has_to_declare_its_hyperparameters():
    with pytest.raises(LabError, match="fields of a @dataclass"):

        class Own(Method):
            def __init__(self, weight=1.0):
                self.weight = weight


def test_a_run_begun_without_loss_scaling_goes_on_with_it(squares):
    training = trainer(squares)
    state = training.state_dict()
    assert state["precision"] == {}
    training.load_state_dict(state)  # a GradScaler refuses an empty state


def test_the_loss_scale_may_change_between_two_optimizers(squares):
    """A scale that doubles every step trains as one that stays; powers of two are exact."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision

    @dataclass_method
    class Two(Method):
        name = "two"

        def build(self, model):
            return {"judge": nn.Conv2d(19, 1, 1)}

        def optimizer(self, network, parameters):
            return torch.optim.SGD(parameters, lr=0.1)  # not Adam, which does not mind a factor

        def objectives(self, batches):
            said = self.model(batches["source"].images).logits
            yield Objective({"main": Term(said.square().mean())})
            yield Objective({"judge": Term((self.networks["judge"](said.detach()) - 1).square().mean())}, "judge")

    def trained(growth_interval):
        torch.manual_seed(0)
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=growth_interval)
        fabric = Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
        recipe = Recipe(steps=5, batch_size=2, learning_rate=0.01)
        training = exhaust(Trainer(fabric, TinyNetwork(), Two(), recipe, {"source": squares()}, 0))
        assert scaler.get_scale() == (16 * 2**5 if growth_interval == 1 else 16)
        return [p.detach() for name in ("segmenter", "judge") for p in training.networks[name].parameters()]

    for doubled, still in zip(trained(1), trained(1000), strict=True):
        torch.testing.assert_close(doubled, still, rtol=2e-3, atol=1e-5)


def test_all_random_states_come_back(squares):
    import random

    training = trainer(squares)
    state = training.state_dict()
    drawn = [random.random(), np.random.rand(), torch.rand(1).item()]  # noqa: NPY002
    training.load_state_dict(state)
    assert drawn == [random.random(), np.random.rand(), torch.rand(1).item()]  # noqa: NPY002


def test_pictures_in_memory_cannot_be_drawn_into(squares):
    from labkit.data.memory import InMemory

    data = InMemory(squares())
    assert data[0] is data[0]
    with pytest.raises(ValueError, match="read-only"):
        data[0].image[...] = 0


def test_evaluation_runs_on_schedule_and_leaves_training_mode(squares):
    called = []

    def evaluate(model):
        model.eval()
        called.append(True)
        return {"val/miou": 0.5}

    training = exhaust(trainer(squares, Recipe(steps=7, batch_size=2, evaluate_every=3), evaluate=evaluate))
    assert [row["step"] for row in training.metrics if "val/miou" in row] == [3, 6, 7] and len(called) == 3
    assert training.networks["segmenter"].training


def test_oracle_differs_from_source_only_in_its_stream_alone():
    assert SourceOnly.streams == ("source",) and Oracle.streams == ("labelled_target",)
    assert Oracle.objectives is SourceOnly.objectives and SourceOnly().beta == Oracle().beta == 0.4


def test_bf16_trains_on_the_cpu(squares):
    torch.manual_seed(0)
    training = Trainer(
        make_fabric("bf16-mixed", "cpu"),
        TinyNetwork(),
        SourceOnly(),
        Recipe(steps=20, batch_size=4),
        {"source": squares()},
        0,
    )
    exhaust(training)
    assert training.metrics[-1]["loss/main"] < training.metrics[0]["loss/main"]
    assert all(p.dtype == torch.float32 for p in training.networks["segmenter"].parameters())


def test_precision_suits_the_device(monkeypatch):
    assert precision_for("cpu") == precision_for("mps") == "32-true"
    for capability, expected in (((7, 5), "16-mixed"), ((8, 0), "bf16-mixed"), ((9, 0), "bf16-mixed")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda value=capability: value)
        assert precision_for("cuda") == expected
    with pytest.raises(LabError, match="known: 16-mixed"):
        make_fabric("fp8")
    with pytest.raises(LabError, match="16-mixed needs a GPU"):
        make_fabric("16-mixed", "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "32-true"])
def test_a_step_on_the_gpu_never_waits_for_it(squares, precision, optimizer):
    fabric = make_fabric(precision, "cuda")
    training = Trainer(
        fabric,
        TinyNetwork(),
        SourceOnly(),
        Recipe(steps=9, batch_size=4, jitter=0.5, blur=0.5, optimizer=optimizer),
        {"source": squares()},
        0,
    )
    steps = training.run()
    next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert np.isfinite(weights(training).sum().item())
    for state in training.optimizers["segmenter"].optimizer.state.values():
        for value in state.values():
            assert torch.isfinite(value).all(), "a skipped first step left rubbish in the optimiser"

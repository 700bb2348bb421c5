"""The loop: schedule, streams, accumulation, precision, losses that explode."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit.errors import LabError
from labkit.methods.supervised import Oracle, SourceOnly
from labkit.models.output import SegmentationOutput
from labkit.training.devices import make_fabric, precision_for
from labkit.training.loop import LOG_EVERY, NonFiniteLoss, Trainer
from labkit.training.method import Batch, Method, Objective, Term
from labkit.training.recipe import Recipe
from labkit.training.schedule import poly, set_learning_rate
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


def test_warmup_rises_to_the_poly_schedule():
    factors = [poly(step, 1000, 0.9, warmup=100) for step in range(200)]
    assert factors[0] == pytest.approx(0.01) and factors[49] == pytest.approx(0.5 * poly(49, 1000))
    assert factors[99:] == [poly(step, 1000) for step in range(99, 200)]


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


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "32-true"])
def test_a_step_on_the_gpu_never_waits_for_it(squares, precision):
    fabric = make_fabric(precision, "cuda")
    training = Trainer(
        fabric,
        TinyNetwork(),
        SourceOnly(),
        Recipe(steps=9, batch_size=4, jitter=0.5, blur=0.5),
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
        assert torch.isfinite(state["momentum_buffer"]).all(), "a skipped first step left rubbish in the momentum"

"""Entropy minimisation, the unsupervised focal loss and mean teacher: terms, gradients, thresholds, averages, resuming.

All runs that compare bits go through here with ``cim`` too; what is its own is in test_cim.py.
"""

from __future__ import annotations

import math
import os
import signal
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from torch import nn

from labkit.data.mixing import half_of_classes
from labkit.data.perturbation import Perturbation
from labkit.data.transforms import normalize
from labkit.labels import CLASS_NAMES
from labkit.losses.cross_entropy import cross_entropy
from labkit.losses.dice import dice_loss
from labkit.methods.entropy_minimisation import ConfidenceEntropy, MaximumSquares, Shannon
from labkit.methods.mean_teacher import MeanTeacher
from labkit.methods.registry import create_method
from labkit.methods.supervised import SourceOnly
from labkit.methods.unsupervised_focal import Neutral, UnsupervisedFocal
from labkit.models.output import SegmentationOutput
from labkit.models.registry import create_model
from labkit.training import checkpoints
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.method import Batch
from labkit.training.recipe import Recipe

CLASSES = 19
ENTROPY = ("shannon", "maxsquares", "confidence")
PERTURBED = ("neutral", "unsupervised-focal", "cim")
NAMES = (*ENTROPY, *PERTURBED, "mean-teacher")


class TinyNetwork(nn.Module):
    """Backbone with a batch norm and dropout, head and auxiliary head."""

    num_classes = CLASSES

    def __init__(self, dropout=0.0):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Conv2d(6, CLASSES, 1)
        self.auxiliary = nn.Conv2d(6, CLASSES, 1)

    def forward(self, images):
        features = self.backbone(images.to(self.head.weight.dtype))
        auxiliary = (self.auxiliary(features),) if self.training else ()
        return SegmentationOutput(4 * self.head(features), auxiliary, {"backbone": features})


def prepared(method, squares=None, size=(24, 40), target_size=None, dtype=torch.float64):
    """A method with networks of its own, outside of any loop, and batches for it."""
    torch.manual_seed(0)
    method.model = TinyNetwork().to(dtype)
    method.networks = method.build(method.model)
    if squares is not None:
        method.receive({"source": squares(size=(64, 96))})
    method.training_mode()
    draws = torch.Generator().manual_seed(1)
    labels = torch.randint(5, (3, size[0] // 8, size[1] // 8), generator=draws)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    labels[:, :2] = 255
    images = [torch.rand(3, 3, *pixels, generator=draws, dtype=dtype) for pixels in (size, target_size or size)]
    return method, {"source": Batch(normalize(images[0]), labels), "target": Batch(normalize(images[1]), None)}


def terms_of(method, batches):
    """All terms of a step by name."""
    return {name: term for objective in method.objectives(batches) for name, term in objective.terms.items()}


def reached(loss, network):
    """The parts of a network that a loss sends a gradient to, leaving aside gradients of exactly zero."""
    names, tensors = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    return {
        name.split(".")[0] for name, g in zip(names, gradients, strict=True) if g is not None and g.abs().max() > 1e-12
    }


def gradients(loss, network):
    found = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
    return [torch.zeros(1, dtype=torch.float64) if g is None else g for g in found]


def trainer(squares, method, network=None, **changes):
    torch.manual_seed(0)
    sets = {stream: squares(seed=i) for i, stream in enumerate(method.streams)}
    recipe = Recipe(**{"steps": 6, "batch_size": 4, "learning_rate": 1e-3, **changes})
    model = TinyNetwork(dropout=0.1) if network is None else network
    return Trainer(make_fabric(recipe.precision, device="cpu"), model, method, recipe, sets, 0)


def exhaust(training):
    for _ in training.run():
        pass
    return training


def state(training, name="segmenter"):
    return {key: value.clone() for key, value in training.networks[name].state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# --- the terms against the equations ----------------------------------------------------------------------------------


def naive(name, p):
    """One pixel's unsupervised loss from its probabilities, in Python's floats."""
    entropy = -sum(x * math.log(x) for x in p)
    if name == "shannon":
        return entropy
    return -sum(x * x for x in p) / len(p) / 2 if name == "maxsquares" else max(p) * entropy


@pytest.mark.parametrize("cls", [Shannon, MaximumSquares, ConfidenceEntropy])
def test_the_entropy_based_terms_against_the_equations(cls):
    method, batches = prepared(cls(threshold=0.4, lambda_u=0.3))
    objectives = list(method.objectives(batches))
    p = method.model(batches["target"].images).logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, CLASSES).tolist()
    counted = [naive(cls.name, pixel) for pixel in p if max(pixel) > 0.4]
    assert 0 < len(counted) < len(p)
    assert [set(objective.terms) for objective in objectives] == [{"main", "auxiliary"}, {"unsupervised"}]
    term = objectives[1].terms["unsupervised"]
    assert term.loss.item() == pytest.approx(sum(counted) / len(counted), rel=1e-9) and term.weight == 0.3
    assert objectives[1].watched["unsupervised share"].item() == pytest.approx(len(counted) / len(p))


def test_maximum_squares_has_the_image_wise_weights_where_they_are_asked_for():
    method, batches = prepared(MaximumSquares(threshold=0.0, image_wise=True))
    p = method.model(batches["target"].images).logits.softmax(1)
    expected = 0
    for picture in p:
        predicted = picture.argmax(0).flatten().tolist()
        squares = picture.square().mean(0).flatten().tolist()
        weights = [1 / max(predicted.count(c) ** 0.2 * len(predicted) ** 0.8, 1) for c in predicted]
        expected -= sum(w * s for w, s in zip(weights, squares, strict=True)) / 2 / len(p)
    assert terms_of(method, batches)["unsupervised"].loss.item() == pytest.approx(expected, rel=1e-9)


def literal_thresholds(previous, p, a, b, d):
    """Eqs. (8) and (9), picture after picture."""
    alpha = list(previous)
    for picture in p:
        confidence, prediction = (x.flatten().tolist() for x in picture.float().max(0))
        for c in range(CLASSES):
            descending = sorted((x for x, said in zip(confidence, prediction, strict=True) if said == c), reverse=True)
            if descending:
                index = max(math.floor(b * math.exp(alpha[c] - 1) ** d * len(descending)), 1)
                alpha[c] = a * alpha[c] + (1 - a) * descending[index - 1]
    return torch.tensor(alpha)


@pytest.mark.parametrize("cls", [Neutral, UnsupervisedFocal])
@pytest.mark.parametrize("flipped", [True, False])
def test_the_two_views_against_the_equations(cls, flipped):
    """Value and gradients of eq. (5), written with plain logarithms; a flip by hand, all of g as it was drawn."""
    method, batches = prepared(cls(threshold=0.4))
    if flipped:
        method.perturbation = Perturbation(1.0, (1, 1), 0, 0, 0, 0, 0, 0)
    model, images = method.model, batches["target"].images
    torch.manual_seed(7)
    objective = list(method.objectives(batches))[1]
    weak = model(images).logits
    if flipped:
        moved, strong, inside = weak.flip(3), model(images.flip(3)).logits, torch.ones(3, 24, 40, dtype=torch.bool)
    else:
        torch.manual_seed(7)
        drawn = method.perturbation.draw(3, (24, 40))
        moved, strong, inside = drawn.maps(weak), model(drawn.images(images)).logits, drawn.inside
        assert 0 < inside.float().mean() < 1
    soft, p = moved.softmax(1), strong.softmax(1)
    gamma, thresholds = 0, torch.full((CLASSES,), 0.4)
    if cls is UnsupervisedFocal:
        gamma, thresholds = 2, literal_thresholds(thresholds.tolist(), weak.softmax(1), 0.9, 0.8, 8)
        torch.testing.assert_close(method.thresholds, thresholds, rtol=1e-5, atol=1e-6)
    confidence, prediction = soft.max(1)
    mask = (confidence > thresholds[prediction]) & inside
    assert 0 < mask.float().mean() < 1
    fixed = soft.detach()
    entropy = -(soft * soft.log()).sum(1)
    divergence = (fixed * (fixed.log() - (1 - p) ** gamma * p.log())).sum(1)
    expected = (entropy + divergence)[mask].mean()
    loss = objective.terms["unsupervised"].loss
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert objective.watched["unsupervised share"].item() == pytest.approx(mask.float().mean().item())
    for ours, theirs in zip(gradients(loss, model), gradients(expected, model), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-9)


def test_the_weights_are_the_papers():
    """§IV-C, Fig. 7 and the text of §IV-E."""
    expected = {"shannon": 0.01, "maxsquares": 0.005, "confidence": 0.01, "neutral": 0.01, "unsupervised-focal": 0.05}
    for name, weight in expected.items():
        method = create_method(name)
        assert terms_of(*prepared(method))["unsupervised"].weight == weight and method.threshold == 0.8
    focal = create_method("unsupervised-focal")
    assert (focal.gamma, focal.a, focal.b, focal.d) == (2, 0.9, 0.8, 8)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_on_the_source_is_plain(squares, name):
    """Cross-entropy beside the auxiliary head's: the γ of the target's loss is not the source's."""
    method, batches = prepared(create_method(name, dice=0.25), squares)
    source = next(method.objectives(batches)).terms
    output = method.model(batches["source"].images)
    labels = batches["source"].labels
    assert source["main"].loss.item() == pytest.approx(cross_entropy(output.logits, labels).item())
    assert source["dice"].loss.item() == pytest.approx(dice_loss(output.logits, labels).item())
    assert {key: term.weight for key, term in source.items()} == {"main": 0.75, "auxiliary": 0.4, "dice": 0.25}


@pytest.mark.parametrize("name", NAMES)
def test_what_each_term_reaches(squares, name):
    low = {"threshold": 0.2} if name != "mean-teacher" else {}
    method, batches = prepared(create_method(name, **low), squares)
    objectives = list(method.objectives(batches))
    assert all(objective.optimizers == ("segmenter",) for objective in objectives)
    found = {key: reached(term.loss, method.model) for o in objectives for key, term in o.terms.items()}
    own = {"mean-teacher": ["mixed"], "cim": ["unsupervised", "mixed"]}.get(name, ["unsupervised"])
    assert found == {
        "main": {"backbone", "head"},
        "auxiliary": {"backbone", "auxiliary"},
        **{key: {"backbone", "head"} for key in own},
    }


@pytest.mark.parametrize("name", [*ENTROPY, *PERTURBED])
def test_where_no_pixel_is_sure_nothing_is_learned_from_the_target(squares, name):
    settings = {"a": 1.0} if name in ("unsupervised-focal", "cim") else {}
    method, batches = prepared(create_method(name, threshold=1.0, **settings), squares)
    loss = terms_of(method, batches)["unsupervised"].loss
    assert loss.item() == 0 and reached(loss, method.model) == set()


# --- batch norm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_source_and_target_as_they_come_move_the_statistics_in_turn(squares, name):
    method, batches = prepared(create_method(name), squares)
    shown = []
    method.model.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    list(method.objectives(batches))
    second = shown[1] if name == "mean-teacher" else batches["target"].images
    expected = 0
    for images in (batches["source"].images, second):
        expected = 0.9 * expected + 0.1 * method.model.backbone[0](images.double()).mean((0, 2, 3))
    torch.testing.assert_close(method.model.backbone[1].running_mean, expected)
    passes = {"cim": 4, "neutral": 3, "unsupervised-focal": 3}
    assert len(shown) == passes.get(name, 2)


@pytest.mark.parametrize("name", [*ENTROPY, "neutral", "unsupervised-focal"])
def test_weight_zero_without_the_targets_statistics_is_source_only(squares, name):
    still = create_method(name, lambda_u=0.0, target_statistics=False, threshold=0.1)

    def network():  # without dropout, which would draw for the target too
        torch.manual_seed(0)
        return TinyNetwork()

    plain = exhaust(trainer(squares, SourceOnly(), network()))
    assert equal(
        {k: v for k, v in state(exhaust(trainer(squares, still, network()))).items() if "tracked" not in k},
        {k: v for k, v in state(plain).items() if "tracked" not in k},
    )
    leaking = state(exhaust(trainer(squares, replace(still, target_statistics=True), network())))
    moved = {key for key, value in state(plain).items() if not torch.equal(value, leaking[key])}
    assert {key.split(".")[-1] for key in moved} == {"running_mean", "running_var", "num_batches_tracked"}


# --- thresholds -------------------------------------------------------------------------------------------------------


def test_thresholds_move_and_are_recorded_by_class(squares):
    training = exhaust(trainer(squares, UnsupervisedFocal(threshold=0.3)))
    row = training.metrics[-1]
    columns = {name: row[f"threshold/{name}"] for name in CLASS_NAMES}
    assert len(set(columns.values())) > 3 and all(0 <= value <= 1 for value in columns.values())
    assert 0.3 in [pytest.approx(value) for value in columns.values()], "a class that nobody predicts keeps its own"
    assert 0 < row["unsupervised share"] < 1
    assert training.method.thresholds.dtype == torch.float32


def test_a_memory_of_one_keeps_the_threshold(squares):
    training = exhaust(trainer(squares, UnsupervisedFocal(a=1.0, threshold=0.3)))
    assert torch.equal(training.method.thresholds, torch.full((CLASSES,), 0.3))
    fixed = exhaust(trainer(squares, Neutral(lambda_u=0.05, threshold=0.3)))
    same = exhaust(trainer(squares, UnsupervisedFocal(a=1.0, threshold=0.3, gamma=0.0)))
    assert equal(state(same), state(fixed)), "with γ = 0 too it is the neutral loss"


def test_micro_batches_move_the_thresholds_one_after_the_other():
    whole, batches = prepared(UnsupervisedFocal())
    parts, _ = prepared(UnsupervisedFocal())
    for method in (whole, parts):
        method.model.eval()  # so that no statistic spans two pictures
    list(whole.objectives(batches))
    for i in range(3):
        part = slice(i, i + 1)
        source = Batch(batches["source"].images[part], batches["source"].labels[part])
        list(parts.objectives({"source": source, "target": Batch(batches["target"].images[part], None)}))
    torch.testing.assert_close(parts.thresholds, whole.thresholds, rtol=1e-6, atol=0)
    assert (whole.thresholds != 0.8).sum() > 2


# --- mean teacher -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.99, 0.6])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_teacher_is_the_average_of_the_network_after_every_step(squares, decay, accumulate):
    """θ'_k = m θ'_{k−1} + (1 − m) θ_k, m = min(1 − 1/k, decay): at first the plain mean of θ_1 … θ_k."""
    training = trainer(squares, MeanTeacher(decay=decay), accumulate=accumulate)
    first, average, seen = state(training, "teacher"), None, []
    assert equal(first, state(training))
    for step in training.run():
        used = state(training, "teacher")  # in this step
        if average is None:
            assert equal(used, first)
        else:
            for key, value in average.items():
                torch.testing.assert_close(used[key].double(), value, rtol=1e-5, atol=1e-6)
        after = {key: value.double() for key, value in state(training).items()}
        seen.append(after)
        memory = min(1 - 1 / step, decay)
        average = {
            key: value if average is None or "tracked" in key else memory * average[key] + (1 - memory) * value
            for key, value in after.items()
        }
    if decay == 0.99:
        for key, value in used.items():
            mean = torch.stack([one[key] for one in seen[:-1]]).mean(0)
            if "tracked" not in key:
                torch.testing.assert_close(value.double(), mean, rtol=1e-5, atol=1e-6)
    assert any("running_var" in key for key in used)
    assert {key for key in used if not torch.equal(used[key], first[key])} == set(used), "buffers are among them"


@pytest.mark.parametrize(("name", "network"), [("mean-teacher", "teacher"), ("cim", "labeller")])
def test_who_labels_is_never_in_training_mode_and_has_no_gradient(squares, name, network):
    training = trainer(squares, create_method(name))
    assert set(training.optimizers) == {"segmenter"}
    for _ in training.run():
        assert not any(module.training for module in training.networks[network].modules())
        assert all(p.grad is None and not p.requires_grad for p in training.networks[network].parameters())
        training.method.training_mode()  # as after an evaluation
    assert training.networks["segmenter"].training


def test_the_teacher_sees_the_target_as_it_comes_and_the_network_never_does():
    method, batches = prepared(MeanTeacher(mixed_jitter=1.0))
    shown = {"teacher": [], "network": []}
    for key, network in (("teacher", method.networks["teacher"]), ("network", method.model)):
        network.register_forward_pre_hook(lambda _, inputs, key=key: shown[key].append(inputs[0]))
    list(method.objectives(batches))
    assert len(shown["teacher"]) == 1 and torch.equal(shown["teacher"][0], batches["target"].images)
    assert len(shown["network"]) == 2 and torch.equal(shown["network"][0], batches["source"].images)


@pytest.mark.parametrize("target_size", [(24, 40), (32, 32)])
def test_the_mixed_term_against_the_equations(target_size):
    method, batches = prepared(MeanTeacher(mixed_jitter=0.0, mixed_blur=0.0, confidence=0.4), target_size=target_size)
    seen = []
    method.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images, labels = batches["source"].images, batches["source"].labels
    torch.manual_seed(3)
    term, watched = (objectives := list(method.objectives(batches)))[1].terms["mixed"], objectives[1].watched
    torch.manual_seed(3)
    torch.rand(3, 2), torch.rand(3, 2)  # the places of the crops
    size = (24, min(40, target_size[1]))
    p = method.networks["teacher"](batches["target"].images).logits.softmax(1)
    share = (p.amax(1) >= 0.4).double().mean().item()
    assert watched["confident share"].item() == pytest.approx(share) and 0 < share < 1
    mixed = seen[1]
    assert mixed.shape == (3, 3, *size)
    if target_size != (24, 40):
        return  # what is cut out is tested with the windows
    mask = half_of_classes(labels)
    expected_images = torch.where(mask[:, None], images, batches["target"].images)
    torch.testing.assert_close(mixed, expected_images.to(mixed.dtype), rtol=1e-5, atol=1e-5)
    expected_labels = torch.where(mask, labels, p.argmax(1))
    log_p = method.model(mixed).logits.log_softmax(1)
    total, valid = 0.0, 0
    for n, y, x in np.ndindex(3, *size):
        label = int(expected_labels[n, y, x])
        if label != 255:
            valid += 1
            total -= log_p[n, label, y, x].item() * (1 if mask[n, y, x] else share)
    assert term.loss.item() == pytest.approx(total / valid, rel=1e-6) and term.weight == 1


def test_the_mixed_picture_is_changed_in_colour_and_blurred():
    def mixed(**settings):
        method, batches = prepared(MeanTeacher(**settings))
        torch.manual_seed(3)
        return method.mixed(batches["source"], batches["target"].images)

    chances = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    plain, coloured, blurred = (mixed(mixed_jitter=jitter, mixed_blur=blur) for jitter, blur in chances)
    for changed in (coloured, blurred):
        assert all((a - b).abs().mean() > 0.01 for a, b in zip(changed[0], plain[0], strict=True))
        assert all(torch.equal(a, b) for a, b in zip(changed[1:], plain[1:], strict=True))
    rough = [(pictures[0][..., 1:] - pictures[0][..., :-1]).abs().mean() for pictures in (plain, blurred)]
    assert rough[1] < rough[0]


# --- resuming, and everything at once ---------------------------------------------------------------------------------

LOW = {name: {"threshold": 0.1} for name in (*ENTROPY, *PERTURBED)}


def made(squares, name, **changes):
    return trainer(squares, create_method(name, **LOW.get(name, {})), accumulate=2, **changes)


def assert_same_end(one, other):
    assert one.metrics == other.metrics
    for network in other.networks:
        assert equal(state(one, network), state(other, network)), network
    ours, theirs = one.method.state_dict(), other.method.state_dict()
    assert equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [1, 4])
def test_a_resumed_training_ends_with_the_same_bits(squares, name, at, tmp_path):
    """Thresholds, draws, teacher and database; through a file, as after a kill."""
    whole = exhaust(made(squares, name))
    half = made(squares, name)
    for step in half.run():
        if step == at:
            break
    file = checkpoints.save(tmp_path, at, half.state_dict())
    torch.manual_seed(99)
    rest = made(squares, name)
    rest.load_state_dict(checkpoints.load(file))
    assert_same_end(exhaust(rest), whole)
    if name in ("unsupervised-focal", "cim"):
        assert (whole.method.thresholds != 0.1).any() and set(whole.method.state_dict()) == {"thresholds"}
    if name in PERTURBED:
        assert whole.metrics[-1]["unsupervised share"] > 0


def _train_and_die(squares, name, folder):
    """Save after each step, and be killed in the midst of the fourth."""
    training = made(squares, name)
    objectives = training.method.objectives

    def deadly(batches):
        for objective in objectives(batches):
            if training.step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield objective

    training.method.objectives = deadly
    for step in training.run():
        checkpoints.save(folder, step, training.state_dict())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a forked process is killed")
@pytest.mark.parametrize("name", ["cim", "mean-teacher"])
def test_kill_9_in_a_step_changes_no_bit(squares, name, tmp_path):
    process = get_context("fork").Process(target=_train_and_die, args=(squares, name, tmp_path))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    step, saved = checkpoints.load_last(tmp_path)
    assert step == 3
    rest = made(squares, name)
    rest.load_state_dict(saved)
    assert_same_end(exhaust(rest), exhaust(made(squares, name)))


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_trains(squares, name):
    training = exhaust(made(squares, name, precision="bf16-mixed"))
    assert all(np.isfinite(value) for key, value in training.metrics[-1].items())
    assert all(value.dtype == torch.float32 for value in training.method.state_dict().values())


def one_step(squares, name, model):
    """One step with a real network."""
    method = create_method(name, **LOW.get(name, {}))
    sets = {stream: lambda i=i: squares(size=(64, 64), seed=i) for i, stream in enumerate(method.streams)}
    recipe = Recipe(steps=1, batch_size=2, learning_rate=1e-3)
    network = create_model(model, seed=0)
    training = Trainer(
        make_fabric(device="cpu"), network, method, recipe, {stream: make() for stream, make in sets.items()}, 0
    )
    before = state(training)
    exhaust(training)
    assert all(np.isfinite(value) for value in training.metrics[-1].values())
    assert not equal(before, state(training))
    return training.metrics[-1]


@pytest.mark.parametrize("name", NAMES)
def test_every_method_trains_bisenet(squares, name):
    row = one_step(squares, name, "bisenet")
    assert row["loss/auxiliary"] > 0


@pytest.mark.parametrize("model", ["deeplabv2", "deeplabv3", "deeplabv3plus", "unet", "unet-padded"])
def test_the_richest_method_trains_every_network(squares, model):
    """What CIM does with a network, the others do in part."""
    assert one_step(squares, "cim", model)["loss/mixed"] > 0

"""Adaptive batch norm, the adversarial methods and MMD: which gradient reaches what, and what moves batch norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from labkit.data.transforms import normalize, to_float
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.predict import to_batch
from labkit.losses.mmd import KERNELS
from labkit.methods.adaptive_batch_norm import AdaptiveBatchNorm
from labkit.methods.adversarial import Advent, Adversarial, MultiLevelAdversarial
from labkit.methods.mmd import MMD, MultiLevelMMD
from labkit.methods.registry import METHODS, create_method, method_class
from labkit.methods.supervised import SourceOnly
from labkit.models.output import SegmentationOutput
from labkit.settings import names
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.method import Batch
from labkit.training.recipe import Recipe

CLASSES = 19


class TinyNetwork(nn.Module):
    """Backbone, ASPP, head and auxiliary head, each a convolution; one batch norm."""

    num_classes = CLASSES

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.aspp = nn.Conv2d(6, 4, 1)
        self.head = nn.Conv2d(4, CLASSES, 1)
        self.auxiliary = nn.Conv2d(6, CLASSES, 1)

    def forward(self, images):
        features = self.backbone(images)
        context = self.aspp(features)
        auxiliary = (self.auxiliary(features),) if self.training else ()
        return SegmentationOutput(self.head(context), auxiliary, {"backbone": features, "aspp": context})


ADVERSARIAL = (Adversarial, MultiLevelAdversarial, Advent)


def trainer(squares, method, **changes):
    torch.manual_seed(0)
    sets = {stream: squares(seed=i) for i, stream in enumerate(method.streams)}
    recipe = Recipe(**{"steps": 3, "batch_size": 4, **changes})
    return Trainer(make_fabric(device="cpu"), TinyNetwork(), method, recipe, sets, 0)


def exhaust(training):
    for _ in training.run():
        pass
    return training


def parameters(training, name="segmenter"):
    return torch.cat([p.detach().flatten() for p in training.networks[name].parameters()])


def dark(squares):
    """The same pictures at a quarter of the light."""

    class Dark(squares):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample._replace(image=sample.image // 4)

    return Dark


def prepared(method):
    """A method with networks of its own, outside of any loop, and batches for it."""
    torch.manual_seed(0)
    method.model = TinyNetwork()
    method.networks = method.build(method.model)
    draws = torch.Generator().manual_seed(1)
    labels = torch.randint(CLASSES, (3, 32, 64), generator=draws)
    source = Batch(torch.randn(3, 3, 32, 64, generator=draws), labels)
    return method, {"source": source, "target": Batch(torch.randn(3, 3, 32, 64, generator=draws) + 1, None)}


def reached(loss, network):
    """The parts of a network that a loss sends a gradient to, leaving aside gradients of exactly zero."""
    names, tensors = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    return {
        name.split(".")[0] for name, g in zip(names, gradients, strict=True) if g is not None and g.abs().max() > 1e-12
    }


# --- adversarial ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ADVERSARIAL)
def test_the_discriminators_objective_knows_nothing_of_the_segmenter(cls):
    method, batches = prepared(cls())
    first, *others = method.objectives(batches)
    assert first.optimizer == "segmenter" and [o.optimizer for o in others] == list(method.networks)
    for objective in others:
        assert reached(objective.total, method.model) == set()
        assert reached(objective.total, method.networks[objective.optimizer])
        for name, network in method.networks.items():
            if name != objective.optimizer:
                assert reached(objective.total, network) == set()


def test_what_each_term_reaches():
    method, batches = prepared(MultiLevelAdversarial())
    terms = next(method.objectives(batches)).terms
    assert reached(terms["main"].loss, method.model) == {"backbone", "aspp", "head"}
    assert reached(terms["auxiliary"].loss, method.model) == {"backbone", "auxiliary"}
    assert reached(terms["adversarial"].loss, method.model) == {"backbone", "aspp", "head"}
    assert reached(terms["adversarial-auxiliary"].loss, method.model) == {"backbone", "auxiliary"}
    assert (terms["adversarial"].weight, terms["adversarial-auxiliary"].weight) == (0.001, 0.0002)


@pytest.mark.parametrize("cls", ADVERSARIAL)
def test_a_still_segmenter_stays_while_the_discriminator_learns_and_the_reverse(squares, cls):
    still = trainer(squares, cls(), learning_rate=0.0, weight_decay=0.0)
    segmenter, discriminator = parameters(still), parameters(still, "discriminator")
    exhaust(still)
    assert torch.equal(parameters(still), segmenter)
    assert not torch.equal(parameters(still, "discriminator"), discriminator)
    still = trainer(squares, cls(discriminator_learning_rate=0.0))
    segmenter, discriminator = parameters(still), parameters(still, "discriminator")
    exhaust(still)
    assert not torch.equal(parameters(still), segmenter)
    assert torch.equal(parameters(still, "discriminator"), discriminator)


def test_the_losses_against_the_equations():
    method, batches = prepared(Adversarial())
    segmenter, judge = method.objectives(batches)
    discriminator = method.networks["discriminator"].double()
    model = method.model.double()
    p = [model(batches[s].images.double()).logits.softmax(1) for s in ("source", "target")]
    sigma = [torch.sigmoid(discriminator(maps)) for maps in p]
    deceived = -(1 - sigma[1]).log().mean()  # the target, labelled 0 = source
    terms = segmenter.terms
    assert terms["adversarial"].loss.item() == pytest.approx(deceived.item(), rel=1e-4)
    expected = (-(1 - sigma[0]).log().mean() - sigma[1].log().mean()) / 2
    assert judge.total.item() == pytest.approx(expected.item(), rel=1e-4)
    right = ((sigma[0] < 0.5).double().mean() + (sigma[1] > 0.5).double().mean()) / 2
    assert judge.watched["discriminator accuracy"].item() == pytest.approx(right.item())


def test_advent_judges_the_shares_of_the_entropy():
    method, _ = prepared(Advent())
    logits = torch.randn(2, CLASSES, 4, 4, dtype=torch.float64)
    p = logits.softmax(1)
    torch.testing.assert_close(method.maps(logits), -p * p.log() / np.log(CLASSES))


def test_a_network_without_auxiliary_head_has_one_level():
    method, batches = prepared(MultiLevelAdversarial())
    method.model.eval()
    with pytest.raises(LabError, match="auxiliary head"):
        list(method.objectives(batches))


def test_the_discriminators_accuracy_is_recorded(squares):
    training = exhaust(trainer(squares, Adversarial()))
    row = training.metrics[-1]
    assert 0 <= row["discriminator accuracy"] <= 1
    assert {"loss/main", "loss/adversarial", "loss/discriminator source"} <= row.keys()


# --- batch norm -------------------------------------------------------------------------------------------------------


def running(training):
    norm = training.networks["segmenter"].backbone[1]
    return norm.running_mean.clone(), norm.running_var.clone()


def test_weight_zero_is_source_only_but_for_batch_norm(squares):
    """The trap: λ = 0 with target forwards."""
    plain = exhaust(trainer(squares, SourceOnly()))
    leaking = exhaust(trainer(squares, Adversarial(lambda_adv=0.0)))
    closed = exhaust(trainer(squares, Adversarial(lambda_adv=0.0, target_statistics=False)))
    for training in (leaking, closed):
        assert torch.equal(parameters(training), parameters(plain))
    assert all(torch.equal(a, b) for a, b in zip(running(closed), running(plain), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(running(leaking), running(plain), strict=True))


def test_adaptive_batch_norm_keeps_source_only_weights_and_the_targets_statistics(squares):
    Dark = dark(squares)

    def training(method):
        torch.manual_seed(0)
        sets = {stream: (Dark if stream == "target" else squares)() for stream in method.streams}
        recipe = Recipe(steps=60, batch_size=4, learning_rate=1e-3)
        return exhaust(Trainer(make_fabric(device="cpu"), TinyNetwork(), method, recipe, sets, 0))

    plain, adapted = training(SourceOnly()), training(AdaptiveBatchNorm())
    assert torch.equal(parameters(adapted), parameters(plain))
    network = adapted.networks["segmenter"]
    features = network.backbone[0](normalize(to_float(to_batch([Dark()[i] for i in range(12)]).images)))
    expected = features.mean(dim=(0, 2, 3))
    torch.testing.assert_close(running(adapted)[0], expected, rtol=0.1, atol=0.05)
    assert (running(plain)[0] - expected).abs().max() > 0.2


# --- MMD --------------------------------------------------------------------------------------------------------------


def test_mmd_reaches_the_backbone_and_not_the_head():
    method, batches = prepared(MMD())
    (objective,) = method.objectives(batches)
    assert reached(objective.terms["mmd"].loss, method.model) == {"backbone"}
    assert {name: term.weight for name, term in objective.terms.items()} == {
        "main": 0.7,
        "dice": 0.3,
        "auxiliary": 0.4,
        "mmd": 0.05,
    }


def test_multilevel_mmd_is_the_mean_of_both_levels_and_reaches_the_aspp():
    method, batches = prepared(MultiLevelMMD())
    (objective,) = method.objectives(batches)
    assert reached(objective.terms["mmd"].loss, method.model) == {"backbone", "aspp"}
    outputs = [method.model(batches[s].images) for s in ("source", "target")]
    means = [[o.features[tap].mean((0, 2, 3)) for o in outputs] for tap in ("backbone", "aspp")]
    expected = sum((a - b).square().sum() for a, b in means) / 2  # the printed kernel's closed form
    assert objective.terms["mmd"].loss.item() == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_trains_to_closer_features(squares, kernel):
    """A target of other pictures; pooled, because a narrow kernel sees nothing in many dimensions."""

    def discrepancy(weight):
        method = MMD(kernel=kernel, lambda_mmd=weight, dice=0.0)
        sets = {"source": squares(), "target": dark(squares)()}
        torch.manual_seed(0)
        recipe = Recipe(steps=60, batch_size=4, learning_rate=1e-2)
        training = exhaust(Trainer(make_fabric(device="cpu"), TinyNetwork(), method, recipe, sets, 0))
        return sum(row["loss/mmd"] for row in training.metrics[-3:])

    assert discrepancy(1.0) < 0.8 * discrepancy(0.0)


def test_raw_features_are_as_long_as_the_map():
    method, batches = prepared(MMD(pooled=False))
    output = method.model(batches["source"].images)
    assert method.vectors(output, "backbone").shape == (3, 6 * 32 * 64)
    with pytest.raises(LabError, match="aligns the features 'stem'; this network has backbone, aspp"):
        method.vectors(output, "stem")
    with pytest.raises(UnknownNameError, match="printed"):
        list(prepared(MMD(kernel="cosine"))[0].objectives(batches))


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in METHODS if name != "oracle"])
def test_every_method_continues_to_the_same_bits(squares, name):
    small = {setting: 2 for setting in names(method_class(name)) if setting.endswith(("_blocks", "_filters"))}
    method = lambda: create_method(name, **small)  # noqa: E731
    whole = exhaust(trainer(squares, method(), steps=4))
    half = trainer(squares, method(), steps=4)
    for step in half.run():
        if step == 2:
            break
    saved = half.state_dict()  # with the random states, which the next line sets anew
    rest = trainer(squares, method(), steps=4)
    rest.load_state_dict(saved)
    exhaust(rest)
    assert rest.metrics == whole.metrics
    for network in whole.networks:
        for a, b in zip(
            whole.networks[network].state_dict().values(), rest.networks[network].state_dict().values(), strict=True
        ):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_moves_batch_norm(name):
    assert len(create_method(name).batch_norm) > 20

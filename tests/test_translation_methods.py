"""CycleGAN, CyCADA and toldo2020's method: which term reaches what, phases, the image pool, resuming, accumulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from labkit import report
from labkit.errors import UnknownNameError
from labkit.lab import Lab
from labkit.losses.cross_entropy import cross_entropy
from labkit.methods.cycada import CyCADA
from labkit.methods.cyclegan import CycleGAN
from labkit.methods.image_pool import ImagePool
from labkit.methods.udamobile import UDAMobile
from labkit.models.output import SegmentationOutput
from labkit.models.patch_gan import FeatureDiscriminator, ImageDiscriminator, PatchGAN
from labkit.models.picture_range import to_generator, to_segmenter
from labkit.training import checkpoints
from labkit.training.devices import make_fabric
from labkit.training.loop import Trainer
from labkit.training.method import Batch
from labkit.training.recipe import Recipe

CLASSES = 19
SMALL = {"generator_blocks": 1, "generator_filters": 4, "discriminator_filters": 4, "pool_size": 3}
METHODS = (CycleGAN, CyCADA, UDAMobile)


class Segmenter(nn.Module):
    """Encoder to 1/8, with a batch norm, and decoder, with dropout."""

    num_classes = CLASSES

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.BatchNorm2d(6), nn.ReLU())
        self.decoder = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(6, CLASSES, 1), nn.Upsample(scale_factor=8))
        self.passes = 0

    def forward(self, images):
        self.passes += 1
        features = self.encoder(images)
        return SegmentationOutput(self.decoder(features), (), {"backbone": features})


def prepared(method, step=0, steps=8, dtype=torch.float32):
    """A method with networks of its own, outside of any loop, at a step; and batches for it."""
    torch.manual_seed(0)
    method.model = Segmenter()
    method.networks = method.build(method.model)
    for network in (method.model, *method.networks.values()):
        network.to(dtype)
    method.model.passes = 0
    method.begin_step(step, steps)
    draws = torch.Generator().manual_seed(1)
    images = [to_segmenter(2 * torch.rand(2, 3, 32, 64, generator=draws, dtype=dtype) - 1) for _ in range(2)]
    labels = torch.randint(CLASSES, (2, 32, 64), generator=draws)
    return method, {"source": Batch(images[0], labels), "target": Batch(images[1], None)}


def parts(method):
    """The networks by the equations' names."""
    names = {"D_T": "discriminator-target", "D_S": "discriminator-source", "D'": "discriminator-features"}
    names |= {"D'_T": "discriminator-features-target", "D'_S": "discriminator-features-source"}
    networks = {letter: method.networks[name] for letter, name in names.items() if name in method.networks}
    generators = method.networks["generators"]
    networks |= {"G_ST": generators["to_target"], "G_TS": generators["to_source"]}
    return networks | {"M_e": method.model.encoder, "M_d": method.model.decoder}


OWNED = {
    "generators": {"G_ST", "G_TS"},
    "segmenter": {"M_e", "M_d"},
    "discriminator-target": {"D_T"},
    "discriminator-source": {"D_S"},
    "discriminator-features": {"D'"},
    "discriminator-features-target": {"D'_T"},
    "discriminator-features-source": {"D'_S"},
}


def reached(loss, method):
    """The parts that a loss sends a gradient to."""
    if not loss.requires_grad:
        return set()
    found = set()
    for letter, network in parts(method).items():
        gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
        if any(g is not None and g.abs().max() > 0 for g in gradients):
            found.add(letter)
    return found


def table(method, batches):
    """Of every objective and term the parts that learn from it: reached, and of the objective's optimisers.

    A discriminator's objective knows of nothing else in the first place.
    """
    found = {}
    for objective in method.objectives(batches):
        owned = set().union(*(OWNED[name] for name in objective.optimizers))
        for name, term in objective.terms.items():
            parts_reached = reached(term.loss, method)
            assert not name.startswith("discriminator") or parts_reached == owned
            if learning := parts_reached & owned:
                found[name] = learning
    return found


# --- which term reaches what ------------------------------------------------------------------------------------------

IMAGES = {"image-target": {"G_ST"}, "image-source": {"G_TS"}, "cycle": {"G_ST", "G_TS"}}
IMAGE_JUDGES = {
    f"discriminator-{domain} {shown}": {letter}
    for domain, letter in (("target", "D_T"), ("source", "D_S"))
    for shown in ("original", "translated")
}
FEATURE_JUDGES = {
    f"discriminator-features-{domain} {shown}": {letter}
    for domain, letter in (("target", "D'_T"), ("source", "D'_S"))
    for shown in ("original", "translated")
}
JOINT = IMAGES | {
    "semantic": {"G_ST", "G_TS", "M_e", "M_d"},
    "feature-target": {"G_ST", "M_e"},
    "feature-source": {"G_TS", "M_e"},
    "main": {"G_ST", "M_e", "M_d"},
}


def test_every_term_of_the_objective_reaches_what_equation_9_says():
    assert table(*prepared(UDAMobile(**SMALL), step=2)) == JOINT | IMAGE_JUDGES | FEATURE_JUDGES


def test_with_the_segmenter_fixed_the_generators_remain():
    fixed = {name: letters - {"M_e", "M_d"} for name, letters in JOINT.items()}
    assert table(*prepared(UDAMobile(**SMALL), step=1)) == fixed | IMAGE_JUDGES | FEATURE_JUDGES


def test_the_authors_code_trains_generators_without_labels_and_aligns_features_later():
    code = UDAMobile(**SMALL, variant="published-code")
    assert table(*prepared(code, step=2)) == JOINT | {"main": {"M_e", "M_d"}} | IMAGE_JUDGES | FEATURE_JUDGES
    assert table(*prepared(code, step=1)) == IMAGES | {"semantic": {"G_ST", "G_TS"}} | IMAGE_JUDGES
    assert set(next(_objectives(code, 1)).terms) == {*IMAGES, "semantic"}


def test_cyclegan_is_two_trainings():
    assert table(*prepared(CycleGAN(**SMALL), step=3)) == IMAGES | IMAGE_JUDGES
    assert table(*prepared(CycleGAN(**SMALL), step=4)) == {"main": {"M_e", "M_d"}}


def test_cycada_adds_semantics_to_the_first_and_features_to_the_second():
    assert table(*prepared(CyCADA(**SMALL), step=3)) == IMAGES | {"semantic": {"G_ST", "G_TS"}} | IMAGE_JUDGES
    judges = {f"discriminator-features {shown}": {"D'"} for shown in ("original", "translated")}
    assert table(*prepared(CyCADA(**SMALL), step=4)) == {"main": {"M_e", "M_d"}, "feature": {"M_e"}} | judges


def test_cycadas_alignment_moves_the_targets_features_alone():
    method, batches = prepared(CyCADA(**SMALL), step=4)
    batches["target"].images.requires_grad_()
    batches["source"].images.requires_grad_()
    next(method.objectives(batches)).terms["feature"].loss.backward()
    assert batches["target"].images.grad.abs().sum() > 0 and batches["source"].images.grad is None


def test_the_weights_are_the_papers():
    weights = {name: term.weight for name, term in next(_objectives(UDAMobile(**SMALL), 2)).terms.items()}
    expected = {"image-target": 1, "image-source": 1, "cycle": 20, "semantic": 0.1, "main": 1}  # §4
    assert {name: weights[name] for name in expected} == expected
    assert weights["feature-target"] == weights["feature-source"] == 1e-4
    twice = next(_objectives(UDAMobile(**SMALL, lambda_ce=2.0), 2)).terms
    assert twice["main"].weight == 2 and twice["auxiliary"].weight == 0.8


def _objectives(method, step):
    return method.objectives(prepared(method, step=step)[1])


@pytest.mark.parametrize(
    ("settings", "absent", "passes"),
    [
        ({"lambda_sem": 0.0, "lambda_feat": 0.0}, {"semantic", "feature-target", "feature-source"}, 1),
        ({"lambda_sem": 0.0}, {"semantic"}, 4),
        ({"lambda_feat": 0.0}, {"feature-target", "feature-source"}, 4),
        ({"lambda_sem": 0.0, "lambda_feat": 0.0, "lambda_ce": 0.0}, set(JOINT) - set(IMAGES), 0),
        ({"lambda_cycle": 0.0}, {"cycle"}, 4),
        ({}, set(), 4),
    ],
)
def test_a_term_with_weight_zero_is_not_computed(settings, absent, passes):
    method, batches = prepared(UDAMobile(**SMALL, **settings), step=2)
    objective, *judges = method.objectives(batches)
    assert set(JOINT) - set(objective.terms) == absent and method.model.passes == passes
    features = [name for name in method.networks if "features" in name]
    assert len(features) == len(judges) - 2 == (0 if settings.get("lambda_feat") == 0 else 2)
    learns = passes > 0
    assert objective.optimizers == (("generators", "segmenter") if learns else ("generators",))


def test_the_table_of_reach_shows_the_phases():
    """As the notebook shows it; a network without auxiliary heads has a constant there."""
    lab = Lab("smoke")
    shown = [report.gradient_reach(lab, "udamobile", "deeplabv3plus", step=at, steps=8, **SMALL) for at in (1, 2)]
    assert list(shown[0].index) == list(shown[1].index)
    assert [table.loc["main", "taken by"] for table in shown] == ["generators", "generators, segmenter"]
    for table in shown:
        assert table.loc["cycle", "segmenter"] == "–" != table.loc["main", "generators"]
        assert set(table.loc["auxiliary"].drop("taken by")) == {"–"}


# --- the value of the objective ---------------------------------------------------------------------------------------


def test_the_objective_against_the_equations():
    """L_tot in float64, written as eqs. (1) to (8) with squares for logarithms, and each discriminator's side."""
    method, batches = prepared(UDAMobile(**SMALL), step=2, dtype=torch.float64)
    method.model.decoder[0].p = 0.0
    total, *judges = method.objectives(batches)
    net = parts(method)
    encode, decode = net["M_e"], net["M_d"]
    segment = lambda pictures: decode(encode(to_segmenter(pictures)))  # noqa: E731
    x_s, x_t = (to_generator(batches[stream].images) for stream in ("source", "target"))
    fake_t, fake_s = net["G_ST"](x_s), net["G_TS"](x_t)
    features = {name: encode(to_segmenter(p)) for name, p in zip("stST", (x_s, x_t, fake_s, fake_t), strict=True)}
    expected = (
        ((net["D_T"](fake_t) - 1) ** 2).mean()  # (1)
        + ((net["D_S"](fake_s) - 1) ** 2).mean()  # (2)
        + 20 * ((net["G_TS"](fake_t) - x_s).abs().mean() + (net["G_ST"](fake_s) - x_t).abs().mean())  # (3)
        + 0.1 * cross_entropy(segment(fake_t), segment(x_s).argmax(1))  # (4)
        + 0.1 * cross_entropy(segment(fake_s), segment(x_t).argmax(1))
        + 1e-4 * ((net["D'_T"](features["T"]) - 1) ** 2).mean()  # (6)
        + 1e-4 * ((net["D'_S"](features["S"]) - 1) ** 2).mean()  # (7)
        + cross_entropy(segment(fake_t), batches["source"].labels)  # (8)
    )
    assert total.total.item() == pytest.approx(expected.item(), rel=1e-5)
    sides = {"D_T": (x_t, fake_t), "D_S": (x_s, fake_s)}
    sides |= {"D'_T": (features["t"], features["T"]), "D'_S": (features["s"], features["S"])}
    assert [objective.optimizers for objective in judges] == [(name,) for name in list(method.networks)[1:]]
    for objective, (letter, (original, translated)) in zip(judges, sides.items(), strict=True):
        scores = net[letter](original), net[letter](translated)
        expected = (((scores[0] - 1) ** 2).mean() + (scores[1] ** 2).mean()) / 2
        assert objective.total.item() == pytest.approx(expected.item(), rel=1e-5)
        right = ((scores[0] > 0.5).double().mean() + (scores[1] < 0.5).double().mean()) / 2
        assert next(iter(objective.watched.values())).item() == pytest.approx(right.item())


class Untranslated(nn.Module):
    """Generators that have nothing to do."""

    def forward(self, direction, pictures):
        return pictures


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("step", [1, 2])
def test_a_judge_of_features_sees_pictures_and_not_the_mode_of_batch_norm(fixed, step):
    """Equal pictures that nothing translates have equal features, before and after the segmenter begins to learn."""
    method, batches = prepared(UDAMobile(**SMALL, fixed_statistics=fixed, frozen_steps=2), step=step)
    method.networks["generators"] = Untranslated()
    for norm in (one for one in method.model.modules() if isinstance(one, nn.BatchNorm2d)):
        norm.running_mean += 3  # stored statistics that no batch has
    same = {stream: Batch(batches["source"].images, batch.labels) for stream, batch in batches.items()}
    shown = {}
    method.judge = lambda name, original, translated: shown.update({name: (original, translated)})
    list(method.objectives(same))
    judged = {name: pair for name, pair in shown.items() if "features" in name}
    assert len(judged) == 2
    for original, translated in judged.values():
        torch.testing.assert_close(original, translated)


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("step", [0, 7])
def test_gradients_of_a_batch_are_the_mean_of_its_pictures(cls, step):
    """What gradient accumulation relies on: no statistic spans two pictures."""

    def gradients(method, batches):
        found = []
        for objective in method.objectives(batches):
            own = [method.model if name == "segmenter" else method.networks[name] for name in objective.optimizers]
            leaves = [p for network in own for p in network.parameters()]
            found += torch.autograd.grad(objective.total.double(), leaves, allow_unused=True)
        return found

    def one(batch, i):
        return Batch(batch.images[i : i + 1], None if batch.labels is None else batch.labels[i : i + 1])

    settings = {**SMALL, "pool_size": 0}
    method, batches = prepared(cls(**settings), step=step, dtype=torch.float64)
    method.model.decoder[0].p = 0.0
    whole = gradients(method, batches)
    halves = [gradients(method, {name: one(batch, i) for name, batch in batches.items()}) for i in range(2)]
    assert any(g is not None for g in whole)
    for together, first, second in zip(whole, *halves, strict=True):
        if together is not None:
            torch.testing.assert_close((first + second) / 2, together, rtol=1e-4, atol=1e-7)


def test_the_discriminators_are_those_of_the_papers():
    for cls in (CycleGAN, CyCADA):
        networks = cls(**SMALL).build(Segmenter())
        assert type(networks["discriminator-target"]) is type(networks["discriminator-source"]) is PatchGAN
    for variant, strides in (("printed", [2, 2, 2, 2, 2]), ("published-code", [2, 2, 2, 2, 1])):
        networks = UDAMobile(**SMALL, variant=variant).build(Segmenter())
        assert isinstance(networks["discriminator-target"], ImageDiscriminator)
        convolutions = [m for m in networks["discriminator-source"].modules() if isinstance(m, nn.Conv2d)]
        assert [convolution.stride[0] for convolution in convolutions] == strides
        judge = networks["discriminator-features-target"]
        assert isinstance(judge, FeatureDiscriminator)
        assert next(m for m in judge.modules() if isinstance(m, nn.Conv2d)).in_channels == 6
    with pytest.raises(UnknownNameError, match="printed, published-code"):
        UDAMobile(variant="secret").build(Segmenter())


def test_building_leaves_the_segmenter_alone():
    model = Segmenter()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    UDAMobile(**SMALL).build(model)
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- phases -----------------------------------------------------------------------------------------------------------


def trainer(squares, method, **changes):
    torch.manual_seed(0)
    sets = {stream: squares(seed=i) for i, stream in enumerate(method.streams)}
    recipe = Recipe(**{"steps": 8, "batch_size": 2, "learning_rate": 1e-3, **changes})
    return Trainer(make_fabric(recipe.precision, device="cpu"), Segmenter(), method, recipe, sets, 0)


def state(training, name):
    return torch.cat([value.detach().flatten().double() for value in training.networks[name].state_dict().values()])


def learned(training, until=None):
    """For each network the steps, counted from 0, in which anything of it changed."""
    steps = {name: [] for name in training.networks}
    before = {name: state(training, name) for name in training.networks}
    for step in training.run():
        for name in training.networks:
            after = state(training, name)
            if not torch.equal(after, before[name]):
                steps[name].append(step - 1)
            before[name] = after
        if step == until:
            break
    return steps


ALWAYS, FIRST_HALF, SECOND_HALF, LATER = list(range(8)), [0, 1, 2, 3], [4, 5, 6, 7], [2, 3, 4, 5, 6, 7]
IMAGE_NETWORKS = ("generators", "discriminator-target", "discriminator-source")
FEATURE_NETWORKS = ("discriminator-features-target", "discriminator-features-source")
PHASES = [
    (CycleGAN, {}, dict.fromkeys(IMAGE_NETWORKS, FIRST_HALF) | {"segmenter": SECOND_HALF}),
    (
        CyCADA,
        {},
        dict.fromkeys(IMAGE_NETWORKS, FIRST_HALF) | dict.fromkeys(("segmenter", "discriminator-features"), SECOND_HALF),
    ),
    (UDAMobile, {}, dict.fromkeys((*IMAGE_NETWORKS, *FEATURE_NETWORKS), ALWAYS) | {"segmenter": LATER}),
    (
        UDAMobile,
        {"variant": "published-code"},
        dict.fromkeys(IMAGE_NETWORKS, ALWAYS) | dict.fromkeys(("segmenter", *FEATURE_NETWORKS), LATER),
    ),
    (
        UDAMobile,
        {"frozen_steps": 0, "lambda_feat": 0.0},
        dict.fromkeys((*IMAGE_NETWORKS, "segmenter"), ALWAYS),
    ),
    (
        CycleGAN,
        {"translation_steps": 2},
        dict.fromkeys(IMAGE_NETWORKS, ALWAYS[:2]) | {"segmenter": LATER},
    ),
]


@pytest.mark.parametrize(("cls", "settings", "expected"), PHASES)
def test_each_network_learns_in_its_phase(squares, cls, settings, expected):
    assert learned(trainer(squares, cls(**SMALL, **settings))) == expected


@pytest.mark.parametrize(("cls", "settings", "expected"), PHASES[:4])
@pytest.mark.parametrize("at", [1, 5])
def test_the_phase_is_right_after_a_resume(squares, cls, settings, expected, at):
    first = trainer(squares, cls(**SMALL, **settings))
    before = learned(first, until=at)
    second = trainer(squares, cls(**SMALL, **settings))
    second.load_state_dict(first.state_dict())
    after = learned(second)
    assert {name: before[name] + after[name] for name in before} == expected


@pytest.mark.parametrize("cls", METHODS)
def test_a_phase_counts_optimiser_steps(squares, cls):
    """However many micro-batches make one."""
    whole = learned(trainer(squares, cls(**SMALL), batch_size=2))
    assert learned(trainer(squares, cls(**SMALL), batch_size=2, accumulate=2)) == whole


@pytest.mark.parametrize("cls", METHODS)
def test_the_segmenters_statistics_stay(squares, cls):
    training = trainer(squares, cls(**SMALL))
    norm = training.networks["segmenter"].encoder[1]
    norm.running_mean.fill_(0.25)
    for _ in training.run():
        assert (norm.running_mean == 0.25).all() and (norm.running_var == 1).all() and norm.num_batches_tracked == 0


@pytest.mark.parametrize("cls", METHODS)
def test_else_adapted_source_pictures_alone_move_them(squares, cls):
    """By momentum 0.1 towards the encoder's mean on G_ST(x_S), once, in the first step in which it learns."""
    method, batches = prepared(cls(**SMALL, fixed_statistics=False), step=0)
    norm, convolution = method.model.encoder[1], method.model.encoder[0]
    list(method.objectives(batches))
    assert (norm.running_mean == 0).all() and (norm.running_var == 1).all(), "while it is fixed"
    method.begin_step(7, 8)
    with torch.no_grad():
        adapted = method.networks["generators"]("to_target", to_generator(batches["source"].images))
        expected = 0.1 * convolution(to_segmenter(adapted)).mean((0, 2, 3))
    list(method.objectives(batches))
    torch.testing.assert_close(norm.running_mean, expected)


def test_a_fixed_segmenter_has_no_dropout_and_originals_never_have_it():
    method, batches = prepared(UDAMobile(**SMALL), step=1)
    dropout = method.model.decoder[0]
    assert not dropout.training and method.networks["generators"].training
    method.begin_step(2, 8)
    assert dropout.training
    answers = [method.segment_original(batches["target"].images).logits for _ in range(2)]
    assert torch.equal(*answers) and not answers[0].requires_grad and dropout.training


def rates(training):
    """The learning rate of each optimiser at each step."""
    found = {name: [] for name in training.optimizers}
    for _ in training.run():
        for name, optimizer in training.optimizers.items():
            found[name].append(optimizer.param_groups[0]["lr"])
    return found


def test_the_segmenters_schedule_begins_when_it_begins_to_learn(squares):
    found = rates(trainer(squares, UDAMobile(**SMALL)))
    expected = [0, 0, *(1e-3 * (1 - t / 6) ** 0.9 for t in range(6))]
    assert found.pop("segmenter") == pytest.approx(expected)
    assert all(values == [2e-4] * 8 for values in found.values())


def test_cyclegans_rates_are_constant_and_then_fall(squares):
    training = trainer(squares, CycleGAN(**SMALL, translation_steps=6), schedule="constant")
    found = rates(training)
    assert found.pop("segmenter") == pytest.approx([0] * 6 + [1e-3] * 2)
    falling = [1, 1, 1, 1, 2 / 3, 1 / 3]
    assert set(found) == set(IMAGE_NETWORKS)
    for values in found.values():
        assert values[:6] == pytest.approx([2e-4 * factor for factor in falling])
    assert training.metrics[-1]["learning_rate"] == pytest.approx(1e-3)


# --- the image pool ---------------------------------------------------------------------------------------------------


def numbered(first, count):
    return torch.arange(first, first + count, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def shown_by(pool, batches, size):
    return [int(p[0, 0, 0]) for b in range(batches) for p in pool.exchange(numbered(b * size, size))]


@pytest.mark.parametrize("batch", [1, 4])
def test_the_pool_shows_old_pictures_half_of_the_time(batch):
    """A picture leaves with probability 1/(2·50) each time, so that it waits for 100 others on average."""
    pool, count = ImagePool(50, seed=5), 40_000
    shown = np.array(shown_by(pool, count // batch, batch))
    assert (shown[:50] == np.arange(50)).all(), "while it fills it shows what comes"
    ages = np.arange(count) - shown
    later = ages[1000:]
    assert (later >= 0).all() and (later == 0).mean() == pytest.approx(0.5, abs=0.01)
    waited = later[later > 0]
    assert waited.mean() == pytest.approx(100, rel=0.03)
    assert np.median(waited) == pytest.approx(np.log(0.5) / np.log(1 - 1 / 100), rel=0.05)
    old = shown[1000:][later > 0]
    assert len(set(old)) == len(old), "what was shown from the pool has left it"
    assert min(picture[0, 0, 0] for picture in pool.pictures) > count - 2000, "every place is used"


def test_the_pool_hands_out_no_gradient_and_keeps_its_own_copies():
    pool = ImagePool(1, seed=0)
    pictures = numbered(1, 1).clone().requires_grad_()
    assert not pool.exchange(2 * pictures).requires_grad
    later = numbered(5, 1).clone()
    pool = ImagePool(1, seed=0)
    pool.exchange(later)
    later.zero_()
    assert pool.pictures[0][0, 0, 0] == 5
    assert torch.equal(ImagePool(0, seed=0).exchange(later), later)


def test_the_pool_continues_where_it_was():
    one, other = ImagePool(5, seed=1), ImagePool(5, seed=2)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    shown_by(one, 20, 2)
    other.load_state_dict(one.state_dict(), torch.device("cpu"))
    assert shown_by(one, 50, 2) == shown_by(other, 50, 2)
    assert torch.equal(torch.get_rng_state(), before), "its draws are its own"


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("at", [1, 5])
def test_a_resumed_training_ends_with_the_same_bits(squares, cls, at, tmp_path):
    """All networks, all optimisers, the pools; through a file, as after a kill."""
    recipe = {"accumulate": 2, "batch_size": 2}
    whole = trainer(squares, cls(**SMALL), **recipe)
    for _ in whole.run():
        pass
    half = trainer(squares, cls(**SMALL), **recipe)
    for step in half.run():
        if step == at:
            break
    file = checkpoints.save(tmp_path, at, half.state_dict())
    rest = trainer(squares, cls(**SMALL), **recipe)
    rest.load_state_dict(checkpoints.load(file))
    for _ in rest.run():
        pass
    assert rest.metrics == whole.metrics
    for name in whole.networks:
        assert torch.equal(state(rest, name), state(whole, name)), name
    for name, optimizer in whole.optimizers.items():
        ours, theirs = (o.optimizer.state_dict()["state"] for o in (rest.optimizers[name], optimizer))
        assert ours.keys() == theirs.keys() and ours, name
        for key, moments in theirs.items():
            assert all(torch.equal(torch.as_tensor(ours[key][m]), torch.as_tensor(v)) for m, v in moments.items()), name
    for domain, pool in whole.method.pools.items():
        pools = pool.pictures, rest.method.pools[domain].pictures
        assert len(pools[0]) == 3 and all(torch.equal(a, b) for a, b in zip(*pools, strict=True))


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", METHODS)
def test_mixed_precision_trains(squares, cls):
    training = trainer(squares, cls(**SMALL), precision="bf16-mixed", steps=4)
    for _ in training.run():
        pass
    assert all(np.isfinite(value) for name, value in training.metrics[-1].items() if name.startswith("loss/"))
    assert all(pool.pictures[0].dtype == torch.float32 for pool in training.method.pools.values())

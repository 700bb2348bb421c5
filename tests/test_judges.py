"""What a discriminator can tell by a network's maps, and the same weights with another domain's statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from labkit.data.dataset import Sample
from labkit.data.transforms import normalize
from labkit.errors import LabError
from labkit.evaluation.batch_norm import with_mixed_statistics, with_statistics_of
from labkit.evaluation.judges import answers_for, information_maps, judge_domains, softmax_maps, true_maps
from labkit.labels import IGNORE, NUM_CLASSES
from labkit.models.output import SegmentationOutput


class Shade(nn.Module):
    """The red channel, batch-normalised, as the first class's logit."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images):
        logits = torch.zeros(len(images), NUM_CLASSES, *images.shape[2:])
        logits[:, :1] = 4 * self.norm(images[:, :1])
        return SegmentationOutput(logits, (), {})


class Grey:
    """Pictures of one shade each, around a level."""

    name, split, evaluation = "Grey", "train", "miou"

    def __init__(self, level: int, spread: int = 20, count: int = 12):
        shades = np.random.default_rng(level).integers(level - spread, level + spread, count)
        self.pictures = [np.full((32, 64, 3), shade, np.uint8) for shade in shades]

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return Sample(self.pictures[index], np.full((32, 64), index % 3, np.uint8), str(index))


DARK, LIGHT = Grey(60), Grey(190)


def judged(source, target, maps=None, **changes):
    maps = maps or softmax_maps(Shade().eval())
    settings = {"steps": 12, "learning_rate": 2e-3, **changes}
    return judge_domains(maps, (source, target), (source, target), **settings)


def test_domains_that_look_alike_are_told_apart_by_chance_and_others_surely():
    assert judged(DARK, DARK).held_out == pytest.approx(0.5)
    apart = judged(DARK, LIGHT)
    assert apart.held_out == 1 and np.mean(apart.accuracy[-3:]) > 0.95 and len(apart.accuracy) == 12
    samples = [DARK[0], LIGHT[0]]
    answers = answers_for(apart.judge, softmax_maps(Shade().eval()), samples)
    assert answers.shape == (2, 1, 1, 2) and answers[0].max() < 0 < answers[1].min()


def test_a_judgement_is_a_function_of_its_seed_and_touches_neither_network_nor_random_state():
    model = Shade().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (judged(DARK, LIGHT, softmax_maps(model), steps=2) for _ in range(2))
    assert first.accuracy == again.accuracy and first.held_out == again.held_out
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    one, two = (p.detach() for p in (next(first.judge.parameters()), next(again.judge.parameters())))
    assert torch.equal(one, two)


def test_what_the_judges_are_shown():
    samples = [DARK[0], DARK[1]]
    probabilities = softmax_maps(Shade().eval())(samples)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 32, 64))
    p = probabilities.double()
    expected = -(p * p.log()).sum(1) / np.log(NUM_CLASSES)
    torch.testing.assert_close(information_maps(Shade().eval())(samples).sum(1).double(), expected, atol=1e-5, rtol=0)


def test_true_maps_are_the_labels_and_void_is_filled_from_beside():
    label = np.random.default_rng(0).integers(0, NUM_CLASSES, (4, 5)).astype(np.uint8)
    label[2:, :2] = 7
    label[3:, :1] = IGNORE
    empty = np.full((4, 5), IGNORE, np.uint8)
    maps = true_maps([Sample(np.zeros((4, 5, 3), np.uint8), one, "") for one in (label, empty)])
    assert maps.shape == (2, NUM_CLASSES, 4, 5) and maps.dtype == torch.float32 and not maps[1].any()
    assert (maps[0].sum(0) == 1).all() and maps[0, 7, 3, 0] == 1
    valid = label != IGNORE
    np.testing.assert_array_equal(maps[0].argmax(0).numpy()[valid], label[valid])


# --- batch norm -------------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_other_domain():
    model = Shade().eval()
    adapted = with_statistics_of(model, LIGHT, batch_size=4)
    assert model.norm.running_mean.item() == 0 and not adapted.norm.training
    pictures = torch.from_numpy(np.stack([p.transpose(2, 0, 1) for p in LIGHT.pictures])) / 255
    red = normalize(pictures)[:, 0].double()
    batches = red.reshape(3, -1)
    assert adapted.norm.running_mean.item() == pytest.approx(batches.mean().item(), rel=1e-4)
    assert adapted.norm.running_var.item() == pytest.approx(batches.var(dim=1).mean().item(), rel=1e-4)
    few = with_statistics_of(model, LIGHT, batch_size=50, limit=5)
    assert few.norm.running_mean.item() == pytest.approx(red[[0, 2, 4, 7, 9]].mean().item(), rel=1e-4)
    with pytest.raises(LabError, match="Grey has 1 picture"):
        with_statistics_of(model, Grey(60, count=1))


def test_a_mixture_is_what_batches_in_turn_leave_behind():
    """Against a real batch norm that is given both domains in turn."""
    networks = [with_statistics_of(Shade(), one, batch_size=12) for one in (DARK, LIGHT)]
    in_turn = Shade().train()
    for _ in range(200):
        for domain in (DARK, LIGHT):
            images = torch.from_numpy(np.stack([p.transpose(2, 0, 1) for p in domain.pictures])) / 255
            in_turn(normalize(images))
    mixed = with_mixed_statistics(*networks, 1 / 1.9)
    assert mixed.norm.running_mean.item() == pytest.approx(in_turn.norm.running_mean.item(), rel=1e-4)
    assert mixed.norm.running_var.item() == pytest.approx(in_turn.norm.running_var.item(), rel=1e-4)
    for share, network in enumerate(networks):
        assert with_mixed_statistics(*networks, share).norm.running_mean.item() == network.norm.running_mean.item()

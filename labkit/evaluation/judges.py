"""How well two domains can be told apart by what a network predicts: a new discriminator, trained for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.evaluation.predict import predict_logits
from labkit.labels import IGNORE, NUM_CLASSES
from labkit.losses.adversarial import SOURCE_DOMAIN, TARGET_DOMAIN, domain_loss
from labkit.losses.entropy import self_information
from labkit.models.discriminator import Discriminator

Maps = Callable[[Sequence[Sample]], Tensor]
"""From samples of one size to what a discriminator is shown of them, float32 ``(N, C, H, W)``."""


def softmax_maps(model: nn.Module) -> Maps:
    """What an adversarial training shows its discriminator: the network's probabilities."""
    return lambda samples: _logits(model, samples).float().softmax(dim=1)


def information_maps(model: nn.Module) -> Maps:
    """What ADVENT shows it: each class's share of the normalised entropy."""
    return lambda samples: self_information(_logits(model, samples))


def true_maps(samples: Sequence[Sample]) -> Tensor:
    """The labels as a network's maps would be if it were right and sure everywhere.

    A void pixel has the label of the nearest one that has any: the shape of what nobody labelled tells nothing.
    """
    labels = torch.from_numpy(np.stack([_filled(sample.label) for sample in samples])).long()
    return nn.functional.one_hot(labels.clamp(max=NUM_CLASSES), NUM_CLASSES + 1)[..., :-1].movedim(-1, 1).float()


def _filled(label: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    void = label == IGNORE
    if void.all():
        return label
    return label[tuple(distance_transform_edt(void, return_distances=False, return_indices=True))]


def _logits(model: nn.Module, samples: Sequence[Sample]) -> Tensor:
    device = next(model.parameters()).device
    # A clone outside of inference mode may take part in a training.
    return predict_logits(model, to_batch(samples).images.to(device)).clone()


class Judgement(NamedTuple):
    """A discriminator that was trained against a still network.

    Attributes:
        judge: the discriminator, in evaluation mode.
        accuracy: share of right answers on the pictures of each step, before it learned from them.
        held_out: the same on pictures that it has not seen; 0.5 is guessing.
    """

    judge: Discriminator
    accuracy: list[float]
    held_out: float


def judge_domains(
    maps: Maps,
    training: tuple[SegmentationDataset, SegmentationDataset],
    testing: tuple[SegmentationDataset, SegmentationDataset],
    *,
    steps: int = 60,
    batch_size: int = 4,
    learning_rate: float = 5e-4,
    seed: int = 0,
    limit: int = 40,
    device: torch.device | str = "cpu",
) -> Judgement:
    """Train a new discriminator to tell two domains by ``maps``, and ask it about pictures that it has not seen.

    The accuracy of the discriminator in an adversarial training says how it fares against a network that moves. This
    one has the time to learn: near 0.5 the maps do look alike, to a discriminator of this kind.

    Args:
        maps: what it is shown.
        training, testing: source and target. Their labels are not used, unless ``maps`` does.
        steps, batch_size, learning_rate: of Adam with AdaptSegNet's momenta; pictures of each domain in a step.
        seed: of its weights and of the choice of pictures.
        limit: pictures of each domain that it is tested on, spread evenly.
        device: of the discriminator.
    """
    draws = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Discriminator(NUM_CLASSES).to(device)
    optimizer = torch.optim.Adam(judge.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    accuracy = []
    for _ in range(steps):
        chosen = [draws.integers(len(domain), size=batch_size) for domain in training]
        answers = [
            judge(maps([domain[int(i)] for i in indices]).to(device))
            for domain, indices in zip(training, chosen, strict=True)
        ]
        loss = (domain_loss(answers[0], SOURCE_DOMAIN) + domain_loss(answers[1], TARGET_DOMAIN)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        accuracy.append(_right(*answers))
    judge.eval()
    tested = [answers_for(judge, maps, [domain[i] for i in evenly(len(domain), limit)]) for domain in testing]
    return Judgement(judge, accuracy, _right(*tested))


@torch.inference_mode()
def answers_for(judge: nn.Module, maps: Maps, samples: Sequence[Sample], batch_size: int = 8) -> Tensor:
    """A discriminator's logits ``(N, 1, h, w)`` for samples of one size, on the CPU; above 0 means target."""
    device = next(judge.parameters()).device
    parts = [samples[start : start + batch_size] for start in range(0, len(samples), batch_size)]
    return torch.cat([judge(maps(part).to(device)).float().cpu() for part in parts])


def _right(of_source: Tensor, of_target: Tensor) -> float:
    """Share of right answers, each domain counting half."""
    return float(((of_source < 0).float().mean() + (of_target > 0).float().mean()) / 2)

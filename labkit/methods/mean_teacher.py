"""Mean teacher with class mixing, as in DACS (Tranheden et al., WACV 2021): where the field went after entropy.

.. math:: L = L_s(x_s, y_s) + \\lambda_m L_m(x_m, y_m), \\quad x_m = I_m x_s + (1 - I_m) x_t

The teacher is a moving average of the network that learns, and labels the target anew at every step. The network itself
sees target pictures only with half of a source picture's classes upon them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from labkit.data.mixing import half_of_classes, mix
from labkit.data.transforms import Augmentation, denormalize, layout, normalize
from labkit.data.windows import at_one_size
from labkit.losses.weighted_cross_entropy import weighted_cross_entropy
from labkit.methods.supervised import SourceOnly
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term

TEACHER = "teacher"


@dataclass
class MeanTeacher(SourceOnly):
    """DACS: ClassMix from source onto target, labelled by an averaged teacher.

    After step i, counted from 0, teacher ← m · teacher + (1 − m) · network, m = min(1 − 1 / (i + 1), ``decay``). So are
    the running means and variances of batch norm averaged, which the teacher, always in evaluation mode,
    normalises by; the authors' code leaves them out of the average and normalises by the batch. A counter is copied.

    L_m is cross-entropy on all pixels: weight 1 where the mixed picture shows the source, and elsewhere the share of
    the batch's target pixels of whose label the teacher is sure. It judges the main head alone.

    Attributes:
        lambda_m: weight of L_m.
        decay: the largest m.
        confidence: the largest probability from which on the teacher counts as sure.
        mixed_jitter, mixed_blur: probabilities of a change of the mixed picture's colours and of a blur; the ranges, in
            ``strong``, are those of the authors' code.
    """

    name: ClassVar[str] = "mean-teacher"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = (
        "each batch by itself; running statistics of source and mixed pictures in turn; the teacher has their average"
    )

    lambda_m: float = setting(1.0, 0)
    decay: float = setting(0.99, 0, 1)
    confidence: float = setting(0.968, 0, 1)
    mixed_jitter: float = setting(0.8, 0, 1)
    mixed_blur: float = setting(0.5, 0, 1)

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """The teacher, which begins like the network."""
        return {TEACHER: copy.deepcopy(model).requires_grad_(False)}

    @property
    def strong(self) -> Augmentation:
        """What is done to mixed pictures."""
        return Augmentation(
            jitter=self.mixed_jitter,
            brightness=0.25,
            contrast=0.25,
            saturation=0.25,
            hue=0.25,
            blur=self.mixed_blur,
            blur_sigma=(0.15, 1.15),
            blur_kernel=9,
        )

    def training_mode(self) -> None:
        """The teacher is always in evaluation mode."""
        super().training_mode()
        self.networks[TEACHER].eval()

    @torch.no_grad()
    def begin_step(self, step: int, steps: int) -> None:
        """Take the step before into the average."""
        if not step:
            return
        memory = min(1 - 1 / step, self.decay)
        for average, value in zip(_tensors(self.networks[TEACHER]), _tensors(self.model), strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - memory)
            else:
                average.copy_(value)

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """L_s, then λ_m L_m; watched is the share of target pixels of which the teacher is sure."""
        yield Objective(self.supervised(self.model(batches[SOURCE].images), batches[SOURCE]))
        images, labels, weights, sure = self.mixed(batches[SOURCE], batches[TARGET].images)
        loss = weighted_cross_entropy(self.model(images).logits, labels, weights)
        yield Objective({"mixed": Term(loss, self.lambda_m)}, watched={"confident share": sure})

    @torch.no_grad()
    def mixed(self, source: Batch, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mixed pictures, already changed in colour. Draws from torch's global generator.

        Pictures of two sizes are mixed at the smaller height and width, cropped at random.

        Returns:
            Images ``(N, 3, h, w)``, labels int64 ``(N, h, w)``, weights float ``(N, h, w)`` and the share of sure
            pixels, a scalar.
        """
        probabilities = self.networks[TEACHER](target).logits.float().softmax(dim=1)
        certainty, pseudo_labels = probabilities.max(dim=1)
        sure = (certainty >= self.confidence).float().mean()
        pictures = at_one_size((source.images, source.labels), (target, pseudo_labels))
        mask = half_of_classes(pictures[1])
        images, labels = mix(mask, *pictures)
        images, _ = self.strong(denormalize(images).clamp(0, 1), None, torch.default_generator)
        images = normalize(images).contiguous(memory_format=layout(images.device))
        return images, labels, torch.where(mask, 1.0, sure), sure


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers, in an order that copies share."""
    return chain(network.parameters(), network.buffers())

"""Adversarial adaptation in output space: make the target's predictions look like the source's (baitan2025 §4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from labkit.errors import LabError
from labkit.losses.adversarial import SOURCE_DOMAIN, TARGET_DOMAIN, domain_loss
from labkit.losses.entropy import self_information
from labkit.methods.supervised import SourceOnly
from labkit.models.batch_norm import still_statistics
from labkit.models.discriminator import Discriminator
from labkit.models.output import SegmentationOutput
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term


@dataclass
class Adversarial(SourceOnly):
    """A discriminator learns to tell source from target by their softmax maps; the segmenter learns to deceive it.

    .. math:: L = L_{seg}(I_s) + \\lambda_{adv} L_{adv}(I_t)

    L_adv is the discriminator's binary cross-entropy on target pictures, labelled as source. The discriminator, in the
    same step, minimises the mean of both domains' cross-entropies with their true labels. Its optimiser is
    AdaptSegNet's: Adam, 1e-4, (0.9, 0.99).

    Attributes:
        lambda_adv: λ_adv. With 0 the target still passes through the network: see ``target_statistics``.
        discriminator_learning_rate: of Adam, at the beginning; it follows the segmenter's schedule.
        target_statistics: whether target pictures move the running statistics of batch norm, as they do in the
            published code. Switched off, and with λ_adv = 0, this is source-only training.
    """

    name: ClassVar[str] = "adversarial"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = "each batch by itself; running statistics of source and target pictures in turn"

    lambda_adv: float = setting(0.001, 0)
    discriminator_learning_rate: float = setting(1e-4, 0)
    target_statistics: bool = True

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """The discriminator."""
        return {"discriminator": Discriminator(model.num_classes)}

    def optimizer(self, network: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam with AdaptSegNet's momenta."""
        return torch.optim.Adam(parameters, lr=self.discriminator_learning_rate, betas=(0.9, 0.99))

    def levels(self, output: SegmentationOutput) -> dict[str, tuple[Tensor, float]]:
        """What is judged: for each discriminator the logits and their λ."""
        return {"discriminator": (output.logits, self.lambda_adv)}

    def maps(self, logits: Tensor) -> Tensor:
        """What a discriminator sees of logits: probabilities, the same shape."""
        return logits.float().softmax(dim=1)

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """The segmenter's objective, then one of each discriminator."""
        source = self.model(batches[SOURCE].images)
        with nullcontext() if self.target_statistics else still_statistics(self.model):
            target = self.model(batches[TARGET].images)
        terms = self.supervised(source, batches[SOURCE])
        for name, (logits, weight) in self.levels(target).items():
            deceived = domain_loss(self.networks[name](self.maps(logits)), SOURCE_DOMAIN)
            terms[name.replace("discriminator", "adversarial")] = Term(deceived, weight)
        yield Objective(terms)
        of_target = self.levels(target)
        for name, (logits, _) in self.levels(source).items():
            on_source = self.networks[name](self.maps(logits.detach()))
            on_target = self.networks[name](self.maps(of_target[name][0].detach()))
            right = torch.cat([(on_source < 0).flatten(), (on_target > 0).flatten()]).float().mean()
            yield Objective(
                {
                    f"{name} source": Term(domain_loss(on_source, SOURCE_DOMAIN), 0.5),
                    f"{name} target": Term(domain_loss(on_target, TARGET_DOMAIN), 0.5),
                },
                optimizer=name,
                watched={f"{name} accuracy": right},
            )


@dataclass
class MultiLevelAdversarial(Adversarial):
    """AdaptSegNet's multi-level variant (Tsai et al., CVPR 2018): a second discriminator judges an auxiliary head.

    With BiSeNet that is the head on its deepest features (1/32).

    Attributes:
        lambda_auxiliary: λ_adv of the auxiliary level.
    """

    name: ClassVar[str] = "adversarial-multilevel"

    lambda_auxiliary: float = setting(0.0002, 0)

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """Two discriminators."""
        return {
            "discriminator": Discriminator(model.num_classes),
            "discriminator-auxiliary": Discriminator(model.num_classes),
        }

    def levels(self, output: SegmentationOutput) -> dict[str, tuple[Tensor, float]]:
        """The main head's logits and the last auxiliary head's."""
        if not output.auxiliary:
            raise LabError(
                f"{self.name} judges an auxiliary head, and this network has none; use bisenet, or method adversarial"
            )
        return {
            "discriminator": (output.logits, self.lambda_adv),
            "discriminator-auxiliary": (output.auxiliary[-1], self.lambda_auxiliary),
        }


@dataclass
class Advent(Adversarial):
    """ADVENT (Vu et al., CVPR 2019): the discriminator sees how the entropy is shared among classes."""

    name: ClassVar[str] = "advent"

    def maps(self, logits: Tensor) -> Tensor:
        """Weighted self-information, normalised by log C."""
        return self_information(logits)

"""What CycleGAN, CyCADA and toldo2020's method share: generators both ways, discriminators of pictures, their terms.

The segmenter works on ImageNet-normalised images and the generators on pictures in [−1, 1];
:mod:`labkit.models.picture_range` lies between them. A term of an objective is named after the loss and, where there
are two, after the domain whose look its picture has: ``image-target`` is L_i,T of toldo2020, eq. (1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from labkit.losses.translation import ORIGINAL, TRANSLATED, cycle_consistency, least_squares, semantic_consistency
from labkit.methods.image_pool import ImagePool
from labkit.methods.supervised import SourceOnly
from labkit.models.batch_norm import fix_statistics, still_statistics
from labkit.models.generator import Generator
from labkit.models.output import SegmentationOutput
from labkit.models.patch_gan import PatchGAN
from labkit.models.picture_range import to_generator, to_segmenter
from labkit.settings import setting
from labkit.training.method import SEGMENTER, SOURCE, TARGET, Batch, Objective, Term
from labkit.training.schedule import restarted

GENERATORS = "generators"


class Generators(nn.ModuleDict):
    """G_ST as ``to_target`` and G_TS as ``to_source``: one network, so that one optimiser trains both."""

    def __init__(self, blocks: int, filters: int):
        super().__init__({name: Generator(blocks, filters) for name in ("to_target", "to_source")})

    def forward(self, direction: str, pictures: Tensor) -> Tensor:
        """Pictures float ``(N, 3, H, W)`` in [−1, 1], H and W multiples of four, translated."""
        return self[direction](pictures)


class Translated(NamedTuple):
    """Pictures of one step, float ``(N, 3, H, W)`` in [−1, 1].

    Attributes:
        source, target: x_S and x_T.
        source_as_target, target_as_source: G_ST(x_S) and G_TS(x_T), with their gradient.
    """

    source: Tensor
    target: Tensor
    source_as_target: Tensor
    target_as_source: Tensor


@dataclass
class Translation(SourceOnly):
    """Base of the methods that translate pictures; it has no objectives of its own.

    The optimisers are CycleGAN's: Adam with a small β₁, one for both generators, one for each discriminator.

    Attributes:
        lambda_cycle: weight of the cycle consistency.
        adversarial_learning_rate, adversarial_betas: of Adam, for generators and discriminators.
        generator_blocks, generator_filters: size of the generators, see :class:`labkit.models.generator.Generator`.
        discriminator_filters: channels of every discriminator's first convolution.
        pool_size: translated pictures that each discriminator's pool holds.
        fixed_statistics: whether the segmenter's batch norm keeps the statistics that it started with, as in the code
            of toldo2020's authors; the paper does not say. Else, as soon as the segmenter learns, pictures that it
            learns from are normalised by their batch, and G_ST's alone move the running statistics.
    """

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = "none; with fixed_statistics=false, source pictures translated to the target alone"
    keeps: ClassVar[tuple[str, ...]] = (GENERATORS,)

    lambda_cycle: float = setting(10.0, 0)
    adversarial_learning_rate: float = setting(2e-4, 0)
    adversarial_betas: tuple[float, float] = setting((0.5, 0.999), 0, 1 - 2**-53)
    generator_blocks: int = setting(9, 1)
    generator_filters: int = setting(64, 1)
    discriminator_filters: int = setting(64, 1)
    pool_size: int = setting(50, 0)
    fixed_statistics: bool = True

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """Generators and discriminators of pictures; the pools are emptied."""
        self.step, self.steps = 0, 1
        self.pools = {domain: ImagePool(self.pool_size, int(torch.randint(2**62, ()))) for domain in (TARGET, SOURCE)}
        return {
            GENERATORS: Generators(self.generator_blocks, self.generator_filters),
            "discriminator-target": self.image_discriminator(),
            "discriminator-source": self.image_discriminator(),
        }

    def image_discriminator(self) -> nn.Module:
        """A discriminator of pictures; CycleGAN's."""
        return PatchGAN(filters=self.discriminator_filters)

    def optimizer(self, network: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam as in CycleGAN."""
        return torch.optim.Adam(parameters, lr=self.adversarial_learning_rate, betas=self.adversarial_betas)

    # --- phases ------------------------------------------------------------------------------------------------------

    @property
    def segmenter_begins(self) -> int:
        """The step at which the segmenter begins to learn."""
        raise NotImplementedError(f"{type(self).__name__} does not say when the segmenter begins to learn")

    @property
    def segmenter_fixed(self) -> bool:
        """Whether the segmenter is kept as it is at this step."""
        return self.step < self.segmenter_begins

    def begin_step(self, step: int, steps: int) -> None:
        """Change the phase where it is due."""
        self.step, self.steps = step, steps
        self.training_mode()

    def learning_rate_factor(self, network: str, step: int, recipe: Callable[[int], float]) -> float:
        """The segmenter's schedule runs from where it begins to learn; the other rates are constant."""
        return restarted(recipe, step, self.segmenter_begins) if network == SEGMENTER else 1.0

    def training_mode(self) -> None:
        """Batch norm as ``fixed_statistics`` says; a fixed segmenter has no dropout and no auxiliary heads either."""
        super().training_mode()
        if self.fixed_statistics:
            fix_statistics(self.model)
        if self.segmenter_fixed:
            self.model.eval()

    # --- the parts of the objectives ---------------------------------------------------------------------------------

    def translate(self, batches: Mapping[str, Batch]) -> Translated:
        """Each domain's pictures, and their translations."""
        source, target = (to_generator(batches[stream].images) for stream in (SOURCE, TARGET))
        generators = self.networks[GENERATORS]
        return Translated(source, target, generators("to_target", source), generators("to_source", target))

    def segment(self, pictures: Tensor) -> SegmentationOutput:
        """M's answer for translated pictures."""
        return self.model(to_segmenter(pictures))

    @torch.no_grad()
    def segment_original(self, images: Tensor) -> SegmentationOutput:
        """M's answer for a batch as it is: without gradient and without dropout."""
        self.model.eval()
        output = self.model(images)
        self.training_mode()
        return output

    @torch.no_grad()
    def judged_original(self, images: Tensor, segmented: SegmentationOutput) -> SegmentationOutput:
        """What a judge of features is shown of originals: normalised as the translations are that it sees beside them.

        Where those are normalised by their batch, stored statistics would tell it all, whatever the pictures are.
        ``segmented`` is :meth:`segment_original`'s output for the same images.
        """
        if self.fixed_statistics or self.segmenter_fixed:
            return segmented
        with still_statistics(self.model):
            return self.model(images)

    def image_terms(self, pictures: Translated) -> dict[str, Term]:
        """Both generators' sides of eqs. (1) and (2) by least squares, and the cycle consistency, eq. (3)."""
        terms = {
            "image-target": Term(self.deceived("discriminator-target", pictures.source_as_target)),
            "image-source": Term(self.deceived("discriminator-source", pictures.target_as_source)),
        }
        if self.lambda_cycle:
            generators = self.networks[GENERATORS]
            source_again = generators("to_source", pictures.source_as_target)
            target_again = generators("to_target", pictures.target_as_source)
            cycle = cycle_consistency(source_again, pictures.source) + cycle_consistency(target_again, pictures.target)
            terms["cycle"] = Term(cycle, self.lambda_cycle)
        return terms

    def deceived(self, discriminator: str, translated: Tensor) -> Tensor:
        """How far a discriminator is from taking what is translated for original."""
        return least_squares(self.networks[discriminator](translated), ORIGINAL)

    def image_judges(self, pictures: Translated) -> Iterator[Objective]:
        """The objectives of the discriminators of pictures, who are shown translations from their pools."""
        for domain, original, translated in (
            (TARGET, pictures.target, pictures.source_as_target),
            (SOURCE, pictures.source, pictures.target_as_source),
        ):
            yield self.judge(f"discriminator-{domain}", original, self.pools[domain].exchange(translated))

    def judge(self, discriminator: str, original: Tensor, translated: Tensor) -> Objective:
        """One discriminator's objective, halved as in CycleGAN (§4): to Adam a factor means nothing."""
        scores = [self.networks[discriminator](shown.detach()) for shown in (original, translated)]
        right = torch.cat([(scores[0] > 0.5).flatten(), (scores[1] < 0.5).flatten()]).float().mean()
        return Objective(
            {
                f"{discriminator} original": Term(least_squares(scores[0], ORIGINAL), 0.5),
                f"{discriminator} translated": Term(least_squares(scores[1], TRANSLATED), 0.5),
            },
            optimizer=discriminator,
            watched={f"{discriminator} accuracy": right},
        )

    def semantic(self, translated: tuple[SegmentationOutput, ...], original: tuple[SegmentationOutput, ...]) -> Tensor:
        """L_sem, eq. (4): both domains' translations against the arg-max on their originals."""
        pairs = zip(translated, original, strict=True)
        return torch.stack([semantic_consistency(one.logits, other.logits) for one, other in pairs]).sum()

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """The pools. The phase follows from the step, which the loop keeps."""
        return {"pools": {domain: pool.state_dict() for domain, pool in self.pools.items()}}

    def load_state_dict(self, state: dict) -> None:
        """Take back the pools."""
        device = next(self.networks[GENERATORS].parameters()).device
        for domain, pool in self.pools.items():
            pool.load_state_dict(state["pools"][domain], device)


def feature_channels(model: nn.Module) -> int:
    """The channels of a bare segmenter's features ``backbone``, found by asking it; its state is not touched."""
    training, parameter = model.training, next(model.parameters())
    with torch.no_grad():
        output = model.eval()(torch.zeros(1, 3, 64, 64, device=parameter.device))
    model.train(training)
    return output.features["backbone"].shape[1]

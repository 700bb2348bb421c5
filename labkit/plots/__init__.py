"""Figures: each function takes plain arrays or data frames and gives a matplotlib figure, without pyplot.

The functions load on first use, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # read by editors, and by the book to know which sources a notebook depends on
    from labkit.plots.adversarial import Seen, adversarial_game, domain_answers, loss_and_gradient, seen_maps
    from labkit.plots.augmentations import (
        augmentation_draws,
        class_scatter,
        difference_map,
        movement_bars,
        picture_statistics_figure,
    )
    from labkit.plots.bars import class_iou_bars
    from labkit.plots.confusions import confusion_figure
    from labkit.plots.cooccurrence import cooccurrence_figure
    from labkit.plots.curves import learning_curves, score_curves, seed_curves
    from labkit.plots.domains import channel_statistics, class_frequencies
    from labkit.plots.features import feature_projection, statistics_by_channel
    from labkit.plots.focal import (
        focal_curves,
        last_and_best,
        loss_map,
        loss_shares,
        update_sizes,
        valley_paths,
    )
    from labkit.plots.frames import slider
    from labkit.plots.label_maps import draw_label_map, label_map_figure, styles_figure
    from labkit.plots.leaderboard import Gain, class_gains, cost_accuracy, gain_intervals, place_shares
    from labkit.plots.mmd import (
        class_gradients,
        discrepancy_estimates,
        kernel_matrices,
        uncertain_pixels,
        uncertainty_histograms,
    )
    from labkit.plots.networks import (
        FieldPanel,
        Operating,
        accuracy_latency,
        half_precision,
        latency_by_pass,
        receptive_field_growth,
        receptive_fields,
        schedules,
    )
    from labkit.plots.panels import Panel, make_panels, prediction_panels
    from labkit.plots.style import theme
    from labkit.plots.translation import faded, frechet_by_size, picture_rows, spectra
    from labkit.plots.unsupervised import (
        Curve,
        binary_losses,
        class_thresholds,
        map_rows,
        scores_by_weight,
        threshold_paths,
    )

__all__ = [
    "Curve",
    "FieldPanel",
    "Gain",
    "Operating",
    "Panel",
    "Seen",
    "accuracy_latency",
    "adversarial_game",
    "augmentation_draws",
    "binary_losses",
    "channel_statistics",
    "class_frequencies",
    "class_gains",
    "class_gradients",
    "class_iou_bars",
    "class_scatter",
    "class_thresholds",
    "confusion_figure",
    "cooccurrence_figure",
    "cost_accuracy",
    "difference_map",
    "discrepancy_estimates",
    "domain_answers",
    "draw_label_map",
    "faded",
    "feature_projection",
    "focal_curves",
    "frechet_by_size",
    "gain_intervals",
    "half_precision",
    "kernel_matrices",
    "label_map_figure",
    "last_and_best",
    "latency_by_pass",
    "learning_curves",
    "loss_and_gradient",
    "loss_map",
    "loss_shares",
    "make_panels",
    "map_rows",
    "movement_bars",
    "picture_rows",
    "picture_statistics_figure",
    "place_shares",
    "prediction_panels",
    "receptive_field_growth",
    "receptive_fields",
    "schedules",
    "score_curves",
    "scores_by_weight",
    "seed_curves",
    "seen_maps",
    "slider",
    "spectra",
    "statistics_by_channel",
    "styles_figure",
    "theme",
    "threshold_paths",
    "uncertain_pixels",
    "uncertainty_histograms",
    "update_sizes",
    "valley_paths",
]

_MODULES = (
    "adversarial",
    "augmentations",
    "bars",
    "confusions",
    "cooccurrence",
    "curves",
    "domains",
    "features",
    "focal",
    "frames",
    "label_maps",
    "leaderboard",
    "mmd",
    "networks",
    "panels",
    "style",
    "translation",
    "unsupervised",
)


def __getattr__(name: str):
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

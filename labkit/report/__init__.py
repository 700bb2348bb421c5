"""What a page says about results: tables with the data's name, recorded sweeps with their provenance, real source."""

from labkit.report.augmentations import (
    additivity,
    augmentation_curves_figure,
    augmentation_gains,
    augmentation_seeds,
    difference_figure,
    published_augmentations,
    recorded_additivity,
    recorded_augmentations,
)
from labkit.report.comparison import prediction_figure, recorded_prediction_figure, source_only_and_oracle
from labkit.report.contender import placed, train_contender
from labkit.report.curves import curves_figure, recorded_curves_figure
from labkit.report.differences import recorded_differences
from labkit.report.focal import focal_curves_figure, focal_figure, focal_seeds, published_focal
from labkit.report.leaderboard import (
    boards_table,
    classes_figure,
    combinations_table,
    equal_methods,
    ladder_table,
    leaderboard_figure,
    leaderboard_table,
    places_figure,
    sources_figure,
    sources_table,
)
from labkit.report.leaderboard_costs import cost_figure, cost_table
from labkit.report.networks import network_costs, network_figure, network_table
from labkit.report.plans import plan_sweep, plan_text
from labkit.report.reach import gradient_reach
from labkit.report.recording import record
from labkit.report.results import load_results, provenance, recorded_seeds, seeds_table
from labkit.report.rows import train_row, train_rows
from labkit.report.selections import selection_table
from labkit.report.source_code import show_source
from labkit.report.speed import inference_speed, training_speed
from labkit.report.sweep_tables import SWEEPS
from labkit.report.sweeps import check_sweeps, sweep, train_ahead
from labkit.report.tables import per_class_table, result_table
from labkit.report.translations import (
    LOOKED_AT,
    agreement_by_class,
    cheap_translations,
    drift_figure,
    frechet_of,
    published_with_lost,
    recorded_beside,
    translation_speed,
    translation_table,
    triple_figure,
)
from labkit.report.unsupervised import (
    adaptation_costs,
    certainty_table,
    class_means,
    entropy_figure,
    mask_frames,
    mixing_rows,
    pasting_table,
    perturbation_rows,
    recorded_means,
    recorded_thresholds,
    sure_and_wrong,
    weights_figure,
)

__all__ = [
    "LOOKED_AT",
    "SWEEPS",
    "adaptation_costs",
    "additivity",
    "agreement_by_class",
    "augmentation_curves_figure",
    "augmentation_gains",
    "augmentation_seeds",
    "boards_table",
    "certainty_table",
    "cheap_translations",
    "check_sweeps",
    "class_means",
    "classes_figure",
    "combinations_table",
    "cost_figure",
    "cost_table",
    "curves_figure",
    "difference_figure",
    "drift_figure",
    "entropy_figure",
    "equal_methods",
    "focal_curves_figure",
    "focal_figure",
    "focal_seeds",
    "frechet_of",
    "gradient_reach",
    "inference_speed",
    "ladder_table",
    "leaderboard_figure",
    "leaderboard_table",
    "load_results",
    "mask_frames",
    "mixing_rows",
    "network_costs",
    "network_figure",
    "network_table",
    "pasting_table",
    "per_class_table",
    "perturbation_rows",
    "placed",
    "places_figure",
    "plan_sweep",
    "plan_text",
    "prediction_figure",
    "provenance",
    "published_augmentations",
    "published_focal",
    "published_with_lost",
    "record",
    "recorded_additivity",
    "recorded_augmentations",
    "recorded_beside",
    "recorded_curves_figure",
    "recorded_differences",
    "recorded_means",
    "recorded_prediction_figure",
    "recorded_seeds",
    "recorded_thresholds",
    "result_table",
    "seeds_table",
    "selection_table",
    "show_source",
    "source_only_and_oracle",
    "sources_figure",
    "sources_table",
    "sure_and_wrong",
    "sweep",
    "train_ahead",
    "train_contender",
    "train_row",
    "train_rows",
    "training_speed",
    "translation_speed",
    "translation_table",
    "triple_figure",
    "weights_figure",
]

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
from labkit.report.curves import curves_figure, recorded_curves_figure
from labkit.report.differences import recorded_differences
from labkit.report.focal import focal_curves_figure, focal_figure, focal_seeds, published_focal
from labkit.report.reach import gradient_reach
from labkit.report.results import load_results, provenance, record, recorded_seeds, seeds_table
from labkit.report.rows import train_row, train_rows
from labkit.report.selections import selection_table
from labkit.report.source_code import show_source
from labkit.report.speed import inference_speed, training_speed
from labkit.report.sweeps import SWEEPS, check_sweeps, plan_sweep, plan_text, sweep, train_ahead
from labkit.report.tables import per_class_table, result_table
from labkit.report.translations import (
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

__all__ = [
    "SWEEPS",
    "additivity",
    "agreement_by_class",
    "augmentation_curves_figure",
    "augmentation_gains",
    "augmentation_seeds",
    "cheap_translations",
    "check_sweeps",
    "curves_figure",
    "difference_figure",
    "drift_figure",
    "focal_curves_figure",
    "focal_figure",
    "focal_seeds",
    "frechet_of",
    "gradient_reach",
    "inference_speed",
    "load_results",
    "per_class_table",
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
    "recorded_prediction_figure",
    "recorded_seeds",
    "result_table",
    "seeds_table",
    "selection_table",
    "show_source",
    "source_only_and_oracle",
    "sweep",
    "train_ahead",
    "train_row",
    "train_rows",
    "training_speed",
    "translation_speed",
    "translation_table",
    "triple_figure",
]

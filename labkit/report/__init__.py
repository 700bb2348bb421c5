"""What a page says about results: tables with the data's name, recorded sweeps with their provenance, real source."""

from labkit.report.comparison import prediction_figure, source_only_and_oracle
from labkit.report.results import load_results, provenance, record, recorded_seeds, seeds_table
from labkit.report.source_code import show_source
from labkit.report.sweeps import SWEEPS, sweep
from labkit.report.tables import per_class_table, result_table

__all__ = [
    "SWEEPS",
    "load_results",
    "per_class_table",
    "prediction_figure",
    "provenance",
    "record",
    "recorded_seeds",
    "result_table",
    "seeds_table",
    "show_source",
    "source_only_and_oracle",
    "sweep",
]

"""What a page says about results: tables with the data's name, recorded sweeps with their provenance, real source."""

from labkit.report.photographs import missing, prediction_figure
from labkit.report.recorded import provenance, record, recorded, recorded_seeds, seeds_table, sweep
from labkit.report.source_code import show_source
from labkit.report.tables import per_class_table, result_table, scored_on

__all__ = [
    "missing",
    "per_class_table",
    "prediction_figure",
    "provenance",
    "record",
    "recorded",
    "recorded_seeds",
    "result_table",
    "scored_on",
    "seeds_table",
    "show_source",
    "sweep",
]

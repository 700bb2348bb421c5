"""What a page says about results: tables with the data's name, recorded sweeps with their provenance, real source."""

from labkit.report.comparison import prediction_figure, source_only_and_oracle
from labkit.report.recorded import provenance, record, recorded, recorded_seeds, seeds_table, sweep
from labkit.report.source_code import show_source
from labkit.report.tables import per_class_table, result_table

__all__ = [
    "per_class_table",
    "prediction_figure",
    "provenance",
    "record",
    "recorded",
    "recorded_seeds",
    "result_table",
    "seeds_table",
    "show_source",
    "source_only_and_oracle",
    "sweep",
]

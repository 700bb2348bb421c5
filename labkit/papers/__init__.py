"""The four papers: who wrote them, their published tables and their recipes as data.

``load("baitan2025", "table2")`` gives a data frame with the numbers as printed. Under ``tables/`` every
paper has a CSV file for each table, and one JSON file with what the tables mean and where they contradict
themselves; under ``recipes/`` one JSON file with the hyperparameters of all its trainings.
"""

from labkit.papers.catalog import PAPERS, Paper
from labkit.papers.published import load, notes, table_names
from labkit.papers.recipes import Field, data_of, papers_of, recipe, recipe_notes, stage_of, stages, steps_of

__all__ = [
    "PAPERS",
    "Field",
    "Paper",
    "data_of",
    "load",
    "notes",
    "papers_of",
    "recipe",
    "recipe_notes",
    "stage_of",
    "stages",
    "steps_of",
    "table_names",
]

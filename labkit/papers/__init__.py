"""The four papers: who wrote them, and their published tables as data.

``load("baitan2025", "table2")`` gives a data frame with the numbers as printed. Under ``tables/`` every
paper has a CSV file for each table, and one JSON file with what the tables mean and where they contradict
themselves.
"""

from labkit.papers.catalog import PAPERS, Paper
from labkit.papers.published import load, notes, table_names

__all__ = ["PAPERS", "Paper", "load", "notes", "table_names"]

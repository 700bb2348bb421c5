"""Sphinx extension: the ledger's tables, from the published numbers, the recorded results and the runs at hand.

In a page's Markdown source::

    {ledger} baitan2025        a section for every experiment of the paper
    {ledger-filter}            a form that shows a part of them; without JavaScript there is none, and all is shown

become Markdown before it is parsed, so headings and links are the page's own. Whoever adds a column heads it with its
data's name: no number stands beside a published one without it.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.application import Sphinx
from sphinx.util import logging

if TYPE_CHECKING:
    from labkit.papers.experiments import Block, Experiment, Number
    from labkit.report.ledger import Entry, Ours

logger = logging.getLogger(__name__)

DIRECTIVE = re.compile(r"^```\{ledger\} (\w+)\n```$", re.MULTILINE)
FILTER = re.compile(r"^```\{ledger-filter\}\n```$", re.MULTILINE)
NO_BREAK = "\N{NO-BREAK SPACE}"
COMPUTED_PAIR = "computed"
"""Stands for a pair of domains where a number of ours comes from the network itself."""


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Expand ``{ledger}`` and ``{ledger-filter}`` in a page."""
    source[0] = FILTER.sub(lambda _: filter_form(docname), source[0])
    if DIRECTIVE.search(source[0]):
        source[0] = DIRECTIVE.sub(lambda match: paper_text(app, docname, match[1]), source[0])


def paper_text(app: Sphinx, docname: str, paper: str) -> str:
    """The Markdown of one paper's experiments; a warning where a result cannot be read."""
    from labkit.errors import LabError
    from labkit.report.ledger import ledger

    results = Path(app.srcdir) / "results"
    runs = Path(os.environ.get("LABKIT_RUNS") or Path(app.srcdir) / "build" / "runs")
    for path in results.glob("*.json"):
        app.env.note_dependency(str(path))
    try:
        entries = ledger(paper, results, runs)
    except LabError as error:
        logger.warning(str(error), location=docname, type="labkit", subtype="ledger")
        return ""
    groups = [list(found) for _, found in groupby(entries, key=lambda entry: entry.experiment.id)]
    return "\n\n".join([overview(groups), *(section(group) for group in groups)])


def overview(groups: Sequence[Sequence[Entry]]) -> str:
    """A table of the experiments: which there are, and what data they were run on."""
    rows = []
    for group in groups:
        experiment = group[0].experiment
        numbers = sum(entry.number is not None and not entry.number.missing for entry in group)
        on = dict.fromkeys(one.data for entry in group for one in shown(entry) if one.outcome)
        state = escape("; ".join(on) if on else "not run" if numbers else "")
        if experiment.page:
            state = f"shown in {notebook_link(experiment)}"
        link = f"[{experiment.id}](#{anchor(experiment)})"
        rows.append([link, escape(experiment.title), str(numbers or "none"), state])
    return table(["id", "experiment", "numbers", "run on"], rows, "llrl")


def section(entries: Sequence[Entry]) -> str:
    """An experiment: what it is, its numbers beside ours, what is odd about them, and how to repeat it."""
    experiment = entries[0].experiment
    parts = [
        f"({anchor(experiment)})=\n### {experiment.id}: {escape(experiment.title)}",
        f"{escape(experiment.what)} *{escape(experiment.where)}.*",
    ]
    notes, rest = list(experiment.notes), iter(entries)  # which come block by block
    tables = [numbers_table(block, list(islice(rest, len(block.numbers))), notes) for block in experiment.blocks]
    marks = [note_mark(place) for place in range(1, len(experiment.notes) + 1)]
    if marks:
        parts[1] += f" {''.join(marks)}"
    if experiment.page:
        parts.append(f"Ours: {notebook_link(experiment)}.")
    parts += [raw_html(filter_facts(entries)), *(f"::::{{container}} lab-block\n{text}\n::::" for text in tables)]
    if notes:
        parts.append(note_box("\n".join(f"{place}. {escape(note)}" for place, note in enumerate(notes, start=1))))
    sources = dict.fromkeys(one.provenance for entry in entries for one in shown(entry))
    if sources:
        parts.append(note_box("Ours:\n\n" + "\n".join(f"- {escape(text)}." for text in sources)))
    if experiment.blocks:
        parts.append(repeat(entries))
    return "\n\n".join(parts)


def repeat(entries: Sequence[Entry]) -> str:
    """How to repeat an experiment on the paper's own data, or what the library lacks for it."""
    from labkit.report.ledger import command, cost_commands, wanting
    from labkit.report.reproduce import reproducible, reproduction

    experiment, numbers = entries[0].experiment, [entry.number for entry in entries]
    commands = dict.fromkeys(filter(None, map(command, numbers)))
    curves = [reproduction(name) for name in reproducible(experiment.paper) if ".figure" in name]
    commands |= dict.fromkeys(one.command for one in curves if experiment.id in one.experiments and one.command)
    costs = dict.fromkeys(line for number in numbers for line in cost_commands(number))
    lacking = dict.fromkeys(thing for number in numbers for thing in wanting(number))
    text = []
    if commands:
        text.append(
            f"To repeat it on the paper's own data, [once they are prepared](reproduce.md):\n\n{shell(commands)}"
        )
    if costs:
        text.append(f"To measure the {'networks' if len(costs) > 1 else 'network'} on your machine:\n\n{shell(costs)}")
    if lacking:
        text.append(f"Not there yet{' for the other rows' if commands else ''}: {escape(', '.join(lacking))}.")
    return "\n\n".join(text)


def filter_form(docname: str) -> str:
    """The form of the filters, which its script brings to light."""
    from labkit.papers import PAPERS
    from labkit.profiles import PAIRS

    choices = {
        ("paper", "Paper"): {"": "all four", **{key: key for key in PAPERS}},
        ("data", "Data"): {"": "any", **{key: pair.title for key, pair in PAIRS.items()}},
        ("ours", "Numbers"): {"": "any", "yes": "with one of ours", "no": "published only"},
    }
    fields = ""
    for (name, label), options in choices.items():
        listed = "".join(f'<option value="{value}">{title}</option>' for value, title in options.items())
        fields += f'<label>{label} <select name="{name}">{listed}</select></label>\n'
    script = f"{'../' * docname.count('/')}_static/ledger-filter.js"
    return raw_html(
        '<form id="ledger-filter" class="lab-filter" role="search" aria-label="Filter the ledger" autocomplete="off" '
        f'hidden>\n{fields}<label class="lab-filter-text">Search <input type="search" name="text"></label>\n'
        '<button type="reset">Show all</button>\n<output aria-live="polite"></output>\n</form>\n'
        f'<script defer src="{script}"></script>'
    )


def filter_facts(entries: Sequence[Entry]) -> str:
    """What the filters know of an experiment: its paper; of every row of its tables the pairs of domains of both."""
    experiment, rest = entries[0].experiment, iter(entries)
    tables = []
    for block in experiment.blocks:
        rows: dict[str, dict] = {}
        for entry in islice(rest, len(block.numbers)):
            row = rows.setdefault(entry.number.row, {"published": entry.number.pair, "ours": []})
            found = [one.outcome["pair"] if one.outcome else COMPUTED_PAIR for one in shown(entry)]
            row["ours"] += [pair for pair in dict.fromkeys(found) if pair not in row["ours"]]
        tables.append(list(rows.values()))
    facts = json.dumps({"paper": experiment.paper, "tables": tables})
    return f'<script type="application/json" class="ledger-facts">{facts}</script>'


def numbers_table(block: Block, entries: Sequence[Entry], notes: list[str]) -> str:
    """A block's numbers, a row a setting; first the paper's columns, then ours, each headed with its data."""
    from labkit.report.ledger import COMPUTED, NOT_MEASURED, NOT_RUN

    columns = list(dict.fromkeys(entry.number.column for entry in entries))
    cells = {(entry.number.row, entry.number.column): entry for entry in entries}
    data, data_whole = entries[0].number.data_short, entries[0].number.data
    trained: dict[tuple[str, tuple[str, ...]], Counter[str]] = {}
    for entry in sorted(entries, key=lambda entry: columns.index(entry.number.column)):
        for one in shown(entry):
            trained.setdefault((entry.number.column, budget_of(one)), Counter())[one.data] += 1
    ours = {key: data.most_common(1)[0][0] for key, data in trained.items()}
    own_run = any(one in entry.on_own_data for entry in entries for one in shown(entry))

    on_all = "".join(mark_of(note, notes) for note in block.notes)
    heads = [""]  # of the settings
    for column in columns:
        heads.append(escape(f"paper: {metric_of(entries, column)}, {data}"))
    own_shown = not own_run and not any(entry.state == COMPUTED for entry in entries)
    if own_shown:
        heads.append(escape(f"ours, {data}"))
    for (column, (*_, profile)), ours_data in ours.items():
        budget = f" ({profile})" if profile else ""
        heads.append(escape(f"ours: {metric_of(entries, column)}, {ours_data}{budget}"))

    rows = []
    for row in dict.fromkeys(entry.number.row for entry in entries):
        numbers = [cells[row, column].number for column in columns]
        marks = "".join(mark_of(note, notes) for note in dict.fromkeys(n for number in numbers for n in number.notes))
        line = [f"{setting_of(numbers[0])}{NO_BREAK}{marks}" if marks else setting_of(numbers[0])]
        line += [published(number, notes) for number in numbers]
        if own_shown:
            line.append(NOT_RUN if any(number.measure for number in numbers) else NOT_MEASURED)
        for (column, budget), ours_data in ours.items():
            found = [one for one in shown(cells[row, column]) if budget_of(one) == budget]
            line.append(cell(found[-1], ours_data) if found else NOT_RUN)
        rows.append(line)
    said = dict.fromkeys(entry.number.selection for entry in entries if entry.number.measure in ("last", "best"))
    below = [f"Checkpoint that the paper reports: {escape('; '.join(said))}."] if any(said) else []
    below += [f"Data: {escape(data_whole)}."] if data_whole != data else []
    below += [f"On the whole table: {on_all}"] if on_all else []
    box = f"\n\n{note_box(' '.join(below))}" if below else ""
    return table(heads, rows, "l" + "r" * (len(heads) - 1)) + box


def budget_of(one: Ours) -> tuple[str, ...]:
    """What trainings of one column share: the pair of domains, what they are scored on, and the profile."""
    scored_on = one.outcome["report"]["data"] if one.outcome else one.data
    return one.outcome.get("pair", ""), scored_on, one.profile


def cell(one: Ours, data: str) -> str:
    """A number of ours; with its data where these are not the column's (an oracle learns from the target alone)."""
    text = escape(one.text).replace(" ", NO_BREAK)
    return text if one.data == data else f"{text}, {escape(one.data)}"


def shown(entry: Entry) -> list[Ours]:
    """Ours that a page shows: all but trainings with the budget whose numbers mean nothing."""
    from labkit.report.ledger import SMOKE

    return [one for one in entry.ours if one.profile != SMOKE]


def published(number: Number, notes: list[str]) -> str:
    """A published number as printed, or why there is none: in a word, or as a note."""
    if not number.missing:
        return number.printed
    if len(number.missing) < 20:
        return escape(number.missing)
    return f"– {mark_of(number.missing, notes)}"


def metric_of(entries: Sequence[Entry], column: str) -> str:
    """What a column holds, with its unit."""
    number = next(entry.number for entry in entries if entry.number.column == column)
    return number.metric if number.unit == "epoch" else f"{number.metric} ({number.unit})"


def setting_of(number: Number) -> str:
    """The setting of a row, which may break after a comma only."""
    return escape(number.setting).replace(" ", NO_BREAK).replace(f",{NO_BREAK}", ", ")


def mark_of(note: str, notes: list[str]) -> str:
    """The raised number of a note, which joins the list where it is not in it yet."""
    if note not in notes:
        notes.append(note)
    return note_mark(notes.index(note) + 1)


def note_mark(place: int) -> str:
    return f"{{sup}}`({place})`"


def note_box(text: str) -> str:
    return f":::{{container}} lab-note\n{text}\n:::"


def raw_html(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"


def shell(lines: Iterable[str]) -> str:
    """Command lines as a block."""
    return "```bash\n" + "\n".join(lines) + "\n```"


def notebook_link(experiment: Experiment) -> str:
    """The notebook that shows ours of an experiment without scores."""
    return f"[notebook {experiment.page[:2]}](../notebooks/{experiment.page}.ipynb)"


def anchor(experiment: Experiment) -> str:
    """The name that pages link an experiment by."""
    return f"ledger-{experiment.id.lower()}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> str:
    """A Markdown table; cells are Markdown already."""
    rule = ["---:" if side == "r" else ":---" for side in alignment]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def escape(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~])", r"\\\1", " ".join(text.split()))


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("source-read", read_source, priority=200)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Make the book: check the names, execute the notebooks that need it, publish the pages.

``make book`` calls this file; without make::

    python book/build.py --profile smoke --pair minicity
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dodo import Book, tasks, toc_notebooks
from execute import NotebookError, check_parameters, literal

HOUR = 3600
CELL_TIMEOUTS = {"smoke": HOUR // 3, "mini": 4 * HOUR}
WEEK = 7 * 24 * HOUR
"""Seconds for a cell: a hung one has to end, a training on a slow machine must not; other profiles have a week."""


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)  # in step with what the subprocesses print
    arguments = parse_arguments()
    root = arguments.root.resolve()
    # The checkout's own labkit, also where another one is installed.
    sys.path.insert(0, str(root))
    from labkit.profiles import PAIRS, PROFILES

    try:
        check_name("profile", arguments.profile, PROFILES)
        check_name("pair", arguments.pair, PAIRS)
        book = Book(
            root=root,
            profile=arguments.profile,
            pair=arguments.pair,
            data=absolute(arguments.data or os.environ.get("LABKIT_DATA"), root / "data"),
            runs=absolute(os.environ.get("LABKIT_RUNS"), root / "build" / "runs"),
            parameters={name: literal(value) for name, value in arguments.parameter},
            notebooks=toc_notebooks(root),
            jobs=arguments.jobs,
            cell_timeout=arguments.cell_timeout or CELL_TIMEOUTS.get(arguments.profile, WEEK),
        )
        for notebook in book.notebooks:
            check_parameters(notebook, book.all_parameters)
    except NotebookError as error:
        print(f"make book: {error}", file=sys.stderr)
        return 2
    status = run(book, force=arguments.force)
    if status == 0:
        print(f"The book is at {os.path.relpath(book.site / 'index.html')}")
    return status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="mini", help="how much is computed (default: mini)")
    parser.add_argument("--pair", default="minicity", help="source and target (default: minicity)")
    parser.add_argument("--data", help="folder of the data sets (default: $LABKIT_DATA, else data/)")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a further notebook parameter, for example -p seed 1",
    )
    parser.add_argument("--jobs", type=int, help="notebooks at the same time (default: 2 in smoke, else 1)")
    parser.add_argument(
        "--cell-timeout",
        type=int,
        default=os.environ.get("LABKIT_CELL_TIMEOUT"),
        help="seconds that one cell may take (default: $LABKIT_CELL_TIMEOUT, else 20 minutes in smoke, 4 hours in "
        "mini, a week in larger profiles)",
    )
    parser.add_argument("--force", action="store_true", help="execute every notebook again")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help=argparse.SUPPRESS)
    return parser.parse_args()


def check_name(kind: str, name: str, known) -> None:
    if name not in known:
        raise NotebookError(f"unknown {kind} {name!r}; known: {', '.join(known)}")


def absolute(path: str | None, default: Path) -> Path:
    return Path(path).expanduser().resolve() if path else default


def run(book: Book, force: bool) -> int:
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain

    command = ["run", "--process", str(book.parallel), "--parallel-type", "thread", "--continue"]
    if book.parallel == 1:
        command = ["run", "--continue"]
    if force:
        command.append("--always-execute")
    book.database.parent.mkdir(parents=True, exist_ok=True)
    return DoitMain(ModuleTaskLoader(tasks(book)), config_filenames=()).run(command)


if __name__ == "__main__":
    sys.exit(main())

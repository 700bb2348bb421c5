"""The book as a graph of tasks, for doit: one task a notebook, then the pages.

A notebook is executed again when its own text, a labkit module that it imports (directly or not), a recorded
result, or one of its parameters has changed. Editing a page or an unrelated module executes nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from execute import NotebookError, code_cells

TOOLS = Path(__file__).parent
DATA_SUFFIXES = (".csv", ".json", ".toml", ".yaml", ".yml", ".npz")


@dataclass(frozen=True)
class Book:
    """One edition of the book: where it stands, what it is computed from, and how."""

    root: Path
    profile: str
    pair: str
    data: Path
    runs: Path
    notebooks: list[Path]
    parameters: dict[str, Any] = field(default_factory=dict)
    jobs: int | None = None
    cell_timeout: int = 1200

    @property
    def edition(self) -> str:
        """The name of this edition's folders."""
        return f"{self.profile}-{self.pair}"

    @property
    def executed(self) -> Path:
        """The folder of the executed notebooks."""
        return self.root / "build" / "executed" / self.edition

    @property
    def site(self) -> Path:
        """The folder of the finished pages."""
        return self.root / "build" / "site" / self.edition

    @property
    def database(self) -> Path:
        """What doit remembers from one run to the next."""
        return self.root / "build" / f"doit-{self.edition}.json"

    @property
    def all_parameters(self) -> dict[str, Any]:
        """What every notebook is given."""
        return {"profile": self.profile, "pair": self.pair, **self.parameters}

    @property
    def parallel(self) -> int:
        """Notebooks executed at once: two in smoke; else one, which mostly trains, with the whole machine to itself."""
        wanted = self.jobs or (2 if self.profile == "smoke" else 1)
        return max(1, min(wanted, len(self.notebooks), os.cpu_count() or 1))

    @property
    def environment(self) -> dict[str, str]:
        """The subprocesses' environment. Side by side, single-threaded notebooks do more work in total."""
        environment = dict(os.environ)
        environment["LABKIT_EXECUTED"] = str(self.executed)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.root), os.environ.get("PYTHONPATH")]))
        if self.parallel > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.parallel)))
        return environment


def toc_notebooks(root: Path) -> list[Path]:
    """The notebooks that ``_toc.yml`` lists, in its order."""
    found: list[Path] = []

    def walk(entry: Any) -> None:
        if isinstance(entry, dict):
            name = entry.get("file", "")
            if name.startswith("notebooks/"):
                found.append(root / name.removesuffix(".ipynb"))
            for value in entry.values():
                walk(value)
        elif isinstance(entry, list):
            for value in entry:
                walk(value)

    walk(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))
    notebooks = [path.with_name(path.name + ".ipynb") for path in found]
    for notebook in notebooks:
        if not notebook.is_file():
            raise NotebookError(f"_toc.yml lists {notebook.relative_to(root)}, which does not exist")
    return notebooks


def tasks(book: Book) -> dict[str, Any]:
    """The task generators and settings, as doit's module loader wants them."""

    def task_notebook():
        for notebook in book.notebooks:
            output = book.executed / notebook.name
            yield {
                "name": notebook.stem,
                "doc": f"execute {notebook.name}",
                "actions": [(run, [execute_command(book, notebook, output), book, f"{notebook.name} failed"])],
                "file_dep": [str(path) for path in dependencies(book.root, notebook)],
                "targets": [str(output)],
                "uptodate": [same_settings(book)],
                "verbosity": 2,
            }

    def task_site():
        copies = [str(book.executed / notebook.name) for notebook in book.notebooks]
        command = [
            sys.executable,
            str(TOOLS / "publish.py"),
            "--root",
            str(book.root),
            "--output",
            str(book.site),
        ]
        return {
            "doc": "build the pages",
            "actions": [(run, [command, book, "the pages could not be built without a warning"])],
            "file_dep": [*copies, *(str(path) for path in page_sources(book))],
            "targets": [str(book.site / "index.html")],
            "verbosity": 2,
        }

    return {
        "task_notebook": task_notebook,
        "task_site": task_site,
        "DOIT_CONFIG": {
            "dep_file": str(book.database),
            "backend": "json",
            "default_tasks": ["notebook", "site"],
        },
    }


def same_settings(book: Book):
    """Whether parameters and data are those of the last execution, as a doit check."""
    from doit.tools import config_changed

    return config_changed({**book.all_parameters, "data": data_listing(book.data), "runs": str(book.runs)})


def data_listing(folder: Path, depth: int = 3) -> str:
    """A digest of the data folder's outline: folders and how much is in them, not the files' content."""
    sha = hashlib.sha256(str(folder).encode())
    for path, folders, files in os.walk(folder):
        inner = Path(path).relative_to(folder)
        sha.update(f"{inner} {len(files)}\n".encode())
        folders[:] = sorted(folders) if len(inner.parts) < depth else []
    return sha.hexdigest()


def execute_command(book: Book, notebook: Path, output: Path) -> list[str]:
    """The command line that executes one notebook."""
    command = [sys.executable, str(TOOLS / "execute.py"), str(notebook), "--output", str(output)]
    command += ["--root", str(book.root), "--data", str(book.data), "--runs", str(book.runs)]
    command += ["--cell-timeout", str(book.cell_timeout)]
    for name, value in book.all_parameters.items():
        command += ["-p", name, str(value)]
    return command


def run(command: list[str], book: Book, failure: str):
    """Run a command in the book's environment; a doit action."""
    from doit.exceptions import TaskFailed

    if subprocess.run(command, env=book.environment, cwd=book.root).returncode:
        return TaskFailed(failure)
    return True


def dependencies(root: Path, notebook: Path) -> list[Path]:
    """The files whose content decides what the notebook shows."""
    from labkit.sources import closure, imports

    modules: set[str] = set()
    files: set[Path] = set()
    for _, source in code_cells(notebook):
        try:
            modules |= imports(source)
        except SyntaxError:  # IPython's own syntax: what it imports is not known, so anything counts
            files |= set((root / "labkit").rglob("*.py"))
    files |= set(closure(modules).values())
    while extra := indirect(files) - files:
        files |= extra
    recorded = [path for path in (root / "results").rglob("*") if path.is_file()]
    return sorted({notebook, TOOLS / "execute.py", *files, *recorded})


def indirect(files: set[Path]) -> set[Path]:
    """What a module needs without an import statement that names it.

    The ``__init__`` of its packages, the data files beside it, and, where it imports by a computed name,
    every module of its folder.
    """
    from labkit.sources import closure, imports

    found: set[Path] = set()
    for path in files:
        if path.suffix != ".py":
            continue
        found |= {init for folder in path.parents if (init := folder / "__init__.py").is_file()}
        beside = path.parent.glob("*") if path.parent.name == "labkit" else path.parent.rglob("*")
        found |= {p for p in beside if p.suffix in DATA_SUFFIXES}
        if "import_module" in path.read_text(encoding="utf-8"):
            found |= set(path.parent.rglob("*.py"))
    for path in found - files:
        if path.suffix == ".py":
            found |= set(closure(imports(path.read_text(encoding="utf-8"))).values())
    return found


def page_sources(book: Book) -> list[Path]:
    """What the pages are made from, beside the executed notebooks."""
    own = [book.root / "_config.yml", book.root / "_toc.yml", *book.notebooks]
    tools = [path for path in TOOLS.rglob("*.py") if "__pycache__" not in path.parts]
    pages = [path for path in (book.root / "book").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    library = [path for path in (book.root / "labkit").rglob("*") if path.suffix in (".py", *DATA_SUFFIXES)]
    recorded = list((book.root / "results").glob("*.json"))  # in the ledger
    return sorted({*own, *tools, *pages, *library, *recorded})

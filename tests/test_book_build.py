"""The machinery of the book, on tiny books: what must fail does, by name; what need not run does not."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"

pytestmark = pytest.mark.book

CONFIG = f"""
title: A tiny book
only_build_toc_files: true
exclude_patterns: [".*", build]
execute: {{execute_notebooks: "off"}}
repository: {{url: ""}}
sphinx:
  recursive_update: true
  local_extensions: {{executed_notebooks: {json.dumps(str(BOOK / "_ext"))}}}
  config: {{nb_ipywidgets_js: {{}}, numfig: false}}
"""
PROFILES = """
class Pair:
    title = "drawn → photographed"
PROFILES = {"smoke": 1, "mini": 2}
PAIRS = {"minicity": Pair, "minicity-camvid": Pair}
"""
PLOTS = "from labkit.colours import RED\ndef draw():\n    return f'drawn in {RED}'\n"


def notebook(*cells: tuple[str, str], parameters: str = 'profile = "mini"\npair = "minicity"\nseed = 3') -> dict:
    """A clean notebook: a title, the parameters, then (id, code) cells."""

    def code(name: str, source: str, **metadata) -> dict:
        return {
            "cell_type": "code",
            "id": name,
            "source": source,
            "metadata": metadata,
            "outputs": [],
            "execution_count": None,
        }

    title = {"cell_type": "markdown", "id": "title", "source": "# A notebook\n\nText.", "metadata": {}}
    return {
        "cells": [
            title,
            code("parameters", parameters, tags=["parameters"]),
            *(code(name, source) for name, source in cells),
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def make_project(root: Path, notebooks: dict[str, dict], index: str = "# Index\n") -> Path:
    """A book with the given notebooks, and a labkit of five lines that shadows the real one."""
    package = root / "labkit"
    package.mkdir(parents=True)
    (root / "notebooks").mkdir()
    (root / "book").mkdir()
    (package / "__init__.py").write_text("")
    (package / "profiles.py").write_text(PROFILES)
    (package / "plots.py").write_text(PLOTS)
    (package / "colours.py").write_text("RED = 'red'\n")
    (package / "unrelated.py").write_text("NOTHING = 0\n")
    for name in ("sources.py", "errors.py"):
        shutil.copy(ROOT / "labkit" / name, package)
    (root / "_config.yml").write_text(CONFIG)
    toc = "".join(f"  - file: notebooks/{name}\n" for name in notebooks)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{toc}")
    (root / "book" / "index.md").write_text(index)
    for name, content in notebooks.items():
        (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(content))
    return root


def make_book(root: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of what ``make book`` calls."""
    command = [sys.executable, str(BOOK / "build.py"), "--root", str(root), "--profile", "smoke", *arguments]
    return run(command, root)


def run(command: list[str], root: Path, **environment: str) -> tuple[int, str]:
    result = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return result.returncode, re.sub(r"\x1b\[[\d;]*m", "", result.stdout)


@pytest.fixture
def plain(tmp_path) -> Path:
    """A book whose one notebook calls a plotting function."""
    stamp = "{'application/vnd.labkit.stamp+json': {'seeds': [3, 4]}}"
    cells = (
        ("plot", "from labkit.plots import draw\ndraw()"),
        ("batch", "import os; os.environ['LABKIT_BATCH']"),
        ("stamp", f"from IPython.display import display\ndisplay({stamp}, raw=True)"),
    )
    return make_project(tmp_path / "project", {"01_plain": notebook(*cells)})


class TestRefused:
    """Wrong names are refused before anything is executed."""

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["--profile", "huge"], ["unknown profile 'huge'", "smoke", "mini"]),
            (["--pair", "mars"], ["unknown pair 'mars'", "minicity", "minicity-camvid"]),
            (
                ["-p", "sead", "1"],
                ["unknown parameter 'sead'", "01_plain.ipynb", "profile", "pair", "seed"],
            ),
        ],
    )
    def test_unknown_name(self, plain, arguments, named):
        status, output = make_book(plain, *arguments)
        assert status == 2
        assert all(name in output for name in named), output
        assert "Traceback" not in output
        assert not list(plain.glob("build/executed/**/*.ipynb"))

    def test_notebook_without_parameters(self, tmp_path):
        content = notebook()
        content["cells"][1]["metadata"] = {}
        root = make_project(tmp_path / "project", {"01_bare": content})
        status, output = make_book(root)
        assert status == 2 and "01_bare.ipynb has no cell tagged 'parameters'" in output

    def test_listed_notebook_that_does_not_exist(self, plain):
        (plain / "notebooks" / "01_plain.ipynb").unlink()
        status, output = make_book(plain)
        assert status == 2 and "notebooks/01_plain.ipynb" in output


@pytest.fixture(scope="module")
def failures(tmp_path_factory) -> tuple[Path, int, str]:
    """A book with a failing notebook and one over its time limit, and an old success of the first."""
    root = make_project(
        tmp_path_factory.mktemp("failures") / "project",
        {
            "01_fails": notebook(("fine", "1"), ("division", "1 / 0"), ("after", "print('not reached')")),
            "02_slow": notebook(("endless", "import time; time.sleep(600)")),
        },
    )
    old = root / "build" / "executed" / "smoke-minicity" / "01_fails.ipynb"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    return root, *make_book(root, "--cell-timeout", "2")


class TestFailingNotebook:
    """A notebook that fails makes the book fail, by name, and is kept."""

    def test_failing_cell_is_named(self, failures):
        _, status, output = failures
        assert status != 0
        assert "01_fails.ipynb, cell 4 (division): ZeroDivisionError: division by zero" in output
        assert "not reached" not in output

    def test_cell_over_its_time_limit_is_named(self, failures):
        _, status, output = failures
        assert status != 0
        assert "02_slow.ipynb, cell 3 (endless): CellTimeoutError" in output and "limit of 2 s" in output

    @pytest.mark.parametrize(("name", "cell"), [("01_fails", "division"), ("02_slow", "endless")])
    def test_failed_notebook_is_kept(self, failures, name, cell):
        root, _, output = failures
        path = Path("build") / "failed" / f"{name}.ipynb"
        assert str(path) in output
        kept = json.loads((root / path).read_text())
        outputs = next(c for c in kept["cells"] if c.get("id") == cell)["outputs"]
        assert [o["output_type"] for o in outputs] == ["error"]

    def test_output_that_did_not_arrive_is_no_cell_over_its_limit(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(BOOK)
        import execute
        import nbformat
        from nbclient.exceptions import CellTimeoutError

        path = tmp_path / "01_lost.ipynb"
        nbformat.write(nbformat.from_dict(notebook(("lost", "1"))), path)
        copy = nbformat.read(path, as_version=4)
        copy.cells[-1].metadata["papermill"] = {"start_time": "now"}
        problem = CellTimeoutError("Timeout waiting for IOPub output")
        said = execute.describe_failure(path, copy, problem, 1200)
        assert "the machine is overloaded (--jobs 1)" in said and "1200" not in said

    def test_nothing_is_published(self, failures):
        root, _, _ = failures
        assert not list(root.glob("build/executed/**/*.ipynb")), "an older success must not stand in"
        assert not (root / "build" / "site" / "smoke-minicity").exists()


def test_what_runs_again(plain):
    """First everything; then nothing; a page alone; the notebook after an edit to what it draws with."""
    copy = plain / "build" / "executed" / "smoke-minicity" / "01_plain.ipynb"
    page = plain / "build" / "site" / "smoke-minicity" / "notebooks" / "01_plain.html"
    status, output = make_book(plain)
    assert status == 0, output
    assert "executing 01_plain.ipynb" in output and "build/site/smoke-minicity/index.html" in output
    html = page.read_text()
    assert "drawn in red" in html and "injected" not in html.lower() and "papermill" not in html
    stamp = json.loads(copy.read_text())["metadata"]["labkit"]
    assert stamp["profile"] == "smoke" and stamp["pair"] == "minicity" and stamp["seeds"] == [3, 4]
    for fact in ("smoke", "drawn → photographed", "3, 4", stamp["commit"], stamp["hardware"]):
        assert f'<span class="lab-stamp-value">{fact}</span>' in html

    first = copy.read_bytes()
    status, output = make_book(plain)
    assert status == 0 and "executing" not in output and "pages built" not in output

    (plain / "labkit" / "unrelated.py").write_text("NOTHING = 1\n")
    (plain / "book" / "index.md").write_text("# Index\n\nSee [there](nowhere.md).\n")
    before = page.stat().st_mtime_ns
    status, output = make_book(plain)
    assert status != 0 and "executing" not in output
    assert "index.md" in output and "nowhere.md" in output, output
    assert copy.read_bytes() == first and page.stat().st_mtime_ns == before, "the former pages stay"

    (plain / "book" / "index.md").write_text("# Index\n")
    (plain / "labkit" / "colours.py").write_text("RED = 'scarlet'\n")  # imported by the plotting module
    status, output = make_book(plain)
    assert status == 0 and "executing 01_plain.ipynb" in output, output
    assert "drawn in scarlet" in page.read_text()


def test_copies_that_must_not_be_published(tmp_path):
    """A missing, a stale, a damaged copy, one that holds an error, and a page that quotes a missing cell."""
    index = "# Index\n\n```{notebook-figure} notebooks/04_good nothing-here\n```\n"
    names = ("01_missing", "02_stale", "03_error", "04_good", "05_damaged")
    root = make_project(tmp_path / "project", {name: notebook(("work", "1")) for name in names}, index)
    copies = root / "build" / "executed" / "mini-minicity"
    copies.mkdir(parents=True)
    for name in names[1:]:
        copy = notebook(("work", "1"))
        source = (root / "notebooks" / f"{name}.ipynb").read_bytes()
        copy["metadata"]["labkit"] = {"source_sha256": hashlib.sha256(source).hexdigest(), "profile": "mini"}
        if name == "03_error":
            copy["cells"][-1]["outputs"] = [
                {"output_type": "error", "ename": "KeyError", "evalue": "road", "traceback": ["KeyError"]}
            ]
        (copies / f"{name}.ipynb").write_text(json.dumps(copy))
    (copies / "05_damaged.ipynb").write_text("{")
    edited = root / "notebooks" / "02_stale.ipynb"
    edited.write_text(edited.read_text().replace("Text.", "Other text."))

    output_folder = root / "build" / "site" / "mini-minicity"
    command = [sys.executable, str(BOOK / "publish.py"), "--root", str(root), "--output", str(output_folder)]
    status, output = run(command, root, LABKIT_EXECUTED=str(copies), PYTHONPATH=str(root))
    assert status == 1 and not output_folder.exists()
    warnings = {
        name: "\n".join(line for line in output.splitlines() if f"notebooks/{name}.ipynb" in line) for name in names
    }
    assert "is missing" in warnings["01_missing"] and "make book" in warnings["01_missing"]
    assert "is stale" in warnings["02_stale"] and "make book" in warnings["02_stale"]
    assert "holds an error in cell work: KeyError: road" in warnings["03_error"]
    assert "no cell with the id 'nothing-here'" in warnings["04_good"]
    assert "is damaged" in warnings["05_damaged"]


class TestGraph:
    """What a notebook depends on, and how many run at once."""

    @pytest.fixture(autouse=True)
    def tools(self, monkeypatch):
        monkeypatch.syspath_prepend(str(BOOK))

    def depends_on(self, tmp_path, source: str) -> set[str]:
        import dodo

        path = tmp_path / "01_x.ipynb"
        path.write_text(json.dumps(notebook(("cell", source))))
        found = dodo.dependencies(ROOT, path)
        return {p.relative_to(ROOT).as_posix() for p in found if p.is_relative_to(ROOT)}

    def test_imports_inside_functions_and_behind_magics(self, tmp_path):
        found = self.depends_on(tmp_path, "%matplotlib inline\ndef f():\n    import labkit.papers.published\n")
        assert {"labkit/papers/published.py", "labkit/papers/__init__.py", "labkit/__init__.py"} <= found
        assert any(name.startswith("labkit/papers/tables/") for name in found), "published tables are data"

    def test_what_is_not_imported_does_not_count(self, tmp_path):
        found = self.depends_on(tmp_path, "from labkit.labels import CLASS_NAMES")
        assert "labkit/labels.py" in found
        assert not any(name.startswith(("labkit/training/", "labkit/plots/", "book/index")) for name in found)

    def test_python_that_cannot_be_parsed_depends_on_everything(self, tmp_path):
        assert "labkit/labels.py" in self.depends_on(tmp_path, "draw?")

    @pytest.mark.parametrize(
        ("count", "profile", "cores", "expected"),
        [(1, "smoke", 2, 1), (10, "smoke", 2, 2), (10, "smoke", 1, 1), (10, "mini", 2, 1), (10, "gpu", 16, 1)],
    )
    def test_notebooks_at_once(self, monkeypatch, count, profile, cores, expected):
        import dodo

        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        book = dodo.Book(ROOT, profile, "minicity", ROOT / "data", ROOT / "runs", [ROOT / "x.ipynb"] * count)
        assert book.parallel == expected
        threads = book.environment.get("OMP_NUM_THREADS")
        assert threads == (str(cores // expected) if expected > 1 else None)


class TestPublishedOutput:
    """What is taken out of an executed copy before it is published."""

    @pytest.fixture(autouse=True)
    def extension(self, monkeypatch):
        monkeypatch.syspath_prepend(str(BOOK / "_ext"))

    @pytest.mark.parametrize(
        ("data", "kept"),
        [
            ({"text/plain": "x"}, {"text/plain": "x"}),
            ({"text/plain": ["see /home/me/lab/build/x"]}, {"text/plain": "see build/x"}),
            ({"application/vnd.labkit.stamp+json": {"seeds": [1]}}, None),
            ({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "interactive(…)"}, None),
            (
                {"application/vnd.jupyter.widget-view+json": {}, "text/html": "<b>1</b>"},
                {"text/html": "<b>1</b>"},
            ),
        ],
    )
    def test_output(self, data, kept):
        from executed_notebooks import clean_output

        output = clean_output({"output_type": "display_data", "data": data, "metadata": {}}, "/home/me/lab")
        assert (output and output["data"]) == kept

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.2, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min")]
    )
    def test_duration(self, seconds, text):
        from executed_notebooks import duration_text

        assert duration_text(seconds) == text


ON_THE_COMMANDS_PAGE = ("labkit", "labkit.cli", "labkit.doctor")


def test_every_public_module_has_its_api_page():
    pages = {path: path.read_text(encoding="utf-8") for path in (BOOK / "api").glob("*.md")}
    named = [name for text in pages.values() for line in re.findall(r"\{modules\} (.+)", text) for name in line.split()]
    assert len(named) == len(set(named))
    missing = []
    for file in (ROOT / "labkit").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        private = any(part.startswith("_") for part in module.split("."))
        listed = any(module == name or module.startswith(name + ".") for name in named)
        if not private and not listed and module not in ON_THE_COMMANDS_PAGE:
            missing.append(module)
    assert not missing, f"add to a {{modules}} line under book/api/: {missing}"


def test_every_notebook_is_in_the_book(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK))
    import dodo

    assert sorted(dodo.toc_notebooks(ROOT)) == sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split())
    status, output = run(["make", "help"], ROOT)
    assert status == 0
    assert set(re.findall(r"^  make (\w+)", output, re.M)) == phony
    assert {"setup", "book", "test", "lab", "bench", "clean"} <= phony


def test_make_test_runs_every_test_file_once():
    said = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = re.findall(r"tests/test_\w+\.py", said)
    assert sorted(named) == sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py"))


def test_tools_are_parsable_by_the_oldest_python():
    for path in [*BOOK.glob("*.py"), *(BOOK / "_ext").glob("*.py")]:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))

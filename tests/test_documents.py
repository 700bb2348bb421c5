"""README and its companions tell the truth: commands and links exist, examples run, the architecture is the code's."""

from __future__ import annotations

import ast
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from PIL import Image

import labkit
from labkit.cli import main as cli
from labkit.lab import Lab
from labkit.methods.registry import METHODS
from labkit.models.registry import MODELS
from labkit.papers import PAPERS
from labkit.profiles import PAIRS, PROFILES, profile_named

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"book/{name}.md" for name in ("index", "setup", "how-it-works", "own-method", "ledger")),
)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, *languages: str) -> list[str]:
    """The fenced blocks of a document in one of the languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text(name), flags=re.M | re.S)
    return [body for language, body in found if language in languages]


def commands(name: str) -> list[list[str]]:
    """Every shell command of a document: lines of its shell blocks, and code in its text that begins like one."""
    lines = [line for block in blocks(name, "bash", "powershell") for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", text(name), flags=re.M | re.S)
    lines += [code for code in re.findall(r"`([^`]+)`", prose) if re.match(r"(labkit|make) \S", code)]
    split = [shlex.split(line.replace("\\", "/"), comments=True) for line in lines]
    return [words for words in split if words]


COMMANDS = sorted({tuple(words) for name in DOCUMENTS for words in commands(name)})
LABKIT = [words[1:] for words in COMMANDS if Path(words[0]).name == "labkit"]
MAKE = [words[1:] for words in COMMANDS if words[0] == "make"]


def title(words) -> str:
    return " ".join(words)


# --- commands --------------------------------------------------------------------------------------------------------


def parsed(arguments: tuple[str, ...]) -> click.Context:
    """The command line as click understands it, nothing executed."""
    command, rest = cli, list(arguments)
    while isinstance(command, click.Group):
        if not rest or rest[0] not in command.commands:
            raise click.UsageError(f"no command {rest[:1]} of {command.name}")
        command = command.commands[rest.pop(0)]
    return command.make_context(command.name, rest)


def test_the_documents_show_commands_of_both_kinds():
    assert {words[0] for words in LABKIT} >= {"doctor", "data", "train", "evaluate", "runs"}
    assert {words[0] for words in MAKE} >= {"book", "setup", "test"}


@pytest.mark.parametrize("arguments", LABKIT, ids=title)
def test_labkit_command_exists(arguments):
    given = parsed(arguments).params
    profile_named(given.get("profile", "mini"))  # raises for an unknown one
    assert given.get("method", "oracle") in METHODS
    assert given.get("model", "bisenet") in MODELS


@pytest.mark.parametrize("arguments", [("trian",), ("train", "--speed", "9"), ("evaluate", "RUN")], ids=title)
def test_a_wrong_labkit_command_would_be_noticed(arguments):
    with pytest.raises(click.UsageError):
        parsed(arguments)


@pytest.mark.parametrize("arguments", MAKE, ids=title)
def test_make_target_exists(arguments):
    makefile = text("Makefile")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.M))
    variables = set(re.findall(r"^([A-Z]+) \?=", makefile, flags=re.M))
    given = dict(word.split("=", 1) for word in arguments if "=" in word)
    assert {word for word in arguments if "=" not in word} <= targets
    assert set(given) <= variables
    assert given.get("PROFILE", "mini") in PROFILES
    assert given.get("PAIR", "minicity") in PAIRS


@pytest.mark.parametrize("language", ["powershell", "bash"])
def test_the_way_without_make_is_the_one_of_the_setup_page(language):
    ours = [block for block in blocks("README.md", language) if "-m venv" in block]
    theirs = [block for block in blocks("book/setup.md", language) if "-m venv" in block]
    assert len(ours) == len(theirs) == 1
    assert ours[0].splitlines() == theirs[0].splitlines()[:3]


def test_the_book_is_built_by_the_command_that_is_shown(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK))
    (shown,) = {words[1:] for words in COMMANDS if words[0].endswith("/python") and words[1].endswith("build.py")}
    monkeypatch.setattr(sys, "argv", list(shown))
    spec = importlib.util.spec_from_file_location("book_build", ROOT / shown[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.parse_arguments().profile == "smoke"


# --- links, picture, examples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)\s]+)\)", text(name))
    assert links
    for link in links:
        if not link.startswith("https://"):
            assert (ROOT / name).parent.joinpath(link).is_file(), link


def read_picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.int16)


def test_the_picture_is_what_its_script_draws(tmp_path):
    """Not byte for byte, because matplotlib's versions differ; but another scene or another look is noticed."""
    committed = BOOK / "_static" / "readme.png"
    assert committed.stat().st_size <= 300_000
    drawn = tmp_path / "drawn.png"
    command = [sys.executable, str(BOOK / "readme_picture.py"), "--output", str(drawn)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    old, new = read_picture(committed.read_bytes()), read_picture(drawn.read_bytes())
    assert old.shape == new.shape
    assert np.abs(old - new).mean() < 2, "draw it again: python book/readme_picture.py"


def test_the_picture_has_words_for_those_who_do_not_see_it():
    ((alt, link),) = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text("README.md"))
    assert link == "book/_static/readme.png"
    assert len(alt) > 100 and all(word in alt.lower() for word in ("game", "toon", "real", "label"))


def test_the_own_method_of_the_readme_runs(tmp_path):
    (example,) = blocks("README.md", "python")
    script = tmp_path / "own_method.py"
    script.write_text(example, encoding="utf-8")
    environment = {
        **os.environ,
        "LABKIT_RUNS": str(tmp_path / "runs"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    result = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name in result.stdout
    described = json.loads((run / "description.json").read_text(encoding="utf-8"))
    assert described["method"] == {"name": "low-entropy", "weight": 0.05}
    assert set(described["data"]) == {"source", "target"}
    columns = (run / "metrics.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert {"loss/source", "loss/entropy"} <= set(columns)


def test_what_contributing_imports_and_calls_exists():
    for block in blocks("CONTRIBUTING.md", "python"):
        tree = ast.parse(block)
        names = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    module = importlib.import_module(node.module)
                    names[alias.name] = (
                        getattr(module, alias.name)
                        if hasattr(module, alias.name)
                        else importlib.import_module(f"{node.module}.{alias.name}")
                    )
        used = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
        assert names and used
        for node in used:
            assert hasattr(names[node.value.id], node.attr), ast.unparse(node)


def test_the_costs_are_those_of_the_profiles():
    rows = dict(re.findall(r"^\| `([a-z]+)`[^|]*\|[^|]*\| ([^|]+) \|", text("README.md"), flags=re.M))
    assert set(rows) == set(PROFILES)
    plan = Lab("paper", "gta5-cityscapes").plan("bisenet", "source-only")
    height, width = plan["target_size"].value
    for name, profile in PROFILES.items():
        expected = f"each paper's own; baitan2025's source only: {plan['steps'].value:,} steps, {height}×{width}"
        if profile.steps:
            expected = f"{profile.steps:,} steps, {profile.height}×{2 * profile.height}"
        assert rows[name].strip() == expected


def test_the_readme_lists_exactly_the_notebooks_that_are():
    listed = re.findall(r"^- (\d\d) \[[^]]+\]\(notebooks/([^)]+)\)$", text("README.md"), flags=re.M)
    assert all(file.startswith(number) for number, file in listed)
    assert [file for _, file in listed] == sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


# --- version, citation -----------------------------------------------------------------------------------------------


def test_one_version_everywhere():
    assert labkit.__version__ == VERSION
    assert re.search(rf"^## {re.escape(VERSION)} – ", text("CHANGELOG.md"), flags=re.M)
    assert str(yaml.safe_load(text("CITATION.cff"))["version"]) == VERSION


def test_citation_is_valid():
    """The fields that Citation File Format 1.2.0 requires, and none that it does not know."""
    cited = yaml.safe_load(text("CITATION.cff"))
    assert cited["cff-version"] == "1.2.0" and cited["license"] == "MIT" and cited["type"] == "software"
    assert set(cited) <= {
        *("cff-version", "message", "type", "title", "version", "license", "authors", "keywords", "references"),
        *("abstract", "date-released", "repository-code", "url", "doi"),
    }
    assert cited["message"] and cited["title"] and cited["authors"] == [{"name": "The labkit authors"}]
    for reference in cited["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert reference["type"] in ("article", "report")
        assert all(isinstance(reference[key], int) for key in ("year", "volume", "start", "end") if key in reference)
        assert set(reference.get("institution", {"name"})) == {"name"}


def test_citation_names_the_four_papers():
    def words(title: str) -> str:
        return title.lower()

    references = yaml.safe_load(text("CITATION.cff"))["references"]
    cited = {
        words(reference["title"]): (
            tuple(f"{author['given-names']} {author['family-names']}" for author in reference["authors"]),
            reference.get("year-original", reference["year"]),
            reference.get("journal", reference.get("institution", {}).get("name")),
        )
        for reference in references
    }
    assert cited == {words(paper.title): (paper.authors, paper.year, paper.affiliation) for paper in PAPERS.values()}


# --- the page of architecture ----------------------------------------------------------------------------------------


def test_the_files_that_the_page_names_exist():
    page = text("book/how-it-works.md")
    named = re.findall(r"`((?:labkit|tests|benchmarks|notebooks|book|results)/[\w./]*)`", page)
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_speaks_of_the_project_alone(name):
    """No machine's paths and no package hosts: they are true in one place only."""
    assert not re.search(r"/(home|tmp|root|work)/|index-url|/simple\b|/whl/", text(name))

"""Colab's shape: one address for all, a button only where there is one, and a cell that does nothing elsewhere."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup
from packaging.requirements import Requirement

from labkit import colab
from labkit.errors import LabError
from labkit.training import provenance

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SCRIPT = ROOT / "book" / "repository_address.py"
ADDRESS = "https://github.com/some-owner/some.name"


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def bootstrap(path: Path) -> dict:
    (cell,) = [cell for cell in cells(path) if cell["id"] == "bootstrap"]
    return cell


def address_in(path: Path) -> str:
    return re.search(r'^REPOSITORY = "(.*)"  # @param', "".join(bootstrap(path)["source"]), re.MULTILINE)[1]


def address_of(root: Path) -> str:
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


# --- the cell ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_begins_with_the_same_cell(path):
    assert bootstrap(path) == bootstrap(NOTEBOOKS[0])
    code = [cell["id"] for cell in cells(path) if cell["cell_type"] == "code"]
    assert code[:2] == ["bootstrap", "parameters"]
    assert "remove-cell" in bootstrap(path)["metadata"]["tags"], "the book does not show it"
    assert bootstrap(path)["metadata"]["cellView"] == "form", "Colab folds it up"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_and_book_have_one_address(path):
    assert address_in(path) == address_of(ROOT)


class Colab:
    """What the cell meets and does: a Drive that is a folder, and the commands that were called."""

    def __init__(self, drive: Path):
        self.drive, self.mounted, self.commands = drive, [], []

    def mount(self, path: str) -> None:
        self.mounted.append(path)
        (Path(path) / "MyDrive").mkdir(parents=True)

    def run(self, command, check=False):
        assert check, "a failed installation has to stop the notebook"
        self.commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    @property
    def folder(self) -> Path:
        return self.drive / "MyDrive" / "labkit"


def execute(address: str = "") -> dict:
    source = "".join(bootstrap(NOTEBOOKS[0])["source"])
    names: dict = {}
    exec(re.sub(r'^REPOSITORY = "[^"]*"', f'REPOSITORY = "{address}"', source, flags=re.MULTILINE), names)
    return names


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Colab:
    """Any machine: commands are recorded, no folder is named."""
    machine = Colab(tmp_path / "drive")
    for name in colab.FOLDERS:
        monkeypatch.setenv(name, "")  # also restores what the cell sets
        monkeypatch.delenv(name)
    monkeypatch.setattr(subprocess, "run", machine.run)
    return machine


@pytest.fixture
def on_colab(machine, monkeypatch) -> Colab:
    """Colab before labkit is installed, with its modules' names and its kind of versions."""
    google, inner = ModuleType("google"), ModuleType("google.colab")
    inner.drive = SimpleNamespace(mount=machine.mount)
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", inner)
    monkeypatch.setattr(colab, "DRIVE", machine.drive)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "labkit" else find_spec(name))
    versions = {"torch": "2.9.0+cu126", "torchvision": "0.24.0+cu126", "numpy": "2.0.2", "pandas": "2.2.2"}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    return machine


def test_elsewhere_it_does_nothing(machine, capfd):
    assert "google.colab" not in sys.modules
    environment, folder = dict(os.environ), sorted(Path.cwd().iterdir())
    loaded = set(sys.modules)
    names = execute(ADDRESS)
    assert capfd.readouterr() == ("", "") and not machine.commands
    assert set(sys.modules) == loaded and os.environ == environment and sorted(Path.cwd().iterdir()) == folder
    assert set(names) == {"__builtins__", "sys", "REPOSITORY"}


def test_on_colab_it_installs_labkit_beside_what_is_there(on_colab):
    execute(ADDRESS)
    (command,) = on_colab.commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    labkit, *kept = [Requirement(word) for word in command[4:] if not word.startswith("-")]
    assert (labkit.name, labkit.url) == ("labkit", f"git+{ADDRESS}")
    assert [str(requirement) for requirement in kept] == [
        *("torch==2.9.0+cu126", "torchvision==0.24.0+cu126", "numpy==2.0.2", "pandas==2.2.2")
    ]


def test_on_colab_data_and_runs_are_on_drive(on_colab, capfd):
    execute(ADDRESS)
    assert on_colab.mounted == [str(on_colab.drive)]
    assert os.environ["LABKIT_DATA"] == str(on_colab.folder / "data") and (on_colab.folder / "data").is_dir()
    assert os.environ["LABKIT_RUNS"] == str(on_colab.folder / "runs") and (on_colab.folder / "runs").is_dir()
    lines = capfd.readouterr().out.splitlines()
    assert lines == [
        f"Data sets: none yet (in {on_colab.folder / 'data'})",
        f"Trainings: none yet (in {on_colab.folder / 'runs'})",
    ]


def test_the_next_session_finds_what_is_there(on_colab, capfd):
    for name in ("data/camvid", "data/cityscapes", "runs/bisenet-oracle-seed0-0123456789"):
        (on_colab.folder / name).mkdir(parents=True)
    (on_colab.folder / "data" / "camvid.zip").touch()
    sys.modules["google.colab"].drive.mount = lambda path: None
    execute(ADDRESS)
    data, runs = capfd.readouterr().out.splitlines()
    assert data.startswith("Data sets: camvid, cityscapes (in ") and runs.startswith("Trainings: 1 (in ")


def test_an_installed_labkit_is_kept(on_colab, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    execute("")
    assert not on_colab.commands and on_colab.mounted


def test_folders_that_are_named_are_kept(on_colab, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "elsewhere"))
    execute(ADDRESS)
    assert os.environ["LABKIT_DATA"] == str(tmp_path / "elsewhere")
    assert os.environ["LABKIT_RUNS"] == str(on_colab.folder / "runs")
    assert not (on_colab.folder / "data").exists()
    assert f"Data sets: none yet (in {tmp_path / 'elsewhere'})" in capfd.readouterr().out


def test_drive_is_left_alone_where_both_folders_are_named(on_colab, monkeypatch, tmp_path):
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path))
    monkeypatch.setenv("LABKIT_RUNS", str(tmp_path))
    execute(ADDRESS)
    assert not on_colab.mounted


def test_without_an_address_it_says_what_to_do(on_colab):
    with pytest.raises(AssertionError, match=r"Fill in REPOSITORY above: https://github\.com/OWNER/NAME"):
        execute("")
    assert not on_colab.commands and not on_colab.mounted


def test_a_drive_that_is_refused_says_what_to_do(on_colab):
    def refuse(path):
        raise ValueError("mount failed")

    sys.modules["google.colab"].drive.mount = refuse
    with pytest.raises(LabError, match=r"mount failed.*%env LABKIT_DATA=/content/data"):
        execute(ADDRESS)
    assert not set(colab.FOLDERS) & set(os.environ)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            '{"url": "https://github.com/a/b", "vcs_info": {"commit_id": "0123456789abcdef"}}',
            "0123456789",
        ),
        ('{"url": "file:///dist/labkit.whl", "archive_info": {}}', None),
        (None, None),
    ],
)
def test_a_run_knows_the_commit_that_pip_fetched(written, expected, monkeypatch):
    installed = ROOT / "build" / "site-packages" / "labkit"  # in a repository that is not where labkit came from
    monkeypatch.setattr(provenance.labkit, "__file__", str(installed / "__init__.py"))
    monkeypatch.setattr(provenance, "distribution", lambda name: SimpleNamespace(read_text=lambda file: written))
    assert provenance.commit() == expected


# --- the address ------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path) -> Path:
    """The configuration and the notebooks, to be changed."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    return tmp_path


def set_address(root: Path, address: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), address, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True)


def texts(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in [root / "_config.yml", *(root / "notebooks").glob("*.ipynb")]}


@pytest.mark.parametrize("written", [ADDRESS, f"{ADDRESS}.git", f"{ADDRESS}/"])
def test_one_command_sets_the_address_everywhere(project, written):
    before = texts(project)
    assert set_address(project, written).returncode == 0
    notebooks = sorted((project / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == len(NOTEBOOKS)
    assert {address_of(project), *map(address_in, notebooks)} == {ADDRESS}
    assert set_address(project, ADDRESS).stdout == "nothing to change\n"
    assert set_address(project, address_of(ROOT)).returncode == 0
    assert texts(project) == before, "nothing but the address changes"


@pytest.mark.parametrize("address", ["https://gitlab.com/a/b", "github.com/a/b", "https://github.com/a", 'x"y'])
def test_an_address_that_colab_cannot_open_is_refused(project, address):
    before = texts(project)
    done = set_address(project, address)
    assert done.returncode == 2 and "https://github.com/OWNER/NAME; nothing was changed" in done.stderr
    assert texts(project) == before


def test_a_notebook_without_the_cell_is_named_and_nothing_is_changed(project):
    path = project / "notebooks" / NOTEBOOKS[-1].name
    path.write_text(path.read_text(encoding="utf-8").replace('"bootstrap"', '"start"'), encoding="utf-8")
    before = texts(project)
    done = set_address(project, ADDRESS)
    assert done.returncode == 2 and path.name in done.stderr and texts(project) == before


# --- the button -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["", ADDRESS], ids=["without address", "with address"])
def small_book(request, tmp_path_factory) -> tuple[str, Path]:
    """The book's own configuration on one page and one notebook, built."""
    root = tmp_path_factory.mktemp("book")
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("*.md", "api", "__pycache__"))
    (root / "book" / "index.md").write_text("# A page\n\nText.\n")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/01_small\n")
    notebook = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    notebook["cells"] = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# A notebook"},
        bootstrap(NOTEBOOKS[0]),
    ]
    path = root / "notebooks" / "01_small.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert set_address(root, request.param).returncode == 0
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["labkit"] = {"source_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    executed = root / "build" / "executed" / "mini-minicity" / path.name
    executed.parent.mkdir(parents=True)
    executed.write_text(json.dumps(notebook), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "LABKIT_EXECUTED"}
    command = [sys.executable, str(ROOT / "book" / "publish.py"), "--root", str(root), "--output", str(root / "site")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return request.param, root / "site"


@pytest.mark.book
def test_the_button_opens_the_clean_notebook_where_there_is_an_address(small_book):
    address, site = small_book
    colab_links = {}
    for page in site.rglob("*.html"):
        links = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("a[href]")
        colab_links[page.stem] = [link["href"] for link in links if "colab" in link["href"]]
    expected = "https://colab.research.google.com/github/some-owner/some.name/blob/main/notebooks/01_small.ipynb"
    assert colab_links.pop("01_small") == ([expected] if address else [])
    assert "index" in colab_links and not any(colab_links.values())


@pytest.mark.book
def test_the_page_shows_neither_the_cell_nor_a_picture_from_elsewhere(small_book):
    _, site = small_book
    page = BeautifulSoup((site / "notebooks" / "01_small.html").read_text(encoding="utf-8"), "html.parser")
    assert page.select_one("h1").text.startswith("A notebook") and "REPOSITORY" not in page.text
    assert not [image["src"] for image in page.select("img") if "//" in image["src"]]

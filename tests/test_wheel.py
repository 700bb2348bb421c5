"""What is built: the wheel runs the notebooks outside of the checkout, beside the libraries that are there."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REHEARSED = [
    path for path in NOTEBOOKS if path.name.startswith(("01", "08", "10")) or "LABKIT_EVERY_NOTEBOOK" in os.environ
]
"""Executed here: data in all formats; trainings of two papers and their translations; recorded results and ONNX. The
book's tests execute all of them, in the checkout; with LABKIT_EVERY_NOTEBOOK set these do, too."""
KEPT = ("torch", "torchvision", "numpy", "pandas")
NOT_SEEN = ("labkit", "pytest", "hypothesis", "cityscapesscripts", "torchmetrics")
"""The checkout's own library, and tools of the tests: a notebook has to do without them."""

WHERE = "import sys, labkit; print(labkit.__file__, sys.prefix, sep='\\n')"
VERSIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({found.metadata["Name"].lower(): found.version for found in distributions()}))
"""


def build(target: str, folder: Path) -> Path:
    """The sdist or the wheel of the checkout, built in this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return path


def test_the_wheel_carries_the_recorded_results_and_all_modules(tmp_path):
    names = set(zipfile.ZipFile(build("wheel", tmp_path)).namelist())
    recorded = {f"labkit/recorded/{path.relative_to(ROOT / 'results').as_posix()}" for path in files_in("results")}
    library = {path.relative_to(ROOT).as_posix() for path in files_in("labkit") if path.suffix != ".pyc"}
    assert recorded and {name for name in names if ".dist-info/" not in name} == recorded | library


def test_the_sdist_carries_what_building_and_testing_need(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = ("Makefile", "constraints.txt", "environment.yml", "pyproject.toml", "README.md", "_config.yml", "_toc.yml")
    folders = ("labkit", "notebooks", "book", "tests", "benchmarks", "results")
    wanted = {path.relative_to(ROOT).as_posix() for name in folders for path in files_in(name)}
    assert names >= {*files, *wanted}


def files_in(folder: str) -> list[Path]:
    caches = ("__pycache__", ".ruff_cache", ".ipynb_checkpoints")
    return [path for path in (ROOT / folder).rglob("*") if path.is_file() and not set(caches) & set(path.parts)]


class Environment:
    """A virtual environment that sees what is installed here, except :data:`NOT_SEEN`."""

    def __init__(self, folder: Path):
        self.folder, self.seen = folder / "environment", folder / "seen"
        self.seen.mkdir(parents=True)
        for library in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for entry in Path(library).iterdir():
                if not any(name in entry.name for name in NOT_SEEN):
                    (self.seen / entry.name).symlink_to(entry)
        venv.create(self.folder, with_pip=False)
        paths = {"base": str(self.folder), "platbase": str(self.folder)}
        own = Path(sysconfig.get_path("purelib", "venv", vars=paths))
        (own / "seen.pth").write_text(f"{self.seen}\n")
        self.python = self.folder / "bin" / "python"

    def run(self, *words: str, cwd: Path) -> str:
        """Standard output of Python in this environment, which knows nothing of the one outside."""
        outside = ("LABKIT_", "PYTHON", "PIP_", "JUPYTER", "IPYTHON", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
        environment |= {"LABKIT_BATCH": "1", "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(self.folder / "ipython")}
        environment |= {"PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run([str(self.python), *words], cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def versions(self, cwd: Path) -> dict[str, str]:
        return json.loads(self.run("-c", VERSIONS, cwd=cwd))


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Environment, dict, dict]:
    """The wheel in such an environment, installed as the notebooks do on Colab, and all versions before and after."""
    if os.name == "nt":
        pytest.skip("links to what is installed need rights that Windows does not give")
    folder = tmp_path_factory.mktemp("wheel")
    wheel, environment = build("wheel", folder / "dist"), Environment(folder)
    before = environment.versions(folder)
    kept = [f"{name}=={before[name]}" for name in KEPT]
    pip = ("-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check")
    environment.run(*pip, f"labkit @ {wheel.as_uri()}", *kept, cwd=folder)
    return environment, before, environment.versions(folder)


@pytest.mark.slow
def test_installing_it_changes_no_version(installed):
    _, before, after = installed
    assert not {*NOT_SEEN} & before.keys() and {*KEPT} <= before.keys()
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"labkit"}


def imports(notebook: Path) -> list[str]:
    """The import statements of a notebook, but those that are for Colab."""
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    trees = [ast.parse(cell.source) for cell in cells if cell.id != "bootstrap"]
    return [
        ast.unparse(one) for tree in trees for one in ast.walk(tree) if isinstance(one, ast.Import | ast.ImportFrom)
    ]


@pytest.mark.slow
def test_all_that_notebooks_import_is_there(installed, tmp_path):
    wanted = sorted({statement for notebook in NOTEBOOKS for statement in imports(notebook)})
    assert len(wanted) > 50 and any("labkit.exercises" in statement for statement in wanted)
    (tmp_path / "all.py").write_text("\n".join(wanted), encoding="utf-8")
    installed[0].run("all.py", cwd=tmp_path)


def execute(environment: Environment, notebook: Path, folder: Path) -> dict:
    """The notebook, with one more cell that tells which labkit it had, executed in smoke from an empty folder."""
    folder.mkdir()
    content = nbformat.read(notebook, as_version=4)
    content.cells.append(nbformat.v4.new_code_cell(WHERE, id="where"))
    source, output = folder.with_suffix(".source.ipynb"), folder.with_suffix(".executed.ipynb")
    nbformat.write(content, source)
    environment.run(
        *("-m", "papermill", str(source), str(output), "-p", "profile", "smoke", "--kernel", "python3"),
        "--no-progress-bar",
        cwd=folder,
    )
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def executed(installed, tmp_path_factory) -> dict[str, tuple[dict, Path]]:
    """Notebooks as the wheel has run them, two at a time, and the folder where each was started."""
    folder = tmp_path_factory.mktemp("empty")
    with ThreadPoolExecutor(2) as pool:
        copies = pool.map(lambda path: execute(installed[0], path, folder / path.stem), REHEARSED)
        return {path.stem: (copy, folder / path.stem) for path, copy in zip(REHEARSED, copies, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in REHEARSED])
def test_plain_papermill_runs_it_from_an_empty_folder(name, executed, installed):
    environment, (copy, folder) = installed[0], executed[name]
    cells = [cell for cell in copy["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    assert all(cell["execution_count"] for cell in cells), "a cell was skipped"
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    package, prefix = "".join(cells[-1]["outputs"][0]["text"]).splitlines()
    assert Path(prefix) == environment.folder and Path(package).is_relative_to(environment.folder)
    assert not [cell["outputs"] for cell in cells if cell["id"] == "bootstrap" and cell["outputs"]]
    trains = any(re.search(r"\.train(_rows?)?\(", "".join(cell["source"])) for cell in cells)
    assert [path.name for path in folder.iterdir()] == ["runs"] * trains, "runs belong where the notebook was started"


@pytest.mark.slow
def test_recorded_results_are_those_of_the_checkout(executed, installed, tmp_path):
    """An installed labkit shows the same recorded sweeps."""
    code = "from labkit.report import results; print(results.RESULTS)"
    folder = Path(installed[0].run("-c", code, cwd=tmp_path).strip())
    assert folder.is_relative_to(installed[0].folder)
    for path in files_in("results"):
        assert (folder / path.relative_to(ROOT / "results")).read_bytes() == path.read_bytes()

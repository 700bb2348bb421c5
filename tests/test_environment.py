"""The files that describe the environment tell the truth, and tell it once."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(r) for r in [*PROJECT["dependencies"], *(r for e in EXTRAS.values() for r in e)]]


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]
    assert len({canonicalize_name(r.name) for r in found}) == len(found)
    return {canonicalize_name(r.name): r for r in found}


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_environment_yml_is_python_pip_and_the_project():
    written = environment()
    assert set(written) == {"name", "channels", "dependencies"}
    *packages, pip = written["dependencies"]
    assert packages == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[book,dev]"]}


def test_environment_yml_names_files_and_extras_that_exist():
    constraint, editable = environment()["dependencies"][-1]["pip"]
    assert (ROOT / constraint.removeprefix("-c ")).is_file()
    extras = re.search(r"\[(.+)\]", editable)[1].split(",")
    assert set(extras) == set(EXTRAS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"-c constraints.txt -e '{editable.removeprefix('-e ')}'" in makefile


def test_pip_part_resolves():
    """pip finds one consistent set for what ``-e .[book,dev]`` asks for, and this environment is it."""
    _, editable = environment()["dependencies"][-1]["pip"]
    extras = re.search(r"\[(.+)\]", editable)[1].split(",")
    wanted = sum((EXTRAS[extra] for extra in extras), PROJECT["dependencies"])
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet", "--report", "-"]
    command += ["--disable-pip-version-check", "-c", "constraints.txt", *wanted]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["install"] == []


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
def test_requirement_is_installed_in_its_range(requirement):
    installed = Version(version(requirement.name))
    assert requirement.specifier.contains(installed, prereleases=True)


@pytest.mark.parametrize("pin", pins().values(), ids=lambda r: r.name)
def test_pin_is_exact_and_installed(pin):
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    assert Version(version(pin.name)) == Version(specifier.version)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
def test_pin_lies_in_the_projects_range(requirement):
    pin = pins().get(canonicalize_name(requirement.name))
    if pin is None:
        assert requirement.specifier != SpecifierSet(), "neither a range nor a pin"
    else:
        assert requirement.specifier.contains(next(iter(pin.specifier)).version, prereleases=True)


def test_the_books_own_tools_are_pinned():
    """Ranges for the library, exact versions for what makes the book."""
    pinned = set(pins())
    assert {canonicalize_name(Requirement(r).name) for r in EXTRAS["book"]} <= pinned
    library = {canonicalize_name(Requirement(r).name) for r in PROJECT["dependencies"]}
    assert not library & pinned - {"ipywidgets"}, "a pin in the library breaks machines with another version"


def test_no_package_index_is_named():
    hosts = re.compile(r"https?://[^\s\"']*(pypi|pythonhosted|pytorch\.org/whl|npmjs|anaconda)|index-url", re.I)
    files = [
        "pyproject.toml",
        "constraints.txt",
        "environment.yml",
        "Makefile",
        ".pre-commit-config.yaml",
        ".ci/run",
    ]
    for name in files:
        assert not hosts.search((ROOT / name).read_text(encoding="utf-8")), name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_ci_script_is_executable_and_insists_on_the_browser():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text and "LABKIT_REQUIRE_CHROMIUM=1" in text
    assert text.rstrip().endswith("exec make test")
    subprocess.run(["bash", "-n", str(script)], check=True)

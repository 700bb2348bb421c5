"""Imports run one way, down the floors, and importing costs little."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import labkit
from labkit import sources

PAGE = Path(__file__).parent.parent / "book" / "how-it-works.md"
ROWS = re.findall(r"^\| (\d) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
FLOORS = tuple(set(re.findall(r"`(\w+)`", names)) for _, names in sorted(ROWS))
"""The floors as the page of architecture has them, from the ground up."""

FOLDER = Path(labkit.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))


def module_name(file: Path) -> str:
    return ".".join((sources.PACKAGE, *file.relative_to(FOLDER).with_suffix("").parts)).removesuffix(".__init__")


def part_of(module: str) -> str:
    """``labkit.data.camvid`` is part of ``data``; ``""`` is the package itself."""
    return [*module.split("."), ""][1]


def floor_of(part: str) -> int | None:
    return next((number for number, parts in enumerate(FLOORS) if part in parts), None)


def climbs(module: str, text: str) -> list[str]:
    """The imports of a module that neither lead to a lower floor nor stay in its own package."""
    part, faults = part_of(module), []
    for other in sorted(sources.imports(text)):
        here, there = floor_of(part), floor_of(part_of(other))
        if part_of(other) != part and there and there >= here:
            faults.append(f"{module} (floor {here}) imports {other} (floor {there})")
    return faults


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_lead_to_lower_floors(file):
    module, text = module_name(file), file.read_text(encoding="utf-8")
    if module == sources.PACKAGE:
        assert not sources.imports(text), "`import labkit` loads nothing"
        return
    part = part_of(module)
    assert floor_of(part) is not None, f"{module}: {part!r} stands on no floor; give it one in the table of {PAGE.name}"
    assert not climbs(module, text)
    relative = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, f"{file}: relative imports in lines {relative}, which labkit.sources does not follow"


def test_every_floor_is_there_and_none_twice():
    assert [int(number) for number, _ in sorted(ROWS)] == list(range(9))
    parts = [part for parts in FLOORS for part in parts]
    assert len(parts) == len(set(parts))
    assert set(parts) == {part_of(module_name(file)) for file in FILES} - {""}


def test_a_climb_is_noticed_wherever_it_hides():
    assert climbs("labkit.data.new", "def f():\n    from labkit.models.output import SegmentationOutput")
    assert climbs("labkit.models.new", "import labkit.losses.cross_entropy")  # beside, not below
    assert climbs("labkit.errors", "from labkit import labels, cli")
    assert not climbs("labkit.data.new", "from labkit import labels\nfrom labkit.data.pairs import Pair")


def loaded_after(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after ``statement``."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_what_importing_loads():
    drawing = {"matplotlib", "seaborn", "pandas", "cv2", "torchvision", "IPython", "ipywidgets", "scipy"}
    assert not loaded_after("import labkit.cli") & (drawing | {"torch", "numpy", "lightning_fabric"})
    after = loaded_after("import labkit, labkit.lab, labkit.methods.supervised")
    assert "torch" in after
    assert not after & (drawing | {"lightning_fabric", "torchmetrics", "sympy"})
    assert not loaded_after("import labkit.data.check, labkit.data.export, labkit.evaluation.folders") & drawing

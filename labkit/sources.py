"""Which of labkit's source files an object depends on, and a digest of what they say.

A run is named by the code that decided its numbers. So that an edit to a docstring or to a plot retrains
nothing, the digest covers exactly the modules that are reached by imports, without comments and docstrings.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "labkit"


@cache
def source_file(module: str) -> Path | None:
    """The file of a labkit module, or None if ``module`` is not one."""
    if module != PACKAGE and not module.startswith(PACKAGE + "."):
        return None
    folder = Path(__file__).parent.joinpath(*module.split(".")[1:])
    for path in (folder.with_suffix(".py"), folder / "__init__.py"):
        if path.is_file() and module != PACKAGE:
            return path
    return None


def imports(text: str) -> set[str]:
    """The labkit modules that Python source ``text`` imports, at any depth of nesting."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if source_file(name)}


def closure(modules: Iterable[str]) -> dict[str, Path]:
    """``modules`` and all labkit modules that they import, directly or not, with their files, sorted by name."""
    seen: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if module in seen or path is None:
            continue
        seen[module] = path
        waiting.extend(imports(path.read_text()))
    return dict(sorted(seen.items()))


def digest(modules: Iterable[str], extra: Iterable[str] = ()) -> str:
    """A SHA-256 (hex) over the meaning of ``modules``, their imports, and ``extra`` source texts."""
    sha = hashlib.sha256()
    for module, path in closure(modules).items():
        sha.update(f"{module}\n{essence(path.read_text())}\n".encode())
    for text in extra:
        sha.update(essence(text).encode())
    return sha.hexdigest()


def essence(text: str) -> str:
    """Source text without comments, docstrings, blank lines and trailing space.

    Works on positions in the text, so that every Python version gives the same answer.
    """
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            for number in range(first.lineno - 1, first.end_lineno):
                lines[number] = ""
    stripped = "\n".join(lines)
    try:
        comments = [t.start for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type == tokenize.COMMENT]
    except tokenize.TokenError:
        comments = []
    lines = stripped.splitlines()
    for row, column in comments:
        if row <= len(lines) and lines[row - 1]:
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())

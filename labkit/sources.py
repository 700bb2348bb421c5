"""Which of labkit's source files an object depends on, and a digest of what they say.

A run is named by the code that decided its numbers. So that an edit to a docstring or to a plot retrains
nothing, the digest covers exactly the modules that are reached by imports, without comments and docstrings.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import io
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

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
        waiting.extend(imports(path.read_text(encoding="utf-8")))
    return dict(sorted(seen.items()))


def digest(modules: Iterable[str], extra: Iterable[str] = ()) -> str:
    """A SHA-256 (hex) over the meaning of ``modules``, their imports, and ``extra`` source texts."""
    sha = hashlib.sha256()
    for module, path in closure(modules).items():
        sha.update(f"{module}\n{essence(path.read_text(encoding='utf-8'))}\n".encode())
    for text in extra:
        sha.update(essence(text).encode())
    return sha.hexdigest()


def essence(text: str) -> str:
    """Source text without comments, docstrings, blank lines and trailing space.

    Works on positions in the text, so that every Python version gives the same answer. What is no module by itself (a
    lambda's line) is taken as it stands.
    """
    lines = text.splitlines()
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return text
    for node in ast.walk(tree):
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


def of_object(item: Any) -> tuple[list[str], set[str]]:
    """What a class or function from outside of labkit depends on: source texts, and labkit modules.

    Follows the names that its functions use into other functions and classes of the same program (a notebook's cells, a
    script), not into installed packages. Function by function, because Python cannot find the source of a class that a
    notebook cell defined.
    """
    texts: dict[str, str] = {}
    modules: set[str] = set()
    home = item.__module__

    def visit(value: Any) -> None:
        module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
        if source_file(module):
            modules.add(module)
        elif module == home and isinstance(value, type | FunctionType) and (key := _key(value)) not in texts:
            texts[key] = ""
            (visit_class if isinstance(value, type) else visit_function)(key, value)

    def visit_function(key: str, function: FunctionType) -> None:
        with contextlib.suppress(OSError, TypeError):  # what @dataclass generates has no source
            texts[key] = inspect.cleandoc("\n" + inspect.getsource(function))
        for name in _names(function.__code__):
            if name in function.__globals__:
                visit(function.__globals__[name])

    def visit_class(key: str, cls: type) -> None:
        plain = {n: v for n, v in vars(cls).items() if isinstance(v, str | int | float | tuple) and n[:2] != "__"}
        texts[key] = "".join(f"{name} = {value!r}\n" for name, value in sorted(plain.items()))
        for base in cls.__bases__:
            visit(base)
        for name, value in sorted(vars(cls).items()):
            if isinstance(value, FunctionType):
                visit_function(f"{key}.{name}", value)

    visit(item)
    return [f"# {key}\n{text}" for key, text in sorted(texts.items()) if text], modules


def _key(item: Any) -> str:
    return f"{type(item).__name__} {item.__qualname__}"


def _names(code: CodeType) -> set[str]:
    """The global names that a function's code uses, nested functions included."""
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))

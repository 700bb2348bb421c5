"""Which of labkit's source files an object depends on, and a digest of what they say.

A run is named by the code that decided its numbers. So that an edit to a docstring or to a plot retrains
nothing, the digest covers exactly the modules that are reached by imports, without comments and docstrings.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import sys
import sysconfig
import time
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from labkit.errors import LabError

PACKAGE = "labkit"

_STARTED = time.time()


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


@cache
def imports(text: str) -> frozenset[str]:
    """The labkit modules that Python source ``text`` imports, at any depth of nesting."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if source_file(name))


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
    """A SHA-256 (hex) over the meaning of ``modules``, their imports, and ``extra`` source texts.

    Raises:
        LabError: a file was edited after this process loaded it: what would run is not what would be named.
    """
    sha = hashlib.sha256()
    for module, path in closure(modules).items():
        if module in sys.modules and _STARTED < path.stat().st_mtime <= time.time():
            raise LabError(f"{path}: edited after Python had loaded it; restart the kernel or program, and run again")
        sha.update(f"{module}\n{essence(path.read_text(encoding='utf-8'))}\n".encode())
    for text in extra:
        sha.update(essence(text).encode())
    return sha.hexdigest()


@cache
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
        if getattr(node, "lineno", 0) == getattr(first, "lineno", None):
            continue  # all on one line
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

    Follows the names that its functions use into plain values, and into functions and classes of the student's own (a
    notebook's cells, files beside it), not into installed packages. Function by function, because Python cannot find
    the source of a class that a notebook cell defined.

    Raises:
        LabError: a function whose source cannot be read.
    """
    texts: dict[str, str] = {}
    modules: set[str] = set()

    def visit(name: str, value: Any) -> None:
        value = inspect.unwrap(value) if callable(value) and hasattr(value, "__wrapped__") else value
        module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
        if source_file(module):
            modules.add(module)
        elif isinstance(value, type | FunctionType) and _is_own(module):
            if (key := f"{name}: {module}.{value.__qualname__}") not in texts:
                texts[key] = ""
                (visit_class if isinstance(value, type) else visit_function)(key, value)
        elif _is_plain(value):
            texts[f"{name} = "] = repr(value)

    def visit_function(key: str, function: FunctionType) -> None:
        try:
            texts[key] = inspect.cleandoc("\n" + inspect.getsource(function))
        except (OSError, TypeError):
            raise LabError(
                f"{function.__qualname__}: its source cannot be read, so its runs could not be told apart; define it "
                "in a notebook cell or in a file"
            ) from None
        names = _names(function.__code__)
        modules.update(name for name in names if source_file(name))
        if any(getattr(function.__globals__.get(name), "__name__", "") == PACKAGE for name in names):
            modules.update(m for m in sys.modules if m.startswith(PACKAGE + ".") and m.rpartition(".")[2] in names)
        for name in sorted(names & function.__globals__.keys()):
            visit(name, function.__globals__[name])

    def visit_class(key: str, cls: type) -> None:
        for base in cls.__bases__:
            visit(base.__name__, base)
        for name, value in sorted(vars(cls).items()):
            function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            function = inspect.unwrap(function) if callable(function) else function
            if isinstance(function, FunctionType) and function.__code__.co_filename != "<string>":  # made by @dataclass
                visit_function(f"{key}.{name}", function)
            elif name[:2] != "__" and _is_plain(value):
                texts[f"{key}.{name} = "] = repr(value)

    visit(item.__name__, item)
    return [f"# {key}\n{text}" for key, text in sorted(texts.items()) if text], modules


def _is_own(module: str) -> bool:
    """Whether a module is the student's: a notebook, a script, or a file that no package manager has installed."""
    if module == "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return bool(file) and not any(Path(file).is_relative_to(folder) for folder in installed)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | set | frozenset):
        return all(_is_plain(part) for part in value)
    if isinstance(value, dict):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    return value is None or isinstance(value, str | int | float)


def _names(code: CodeType) -> set[str]:
    """The names that a function's code uses or imports, nested functions included."""
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))

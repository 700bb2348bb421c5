"""Execute one notebook with papermill, so that its final name never holds a failed or partial copy.

The copy is stamped (metadata ``labkit``) with everything a reader needs to judge its numbers. A failed
notebook is kept under ``build/failed/``.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STAMP_MIME = "application/vnd.labkit.stamp+json"
"""A cell output of this type adds to the stamp: a notebook uses it to say which data it found."""


class NotebookError(Exception):
    """The notebook, or what it was asked to do, is wrong; the message says what and where."""


def literal(text: str) -> Any:
    """A parameter's value from its text: a Python literal if it is one, else the text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return {"true": True, "false": False}.get(text, text)


def read_notebook(path: Path) -> dict:
    """The notebook's JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise NotebookError(f"{path.name} is not a readable notebook: {error}") from error


def text_of(value: str | list[str]) -> str:
    """A notebook's multi-line string, which may be stored as a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def code_cells(path: Path) -> Iterator[tuple[dict, str]]:
    """Every code cell with its source, in which lines of magics are replaced by ``pass``."""
    for cell in read_notebook(path)["cells"]:
        if cell["cell_type"] == "code":
            yield cell, re.sub(r"^(\s*)[%!].*$", r"\1pass", text_of(cell["source"]), flags=re.MULTILINE)


def declared_parameters(path: Path) -> dict[str, Any]:
    """Names and defaults from the cell that is tagged ``parameters``; a computed default is None."""
    for cell, source in code_cells(path):
        if "parameters" not in cell["metadata"].get("tags", []):
            continue
        try:
            statements = ast.parse(source).body
        except SyntaxError as error:
            raise NotebookError(f"{path.name}, cell {cell.get('id')}: {error.msg}") from error
        declared = {}
        for node in statements:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name):
                    try:
                        declared[target.id] = ast.literal_eval(node.value)
                    except ValueError:
                        declared[target.id] = None
        return declared
    raise NotebookError(f"{path.name} has no cell tagged 'parameters'")


def check_parameters(path: Path, parameters: dict[str, Any]) -> None:
    """Refuse a parameter that the notebook does not declare; papermill would only warn."""
    declared = declared_parameters(path)
    for name in parameters:
        if name not in declared:
            raise NotebookError(f"unknown parameter {name!r} of {path.name}; known: {', '.join(declared)}")


def source_sha256(path: Path) -> str:
    """What a copy is compared with to see that it is stale."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def execute(
    notebook: Path,
    output: Path,
    parameters: dict[str, Any],
    *,
    root: Path,
    data: Path,
    runs: Path,
    cell_timeout: int,
) -> float:
    """Execute ``notebook`` into ``output`` and return the seconds it took.

    Raises:
        NotebookError: an unknown parameter, a failing cell, a cell over its time limit, a dead kernel.
    """
    import nbformat
    import papermill

    check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)  # an older success must not be published in place of a failure
    failed = root / "build" / "failed" / notebook.name
    failed.unlink(missing_ok=True)
    running = output.with_name(f".{notebook.stem}.running.ipynb")
    sha256 = source_sha256(notebook)
    problem = None
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        prepare_environment(root, data, runs, Path(scratch))
        try:
            papermill.execute_notebook(
                str(notebook),
                str(running),
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=str(notebook.parent),
                stdout_file=Forward(notebook.stem),
                stderr_file=Forward(notebook.stem),
                execution_timeout=cell_timeout,
                extra_arguments=["--IPKernelApp.log_level=50"],  # its remarks on ports and interrupts
            )
        except Exception as error:  # whatever went wrong in the kernel, the cell it happened in is named below
            problem = error
    duration = time.monotonic() - start
    if not running.is_file():
        raise NotebookError(f"{notebook.name} could not be started: {problem}") from problem

    copy = nbformat.read(running, as_version=4)
    if problem is not None or errors_in(copy):
        message = describe_failure(notebook, copy, problem, cell_timeout)
        failed.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(copy, running)
        running.replace(failed)
        raise NotebookError(f"{message}\n  kept to look at: {failed.relative_to(root)}") from problem
    copy.metadata["labkit"] = stamp(notebook, copy, parameters, root, sha256, duration)
    nbformat.write(copy, running)
    running.replace(output)
    return duration


class Forward:
    """Passes a cell's printed lines on to standard error while the notebook runs."""

    def __init__(self, prefix: str):
        self.prefix = prefix

    def write(self, text: str) -> None:
        for line in text.replace("\r", "\n").splitlines():
            if line.strip():
                print(f"  {self.prefix} | {line}", file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def prepare_environment(root: Path, data: Path, runs: Path, scratch: Path) -> None:
    """What the kernel inherits: batch mode, absolute folders, this interpreter's kernel, no user settings."""
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ.update(
        LABKIT_BATCH="1",
        LABKIT_DATA=str(data),
        LABKIT_RUNS=str(runs),
        PYTHONPATH=os.pathsep.join(dict.fromkeys(os.pathsep.join(paths).split(os.pathsep))),
        JUPYTER_PATH=str(Path(sys.prefix) / "share" / "jupyter"),
        IPYTHONDIR=str(scratch),
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )


def errors_in(copy: dict) -> list[dict]:
    """The error outputs that the copy holds."""
    return [output for cell in copy["cells"] for output in cell.get("outputs", []) if output["output_type"] == "error"]


def describe_failure(notebook: Path, copy, problem: Exception | None, cell_timeout: int) -> str:
    """Name the notebook, the cell and the error; write into the copy what would leave no trace in it."""
    import nbformat
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    started = [c for c in copy.cells if c.metadata.get("papermill", {}).get("start_time") and c.cell_type == "code"]
    if not started:
        return f"{notebook.name} failed before its first cell: {problem}"
    cell = started[-1]
    numbers = {c.get("id"): n for n, c in enumerate(read_notebook(notebook)["cells"], start=1)}
    where = f"cell {numbers[cell.id]} ({cell.id})" if cell.id in numbers else "injected parameters"
    if isinstance(problem, CellTimeoutError) and "IOPub" in str(problem):
        what = "CellTimeoutError: the output of the kernel did not arrive; the machine is overloaded (--jobs 1)"
    elif isinstance(problem, CellTimeoutError):
        what = f"CellTimeoutError: took longer than the limit of {cell_timeout} s (--cell-timeout)"
    elif isinstance(problem, DeadKernelError):
        what = "DeadKernelError: the kernel died (out of memory, or a crash in a library)"
    elif errors := [o for o in cell.get("outputs", []) if o.output_type == "error"]:
        return f"{notebook.name}, {where}: {errors[0].ename}: {errors[0].evalue}"
    else:
        what = f"{type(problem).__name__}: {problem}"
    name, _, value = what.partition(": ")
    cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
    cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=value, traceback=[what]))
    return f"{notebook.name}, {where}: {what}"


def stamp(notebook: Path, copy, parameters: dict[str, Any], root: Path, sha256: str, duration: float) -> dict:
    """What the copy was computed with."""
    values = {**declared_parameters(notebook), **parameters}
    seeds = values.get("seeds", values.get("seed"))
    facts = {
        "profile": values.get("profile"),
        "pair": values.get("pair"),
        "data": pair_title(values.get("pair")),
        "seeds": list(seeds) if isinstance(seeds, list | tuple) else [] if seeds is None else [seeds],
        "commit": commit(root),
        "duration_s": round(duration, 1),
        "hardware": hardware(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "source_sha256": sha256,
    }
    for cell in copy.cells:
        for output in cell.get("outputs", []):
            facts.update(output.get("data", {}).get(STAMP_MIME, {}))
    return facts


def pair_title(pair: str | None) -> str | None:
    """The pair's name as a reader should see it, if labkit has one."""
    try:
        from labkit.profiles import PAIRS

        return getattr(PAIRS[pair], "title", None) or pair
    except (ImportError, KeyError):
        return pair


def commit(root: Path) -> str:
    """The commit that was executed, with ``+dirty`` if the working tree differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def hardware() -> str:
    """Processor, number of cores and, where there is one, the GPU."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    elif sys.platform == "darwin":
        name = first_line("sysctl", "-n", "machdep.cpu.brand_string") or name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = first_line("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return f"{name}, {cores} core{'s' if cores != 1 else ''}" + (f"; {gpu}" if gpu else "")


def first_line(*command: str) -> str:
    """The first line that a command prints; nothing if there is no such command."""
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
        return lines[0].strip() if lines else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute one notebook.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--cell-timeout", type=int, default=1200)
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[])
    arguments = parser.parse_args()
    parameters = {name: literal(value) for name, value in arguments.parameter}
    print(f"  executing {arguments.notebook.name}", file=sys.stderr)
    try:
        seconds = execute(
            arguments.notebook,
            arguments.output,
            parameters,
            root=arguments.root,
            data=arguments.data,
            runs=arguments.runs,
            cell_timeout=arguments.cell_timeout,
        )
    except NotebookError as error:
        print(f"ERROR {error}", file=sys.stderr)
        return 1
    print(f"  {arguments.notebook.name} done in {seconds:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

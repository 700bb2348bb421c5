"""Build the HTML with jupyter-book, every warning an error, and put it in place only if it is whole."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def publish(root: Path, output: Path) -> bool:
    """Build the book of ``root`` into ``output``; a failed build leaves the former pages as they were."""
    work = output.with_name(f".{output.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    # --all: an unchanged page is otherwise not read again, and its warnings are not seen.
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(root), "--path-output", str(work)]
    command += ["--all", "-W", "--keep-going", "-q"]
    environment = {**os.environ, "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore")}
    result = subprocess.run(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode:
        print(result.stdout.replace(f"{root}{os.sep}", ""), file=sys.stderr)
        return False
    shutil.rmtree(output, ignore_errors=True)
    (work / "_build" / "html").replace(output)
    shutil.rmtree(work)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the HTML.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if not publish(arguments.root, arguments.output):
        print("ERROR the pages could not be built; the warnings above say why", file=sys.stderr)
        return 1
    print(f"  pages built in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

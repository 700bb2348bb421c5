"""Set the project's address: in ``_config.yml``, and in the cell of each notebook that installs labkit on Colab.

    python book/repository_address.py https://github.com/OWNER/NAME
    python book/repository_address.py ""      # no address: no Colab button

With an address each notebook's page has a button that opens the clean notebook on Colab.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

GITHUB = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
SETTING = re.compile(r'^(repository:\n  url: )"(.*)"$', re.MULTILINE)
LINE = re.compile(r'^REPOSITORY = "(.*)"  # @param', re.MULTILINE)


def checked(address: str) -> str:
    """The address without what browsers and git append to it.

    Raises:
        ValueError: neither empty nor a repository on GitHub, the only place that Colab opens notebooks from.
    """
    address = address.strip().rstrip("/").removesuffix(".git")
    if address and not GITHUB.fullmatch(address):
        raise ValueError(f"{address!r} is not of the form https://github.com/OWNER/NAME")
    return address


def replaced(pattern: re.Pattern, text: str, address: str, file: Path) -> str:
    """The text with the address in the one place that the pattern finds."""
    found = list(pattern.finditer(text))
    if len(found) != 1:
        raise ValueError(f"{file}: {len(found)} places for the address, not 1")
    start, end = found[0].span(pattern.groups)
    return text[:start] + address + text[end:]


def set_address(root: Path, address: str) -> list[Path]:
    """Write the address everywhere, or nowhere if a file cannot take it; the files that have changed."""
    address = checked(address)
    config = root / "_config.yml"
    texts = {config: replaced(SETTING, config.read_text(encoding="utf-8"), address, config)}
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cell = next((cell for cell in notebook["cells"] if cell.get("id") == "bootstrap"), {"source": ""})
        cell["source"] = replaced(LINE, "".join(cell["source"]), address, path).splitlines(keepends=True)
        texts[path] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    changed = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        changed = set_address(arguments.root, arguments.address)
    except ValueError as error:
        print(f"{error}; nothing was changed", file=sys.stderr)
        return 2
    print("\n".join(f"changed: {path.relative_to(arguments.root)}" for path in changed) or "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())

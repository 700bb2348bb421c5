"""Draw the picture of the README: MiniCity's three styles, each with its label map, as ``book/_static/readme.png``.

Run it again when MiniCity's version or the figures' look has changed::

    python book/readme_picture.py
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "_static" / "readme.png"

SIZE = (160, 320)
"""Height and width of a scene in pixels: about what it covers in the picture."""
SCENES = {
    "game: a source": ("game", 0),
    "toon: another source": ("toon", 1),
    "real: the target": ("real", 5),
}
"""What stands above a column, and which scene of which style's training pictures is in it."""


def scenes() -> dict:
    """The three scenes, each with its label map, by the words above them."""
    from labkit.data.minicity import MiniCity

    return {
        words: MiniCity(style, "train", size=SIZE, count=number + 1)[number]
        for words, (style, number) in SCENES.items()
    }


def draw() -> bytes:
    """The picture as a PNG file, as small as it can be without loss."""
    from PIL import Image

    from labkit import plots

    figure = plots.styles_figure({words: [sample] for words, sample in scenes().items()})
    file = io.BytesIO()
    Image.open(io.BytesIO(figure.png())).convert("RGB").save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the picture of the README.")
    parser.add_argument("--output", type=Path, default=PICTURE)
    output = parser.parse_args().output
    sys.path.insert(0, str(ROOT))  # the checkout's own labkit, also where another one is installed
    from labkit.files import write_atomically

    write_atomically(output, draw())
    print(output)


if __name__ == "__main__":
    main()

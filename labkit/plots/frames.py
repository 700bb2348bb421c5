"""Pictures behind a slider that moves without a kernel: in a notebook, on Colab and in the published page."""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labkit.errors import LabError
from labkit.plots.style import Figure

BUDGET = 900_000
"""Bytes of all pictures of one slider, as written into the page."""
QUALITIES = (88, 80, 70, 60)
MAX_WIDTH = 1080


def _as_image(frame):
    from PIL import Image

    if isinstance(frame, Image.Image):
        image = frame
    elif isinstance(frame, np.ndarray):
        image = Image.fromarray(frame)
    elif isinstance(frame, Figure):
        image = Image.open(io.BytesIO(frame.png()))
    elif hasattr(frame, "savefig"):
        file = io.BytesIO()
        frame.savefig(file, format="png", facecolor="white")
        image = Image.open(file)
    else:
        raise LabError(f"a frame is a figure, a PIL image or a uint8 array, not {type(frame).__name__}")
    image = image.convert("RGB")
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS)
    return image


def _encode(image, room: int) -> bytes:
    """WebP: without loss where that fits the room, else at the best quality that does."""
    for options in ({"lossless": True}, *({"quality": quality} for quality in QUALITIES)):
        file = io.BytesIO()
        image.save(file, "WEBP", method=4, **options)
        if file.tell() <= room:
            return file.getvalue()
    half = (max(1, image.width * 3 // 4), max(1, image.height * 3 // 4))
    return _encode(image.resize(half), room)


@dataclass(frozen=True)
class Slider:
    """Pictures with their labels and descriptions; a notebook shows it through ``_repr_html_``.

    Without scripts all pictures stand below each other, each with its label.
    """

    pictures: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    alt: tuple[str, ...]
    caption: str = ""
    title: str = ""
    start: int = 0

    def _repr_html_(self) -> str:
        figures = "".join(
            f'<figure><img src="data:image/webp;base64,{base64.b64encode(picture).decode()}" '
            f'width="{width}" height="{height}" alt="{html.escape(alt)}">'
            f"<figcaption>{html.escape(label)}</figcaption></figure>"
            for picture, (width, height), label, alt in zip(
                self.pictures, self.sizes, self.labels, self.alt, strict=True
            )
        )
        title = html.escape(self.title)
        name = title or "picture"
        last = len(self.pictures) - 1
        controls = (
            '<div class="lk-control" hidden>'
            '<button type="button" aria-label="previous">‹</button>'
            f'<input type="range" min="0" max="{last}" step="1" value="{self.start}" aria-label="{name}">'
            '<button type="button" aria-label="next">›</button>'
            '<output aria-live="polite"></output></div>'
        )
        heading = f'<div class="lk-title">{title}</div>' if title else ""
        caption = f'<div class="lk-caption">{html.escape(self.caption)}</div>' if self.caption else ""
        key = hashlib.sha256((figures + controls + caption).encode()).hexdigest()[:12]
        return (
            f'<div class="lk-frames" data-key="{key}" role="group" aria-label="{name}">'
            f"<style>{_CSS}</style>{heading}{controls}<div>{figures}</div>{caption}"
            f"<script>{_JS.replace('KEY', key)}</script></div>"
        )

    def __repr__(self) -> str:
        return f"Slider({self.title or 'untitled'}: {', '.join(self.labels)})"


_CSS = """
.lk-frames{max-width:100%;margin:.5em 0}
.lk-frames .lk-title{font-weight:600;margin-bottom:.3em}
.lk-frames .lk-control{display:flex;gap:.6em;align-items:center;flex-wrap:wrap;margin:.2em 0 .6em}
.lk-frames .lk-control[hidden],.lk-frames figure[hidden]{display:none}
.lk-frames input{flex:1 1 8em;min-width:6em;max-width:26em;accent-color:#0072b2;margin:0}
.lk-frames button{font:inherit;font-size:1.25em;line-height:1;width:2em;height:1.7em;padding:0;cursor:pointer;
color:inherit;background:transparent;border:1px solid currentColor;border-radius:.35em;opacity:.85}
.lk-frames button:disabled{opacity:.3;cursor:default}
.lk-frames output{flex:0 1 auto;font-weight:600;font-variant-numeric:tabular-nums}
.lk-frames figure{margin:0 0 .8em}
.lk-frames img{display:block;max-width:100%;height:auto!important;background:#fff;border-radius:3px}
.lk-frames figcaption{font-weight:600}
.lk-frames.lk-live figcaption{display:none}
.lk-frames .lk-caption{opacity:.85;font-size:.93em}
""".replace("\n", "")

_JS = """
document.querySelectorAll('.lk-frames[data-key="KEY"]:not(.lk-live)').forEach(function(root){
var figures=root.querySelectorAll('figure'),range=root.querySelector('input'),
buttons=root.querySelectorAll('button'),output=root.querySelector('output'),last=figures.length-1;
function show(){
var now=+range.value,label=figures[now].querySelector('figcaption').textContent;
figures.forEach(function(figure,i){figure.hidden=i!==now});
output.textContent=label;range.setAttribute('aria-valuetext',label);
buttons[0].disabled=now===0;buttons[1].disabled=now===last}
function move(by){range.value=+range.value+by;show()}
buttons[0].addEventListener('click',function(){move(-1)});
buttons[1].addEventListener('click',function(){move(1)});
range.addEventListener('input',show);
range.addEventListener('keydown',function(event){event.stopPropagation()});
root.classList.add('lk-live');root.querySelector('.lk-control').hidden=false;show()});
""".replace("\n", "")


def slider(
    frames: Sequence,
    labels: Sequence[str],
    alt: str | Sequence[str],
    *,
    caption: str = "",
    title: str = "",
    start: int = 0,
) -> Slider:
    """Put pictures behind a slider that works wherever HTML is shown, without a kernel or the network.

    Args:
        frames: figures, PIL images or uint8 arrays ``(H, W, 3)``; made smaller if wider than 1080 pixels.
        labels: what the control says at each frame (``"λ = 0.01"``).
        alt: what is to be seen, for a reader who does not see it: for each frame, or one sentence for all,
            which is then completed with the frame's label.
        caption: a sentence below.
        title: what the control changes, above it and as its accessible name.
        start: the frame shown first.

    Raises:
        LabError: no frames, not as many labels and descriptions, or a frame of another kind.
    """
    count = len(frames)
    if not count or len(labels) != count:
        raise LabError(f"a slider needs frames and a label for each: {count} frames, {len(labels)} labels")
    described = [f"{alt} {label}" for label in labels] if isinstance(alt, str) and alt else list(alt)
    if len(described) != count or not all(described):
        raise LabError(f"a slider needs a description for each of its {count} frames (alt), not {len(described)}")
    if not 0 <= start < count:
        raise LabError(f"start = {start}, but the frames are 0 to {count - 1}")
    images = [_as_image(frame) for frame in frames]
    pictures = tuple(_encode(image, BUDGET * 3 // 4 // count) for image in images)
    sizes = tuple(image.size for image in images)
    return Slider(pictures, sizes, tuple(labels), tuple(described), caption, title, start)

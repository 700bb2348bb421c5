"""The things that stand in a street, as small sets of flat pieces in their own coordinates (metres).

x points right, y up, z ahead (the way the thing faces); the origin is on the ground below its middle. A
piece is a quadrilateral, or the ellipse inscribed in it. Every piece has a label and a *role*: the scene
says which colour each role has, so one car shape makes cars of every colour.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from labkit.data.minicity.noise import Dice
from labkit.labels import CLASS_NAMES, IGNORE

QUAD, ELLIPSE, LEAFY = 0, 1, 2
"""Forms of a piece: the quadrilateral, the ellipse inscribed in it, that ellipse with a ragged edge."""

ID = {name: index for index, name in enumerate(CLASS_NAMES)}


class Shape(NamedTuple):
    """A thing as arrays over its ``n`` pieces, in the order in which they are painted.

    ``corners`` float64 ``(n, 4, 3)``; ``role``, ``label``, ``form`` uint8 ``(n,)``; ``closed`` bool
    ``(n,)``: part of a solid, seen from one side only and lit by its direction; ``roles`` the names that
    ``role`` counts; ``footprint`` half width and half length on the ground; ``height`` of the top.
    """

    corners: np.ndarray
    role: np.ndarray
    label: np.ndarray
    form: np.ndarray
    closed: np.ndarray
    roles: tuple[str, ...]
    footprint: tuple[float, float]
    height: float


class Parts:
    """Collects the pieces of one shape."""

    def __init__(self, label: str):
        self.label = ID[label]
        self.roles: list[str] = []
        self.rows: list[tuple] = []

    def add(self, corners, role: str, form: int = QUAD, closed: bool = True, label: int | None = None) -> None:
        """Add one piece; corners run counter-clockwise as seen from outside."""
        if role not in self.roles:
            self.roles.append(role)
        number = self.label if label is None else label
        self.rows.append((corners, self.roles.index(role), number, form, closed))

    def solid(self, base, top, role: str, roof: str | None = None, label: int | None = None) -> None:
        """A box or a tapering body between two rectangles ``(x0, x1, z0, z1, y)``; no underside."""
        bx0, bx1, bz0, bz1, by = base
        tx0, tx1, tz0, tz1, ty = top
        b = [(bx0, by, bz0), (bx1, by, bz0), (bx1, by, bz1), (bx0, by, bz1)]
        t = [(tx0, ty, tz0), (tx1, ty, tz0), (tx1, ty, tz1), (tx0, ty, tz1)]
        for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
            self.add([b[i], b[j], t[j], t[i]], role, label=label)
        self.add([t[0], t[1], t[2], t[3]], roof or role, label=label)

    def panes(self, base, top, role: str, margin: float) -> None:
        """Windows let into the four sides of such a body; ``margin`` is the share left round them."""
        bx0, bx1, bz0, bz1, by = base
        tx0, tx1, tz0, tz1, ty = top
        b = [(bx0, by, bz0), (bx1, by, bz0), (bx1, by, bz1), (bx0, by, bz1)]
        t = [(tx0, ty, tz0), (tx1, ty, tz0), (tx1, ty, tz1), (tx0, ty, tz1)]
        for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
            face = p, q, r, s = b[i], b[j], t[j], t[i]
            middle = [(p[k] + q[k] + (r[k] + s[k])) / 4 for k in range(3)]
            self.add([[c + (m - c) * margin for c, m in zip(corner, middle, strict=True)] for corner in face], role)

    def box(self, x0, x1, y0, y1, z0, z1, role: str, roof: str | None = None, label: int | None = None) -> None:
        """A box with upright sides."""
        self.solid((x0, x1, z0, z1, y0), (x0, x1, z0, z1, y1), role, roof, label)

    def side(self, x, z0, z1, y0, y1, role: str, form: int = QUAD, label: int | None = None) -> None:
        """A patch on the left (x < 0) or right side."""
        z0, z1 = (z0, z1) if x > 0 else (z1, z0)
        self.add([(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)], role, form, label=label)

    def sides(self, x, z0, z1, y0, y1, role: str, form: int = QUAD) -> None:
        """The same patch on both sides."""
        self.side(x, z0, z1, y0, y1, role, form)
        self.side(-x, z0, z1, y0, y1, role, form)

    def end(self, z, x0, x1, y0, y1, role: str, form: int = QUAD, label: int | None = None) -> None:
        """A patch on the back (z < 0) or front."""
        x0, x1 = (x0, x1) if z < 0 else (x1, x0)
        self.add([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], role, form, label=label)

    def card(
        self,
        x0,
        x1,
        y0,
        y1,
        role: str,
        form: int = QUAD,
        z: float = 0.0,
        label: int | None = None,
        taper: float = 0.0,
    ):
        """A flat piece that faces the camera whichever way it is seen; ``taper`` narrows its top."""
        self.add(
            [(x0, y0, z), (x1, y0, z), (x1 - taper, y1, z), (x0 + taper, y1, z)],
            role,
            form,
            closed=False,
            label=label,
        )

    def blade(self, z0, z1, y0, y1, role: str, form: int = QUAD, x: float = 0.0) -> None:
        """A flat piece in the plane of travel, seen from both sides."""
        self.add([(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)], role, form, closed=False)

    def wheels(self, x, radius, at) -> None:
        """Discs on both sides at these places along z."""
        for z in at:
            self.sides(x, z - radius, z + radius, 0.0, 2 * radius, "tyre", ELLIPSE)
            hub = 0.55 * radius
            self.sides(x + 0.005, z - hub, z + hub, radius - hub, radius + hub, "hub", ELLIPSE)

    def shape(self, footprint: tuple[float, float]) -> Shape:
        """Everything collected, as arrays."""
        corners, role, label, form, closed = zip(*self.rows, strict=True)
        array = np.array(corners, dtype=np.float64)
        return Shape(
            array,
            np.array(role, np.uint8),
            np.array(label, np.uint8),
            np.array(form, np.uint8),
            np.array(closed, bool),
            tuple(self.roles),
            footprint,
            float(array[:, :, 1].max()),
        )


def _car(roof: float, tail: float, length: float, width: float = 0.9) -> Shape:
    """A car: ``tail`` is how far forward of the rear bumper the roof begins."""
    p = Parts("car")
    half = length / 2
    p.box(-width + 0.1, width - 0.1, 0.05, 0.3, -half + 0.25, half - 0.25, "under")
    p.solid(
        (-width, width, -half, half, 0.24),
        (-width + 0.05, width - 0.05, -half + 0.06, half - 0.12, 0.86),
        "paint",
    )
    rear, front = -half + 0.12, half - 1.15
    cabin = (-width + 0.08, width - 0.08, rear, front, 0.86)
    top = (-width + 0.24, width - 0.24, rear + tail, front - 0.75, roof)
    p.solid(cabin, top, "roof")
    p.panes(cabin, top, "glass", 0.15)
    middle = (rear + tail + front - 0.75) / 2
    for x in (-width + 0.1, width - 0.1):  # the pillar between the doors leans with the window
        s = 1 if x > 0 else -1
        corners = [(x, 0.86, middle - 0.06), (x, 0.86, middle + 0.06)]
        corners += [(x - s * 0.13, roof, middle + 0.06), (x - s * 0.13, roof, middle - 0.06)]
        p.add(corners if s > 0 else corners[::-1], "roof")
    p.sides(width + 0.004, -half + 0.1, half - 0.1, 0.24, 0.34, "under")
    p.wheels(width + 0.008, 0.33, (-half + 0.78, half - 0.82))
    back, nose = -half - 0.01, half + 0.01
    for s in (-1, 1):
        outer, inner = s * (width - 0.06), s * (width - 0.36)
        lo, hi = min(outer, inner), max(outer, inner)
        p.end(back, lo, hi, 0.6, 0.76, "tail light")
        p.end(nose, lo, hi, 0.56, 0.72, "head light")
    p.end(back, -width + 0.05, width - 0.05, 0.24, 0.36, "under")
    p.end(nose, -width + 0.42, width - 0.42, 0.42, 0.62, "under")
    p.end(back - 0.005, -0.26, 0.26, 0.42, 0.53, "plate", label=IGNORE)
    p.end(nose + 0.005, -0.26, 0.26, 0.3, 0.41, "plate", label=IGNORE)
    return p.shape((width, half))


def _bus() -> Shape:
    p = Parts("bus")
    w, half, top = 1.25, 5.6, 3.0
    p.box(-w + 0.05, w - 0.05, 0.1, 0.4, -half + 0.1, half - 0.1, "under")
    p.box(-w, w, 0.35, top, -half, half, "paint", "roof")
    p.sides(w + 0.005, -half, half, 0.9, 1.15, "stripe")
    for i in range(7):
        z = -half + 0.3 + i * 1.58
        p.sides(w + 0.01, z, z + 1.38, 1.35, 2.55, "glass")
    p.side(w + 0.012, half - 1.5, half - 0.35, 0.4, 2.5, "glass")
    p.side(w + 0.012, -0.6, 0.6, 0.4, 2.5, "glass")
    p.wheels(w + 0.015, 0.48, (-half + 2.6, half - 2.5))
    p.end(-half - 0.01, -w + 0.15, w - 0.15, 1.5, 2.55, "glass")
    p.end(half + 0.01, -w + 0.08, w - 0.08, 1.15, 2.5, "glass")
    for z in (-half - 0.015, half + 0.015):
        p.end(z, -0.9, 0.9, 2.62, 2.9, "display")
        for s in (-1, 1):
            p.end(
                z,
                min(s * 1.15, s * 0.85),
                max(s * 1.15, s * 0.85),
                0.6,
                0.85,
                "tail light" if z < 0 else "head light",
            )
    return p.shape((w, half))


def _truck() -> Shape:
    p = Parts("truck")
    w, half = 1.25, 4.2
    p.box(-w + 0.2, w - 0.2, 0.3, 0.75, -half + 0.1, half - 0.1, "under")
    p.box(-w + 0.08, w - 0.08, 0.5, 2.7, half - 1.9, half, "paint")
    p.box(-w, w, 0.85, 3.3, -half, half - 2.1, "cargo")
    p.sides(w + 0.01, -half + 0.5, half - 2.6, 1.7, 2.4, "stripe")
    p.sides(w - 0.07, half - 1.3, half - 0.3, 1.55, 2.35, "glass")
    p.end(half + 0.01, -w + 0.2, w - 0.2, 1.5, 2.4, "glass")
    p.end(half + 0.01, -w + 0.4, w - 0.4, 0.7, 1.2, "under")
    p.end(-half - 0.01, -0.04, 0.04, 0.95, 3.2, "under")
    p.end(-half - 0.01, -w, w, 0.72, 0.92, "under")
    p.wheels(w - 0.02, 0.46, (-half + 1.1, -half + 2.2, half - 1.1))
    for s in (-1, 1):
        p.end(-half - 0.02, min(s * 1.2, s * 0.9), max(s * 1.2, s * 0.9), 0.72, 0.9, "tail light")
        p.end(half + 0.02, min(s * 1.1, s * 0.8), max(s * 1.1, s * 0.8), 0.7, 0.95, "head light")
    return p.shape((w, half))


def _pickup() -> Shape:
    p = Parts("truck")
    w, half = 1.0, 2.8
    p.box(-w + 0.1, w - 0.1, 0.1, 0.45, -half + 0.3, half - 0.3, "under")
    p.box(-w, w, 0.42, 1.1, -half, half, "paint", "under")
    cabin, top = (-w + 0.06, w - 0.06, -0.5, 1.5, 1.1), (-w + 0.2, w - 0.2, -0.35, 0.9, 1.85)
    p.solid(cabin, top, "paint")
    p.panes(cabin, top, "glass", 0.15)
    p.box(-w, w, 1.1, 1.25, -half, -half + 0.12, "paint")
    p.wheels(w + 0.01, 0.42, (-half + 1.0, half - 1.0))
    for s in (-1, 1):
        p.end(-half - 0.02, min(s * 0.95, s * 0.75), max(s * 0.95, s * 0.75), 0.7, 1.05, "tail light")
        p.end(half + 0.02, min(s * 0.95, s * 0.6), max(s * 0.95, s * 0.6), 0.75, 0.98, "head light")
    return p.shape((w, half))


def _tram() -> Shape:
    p = Parts("train")
    w, half, top = 1.22, 10.5, 3.35
    p.box(-w + 0.1, w - 0.1, 0.05, 0.4, -half + 0.4, half - 0.4, "under")
    p.box(-w, w, 0.32, top, -half, half, "paint", "roof")
    p.box(-w + 0.3, w - 0.3, top, top + 0.3, -half + 1.5, half - 1.5, "under")
    p.sides(w + 0.005, -half, half, 0.32, 0.95, "stripe")
    p.sides(w + 0.005, -half, half, 2.75, 2.95, "stripe")
    for i in range(12):
        z = -half + 0.35 + i * 1.7
        p.sides(w + 0.01, z, z + 1.5, 0.5 if i % 4 == 2 else 1.3, 2.6, "glass")
    for z in (-3.6, 3.5):
        p.sides(w + 0.015, z - 0.2, z + 0.2, 0.3, top, "under")
    for z in (-half - 0.01, half + 0.01):
        p.end(z, -w, w, 0.32, 0.95, "stripe")
        p.end(z, -w + 0.1, w - 0.1, 1.15, 2.65, "glass")
        p.end(z, -0.7, 0.7, 2.8, 3.1, "display")
        for s in (-1, 1):
            lights = "tail light" if z < 0 else "head light"
            p.end(z * 1.001, min(s * 1.05, s * 0.75), max(s * 1.05, s * 0.75), 0.6, 0.85, lights)
    return p.shape((w, half))


def _two_wheels(p: Parts, radius: float, base: float, thick: float) -> None:
    for z in (-base, base):
        p.blade(z - radius, z + radius, 0.0, 2 * radius, "tyre", ELLIPSE)
        p.card(-thick, thick, 0.0, 2 * radius, "tyre", z=z)
        inner = 0.78 * radius
        p.blade(z - inner, z + inner, radius - inner, radius + inner, "spokes", ELLIPSE, x=0.0)


def _bicycle() -> Shape:
    p = Parts("bicycle")
    _two_wheels(p, 0.34, 0.52, 0.035)
    bars = [((0.34, -0.52), (0.36, 0.0)), ((0.36, 0.0), (0.88, -0.18)), ((0.36, 0.0), (0.85, 0.42))]
    bars += [((0.84, -0.16), (0.85, 0.42)), ((0.34, 0.52), (0.98, 0.38)), ((0.34, -0.52), (0.85, -0.17))]
    for (y0, z0), (y1, z1) in bars:
        p.add(
            [
                (0, y0 - 0.03, z0 - 0.03),
                (0, y0 + 0.03, z0 + 0.03),
                (0, y1 + 0.03, z1 + 0.03),
                (0, y1 - 0.03, z1 - 0.03),
            ],
            "paint",
            closed=False,
        )
    p.blade(-0.32, -0.04, 0.9, 0.97, "under")
    p.card(-0.28, 0.28, 0.98, 1.04, "under", z=0.36)
    p.card(-0.07, 0.07, 0.55, 0.97, "under", z=-0.18)
    return p.shape((0.25, 0.85))


def _motorcycle() -> Shape:
    p = Parts("motorcycle")
    _two_wheels(p, 0.32, 0.72, 0.09)
    p.box(-0.17, 0.17, 0.32, 0.62, -0.42, 0.42, "under")
    p.solid((-0.2, 0.2, -0.2, 0.5, 0.6), (-0.12, 0.12, -0.1, 0.4, 0.92), "paint")
    p.solid((-0.17, 0.17, -0.95, -0.15, 0.6), (-0.13, 0.13, -0.95, -0.2, 0.82), "under")
    p.card(-0.18, 0.18, 0.62, 0.86, "paint", z=-0.9)
    p.end(-0.96, -0.1, 0.1, 0.68, 0.78, "tail light")
    p.card(-0.36, 0.36, 1.0, 1.06, "under", z=0.5)
    p.card(-0.13, 0.13, 0.74, 1.04, "under", ELLIPSE, z=0.6)
    p.end(0.62, -0.1, 0.1, 0.8, 1.0, "head light", ELLIPSE)
    p.blade(0.42, 0.75, 0.32, 1.0, "hub", x=0.06)
    return p.shape((0.3, 1.05))


def _body(p: Parts, hips: float, lean: float, step: float, z: float, clothes: tuple[str, str]) -> None:
    """Torso, arms and head above the hips of a person or a rider."""
    shirt, sleeve = clothes
    chest = hips + 0.52
    p.card(-0.27 + lean, -0.17 + lean, hips - 0.05 - step, chest, sleeve, z=z)
    p.card(0.17 + lean, 0.27 + lean, hips - 0.05 + step, chest, sleeve, z=z)
    p.card(-0.19, 0.19, hips - 0.06, chest, shirt, z=z)
    p.card(-0.22 + lean, 0.22 + lean, chest - 0.06, chest + 0.09, shirt, ELLIPSE, z=z)
    p.card(-0.04 + lean, 0.06 + lean, chest + 0.03, chest + 0.14, "skin", z=z)
    p.card(-0.105 + lean, 0.105 + lean, chest + 0.09, chest + 0.37, "skin", ELLIPSE, z=z)
    p.card(-0.115 + lean, 0.115 + lean, chest + 0.2, chest + 0.39, "hair", ELLIPSE, z=z)


def _person(pose: int) -> Shape:
    p = Parts("person")
    stride = (0.05, 0.16, 0.24, 0.1)[pose % 4]
    skirt = pose % 4 == 3
    for s, foot in ((-1, -stride), (1, stride)):
        hip = s * 0.09
        knee = (hip + foot) / 2
        p.add(
            [(foot - 0.07, 0.04, 0), (foot + 0.07, 0.04, 0), (hip + 0.1, 0.9, 0), (hip - 0.1, 0.9, 0)],
            "trousers",
            closed=False,
        )
        p.card(foot - 0.08, foot + 0.12, 0.0, 0.08, "shoes")
        if skirt:
            p.card(min(knee, hip) - 0.12, max(knee, hip) + 0.12, 0.5, 0.95, "shirt", taper=0.04)
    _body(p, 0.9, 0.0, (0.0, 0.05, -0.04, 0.02)[pose % 4], 0.0, ("shirt", "sleeve"))
    if pose % 4 == 1:
        p.card(0.2, 0.42, 0.5, 0.85, "bag")
    return p.shape((0.3, 0.2))


def _rider(motor: bool) -> Shape:
    """Somebody on two wheels; the wheels are a thing of their own, painted before."""
    p = Parts("rider")
    hips = 0.82 if motor else 0.95
    for s in (-1, 1):
        foot = 0.35 if s > 0 else 0.5
        p.add(
            [
                (s * 0.16 - 0.07, foot - 0.1, 0),
                (s * 0.16 + 0.07, foot - 0.1, 0),
                (s * 0.12 + 0.09, hips, 0),
                (s * 0.12 - 0.09, hips, 0),
            ],
            "trousers",
            closed=False,
        )
    _body(p, hips, 0.03, 0.12, 0.0, ("shirt", "sleeve"))
    p.card(-0.13, 0.16, hips + 0.72, hips + 0.93, "helmet", ELLIPSE)
    return p.shape((0.3, 0.3))


def _pole(p: Parts, height: float, radius: float, x: float = 0.0) -> None:
    p.card(x - radius, x + radius, 0.0, height, "metal", label=ID["pole"])
    p.card(x - radius, x - radius * 0.2, 0.0, height, "metal dark", label=ID["pole"])


def _lamp(arm: float) -> Shape:
    p = Parts("pole")
    _pole(p, 7.5, 0.085)
    p.card(min(0, arm), max(0, arm), 7.4, 7.54, "metal")
    p.card(arm - 0.4, arm + 0.4, 7.32, 7.5, "metal dark")
    p.card(arm - 0.3, arm + 0.3, 7.24, 7.33, "lamp")
    return p.shape((0.15, 0.15))


def _bollard() -> Shape:
    p = Parts("pole")
    _pole(p, 0.95, 0.07)
    p.card(-0.07, 0.07, 0.7, 0.8, "lamp")
    return p.shape((0.1, 0.1))


def _mast() -> Shape:
    p = Parts("pole")
    _pole(p, 9.0, 0.14)
    for y in (8.2, 7.4):
        p.card(-0.9, 0.9, y, y + 0.12, "metal dark")
    return p.shape((0.15, 0.15))


def _traffic_light(state: int, arm: float) -> Shape:
    """Lamps in a housing on a pole; with an arm, a second housing hangs over the road."""
    p = Parts("traffic light")
    height = 5.6 if arm else 3.1
    _pole(p, height, 0.09)
    if arm:
        p.card(min(0, arm), max(0, arm), 5.45, 5.58, "metal", label=ID["pole"])
    places = [(0.0, 2.35)] + ([(arm, 4.75)] if arm else [])
    for x, y in places:
        p.card(x - 0.22, x + 0.22, y - 0.06, y + 1.06, "back")
        p.card(x - 0.17, x + 0.17, y, y + 1.0, "housing")
        for i, role in enumerate(("green", "amber", "red")):
            lit = role if i == (0, 2, 1)[state % 3] else "unlit"
            p.card(x - 0.12, x + 0.12, y + 0.06 + 0.31 * i, y + 0.3 + 0.31 * i, lit, ELLIPSE)
    return p.shape((0.2, 0.2))


def _sign(kind: int) -> Shape:
    p = Parts("traffic sign")
    _pole(p, 2.9, 0.05)
    if kind == 0:  # round: no entry, speed limit
        p.card(-0.36, 0.36, 2.1, 2.82, "rim", ELLIPSE)
        p.card(-0.26, 0.26, 2.2, 2.72, "face", ELLIPSE)
        p.card(-0.12, 0.12, 2.38, 2.54, "mark")
    elif kind == 1:  # triangle: give way, danger
        p.card(-0.44, 0.44, 2.1, 2.85, "rim", taper=0.43)
        p.card(-0.27, 0.27, 2.19, 2.64, "face", taper=0.26)
    elif kind == 2:  # square: crossing, parking
        p.card(-0.34, 0.34, 2.1, 2.8, "field")
        p.card(-0.2, 0.2, 2.22, 2.66, "face", taper=0.16)
    elif kind == 3:  # street name board or direction
        p.card(-0.75, 0.75, 2.35, 2.8, "field")
        p.card(-0.62, 0.62, 2.5, 2.64, "face")
    else:  # a big board over the verge
        _pole(p, 3.2, 0.07, x=0.9)
        p.card(-0.5, 1.4, 1.9, 3.2, "field")
        p.card(-0.35, 1.25, 2.75, 3.0, "face")
        p.card(-0.35, 0.8, 2.2, 2.45, "face")
    return p.shape((0.2, 0.1))


def _bin() -> Shape:
    p = Parts("pole")
    p.solid((-0.26, 0.26, -0.26, 0.26, 0.05), (-0.32, 0.32, -0.32, 0.32, 1.0), "paint", "under", label=IGNORE)
    return p.shape((0.3, 0.3))


def _crown(p: Parts, dice: Dice, middle: float, width: float, height: float, leaves: int) -> None:
    """A cloud of leafy ellipses: dark ones below and behind, light ones above and in front."""
    clumps = []
    for _ in range(leaves):
        x, y = dice.between(-1, 1), dice.between(-1, 1)
        if x * x + y * y > 1:
            x, y = x * 0.6, y * 0.6
        clumps.append((y + dice.between(-0.35, 0.35), x, y))
    p.card(-0.85 * width, 0.85 * width, middle - 0.8 * height, middle + 0.85 * height, "leaf dark", LEAFY)
    for rank, (_, x, y) in enumerate(sorted(clumps)):
        role = ("leaf dark", "leaf", "leaf", "leaf light")[rank * 4 // leaves]
        size = dice.between(0.3, 0.5)
        cx, cy = x * width * 0.72, middle + y * height * 0.7
        p.card(cx - size * width, cx + size * width, cy - size * height, cy + size * height, role, LEAFY)


def _tree(variant: int) -> Shape:
    p = Parts("vegetation")
    dice = Dice("tree", variant)
    lean = dice.between(-0.2, 0.2)
    p.add([(-0.16, 0, 0), (0.16, 0, 0), (lean + 0.1, 4, 0), (lean - 0.1, 4, 0)], "bark", closed=False)
    _crown(p, dice, 4.9, dice.between(1.9, 2.7), dice.between(1.9, 2.5), 13)
    return p.shape((1.8, 1.8))


def _palm(variant: int) -> Shape:
    p = Parts("vegetation")
    dice = Dice("palm", variant)
    lean, top = dice.between(-0.5, 0.5), 7.5
    p.add([(-0.17, 0, 0), (0.17, 0, 0), (lean + 0.1, top, 0), (lean - 0.1, top, 0)], "bark", closed=False)
    for i in range(7):
        reach = (i - 3) * 0.58
        drop = 0.13 * (i - 3) * (i - 3)
        role = ("leaf dark", "leaf", "leaf light")[dice.whole(0, 2)]
        p.add(
            [
                (lean + reach * 0.35, top + 0.5 - drop * 0.1, 0),
                (lean, top - 0.1, 0),
                (lean + reach, top - drop - 0.45, 0),
                (lean + reach * 1.05, top + 0.25 - drop, 0),
            ],
            role,
            closed=False,
        )
    p.card(lean - 0.5, lean + 0.5, top - 0.4, top + 0.5, "leaf", LEAFY)
    return p.shape((1.5, 1.5))


def _conifer(variant: int) -> Shape:
    p = Parts("vegetation")
    dice = Dice("conifer", variant)
    p.card(-0.15, 0.15, 0, 1.5, "bark")
    for i in range(5):
        width, y = 1.9 - 0.34 * i, 0.9 + 1.15 * i
        role = ("leaf dark", "leaf dark", "leaf", "leaf", "leaf light")[i]
        p.card(-width, width, y, y + 2.1 + dice.between(0, 0.3), role, taper=width * 0.93)
    return p.shape((1.5, 1.5))


def _bush(variant: int) -> Shape:
    p = Parts("vegetation")
    _crown(p, Dice("bush", variant), 0.6, 1.1, 0.7, 6)
    return p.shape((1.0, 0.6))


@lru_cache(maxsize=256)
def shape(kind: str, variant: int = 0) -> Shape:
    """The shape of this name; variants of it differ in form. Cached, so never changed."""
    if kind == "car":
        roof, tail, length = (
            (1.45, 0.35, 4.1),
            (1.42, 0.75, 4.5),
            (1.72, 0.25, 4.5),
            (1.5, 0.15, 4.7),
            (1.95, 0.1, 4.9),
        )[variant % 5]
        return _car(roof, tail, length)
    if kind == "truck":
        return _truck() if variant % 2 == 0 else _pickup()
    if kind == "lamp":
        return _lamp((1.6, -1.6, 0.0)[variant % 3])
    if kind == "traffic light":
        return _traffic_light(variant % 3, (0.0, -3.6, 3.6)[variant // 3 % 3])
    if kind == "rider":
        return _rider(variant % 2 == 1)
    plain = {"bus": _bus, "train": _tram, "bicycle": _bicycle, "motorcycle": _motorcycle, "bollard": _bollard}
    plain |= {"mast": _mast, "bin": _bin}
    if kind in plain:
        return plain[kind]()
    varied = {"person": (_person, 4), "sign": (_sign, 5), "tree": (_tree, 8), "palm": (_palm, 4)}
    varied |= {"conifer": (_conifer, 3), "bush": (_bush, 4)}
    build, variants = varied[kind]
    return build(variant % variants)

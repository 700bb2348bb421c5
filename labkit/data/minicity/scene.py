"""What stands where: a street sampled from a style, in metres. Nothing here knows of pixels.

The street runs along z away from the camera, x to the right, y up; the road's middle is x = 0, the camera
stands at z = 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from labkit.data.minicity.noise import Dice
from labkit.data.minicity.shapes import ID, shape
from labkit.data.minicity.styles import Color, Light, Style

FAR = 150.0
"""Where the street ends."""
BEHIND = -3.0

# Materials: which texture a surface wears (render.py paints them).
PLAIN, ROAD, PAVING, GRASS, FACADE, STONE, BARS, LEAVES, PAINT, GLOW = range(10)

# Painting order: a later layer covers an earlier one; within a layer the far comes before the near.
GROUND, BACKDROP, BORDER, STREET = range(4)


class Camera(NamedTuple):
    """Where it stands (x, height) and how it looks.

    ``focal`` is in widths of a 2:1 picture; ``horizon`` and ``centre`` place the vanishing point, as shares
    of the picture's height and width.
    """

    x: float
    height: float
    focal: float
    horizon: float
    centre: float


class Surface(NamedTuple):
    """One flat quadrilateral, its label, colours and material; a ``closed`` one is not seen from behind.

    ``grain`` holds the texture's numbers: for façades (bay width, storey height, window's share of width, of
    height, height of the shop floor, a hash).
    """

    corners: tuple
    label: int
    colors: tuple[Color, ...]
    material: int
    layer: int
    depth: float
    grain: tuple[float, ...] = ()
    closed: bool = False


class Thing(NamedTuple):
    """A shape placed in the street: heading in quarter turns (0 faces away), scale, colours by role."""

    kind: str
    variant: int
    x: float
    z: float
    heading: int
    scale: tuple[float, float, float]
    colors: dict[str, Color]
    layer: int


class Shade(NamedTuple):
    """A patch of shadow on the ground: corners (x, z), round or not.

    ``strength`` is the share of the sun's light that it takes, ``contact`` the share of all other light.
    """

    corners: tuple
    round: bool
    strength: float
    contact: float = 0.0


class Scene(NamedTuple):
    """A sampled street."""

    style: Style
    camera: Camera
    light: Light
    surfaces: list[Surface]
    things: list[Thing]
    shades: list[Shade]
    noise_key: int


def tinted(color: Color, factor: float) -> Color:
    """The colour made lighter or darker."""
    return tuple(min(255, int(channel * factor + 0.5)) for channel in color)


FIXED_COLORS: dict[str, Color] = {
    "under": (38, 38, 42), "glass": (52, 64, 76), "tyre": (30, 30, 32), "hub": (150, 152, 156),
    "tail light": (206, 36, 30), "head light": (244, 240, 220), "plate": (236, 232, 214),
    "display": (36, 34, 32), "spokes": (120, 122, 122), "shoes": (40, 36, 36), "lamp": (236, 232, 210),
    "back": (40, 42, 44), "housing": (24, 26, 26), "unlit": (54, 50, 46), "red": (255, 52, 40),
    "amber": (255, 190, 50), "green": (60, 240, 140), "face": (246, 246, 244), "mark": (40, 40, 44),
    "bark": (96, 78, 62), "bag": (70, 50, 44),
}  # fmt: skip
GLOWING = frozenset({"red", "amber", "green", "tail light", "head light"})
SKIN: tuple[Color, ...] = ((236, 196, 166), (214, 164, 128), (160, 112, 84), (106, 74, 58), (244, 210, 184))
HAIR: tuple[Color, ...] = ((40, 32, 28), (86, 60, 40), (150, 112, 66), (28, 26, 28), (150, 146, 142))


class _Street:
    """The sampling of one scene, piece by piece; every piece has dice of its own."""

    def __init__(self, style: Style, dice: Dice):
        self.style, self.dice = style, dice
        self.surfaces: list[Surface] = []
        self.things: list[Thing] = []
        self.shades: list[Shade] = []
        d = dice.fork("plan")
        self.light: Light = d.pick(style.lights)
        if d.chance(0.5):
            sx, sy, sz = self.light.sun
            self.light = replace(self.light, sun=(-sx, sy, sz))
        self.lanes = d.whole(*style.lanes)
        self.parking = {s: d.chance(style.parking) for s in (-1, 1)}
        self.half = {s: self.lanes * style.lane_width + (2.3 if self.parking[s] else 0.4) for s in (-1, 1)}
        self.verge = {s: d.between(1.2, 2.6) if d.chance(style.verge) else 0.0 for s in (-1, 1)}
        self.walk = {s: d.between(*style.sidewalk) for s in (-1, 1)}
        self.rails = d.chance(style.rails)
        self.crossings: list[tuple[float, float]] = []
        if d.chance(style.crossing):
            start = d.between(13.0, 42.0)
            self.crossings.append((start, start + 2 * style.lane_width * d.whole(1, 2) + 1.0))
            if d.chance(0.4):
                start = self.crossings[0][1] + d.between(28.0, 50.0)
                self.crossings.append((start, start + 2 * style.lane_width + 1.0))
        lane = d.whole(1, self.lanes) - 0.5
        x = lane * style.lane_width + d.between(-style.wander, style.wander)
        self.camera = Camera(
            x=min(x, self.half[1] + self.verge[1] + self.walk[1] - 1.6),  # not into a house
            height=d.between(*style.height),
            focal=d.between(*style.focal),
            horizon=d.between(*style.horizon),
            centre=0.5 + d.between(*style.shift),
        )
        self.leaf = d.pick(style.leaves)
        self.grass = d.pick(style.grass)
        self.road = tinted(d.pick(style.road), d.between(0.9, 1.08))
        self.paving = tinted(d.pick(style.paving), d.between(0.92, 1.06))
        self.marking = d.pick(style.marking)

    # ---- small pieces

    def flat(self, x0, x1, z0, z1, label: str, color: Color, material: int, layer: int = GROUND) -> None:
        """A rectangle on the ground."""
        corners = ((x0, 0.0, z0), (x1, 0.0, z0), (x1, 0.0, z1), (x0, 0.0, z1))
        self.surfaces.append(Surface(corners, ID[label], (color,), material, layer, 0.0))

    def along(self, x, z0, z1, y0, y1, label, colors, material, layer=BACKDROP, grain=()) -> None:
        """An upright surface along the street."""
        corners = ((x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0))
        self.surfaces.append(Surface(corners, ID[label], colors, material, layer, z1, grain))

    def across(self, z, x0, x1, y0, y1, label, colors, material, layer=BACKDROP, grain=(), depth=None) -> None:
        """An upright surface that faces us."""
        corners = ((x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z))
        self.surfaces.append(Surface(corners, ID[label], colors, material, layer, z if depth is None else depth, grain))

    def put(self, kind, x, z, heading=0, variant=0, scale=1.0, layer=STREET, wide=1.0, **colors) -> None:
        """Place a thing, with its shadow."""
        table = {role.replace("_", " "): color for role, color in colors.items()}
        self.things.append(Thing(kind, variant, x, z, heading, (scale * wide, scale, scale), table, layer))
        w, length = shape(kind, variant).footprint
        w, length = (w, length) if heading % 2 == 0 else (length, w)
        w, length = w * scale * wide, length * scale
        height = min(shape(kind, variant).height * scale, 6.0)
        plant = kind in ("tree", "palm", "conifer", "bush")
        if w > 0.5 and length > 0.5:  # the dark below a car is there in any light
            self.shades.append(
                Shade(
                    _rectangle(x, z, w + 0.18, length + 0.18),
                    plant,
                    0.4 if plant else 0.95,
                    0.2 if plant else 0.55,
                )
            )
        sx, sy, sz = self.light.sun
        reach = height / sy if plant else 0.62 * height / sy
        dx, dz = -sx * reach, -sz * reach
        if plant and kind != "bush":
            r = (1.2 if kind == "palm" else 2.2) * scale
            self.shades.append(Shade(_rectangle(x + dx, z + dz, r, r), True, 0.75))
            self.shades.append(
                Shade(
                    ((x - 0.12, z), (x + 0.12, z), (x + dx + 0.12, z + dz), (x + dx - 0.12, z + dz)),
                    False,
                    0.7,
                )
            )
        elif dx * dx + dz * dz > 0.04:
            side = w if dx > 0 else -w
            ahead = length if dz > 0 else -length
            self.shades.append(
                Shade(
                    (
                        (x - side, z + ahead),
                        (x + side, z - ahead),
                        (x + side + dx, z - ahead + dz),
                        (x - side + dx, z + ahead + dz),
                    ),
                    False,
                    0.85,
                )
            )
            self.shades.append(
                Shade(
                    (
                        (x + side, z + ahead),
                        (x + side, z - ahead),
                        (x + side + dx, z - ahead + dz),
                        (x + side + dx, z + ahead + dz),
                    ),
                    False,
                    0.85,
                )
            )

    def clear(self, z: float, margin: float = 0.0) -> bool:
        """Whether z lies outside every crossing."""
        return all(z < a - margin or z > b + margin for a, b in self.crossings)

    def stretches(self, start=BEHIND, end=FAR) -> list[tuple[float, float]]:
        """The parts of the street between crossings."""
        cuts = [start, *(z for pair in self.crossings for z in pair), end]
        return [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=True) if b > a]

    # ---- ground

    def ground(self) -> None:
        """Open ground, road, pavements, verges, crossings, markings, rails."""
        s, d = self.style, self.dice.fork("ground")
        outside = ("terrain", self.grass, GRASS) if s.terrain else ("sidewalk", self.paving, PAVING)
        self.flat(-400, 400, BEHIND, 900, *outside)
        for side in (-1, 1):
            x = side * self.half[side]
            verge, walk = self.verge[side], self.walk[side]
            for z0, z1 in self.stretches():
                outer = x + side * (verge + walk + 3.6)
                self.flat(min(x, outer), max(x, outer), z0, z1, "sidewalk", self.paving, PAVING)
                if verge:
                    self.flat(
                        min(x, x + side * verge),
                        max(x, x + side * verge),
                        z0,
                        z1,
                        "terrain",
                        self.grass,
                        GRASS,
                    )
                curb = x + side * 0.22
                self.flat(min(x, curb), max(x, curb), z0, z1, "sidewalk", tinted(self.paving, 1.12), PAINT)
        self.flat(-self.half[-1], self.half[1], BEHIND, FAR, "road", self.road, ROAD)
        for z0, z1 in self.crossings:
            self.flat(-200, 200, z0, z1, "road", self.road, ROAD)
        for _ in range(d.count(4 * s.road_patches)):
            x, z = d.between(-self.half[-1], self.half[1] - 2), d.between(3, 45)
            patch = tinted(self.road, d.pick((0.82, 0.9, 1.1)))
            self.flat(x, min(x + d.between(0.6, 2.6), self.half[1]), z, z + d.between(1, 9), "road", patch, ROAD)
        self.markings(d)
        if self.rails:
            for x in (
                -s.lane_width * 0.5 - 0.72,
                -s.lane_width * 0.5 + 0.75,
                s.lane_width * 0.5 - 0.75,
                s.lane_width * 0.5 + 0.75,
            ):
                self.flat(x - 0.07, x + 0.07, BEHIND, FAR, "road", tinted(self.road, 0.66), ROAD)

    def markings(self, d: Dice) -> None:
        """Lane lines, edge lines, stop lines and zebra crossings, all of them road."""
        s = self.style
        solid = d.chance(0.5)
        paint = lambda x0, x1, z0, z1, c: self.flat(x0, x1, z0, z1, "road", c, PAINT)  # noqa: E731
        for z0, z1 in self.stretches():
            z0, z1 = z0 + 4.2, z1 - 4.2
            if not self.rails and self.lanes > 1 - (s.name != "real"):
                if solid:
                    for x in (-0.2, 0.1):
                        paint(x, x + 0.13, z0, z1, s.centre_line)
                else:
                    self.dashes(0.0, z0, z1, s.centre_line)
            for lane in range(1, self.lanes):
                for side in (-1, 1):
                    self.dashes(side * lane * s.lane_width, z0, z1, self.marking)
            for side in (-1, 1):
                if self.parking[side] and d.chance(0.7):
                    x = side * (self.half[side] - 2.3)
                    paint(x - 0.06, x + 0.06, z0, z1, self.marking)
        for z0, z1 in self.crossings:
            for near, far in ((z0 - 3.6, z0 - 0.7), (z1 + 0.7, z1 + 3.6)):
                x = -self.half[-1] + 0.5
                while x < self.half[1] - 0.6:
                    paint(x, x + 0.55, near, far, self.marking)
                    x += 1.1
            paint(0.2, self.half[1], z0 - 4.6, z0 - 4.2, self.marking)

    def dashes(self, x: float, z0: float, z1: float, color: Color) -> None:
        """A broken line, up to where it would be too thin to see."""
        z = z0
        while z < min(z1, 75.0):
            self.flat(x - 0.07, x + 0.07, z, min(z + 3.0, z1), "road", color, PAINT)
            z += 8.0

    # ---- along the street

    def lots(self) -> None:
        """Houses, parks, walls, fences and hedges along both sides, and what closes the view."""
        for side in (-1, 1):
            d = self.dice.fork("lots", side)
            edge = self.half[side] + self.verge[side] + self.walk[side]
            for z0, z1 in self.stretches():
                corner = 3.0 if self.crossings else 0.0
                z = z0 + (corner if z0 > 0 else 0.0)
                end = z1 - corner
                while z < end - 3.0:
                    length = min(d.between(9.0, 22.0), end - z)
                    if end - z - length < 5.0:
                        length = end - z
                    kind = d.weighted(self.style.lots)
                    self.lot(d, kind, side, edge, z, z + length)
                    z += length
        self.distance()

    def lot(self, d: Dice, kind: str, side: int, edge: float, z0: float, z1: float) -> None:
        """One piece of land beside the pavement."""
        s = self.style
        if kind == "house":
            front = edge + (d.between(*s.setback) if d.chance(0.5) else 0.0)
            self.house(d, side, front, z0, z1)
            if front > edge + 2.2 and d.chance(0.6):
                self.border(d, "fence" if d.chance(0.5) else "wall", side, edge, z0, z1, low=True)
            return
        open_ground = ("terrain", self.grass, GRASS) if s.terrain else ("sidewalk", self.paving, PAVING)
        self.flat(min(side * edge, side * (edge + 40)), max(side * edge, side * (edge + 40)), z0, z1, *open_ground)
        if kind == "park":
            if d.chance(0.25):
                self.border(d, d.pick(("fence", "wall", "hedge")), side, edge, z0, z1, low=True)
        else:
            self.border(d, kind, side, edge, z0, z1, low=False)
        for _ in range(d.count((z1 - z0) / 4.5)):
            kind = d.weighted(s.tree_kinds)
            x = side * (edge + d.between(2.5, 15.0))
            self.plant(d, kind, x, d.between(z0, z1), BACKDROP)
        if d.chance(0.5):
            self.house(d, side, edge + d.between(12.0, 24.0), z0, z1)

    def house(self, d: Dice, side: int, front: float, z0: float, z1: float) -> None:
        """A façade along the street, an end wall towards us, perhaps a pitched roof."""
        s = self.style
        floors = d.whole(*s.floors)
        tower = d.chance(s.tower)
        if tower:
            floors += d.whole(5, 14)
        storey = s.storey * d.between(0.92, 1.08)
        ground_floor = storey * d.between(1.1, 1.4)
        height = ground_floor + storey * (floors - 1) + d.between(0.5, 0.9)
        wall = tinted(d.pick(s.facades), d.between(0.88, 1.06))
        glass = d.pick(s.windows)
        shop_front = d.chance(0.45)
        shop = d.pick(s.paints) if shop_front else tinted(wall, 0.84)
        bright = tinted(glass, 1.55)
        colors = (wall, glass, bright, tinted(wall, 1.14), tinted(glass, 0.8), shop)
        bay = d.between(*s.bay)
        grain = (
            bay,
            storey,
            d.between(0.36, 0.58) if not tower else 0.8,
            d.between(0.48, 0.62),
            ground_floor,
            height,
            2 * d.whole(0, 1 << 15) + shop_front,
        )
        x = side * front
        self.along(x, z0, z1, 0.0, height, "building", colors, FACADE, grain=grain)
        depth = d.between(9.0, 14.0)
        end = (*colors[:3], *colors[3:5], tinted(wall, 0.8))
        self.across(
            z0,
            min(x, x + side * depth),
            max(x, x + side * depth),
            0.0,
            height,
            "building",
            end,
            FACADE,
            grain=grain,
            depth=z1 + 0.01,
        )
        if not tower and d.chance(s.pitched):
            roof = tinted(d.pick(s.roofs), d.between(0.9, 1.1))
            rise = d.between(2.0, 3.4)
            ridge = x + side * 3.5
            eaves = height - 0.15
            near, far = (z1, z0) if side > 0 else (z0, z1)  # counter-clockwise as seen from the street
            corners = (
                (x, eaves, near),
                (x, eaves, far),
                (ridge, height + rise, far),
                (ridge, height + rise, near),
            )
            self.surfaces.append(Surface(corners, ID["building"], (roof,), STONE, BACKDROP, z1 - 0.001, closed=True))
            gable = (
                (x, height, z0),
                (x + side * 7.0, height, z0),
                (ridge, height + rise, z0),
                (ridge, height + rise, z0),
            )
            self.surfaces.append(Surface(gable, ID["building"], (wall,), PLAIN, BACKDROP, z1 + 0.005))
        sx, sy, sz = self.light.sun
        if sx * side > 0:  # the sun stands behind this house: its shadow falls into the street
            reach = height / sy
            dx, dz = -sx * reach, -sz * reach
            self.shades.append(Shade(((x, z0), (x, z1), (x + dx, z1 + dz), (x + dx, z0 + dz)), False, 0.9))

    def border(self, d: Dice, kind: str, side: int, edge: float, z0: float, z1: float, low: bool) -> None:
        """A wall, a fence or a hedge along the pavement."""
        s = self.style
        x = side * edge
        if kind == "wall":
            height = d.between(0.8, 1.3) if low else d.between(1.8, 3.4)
            color = tinted(d.pick(s.walls), d.between(0.9, 1.08))
            colors = (color, tinted(color, 0.8), tinted(color, 1.16))
            self.across(
                z0,
                min(x, x + side * 0.4),
                max(x, x + side * 0.4),
                0,
                height,
                "wall",
                (colors[0],),
                PLAIN,
                BORDER,
                depth=z1 + 0.01,
            )
            self.along(x, z0, z1, 0.0, height, "wall", colors, STONE, BORDER)
            self.along(x - side * 0.03, z0, z1, height - 0.16, height + 0.02, "wall", (colors[2],), PAINT, BORDER)
        elif kind == "fence":
            height = d.between(0.9, 1.4) if low else d.between(1.5, 2.4)
            color = tinted(d.pick(s.fences), d.between(0.9, 1.1))
            behind = tinted(self.leaf, 0.62)
            style = d.pick((0.14, 0.2, 0.6))
            self.along(
                x,
                z0,
                z1,
                0.0,
                height,
                "fence",
                (color, behind, tinted(color, 1.2)),
                BARS,
                BORDER,
                (style, height),
            )
        else:
            height = d.between(0.8, 1.2) if low else d.between(1.4, 2.4)
            color = tinted(self.leaf, d.between(0.8, 0.95))
            self.across(
                z0,
                min(x, x + side),
                max(x, x + side),
                0,
                height,
                "vegetation",
                (tinted(color, 0.9),),
                LEAVES,
                BORDER,
                depth=z1 + 0.01,
            )
            self.along(x, z0, z1, 0.0, height, "vegetation", (color,), LEAVES, BORDER)

    def distance(self) -> None:
        """What closes the view at the street's end."""
        s, d = self.style, self.dice.fork("distance")
        x = -170.0
        while x < 170.0:
            width = d.between(12.0, 30.0)
            near = FAR + d.between(0.0, 20.0)
            if d.chance(0.6):
                floors = d.whole(*s.floors) + (d.whole(6, 16) if d.chance(s.tower) else 0)
                wall = tinted(d.pick(s.facades), 0.95)
                glass = d.pick(s.windows)
                colors = (wall, glass, tinted(glass, 1.5), wall, glass, tinted(wall, 0.8))
                grain = (d.between(*s.bay), s.storey, 0.5, 0.5, s.storey, s.storey * floors + 1.0, 7)
                self.across(near, x, x + width, 0.0, s.storey * floors + 1.0, "building", colors, FACADE, grain=grain)
            else:
                for _ in range(3):
                    self.plant(
                        d,
                        d.weighted(s.tree_kinds),
                        x + d.between(0, width),
                        near,
                        BACKDROP,
                        d.between(1.4, 2.4),
                    )
            x += width

    def plant(self, d: Dice, kind: str, x: float, z: float, layer: int = STREET, scale: float = 0.0) -> None:
        """A tree, a palm, a conifer or a bush in this scene's green."""
        leaf = tinted(self.leaf, d.between(0.86, 1.12))
        if self.style.name == "toon" and d.chance(0.35):
            leaf = d.pick(self.style.leaves)
        colors = {"leaf": leaf, "leaf_dark": tinted(leaf, 0.68), "leaf_light": tinted(leaf, 1.24)}
        self.put(kind, x, z, 0, d.whole(0, 7), scale or d.between(0.8, 1.35), layer, d.pick((1.0, -1.0)), **colors)

    # ---- who is there

    def vehicle(self, d: Dice, kind: str, x: float, z: float, heading: int, layer: int = STREET) -> None:
        """One vehicle with its colours; a motorcycle comes with its rider."""
        s = self.style
        paint = tinted(d.pick(s.paints), d.between(0.88, 1.08))
        if kind in ("bus", "train"):
            body = tinted(d.pick(s.transit), d.between(0.9, 1.05))
            stripe = d.pick(s.transit)
            self.put(kind, x, z, heading, 0, 1.0, layer, paint=body, roof=tinted(body, 0.85), stripe=stripe)
        elif kind == "truck":
            cargo = d.pick((*s.transit, (214, 214, 210), paint))
            self.put(
                kind,
                x,
                z,
                heading,
                d.whole(0, 1),
                1.0,
                layer,
                paint=paint,
                cargo=cargo,
                stripe=d.pick(s.transit),
            )
        elif kind == "motorcycle":
            self.put(kind, x, z, heading, 0, 1.0, layer, paint=paint)
            self.rider(d, x, z, 1, layer)
        else:
            self.put(kind, x, z, heading, d.whole(0, 4), 1.0, layer, paint=paint, roof=tinted(paint, 1.06))

    def rider(self, d: Dice, x: float, z: float, motor: int, layer: int = STREET) -> None:
        """Who sits on it."""
        self.put(
            "rider",
            x,
            z - 0.1,
            0,
            motor,
            d.between(0.96, 1.06),
            layer,
            d.pick((1.0, -1.0)),
            **self.outfit(d),
            helmet=d.pick(self.style.paints),
        )

    def outfit(self, d: Dice) -> dict[str, Color]:
        """Clothes, skin and hair."""
        shirt = tinted(d.pick(self.style.clothes), d.between(0.85, 1.1))
        trousers = tinted(d.pick(((44, 50, 70), (40, 40, 44), (96, 86, 74), (70, 84, 110))), d.between(0.85, 1.15))
        return {
            "shirt": shirt,
            "sleeve": tinted(shirt, 0.84),
            "trousers": trousers,
            "skin": d.pick(SKIN),
            "hair": d.pick(HAIR),
        }

    def traffic(self) -> None:
        """Moving and parked vehicles, trams, cross traffic."""
        s = self.style
        for side in (-1, 1):
            d = self.dice.fork("parked", side)
            if not self.parking[side]:
                continue
            z = d.between(2.0, 7.0)
            x = side * (self.half[side] - 1.15)
            while z < 85.0:
                if self.clear(z, 6.5) and d.chance(s.parked):
                    kind = d.weighted({"car": 20.0, "truck": s.mix.get("truck", 0.0)})
                    self.vehicle(d, kind, x + d.between(-0.12, 0.12), z, 0 if side > 0 or d.chance(0.15) else 2)
                z += d.between(5.3, 6.4)
        d = self.dice.fork("traffic")
        tram = self.rails and d.chance(0.62)
        if tram:
            self.vehicle(d, "train", -s.lane_width * 0.5, d.between(22.0, 52.0), 2)
        ends = {}
        for _ in range(d.count(s.traffic)):
            side = 1 if d.chance(0.5) else -1
            lane = d.whole(1, self.lanes)
            if tram and side < 0 and lane == 1:
                continue
            kind = d.weighted(s.mix)
            half = shape(kind).footprint[1]
            place = (side, lane)
            start = ends.get(place, 7.0 if side > 0 else 6.0)
            z = start + half + d.between(1.5, 22.0)
            ends[place] = z + half + 2.0
            x = side * (lane - 0.5) * s.lane_width + d.between(-0.3, 0.3)
            if z < 110.0:
                self.vehicle(d, kind, x, z, 0 if side > 0 else 2)
        for z0, z1 in self.crossings[:1]:
            for side, heading in ((1, 1), (-1, 3)):
                if d.chance(0.4):
                    z = (z0 + z1) / 2 + (-1.6 if side > 0 else 1.6)
                    x = d.between(-16.0, 16.0)
                    inside = -self.half[-1] < x < self.half[1]
                    self.vehicle(
                        d,
                        d.weighted({**s.mix, "motorcycle": 0.2}),
                        x,
                        z,
                        heading,
                        STREET if inside else BACKDROP,
                    )

    def people(self) -> None:
        """Pedestrians, cyclists, and what stands on two wheels."""
        s, d = self.style, self.dice.fork("people")
        for _ in range(d.count(s.people)):
            side = 1 if d.chance(0.5) else -1
            z = d.between(5.0, 48.0)
            inner = self.half[side] + self.verge[side] + 0.5
            x = side * d.between(inner, inner + self.walk[side] - 0.8)
            if self.crossings and d.chance(0.22):
                x, z = d.between(-self.half[-1], self.half[1]), self.crossings[0][0] - d.between(0.9, 3.4)
            for i in range(1 + (d.whole(1, 2) if d.chance(s.group) else 0)):
                self.put(
                    "person",
                    x + 0.55 * i,
                    z + 0.2 * i,
                    0,
                    d.whole(0, 3),
                    d.between(0.86, 1.08),
                    STREET,
                    d.pick((1.0, -1.0)),
                    **self.outfit(d),
                )
        for _ in range(d.count(s.riders)):
            side = 1 if d.chance(0.65) else -1
            x = side * (self.half[side] - (2.9 if self.parking[side] else 0.8) - d.between(0.0, 0.5))
            z = d.between(6.5, 30.0)
            self.put("bicycle", x, z, 0 if side > 0 else 2, paint=d.pick(s.paints))
            self.rider(d, x, z, 0)
        for kind, mean in (("bicycle", s.bicycles), ("motorcycle", s.motorcycles)):
            for _ in range(d.count(mean)):
                side = 1 if d.chance(0.6) else -1
                x = side * (self.half[side] + self.verge[side] + d.between(0.6, 1.2))
                z = d.between(6.0, 26.0)
                paint = d.pick(s.paints)
                if d.chance(0.5):
                    self.put(kind, x, z, 0, paint=paint)
                else:
                    for i in range(d.whole(1, 3)):
                        self.put(kind, x, z + 0.75 * i, 1, paint=d.pick(s.paints))

    def furniture(self) -> None:
        """Lamps, trees, signs, traffic lights, bins."""
        s = self.style
        metal = {"metal": s.metal, "metal_dark": tinted(s.metal, 0.72)}
        for side in (-1, 1):
            d = self.dice.fork("furniture", side)
            x = side * (self.half[side] + 0.55)
            if d.chance(s.lamps):
                z = d.between(5.0, 20.0)
                while z < 110.0:
                    if self.clear(z, 2.0):
                        self.put("lamp", x, z, 0, 1 if side > 0 else 0, **metal)
                    z += 24.0
            if self.rails or d.chance(0.25):
                z = d.between(8.0, 24.0)
                while z < 100.0:
                    if self.clear(z, 2.0):
                        self.put("mast", x, z, **metal)
                    z += 31.0
            if d.chance(0.22):
                z = d.between(5.0, 15.0)
                for i in range(d.whole(4, 9)):
                    if self.clear(z + 2 * i, 1.0):
                        self.put("bollard", x - side * 0.1, z + 2.0 * i, **metal)
            if d.chance(s.trees):
                z, kind = d.between(6.0, 16.0), d.weighted({**s.tree_kinds, "bush": 0.0})
                gap = d.between(9.0, 15.0)
                while z < 130.0:
                    if self.clear(z, 3.0):
                        self.plant(d, kind, x + side * (0.4 + 0.5 * self.verge[side]), z)
                    z += gap * d.between(0.85, 1.2)
            for _ in range(d.count(s.signs / 2)):
                z = d.between(6.0, 45.0)
                if self.clear(z, 0.5):
                    self.sign(d, side * (self.half[side] + d.between(0.4, 0.8)), z, metal)
            for _ in range(d.count(s.bins / 2)):
                self.put(
                    "bin",
                    x + side * self.walk[side] * 0.6,
                    d.between(6.0, 30.0),
                    paint=d.pick(((60, 70, 62), (92, 92, 96), (44, 60, 92))),
                )
        d = self.dice.fork("signals")
        for z0, z1 in self.crossings:
            if not d.chance(0.8):
                continue
            state = d.whole(0, 2)
            for side in (-1, 1):
                arm = 0 if s.name == "toon" else d.pick((0, 1 if side > 0 else 2))
                self.put("traffic light", side * (self.half[side] + 0.6), z0 - 0.6, 0, state + 3 * arm, **metal)
                if d.chance(0.6):
                    self.put("traffic light", side * (self.half[side] + 0.6), z1 + 0.8, 0, state, **metal)

    def sign(self, d: Dice, x: float, z: float, metal: dict[str, Color]) -> None:
        """One traffic sign."""
        kind = d.whole(0, 3) if z < 15.0 or d.chance(0.94) else 4
        field = d.pick(((30, 90, 180), (30, 90, 180), (236, 190, 40))) if kind != 4 else (30, 110, 76)
        self.put("sign", x, z, 0, kind, d.between(0.95, 1.2), rim=(206, 34, 40), field=field, **metal)


def _rectangle(x: float, z: float, w: float, length: float) -> tuple:
    return ((x - w, z - length), (x + w, z - length), (x + w, z + length), (x - w, z + length))


def sample_scene(style: Style, dice: Dice) -> Scene:
    """Draw a street: a pure function of the style and of the dice's key."""
    street = _Street(style, dice)
    street.ground()
    street.lots()
    street.traffic()
    street.people()
    street.furniture()
    return Scene(
        style,
        street.camera,
        street.light,
        street.surfaces,
        street.things,
        street.shades,
        dice.fork("noise").key,
    )

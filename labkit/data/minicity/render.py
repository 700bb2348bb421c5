"""From a scene to pixels: project, fill, shade, photograph.

Every flat piece of the scene is filled, in painting order, into one map of piece numbers. The label is read
from that map, and so is the image: what the label says is what the picture shows. Shading is deferred: only
what is still seen gets a texture. The map has two samples per pixel each way; the image averages them, the
label takes one of them, so that edges look soft and labels stay exact.

Only additions, subtractions, multiplications, divisions and square roots of IEEE numbers, and integers,
decide what comes out; their results are the same on every machine. (Those of sines, powers, float sums and
matrix products are not.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from labkit.data.minicity.noise import TILE, hash_grid, tile
from labkit.data.minicity.scene import (
    BARS,
    FACADE,
    FIXED_COLORS,
    GLOW,
    GLOWING,
    GRASS,
    GROUND,
    LEAVES,
    PAINT,
    PAVING,
    PLAIN,
    ROAD,
    STONE,
    Scene,
    Thing,
)
from labkit.data.minicity.shapes import ELLIPSE, ID, LEAFY, QUAD, Shape, shape
from labkit.labels import IGNORE

NEAR = 0.6
"""Nothing nearer than this is drawn."""
LARGEST_SUPERSAMPLED = 512 * 1024
"""Larger pictures have one sample per pixel: sharp enough, and it saves three quarters of the memory."""


class Mesh(NamedTuple):
    """All pieces of a scene in painting order: arrays over ``n`` pieces and ``m ≥ n`` colours.

    ``ink`` is the row of a piece's first colour in ``colors``; ``owner`` is, for every colour, its piece.
    """

    corners: np.ndarray
    label: np.ndarray
    form: np.ndarray
    closed: np.ndarray
    card: np.ndarray
    ground: np.ndarray
    material: np.ndarray
    ink: np.ndarray
    colors: np.ndarray
    owner: np.ndarray
    grain: np.ndarray


def build_mesh(scene: Scene) -> Mesh:
    """Turn surfaces and things into pieces, from the back to the front."""
    surfaces, things = scene.surfaces, scene.things
    bodies = [shape(thing.kind, thing.variant) for thing in things]
    count = np.array([len(body.label) for body in bodies], dtype=np.int64)
    flat = len(surfaces)

    # Which is painted when: by layer, then from far to near, then in the order of the scene.
    keys = [(surface.layer, -surface.depth) for surface in surfaces]
    for thing, body in zip(things, bodies, strict=True):
        keys.append((thing.layer, 0.5 * body.footprint[1 - thing.heading % 2] - thing.z))
    turn = np.empty(len(keys), dtype=np.int64)
    turn[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    order = np.argsort(np.concatenate((turn[:flat], np.repeat(turn[flat:], count))), kind="stable")

    def joined(of_surfaces: list, of_bodies: list, dtype) -> np.ndarray:
        """One array over all pieces, in painting order."""
        return np.concatenate([np.array(of_surfaces), *of_bodies]).astype(dtype)[order]

    # Colours: the surfaces' own, then each thing's colour by role.
    colors = [color for surface in surfaces for color in surface.colors]
    widths = np.array([len(surface.colors) for surface in surfaces], dtype=np.int64)
    roles = [
        (thing.colors[role] if role in thing.colors else FIXED_COLORS[role])
        for thing, body in zip(things, bodies, strict=True)
        for role in body.roles
    ]
    role_count = np.array([len(body.roles) for body in bodies], dtype=np.int64)
    row = np.concatenate([np.zeros(0, np.int64), *(body.role for body in bodies)]) + np.repeat(
        np.cumsum(role_count) - role_count, count
    )
    pieces = len(order)
    ink = np.concatenate((np.cumsum(widths) - widths, len(colors) + np.arange(pieces - flat)))
    place = np.empty(pieces, dtype=np.int64)
    place[order] = np.arange(pieces)
    owner = np.concatenate((np.repeat(place[:flat], widths), place[flat:]))

    grain = np.zeros((pieces, 7), dtype=np.float32)
    for index, surface in enumerate(surfaces):
        grain[place[index], : len(surface.grain)] = surface.grain
    corners = np.concatenate((np.array([surface.corners for surface in surfaces]), _placed(things, bodies, count)))
    closed = joined([surface.closed for surface in surfaces], [body.closed for body in bodies], bool)
    is_thing = order >= flat
    return Mesh(
        corners=corners[order],
        label=joined([surface.label for surface in surfaces], [body.label for body in bodies], np.uint8),
        form=joined([QUAD] * flat, [body.form for body in bodies], np.uint8),
        closed=closed,
        card=is_thing & ~closed,
        ground=joined([surface.layer == GROUND for surface in surfaces], [np.zeros(pieces - flat)], bool),
        material=joined([surface.material for surface in surfaces], [_materials(b) for b in bodies], np.uint8),
        ink=ink[order],
        colors=np.concatenate(
            (np.array(colors, dtype=np.float64), np.array(roles, dtype=np.float64).reshape(-1, 3)[row])
        ),
        owner=owner,
        grain=grain,
    )


def _materials(body: Shape) -> np.ndarray:
    """What a shape's pieces are made of, told from the names of their roles."""
    of_role = [LEAVES if r.startswith("leaf") else GLOW if r in GLOWING else PLAIN for r in body.roles]
    return np.array(of_role)[body.role]


def _placed(things: list[Thing], bodies: list[Shape], count: np.ndarray) -> np.ndarray:
    """The corners of all shapes, scaled, turned by quarter turns and moved to where they stand."""
    corners = np.concatenate([np.zeros((0, 4, 3)), *(body.corners for body in bodies)])

    def each(values: list) -> np.ndarray:
        return np.repeat(np.array(values, dtype=np.float64), count)[:, None]

    x, y, z = (corners[:, :, axis] * each([thing.scale[axis] for thing in things]) for axis in range(3))
    along = each([(1, 0, -1, 0)[thing.heading % 4] for thing in things])
    aside = each([(0, 1, 0, -1)[thing.heading % 4] for thing in things])
    moved_x = x * along + z * aside + each([thing.x for thing in things])
    moved_z = z * along - x * aside + each([thing.z for thing in things])
    return np.stack((moved_x, y, moved_z), axis=2)


class Frame(NamedTuple):
    """The sampling grid: samples per side, focal length, horizon row and middle column, all in samples."""

    height: int
    width: int
    focal: float
    horizon: float
    centre: float


def frame_of(scene: Scene, height: int, width: int) -> Frame:
    """The camera's numbers at this many samples; a squarer picture shows less to the sides and more above."""
    camera = scene.camera
    focal = camera.focal * math.sqrt(2.0 * width * height)
    return Frame(height, width, focal, camera.horizon * height, camera.centre * width)


class Projected(NamedTuple):
    """Pieces on the sampling grid: ``col`` and ``row`` of corners ``(n, 4)``, visibility, depth in metres.

    ``plane`` ``(n, 3)`` gives 1/z = a·dx + b·dy + c along the ray (dx, dy, 1); normals have length 1 and
    face us.
    """

    col: np.ndarray
    row: np.ndarray
    visible: np.ndarray
    plane: np.ndarray
    normal: np.ndarray
    depth: np.ndarray


def project(corners: np.ndarray, form: np.ndarray, closed: np.ndarray, scene: Scene, frame: Frame) -> Projected:
    """Perspective projection of corners ``(n, 4, 3)`` in metres; ``closed`` ones facing away are hidden."""
    x = corners[:, :, 0] - scene.camera.x
    y = corners[:, :, 1] - scene.camera.height
    z = corners[:, :, 2]
    close = z < NEAR
    outside = close.all(axis=1) | (close.any(axis=1) & (form != QUAD))
    z = np.maximum(z, NEAR)
    col = frame.centre + frame.focal * x / z
    row = frame.horizon - frame.focal * y / z
    # The normal is the cross product of the diagonals: right for triangles with a doubled corner as well.
    ax, ay, az = x[:, 2] - x[:, 0], y[:, 2] - y[:, 0], z[:, 2] - z[:, 0]
    bx, by, bz = x[:, 3] - x[:, 1], y[:, 3] - y[:, 1], z[:, 3] - z[:, 1]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    toward = nx * x[:, 0] + ny * y[:, 0] + nz * z[:, 0]
    # x right, y up, z ahead is a left-handed frame: corners counter-clockwise from outside give an inward n.
    hidden = closed & (toward <= 0)
    safe = np.where(toward == 0, 1.0, toward)
    plane = np.stack((nx / safe, ny / safe, nz / safe), axis=1)
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    length = np.where(toward > 0, -1.0, 1.0) * np.where(length == 0, 1.0, length)
    normal = np.stack((nx / length, ny / length, nz / length), axis=1)
    depth = (z[:, 0] + z[:, 1] + z[:, 2] + z[:, 3]) * 0.25
    return Projected(col, row, ~(outside | hidden | (toward == 0)), plane, normal, depth)


def fill(col: np.ndarray, row: np.ndarray, form: np.ndarray, keep: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill convex pieces in order: int32 ``(height·width,)``, the last piece's number + 1, or 0 for none.

    A sample belongs to a piece when its centre does. All pieces are cut into rows at once, all rows into
    samples at once; the one assignment at the end writes in painting order, and the last writer stays.
    """
    top, bottom = row.min(axis=1), row.max(axis=1)
    left, right = col.min(axis=1), col.max(axis=1)
    first = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int64)
    rows = np.clip(np.ceil(bottom - 0.5), 0, height).astype(np.int64) - first
    rows[~keep | (right <= 0) | (left >= width)] = 0
    piece = np.repeat(np.arange(len(rows)), rows)
    y = np.arange(len(piece)) - np.repeat(np.cumsum(rows) - rows - first, rows)
    middle = y + 0.5

    is_quad = (form == QUAD)[piece]
    x0, x1 = np.full(len(piece), np.inf), np.full(len(piece), -np.inf)
    part = np.flatnonzero(is_quad)
    at, line = piece[part], middle[part]
    low, high = x0[part], x1[part]
    rise = np.roll(row, -1, axis=1) - row
    slope = (np.roll(col, -1, axis=1) - col) / np.where(rise == 0, 1.0, rise)
    start = col - row * slope
    below = [row[:, k][at] <= line for k in range(4)]
    for k in range(4):
        crossing = below[k] != below[(k + 1) % 4]
        x = start[:, k][at] + line * slope[:, k][at]
        low = np.where(crossing & (x < low), x, low)
        high = np.where(crossing & (x > high), x, high)
    x0[part], x1[part] = low, high

    part = np.flatnonzero(~is_quad)
    if len(part):
        at = piece[part]
        cx, rx = ((left + right) * 0.5)[at], ((right - left) * 0.5)[at]
        cy, ry = ((top + bottom) * 0.5)[at], ((bottom - top) * 0.5)[at]
        t = (middle[part] - cy) / ry
        reach = rx * np.sqrt(np.maximum(1.0 - t * t, 0.0))
        ragged = (form == LEAFY)[at]
        grain = tile("leaf edge", 2).astype(np.float64)
        cell = ((t + 1.0) * 9.0).astype(np.int64) + at * 37
        x0[part] = cx - reach * np.where(ragged, 0.88 + 0.16 * grain[cell % (TILE * TILE)], 1.0)
        x1[part] = cx + reach * np.where(ragged, 0.88 + 0.16 * grain[(cell + TILE * 99) % (TILE * TILE)], 1.0)

    begin = np.clip(np.ceil(x0 - 0.5), 0, width).astype(np.int64)
    count = np.maximum(np.clip(np.ceil(x1 - 0.5), 0, width).astype(np.int64) - begin, 0)
    samples = np.arange(int(count.sum())) + np.repeat(y * width + begin - (np.cumsum(count) - count), count)
    out = np.zeros(height * width, dtype=np.int32)
    out[samples] = np.repeat((piece + 1).astype(np.int32), count)
    return out


# Texture by material, as (cells per metre, strength): fine grain, coarse stains.
_FINE = {
    ROAD: (40, 1.0),
    PAVING: (24, 0.05),
    GRASS: (14, 0.2),
    FACADE: (9, 1.0),
    STONE: (16, 0.1),
    LEAVES: (9, 0.4),
    PAINT: (20, 0.12),
}
_COARSE = {
    ROAD: (2.2, 0.9),
    PAVING: (1.2, 0.05),
    GRASS: (1.3, 0.16),
    FACADE: (0.7, 0.8),
    STONE: (1.0, 0.1),
    LEAVES: (1.9, 0.16),
    PAINT: (3.0, 0.12),
}


def _texture(scene: Scene, mesh: Mesh, projected: Projected, frame: Frame, seen: np.ndarray, haze: np.ndarray):
    """Colour row and brightness of every sample; corrects ``haze`` in place where depth varies."""
    ink = mesh.ink[seen]
    shade = np.ones(len(seen), dtype=np.float32)
    material_of = mesh.material
    rough = (material_of != PLAIN) & (material_of != GLOW)
    where = np.flatnonzero(rough[seen])
    piece = seen[where]
    rows, cols = np.divmod(where.astype(np.int32), np.int32(frame.width))
    dx = (cols.astype(np.float32) + np.float32(0.5 - frame.centre)) / np.float32(frame.focal)
    dy = (np.float32(frame.horizon - 0.5) - rows.astype(np.float32)) / np.float32(frame.focal)
    plane = projected.plane.astype(np.float32)
    inverse = plane[:, 0][piece] * dx + plane[:, 1][piece] * dy + plane[:, 2][piece]
    z = np.float32(1.0) / np.maximum(inverse, np.float32(1e-3))
    far = np.float32(scene.light.haze_distance)
    haze[where] = z / (z + far)
    normal = np.abs(projected.normal)
    sideways = (normal[:, 0] > normal[:, 2])[piece]
    level = mesh.ground[piece]
    u = np.where(sideways & ~level, z, dx * z + np.float32(scene.camera.x))
    v = np.where(level, z, dy * z + np.float32(scene.camera.height))

    strength = {ROAD: scene.style.road_grain, FACADE: scene.style.facade_grain}
    table = np.zeros((10, 4), dtype=np.float32)
    for m, (scale, amount) in _FINE.items():
        table[m, :2] = scale, amount * strength.get(m, 1.0)
    for m, (scale, amount) in _COARSE.items():
        table[m, 2:] = scale, amount * strength.get(m, 1.0)
    material = material_of[piece]
    near = np.float32(14.0) / np.maximum(z, np.float32(14.0))  # far grain averages out, as in a camera
    fine = _noise("fine", 4, u, v, table[:, 0][material]) * table[:, 1][material] * near
    # Wheels draw the road's stains out along their way.
    drawn = np.where(material == ROAD, v * np.float32(0.12), v)
    coarse = _noise("coarse", 32, u, drawn, table[:, 2][material] * np.float32(8.0)) * table[:, 3][material]
    light = np.float32(1.0) + fine + coarse

    add = np.zeros(len(where), dtype=np.int64)
    part = np.flatnonzero(material == FACADE)
    if len(part):
        add[part] = _facade(mesh.grain, piece[part], u[part], v[part])
    part = np.flatnonzero(material == BARS)
    if len(part):
        width, top = (mesh.grain[:, k][piece[part]] for k in range(2))
        across, up = u[part] / width, v[part]
        bar = (across - np.floor(across)) < np.float32(0.42)
        rail = (up > top - np.float32(0.1)) | ((up > 0.15) & (up < 0.25))
        add[part] = np.where(rail, 2, np.where(bar, 0, 1))
    part = np.flatnonzero(material == STONE)
    if len(part):
        course = np.floor(v[part] / np.float32(0.32))
        across = u[part] / np.float32(0.64) + course * np.float32(0.5)
        joint = (v[part] / np.float32(0.32) - course < np.float32(0.14)) | (
            across - np.floor(across) < np.float32(0.08)
        )
        light[part] *= np.where(joint & (z[part] < 40), np.float32(0.84), np.float32(1.0))
    part = np.flatnonzero(material == PAVING)
    if len(part):
        a, b = u[part] / np.float32(0.9), v[part] / np.float32(0.9)
        joint = (a - np.floor(a) < np.float32(0.06)) | (b - np.floor(b) < np.float32(0.06))
        light[part] *= np.where(joint & (z[part] < 24), np.float32(0.86), np.float32(1.0))
    ink[where] += add
    shade[where] = light
    return ink, shade


def _noise(name: str, largest: int, u: np.ndarray, v: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Look value noise up at world positions."""
    # The shift keeps the numbers positive, where truncation is the floor.
    a = ((u + np.float32(4096.0)) * scale).astype(np.int64) & (TILE - 1)
    b = ((v + np.float32(4096.0)) * scale).astype(np.int64) & (TILE - 1)
    return tile(name, largest)[b * TILE + a]


def _facade(grain: np.ndarray, piece: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which colour of a house: 0 wall, 1 window, 2 bright window, 3 frame, 4 shop window, 5 shop."""
    bay, storey, wide, high, shop, top, salt = (grain[:, k][piece] for k in range(7))
    across = u / bay
    column = np.floor(across)
    across -= column
    upward = (v - shop) / storey
    floor = np.floor(upward)
    upward -= floor
    margin = (np.float32(1.0) - wide) * np.float32(0.5)
    sill = (np.float32(1.0) - high) * np.float32(0.45)
    frame = np.float32(0.05)
    inside = (across > margin) & (across < np.float32(1.0) - margin) & (upward > sill) & (upward < sill + high)
    edge = (across > margin - frame) & (across < np.float32(1.0) - margin + frame)
    edge &= (upward > sill - frame) & (upward < sill + high + frame)
    mixed = (column + 512).astype(np.int64) * 7919 + (floor + 8).astype(np.int64) * 104729 + salt.astype(np.int64) * 31
    bright = ((mixed * 2654435761) >> 16) % 5 == 0
    out = np.where(inside, np.where(bright, 2, 1), np.where(edge, 3, 0))
    low = v < shop
    is_shop = (salt.astype(np.int64) & 1) == 1  # wide panes below a shop sign, or one more row of windows
    side = np.where(is_shop, np.float32(0.08), margin)
    glazed = (v > np.where(is_shop, np.float32(0.45), np.float32(1.1))) & (v < shop * np.float32(0.74))
    glazed &= (across > side) & (across < np.float32(1.0) - side)
    out = np.where(low, np.where(glazed, 4, 5), out)
    out = np.where(v > top - np.float32(0.42), 3, out)
    return np.where((v > shop - np.float32(0.1)) & (v < shop + np.float32(0.12)), 3, out)


def _sky(scene: Scene, frame: Frame, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For sky samples: how far towards the horizon's colour, and how much cloud, both 0–1."""
    rows, cols = np.divmod(where.astype(np.int32), np.int32(frame.width))
    dx = (cols.astype(np.float32) + np.float32(0.5 - frame.centre)) / np.float32(frame.focal)
    dy = np.maximum(
        (np.float32(frame.horizon - 0.5) - rows.astype(np.float32)) / np.float32(frame.focal), np.float32(0)
    )
    low = np.float32(1.0) / (np.float32(1.0) + np.float32(5.0) * dy)
    distance = np.float32(40.0) / (dy + np.float32(0.12))  # clouds lie on a ceiling
    shift = np.float32(scene.noise_key % 512)
    one = np.ones_like(dx)
    puff = _noise("cloud", 128, dx * distance + shift, distance, one)
    cover = (puff + np.float32(2.0 * scene.light.clouds - 1.0)) * np.float32(1.6)
    return low, np.clip(cover, 0, 1) * np.float32(0.85)


def render(scene: Scene, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a scene: uint8 RGB ``(height, width, 3)`` and uint8 trainIds or 255 ``(height, width)``."""
    scale = 2 if height * width <= LARGEST_SUPERSAMPLED else 1
    frame = frame_of(scene, height * scale, width * scale)
    mesh = build_mesh(scene)
    projected = project(mesh.corners, mesh.form, mesh.closed, scene, frame)
    numbers = fill(projected.col, projected.row, mesh.form, projected.visible, frame.height, frame.width)
    sky = np.flatnonzero(numbers == 0)
    seen = np.maximum(numbers, 1) - 1

    label = mesh.label[seen]
    label[sky] = ID["sky"]

    lit = _lit_colors(scene, mesh, projected)
    far = scene.light.haze_distance
    haze = (projected.depth / (projected.depth + far)).astype(np.float32)[seen]
    ink, shade = _texture(scene, mesh, projected, frame, seen, haze)
    dark, shadow_of = _shadows(scene, frame, mesh.ground[seen])
    low, cloud = _sky(scene, frame, sky)
    channels = []
    for c in range(3):
        channel = lit[:, c][ink] * shade
        channel[dark] *= shadow_of[:, c]
        horizon, zenith = np.float32(scene.light.horizon[c]), np.float32(scene.light.zenith[c])
        channel += (horizon - channel) * haze
        air = zenith + (horizon - zenith) * low
        channel[sky] = air + (np.float32(min(252, scene.light.horizon[c] + 18)) - air) * cloud
        channels.append(channel.reshape(frame.height, frame.width))
    label = label.reshape(frame.height, frame.width)
    if scene.style.bonnet:
        _bonnet(scene, frame, channels, label)
    if scale == 2:
        channels = [(c[::2, ::2] + c[1::2, ::2] + (c[::2, 1::2] + c[1::2, 1::2])) * np.float32(0.25) for c in channels]
        label = np.ascontiguousarray(label[1::2, 1::2])
    return photograph(scene, channels), label


def _lit_colors(scene: Scene, mesh: Mesh, projected: Projected) -> np.ndarray:
    """float32 ``(m, 3)``: every colour in the light that falls on its piece."""
    sx, sy, sz = scene.light.sun
    norm = math.sqrt(sx * sx + sy * sy + sz * sz)
    normal = projected.normal
    facing = (normal[:, 0] * sx + normal[:, 1] * sy + normal[:, 2] * sz) / norm
    facing = np.where(mesh.card, 0.6, np.maximum(facing, 0.0))
    upward = 0.86 + 0.14 * normal[:, 1]
    glow = mesh.material == GLOW
    lit = np.empty((len(mesh.colors), 3), dtype=np.float32)
    for c in range(3):
        light = scene.light.ambient[c] * upward + scene.light.direct[c] * facing
        light = np.where(glow, 1.0, light)
        lit[:, c] = mesh.colors[:, c] * light[mesh.owner]
    return lit


def _shadows(scene: Scene, frame: Frame, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ground samples in shadow, and the factor per channel that is left of their light."""
    shades = sorted(scene.shades, key=lambda shade: shade.contact)
    flat = np.array([shade.corners for shade in shades], dtype=np.float64).reshape(-1, 4, 2)
    corners = np.stack((flat[:, :, 0], np.zeros(flat.shape[:2]), flat[:, :, 1]), axis=2)
    form = np.array([ELLIPSE if shade.round else QUAD for shade in shades], dtype=np.uint8)
    projected = project(corners, form, np.zeros(len(form), bool), scene, frame)
    numbers = fill(projected.col, projected.row, form, projected.visible, frame.height, frame.width)
    dark = np.flatnonzero((numbers > 0) & ground)
    sx, sy, sz = scene.light.sun
    upright = sy / math.sqrt(sx * sx + sy * sy + sz * sz)
    left = np.ones((len(shades) + 1, 3), dtype=np.float32)
    for row, shade in enumerate(shades, start=1):
        for c in range(3):
            direct, ambient = scene.light.direct[c] * upright, scene.light.ambient[c]
            kept = ambient * (1.0 - shade.contact) + direct * (1.0 - shade.strength)
            left[row, c] = kept / (ambient + direct)
    return dark, left[numbers[dark]]


def _bonnet(scene: Scene, frame: Frame, channels: list[np.ndarray], label: np.ndarray) -> None:
    """The camera car's bonnet: an arc along the lower edge, void in the label, with the sky's shine on it."""
    height, width = frame.height, frame.width
    y = (np.arange(height, dtype=np.float64)[:, None] + 0.5) / height - 1.06
    x = (np.arange(width, dtype=np.float64)[None, :] + 0.5) / width - 0.5
    bend = (x / 0.78) * (x / 0.78) + (y / 0.15) * (y / 0.15)
    inside = bend < 1.0
    label[inside] = IGNORE
    shine = np.clip((bend - 0.72) * 3.4, 0.0, 1.0)[inside].astype(np.float32)
    edge = (bend > 0.95)[inside]
    for c, channel in enumerate(channels):
        sky = np.float32(scene.light.horizon[c] * 0.55)
        tone = np.float32(34.0) + (sky - np.float32(34.0)) * shine
        channel[inside] = np.where(edge, tone * np.float32(0.55), tone)


def photograph(scene: Scene, channels: list[np.ndarray]) -> np.ndarray:
    """The lens and the sensor (blur, vignette, colour, noise); float ``(H, W)`` ×3 to uint8 ``(H, W, 3)``."""
    lens = scene.style.lens
    height, width = channels[0].shape
    if lens.blur:
        for _ in range(max(1, (height + 64) // 192)):  # the lens does not know the sensor: wider in larger pictures
            channels = [_blurred(channel, np.float32(lens.blur)) for channel in channels]
    y = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(height) - np.float32(0.5)
    x = (np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5)) / np.float32(width) - np.float32(0.5)
    fall = np.float32(1.0) - np.float32(lens.vignette) * (x * x + y * y) * np.float32(1.4)
    red, green, blue = channels
    grey = (red * np.float32(77) + green * np.float32(150) + blue * np.float32(29)) * np.float32(1 / 256)
    bits = hash_grid(scene.noise_key, height, width) if lens.noise else None
    out = np.empty((height, width, 3), dtype=np.uint8)
    for c, channel in enumerate(channels):
        value = grey + (channel - grey) * np.float32(lens.saturation)
        value = value * fall * np.float32(lens.gain[c] / 255.0) + np.float32(lens.lift[c] / 255.0)
        value = np.clip(value, 0, 1)
        value += (
            np.float32(lens.contrast)
            * value
            * (np.float32(1) - value)
            * (value + value - np.float32(1))
            * np.float32(2)
        )
        value *= np.float32(255)
        if bits is not None:
            first = (bits >> np.uint64(16 * c)) & np.uint64(255)
            second = (bits >> np.uint64(16 * c + 8)) & np.uint64(255)
            grain = first.astype(np.float32) + second.astype(np.float32) - np.float32(255)
            value += grain * np.float32(lens.noise / 104.0)  # the sum of two bytes spreads by 104
        out[:, :, c] = np.clip(value + np.float32(0.5), 0, 255).astype(np.uint8)
    return out


def _blurred(channel: np.ndarray, amount: np.float32) -> np.ndarray:
    """A pass of (1, 2, 1) / 4 both ways, mixed with the original; the border repeats."""
    padded = np.concatenate((channel[:1], channel, channel[-1:]), axis=0)
    soft = (padded[:-2] + padded[2:] + channel + channel) * np.float32(0.25)
    padded = np.concatenate((soft[:, :1], soft, soft[:, -1:]), axis=1)
    soft = (padded[:, :-2] + padded[:, 2:] + soft + soft) * np.float32(0.25)
    return channel + (soft - channel) * amount

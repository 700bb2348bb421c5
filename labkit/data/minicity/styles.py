"""The three looks of MiniCity as data: what is built and how often, its colours, the light, the lens.

They were drawn after what the real data sets show, and are not tuned on any method's result:

* ``game`` after GTA5 (Richter et al., ECCV 2016): a sunny American city. Wide roads with yellow lines, low
  warm houses, palms and dry grass, hard shadows, saturated colours, a crisp lens; few people, hardly a
  bicycle.
* ``toon`` after SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016): a simulator's European town in all
  seasons, seen from any height and from the pavement too. Patchy road textures, bright façades, crowds; 16
  classes: no terrain, truck or train.
* ``real`` after Cityscapes (Cordts et al., CVPR 2016): German streets under a white sky. Narrow, closed
  façades, rows of parked cars, bicycles and trams; pale, hazy, greenish, a little blurred and noisy; the
  camera car's bonnet at the bottom is void.

Lengths in metres, colours RGB 0–255 (albedo), light as factors of it, rates as mean counts per picture.
"""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Light:
    """A weather: the sky's colours, the sun, and how far one sees.

    ``sun`` is the direction towards the sun (x, y, z; any length), ``direct`` and ``ambient`` the light's
    colours, ``clouds`` their cover 0–1, ``haze_distance`` where half of a thing's colour is lost.
    """

    zenith: Color
    horizon: Color
    sun: tuple[float, float, float]
    direct: tuple[float, float, float]
    ambient: tuple[float, float, float]
    clouds: float
    haze_distance: float


@dataclass(frozen=True)
class Lens:
    """The camera behind the lens: blur and vignette 0–1, noise in grey levels, and a tone curve per channel.

    A channel becomes ``gain · value + lift``; ``contrast`` then bends it towards an S, or flattens it if
    negative.
    """

    blur: float
    vignette: float
    noise: float
    gain: tuple[float, float, float]
    lift: tuple[float, float, float]
    contrast: float
    saturation: float


@dataclass(frozen=True)
class Style:
    """Everything that tells one look from another; see the module's first lines for the units."""

    name: str
    evaluation: str
    # camera
    height: tuple[float, float]
    focal: tuple[float, float]
    horizon: tuple[float, float]
    shift: tuple[float, float]
    wander: float
    bonnet: bool
    # ground
    lanes: tuple[int, int]
    lane_width: float
    parking: float
    sidewalk: tuple[float, float]
    verge: float
    terrain: bool
    crossing: float
    rails: float
    # lots along the street: how often, and what a house is like
    lots: dict[str, float]
    setback: tuple[float, float]
    floors: tuple[int, int]
    tower: float
    storey: float
    bay: tuple[float, float]
    pitched: float
    # things: mean counts, or the share of places taken
    parked: float
    traffic: float
    mix: dict[str, float]
    people: float
    group: float
    riders: float
    bicycles: float
    motorcycles: float
    lamps: float
    signs: float
    trees: float
    tree_kinds: dict[str, float]
    bins: float
    # colours
    road: tuple[Color, ...]
    paving: tuple[Color, ...]
    grass: tuple[Color, ...]
    marking: tuple[Color, ...]
    centre_line: Color
    facades: tuple[Color, ...]
    roofs: tuple[Color, ...]
    windows: tuple[Color, ...]
    walls: tuple[Color, ...]
    fences: tuple[Color, ...]
    leaves: tuple[Color, ...]
    paints: tuple[Color, ...]
    transit: tuple[Color, ...]
    clothes: tuple[Color, ...]
    metal: Color
    # texture strengths
    road_grain: float
    road_patches: float
    facade_grain: float
    # light and lens
    lights: tuple[Light, ...]
    lens: Lens


GAME = Style(
    name="game",
    evaluation="miou",
    height=(1.35, 1.9),
    focal=(0.66, 0.82),
    horizon=(0.44, 0.52),
    shift=(-0.1, 0.1),
    wander=0.6,
    bonnet=False,
    lanes=(2, 3),
    lane_width=3.6,
    parking=0.4,
    sidewalk=(3.4, 6.0),
    verge=0.3,
    terrain=True,
    crossing=0.65,
    rails=0.12,
    lots={"house": 4.8, "park": 3.0, "wall": 1.9, "fence": 0.9, "hedge": 0.5},
    setback=(0.0, 3.5),
    floors=(1, 5),
    tower=0.14,
    storey=3.5,
    bay=(2.4, 4.2),
    pitched=0.12,
    parked=0.35,
    traffic=3.6,
    mix={"car": 6.6, "truck": 1.1, "bus": 0.5, "motorcycle": 0.4},
    people=5.0,
    group=0.2,
    riders=0.22,
    bicycles=0.35,
    motorcycles=0.3,
    lamps=0.8,
    signs=1.2,
    trees=0.5,
    tree_kinds={"palm": 5, "tree": 4, "bush": 1},
    bins=0.5,
    road=((128, 124, 120), (112, 110, 110), (140, 132, 122), (104, 102, 104)),
    paving=((196, 184, 164), (184, 176, 166), (206, 190, 166)),
    grass=((140, 146, 62), (172, 154, 88), (112, 142, 54), (186, 166, 112)),
    marking=((238, 236, 224),),
    centre_line=(232, 180, 44),
    facades=(
        (226, 196, 152),
        (214, 160, 118),
        (236, 222, 196),
        (198, 122, 92),
        (170, 148, 130),
        (222, 178, 160),
        (150, 170, 182),
        (238, 206, 132),
        (180, 92, 72),
        (206, 202, 198),
    ),
    roofs=((150, 82, 60), (110, 96, 90), (170, 110, 80)),
    windows=((62, 92, 122), (46, 66, 92), (84, 118, 140)),
    walls=((206, 176, 140), (186, 122, 92), (176, 168, 158), (220, 206, 180)),
    fences=((112, 84, 62), (150, 150, 146), (92, 102, 92), (196, 182, 160)),
    leaves=((78, 128, 46), (98, 138, 52), (62, 112, 58), (128, 148, 62)),
    paints=(
        (208, 34, 34),
        (240, 240, 238),
        (32, 34, 40),
        (34, 84, 178),
        (240, 178, 32),
        (176, 180, 186),
        (22, 110, 92),
        (228, 110, 34),
    ),
    transit=((244, 244, 240), (232, 150, 40), (46, 120, 190), (206, 206, 210)),
    clothes=(
        (224, 60, 60),
        (60, 110, 200),
        (240, 240, 236),
        (40, 44, 56),
        (240, 190, 60),
        (120, 180, 90),
        (200, 120, 170),
    ),
    metal=(122, 124, 124),
    road_grain=0.1,
    road_patches=0.3,
    facade_grain=0.07,
    lights=(
        Light(
            (52, 128, 220),
            (176, 212, 240),
            (-0.7, 1.0, -0.5),
            (0.72, 0.66, 0.52),
            (0.40, 0.42, 0.46),
            0.35,
            620.0,
        ),
        Light(
            (60, 134, 222),
            (188, 216, 238),
            (0.8, 0.9, -0.4),
            (0.74, 0.67, 0.52),
            (0.38, 0.40, 0.45),
            0.15,
            700.0,
        ),
        Light(
            (44, 118, 212),
            (170, 208, 240),
            (-0.4, 1.2, 0.4),
            (0.68, 0.63, 0.52),
            (0.44, 0.46, 0.49),
            0.5,
            560.0,
        ),
        Light(
            (70, 140, 220),
            (206, 222, 232),
            (0.9, 0.7, 0.3),
            (0.78, 0.68, 0.50),
            (0.40, 0.42, 0.47),
            0.3,
            480.0,
        ),
        Light(
            (92, 132, 196),
            (250, 208, 160),
            (-0.9, 0.5, 0.5),
            (0.84, 0.64, 0.42),
            (0.48, 0.46, 0.50),
            0.4,
            420.0,
        ),
        Light(
            (120, 110, 170),
            (255, 178, 118),
            (0.9, 0.4, 0.6),
            (0.80, 0.54, 0.34),
            (0.48, 0.43, 0.50),
            0.5,
            380.0,
        ),
        Light(
            (150, 164, 182),
            (206, 210, 214),
            (-0.4, 1.2, -0.3),
            (0.26, 0.26, 0.26),
            (0.62, 0.63, 0.66),
            0.85,
            420.0,
        ),
    ),
    lens=Lens(0.0, 0.1, 0.6, (1.03, 1.0, 0.95), (0.0, 0.0, 0.0), 0.28, 1.15),
)

TOON = Style(
    name="toon",
    evaluation="miou16",
    height=(1.6, 5.2),
    focal=(0.5, 0.66),
    horizon=(0.28, 0.56),
    shift=(-0.3, 0.3),
    wander=6.5,
    bonnet=False,
    lanes=(1, 2),
    lane_width=3.4,
    parking=0.35,
    sidewalk=(4.0, 7.5),
    verge=0.0,
    terrain=False,
    crossing=0.6,
    rails=0.0,
    lots={"house": 6.6, "park": 2.4, "wall": 0.35, "fence": 0.5, "hedge": 0.5},
    setback=(0.0, 1.0),
    floors=(2, 6),
    tower=0.1,
    storey=3.2,
    bay=(2.2, 3.2),
    pitched=0.45,
    parked=0.4,
    traffic=3.6,
    mix={"car": 6.0, "bus": 1.5, "motorcycle": 1.1},
    people=28.0,
    group=0.5,
    riders=2.2,
    bicycles=1.2,
    motorcycles=0.8,
    lamps=0.9,
    signs=1.6,
    trees=0.62,
    tree_kinds={"tree": 5, "conifer": 3, "bush": 1},
    bins=0.0,
    road=((98, 96, 108), (134, 118, 106), (92, 110, 116), (150, 146, 140), (116, 96, 92), (106, 106, 84)),
    paving=((190, 150, 132), (168, 168, 176), (206, 190, 150), (150, 132, 150), (176, 122, 104)),
    grass=((110, 160, 60),),
    marking=((250, 250, 250), (244, 232, 150)),
    centre_line=(250, 250, 250),
    facades=(
        (232, 132, 92),
        (240, 196, 96),
        (110, 164, 196),
        (214, 98, 92),
        (156, 196, 132),
        (236, 222, 190),
        (176, 132, 186),
        (226, 150, 150),
        (140, 118, 104),
    ),
    roofs=((184, 76, 56), (92, 100, 120), (150, 92, 70)),
    windows=((70, 110, 150), (52, 70, 100), (150, 190, 214)),
    walls=((170, 120, 96), (150, 150, 160), (206, 180, 140)),
    fences=((80, 110, 90), (170, 130, 90), (120, 124, 140)),
    leaves=((70, 160, 60), (226, 150, 50), (190, 84, 50), (120, 180, 70), (226, 196, 80), (200, 214, 220)),
    paints=(
        (230, 50, 50),
        (50, 110, 220),
        (250, 214, 50),
        (60, 170, 90),
        (250, 250, 250),
        (60, 60, 70),
        (150, 70, 170),
    ),
    transit=((230, 70, 60), (60, 150, 90), (250, 200, 60), (60, 110, 200)),
    clothes=(
        (230, 60, 60),
        (60, 100, 220),
        (250, 220, 80),
        (60, 170, 110),
        (170, 80, 180),
        (240, 240, 240),
        (50, 50, 60),
        (240, 140, 60),
    ),
    metal=(140, 144, 154),
    road_grain=0.24,
    road_patches=2.4,
    facade_grain=0.12,
    lights=(
        Light(
            (92, 160, 236),
            (196, 224, 244),
            (-0.5, 1.3, -0.6),
            (0.42, 0.41, 0.38),
            (0.62, 0.63, 0.66),
            0.3,
            1500.0,
        ),
        Light(
            (130, 190, 240),
            (224, 236, 244),
            (0.6, 1.2, 0.2),
            (0.40, 0.39, 0.36),
            (0.64, 0.64, 0.66),
            0.55,
            1500.0,
        ),
        Light(
            (186, 196, 214),
            (232, 232, 236),
            (0.2, 1.4, -0.2),
            (0.14, 0.14, 0.14),
            (0.82, 0.82, 0.86),
            0.7,
            900.0,
        ),
        Light(
            (128, 140, 206),
            (248, 204, 186),
            (-0.8, 0.8, 0.2),
            (0.44, 0.36, 0.32),
            (0.56, 0.54, 0.64),
            0.45,
            1200.0,
        ),
    ),
    lens=Lens(0.0, 0.0, 0.0, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.1, 1.05),
)

REAL = Style(
    name="real",
    evaluation="miou",
    height=(1.2, 1.34),
    focal=(0.82, 0.94),
    horizon=(0.4, 0.46),
    shift=(-0.05, 0.05),
    wander=0.25,
    bonnet=True,
    lanes=(1, 2),
    lane_width=3.1,
    parking=0.66,
    sidewalk=(2.6, 4.8),
    verge=0.4,
    terrain=True,
    crossing=0.5,
    rails=0.2,
    lots={"house": 7.4, "park": 3.0, "wall": 0.9, "fence": 1.4, "hedge": 1.2},
    setback=(0.0, 1.6),
    floors=(3, 5),
    tower=0.04,
    storey=3.4,
    bay=(1.9, 2.8),
    pitched=0.75,
    parked=0.56,
    traffic=2.3,
    mix={"car": 8.2, "truck": 0.3, "bus": 0.45, "motorcycle": 0.36},
    people=11.0,
    group=0.45,
    riders=0.6,
    bicycles=2.8,
    motorcycles=0.55,
    lamps=0.8,
    signs=3.8,
    trees=0.74,
    tree_kinds={"tree": 8, "conifer": 0.6, "bush": 1.6},
    bins=0.9,
    road=((104, 106, 106), (92, 95, 97), (116, 116, 114)),
    paving=((142, 142, 138), (156, 150, 144), (132, 134, 134)),
    grass=((104, 118, 74), (118, 122, 84), (92, 110, 68)),
    marking=((208, 210, 206),),
    centre_line=(208, 210, 206),
    facades=(
        (196, 188, 170),
        (182, 172, 158),
        (206, 202, 194),
        (170, 146, 126),
        (160, 158, 156),
        (190, 174, 146),
        (150, 120, 104),
        (212, 206, 186),
        (176, 182, 178),
    ),
    roofs=((122, 82, 70), (96, 90, 90), (112, 88, 78)),
    windows=((66, 74, 78), (52, 58, 62), (90, 98, 102)),
    walls=((142, 136, 126), (150, 128, 112), (128, 128, 124)),
    fences=((96, 100, 98), (84, 92, 84), (124, 118, 108)),
    leaves=((74, 94, 54), (84, 102, 60), (64, 86, 56), (96, 108, 66)),
    paints=(
        (36, 38, 42),
        (150, 154, 158),
        (196, 198, 198),
        (92, 96, 102),
        (60, 70, 90),
        (120, 40, 40),
        (52, 58, 54),
        (222, 222, 220),
    ),
    transit=((196, 168, 60), (190, 60, 54), (210, 210, 206), (70, 100, 130)),
    clothes=(
        (46, 48, 54),
        (66, 74, 92),
        (110, 106, 102),
        (150, 60, 58),
        (180, 178, 172),
        (80, 92, 76),
        (92, 70, 60),
    ),
    metal=(110, 114, 112),
    road_grain=0.05,
    road_patches=1.0,
    facade_grain=0.05,
    lights=(
        Light(
            (206, 214, 214),
            (226, 230, 226),
            (-0.3, 1.3, -0.3),
            (0.20, 0.20, 0.19),
            (0.72, 0.73, 0.71),
            0.5,
            150.0,
        ),
        Light(
            (196, 206, 210),
            (224, 230, 230),
            (0.4, 1.1, 0.3),
            (0.16, 0.16, 0.15),
            (0.76, 0.77, 0.75),
            0.8,
            130.0,
        ),
        Light(
            (180, 200, 214),
            (226, 232, 230),
            (-0.7, 0.9, -0.2),
            (0.46, 0.44, 0.38),
            (0.54, 0.57, 0.57),
            0.4,
            190.0,
        ),
        Light(
            (214, 216, 212),
            (222, 224, 218),
            (0.1, 1.5, -0.1),
            (0.06, 0.06, 0.06),
            (0.80, 0.81, 0.79),
            0.9,
            110.0,
        ),
    ),
    lens=Lens(0.55, 0.3, 3.4, (0.92, 0.95, 0.89), (4.0, 8.0, 5.0), -0.05, 0.82),
)

STYLE_BY_NAME: dict[str, Style] = {style.name: style for style in (GAME, TOON, REAL)}

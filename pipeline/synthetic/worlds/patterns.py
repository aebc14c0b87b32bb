"""Seamless patterns of made things in crisp colours, and random colours. sRGB in [0, 1], float32 "S S 3"."""

import colorsys

import cv2
import numpy as np

from pipeline.synthetic.noise import cells, spectral_noise
from pipeline.synthetic.surfaces import Colour, Masonry, masonry, planks

_GOLDEN = 0.381966  # share of the colour circle between two hues that stand apart


def clean_colours(rng: np.random.Generator, count: int) -> list[Colour]:
    """Saturated colours whose hues stand apart."""
    hue = rng.random()
    saturations, values = rng.uniform(0.35, 0.75, count).tolist(), rng.uniform(0.55, 0.95, count).tolist()
    return [colorsys.hsv_to_rgb((hue + _GOLDEN * i) % 1, saturations[i], values[i]) for i in range(count)]


def pale_colour(rng: np.random.Generator) -> Colour:
    """Nearly white, of any hue."""
    return colorsys.hsv_to_rgb(rng.random(), float(rng.uniform(0.03, 0.22)), float(rng.uniform(0.78, 0.95)))


def earthy_colours(rng: np.random.Generator, count: int) -> list[Colour]:
    """Browns, olives, greys and slate blues, from dark to middling."""
    hues = rng.choice([0.04, 0.08, 0.11, 0.2, 0.28, 0.58], count) + rng.normal(0, 0.015, count)
    values = np.sort(rng.uniform(0.18, 0.68, count))
    saturations = rng.uniform(0.08, 0.5, count)
    return [colorsys.hsv_to_rgb(*hsv) for hsv in zip((hues % 1).tolist(), saturations.tolist(), values.tolist(), strict=True)]


def checks(rng: np.random.Generator, size: int) -> np.ndarray:
    """A checkerboard of two colours with a few odd squares."""
    count = int(rng.choice([4, 6, 8]))
    colours = np.array([*clean_colours(rng, 2), pale_colour(rng), *clean_colours(rng, 1)])
    row, column = np.mgrid[:count, :count]
    board = np.where(rng.random((count, count)) < 0.12, rng.integers(2, 4, (count, count)), (row + column) % 2)
    return _printed(rng, np.repeat(np.repeat(colours[board], -(-size // count), 0), -(-size // count), 1)[:size, :size])


def ribbons(rng: np.random.Generator, size: int) -> np.ndarray:
    """Stripes of several colours and widths, upright, level or slanted."""
    colours = np.array([*clean_colours(rng, 3), pale_colour(rng)])
    slots = rng.integers(0, 4, 12)
    slope = rng.choice([[1, 0], [0, 1], [1, 1], [1, -1]])
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return _printed(rng, colours[slots[np.floor((slope[0] * x + slope[1] * y) % 1 * 12).astype(int)]])


def dots(rng: np.random.Generator, size: int) -> np.ndarray:
    """Discs of random size and colour on a ground."""
    ground, *inks = [pale_colour(rng), *clean_colours(rng, 4)]
    sheet = np.empty((size, size, 3), np.float32)
    sheet[:] = ground
    for x, y, radius, ink in zip(*rng.random((2, 60)), rng.uniform(0.02, 0.09, 60), rng.integers(0, 4, 60), strict=True):
        for shift_x in (-1, 0, 1):
            for shift_y in (-1, 0, 1):
                centre = (round((x + shift_x) * size), round((y + shift_y) * size))
                cv2.circle(sheet, centre, round(radius * size), inks[ink], -1, cv2.LINE_AA)
    return _printed(rng, sheet)


def terrazzo(rng: np.random.Generator, size: int) -> np.ndarray:
    """Chips of stone in pale cement, polished."""
    chips = cells(rng, size, per_side=18, disorder=1.2)
    table = np.array([*clean_colours(rng, 3), pale_colour(rng), pale_colour(rng)])[rng.integers(0, 5, chips.index.max() + 1)]
    share = np.clip((chips.border * 18 - 0.10) * 8, 0, 1)[..., None]
    return _printed(rng, share * table[chips.index] + (1 - share) * np.array(pale_colour(rng)))


def tiles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Square glazed tiles."""
    count = int(rng.choice([4, 6]))
    style = Masonry(
        columns=count, rows=count, joint=0.05, colour=_softened(clean_colours(rng, 1)[0]), mortar=(0.85, 0.84, 0.82), variety=0.10, shift=0
    )
    return masonry(rng, size, style)


def bricks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Clean bricks, painted or not."""
    colour = (0.66, 0.36, 0.27) if rng.random() < 0.5 else clean_colours(rng, 1)[0]
    return masonry(rng, size, Masonry(columns=6, rows=16, joint=0.10, colour=colour, mortar=pale_colour(rng), variety=0.12))


def boards(rng: np.random.Generator, size: int) -> np.ndarray:
    """Varnished or painted boards."""
    colour: Colour = (0.72, 0.52, 0.32) if rng.random() < 0.5 else _softened(clean_colours(rng, 1)[0])
    return planks(rng, size, colour, count=int(rng.choice([4, 5, 6])))


def timber(rng: np.random.Generator, size: int) -> np.ndarray:
    """Wood in its own colour, light or dark."""
    light = float(rng.uniform(0.6, 1.1))
    return planks(rng, size, (0.62 * light, 0.44 * light, 0.28 * light), count=int(rng.choice([5, 7])))


def sand(rng: np.random.Generator, size: int) -> np.ndarray:
    """A raked court: fine ripples along u, and grain."""
    y = np.mgrid[:size, :size][0] / size
    ripple = np.sin(2 * np.pi * 14 * y + 1.5 * spectral_noise(rng, size, slope=1.7))
    grain = spectral_noise(rng, size, slope=0.5, coarsest=8)
    return np.clip(np.array([0.80, 0.69, 0.50]) * (1 + 0.05 * ripple + 0.08 * grain)[..., None], 0, 1).astype(np.float32)


def rubber(rng: np.random.Generator, size: int) -> np.ndarray:
    """Black rubber with a few light marks along u."""
    y = np.mgrid[:size, :size][0] / size
    marks = np.where(np.abs((6 * y) % 1 - 0.5) < 0.05, 0.45, 0.13) * (1 + 0.2 * spectral_noise(rng, size, slope=0.8, coarsest=4))
    return np.clip(np.repeat(marks[..., None], 3, axis=2), 0, 1).astype(np.float32)


def painted(rng: np.random.Generator, size: int) -> np.ndarray:
    """A pale painted wall with a faint roller's grain and a band of small figures."""
    sheet = np.empty((size, size, 3))
    sheet[:] = pale_colour(rng)
    ink = np.array(clean_colours(rng, 1)[0])
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    count, petals = int(rng.choice([5, 6, 8])), int(rng.integers(3, 7))
    across, down = (x * count) % 1 - 0.5, (y * count + 0.5 * (np.floor(x * count) % 2)) % 1 - 0.5
    figure = np.hypot(across, down) < 0.16 + 0.06 * np.cos(petals * np.arctan2(down, across))
    return _printed(rng, np.where(figure[..., None], 0.35 * sheet + 0.65 * ink, sheet))


def facade(rng: np.random.Generator, size: int) -> np.ndarray:
    """A clean wall with two by two windows."""
    wall = bricks(rng, size) if rng.random() < 0.35 else _printed(rng, np.broadcast_to(pale_colour(rng), (size, size, 3)))
    return with_windows(wall, frame=pale_colour(rng), glass=(0.22, 0.32, 0.42))


def with_windows(wall: np.ndarray, *, frame: Colour, glass: Colour) -> np.ndarray:
    """A wall with two by two windows of two panes, sky in the glass."""
    size = len(wall)
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    across, down = np.abs((2 * x) % 1 - 0.5), np.abs((2 * y) % 1 - 0.5)
    opening, pane = (across < 0.24) & (down < 0.32), (across < 0.21) & (down < 0.29) & (across > 0.02)
    sky = np.array(glass) * (1.5 - 0.9 * ((2 * y) % 1))[..., None]
    sill = (across < 0.28) & (np.abs((2 * y) % 1 - 0.85) < 0.025)
    result = np.where(sill[..., None], wall * 0.75, wall)
    return np.where(pane[..., None], sky, np.where(opening[..., None], np.array(frame), result)).astype(np.float32)


def foliage(rng: np.random.Generator, size: int) -> np.ndarray:
    """Leaves, drawn simply: fresh green in a few tones."""
    leaf = cells(rng, size, per_side=16, disorder=1.3)
    table = np.array([0.30, 0.58, 0.20]) * (1 + 0.3 * rng.uniform(-1, 1, (leaf.index.max() + 1, 1))) + 0.05 * rng.uniform(-1, 1, (1, 3))
    return (table[leaf.index] * (0.65 + np.clip(leaf.border * 16, 0, 0.4))[..., None]).astype(np.float32)


def lawn(rng: np.random.Generator, size: int) -> np.ndarray:
    """Mown grass in two greens."""
    blades = spectral_noise(rng, size, slope=0.6, stretch=(1, 3), coarsest=6)
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    strip = 1 + 0.10 * np.sign(np.sin(2 * np.pi * 2 * x))
    return np.clip(np.array([0.34, 0.56, 0.22]) * (strip * (1 + 0.16 * blades))[..., None], 0, 1).astype(np.float32)


def asphalt(rng: np.random.Generator, size: int) -> np.ndarray:
    """A new road with a dashed line along v in the middle of the tile."""
    speck = spectral_noise(rng, size, slope=0.4, coarsest=10)
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    line = (np.abs(x - 0.5) < 0.02) & (y < 0.5)
    return np.clip(np.where(line[..., None], 0.92, 0.36) * (1 + 0.10 * speck)[..., None] * np.ones(3), 0, 1).astype(np.float32)


def slabs(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paving slabs."""
    return masonry(rng, size, Masonry(columns=3, rows=4, joint=0.035, colour=(0.66, 0.64, 0.60), mortar=(0.40, 0.38, 0.35), variety=0.10))


def _softened(colour: Colour) -> Colour:
    """Half as saturated."""
    red, green, blue = (0.5 * (part + max(colour)) for part in colour)
    return red, green, blue


def _printed(rng: np.random.Generator, sheet: np.ndarray) -> np.ndarray:
    """The sheet with a faint grain, so that no part of it is blank."""
    size = len(sheet)
    grain = 1 + 0.035 * spectral_noise(rng, size, slope=0.7, coarsest=4) + 0.03 * spectral_noise(rng, size, slope=1.6)
    return np.clip(sheet * grain[..., None], 0, 1).astype(np.float32)

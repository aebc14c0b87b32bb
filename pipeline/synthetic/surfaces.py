"""Procedural textures that repeat: masonry, paving, wood, plaster. Colours are sRGB in [0, 1], float32 "S S 3"."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.noise import cells, spectral_noise

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Masonry:
    """Rows of equal blocks, every other one shifted by half a block; both numbers divide the tile."""

    columns: int
    rows: int  # even, so that the shift repeats
    joint: float  # width of the mortar joint as a share of a row's height
    colour: Colour
    mortar: Colour
    variety: float = 0.16  # spread of brightness and hue from block to block
    shift: float = 0.5


def masonry(rng: np.random.Generator, size: int, style: Masonry) -> np.ndarray:
    """Bricks, stone blocks or paving slabs with worn edges, lit from above left."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    wobble = 0.06 * spectral_noise(rng, size, slope=1.3, coarsest=6)
    row = np.floor(y * style.rows)
    along = (x * style.columns + style.shift * (row % 2)) % style.columns
    block = (row * style.columns + np.floor(along)).astype(int)
    from_top = (y * style.rows) % 1
    aspect = style.rows / style.columns  # joints are equally wide both ways
    from_left = (along % 1) * aspect
    edge = np.minimum(np.minimum(from_top, 1 - from_top), np.minimum(from_left, aspect - from_left)) + style.joint * wobble
    stone = _smooth(edge, 0.5 * style.joint, 0.9 * style.joint)[..., None]
    face = _varied(rng, style.colour, block, style.variety) * _grain(rng, size, 0.10)
    bevel = np.where(np.minimum(from_top, from_left) < 1.6 * style.joint, 1.10, 1.0)
    bevel = np.where(np.minimum(1 - from_top, aspect - from_left) < 1.6 * style.joint, 0.80, bevel)[..., None]
    joint = np.array(style.mortar, np.float32) * _grain(rng, size, 0.12)
    return np.clip(stone * face * bevel + (1 - stone) * joint, 0, 1)


def cobbles(rng: np.random.Generator, size: int, colour: Colour) -> np.ndarray:
    """Rounded setts in sand."""
    stones = cells(rng, size, per_side=14, disorder=0.55)
    height = np.clip(stones.border * 14 * 2.2, 0, 1)
    dome = np.sqrt(1 - (1 - height) ** 2)[..., None]
    light = 1 + 0.16 * _relief(dome[..., 0])[..., None]
    face = _varied(rng, colour, stones.index, 0.20) * _grain(rng, size, 0.12) * light
    sand = np.array([0.30, 0.27, 0.23], np.float32) * _grain(rng, size, 0.15)
    share = _smooth(height, 0.08, 0.30)[..., None]
    return np.clip(share * face * (0.72 + 0.28 * dome) + (1 - share) * sand, 0, 1)


def plaster(rng: np.random.Generator, size: int, colour: Colour) -> np.ndarray:
    """Rendered wall: trowel marks, specks, cracks and patches where the coat has come off."""
    coat = spectral_noise(rng, size, slope=1.0, coarsest=8)
    broad = spectral_noise(rng, size, slope=1.9)
    light = 1 + 0.05 * _relief(coat * 0.12) + 0.045 * broad + 0.02 * rng.standard_normal((size, size))
    wall = np.array(colour, np.float32) * light[..., None]
    crack = _smooth(np.abs(spectral_noise(rng, size, slope=1.6, coarsest=2)), 0.0, 0.035) + (broad < 0.4)
    wall = wall * (0.72 + 0.28 * np.clip(crack, 0, 1))[..., None]
    bare = _smooth(spectral_noise(rng, size, slope=1.7, coarsest=2), 1.75, 1.85)[..., None]
    brick = masonry(rng, size, Masonry(columns=8, rows=24, joint=0.14, colour=(0.55, 0.33, 0.25), mortar=(0.56, 0.52, 0.47)))
    return np.clip((1 - bare) * wall + bare * brick * 0.92, 0, 1).astype(np.float32)


def planks(rng: np.random.Generator, size: int, colour: Colour, *, count: int = 6) -> np.ndarray:
    """Upright boards with grain, gaps and nails."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    board = np.floor(x * count).astype(int)
    grain = spectral_noise(rng, size, slope=1.0, stretch=(1, 14), coarsest=10)
    grain = np.take_along_axis(grain, (np.mgrid[:size, :size][0] + rng.integers(0, size, count)[board]) % size, axis=0)
    rings = np.sin(14 * spectral_noise(rng, size, slope=2.0, stretch=(1, 5)) + 9 * board)
    wood = _varied(rng, colour, board, 0.14) * (1 + 0.13 * grain + 0.07 * rings)[..., None]
    across = np.abs((x * count) % 1 - 0.5)
    gap = _smooth(across, 0.5, 0.465)[..., None]
    nail = np.hypot(across - 0.3, 0.0) * size / count
    nail = np.hypot(nail, (np.abs(y - 0.5) - 0.42) * size) < size / 150
    return np.clip(wood * (0.25 + 0.75 * gap) * np.where(nail, 0.35, 1)[..., None], 0, 1).astype(np.float32)


def leaves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dense foliage."""
    fine, coarse = cells(rng, size, per_side=34, disorder=1.4), cells(rng, size, per_side=19, disorder=1.4)
    light = 0.45 + 9 * fine.border + 4.5 * coarse.border + 0.10 * spectral_noise(rng, size, slope=1.6)
    green = _varied(rng, (0.34, 0.52, 0.20), fine.index, 0.22)
    return np.clip(green * light[..., None], 0, 1).astype(np.float32)


def metal(rng: np.random.Generator, size: int, colour: Colour) -> np.ndarray:
    """Painted iron with rust."""
    rust = _smooth(spectral_noise(rng, size, slope=1.5, coarsest=2), 0.9, 1.6)[..., None]
    paint = np.array(colour, np.float32) * _grain(rng, size, 0.07)
    return np.clip((1 - rust) * paint + rust * np.array([0.38, 0.22, 0.13]) * _grain(rng, size, 0.18), 0, 1).astype(np.float32)


def weathering(rng: np.random.Generator, size: int) -> np.ndarray:
    """Stains and fading over metres; mid grey (0.5) means no change."""
    stain = spectral_noise(rng, size, slope=1.5) * 0.6 + spectral_noise(rng, size, slope=1.2, stretch=(1, 4), coarsest=3) * 0.4
    return np.repeat(np.clip(0.5 + 0.075 * stain, 0.2, 0.8)[..., None], 3, axis=2).astype(np.float32)


def clouds(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cloud cover from 0 (clear) to 1."""
    noise = spectral_noise(rng, size, slope=1.65, coarsest=1.5)
    return np.repeat(_smooth(noise, -0.1, 1.6)[..., None], 3, axis=2).astype(np.float32)


def _varied(rng: np.random.Generator, colour: Colour, index: np.ndarray, variety: float) -> np.ndarray:
    """A colour per cell: brightness varies by `variety`, hue by a fifth of it."""
    num_cells = int(index.max()) + 1
    table = 1 + variety * rng.uniform(-1, 1, (num_cells, 1)) + variety / 5 * rng.uniform(-1, 1, (num_cells, 3))
    return (np.array(colour) * table)[index].astype(np.float32)


def _grain(rng: np.random.Generator, size: int, strength: float) -> np.ndarray:
    return (1 + strength * spectral_noise(rng, size, slope=0.9, coarsest=4))[..., None]


def _relief(height: np.ndarray) -> np.ndarray:
    """Brightness of a height field lit from above left, about -1 to 1."""
    slope = (np.roll(height, 1, 0) - np.roll(height, -1, 0)) + (np.roll(height, 1, 1) - np.roll(height, -1, 1))
    return np.clip(-slope * height.shape[0] / 60, -1.5, 1.5)


def _smooth(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, a smooth step between (reversed if high < low)."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)

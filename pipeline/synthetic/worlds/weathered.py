"""Seamless patterns of natural and worn surfaces, in dull colours. sRGB in [0, 1], float32 "S S 3"."""

import numpy as np

from pipeline.synthetic import surfaces
from pipeline.synthetic.noise import cells, spectral_noise
from pipeline.synthetic.worlds.patterns import earthy_colours, with_windows


def mottled(rng: np.random.Generator, size: int) -> np.ndarray:
    """Earth, moss or lichen: colours that follow noise."""
    return _mapped(rng, spectral_noise(rng, size, slope=float(rng.uniform(0.9, 1.5)), coarsest=2), 4)


def strata(rng: np.random.Generator, size: int) -> np.ndarray:
    """Layered rock: veins along x, bent."""
    y = np.mgrid[:size, :size][0] / size
    bent = spectral_noise(rng, size, slope=1.7, stretch=(3, 1))
    return _mapped(rng, np.sin(2 * np.pi * 5 * y + 1.6 * bent) + 0.5 * spectral_noise(rng, size, slope=0.8, coarsest=4), 4)


def bark(rng: np.random.Generator, size: int) -> np.ndarray:
    """Furrows along v."""
    furrow = np.abs(spectral_noise(rng, size, slope=1.0, stretch=(1, 7), coarsest=5))
    return _mapped(rng, np.sqrt(furrow) + 0.15 * spectral_noise(rng, size, slope=0.5, coarsest=8), 3)


def gravel(rng: np.random.Generator, size: int) -> np.ndarray:
    """Small stones in mud."""
    stones = cells(rng, size, per_side=22, disorder=1.2)
    colours = np.array(earthy_colours(rng, 5))
    table = colours[rng.integers(1, 5, stones.index.max() + 1)] * rng.uniform(0.8, 1.25, (stones.index.max() + 1, 1))
    share = np.clip((stones.border * 22 - 0.06) * 5, 0, 1)[..., None]
    return _worn(rng, share * table[stones.index] + (1 - share) * colours[0] * 0.7)


def camouflage(rng: np.random.Generator, size: int) -> np.ndarray:
    """Blotches with hard borders."""
    colours = np.array(earthy_colours(rng, 4))
    level = spectral_noise(rng, size, slope=1.5, coarsest=2.5)
    return _worn(rng, colours[np.digitize(level, [-0.7, 0.1, 0.8])])


def stained(rng: np.random.Generator, size: int) -> np.ndarray:
    """Old concrete or plaster with streaks that run down and scrawl on it."""
    wall = np.array(earthy_colours(rng, 3)[2]) * (1 + 0.07 * spectral_noise(rng, size, slope=1.1, coarsest=3))[..., None]
    streak = np.clip(spectral_noise(rng, size, slope=1.3, stretch=(1, 9), coarsest=3), 0, 3)[..., None]
    scrawl = np.abs(spectral_noise(rng, size, slope=1.9, coarsest=2.2)) < 0.035
    ink = rng.uniform(0.1, 0.8, 3)
    return _worn(rng, np.where(scrawl[..., None], 0.5 * wall + 0.5 * ink, wall * (1 - 0.16 * streak)))


def rusty(rng: np.random.Generator, size: int) -> np.ndarray:
    """Painted sheet metal that rusts."""
    red, green, blue = np.array(earthy_colours(rng, 3)[1]) + rng.uniform(-0.06, 0.10, 3)
    return surfaces.metal(rng, size, (float(red), float(green), float(blue)))


def flaking(rng: np.random.Generator, size: int) -> np.ndarray:
    """Plaster that falls off."""
    return surfaces.plaster(rng, size, earthy_colours(rng, 3)[2])


def rotten(rng: np.random.Generator, size: int) -> np.ndarray:
    """Grey boards."""
    return _worn(rng, surfaces.planks(rng, size, earthy_colours(rng, 2)[1], count=int(rng.choice([5, 7, 9]))))


def sett(rng: np.random.Generator, size: int) -> np.ndarray:
    """Worn setts in sand."""
    return surfaces.cobbles(rng, size, earthy_colours(rng, 3)[2])


def thicket(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dark leaves, some of them brown."""
    leaf = cells(rng, size, per_side=26, disorder=1.4)
    hue = rng.choice([0, 1], leaf.index.max() + 1, p=[0.8, 0.2])
    table = np.array([[0.20, 0.30, 0.11], [0.36, 0.26, 0.12]])[hue] * rng.uniform(0.5, 1.3, (len(hue), 1))
    return (table[leaf.index] * (0.45 + np.clip(leaf.border * 26 * 1.4, 0, 0.9))[..., None]).astype(np.float32)


def wild_grass(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dry grass with bare patches."""
    blades = spectral_noise(rng, size, slope=0.55, stretch=(1, 4), coarsest=8)
    patch = np.clip(spectral_noise(rng, size, slope=1.6, coarsest=2) * 0.9, 0, 1)[..., None]
    colour = (1 - patch) * np.array([0.40, 0.41, 0.18]) + patch * np.array([0.38, 0.29, 0.19])
    return np.clip(colour * (1 + 0.26 * blades)[..., None], 0, 1).astype(np.float32)


def ruin(rng: np.random.Generator, size: int) -> np.ndarray:
    """A stained wall with dark windows."""
    red, green, blue = rng.uniform(0.12, 0.30, 3)
    glass = (float(rng.uniform(0.03, 0.10)),) * 3
    return _worn(rng, with_windows(stained(rng, size), frame=(float(red), float(green), float(blue)), glass=glass))


def _mapped(rng: np.random.Generator, level: np.ndarray, count: int) -> np.ndarray:
    """Noise as colours: between `count` earthy ones, from its least to its greatest value."""
    colours = np.array(earthy_colours(rng, count))
    share = np.clip((level - level.mean()) / level.std() / 4 + 0.5, 0, 1) * (count - 1)
    steps = np.arange(count)
    return _worn(rng, np.stack([np.interp(share, steps, colours[:, i]) for i in range(3)], axis=-1))


def _worn(rng: np.random.Generator, sheet: np.ndarray) -> np.ndarray:
    """The sheet under dirt."""
    size = len(sheet)
    dirt = 1 + 0.09 * spectral_noise(rng, size, slope=0.8, coarsest=4) + 0.08 * spectral_noise(rng, size, slope=1.7)
    return np.clip(sheet * dirt[..., None], 0, 1).astype(np.float32)

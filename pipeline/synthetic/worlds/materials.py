"""Textures of a scene: each part asks for a role (floor, facade, foliage), the domain lists the looks of that role."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.synthetic.mesh import Mesh
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds import patterns, weathered

Paint = Callable[[np.random.Generator, int], np.ndarray]  # (generator, S) -> sRGB in [0, 1], float32 "S S 3", repeating seamlessly


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One way in which a role can look."""

    paint: Paint
    tile_m: float  # metres of surface that the texture covers before it repeats


class MaterialBook:
    """The materials of one scene. A name is role-number; equal names are equal textures, painted only when asked for."""

    def __init__(self, looks: Mapping[str, Sequence[Look]], *, seed: Sequence[int]) -> None:
        """`looks` has one or more per role; `seed` decides all draws."""
        self._looks = looks
        self._seed = tuple(seed)
        self._chosen: dict[str, Look] = {}

    def pick(self, role: str, variant: int = 0) -> str:
        """The name of a role's material; variants are drawn independently. Raises: ConfigError for a role that the domain lacks."""
        if role not in self._looks:
            raise ConfigError(f"no material for {role!r}, this domain has {', '.join(sorted(self._looks))}")
        name = f"{role}-{variant}"
        if name not in self._chosen:
            looks = self._looks[role]
            self._chosen[name] = looks[int(self._rng(name, 0).integers(len(looks)))]
        return name

    @property
    def names(self) -> tuple[str, ...]:
        """All picked materials, in the order of their first picking."""
        return tuple(self._chosen)

    def tile_m(self, name: str) -> float:
        """Metres that a picked material covers before it repeats."""
        return self._chosen[name].tile_m

    def thing(self, name: str, mesh: Mesh, material: str, poses: np.ndarray) -> SceneObject:
        """An object whose picked material repeats at its natural size."""
        tile = self.tile_m(material)
        return SceneObject(name=name, mesh=mesh, texture=material, tile_m=(tile, tile), poses=poses)

    def textures(self, size: int, *, extra: Mapping[str, Paint]) -> dict[str, np.ndarray]:
        """All picked materials and `extra` ones as uint8 "S S 3"."""
        paints = {name: look.paint for name, look in self._chosen.items()} | dict(extra)
        return {name: _bytes(paint(self._rng(name, 1), size)) for name, paint in paints.items()}

    def _rng(self, name: str, part: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, zlib.crc32(name.encode()), part])


def _bytes(colours: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)


STUDIO_LOOKS: dict[str, tuple[Look, ...]] = {
    "floor": (Look(paint=patterns.boards, tile_m=1.4), Look(paint=patterns.tiles, tile_m=1.6), Look(paint=patterns.terrazzo, tile_m=1.2)),
    "wall": (Look(paint=patterns.painted, tile_m=1.5), Look(paint=patterns.bricks, tile_m=1.4), Look(paint=patterns.tiles, tile_m=1.0)),
    "ceiling": (Look(paint=patterns.slabs, tile_m=2.0),),
    "wood": (Look(paint=patterns.boards, tile_m=0.9),),
    "cloth": (Look(paint=patterns.checks, tile_m=0.9), Look(paint=patterns.ribbons, tile_m=0.8), Look(paint=patterns.dots, tile_m=0.9)),
    "print": (Look(paint=patterns.dots, tile_m=1.0), Look(paint=patterns.ribbons, tile_m=1.0), Look(paint=patterns.checks, tile_m=1.0)),
    "road": (Look(paint=patterns.asphalt, tile_m=4.0),),
    "pavement": (Look(paint=patterns.slabs, tile_m=1.6), Look(paint=patterns.tiles, tile_m=1.6)),
    "facade": (Look(paint=patterns.facade, tile_m=5.6),),
    "roof": (Look(paint=patterns.bricks, tile_m=1.6),),
    "trunk": (Look(paint=patterns.timber, tile_m=0.7),),
    "rubber": (Look(paint=patterns.rubber, tile_m=0.5),),
    "foliage": (Look(paint=patterns.foliage, tile_m=1.3),),
    "ground": (Look(paint=patterns.lawn, tile_m=3.0), Look(paint=patterns.sand, tile_m=2.4)),
    "rock": (Look(paint=patterns.slabs, tile_m=2.0), Look(paint=patterns.terrazzo, tile_m=1.5)),
    "metal": (Look(paint=patterns.painted, tile_m=0.8),),
    "mover": (
        Look(paint=patterns.checks, tile_m=0.8),
        Look(paint=patterns.ribbons, tile_m=0.8),
        Look(paint=patterns.dots, tile_m=0.8),
        Look(paint=patterns.terrazzo, tile_m=0.7),
    ),
}

WILD_LOOKS: dict[str, tuple[Look, ...]] = {
    "floor": (
        Look(paint=weathered.rotten, tile_m=1.5),
        Look(paint=weathered.stained, tile_m=2.2),
        Look(paint=weathered.gravel, tile_m=1.6),
    ),
    "wall": (
        Look(paint=weathered.flaking, tile_m=2.2),
        Look(paint=weathered.stained, tile_m=2.5),
        Look(paint=weathered.rotten, tile_m=1.6),
    ),
    "ceiling": (Look(paint=weathered.rotten, tile_m=1.8),),
    "wood": (Look(paint=weathered.rotten, tile_m=0.9), Look(paint=weathered.bark, tile_m=0.9)),
    "cloth": (Look(paint=weathered.camouflage, tile_m=0.9), Look(paint=weathered.mottled, tile_m=0.8)),
    "print": (Look(paint=weathered.stained, tile_m=1.0), Look(paint=weathered.rusty, tile_m=1.0)),
    "road": (Look(paint=weathered.sett, tile_m=2.4), Look(paint=weathered.gravel, tile_m=2.2), Look(paint=weathered.stained, tile_m=3.0)),
    "pavement": (Look(paint=weathered.gravel, tile_m=1.5), Look(paint=weathered.mottled, tile_m=2.0)),
    "facade": (Look(paint=weathered.ruin, tile_m=5.0), Look(paint=weathered.flaking, tile_m=3.0)),
    "roof": (Look(paint=weathered.rusty, tile_m=1.6),),
    "trunk": (Look(paint=weathered.bark, tile_m=0.8),),
    "rubber": (Look(paint=patterns.rubber, tile_m=0.5),),
    "foliage": (Look(paint=weathered.thicket, tile_m=1.1),),
    "ground": (
        Look(paint=weathered.wild_grass, tile_m=2.2),
        Look(paint=weathered.mottled, tile_m=3.0),
        Look(paint=weathered.gravel, tile_m=2.2),
    ),
    "rock": (Look(paint=weathered.strata, tile_m=1.8), Look(paint=weathered.mottled, tile_m=1.4)),
    "metal": (Look(paint=weathered.rusty, tile_m=0.8),),
    "mover": (
        Look(paint=weathered.camouflage, tile_m=0.8),
        Look(paint=weathered.mottled, tile_m=0.7),
        Look(paint=weathered.strata, tile_m=0.8),
        Look(paint=weathered.rusty, tile_m=0.9),
    ),
}

"""Which textures a scene uses: each part asks for a role (floor, facade, foliage), the domain says how that role can look."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.synthetic.mesh import Mesh
from pipeline.synthetic.scene import SceneObject

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

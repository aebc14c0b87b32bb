"""A place before anybody moves in it: what stands there, and where one can go."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.scene import SceneObject

Ground = Callable[[np.ndarray], np.ndarray]  # places "... 2" (x, y) -> heights "...", metres
Free = Callable[[np.ndarray], np.ndarray]  # places "... 2" -> bool "...": nothing stands within half a metre


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class World:
    """Metres, z up. Things happen around `focus`; cameras start around `start`, and look that way."""

    kind: str  # room | street | terrain
    objects: tuple[SceneObject, ...]
    ground: Ground
    is_free: Free
    start: tuple[float, float]
    focus: tuple[float, float]
    has_sky: bool
    lamp: tuple[float, float, float] | None = None  # where the lamp of a room hangs


def level(height: float = 0.0) -> Ground:
    """A floor."""
    return lambda places: np.full(places.shape[:-1], height)


def clear_of(centres: np.ndarray, radii: np.ndarray) -> Free:
    """Free is what keeps half a metre from all discs, `centres` "N 2" and `radii` "N"."""

    def is_free(places: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(places[..., None, :] - centres, axis=-1)
        return np.asarray(np.all(away > radii + 0.5, axis=-1))

    return is_free

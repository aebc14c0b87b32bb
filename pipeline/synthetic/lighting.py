"""Light on surfaces: sun with shadows, sky and ground from all around, haze; the sky itself; and changes of light over a clip."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.records.arrays import check_array
from pipeline.synthetic.atlas import TextureAtlas
from pipeline.synthetic.raycast import Caster
from pipeline.synthetic.scene import Light

_LIFT_M = 2e-3  # shadow and ambient rays start this far off the surface, so that they do not meet it again
_REACH_M = 3.0  # things farther away do not darken a place


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SurfaceSamples:
    """N places on surfaces, seen from the camera. All float32."""

    points: np.ndarray  # "N 3", world
    normals: np.ndarray  # "N 3", unit, towards the camera
    albedo: np.ndarray  # "N 3"
    openness: np.ndarray  # "N": share of the sky dome that is free
    distance_m: np.ndarray  # "N", from the camera


def shade(surface: SurfaceSamples, light: Light, caster: Caster, *, sun_jitter: np.ndarray) -> np.ndarray:
    """Radiance of surfaces, float32 "N 3".

    Args:
        sun_jitter: float32 "N 3", added to the unit direction of the sun: spreads shadows into penumbras.
    """
    to_sun = unit(np.asarray(light.to_sun)).astype(np.float32) + sun_jitter
    facing = np.maximum(np.einsum("ni,ni->n", surface.normals, to_sun), 0)
    lit = np.flatnonzero(facing > 0)
    lifted = surface.points[lit] + np.float32(_LIFT_M) * surface.normals[lit]
    facing[lit] *= ~caster.is_blocked(lifted, to_sun[lit])
    upward = (0.5 + 0.5 * surface.normals[:, 2])[:, None]
    sky, ground = np.float32(0.42) * (_colour(light.zenith) + _colour(light.horizon)), _colour(light.bounce)
    ambient = surface.openness[:, None] * (upward * sky + (1 - upward) * ground)
    radiance = surface.albedo * (facing[:, None] * _colour(light.sun) + ambient)
    haze = 1 - np.exp(-surface.distance_m / np.float32(light.haze_m))[:, None]
    return radiance + haze * (_colour(light.horizon) * np.float32(0.8) - radiance)


def sky(directions: np.ndarray, light: Light, atlas: TextureAtlas, *, clouds: int | None) -> np.ndarray:
    """Radiance of the sky in N directions (float32 "N 3", unit), "N 3". `clouds` is the number of the texture of cloud cover."""
    height = np.clip(directions[:, 2:], 0, 1)
    colour = _colour(light.horizon) + (_colour(light.zenith) - _colour(light.horizon)) * height ** np.float32(0.55)
    near_sun = np.maximum(directions @ unit(np.asarray(light.to_sun)).astype(np.float32), 0)[:, None]
    colour = colour + (np.float32(0.25) * near_sun**8 + 4 * near_sun**800) * _colour(light.sun)
    if clouds is None:
        return colour
    on_ceiling = directions[:, :2] / (height + np.float32(0.12)) * np.float32(0.22)
    cover = atlas.sample(np.full(len(directions), clouds), on_ceiling, np.full(len(directions), 1 / 512, np.float32))
    cover = cover * np.clip(height * 6, 0, 1)
    return colour + cover * (np.array([1.05, 1.03, 1.0], np.float32) - colour)


def openness(caster: Caster, points: np.ndarray, normals: np.ndarray, *, rng: np.random.Generator, num_rays: int = 64) -> np.ndarray:
    """Share of the light from all around that reaches N points: 1 in the open, less where something is near; "N" in [0, 1].

    `num_rays` rays per point follow the cosine law; one that hits at distance d < reach, 3 m, lets through (d / reach)^(1/2) of its share.
    """
    turn, rise = (np.arange(num_rays) + rng.random()) / num_rays, (np.arange(num_rays) * 0.618034 + rng.random()) % 1
    radius, angle = np.sqrt(rise), 2 * np.pi * turn
    rays = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - rise)], axis=-1)
    result = np.empty(len(points))
    for start in range(0, len(points), 4096):
        normal = normals[start : start + 4096]
        side = unit(np.cross(normal, np.where(np.abs(normal[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]])))
        axes = np.stack([side, np.cross(normal, side), normal], axis=1)  # "n 3 3", rows
        directions = np.einsum("rk,nki->nri", rays, axes).reshape(-1, 3)
        origins = np.repeat(points[start : start + 4096] + _LIFT_M * normal, num_rays, axis=0)
        distance = caster.first_hits(origins, directions).distance.reshape(-1, num_rays)
        result[start : start + 4096] = np.sqrt(np.clip(distance / _REACH_M, 0, 1)).mean(axis=1)
    return result


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors "... 3" at length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _colour(colour: tuple[float, float, float]) -> np.ndarray:
    return np.array(colour, np.float32)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Illumination:
    """The key light is the sun of `light`, or a lamp of its colour."""

    light: Light
    key_gain: np.ndarray  # float32 "T": factor on the sun or lamp in each frame
    ambient_gain: np.ndarray  # float32 "T": factor on what comes from all around
    lamp: tuple[float, float, float] | None = None  # where a lamp hangs, world metres; None: the sun shines
    lamp_reach_m: float = 2.5  # distance at which the lamp is as bright as `light.sun` says

    def __post_init__(self) -> None:
        check_array("key_gain", self.key_gain, "float32", (None,))
        check_array("ambient_gain", self.ambient_gain, "float32", self.key_gain.shape)
        if not self.lamp_reach_m > 0:
            raise ConfigError(f"lamp_reach_m is {self.lamp_reach_m}, expected a positive distance")

    def towards_key(self, points: np.ndarray) -> np.ndarray:
        """From points "3 N" to the key light, float32 "3 N"; of length 1 for the sun, reaching the lamp itself."""
        if self.lamp is None:
            return np.broadcast_to(unit(np.asarray(self.light.to_sun)).astype(np.float32)[:, None], points.shape)
        return np.asarray(self.lamp, np.float32)[:, None] - points

"""Colours of what rays meet, in float32 and linear RGB. Vectors are planes "3 R", which numpy works through several times faster."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.atlas import TextureAtlas
from pipeline.synthetic.filming.tracing import FrameCaster, SurfaceHits, Tracer
from pipeline.synthetic.geometry import SurfaceArrangement
from pipeline.synthetic.lighting import Illumination, openness, sky, unit
from pipeline.synthetic.scene import Scene

_LIFT_M = np.float32(3e-3)  # shadow rays start this far off the surface, so that they do not meet it again
_AT_ONCE = 8192  # rays: what is in flight stays in the processor's cache
_AMBIENT_RAYS = 20  # per vertex: enough for a smooth gradient into corners
_CLOSED = 0.2  # light bounces into corners too
_MOVER_OPENNESS = 0.75  # movers come near and leave: theirs is not computed
_HAZE = np.float32(0.8)  # brightness of haze, as a share of the horizon's
_WIDE_M = np.float32(5.3)  # the weathering's own wide tile hides that the others repeat
_ENDLESS = np.float32(1e30)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RayColours:
    """Colours and surfaces that R rays meet."""

    radiance: np.ndarray  # float32 "3 R"
    normals: np.ndarray  # float32 "3 R", towards the camera; 0 for the sky
    lit: np.ndarray  # bool "R": the key light reaches the place


class Shader:
    """Shading by all that stays the same over the frames of a clip."""

    def __init__(self, scene: Scene, illumination: Illumination, tracer: Tracer) -> None:
        """Build textures and the table of all triangles, and compute how open every place is."""
        self._scene = scene
        self._illumination = illumination
        self._geometry = tracer.geometry
        self._atlas = TextureAtlas(list(scene.textures.values()))
        names = list(scene.textures)
        self._clouds = None if scene.light.clouds is None else names.index(scene.light.clouds)
        self._weathering = None if scene.light.weathering is None else names.index(scene.light.weathering)
        self._tile_m = self._geometry.face_tile_m.astype(np.float32)
        rest = self._geometry.arrange(0)
        self._openness = _static_openness(tracer, rest)
        self._table = self._columns(rest, np.arange(len(self._geometry.faces)))

    def arrange(self, arranged: SurfaceArrangement) -> None:
        """Take over where the movers are now."""
        moving = self._geometry.moving_faces
        self._table[:, moving] = self._columns(arranged, moving)

    def shade(self, frame: int, directions: np.ndarray, hits: SurfaceHits, caster: FrameCaster) -> RayColours:
        """Look along rays "R 3" (float32) from the camera of a frame."""
        radiance, normals = np.empty((3, len(directions)), np.float32), np.zeros((3, len(directions)), np.float32)
        lit = np.zeros(len(directions), bool)
        seen, missed = np.flatnonzero(hits.face >= 0), np.flatnonzero(hits.face < 0)
        if len(missed):
            gain = self._illumination.ambient_gain[frame]
            radiance[:, missed] = (gain * sky(unit(directions[missed]), self._illumination.light, self._atlas, clouds=self._clouds)).T
        for start in range(0, len(seen), _AT_ONCE):
            some = seen[start : start + _AT_ONCE]
            met = self._surface(frame, np.ascontiguousarray(directions[some].T), _taken(hits, some), caster)
            radiance[:, some], normals[:, some], lit[some] = met.radiance, met.normals, met.lit
        return RayColours(radiance=radiance, normals=normals, lit=lit)

    def _surface(self, frame: int, directions: np.ndarray, hits: SurfaceHits, caster: FrameCaster) -> RayColours:
        columns = np.take(self._table, hits.face, axis=1)  # u, v, normal, openness at corner 1, and their change to corners 2 and 3
        values = columns[:6] + hits.second * columns[6:12] + hits.third * columns[12:]
        arms, normals = directions * hits.distance, values[2:5]
        distance = np.sqrt(_dot(arms, arms))
        cosine = -_dot(normals, arms)
        normals = normals * (np.sign(cosine) / np.sqrt(_dot(normals, normals)))
        cosine = np.abs(cosine) / (distance * np.sqrt(_dot(values[2:5], values[2:5])))
        points = self._scene.camera_to_world[frame, :3, 3, None].astype(np.float32) + arms
        albedo = self._albedo(hits.face, values[:2], distance / np.sqrt(np.maximum(cosine, np.float32(0.08))))
        key = self._key_light(points, normals, caster)
        radiance = self._lit(frame, albedo, key, values[5] * (0.5 + 0.5 * normals[2]), values[5])
        light = self._illumination.light
        haze = 1 - np.exp(-distance / np.float32(light.haze_m))
        air = self._illumination.ambient_gain[frame] * _HAZE * _colour(light.horizon)
        return RayColours(radiance=radiance + haze * (air - radiance), normals=normals, lit=key > 0)

    def _lit(self, frame: int, albedo: np.ndarray, key: np.ndarray, upward: np.ndarray, opened: np.ndarray) -> np.ndarray:
        """Light that surfaces send back, "3 R": from the key light, and from above and below as far as they are open to it."""
        light, gain = self._illumination.light, self._illumination.ambient_gain[frame]
        above, below = gain * np.float32(0.42) * (_colour(light.zenith) + _colour(light.horizon)), gain * _colour(light.bounce)
        return albedo * ((self._illumination.key_gain[frame] * _colour(light.sun)) * key + below * opened + (above - below) * upward)

    def _albedo(self, face: np.ndarray, uv_tiles: np.ndarray, stretched_m: np.ndarray) -> np.ndarray:
        """Colours of the surfaces "3 R", averaged over a pixel's footprint: between its short and its stretched side."""
        footprint = stretched_m * np.float32(1.1 / self._scene.intrinsics[0, 0])
        tile = self._tile_m[face]
        albedo = self._atlas.blended(self._geometry.face_texture[face], uv_tiles, footprint / tile)
        if self._weathering is not None:
            wide = self._atlas.nearest_level(self._weathering, uv_tiles * (tile / _WIDE_M), footprint / _WIDE_M)
            albedo *= wide * np.float32(1 / 0.5**2.2)
        return albedo

    def _key_light(self, points: np.ndarray, normals: np.ndarray, caster: FrameCaster) -> np.ndarray:
        """Share of the key light that falls on each place, "R"."""
        towards = self._illumination.towards_key(points)
        facing = _dot(normals, towards)
        has_lamp = self._illumination.lamp is not None
        if has_lamp:
            square = _dot(towards, towards)
            reach = np.float32(self._illumination.lamp_reach_m)
            facing = facing * reach**2 / (np.sqrt(square) * (square + np.float32(0.5)))
        lit = np.flatnonzero(facing > 0)
        lifted = (points[:, lit] + _LIFT_M * normals[:, lit]).T
        limit = np.full(len(lit), np.float32(0.97) if has_lamp else _ENDLESS)
        facing[lit] *= ~caster.is_blocked_before(lifted, towards[:, lit].T, limit)
        return np.maximum(facing, 0)

    def _columns(self, arranged: SurfaceArrangement, face: np.ndarray) -> np.ndarray:
        """Shading data of each triangle, float32 "18 F"."""
        corners = self._geometry.faces[face]
        parts = (self._geometry.uv_tiles[corners], arranged.normals[corners], self._openness[corners][..., None])
        first, second, third = np.concatenate(parts, axis=2).swapaxes(0, 1)
        return np.concatenate([first, second - first, third - first], axis=1).T.astype(np.float32)


def _static_openness(tracer: Tracer, rest: SurfaceArrangement) -> np.ndarray:
    """Openness of every vertex, among the objects that stand still."""
    moves = tracer.geometry.vertex_moves
    result = np.full(len(moves), _MOVER_OPENNESS)
    if not moves.all():
        rng = np.random.default_rng(0)  # only where in the dome the rays point: the same for every scene
        caster, points, normals = tracer.still_caster(), rest.vertices[~moves], rest.normals[~moves]
        opened = openness(caster, points.astype(np.float32), normals.astype(np.float32), rng=rng, num_rays=_AMBIENT_RAYS)
        result[~moves] = _CLOSED + (1 - _CLOSED) * opened
    return result


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(left[0] * right[0] + left[1] * right[1] + left[2] * right[2])


def _taken(hits: SurfaceHits, index: np.ndarray) -> SurfaceHits:
    return SurfaceHits(face=hits.face[index], second=hits.second[index], third=hits.third[index], distance=hits.distance[index])


def _colour(colour: tuple[float, float, float]) -> np.ndarray:
    return np.array(colour, np.float32)[:, None]

"""Rays against triangles, by Intel's Embree (through trimesh and embreex: the `synthetic` extra).

It goes through trimesh, which scales the world for Embree's float32. `filming/tracing.py` leaves that out and is several times faster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.errors import ConfigError, install_command


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hits:
    """First surface on each of R rays."""

    face: np.ndarray  # int64 "R", -1 where the ray meets nothing
    distance: np.ndarray  # "R", in lengths of the ray's direction, inf where the ray meets nothing; the rays' dtype


class Caster(Protocol):
    """Answers ray questions about a set of triangles."""

    def first_hits(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """First hit of each ray on a surface: origins "R 3" or "3", directions "R 3" of any length."""
        ...

    def is_blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether anything lies on each ray, bool "R"."""
        ...


class RayCaster:
    """Answers ray questions about one set of triangles. Both sides of a triangle stop a ray."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, *, numbers: np.ndarray | None = None) -> None:
        """Build the search tree over `vertices` "V 3" and `faces` "F 3"; hits name a face by its entry in `numbers` "F", if given.

        Raises: ConfigError if the `synthetic` extra is not installed.
        """
        self._intersector = _intersector(vertices, faces)
        self._numbers = np.arange(len(faces)) if numbers is None else numbers
        corner, second, third = (vertices[faces[:, i]] for i in range(3))
        normal = np.cross(second - corner, third - corner)
        offset = np.sum(normal * corner, axis=1, keepdims=True)
        self._planes = np.concatenate([normal, offset], axis=1)
        self._planes_single = self._planes.astype(np.float32)

    def first_hits(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """First hit of each ray on a surface.

        Embree, in float32, tells which triangle; the distance is then that of the triangle's plane, in the rays' own precision.

        Args:
            origins: "R 3" or "3", metres.
            directions: "R 3", of any length; float32 or float64.
        """
        origins = np.broadcast_to(origins, directions.shape)
        face = np.asarray(self._intersector.intersects_first(origins, directions), np.int64)
        planes = self._planes if directions.dtype == np.float64 else self._planes_single
        plane = planes[face]  # row -1 for a miss, overwritten below
        along = np.einsum("ri,ri->r", plane[:, :3], directions)
        missed = (face < 0) | (along == 0)
        height = plane[:, 3] - np.einsum("ri,ri->r", plane[:, :3], origins)
        distance = np.where(missed, np.inf, height / np.where(missed, 1, along)).astype(directions.dtype)
        return Hits(face=np.where(missed, -1, self._numbers[face]), distance=distance)

    def is_blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether anything lies on each ray, bool "R"."""
        return np.asarray(self._intersector.intersects_first(np.broadcast_to(origins, directions.shape), directions)) >= 0


class JointCaster:
    """Several ray casters as one, so that still surfaces are built once and moving ones anew in each frame."""

    def __init__(self, parts: Sequence[RayCaster]) -> None:
        """At least one part; their faces must be numbered differently."""
        self._parts = tuple(parts)

    def first_hits(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """The nearest of the parts' hits; arguments as for RayCaster."""
        nearest = self._parts[0].first_hits(origins, directions)
        for part in self._parts[1:]:
            hits = part.first_hits(origins, directions)
            nearer = hits.distance < nearest.distance
            nearest = Hits(face=np.where(nearer, hits.face, nearest.face), distance=np.where(nearer, hits.distance, nearest.distance))
        return nearest

    def is_blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether any part blocks each ray, bool "R"."""
        return np.logical_or.reduce([part.is_blocked(origins, directions) for part in self._parts])


def _intersector(vertices: np.ndarray, faces: np.ndarray) -> Any:
    try:
        import trimesh
        from trimesh.ray.ray_pyembree import RayMeshIntersector
    except ImportError as error:
        raise ConfigError(f"synthetic scenes need trimesh and embreex ({error}); run: {install_command('synthetic')}") from error
    return RayMeshIntersector(trimesh.Trimesh(vertices=vertices, faces=faces, process=False))

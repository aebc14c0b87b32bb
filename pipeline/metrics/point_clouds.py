"""Clouds of points: surface normals from each point's neighbours, and alignment by point-to-point ICP."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.similarity import umeyama

NUM_NEIGHBOURS = 30
CHUNK = 65536  # points whose neighbourhoods are in memory at once
MAX_ITERATIONS = 30
TOLERANCE = 1e-6  # of fitness and of the inlier distance, between two iterations


def estimate_normals(points: np.ndarray, *, num_neighbours: int = NUM_NEIGHBOURS) -> np.ndarray:
    """The direction in which the `num_neighbours` nearest points (the point itself among them) spread least, float64 "N 3".

    Unit length, sign arbitrary. NaN where a neighbourhood has fewer than three points or is a single place or a straight line: no plane
    is nearest to it.

    Args:
        points: "N 3", finite. With fewer points than neighbours all are used.
    Raises: DataError for another shape or a value that is not finite.
    Source: Hoppe et al. 1992; equal to Open3D's `estimate_normals` with its defaults, up to sign.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise DataError(f"points are {list(points.shape)}, expected [N, 3] without NaN and infinity")
    normals = np.full(points.shape, np.nan)
    count = min(num_neighbours, len(points))
    if count < 3:
        return normals
    tree = cKDTree(points)
    for start in range(0, len(points), CHUNK):
        chunk = slice(start, start + CHUNK)
        neighbours = points[tree.query(points[chunk], k=count)[1]]  # "n k 3"
        centred = neighbours - neighbours.mean(axis=1, keepdims=True)
        spread, directions = np.linalg.eigh(centred.swapaxes(1, 2) @ centred)  # spread ascends
        planar = spread[:, 1] > np.finfo(np.float64).eps * np.maximum(spread[:, 2], np.finfo(np.float64).tiny)
        normals[chunk] = np.where(planar[:, None], directions[:, :, 0], np.nan)
    return normals


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IcpResult:
    """source -> rotation @ source + translation, and how well the moved source lies on the target."""

    rotation: npt.NDArray[np.float64]  # float64 "3 3"
    translation: npt.NDArray[np.float64]  # float64 "3"
    fitness: float  # share of source points with a target point nearer than the limit
    inlier_rmse: float  # root mean square distance of those; 0 where there is none

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points "... 3" of the source in the target's frame, float64."""
        return points @ self.rotation.T + self.translation


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Correspondences:
    """Source points that have a target point within the limit."""

    source_index: np.ndarray  # "K"
    target_index: np.ndarray  # "K"
    fitness: float
    inlier_rmse: float


def icp(source: np.ndarray, target: np.ndarray, *, max_distance: float) -> IcpResult:
    """Align rigidly from the identity on: match each source point with its nearest target point, fit, move, repeat.

    Stops after 30 iterations, or when fitness and inlier distance both change by less than 1e-6. A source without any match stays.

    Args:
        source: "N 3", at least one point, finite.
        target: "M 3", in the same unit.
        max_distance: matches from here on do not count, same unit.
    Raises: ConfigError if the limit is not positive.
    Source: Besl and McKay 1992, with the limits and the stopping rule that Open3D's `registration_icp` has by default.
    """
    if not max_distance > 0:
        raise ConfigError(f"ICP's largest distance is {max_distance}, expected a positive length in the unit of the points")
    tree = cKDTree(target)
    rotation, translation = np.eye(3), np.zeros(3)
    moved = source
    matches = _match(moved, tree, max_distance)
    for _ in range(MAX_ITERATIONS):
        if not len(matches.source_index):
            break
        step = umeyama(moved[matches.source_index], target[matches.target_index], with_scale=False)
        rotation, translation = step.rotation @ rotation, step.rotation @ translation + step.translation
        moved = step.apply(moved)
        before, matches = matches, _match(moved, tree, max_distance)
        if abs(before.fitness - matches.fitness) < TOLERANCE and abs(before.inlier_rmse - matches.inlier_rmse) < TOLERANCE:
            break
    return IcpResult(rotation=rotation, translation=translation, fitness=matches.fitness, inlier_rmse=matches.inlier_rmse)


def _match(source: np.ndarray, tree: cKDTree, max_distance: float) -> _Correspondences:
    distance, nearest = tree.query(source, distance_upper_bound=max_distance)
    found = np.flatnonzero(np.isfinite(distance))
    rmse = float(np.sqrt(np.mean(np.square(distance[found])))) if len(found) else 0.0
    return _Correspondences(source_index=found, target_index=nearest[found], fitness=len(found) / len(source), inlier_rmse=rmse)

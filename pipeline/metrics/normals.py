"""Surface normals of a cloud of points, from the plane through each point's neighbours."""

import numpy as np
from scipy.spatial import cKDTree

from pipeline.errors import DataError

NUM_NEIGHBOURS = 30
CHUNK = 65536  # points whose neighbourhoods are in memory at once


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

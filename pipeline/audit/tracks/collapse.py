"""Several tracks that have run together into one."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_TOGETHER_PX, _APART_PX = 1.0, 4.0
_MIN_FRAMES = 5
_NEAREST = 8  # partners looked at per place and frame: bounds time and memory where very many tracks are dense


def collapse_clusters(tracks: np.ndarray, visibility: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Number of the cluster that each track has collapsed into, int32 "N"; -1 for the tracks that stand alone.

    Two tracks belong together if they are closer than 1 px in at least 5 frames in which both are visible, though they were 4 px or
    more apart in the frame in which one of them was asked for (the other visible in it). Tracks that were asked for in different
    frames at the same point of a surface are therefore no collapse. Clusters are joined through their members.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N". asked: int64 "N", the query's frame.
    """
    num_tracks = len(asked)
    found = [np.zeros(0, np.int64)]
    for frame, seen in enumerate(visibility):
        pairs = _close_pairs(tracks[frame], np.flatnonzero(seen))
        apart = np.maximum(
            _distance_at_query(tracks, visibility, asked, pairs), _distance_at_query(tracks, visibility, asked, pairs[:, ::-1])
        )
        pairs = np.sort(pairs[apart >= _APART_PX], axis=1)
        found.append(np.unique(pairs[:, 0] * num_tracks + pairs[:, 1]))
    codes, frames = np.unique(np.concatenate(found), return_counts=True)
    first, second = np.divmod(codes[frames >= _MIN_FRAMES], max(num_tracks, 1))
    return _clusters(first, second, num_tracks)


def collapse(clusters: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """1 for tracks in a cluster, 0 for those alone, NaN for those with less than 5 visible frames; float64 "N"."""
    return np.where(visibility.sum(axis=0) >= _MIN_FRAMES, clusters >= 0, np.nan)


def _close_pairs(places: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Pairs of tracks closer than 1 px, int64 "M 2".

    Of tracks on exactly one spot each is paired with the first and with the next, and only the first goes into the tree, which
    does not cope with many equal points.
    """
    if len(here) < 2:
        return np.zeros((0, 2), np.int64)
    spots, first, spot_of = np.unique(places[here], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(spot_of.reshape(-1), kind="stable")
    same = np.diff(spot_of.reshape(-1)[order]) == 0
    repeated = order[1:][same]
    chained = np.column_stack([here[order[:-1][same]], here[repeated]])
    starred = np.column_stack([here[first[spot_of.reshape(-1)[repeated]]], here[repeated]])
    distance, nearest = cKDTree(spots).query(spots, k=min(_NEAREST + 1, len(spots)), distance_upper_bound=_TOGETHER_PX)
    distance, nearest = distance.reshape(len(spots), -1), nearest.reshape(len(spots), -1)
    start, column = np.nonzero(np.isfinite(distance) & (nearest != np.arange(len(spots))[:, None]))
    near = np.column_stack([here[first[start]], here[first[nearest[start, column]]]])
    return np.concatenate([chained, starred, near])


def _distance_at_query(tracks: np.ndarray, visibility: np.ndarray, asked: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Distance of the second of each pair from the first in the first's query frame; 0 where the second is hidden there."""
    start = asked[pairs[:, 0]]
    distance = np.linalg.norm(tracks[start, pairs[:, 1]] - tracks[start, pairs[:, 0]], axis=-1)
    return np.where(visibility[start, pairs[:, 1]], distance, 0.0)


def _clusters(first: np.ndarray, second: np.ndarray, num_tracks: int) -> np.ndarray:
    if len(first) == 0:
        return np.full(num_tracks, -1, np.int32)
    links = coo_array((np.ones(len(first)), (first, second)), shape=(num_tracks, num_tracks))
    _, component = connected_components(links, directed=False)
    crowded = np.bincount(component)[component] > 1
    numbered = np.full(num_tracks, -1, np.int32)
    numbered[crowded] = np.unique(component[crowded], return_inverse=True)[1]
    return numbered

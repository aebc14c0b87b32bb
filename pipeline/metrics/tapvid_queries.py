"""TAP-Vid's two ways of choosing queries from ground-truth tracks."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TapvidQueries:
    """Queries of one video, and for each the true track that it follows."""

    query_points: np.ndarray  # float64 "n 3"  (t, y, x)
    tracks: np.ndarray  # "n t 2"  (x, y)
    occluded: np.ndarray  # bool "n t"
    track_index: np.ndarray  # int64 "n": row of the source track


def sample_queries_first(occluded: np.ndarray, tracks: np.ndarray) -> TapvidQueries:
    """One query per track, in its first visible frame; tracks that are never visible are dropped.

    Args:
        occluded: bool "n t".
        tracks: "n t 2", (x, y).
    Raises: DataError if the shapes disagree.
    Source: google-deepmind/tapnet `sample_queries_first`.
    """
    _check(occluded, tracks)
    index = np.flatnonzero((~occluded).any(axis=1))
    frame = np.argmin(occluded[index], axis=1) if len(index) else np.zeros(0, np.int64)
    return _queries_at(occluded, tracks, index, frame)


def sample_queries_strided(occluded: np.ndarray, tracks: np.ndarray, *, stride: int = 5) -> TapvidQueries:
    """A query for every track visible in frame 0, stride, 2 stride, ...: ordered by frame, then by track. Arguments as above.

    Source: google-deepmind/tapnet `sample_queries_strided`.
    """
    if stride < 1:
        raise ConfigError(f"stride between query frames is {stride}, expected at least 1")
    _check(occluded, tracks)
    strided, index = np.nonzero(~occluded[:, ::stride].T)
    return _queries_at(occluded, tracks, index, strided * stride)


def _queries_at(occluded: np.ndarray, tracks: np.ndarray, index: np.ndarray, frame: np.ndarray) -> TapvidQueries:
    x, y = tracks[index, frame].T
    return TapvidQueries(
        query_points=np.stack([frame, y, x], axis=-1).astype(np.float64),
        tracks=tracks[index],
        occluded=occluded[index],
        track_index=index.astype(np.int64),
    )


def _check(occluded: np.ndarray, tracks: np.ndarray) -> None:
    if occluded.ndim != 2 or occluded.dtype != bool or tracks.shape != (*occluded.shape, 2):
        raise DataError(
            f"occluded is {occluded.dtype}{list(occluded.shape)}, tracks {list(tracks.shape)}; expected bool[n, t] and [n, t, 2]"
        )

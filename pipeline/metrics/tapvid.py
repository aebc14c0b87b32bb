"""TAP-Vid: accuracy of 2D tracks and of their visibility, and the two ways of choosing queries from true tracks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid_counts import THRESHOLDS_PX, PointOutcomes, TapvidMetrics, count_points, fractions_of, to_raster
from pipeline.records.arrays import Bools, Floats
from pipeline.records.labels import TrackLabels

QUERY_MODES = ("first", "strided")


def tapvid_metrics(
    query_points: Floats,
    gt_occluded: Bools,
    gt_tracks: Floats,
    pred_occluded: Bools,
    pred_tracks: Floats,
    *,
    query_mode: str,
) -> TapvidMetrics:
    """AJ, delta_avg and OA of each of b videos; sums run over the tracks and frames of one video.

    Args:
        query_points: "b n 3", (t, y, x); only t is used, rounded half to even.
        gt_occluded, pred_occluded: bool "b n t".
        gt_tracks, pred_tracks: "b n t 2", (x, y) in pixels of the 256 x 256 raster.
        query_mode: "first" evaluates the frames after the query's, "strided" all but the query's.
    Returns:
        Values of shape "b".
    Raises: ConfigError for an unknown mode; DataError if the shapes disagree.
    Source: TAP-Vid, section on metrics; equal to google-deepmind/tapnet `compute_tapvid_metrics`.
    """
    outcomes = _outcomes(query_points, gt_occluded, gt_tracks, pred_occluded, pred_tracks, query_mode)
    return fractions_of(count_points(outcomes, axes=(1, 2)))


def tapvid_trackwise_metrics(
    query_points: Floats,
    gt_occluded: Bools,
    gt_tracks: Floats,
    pred_occluded: Bools,
    pred_tracks: Floats,
    *,
    query_mode: str,
) -> TapvidMetrics:
    """The same values for each track alone, of shape "b n": sums run over frames only. Arguments as for `tapvid_metrics`."""
    outcomes = _outcomes(query_points, gt_occluded, gt_tracks, pred_occluded, pred_tracks, query_mode)
    return fractions_of(count_points(outcomes, axes=(2,)))


def tapvid_from_labels(
    labels: TrackLabels, true_tracks_px: Floats, true_visibility: Bools, *, height: int, width: int, query_mode: str = "first"
) -> TapvidMetrics:
    """Compare the labels of one clip with the truth; values are scalars (shape ()).

    Args:
        labels: T frames, N tracks, in pixels of a `height` x `width` image (integer = pixel centre).
        true_tracks_px: "T N 2" in the same pixels.
        true_visibility: bool "T N".
    Raises: DataError if the truth has another shape than the labels.
    """
    if true_tracks_px.shape != labels.tracks_px.shape or true_visibility.shape != labels.visibility.shape:
        raise DataError(
            f"truth is {list(true_tracks_px.shape)} with visibility {list(true_visibility.shape)}, the labels are"
            f" {list(labels.tracks_px.shape)}; ask for the truth of the labels' own queries and frames"
        )
    outcomes = _outcomes(
        labels.queries[None, :, [0, 2, 1]],
        ~true_visibility.T[None],
        to_raster(true_tracks_px, height=height, width=width).swapaxes(0, 1)[None],
        ~labels.visibility.T[None],
        to_raster(labels.tracks_px, height=height, width=width).swapaxes(0, 1)[None],
        query_mode,
    )
    return fractions_of(count_points(outcomes, axes=(0, 1, 2)))


def _outcomes(
    query_points: np.ndarray, gt_occluded: np.ndarray, gt_tracks: np.ndarray, pred_occluded: np.ndarray, pred_tracks: np.ndarray, mode: str
) -> PointOutcomes:
    if mode not in QUERY_MODES:
        raise ConfigError(f"query mode is {mode!r}, expected one of {', '.join(QUERY_MODES)}")
    shape = gt_occluded.shape
    wanted = {"pred_occluded": (pred_occluded, shape), "gt_tracks": (gt_tracks, (*shape, 2)), "pred_tracks": (pred_tracks, (*shape, 2))}
    for name, (array, want) in {"query_points": (query_points, (*shape[:2], 3)), **wanted}.items():
        if len(shape) != 3 or array.shape != want:
            raise DataError(
                f"{name} is {list(array.shape)} where gt_occluded is {list(shape)}; expected {list(want)} with gt_occluded [b, n, t]"
            )
    frame = np.arange(shape[2])
    query_frame = np.round(query_points[..., :1])
    squared_distance = np.sum(np.square(np.asarray(pred_tracks, np.float64) - gt_tracks), axis=-1)
    return PointOutcomes(
        evaluated=frame > query_frame if mode == "first" else frame != query_frame,
        visible=~np.asarray(gt_occluded, bool),
        predicted_visible=~np.asarray(pred_occluded, bool),
        within={threshold: squared_distance < threshold**2 for threshold in THRESHOLDS_PX},
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TapvidQueries:
    """Queries of one video, and for each the true track that it follows."""

    query_points: npt.NDArray[np.float64]  # float64 "n 3"  (t, y, x)
    tracks: np.ndarray  # "n t 2"  (x, y)
    occluded: npt.NDArray[np.bool_]  # bool "n t"
    track_index: npt.NDArray[np.int64]  # int64 "n": row of the source track


def sample_queries_first(occluded: Bools, tracks: Floats) -> TapvidQueries:
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


def sample_queries_strided(occluded: Bools, tracks: Floats, *, stride: int = 5) -> TapvidQueries:
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

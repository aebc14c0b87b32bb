"""TAP-Vid: how well 2D tracks follow the true ones, and whether they know when they see nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.records.labels import TrackLabels

THRESHOLDS_PX = (1, 2, 4, 8, 16)
RASTER = 256  # both sides of the raster on which distances are measured
QUERY_MODES = ("first", "strided")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TapvidMetrics:
    """Fractions in [0, 1], float64: one value per video ("b"), or per track ("b n") from the trackwise function.

    NaN where a value is undefined: nothing visible, or no frame to evaluate.
    """

    average_jaccard: np.ndarray  # AJ: mean of `jaccard` over the thresholds
    average_pts_within_thresh: np.ndarray  # delta_avg: mean of `pts_within` over the thresholds
    occlusion_accuracy: np.ndarray  # OA
    jaccard: Mapping[int, np.ndarray]  # by threshold in pixels of the 256 x 256 raster
    pts_within: Mapping[int, np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Counts:
    """The boolean arrays ("b n t") from which every value is counted."""

    evaluated: np.ndarray
    visible: np.ndarray
    predicted_visible: np.ndarray
    squared_distance: np.ndarray


def tapvid_metrics(
    query_points: np.ndarray,
    gt_occluded: np.ndarray,
    gt_tracks: np.ndarray,
    pred_occluded: np.ndarray,
    pred_tracks: np.ndarray,
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
    counts = _counts(query_points, gt_occluded, gt_tracks, pred_occluded, pred_tracks, query_mode)
    return _measured(counts, axes=(1, 2))


def tapvid_trackwise_metrics(
    query_points: np.ndarray,
    gt_occluded: np.ndarray,
    gt_tracks: np.ndarray,
    pred_occluded: np.ndarray,
    pred_tracks: np.ndarray,
    *,
    query_mode: str,
) -> TapvidMetrics:
    """The same values for each track alone, of shape "b n": sums run over frames only. Arguments as for `tapvid_metrics`."""
    counts = _counts(query_points, gt_occluded, gt_tracks, pred_occluded, pred_tracks, query_mode)
    return _measured(counts, axes=(2,))


def tapvid_from_labels(
    labels: TrackLabels, true_tracks_px: np.ndarray, true_visibility: np.ndarray, *, height: int, width: int, query_mode: str = "first"
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
    batched = tapvid_metrics(
        labels.queries[None, :, [0, 2, 1]],
        ~true_visibility.T[None],
        pixel_to_raster(true_tracks_px, height=height, width=width).swapaxes(0, 1)[None],
        ~labels.visibility.T[None],
        pixel_to_raster(labels.tracks_px, height=height, width=width).swapaxes(0, 1)[None],
        query_mode=query_mode,
    )
    return TapvidMetrics(
        average_jaccard=batched.average_jaccard[0],
        average_pts_within_thresh=batched.average_pts_within_thresh[0],
        occlusion_accuracy=batched.occlusion_accuracy[0],
        jaccard={threshold: value[0] for threshold, value in batched.jaccard.items()},
        pts_within={threshold: value[0] for threshold, value in batched.pts_within.items()},
    )


def pixel_to_raster(tracks_px: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Positions "... 2" in pixels of an image to those of the 256 x 256 raster, float64, pixel centres on both sides.

    The image [-0.5, W-0.5] covers the raster [-0.5, 255.5]: (x + 0.5) 256 / W - 0.5.
    """
    return (np.asarray(tracks_px, np.float64) + 0.5) * (RASTER / np.array([width, height])) - 0.5


def _counts(
    query_points: np.ndarray, gt_occluded: np.ndarray, gt_tracks: np.ndarray, pred_occluded: np.ndarray, pred_tracks: np.ndarray, mode: str
) -> _Counts:
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
    return _Counts(
        evaluated=frame > query_frame if mode == "first" else frame != query_frame,
        visible=~np.asarray(gt_occluded, bool),
        predicted_visible=~np.asarray(pred_occluded, bool),
        squared_distance=np.sum(np.square(np.asarray(pred_tracks, np.float64) - gt_tracks), axis=-1),
    )


def _measured(counts: _Counts, *, axes: tuple[int, ...]) -> TapvidMetrics:
    evaluated, predicted = counts.evaluated, counts.predicted_visible
    jaccard, pts_within = {}, {}
    positives = _count(counts.visible & evaluated, axes)
    for threshold in THRESHOLDS_PX:
        within = counts.squared_distance < threshold**2
        true_positives = _count(within & counts.visible & predicted & evaluated, axes)
        false_positives = _count((~counts.visible | ~within) & predicted & evaluated, axes)
        pts_within[threshold] = _ratio(_count(within & counts.visible & evaluated, axes), positives)
        jaccard[threshold] = _ratio(true_positives, positives + false_positives)
    return TapvidMetrics(
        average_jaccard=np.mean(list(jaccard.values()), axis=0),
        average_pts_within_thresh=np.mean(list(pts_within.values()), axis=0),
        occlusion_accuracy=_ratio(_count((predicted == counts.visible) & evaluated, axes), _count(evaluated, axes)),
        jaccard=jaccard,
        pts_within=pts_within,
    )


def _count(condition: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.sum(condition, axis=axes, dtype=np.int64))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0."""
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)

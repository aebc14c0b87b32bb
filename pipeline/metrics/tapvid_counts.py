"""Counts of the TAP-Vid family in 2D and 3D, their fractions, and the 256 x 256 raster on which distances are measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

RASTER = 256  # both sides
THRESHOLDS_PX = (1, 2, 4, 8, 16)
COUNTED = ("evaluated", "agreeing", "visible", "within", "visible_within", "true_positives", "false_positives")


def to_raster(tracks_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """Positions "... 2" in pixels of a `height` x `width` image to pixels of the raster, float64.

    Integer = pixel centre on both sides, so the image [-0.5, W-0.5] covers the raster [-0.5, 255.5]: x becomes
    (x + 0.5) 256 / width - 0.5, y likewise with the height.
    """
    return (np.asarray(tracks_px, np.float64) + 0.5) * (RASTER / np.array([width, height])) - 0.5


def length_to_raster(length_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lengths of unknown direction in pixels of the image to pixels of the raster, by the mean scale 256 / sqrt(height width).

    A length along one axis of an image that is not square is off by the root of its aspect ratio: 1.33 at 16:9.
    """
    return np.asarray(length_px, np.float64) * (RASTER / np.sqrt(height * width))


def length_from_raster(length_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lengths in pixels of the raster to pixels of the image, the inverse of `length_to_raster`, by the mean scale, float64."""
    return np.asarray(length_px, np.float64) * (np.sqrt(height * width) / RASTER)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TapvidMetrics:
    """Fractions in [0, 1], float64: one value per video, or per track from the trackwise functions.

    NaN where a value is undefined: nothing visible, or no frame to evaluate; `undefined` says which and why.
    """

    average_jaccard: np.ndarray  # AJ: mean of `jaccard` over the thresholds
    average_pts_within_thresh: np.ndarray  # delta_avg in 2D, APD in 3D: mean of `pts_within` over the thresholds
    occlusion_accuracy: np.ndarray  # OA
    jaccard: Mapping[int, np.ndarray]  # by threshold in pixels of the 256 raster
    pts_within: Mapping[int, np.ndarray]
    undefined: Mapping[str, str] = field(default_factory=dict)  # name of a field that holds NaN -> the reason


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointOutcomes:
    """Outcome of every point in every frame; all arrays have one shape."""

    evaluated: np.ndarray  # bool
    visible: np.ndarray  # bool, truth
    predicted_visible: np.ndarray  # bool
    within: Mapping[int, np.ndarray]  # by threshold, bool: near enough, seen or not


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TapvidCounts:
    """Numbers of points (float64 where weighted), of any shape "..." such as one per track; K thresholds."""

    thresholds: tuple[int, ...]  # K
    evaluated: np.ndarray  # "..."
    agreeing: np.ndarray  # "...": visibility predicted rightly
    visible: np.ndarray  # "..."
    within: np.ndarray  # "K ...": near enough, seen or not
    visible_within: np.ndarray  # "K ..."
    true_positives: np.ndarray  # "K ..."
    false_positives: np.ndarray  # "K ..."


def count_points(outcomes: PointOutcomes, *, axes: tuple[int, ...]) -> TapvidCounts:
    """Sum the outcomes over `axes`."""
    visible, predicted, evaluated = outcomes.visible, outcomes.predicted_visible, outcomes.evaluated
    seen, claimed = visible & evaluated, predicted & evaluated
    near_by_threshold = list(outcomes.within.values())
    return TapvidCounts(
        thresholds=tuple(outcomes.within),
        evaluated=_count(evaluated, axes),
        agreeing=_count((predicted == visible) & evaluated, axes),
        visible=_count(seen, axes),
        within=np.stack([_count(near & evaluated, axes) for near in near_by_threshold]),
        visible_within=np.stack([_count(near & seen, axes) for near in near_by_threshold]),
        true_positives=np.stack([_count(near & visible & claimed, axes) for near in near_by_threshold]),
        false_positives=np.stack([_count((~visible | ~near) & claimed, axes) for near in near_by_threshold]),
    )


def fractions_of(counts: TapvidCounts) -> TapvidMetrics:
    """AJ, the share within the thresholds, and OA.

    Source: TAP-Vid, section on metrics: jaccard = TP / (visible + FP), within = near and visible / visible, OA = agreeing / evaluated.
    """
    jaccard = ratio(counts.true_positives, counts.visible + counts.false_positives)
    pts_within = ratio(counts.visible_within, np.broadcast_to(counts.visible, counts.visible_within.shape))
    values = {
        "average_jaccard": np.asarray(np.mean(jaccard, axis=0)),
        "average_pts_within_thresh": np.asarray(np.mean(pts_within, axis=0)),
        "occlusion_accuracy": ratio(counts.agreeing, counts.evaluated),
    }
    return TapvidMetrics(
        **values,
        jaccard=dict(zip(counts.thresholds, map(np.asarray, jaccard), strict=True)),
        pts_within=dict(zip(counts.thresholds, map(np.asarray, pts_within), strict=True)),
        undefined=_reasons(values, counts),
    )


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator in float64, NaN where the denominator is 0."""
    undefined = np.full(np.shape(denominator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0))


def _reasons(values: Mapping[str, np.ndarray], counts: TapvidCounts) -> dict[str, str]:
    reasons = {}
    for name, why in (
        ("average_jaccard", "no true point is visible and none is predicted visible in the frames evaluated"),
        ("average_pts_within_thresh", "no true point is visible in the frames evaluated"),
        ("occlusion_accuracy", ""),
    ):
        missing = np.isnan(values[name])
        if missing.any():
            why = "there is no frame to evaluate" if (counts.evaluated[missing] == 0).all() else why
            reasons[name] = why if missing.ndim == 0 else f"{missing.sum()} of {missing.size}: {why}"
    return reasons


def _count(condition: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.sum(condition, axis=axes, dtype=np.int64))

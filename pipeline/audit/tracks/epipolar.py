"""Two-view geometry of pairs of frames: how far each point is from moving as a rigid scene would."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipeline.audit.tracks.inputs import median_where
from pipeline.metrics.tapvid_counts import RASTER

MIN_POINTS = 30
FUNDAMENTAL_PX, HOMOGRAPHY_PX = 1.0, 2.0  # of the raster
_CONFIDENCE, _ITERATIONS = 0.999, 2000
_CELL_PX = 16.0  # one point of each cell takes part in a fit, so that a crowd of points on one object has no more say than its area
_FOCAL = 0.85  # of the longer side: 61 degrees; no result depends on it much
_ESSENTIAL_SHARE = 0.8  # of the fundamental matrix's inliers: with fewer, the guess of the focal length must be wrong


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairGeometry:
    """M points visible in two frames, and the distances, in pixels of the raster, from what two models predict; NaN where a fit failed."""

    start: int  # frames
    end: int
    tracks: np.ndarray  # int64 "M"
    before: np.ndarray  # float64 "M 2", raster
    after: np.ndarray  # float64 "M 2"
    sampson_px: np.ndarray  # float64 "M"
    homography_px: np.ndarray  # float64 "M"
    fundamental: np.ndarray | None  # float64 "3 3": after' F before = 0


def pair_geometries(tracks: np.ndarray, visibility: np.ndarray, *, gap: int, every: int = 4, aspect: float = 1.0) -> list[PairGeometry]:
    """Fit a fundamental matrix and a homography to each pair of frames (t, t + gap), t = 0, `every`, 2 `every`, ...

    MAGSAC, with thresholds of 1 px and 2 px, confidence 0.999, 2000 iterations; equal input gives equal fits. At most one point of each
    cell of 16 x 16 px takes part (smaller cells where that leaves few), residuals are of all. Pairs with fewer than 30 points visible
    in both frames are left out.

    The fundamental matrix is F = K^-T E K^-1, E an essential matrix and K with a guessed focal length of 0.85 longer sides: its five
    free numbers are harder to bend to the motion of objects than the seven of a free F, which takes its place only where E has less than
    0.8 of its inliers.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N". aspect: width / height of the clip.
    """
    pairs = []
    for start in range(0, len(tracks) - gap, every):
        both = np.flatnonzero(visibility[start] & visibility[start + gap])
        if len(both) >= MIN_POINTS:
            pairs.append(_fit(tracks[start, both], tracks[start + gap, both], aspect, start=start, end=start + gap, tracks=both))
    return pairs


def sampson_med(pairs: list[PairGeometry], num_tracks: int) -> np.ndarray:
    """Median Sampson distance of each track over the pairs, float64 "N".

    |b' F a| / sqrt((F a)_1^2 + (F a)_2^2 + (F' b)_1^2 + (F' b)_2^2). Points that move by themselves are far from 0 rightly; a camera
    that only turns leaves F undetermined.
    """
    return _median([(pair.tracks, pair.sampson_px) for pair in pairs], num_tracks)


def homog_med(pairs: list[PairGeometry], num_tracks: int) -> np.ndarray:
    """Median symmetric transfer distance of each track over the pairs, float64 "N": sqrt((|H a - b|^2 + |H^-1 b - a|^2) / 2).

    Parallax of static points is far from 0 rightly.
    """
    return _median([(pair.tracks, pair.homography_px) for pair in pairs], num_tracks)


def sampson_distance(fundamental: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """First-order distance of M correspondences "M 2" from the epipolar geometry, pixels, float64 "M".

    Source: Hartley, Zisserman, Multiple View Geometry, eq. (11.9), its root.
    """
    a, b = (np.column_stack([points, np.ones(len(points))]) for points in (before, after))
    lines_after, lines_before = a @ fundamental.T, b @ fundamental
    scale = np.sqrt((lines_after[:, :2] ** 2).sum(axis=1) + (lines_before[:, :2] ** 2).sum(axis=1))
    return np.abs((b * lines_after).sum(axis=1)) / np.maximum(scale, 1e-12)


def transfer_distance(homography: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Root mean square of the distances there and back, pixels, float64 "M"; infinite where a point is sent to infinity.

    Source: Hartley, Zisserman, Multiple View Geometry, eq. (4.7), the symmetric transfer error.
    """
    there = ((_transfer(homography, before) - after) ** 2).sum(axis=1)
    back = ((_transfer(np.linalg.pinv(homography), after) - before) ** 2).sum(axis=1)
    return np.sqrt((there + back) / 2)


def _fit(before: np.ndarray, after: np.ndarray, aspect: float, **pair: Any) -> PairGeometry:
    chosen = _evenly(before)
    fundamental = _rigid(before[chosen], after[chosen], aspect)
    homography = _homography(before[chosen], after[chosen])
    unknown = np.full(len(before), np.nan)
    return PairGeometry(
        **pair,
        before=before,
        after=after,
        sampson_px=unknown if fundamental is None else sampson_distance(fundamental, before, after),
        homography_px=transfer_distance(homography, before, after) if homography is not None else unknown,
        fundamental=fundamental,
    )


def _evenly(places: np.ndarray) -> np.ndarray:
    """Increasing rows, the first of each cell; of smaller cells where there would be few, and all rows where there are few at all."""
    for cell in (_CELL_PX, _CELL_PX / 2, _CELL_PX / 4):
        _, first = np.unique(np.floor(places / cell), axis=0, return_index=True)
        if len(first) >= 2 * MIN_POINTS:
            return np.sort(first)
    return np.arange(len(places))


def _rigid(before: np.ndarray, after: np.ndarray, aspect: float) -> np.ndarray | None:
    """The fundamental matrix of a rigid scene."""
    free, guessed = _fundamental(before, after), _calibrated(before, after, aspect)
    if free is None or guessed is None:
        return free if guessed is None else guessed
    inliers = [np.sum(sampson_distance(model, before, after) <= FUNDAMENTAL_PX) for model in (guessed, free)]
    return guessed if inliers[0] >= _ESSENTIAL_SHARE * inliers[1] else free


def _calibrated(before: np.ndarray, after: np.ndarray, aspect: float) -> np.ndarray | None:
    """An essential matrix under the guessed focal length, as a fundamental matrix of pixels of the raster."""
    focal_px = _FOCAL * RASTER * np.array([max(1.0, 1 / aspect), max(1.0, aspect)])  # a pixel of the raster need not be square
    centre = (RASTER - 1) / 2
    a, b = ((points - centre) / focal_px for points in (before, after))
    limit = FUNDAMENTAL_PX / float(focal_px.mean())
    try:
        found, _ = cv2.findEssentialMat(a, b, np.eye(3), cv2.USAC_MAGSAC, _CONFIDENCE, limit, _ITERATIONS)
    except cv2.error:  # as below
        return None
    essential = _usable(None if found is None else found[:3])
    if essential is None:
        return None
    to_rays = np.array([[1 / focal_px[0], 0, -centre / focal_px[0]], [0, 1 / focal_px[1], -centre / focal_px[1]], [0, 0, 1]])
    return np.asarray(to_rays.T @ essential @ to_rays)


def _fundamental(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    try:
        model, _ = cv2.findFundamentalMat(before, after, cv2.USAC_MAGSAC, FUNDAMENTAL_PX, _CONFIDENCE, _ITERATIONS)
    except cv2.error:  # OpenCV's own assertion, where all points move alike: they determine no fundamental matrix
        return None
    return _usable(model)


def _homography(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    try:
        model, _ = cv2.findHomography(before, after, cv2.USAC_MAGSAC, HOMOGRAPHY_PX, maxIters=_ITERATIONS, confidence=_CONFIDENCE)
    except cv2.error:  # as above
        return None
    return _usable(model)


def _usable(model: np.ndarray | None) -> np.ndarray | None:
    right = model is not None and model.shape == (3, 3) and bool(np.isfinite(model).all()) and bool(np.any(model))
    return model if right else None


def _transfer(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    moved = points @ homography[:, :2].T + homography[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(moved[:, 2:]) > 1e-12, moved[:, :2] / moved[:, 2:], np.inf)


def _median(residuals: list[tuple[np.ndarray, np.ndarray]], num_tracks: int) -> np.ndarray:
    table = np.full((len(residuals), num_tracks), np.nan)
    for row, (tracks, distance) in enumerate(residuals):
        table[row, tracks] = distance
    return median_where(table, ~np.isnan(table))

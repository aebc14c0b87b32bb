"""Two-view geometry of pairs of frames: how far each point is from moving as a rigid scene would."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.audit.tracks.masked import median_where

MIN_POINTS = 30
FUNDAMENTAL_PX, HOMOGRAPHY_PX = 1.0, 2.0  # of the raster
_CONFIDENCE, _ITERATIONS = 0.999, 2000
_MOST_POINTS = 4096  # in a fit, evenly chosen: bounds its time; residuals are of all points


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


def pair_geometries(tracks: np.ndarray, visibility: np.ndarray, *, gap: int, every: int = 4) -> list[PairGeometry]:
    """Fit a fundamental matrix and a homography to each pair of frames (t, t + gap), t = 0, `every`, 2 `every`, ...

    MAGSAC, with thresholds of 1 px and 2 px, confidence 0.999, 2000 iterations; equal input gives equal fits. Pairs with fewer
    than 30 points visible in both frames are left out.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N".
    """
    pairs = []
    for start in range(0, len(tracks) - gap, every):
        both = np.flatnonzero(visibility[start] & visibility[start + gap])
        if len(both) >= MIN_POINTS:
            pairs.append(_fit(tracks, both, start, start + gap))
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


def _fit(tracks: np.ndarray, both: np.ndarray, start: int, end: int) -> PairGeometry:
    before, after = tracks[start, both], tracks[end, both]
    chosen = np.unique(np.linspace(0, len(both) - 1, min(len(both), _MOST_POINTS)).astype(np.int64))
    fundamental = _fundamental(before[chosen], after[chosen])
    homography = _homography(before[chosen], after[chosen])
    unknown = np.full(len(both), np.nan)
    return PairGeometry(
        start=start,
        end=end,
        tracks=both,
        before=before,
        after=after,
        sampson_px=unknown if fundamental is None else sampson_distance(fundamental, before, after),
        homography_px=transfer_distance(homography, before, after) if homography is not None else unknown,
        fundamental=fundamental,
    )


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

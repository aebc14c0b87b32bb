"""The scale and shift that carry one point cloud onto another with the least absolute error: few bad points do not move them."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import Floats

CHUNK = 1 << 20  # scalars sorted at a time, so that memory stays at tens of MB


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScaleShift:
    """x -> scale * x + shift, float64. All values are NaN where nothing determines them; `undefined` says why."""

    scale: float  # target units per source unit
    shift: np.ndarray  # "3", in units of the target
    objective: float  # the weighted sum of absolute residuals
    anchor: int | None = None  # the point without residual
    undefined: str | None = None

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points "... 3" of the source in the target's frame."""
        return self.scale * np.asarray(points, np.float64) + self.shift


def fit_scale_shift(source: Floats, target: Floats, *, weights: Floats | None = None, truncation: float | None = None) -> ScaleShift:
    """argmin over s, t of sum_i w_i |s x_i + t - y_i|_1, among the solutions that leave one point (the anchor) without residual.

    Time grows as N^2 log N: thin the points first (`nearest_valid_pixels`). The scale of a mirrored cloud may come out negative.

    Args:
        source, target: "N 3", row i of one corresponds to row i of the other.
        weights: "N", not negative; None weighs all alike. Points of weight 0 neither count nor anchor.
        truncation: if given, each coordinate's weighted residual counts at most this much.
    Raises: DataError if shapes disagree, or a point that counts is not finite; ConfigError if the truncation is not positive.
    Source: Track4World, alignment of scale and translation (MoGe's solver).
    """
    if truncation is not None and not truncation > 0:
        raise ConfigError(f"truncation is {truncation}, expected more than 0")
    source, target, weights = _checked(source, target, weights)
    counted = np.flatnonzero(weights > 0)
    source, target, weights = source[counted], target[counted], weights[counted]
    for name, points in (("source", source), ("target", target)):
        if not len(points) or not np.ptp(points, axis=0).any():
            return _undefined(f"all points of the {name} coincide" if len(points) else "there are no points to align")
    scale, objective, anchor = np.nan, np.inf, 0
    rows = max(1, CHUNK // source.size)
    for start in range(0, len(source), rows):
        at = slice(start, start + rows)
        x, y = source - source[at, None], target - target[at, None]  # "rows N 3"
        scales, objectives = _best_scales(x, y, weights, truncation)
        if objectives.min() < objective:
            best = int(np.argmin(objectives))
            scale, objective, anchor = float(scales[best]), float(objectives[best]), start + best
    return ScaleShift(scale=scale, shift=target[anchor] - scale * source[anchor], objective=objective, anchor=int(counted[anchor]))


def fit_scale(source: Floats, target: Floats, *, weights: Floats | None = None) -> ScaleShift:
    """argmin over s of sum_i w_i |s x_i - y_i|_1: the exact solution without a shift. Arguments as above; the shift is 0."""
    source, target, weights = _checked(source, target, weights)
    counted = weights > 0
    for name, points in (("source", source[counted]), ("target", target[counted])):
        if not points.any():
            return _undefined(f"all points of the {name} are 0" if counted.any() else "there are no points to align")
    scales, objectives = _best_scales(source[counted][None], target[counted][None], weights[counted], None)
    return ScaleShift(scale=float(scales[0]), shift=np.zeros(3), objective=float(objectives[0]))


def _best_scales(x: np.ndarray, y: np.ndarray, weights: np.ndarray, truncation: float | None) -> tuple[np.ndarray, np.ndarray]:
    """For each row of "R N 3" the best scale "R" and its objective "R"."""
    num_rows = len(x)
    w = np.broadcast_to(weights[:, None], x.shape).reshape(num_rows, -1)
    x, y = x.reshape(num_rows, -1), y.reshape(num_rows, -1)
    scales = _weighted_medians(x, y, w) if truncation is None else _truncated_scales(x, y, w, truncation)
    residual = w * np.abs(scales[:, None] * x - y)
    objectives = (residual if truncation is None else np.minimum(residual, truncation)).sum(axis=1)
    return scales, np.where(np.isfinite(scales), objectives, np.inf)


def _weighted_medians(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Per row the weighted median of y / x with weights w |x|: the first ratio at which half the weight is reached."""
    slope = w * np.abs(x)
    ratio = np.divide(y, x, out=np.full(x.shape, np.inf), where=x != 0)  # without weight: sorted last
    order = np.argsort(ratio, axis=1)
    reached = np.cumsum(np.take_along_axis(slope, order, axis=1), axis=1)
    median = np.argmax(2 * reached >= reached[:, -1:], axis=1)
    return np.asarray(np.take_along_axis(ratio, np.take_along_axis(order, median[:, None], axis=1), axis=1)[:, 0])


def _truncated_scales(x: np.ndarray, y: np.ndarray, w: np.ndarray, truncation: float) -> np.ndarray:
    """Per row the minimum over s of sum min(truncation, w |s x - y|).

    The sum is piecewise linear: a term falls with slope w|x| over a stretch truncation / (w|x|) before y / x, and rises as long after it.
    So the slopes are summed over the sorted corners, the values over the slopes, and the least value is at a corner.
    """
    scales = np.full(len(x), np.nan)
    for row in range(len(x)):
        slope = w[row] * np.abs(x[row])
        moving = slope > 0
        if not moving.any():
            continue
        slope, middle = slope[moving], y[row][moving] / x[row][moving]
        reach = truncation / slope
        corners = np.concatenate([middle - reach, middle, middle + reach])
        order = np.argsort(corners)
        corners = corners[order]
        slopes = np.cumsum(np.concatenate([-slope, 2 * slope, -slope])[order])
        values = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(corners))])
        scales[row] = corners[np.argmin(values)]
    return scales


def _checked(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    if source.ndim != 2 or source.shape[1] != 3 or target.shape != source.shape or weights.shape != source.shape[:1]:
        raise DataError(
            f"source is {list(source.shape)}, target {list(target.shape)}, weights {list(weights.shape)}; expected [N, 3], [N, 3] and [N]"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise DataError("weights hold a negative, NaN or infinite value; a point that shall not count has weight 0")
    if not (np.isfinite(source[weights > 0]).all() and np.isfinite(target[weights > 0]).all()):
        raise DataError("source or target holds NaN or infinity; give such points weight 0 or leave them out")
    return source, target, weights


def _undefined(why: str) -> ScaleShift:
    return ScaleShift(scale=np.nan, shift=np.full(3, np.nan), objective=np.nan, undefined=why)

"""Scene flow between two frames: motion of the first one's points in space and in pixels, up to one scale and shift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.averages import defined_mean
from pipeline.metrics.scale_shift import ScaleShift, fit_scale_shift
from pipeline.records.arrays import Bools

EPSILON = 1e-6  # beside norms that are divided by
MIN_DEPTH_M = 1e-5
MEASURES_3D = ("epe_3d_m", "accuracy_strict_3d", "accuracy_relaxed_3d", "outliers_3d", "points_abs_rel", "points_delta1")
MEASURES_2D = ("epe_2d_px", "accuracy_1px", "accuracy_3px", "outliers_2d")


def nearest_valid_pixels(valid: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """For each cell of a grid over the image the valid pixel nearest to the cell's centre, within a window of the cell's size.

    Args:
        valid: bool "H W".
        grid: rows and columns. With more of them than pixels a pixel stands for several cells.
    Returns:
        int64 "M": flat indices into H W, by cell in row-major order; cells without a valid pixel are left out. The first pixel wins a tie.
    Source: MoGe, mask-aware nearest resize.
    """
    if valid.ndim != 2 or valid.dtype != bool or min(grid) < 1:
        raise DataError(f"valid is {valid.dtype}{list(valid.shape)}, grid {list(grid)}; expected bool[H, W] and two positive numbers")
    height, width = valid.shape
    rows, row_distance = _windows(height, grid[0])
    columns, column_distance = _windows(width, grid[1])
    shape = (*grid, rows.shape[1], columns.shape[1])
    row = np.broadcast_to(rows[:, None, :, None], shape)
    column = np.broadcast_to(columns[None, :, None, :], shape)
    distance = row_distance[:, None, :, None] ** 2 + column_distance[None, :, None, :] ** 2
    distance = np.where(valid[row, column], distance, np.inf).reshape(*grid, -1)
    nearest = np.argmin(distance, axis=-1)[..., None]
    index = np.take_along_axis((row * width + column).reshape(*grid, -1), nearest, axis=-1)
    found = np.isfinite(np.take_along_axis(distance, nearest, axis=-1))
    return index[found].astype(np.int64)


def _windows(size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis, per cell: the pixels of its window, and their distances from its centre (pixel centres at +0.5)."""
    extent = max(1.0, size / cells)
    centre = (np.arange(cells) + 0.5) * (size / cells)
    first = np.round(centre - extent / 2).astype(np.int64)
    pixels = np.minimum(first[:, None] + np.arange(int(np.ceil(extent))), size - 1)  # a window never lies wholly outside
    return pixels, pixels + 0.5 - centre[:, None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneFlow:
    """Points of one frame, and their positions at the time of another."""

    points: np.ndarray  # float "H W 3", camera of the first frame; metres if truth
    endpoints: np.ndarray  # float "H W 3": the same surface points later, camera of the second frame
    target_px: np.ndarray | None = None  # float "H W 2": where they are seen later, absolute pixels (x, y)

    def __post_init__(self) -> None:
        image = self.points.shape[:2]
        expected = {"points": (*image, 3), "endpoints": (*image, 3), "target_px": (*image, 2)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and (array.ndim != 3 or array.shape != shape):
                raise DataError(f"{name} of a scene flow is {list(array.shape)}, expected {list(shape)} beside points [H, W, 3]")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneFlowMetrics:
    """Of one pair of frames, or of many (`pool_scene_flow`). Shares are in [0, 1]; NaN where undefined, with the reason.

    Relative errors are against the norm of the true flow; in `outliers_2d` against the norm of the true target position, as the public
    evaluation has it.
    """

    epe_3d_m: float  # mean norm of the flow's error
    accuracy_strict_3d: float  # error < 0.05 m or < 5 %
    accuracy_relaxed_3d: float  # < 0.10 m or < 10 %
    outliers_3d: float  # > 0.30 m or > 10 %
    epe_2d_px: float
    accuracy_1px: float
    accuracy_3px: float
    outliers_2d: float  # > 3 px and > 5 %
    points_abs_rel: float  # mean |p - g| / |g| over the points of both frames
    points_delta1: float  # share with |p - g| < 0.25 min(|g|, |p|)
    num_pixels: int
    alignment: ScaleShift | None  # what carried the prediction onto the truth; None for a pool
    undefined: Mapping[str, str] = field(default_factory=dict)  # name of a field that is NaN -> the reason


def valid_scene_flow(truth: SceneFlow, *, max_depth_m: float = 80.0) -> Bools:
    """bool "H W": all truth is finite, and the point seen lies between 1e-5 m and `max_depth_m` (30 m for Kubric) along z.

    Source: Track4World, evaluation of scene flow.
    """
    arrays = (truth.points, truth.endpoints) if truth.target_px is None else (truth.points, truth.endpoints, truth.target_px)
    finite = np.logical_and.reduce([np.isfinite(array).all(axis=-1) for array in arrays])
    with np.errstate(invalid="ignore"):  # NaN is not valid: said above
        return np.asarray(finite & (truth.points[..., 2] > MIN_DEPTH_M) & (truth.points[..., 2] < max_depth_m))


def scene_flow_metrics(prediction: SceneFlow, truth: SceneFlow, *, valid: Bools, fit_grid: int | None = 32) -> SceneFlowMetrics:
    """Measure one pair of frames after one scale and shift, fitted to the points of both frames with weights 1 / |true point|.

    Points become s p + t, flows s F.

    Args:
        valid: bool "H W", such as `valid_scene_flow` with whatever else the data set masks.
        fit_grid: rows and columns of the grid of valid pixels that the fit sees; None: all of them (its time grows with their square).
    Raises: DataError if shapes disagree, or a prediction is not finite where valid.
    Source: Track4World, scene flow protocol and definitions.
    """
    _check(prediction, truth, valid)
    alignment = _aligned(prediction, truth, valid, fit_grid)
    measured: dict[str, float] = dict.fromkeys((*MEASURES_3D, *MEASURES_2D), np.nan)
    undefined: dict[str, str] = {}
    if alignment.undefined is None:
        measured |= _measures_3d(prediction, truth, valid, alignment)
    else:
        undefined |= dict.fromkeys(MEASURES_3D, f"no alignment: {alignment.undefined}")
    if prediction.target_px is None or truth.target_px is None:
        undefined |= dict.fromkeys(MEASURES_2D, "no target pixels given")
    elif not valid.any():
        undefined |= dict.fromkeys(MEASURES_2D, "no pixel is valid")
    else:
        measured |= pixel_measures(prediction.target_px[valid], truth.target_px[valid])
    return SceneFlowMetrics(**measured, num_pixels=int(valid.sum()), alignment=alignment, undefined=undefined)


def pool_scene_flow(pairs: Sequence[SceneFlowMetrics]) -> SceneFlowMetrics:
    """The values over all valid pixels of many pairs: means weighted by pixels. Pairs where a value is undefined do not count for it.

    Source: Track4World, scene flow protocol: sums over the pixels of the data set.
    """
    weights = [pair.num_pixels for pair in pairs]
    means = {name: defined_mean([getattr(pair, name) for pair in pairs], weights).value for name in (*MEASURES_3D, *MEASURES_2D)}
    reason = "it is undefined in every pair" if pairs else "there are no pairs"
    undefined = {name: reason for name, value in means.items() if np.isnan(value)}
    return SceneFlowMetrics(**means, num_pixels=sum(weights), alignment=None, undefined=undefined)


def pixel_measures(target_px: np.ndarray, true_target_px: np.ndarray) -> dict[str, float]:
    """MEASURES_2D of positions in the second frame, absolute pixels "N 2" each, at least one."""
    error = _norm(target_px.astype(np.float64) - true_target_px)
    relative = error / (_norm(true_target_px) + EPSILON)
    return {
        "epe_2d_px": float(error.mean()),
        "accuracy_1px": float(np.mean(error < 1)),
        "accuracy_3px": float(np.mean(error < 3)),
        "outliers_2d": float(np.mean((error > 3) & (relative > 0.05))),
    }


def _aligned(prediction: SceneFlow, truth: SceneFlow, valid: np.ndarray, fit_grid: int | None) -> ScaleShift:
    if fit_grid is not None and fit_grid < 1:
        raise ConfigError(f"fit_grid is {fit_grid}, expected at least 1, or None for all pixels")
    pixels = np.flatnonzero(valid) if fit_grid is None else nearest_valid_pixels(valid, grid=(fit_grid, fit_grid))
    source, target = (
        np.concatenate([flow.points.reshape(-1, 3)[pixels], flow.endpoints.reshape(-1, 3)[pixels]]) for flow in (prediction, truth)
    )
    return fit_scale_shift(source, target, weights=1 / (_norm(target) + EPSILON))


def _measures_3d(prediction: SceneFlow, truth: SceneFlow, valid: np.ndarray, alignment: ScaleShift) -> dict[str, float]:
    flow = alignment.scale * (prediction.endpoints[valid].astype(np.float64) - prediction.points[valid])
    true_flow = truth.endpoints[valid].astype(np.float64) - truth.points[valid]
    error = _norm(flow - true_flow)
    relative = error / (_norm(true_flow) + EPSILON)
    points = alignment.apply(np.concatenate([prediction.points[valid], prediction.endpoints[valid]]))
    true_points = np.concatenate([truth.points[valid], truth.endpoints[valid]])
    distance, norm, true_norm = _norm(points - true_points), _norm(points), _norm(true_points)
    return {
        "epe_3d_m": float(error.mean()),
        "accuracy_strict_3d": float(np.mean((error < 0.05) | (relative < 0.05))),
        "accuracy_relaxed_3d": float(np.mean((error < 0.10) | (relative < 0.10))),
        "outliers_3d": float(np.mean((error > 0.30) | (relative > 0.10))),
        "points_abs_rel": float(np.mean(distance / (true_norm + EPSILON))),
        "points_delta1": float(np.mean(distance < 0.25 * np.minimum(norm, true_norm))),
    }


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=-1))


def _check(prediction: SceneFlow, truth: SceneFlow, valid: np.ndarray) -> None:
    if prediction.points.shape != truth.points.shape or valid.dtype != bool or valid.shape != truth.points.shape[:2]:
        raise DataError(
            f"the prediction is {list(prediction.points.shape)}, the truth {list(truth.points.shape)}, valid {valid.dtype}"
            f"{list(valid.shape)}; expected [H, W, 3], the same, and bool[H, W]"
        )
    for name in ("points", "endpoints", "target_px"):
        for owner, flow in (("predicted", prediction), ("true", truth)):
            array = getattr(flow, name)
            if array is not None and not np.isfinite(array[valid]).all():
                row, column = np.argwhere(valid & ~np.isfinite(array).all(axis=-1))[0]
                raise DataError(f"{owner} {name} at row {row}, column {column} are not finite though valid; leave the pixel out of `valid`")

"""Track4World's evaluation of tracks in space: a robust scale and shift, then TAPVid-3D with median scaling."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from pipeline.errors import ConfigError
from pipeline.metrics.scale_shift import ScaleShift, fit_scale_shift
from pipeline.metrics.tapvid3d import Tapvid3dConfig, Tapvid3dMetrics, Thresholds, tapvid3d_metrics
from pipeline.metrics.tracks3d import Tracks3d, check_comparable
from pipeline.records.arrays import Floats

FitOn = Literal["visible", "occluded"]
FIT_ON: tuple[FitOn, ...] = get_args(FitOn)
EVERY = 4  # of all points, where the public evaluation falls back to them


@dataclass(frozen=True, kw_only=True, slots=True)
class Track4WorldConfig:
    """Settings of alignment and thresholds; the defaults are in metres, as in the published tables."""

    fit_on: FitOn = "visible"  # true points that the alignment sees; "occluded" is what the public evaluation does, by a mask's name
    thresholds: Thresholds = "metres"  # 0.01, 0.04, 0.16, 0.64, 2.56 m; or "pixels": 1, 2, 4, 8, 16 of them at the true depth
    max_fit_points: int = 2048  # evenly thinned to at most so many: the fit's time grows with their square

    def __post_init__(self) -> None:
        if self.fit_on not in FIT_ON:
            raise ConfigError(f"fit_on is {self.fit_on!r}, expected one of {', '.join(FIT_ON)}")
        if self.max_fit_points < 2:
            raise ConfigError(f"max_fit_points is {self.max_fit_points}, expected at least 2")
        Tapvid3dConfig(thresholds=self.thresholds)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Track4WorldMetrics:
    """The fractions, and the alignment that they were measured after."""

    tracks: Tapvid3dMetrics
    alignment: ScaleShift  # undefined where points coincide: then the median scale alone was applied
    fitted_on: FitOn | Literal["all"]  # all: nothing was occluded, and every fourth point was taken
    num_fitted: int


def track4world_selection(visible: np.ndarray) -> np.ndarray:
    """bool "N": the tracks of "T N" that the protocol evaluates: visible in frame 0, and in at least two frames."""
    return np.asarray(visible[0] & (visible.sum(axis=0) >= 2))


def original_focal(fx_fy_cx_cy: np.ndarray) -> float:
    """The mean focal length when the image, whose width is taken to be 2 cx, is resized to 256 pixels.

    Source: Track4World, TAPVid-3D metric of the evaluation code.
    """
    fx, fy, cx, _ = (float(value) for value in fx_fy_cx_cy)
    return float(np.sqrt(fx * fy)) * 256 / (2 * cx)


def track4world_metrics(
    truth: Tracks3d, prediction: Tracks3d, *, focal_px: float | Floats, config: Track4WorldConfig | None = None
) -> Track4WorldMetrics:
    """Fit scale and shift, apply them, scale by the ratio of median norms, and count as TAPVid-3D does.

    Args:
        truth, prediction: metres, all in the camera of each frame or all in the world of the first camera.
        focal_px: for thresholds in pixels (`original_focal`); in metres any positive number.
    Raises: DataError if the tracks disagree or a position that counts is not finite.
    Source: Track4World, 3D tracking protocol.
    """
    config = config or Track4WorldConfig()
    check_comparable(truth, prediction)
    points, fitted_on = _fit_points(truth, config.fit_on)
    chosen = points[np.unique(np.linspace(0, len(points) - 1, min(len(points), config.max_fit_points)).astype(np.int64))]
    alignment = fit_scale_shift(prediction.positions.reshape(-1, 3)[chosen], truth.positions.reshape(-1, 3)[chosen])
    if alignment.undefined is None:
        prediction = replace(prediction, positions=alignment.apply(prediction.positions))
    tracks = tapvid3d_metrics(truth, prediction, focal_px=focal_px, config=Tapvid3dConfig(thresholds=config.thresholds))
    if alignment.undefined is not None:
        tracks = replace(tracks, undefined={**tracks.undefined, "alignment": alignment.undefined})
    return Track4WorldMetrics(tracks=tracks, alignment=alignment, fitted_on=fitted_on, num_fitted=len(chosen))


def _fit_points(truth: Tracks3d, fit_on: FitOn) -> tuple[np.ndarray, FitOn | Literal["all"]]:
    """Flat indices into T N, and the name of their choice."""
    usable = truth.evaluated & np.isfinite(truth.positions).all(axis=-1)
    points = np.flatnonzero((truth.visible if fit_on == "visible" else ~truth.visible) & usable)
    if fit_on == "occluded" and not len(points):
        return np.flatnonzero(usable)[::EVERY], "all"
    return points, fit_on

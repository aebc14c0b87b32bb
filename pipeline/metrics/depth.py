"""Depth of videos and of single images against the truth, under the alignments that the field publishes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.averages import DefinedMean, defined_mean
from pipeline.metrics.depth_alignment import ALIGNMENTS, DepthAlignment, align_depth
from pipeline.records.arrays import Bools, Floats

SMALLEST_DEPTH = 1e-5  # a prediction below it is raised to it before ratios and logarithms
VALUES = ("abs_rel", "sq_rel", "rmse", "log_rmse", "delta_1", "delta_2", "delta_3")


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthProtocol:
    """Protocol of a depth comparison: how the prediction is aligned, which true depths count, what the prediction is clipped to."""

    alignment: str = "metric"  # one of ALIGNMENTS
    max_depth_m: float | None = None  # true depths from here on do not count
    clip_max_m: float | None = None  # the aligned prediction is lowered to this

    def __post_init__(self) -> None:
        if self.alignment not in ALIGNMENTS:
            raise ConfigError(f"depth alignment is {self.alignment!r}, expected one of {', '.join(ALIGNMENTS)}")
        for name in ("max_depth_m", "clip_max_m"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} is {value}, expected a positive depth or none")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthMetrics:
    """Values of one sequence (or image) over all its valid pixels at once; NaN where there are none."""

    abs_rel: float  # mean |p - g| / g
    sq_rel: float  # mean (p - g)^2 / g, metres
    rmse: float  # metres
    log_rmse: float
    delta_1: float  # share of pixels with max(p / g, g / p) < 1.25
    delta_2: float  # ... < 1.25^2
    delta_3: float  # ... < 1.25^3
    valid_pixels: int  # the weight of this sequence in a mean over sequences
    alignment: DepthAlignment | None  # what the prediction was multiplied by and moved by
    undefined: Mapping[str, str] = field(default_factory=dict)  # name of a field that holds NaN -> the reason


def published_protocol(dataset: str, alignment: str) -> DepthProtocol:
    """The depth range and clipping that tables use for a dataset: sintel, bonn, kitti or nyu.

    Raises: ConfigError for an unknown dataset or alignment.
    Source: the video and monocular depth evaluations of MonST3R and CUT3R.
    """
    ranges = {"sintel": (70.0, 70.0), "bonn": (70.0, None), "kitti": (None, None), "nyu": (None, None)}
    if dataset not in ranges:
        raise ConfigError(f"no published depth protocol for {dataset!r}, only for {', '.join(ranges)}; give a DepthProtocol")
    max_depth_m, clip_max_m = ranges[dataset]
    return DepthProtocol(alignment=alignment, max_depth_m=max_depth_m, clip_max_m=clip_max_m)


def depth_metrics(predicted: Floats, true: Floats, *, protocol: DepthProtocol, counted: Bools | None = None) -> DepthMetrics:
    """Compare depth maps as one long vector of pixels: a whole sequence for video depth, one image for monocular depth.

    A pixel is valid where the truth is > 0 and below the protocol's maximum; nothing is left out because of the prediction, and a
    negative one counts as it is. The alignment is fitted on all valid pixels.

    Args:
        predicted: "T H W" or "H W", float, at the truth's size (see `resize_to_truth`).
        true: the same shape, metres, 0 or less = invalid.
        counted: bool, the same shape: valid pixels on which the values are taken (movers only, say); None takes all.
    Raises: DataError if shapes disagree.
    Source: MonST3R and CUT3R, depth evaluation.
    """
    predicted, true = np.asarray(predicted), np.asarray(true)
    counted = np.ones(true.shape, bool) if counted is None else np.asarray(counted)
    if predicted.shape != true.shape or counted.shape != true.shape or counted.dtype != bool:
        raise DataError(
            f"predicted depth is {list(predicted.shape)}, true depth {list(true.shape)}, counted {counted.dtype}{list(counted.shape)};"
            " expected one shape, and bool; resize the prediction to the truth's size first"
        )
    valid = true > 0
    if protocol.max_depth_m is not None:
        valid &= true < protocol.max_depth_m
    counted_of_valid = counted[valid]
    if not counted_of_valid.any():
        return _undefined("no counted pixel has a valid true depth", valid_pixels=0)
    return _measured(predicted[valid], true[valid], counted_of_valid, protocol)


def _measured(predicted: np.ndarray, true: np.ndarray, counted: np.ndarray, protocol: DepthProtocol) -> DepthMetrics:
    valid_pixels = int(counted.sum())
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        side = "predicted" if np.isfinite(true).all() else "true"
        return _undefined(f"the {side} depth of a valid pixel is NaN or infinite", valid_pixels=valid_pixels)
    alignment = align_depth(predicted, true, protocol.alignment)
    if not (np.isfinite(alignment.scale) and np.isfinite(alignment.shift)):
        reason = f"alignment {protocol.alignment} has no solution: scale {alignment.scale}, shift {alignment.shift}"
        return _undefined(reason, valid_pixels=valid_pixels)
    aligned, true = alignment.apply(predicted)[counted], true[counted]
    if protocol.clip_max_m is not None:
        aligned = np.minimum(aligned, aligned.dtype.type(protocol.clip_max_m))
    positive = np.maximum(aligned, aligned.dtype.type(SMALLEST_DEPTH))
    ratio = np.maximum(positive / true, true / positive)
    wide_true = true.astype(np.float64)  # sums over millions of pixels are taken in float64
    error = aligned - wide_true
    return DepthMetrics(
        abs_rel=float(np.mean(np.abs(error) / wide_true)),
        sq_rel=float(np.mean(np.square(error) / wide_true)),
        rmse=float(np.sqrt(np.mean(np.square(error)))),
        log_rmse=float(np.sqrt(np.mean(np.square(np.log(positive.astype(np.float64)) - np.log(wide_true))))),
        delta_1=float(np.mean(ratio < 1.25)),
        delta_2=float(np.mean(ratio < 1.25**2)),
        delta_3=float(np.mean(ratio < 1.25**3)),
        valid_pixels=valid_pixels,
        alignment=alignment,
    )


def mean_depth_metric(sequences: Sequence[DepthMetrics], name: str) -> DefinedMean:
    """The value `name` over sequences or images, weighted by their valid pixels; undefined ones are dropped and counted.

    Raises: ConfigError for a name that is not one of VALUES.
    """
    if name not in VALUES:
        raise ConfigError(f"no depth metric {name!r}, expected one of {', '.join(VALUES)}")
    return defined_mean([getattr(metrics, name) for metrics in sequences], weights=[metrics.valid_pixels for metrics in sequences])


def resize_to_truth(predicted: Floats, *, height: int, width: int) -> Floats:
    """Predicted maps "T h w" at the truth's size, float32 "T height width", by bicubic interpolation (half-pixel centres).

    Source: MonST3R and CUT3R resize so before they compare.
    """
    if predicted.ndim != 3:
        raise DataError(f"predicted depth is {list(predicted.shape)}, expected [T, h, w]")
    size = (width, height)
    resized = [cv2.resize(frame.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) for frame in predicted]
    return np.stack(resized) if resized else np.zeros((0, height, width), np.float32)


def _undefined(reason: str, *, valid_pixels: int) -> DepthMetrics:
    return DepthMetrics(**dict.fromkeys(VALUES, np.nan), valid_pixels=valid_pixels, alignment=None, undefined=dict.fromkeys(VALUES, reason))

"""From measures to weights: how much each track, and each frame of it, should count in training."""

import numpy as np

from pipeline.audit.calibration import Calibration, bad_probability
from pipeline.audit.records import TrackMeasures, TrackWeights
from pipeline.errors import DataError
from pipeline.records.labels import TrackLabels

FALLBACK_VERSION = "fallback-1"
_FALLBACK_TAU_PX = {"fb_cycle": 4.0, "neigh_max": 8.0}
_FULL_LENGTH, _LEAST_LENGTH = 8, 3  # visible frames


def track_weights(measures: TrackMeasures, calibration: Calibration | None = None) -> TrackWeights:
    """Weight of each track in [0, 1]: 1 - p with a calibration, else the fallback; less for short tracks, none for impossible ones.

    Both are multiplied by min(1, n / 8), n the visible frames (0 below 3), and set to 0 for tracks that are visible outside the image
    and for all members of a collapsed cluster but the one of the highest weight (the first of equals).
    """
    bad = None if calibration is None else bad_probability(measures, calibration)
    trust = fallback_weight(measures) if bad is None else 1.0 - bad
    length = measures.len.astype(np.float64)
    weight = trust * np.where(length < _LEAST_LENGTH, 0.0, np.minimum(1.0, length / _FULL_LENGTH))
    contract_error = np.nan_to_num(measures.oof, nan=0.0) > 0
    weight[contract_error] = 0.0
    collapsed = _all_but_best(measures.collapse_cluster, weight)
    weight[collapsed] = 0.0
    return TrackWeights(
        weight=weight.astype(np.float32),
        bad_probability=None if bad is None else bad.astype(np.float32),
        contract_error=contract_error,
        collapsed=collapsed,
        version=FALLBACK_VERSION if calibration is None else calibration.version,
    )


def fallback_weight(measures: TrackMeasures) -> np.ndarray:
    """Weight without a calibration, float64 "N": the product of what is known of

    1 / (1 + (fb_cycle / 4 px)^4), 1 / (1 + (neigh_max / 8 px)^4), and clip((ncc_mean - 0.3) / 0.4, 0.05, 1).
    """
    weight = np.ones(measures.ncc.shape[1])
    for name, tau in _FALLBACK_TAU_PX.items():
        weight *= np.nan_to_num(1.0 / (1.0 + (measures.measure(name).astype(np.float64) / tau) ** 4), nan=1.0)
    likeness = np.clip((measures.ncc_mean.astype(np.float64) - 0.3) / 0.4, 0.05, 1.0)
    return weight * np.nan_to_num(likeness, nan=1.0)


def frame_weights(labels: TrackLabels, *, ncc: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weight of each track in each frame, float32 "T N" in [0, 1].

    w[t, i] = w_i v[t, i] c[t, i] clip((ncc[t, i] - 0.2) / 0.4, 0.1, 1); confidence and likeness count as 1 where unknown.

    Args:
        ncc: float32 "T N", likeness to the query's patch, NaN where unknown.
        weight: float32 "N", of the tracks.
    Raises: DataError if the three are not of the same tracks.
    """
    if ncc.shape != labels.visibility.shape or weight.shape != labels.visibility.shape[1:]:
        raise DataError(
            f"labels are {list(labels.visibility.shape)} (frames, tracks), measures {list(ncc.shape)}, weights {list(weight.shape)};"
            " they are not of one clip"
        )
    likeness = np.nan_to_num(np.clip((ncc - 0.2) / 0.4, 0.1, 1.0), nan=1.0)
    confidence = 1.0 if labels.confidence is None else labels.confidence
    return (weight * labels.visibility * confidence * likeness).astype(np.float32)


def _all_but_best(clusters: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Whether a track is in a cluster and not its best, bool "N"."""
    order = np.lexsort((np.arange(len(weight)), -weight, clusters))
    first = np.ones(len(weight), bool)
    first[1:] = clusters[order][1:] != clusters[order][:-1]
    best = np.zeros(len(weight), bool)
    best[order] = first
    return (clusters >= 0) & ~best

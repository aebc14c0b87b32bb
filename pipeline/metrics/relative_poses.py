"""RRA, RTA and AUC: angles between predicted and true relative poses of all pairs of a few frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import Floats, Ints

THRESHOLDS_DEG = (5, 15, 30)
FLOOR = 1e-15  # below it neither a length nor a squared sine is told from zero
STATIC = 1e-9  # a true camera that moves by less, in its own unit, stands still
LOST_DEG = 1e6  # error of a pair whose predicted pose is not finite: wrong at every threshold


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RelativePoseErrors:
    """One row per pair of frames i < j of one sequence, pairs in the order (0, 1), (0, 2), ..., (1, 2), ..."""

    rotation_deg: npt.NDArray[np.float64]  # float64 "P", 0 to 180
    translation_deg: npt.NDArray[np.float64]  # float64 "P", 0 to 90: the sign of a direction is not looked at
    static: npt.NDArray[np.bool_]  # bool "P": the true camera stands still, no direction is right; the protocol counts it as 90 degrees

    def __post_init__(self) -> None:
        if self.rotation_deg.ndim != 1 or not (self.rotation_deg.shape == self.translation_deg.shape == self.static.shape):
            raise DataError(
                f"rotation errors are {list(self.rotation_deg.shape)}, translation errors {list(self.translation_deg.shape)},"
                f" static {list(self.static.shape)}; expected three lists of one length"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RelativePoseScores:
    """Fractions in [0, 1] over all pairs of all sequences, by threshold in degrees; NaN where there is no pair."""

    rra: Mapping[int, float]  # share of pairs whose rotation error is below the threshold
    rta: Mapping[int, float]  # the same of the translation error
    auc: Mapping[int, float]  # area under the curve of the larger of both errors, in steps of one degree
    num_pairs: int
    num_static_pairs: int
    undefined: Mapping[str, str] = field(default_factory=dict)  # name of a field that holds NaN -> the reason


def relative_pose_errors(predicted_w2c: Floats, true_w2c: Floats) -> RelativePoseErrors:
    """Angular errors of T_ij = W_j W_i^-1 for every pair i < j of one sequence's frames.

    A pair with a predicted pose that is not finite has an error of a million degrees in both. A zero translation on either side gives
    90 degrees, as the protocol has it; `static` marks pairs where the truth itself has none.

    Args:
        predicted_w2c, true_w2c: "T 4 4", rigid, WORLD to CAMERA, OpenCV axes.
    Raises: DataError if shapes disagree or a true pose is not finite.
    Source: PoseDiffusion's relative pose evaluation, as VGGT and pi3 use it.
    """
    predicted, true = np.asarray(predicted_w2c, np.float64), np.asarray(true_w2c, np.float64)
    if true.ndim != 3 or true.shape[1:] != (4, 4) or predicted.shape != true.shape:
        raise DataError(f"predicted poses are {list(predicted.shape)}, true poses {list(true.shape)}; expected [T, 4, 4] twice")
    if not np.isfinite(true).all():
        raise DataError("a true pose holds NaN or infinity; leave such frames out on both sides")
    first, second = np.triu_indices(len(true), k=1)
    finite = np.asarray(np.isfinite(predicted).all(axis=(1, 2)))
    # a lost frame stands in as the identity until its pairs are marked: everything between is finite
    predicted = np.where(finite[:, None, None], predicted, np.eye(4))
    true_relative, predicted_relative = _relative(true, first, second), _relative(predicted, first, second)
    lost = ~(finite[first] & finite[second])
    return RelativePoseErrors(
        rotation_deg=np.where(lost, LOST_DEG, _rotation_error_deg(predicted_relative, true_relative)),
        translation_deg=np.where(lost, LOST_DEG, _translation_error_deg(predicted_relative[:, :3, 3], true_relative[:, :3, 3])),
        static=np.linalg.norm(true_relative[:, :3, 3], axis=1) < STATIC,
    )


def relative_pose_scores(errors: Sequence[RelativePoseErrors], *, thresholds_deg: Sequence[int] = THRESHOLDS_DEG) -> RelativePoseScores:
    """RRA, RTA and AUC with the pairs of all sequences pooled.

    Raises: ConfigError for a threshold that is not a positive whole number of degrees.
    Source: as above; an error of exactly tau degrees is outside RRA and RTA and inside the last step of AUC.
    """
    for threshold in thresholds_deg:
        if int(threshold) != threshold or threshold < 1:
            raise ConfigError(f"threshold is {threshold} degrees, expected a whole number from 1")
    empty = [np.zeros(0)]
    rotation = np.concatenate([*empty, *(error.rotation_deg for error in errors)])
    translation = np.concatenate([*empty, *(error.translation_deg for error in errors)])
    return RelativePoseScores(
        rra={tau: _share_below(rotation, tau) for tau in thresholds_deg},
        rta={tau: _share_below(translation, tau) for tau in thresholds_deg},
        auc={tau: _area_under_curve(np.maximum(rotation, translation), tau) for tau in thresholds_deg},
        num_pairs=len(rotation),
        num_static_pairs=int(sum(error.static.sum() for error in errors)),
        undefined={} if len(rotation) else dict.fromkeys(("rra", "rta", "auc"), "there is no pair of frames"),
    )


def draw_frames(num_frames: int, rng: np.random.Generator, *, count: int = 10) -> Ints:
    """`count` different frames of a sequence in random order, int64: the frames whose pairs are measured.

    Raises: DataError for a sequence of fewer frames; the protocol skips it.
    """
    if num_frames < count:
        raise DataError(f"the sequence has {num_frames} frames, {count} are drawn; skip it or draw fewer")
    return rng.choice(num_frames, size=count, replace=False)


def _relative(world_to_camera: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """W_second W_first^-1, "P 4 4", with the inverse of a rigid motion."""
    rotation = world_to_camera[second, :3, :3] @ world_to_camera[first, :3, :3].swapaxes(1, 2)
    relative = np.tile(np.eye(4), (len(first), 1, 1))
    relative[:, :3, :3] = rotation
    relative[:, :3, 3] = world_to_camera[second, :3, 3] - (rotation @ world_to_camera[first, :3, 3, None])[..., 0]
    return relative


def _rotation_error_deg(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    if not len(true):
        return np.zeros(0)
    dot = np.sum(Rotation.from_matrix(predicted[:, :3, :3]).as_quat() * Rotation.from_matrix(true[:, :3, :3]).as_quat(), axis=1)
    return np.degrees(np.arccos(np.clip(1 - 2 * np.maximum(1 - dot**2, FLOOR), -1, 1)))


def _translation_error_deg(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    cosine = np.sum(_direction(predicted) * _direction(true), axis=1)
    return np.degrees(np.arccos(np.sqrt(1 - np.maximum(1 - cosine**2, FLOOR))))


def _direction(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + FLOOR)


def _share_below(errors_deg: np.ndarray, threshold_deg: int) -> float:
    return float(np.mean(errors_deg < threshold_deg)) if len(errors_deg) else np.nan


def _area_under_curve(errors_deg: np.ndarray, threshold_deg: int) -> float:
    if not len(errors_deg):
        return np.nan
    counts, _ = np.histogram(errors_deg, bins=np.arange(threshold_deg + 1))
    return float(np.mean(np.cumsum(counts) / len(errors_deg)))

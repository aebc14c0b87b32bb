"""ATE and RPE: errors of a predicted camera trajectory, as a whole and from frame to frame; frames associated by their times."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.similarity import Similarity, umeyama
from pipeline.records.arrays import Bools, Floats

ALIGNMENTS = ("sim3", "se3", "none")
VALUES = ("ate", "ape_rot_deg", "rpe_trans", "rpe_rot_deg")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Association:
    """Pairs of frames, in the order of the predicted ones."""

    predicted_index: npt.NDArray[np.int64]  # int64 "M"
    true_index: npt.NDArray[np.int64]  # int64 "M"


def associate_by_time(predicted_times_s: Floats, true_times_s: Floats, *, max_difference_s: float = 0.01) -> Association:
    """For each predicted frame the true frame nearest in time, where the two are at most `max_difference_s` apart.

    Args:
        predicted_times_s: "P", seconds, any order.
        true_times_s: "Q", seconds, increasing. The earlier of two equally near frames is taken.
    Raises: DataError if a time is not finite or the true times do not increase.
    Source: the association of the TUM RGB-D tools, with 0.01 s as the field's trajectory evaluations have it.
    """
    predicted, true = np.asarray(predicted_times_s, np.float64), np.asarray(true_times_s, np.float64)
    if predicted.ndim != 1 or true.ndim != 1 or not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise DataError(f"times are {list(predicted.shape)} and {list(true.shape)}, expected two finite lists of seconds")
    if (np.diff(true) <= 0).any():
        raise DataError("the true times do not increase; sort the poses by time and drop repeated ones")
    if not len(true):
        return Association(predicted_index=np.zeros(0, np.int64), true_index=np.zeros(0, np.int64))
    after = np.clip(np.searchsorted(true, predicted), 0, len(true) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(true[before] - predicted) <= np.abs(true[after] - predicted), before, after)
    close = np.flatnonzero(np.abs(true[nearest] - predicted) <= max_difference_s)
    return Association(predicted_index=close.astype(np.int64), true_index=nearest[close].astype(np.int64))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrajectoryMetrics:
    """Root mean squares over the frames (ATE, APE) or the pairs of consecutive frames (RPE) of one sequence.

    NaN where a value is undefined; `undefined` says which and why.
    """

    ate: float  # camera centres after alignment, in the truth's unit (metres where it is metric)
    ape_rot_deg: float  # camera orientations after alignment, degrees
    rpe_trans: float  # motion from frame to frame after alignment, in the truth's unit
    rpe_rot_deg: float  # turn from frame to frame, degrees; no alignment changes it
    alignment: Similarity | None  # prediction to truth; None where none was asked for or possible
    num_frames: int  # with a true pose
    num_pairs: int
    undefined: Mapping[str, str] = field(default_factory=dict)  # name of a field that holds NaN -> the reason


def trajectory_metrics(predicted_c2w: Floats, true_c2w: Floats, *, align: str = "sim3", valid: Bools | None = None) -> TrajectoryMetrics:
    """ATE and RPE of one sequence, aligned on the camera centres of all its valid frames.

    Where the centres do not determine an alignment (one or two frames, a camera that stands still or moves on a line), the values that
    depend on it are NaN; the turn from frame to frame does not.

    Args:
        predicted_c2w, true_c2w: "T 4 4", rigid, camera to world, OpenCV axes.
        align: "sim3" (rotation, translation, scale), "se3" (no scale) or "none".
        valid: bool "T", frames whose true pose is known; None takes all. A pair counts when both its frames do.
    Raises: ConfigError for an unknown alignment; DataError if shapes disagree or a valid true pose is not finite.
    Source: Sturm et al. 2012 with delta = 1 frame; settings of MonST3R and CUT3R (RMSE of both errors, every consecutive pair).
    """
    if align not in ALIGNMENTS:
        raise ConfigError(f"alignment is {align!r}, expected one of {', '.join(ALIGNMENTS)}")
    predicted, true = np.asarray(predicted_c2w, np.float64), np.asarray(true_c2w, np.float64)
    valid = np.ones(true.shape[:1], bool) if valid is None else np.asarray(valid, bool)
    _check(predicted, true, valid)
    frames = np.flatnonzero(valid)
    pairs = np.flatnonzero(valid[:-1] & valid[1:])
    if not np.isfinite(predicted[frames]).all():
        lost = frames[~np.isfinite(predicted[frames]).all(axis=(1, 2))]
        return _undefined(frames, pairs, f"the prediction holds NaN or infinity in {len(lost)} of {len(frames)} frames, first {lost[0]}")
    if not len(frames):
        return _undefined(frames, pairs, "no frame has a true pose")
    similarity = None if align == "none" else umeyama(predicted[frames, :3, 3], true[frames, :3, 3], with_scale=align == "sim3")
    return _measured(_aligned(predicted, similarity), true, frames=frames, pairs=pairs, similarity=similarity)


def _measured(
    aligned: np.ndarray, true: np.ndarray, *, frames: np.ndarray, pairs: np.ndarray, similarity: Similarity | None
) -> TrajectoryMetrics:
    error = _relative(true[frames], aligned[frames])
    step_error = _relative(_relative(true[pairs], true[pairs + 1]), _relative(aligned[pairs], aligned[pairs + 1]))
    undefined = {} if len(pairs) else dict.fromkeys(("rpe_trans", "rpe_rot_deg"), "no two consecutive frames have a true pose")
    trustworthy = similarity is None or similarity.degenerate is None
    if similarity is not None and similarity.degenerate is not None:
        reason = f"the camera centres cannot be aligned: {similarity.degenerate}"
        undefined = dict.fromkeys(("ate", "ape_rot_deg", "rpe_trans"), reason) | undefined
    return TrajectoryMetrics(
        ate=_root_mean_square(np.linalg.norm(error[:, :3, 3], axis=1)) if trustworthy else np.nan,
        ape_rot_deg=_root_mean_square(_angle_deg(error)) if trustworthy else np.nan,
        rpe_trans=_root_mean_square(np.linalg.norm(step_error[:, :3, 3], axis=1)) if trustworthy else np.nan,
        rpe_rot_deg=_root_mean_square(_angle_deg(step_error)),
        alignment=similarity if trustworthy else None,
        num_frames=len(frames),
        num_pairs=len(pairs),
        undefined=undefined,
    )


def _aligned(poses: np.ndarray, similarity: Similarity | None) -> np.ndarray:
    """Camera poses in the truth's world. The scale moves centres only, so that poses stay rigid."""
    if similarity is None or similarity.degenerate is not None:
        return poses
    moved = poses.copy()
    moved[:, :3, :3] = similarity.rotation @ poses[:, :3, :3]
    moved[:, :3, 3] = similarity.apply(poses[:, :3, 3])
    return moved


def _relative(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """first^-1 second of rigid "... 4 4"."""
    back = first[:, :3, :3].swapaxes(1, 2)
    relative = np.tile(np.eye(4), (len(first), 1, 1))
    relative[:, :3, :3] = back @ second[:, :3, :3]
    relative[:, :3, 3] = (back @ (second[:, :3, 3] - first[:, :3, 3])[..., None])[..., 0]
    return relative


def _angle_deg(poses: np.ndarray) -> np.ndarray:
    return np.degrees(Rotation.from_matrix(poses[:, :3, :3]).magnitude()) if len(poses) else np.zeros(0)


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else np.nan


def _undefined(frames: np.ndarray, pairs: np.ndarray, reason: str) -> TrajectoryMetrics:
    return TrajectoryMetrics(
        ate=np.nan,
        ape_rot_deg=np.nan,
        rpe_trans=np.nan,
        rpe_rot_deg=np.nan,
        alignment=None,
        num_frames=len(frames),
        num_pairs=len(pairs),
        undefined=dict.fromkeys(VALUES, reason),
    )


def _check(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> None:
    if true.ndim != 3 or true.shape[1:] != (4, 4) or predicted.shape != true.shape or valid.shape != true.shape[:1]:
        raise DataError(
            f"predicted poses are {list(predicted.shape)}, true poses {list(true.shape)}, valid {list(valid.shape)};"
            " expected [T, 4, 4] twice and [T]; associate frames by their times first"
        )
    wrong = np.flatnonzero(valid & ~np.isfinite(true).all(axis=(1, 2)))
    if len(wrong):
        raise DataError(f"the true pose of frame {wrong[0]} holds NaN or infinity; mark such frames in `valid`")

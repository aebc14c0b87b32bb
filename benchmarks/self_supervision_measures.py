"""What the self-supervision experiments say of cameras: of a network's head, of standing still, and of fits to the network's own points."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from experiments import batch
from self_supervision_clips import Window
from self_supervision_network import PixelTrajVG, images_of
from self_supervision_runs import HUBER
from torch import Tensor

from pipeline.metrics import trajectory_metrics, umeyama
from pipeline.metrics.relative_poses import relative_pose_errors
from trainer.data.batches import PreparedClip
from trainer.geometry import invert_rigid, point_map_intrinsics, sample_maps

_FEWEST_TRACKS = 8  # for a fit
_REWEIGHTINGS = 10


def measure(model: PixelTrajVG, clips: Sequence[Window]) -> list[dict[str, float]]:
    """Values of every clip: of the head, of standing still ("still_"), and of fits to the network's own points ("teacher_", "pnp_")."""
    model.eval()
    result = []
    for first in range(0, len(clips), 16):
        some = clips[first : first + 16]
        with torch.no_grad():
            output = model.geometry(images_of(some, model)).output
        result += [clip_values(window, output.local_points[n], output.camera_poses[n]) for n, window in enumerate(some)]
    return result


def clip_values(window: Window, points: Tensor, poses: Tensor) -> dict[str, float]:
    """Of one clip.

    Args:
        points: "T H W 3". poses: "T 4 4".
    """
    told = batch([window.labelled])
    truth = told.truth()
    true = (invert_rigid(truth.camera_to_world[0, :1]) @ truth.camera_to_world[0]).double().numpy()
    head = (invert_rigid(poses[:1]) @ poses).double().numpy()
    valid = truth.valid[0]
    own, shown = (maps[valid].norm(dim=-1) for maps in (points, truth.local_points[0]))
    scale = float(shown.median() / own.median())
    still = np.tile(np.eye(4), (len(true), 1, 1))
    values = {**camera_values(head, true, scale), **{f"still_{name}": value for name, value in camera_values(still, true, scale).items()}}
    values["depth"] = depth_error(points[..., 2], truth.local_points[0, ..., 2], valid)
    if window.pseudo is not None:
        for name, fit in (("teacher", rigid_fit), ("pnp", pnp_fit)):
            values |= {f"{name}_{part}": value for part, value in fitted_values(fit, window.pseudo, points, true, head, scale).items()}
    return values


def camera_values(poses: np.ndarray, true: np.ndarray, scale: float) -> dict[str, float]:
    """ATE, RPE-t (metres, after a similarity) and RPE-r (degrees), and what a similarity does not hide.

    "cosine" and "rta30" are of all pairs of frames: the mean cosine of the predicted and the true direction of travel in the first frame's
    axes, 0 for a camera that stands, and the share of pairs less than 30 degrees off. "translation" is |t - t*| / |t*| of each frame
    against the first, by the scale of the network's own points; 1 for standing still.
    """
    metrics = trajectory_metrics(poses, true)
    moved, ate, steps = np.linalg.norm(poses[1:, :3, 3], axis=1).max() > 0, metrics.ate, metrics.rpe_trans
    if not moved:  # a similarity that shrinks the path to its centre
        centres = true[:, :3, 3]
        ate = float(np.sqrt(np.square(centres - centres.mean(0)).sum(1).mean()))
        steps = float(np.sqrt(np.square(np.diff(centres, axis=0)).sum(1).mean()))
    first, second = np.triu_indices(len(true), 1)
    ours, theirs = (directions(cameras, first, second) for cameras in (poses, true))
    errors = relative_pose_errors(np.linalg.inv(poses), np.linalg.inv(true))
    off = np.linalg.norm(scale * poses[1:, :3, 3] - true[1:, :3, 3], axis=1)
    return {
        "ate": ate,
        "rpe_trans": steps,
        "rpe_rot_deg": metrics.rpe_rot_deg,
        "cosine": float((ours * theirs).sum(-1).mean()),
        "rta30": float((errors.translation_deg < 30).mean()),
        "translation": float(off.mean() / np.linalg.norm(true[1:, :3, 3], axis=1).mean()),
    }


def directions(cameras: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of travel from one frame to another in the axes of the one, unit length, "P 3"; 0 where it stands."""
    travel = np.einsum("pji,pj->pi", cameras[first, :3, :3], cameras[second, :3, 3] - cameras[first, :3, 3])
    length = np.linalg.norm(travel, axis=-1, keepdims=True)
    return np.where(length > 1e-9, travel / np.maximum(length, 1e-9), 0)


def depth_error(depth: Tensor, true: Tensor, valid: Tensor) -> float:
    """Mean |d - d*| / d* after one median scale per clip."""
    ratio = depth[valid] / true[valid]
    return float((ratio / ratio.median() - 1).abs().mean())


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def fitted_values(fit: Fit, told: PreparedClip, points: Tensor, true: np.ndarray, head: np.ndarray, scale: float) -> dict[str, float]:
    """How far motions that are fitted to the network's points at static tracks are off, and the head in the same frames: |t - t*| / |t*|.

    NaN where no frame has tracks enough.
    """
    assert told.static_score is not None, "audited tracks have static scores"
    samples = sample_maps(points[None], told.tracks_px[None])[0].double().numpy()
    focal = point_map_intrinsics(points[None])[0].double().numpy()
    weights = (told.frame_weights * told.frame_weights[:1] * (told.static_score >= 0.5)).double().numpy()
    frames = [frame for frame in range(1, len(points)) if (weights[frame] > 0).sum() >= _FEWEST_TRACKS]
    if not frames:
        return {"fit": np.nan, "head": np.nan}
    off, head_off = [], []
    for frame in frames:
        seen = weights[frame] > 0
        place = fit(
            samples[0, seen], samples[frame, seen], told.tracks_px[frame, seen].double().numpy(), focal[frame], weights[frame, seen]
        )
        off.append(np.linalg.norm(scale * place - true[frame, :3, 3]))
        head_off.append(np.linalg.norm(scale * head[frame, :3, 3] - true[frame, :3, 3]))
    moved = np.linalg.norm(true[frames, :3, 3], axis=1).mean()
    return {"fit": float(np.mean(off) / moved), "head": float(np.mean(head_off) / moved)}


def rigid_fit(first: np.ndarray, other: np.ndarray, pixels: np.ndarray, focal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Place of the other camera in the first one's axes: the rigid motion with the least Huber penalty, as the printed pose term has it."""
    size, current = HUBER * float(np.linalg.norm(first, axis=-1).mean()), weights
    for _ in range(_REWEIGHTINGS):
        motion = umeyama(other, first, with_scale=False, weights=current)
        residual = np.linalg.norm(motion.apply(other) - first, axis=-1)
        current = weights * size / np.maximum(residual, size)
    return motion.translation


def pnp_fit(first: np.ndarray, other: np.ndarray, pixels: np.ndarray, focal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same from the first frame's points and the other one's pixels alone, as the reprojection form has it."""
    found, turn, shift, _ = cv2.solvePnPRansac(first, pixels, focal, None, reprojectionError=1.0, flags=cv2.SOLVEPNP_SQPNP)
    if not found:
        return np.zeros(3)
    turn, shift = cv2.solvePnPRefineLM(first, pixels, focal, None, turn, shift)
    return np.asarray(-cv2.Rodrigues(turn)[0].T @ shift[:, 0])

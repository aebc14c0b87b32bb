"""Ground truth of one clip, checked, and made finite where it is not known."""

import numpy as np
import torch

from pipeline.errors import DataError
from pipeline.records import ClipSample
from trainer.data.prepared import PreparedTruth
from trainer.data.tracks_seen import clip_name, known_tracks

_RIGID = 1e-3  # largest entry of R^T R - I: float32 poses written as text are this good


def check_truth(sample: ClipSample) -> None:
    """Raises: DataError, naming dataset, clip and remedy, unless cameras and depth are there and can be used."""
    where = clip_name(sample)
    missing = [name for name in ("depth", "intrinsics", "camera_to_world") if getattr(sample, name) is None]
    if missing:
        raise DataError(
            f"{where}: no {', '.join(missing)}; a labelled clip needs depth, intrinsics and camera_to_world. Truth that is meant for"
            " evaluation stays on disk; with a label set, such a dataset can be a part of pseudo"
        )
    depth, intrinsics = _depth(sample), _intrinsics(sample)
    if not (np.isfinite(depth).all() and (depth >= 0).all()):
        raise DataError(f"{where}: depth is negative, NaN or inf somewhere; unknown depth is 0. Convert its dataset again")
    focal = intrinsics[:, [0, 1], [0, 1]]
    if not (np.isfinite(intrinsics).all() and (focal > 0).all()):
        raise DataError(f"{where}: intrinsics are NaN, inf, or of a focal length that is not above 0; convert its dataset again")
    poses = _poses(sample)[_pose_valid(sample)]
    off = np.abs(poses[:, :3, :3].mT @ poses[:, :3, :3] - np.eye(3)) if len(poses) else np.zeros(1)
    if not (np.isfinite(poses).all() and off.max() <= _RIGID and (poses[:, 3] == [0, 0, 0, 1]).all()):
        raise DataError(f"{where}: camera_to_world is not rigid in a frame whose pose is said to be valid; convert its dataset again")


def frames_with_geometry(sample: ClipSample) -> np.ndarray:
    """Frames of which pose and some depth are known, bool "T"."""
    return _pose_valid(sample) & (_depth(sample) > 0).any(axis=(1, 2))


def prepared_truth(sample: ClipSample, seen: torch.Tensor, num_tracks: int) -> PreparedTruth:
    """The truth of a clip that has the length, size and tracks of its step.

    Args:
        seen: bool "T N", filled up to N tracks.
    """
    valid = _pose_valid(sample)
    poses = np.where(valid[:, None, None], _poses(sample), np.eye(4, dtype=np.float32))
    world = np.full((len(poses), num_tracks, 3), np.nan, np.float32)
    tracks = _tracks3d_world(sample, valid)
    world[:, : tracks.shape[1]] = tracks
    known = torch.from_numpy(np.isfinite(world).all(-1))
    return PreparedTruth(
        depth=torch.from_numpy(np.ascontiguousarray(_depth(sample))),
        intrinsics=torch.from_numpy(_intrinsics(sample)),
        camera_to_world=torch.from_numpy(poses),
        pose_valid=torch.from_numpy(valid),
        sky_mask=None if sample.sky_mask is None else torch.from_numpy(np.ascontiguousarray(sample.sky_mask)),
        tracks3d_world=torch.from_numpy(world),
        visibility=seen & known,
    )


def _tracks3d_world(sample: ClipSample, pose_valid: np.ndarray) -> np.ndarray:
    """float32 "T N 3"; NaN where not known, which a track in 2D alone never is, nor one in a frame without pose."""
    assert sample.tracks2d is not None, "a clip without tracks was given none"
    known = known_tracks(sample) & pose_valid[:, None]
    if sample.tracks3d_world is not None:
        world = sample.tracks3d_world
    elif sample.tracks3d is not None:
        poses = _poses(sample)
        world = sample.tracks3d @ poses[:, :3, :3].mT + poses[:, None, :3, 3]
    else:
        world = np.full((*known.shape, 3), np.nan, np.float32)
    return np.where(known[..., None] & np.isfinite(world).all(-1, keepdims=True), world, np.nan).astype(np.float32)


def _depth(sample: ClipSample) -> np.ndarray:
    assert sample.depth is not None, "check_truth comes first"
    return sample.depth


def _intrinsics(sample: ClipSample) -> np.ndarray:
    assert sample.intrinsics is not None, "check_truth comes first"
    return sample.intrinsics


def _poses(sample: ClipSample) -> np.ndarray:
    assert sample.camera_to_world is not None, "check_truth comes first"
    return sample.camera_to_world


def _pose_valid(sample: ClipSample) -> np.ndarray:
    return np.ones(len(sample.frames), bool) if sample.pose_valid is None else sample.pose_valid

"""Scenes of size 1: π³'s preparation of truth and prediction before they are compared [π³ code]."""

from dataclasses import replace

import torch
from torch import Tensor

from trainer.geometry import motion_to_anchor, scale_motion, transform_points
from trainer.losses.records import ClipGeometry, GeometryTruth, NormalisedTruth


def normalise_truth(truth: GeometryTruth) -> NormalisedTruth:
    """Bring ground truth into the first camera's frame and divide it by the mean distance of its points from there.

    A clip without a single valid point of a frame with a valid pose keeps its unit. The mean leaves frames without valid pose out.
    """
    cameras = motion_to_anchor(truth.camera_to_world, 0)
    in_first = transform_points(cameras, truth.local_points.flatten(2, 3)).unflatten(2, truth.valid.shape[2:])
    placed = truth.valid if truth.pose_valid is None else truth.valid & truth.pose_valid[..., None, None]
    norm = _mean_distance(in_first, placed)
    norm = torch.where(placed.flatten(1).any(1), norm, 1)
    points = truth.local_points / norm[:, None, None, None, None]
    return NormalisedTruth(truth=replace(truth, local_points=points, camera_to_world=scale_motion(cameras, 1 / norm)), norm=norm)


def normalise_prediction(prediction: ClipGeometry, valid: Tensor) -> tuple[ClipGeometry, Tensor]:
    """Divide a prediction by its points' mean distance from their own cameras.

    Args:
        valid: bool "B T H W", of the truth.
    Returns:
        The prediction of size 1, without tracks, and the divisor, "B" (1 where nothing is valid). Gradient flows through the divisor too.
    """
    norm = _mean_distance(prediction.local_points, valid)
    norm = torch.where(valid.flatten(1).any(1), norm, 1)
    points = prediction.local_points / norm[:, None, None, None, None]
    return replace(prediction, local_points=points, camera_to_world=scale_motion(prediction.camera_to_world, 1 / norm), tracks=None), norm


def depth_weights(depth: Tensor, valid: Tensor, nearest: float) -> Tensor:
    """1 / depth, so that errors count relative to it: 1 / (max(z, nearest mean z of the frame) + 1e-6), 0 where not valid.

    Args:
        depth, valid: "B T ..."; the depth anything where not valid.
        nearest: of the frame's mean depth.
    """
    known = torch.where(valid, depth, 0)
    per_frame = known.flatten(2).sum(2) / valid.flatten(2).sum(2).clamp_min(1)
    floor = nearest * per_frame.reshape(per_frame.shape + (1,) * (depth.ndim - 2))
    return torch.where(valid, 1 / (torch.maximum(known, floor) + 1e-6), 0)


def _mean_distance(points: Tensor, valid: Tensor) -> Tensor:
    distance = points.norm(dim=-1)  # its gradient is 0 at 0
    total = torch.where(valid, distance, 0).flatten(1).sum(1)
    return total / (valid.flatten(1).sum(1) + 1e-8)

"""Gates that select tracks of static points on clips without truth. Nothing here carries gradient.

The paper applies L_cam to unlabelled clips and is silent on this mask; everything below is ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.families.trajvg.settings import GateSettings
from trainer.geometry import (
    fundamental_matrices,
    masked_median,
    motion_to_anchor,
    point_map_intrinsics,
    rotate_pixels,
    sampson_squared,
    transform_points,
)
from trainer.losses.records import ClipGeometry, TrackObservations

_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ResidualGate:
    """Distance of each point, moved to the anchor camera, from its own sample there."""

    residual: Tensor  # "B T N", share of the depth in the anchor frame
    threshold: Tensor  # "B"
    passes: Tensor  # bool "B T N": residual <= threshold; also where nothing was seen, so mind the weights


def static_tracks(prediction: ClipGeometry, samples: Tensor, observed: TrackObservations, anchor: int, settings: GateSettings) -> Tensor:
    """Tracks that pass all gates of the settings, bool "B N"; all tracks where the settings name none.

    Args:
        prediction: its cameras count for the residual gate; its point maps too, for the epipolar gate's intrinsics.
        samples: "B T N 3", p~.
    Raises: DataError if the audit's gate is asked for and the observations hold no static score.
    """
    static = torch.ones_like(observed.frame_weights[:, 0], dtype=torch.bool)
    counted = paired_frames(observed.frame_weights, anchor)
    for gate in settings.gates:
        if gate == "audit":
            static = static & audit_gate(observed, settings)
        elif gate == "residual":
            passes = residual_gate(samples, prediction.camera_to_world, observed.frame_weights, anchor, settings).passes
            static = static & rigidity_vote(passes, counted, settings.vote_share)
        else:
            passes = epipolar_gate(prediction, samples, observed.tracks_px, anchor, settings)
            static = static & rigidity_vote(passes, counted, settings.vote_share)
    return static


def audit_gate(observed: TrackObservations, settings: GateSettings) -> Tensor:
    """Tracks that an audit found static, bool "B N"; undecided ones are not among them.

    Raises: DataError without scores.
    """
    if observed.static_score is None:
        raise DataError("these clips have no static scores; audit their label set, or take other gates: residual, epipolar")
    return observed.static_score >= settings.static_score  # NaN compares as False


def residual_gate(samples: Tensor, camera_to_world: Tensor, weight: Tensor, anchor: int, settings: GateSettings) -> ResidualGate:
    """Points within max(floor, median + k 1.4826 MAD) of a static point's position.

    r = |C_{t->x} p~_t - p~_x| / z~_x; median and MAD over all frames t != x and tracks seen in both. It believes the predicted cameras, so
    use it only after training on labels.

    Args:
        samples: "B T N 3", p~. camera_to_world: "B T 4 4". weight: "B T N". anchor: x.
    """
    samples, camera_to_world = samples.detach(), camera_to_world.detach()
    at_anchor = samples[:, anchor, None]
    moved = transform_points(motion_to_anchor(camera_to_world, anchor), samples)
    residual = (moved - at_anchor).norm(dim=-1) / at_anchor[..., 2]
    counted = paired_frames(weight, anchor).flatten(1)
    flat = residual.flatten(1)
    median = masked_median(flat, counted)
    deviation = masked_median((flat - median[:, None]).abs(), counted)
    threshold = (median + settings.residual_mads * _MAD_TO_SIGMA * deviation).clamp_min(settings.residual_floor)
    return ResidualGate(residual=residual, threshold=threshold, passes=residual <= threshold[:, None, None])


def epipolar_gate(prediction: ClipGeometry, samples: Tensor, pixels: Tensor, anchor: int, settings: GateSettings) -> Tensor:
    """Points that obey the predicted cameras' epipolar geometry, bool "B T N"; depth plays no part but for the focal length.

    A point may be `sampson_px` away. Where the camera's travel moves the median point by less than that, epipolar lines mean nothing, and a
    point must lie where the turn alone takes it. Blind to motion along epipolar lines.
    """
    cameras, limit = prediction.camera_to_world.detach(), settings.sampson_px
    intrinsics = point_map_intrinsics(prediction.local_points)
    before = pixels[:, anchor]
    off_line = sampson_squared(fundamental_matrices(cameras, intrinsics, anchor), before[:, None].expand_as(pixels), pixels)
    off_turn = (rotate_pixels(cameras, intrinsics, before, anchor) - pixels).square().sum(-1)
    travel = motion_to_anchor(cameras, anchor)[..., :3, 3].norm(dim=-1)
    depth = samples.detach()[..., 2].median(dim=-1).values.clamp_min(1e-6)
    tells = intrinsics[..., 0, 0] * travel / depth >= limit  # "B T"
    return torch.where(tells[..., None], off_line, off_turn) < limit**2


def rigidity_vote(passes: Tensor, counted: Tensor, share: float) -> Tensor:
    """A track is static if it passes in at least this share of the frames that count: one outlier does not unmake it, slow motion does.

    Args:
        passes, counted: bool "B T N".
    Returns: bool "B N"; False where no frame counts.
    """
    votes = counted.sum(1)
    return ((passes & counted).sum(1) >= share * votes) & (votes > 0)


def paired_frames(weight: Tensor, anchor: int) -> Tensor:
    """Frames in which a track is seen as well as in the anchor frame, the anchor left out: bool "B T N"."""
    other = torch.arange(weight.shape[1], device=weight.device) != anchor
    return (weight * weight[:, anchor, None] > 0) & other[:, None]

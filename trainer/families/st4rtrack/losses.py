"""Losses of a batch of clips: supervised pairs, and the adaptation of clips without truth."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from networks.st4rtrack import TwinOutput
from pipeline.errors import DataError
from trainer.data import ClipBatch
from trainer.families.st4rtrack.adaptation import consistency_loss, depth_loss, poses_of_maps, reproject, rigidity_loss, trajectory_loss
from trainer.families.st4rtrack.regression import (
    PairTargets,
    confidence_loss,
    distances,
    dynamic_pixels,
    mean_distance,
    reference_mean_distance,
    reweight_dynamic,
)
from trainer.families.st4rtrack.settings import AdaptationSettings, AdaptationWeights, SupervisedSettings
from trainer.families.st4rtrack.targets import maps_to_tracks, require_depth
from trainer.geometry import in_image, invert_rigid, nearest_pixels, transform_points
from trainer.geometry.pnp import pinhole_matrix, weiszfeld_focal
from trainer.losses.settings import weights_of

_log = logging.getLogger(__name__)
_NEAREST = 1e-3  # of a frame's mean depth: inverse depth is taken no closer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipMaps:
    """Maps of the pairs (0, j) of one clip, float32, in the first camera's axes."""

    point_map_1: Tensor  # "T H W 3"
    confidence_1: Tensor  # "T H W"
    point_map_2: Tensor  # "T H W 3"
    confidence_2: Tensor  # "T H W"


def clip_maps(output: TwinOutput, num_clips: int) -> list[ClipMaps]:
    """The pairs of B clips, which one call computed, clip by clip."""
    names = ClipMaps.__slots__
    parts = {name: getattr(output, name).float().unflatten(0, (num_clips, -1)) for name in names}
    return [ClipMaps(**{name: parts[name][clip] for name in names}) for clip in range(num_clips)]


def supervised_terms(maps: ClipMaps, targets: PairTargets, settings: SupervisedSettings) -> dict[str, Tensor]:
    """Losses of one clip with truth, by name: trajectory, geometry, velocity."""
    unit, true_unit = _units(maps.point_map_2, targets, settings)
    moved, true_moved = maps.point_map_1 / unit, targets.trajectory / true_unit
    confidence = _weights_of_trajectory(maps.confidence_1, targets, settings)
    geometry = distances(maps.point_map_2 / unit, targets.geometry / true_unit, targets.geometry_mask)
    mask = targets.trajectory_mask
    both = mask[1:] & mask[:-1]
    velocity = distances(moved[1:] - moved[:-1], true_moved[1:] - true_moved[:-1], both)
    return {
        "trajectory": confidence_loss(distances(moved, true_moved, mask), confidence, mask, alpha=settings.alpha),
        "geometry": confidence_loss(geometry, maps.confidence_2, targets.geometry_mask, alpha=settings.alpha),
        "velocity": confidence_loss(velocity, confidence[1:], both, alpha=settings.alpha),
    }


def _units(point_map_2: Tensor, targets: PairTargets, settings: SupervisedSettings) -> tuple[Tensor, Tensor]:
    """Unit of the prediction and of the truth, "T 1 1 1" each: head 1 borrows that of head 2."""
    if settings.unit == "reference":
        found = (reference_mean_distance(point_map_2), reference_mean_distance(targets.geometry))
    else:
        found = (mean_distance(point_map_2, targets.geometry_mask), mean_distance(targets.geometry, targets.geometry_mask))
    return found[0][:, None, None, None], found[1][:, None, None, None]


def _weights_of_trajectory(confidence: Tensor, targets: PairTargets, settings: SupervisedSettings) -> Tensor:
    if not settings.reweight_dynamic:
        return confidence
    mask = targets.trajectory_mask
    if settings.mode == "pair":
        known = mask & targets.geometry_mask[:1]
        displacement = (targets.trajectory - targets.geometry[:1]).square().sum(-1)
        moving = dynamic_pixels(displacement, known, quantile=settings.dynamic_quantile, or_mean=settings.dynamic_or_mean)
    else:
        known = mask & mask[-1:]
        first, last = targets.trajectory[0], targets.trajectory[-1]
        displacement = (last - first).abs().sum(-1) / first.norm(dim=-1).clamp_min(1e-8)
        moving = dynamic_pixels(displacement.expand_as(mask), known, quantile=0.0, or_mean=True)
    moving = moving & (mask if settings.mode == "pair" else known)
    return reweight_dynamic(confidence, moving, mask, factor=settings.dynamic_factor, level=settings.dynamic_level)


def adaptation_terms(
    maps: ClipMaps, clips: ClipBatch, clip: int, weights: AdaptationWeights, settings: AdaptationSettings
) -> dict[str, Tensor]:
    """Losses of one clip without truth, by name; and `failed_poses`, the share of frames whose camera was not found.

    Without a focal length there are no cameras: all losses are 0 then, all poses failed, and a warning names the clip.

    Raises: DataError if no track of the clip is seen in its first frame, or depth counts and there are no depth labels.
    """
    height, width = maps.point_map_1.shape[1:3]
    tracks, trust = clips.observations.tracks_px[clip], clips.observations.frame_weights[clip]
    asked = trust[0] > 0
    if not bool(asked.any()):
        raise DataError(f"clip {clips.keys[clip]}: no track is seen in the first frame of its window; label it with more query frames")
    tracks, trust = tracks[:, asked], trust[:, asked]
    camera = _camera(maps.point_map_1[0], settings)
    if camera is None:
        _log.warning("clip %s: its first frame's points give no focal length, and it adds nothing to this step", clips.keys[clip])
        zero = maps.point_map_1.sum() * 0
        return {**dict.fromkeys(weights_of(weights), zero), "zoom": zero.detach() + 1, "failed_poses": zero.detach() + 1}
    intrinsics, middle = camera
    draw = torch.Generator().manual_seed(0)
    to_first, solution = poses_of_maps(
        maps.point_map_2,
        maps.confidence_2,
        intrinsics,
        most_pixels=settings.pnp_pixels,
        draw=draw,
        swap_bounds=settings.swap_bounds,
    )
    at_queries = maps_to_tracks(maps.point_map_1, tracks[0])
    projected, _ = reproject(at_queries, to_first, intrinsics)
    counted = trust if settings.track_weights else torch.ones_like(trust)
    trajectory, zoom = trajectory_loss(projected, tracks, counted, middle)
    terms = {"trajectory": trajectory}
    x, y = nearest_pixels(tracks, (height, width))
    seen = maps.point_map_2[torch.arange(len(tracks), device=tracks.device)[:, None], y, x]
    terms["alignment"] = consistency_loss(at_queries, seen, torch.where(in_image(tracks, (height, width)), trust, 0))
    if weights.depth > 0:
        terms["depth"] = _depth_term(maps, to_first, clips, clip, settings)
    if weights.rigidity > 0:
        stride = settings.rigidity_stride
        terms["rigidity"] = rigidity_loss(maps.point_map_1[:, ::stride, ::stride].flatten(1, 2))
    return {**terms, "zoom": zoom.detach(), "failed_poses": solution.failed.to(projected.dtype).mean()}


def _camera(first_map: Tensor, settings: AdaptationSettings) -> tuple[Tensor, Tensor] | None:
    """Intrinsics "3 3" and middle of the image "2", from head 1 of the first frame's pair with itself; None: no focal length."""
    height, width = first_map.shape[:2]
    shift = 0.0 if settings.middle == "corner" else 1.0
    middle = first_map.new_tensor([(width - shift) / 2, (height - shift) / 2])
    focal = weiszfeld_focal(first_map, middle)
    if not bool(focal.isfinite() & (focal > 0)):
        return None
    return pinhole_matrix(focal, middle), middle


def _depth_term(maps: ClipMaps, to_first: Tensor, clips: ClipBatch, clip: int, settings: AdaptationSettings) -> Tensor:
    label = require_depth(clips)[clip].flatten(1)
    depth = transform_points(invert_rigid(to_first), maps.point_map_2.flatten(1, 2))[..., 2]
    valid = label > 0
    if clips.pseudo_depth_is_inverse is not None and bool(clips.pseudo_depth_is_inverse[clip]):
        nearest = _NEAREST * depth.detach().abs().mean(dim=1, keepdim=True)
        return depth_loss(1 / depth.clamp_min(nearest), label, valid & (depth.detach() > nearest), with_shift=True)[0]
    return depth_loss(depth, label, valid, with_shift=settings.depth_fit == "scale_shift")[0]

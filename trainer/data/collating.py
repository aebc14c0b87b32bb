"""Prepared clips put together to a batch."""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from trainer.data.batches import ClipBatch
from trainer.data.prepared import PreparedClip, PreparedTruth
from trainer.losses import GeometryTruth, TrackObservations


def collate(clips: Sequence[PreparedClip], without_normals: Collection[str] = ()) -> ClipBatch | None:
    """Clips of one shape, all with truth or all without, as one batch; None for none.

    What only some clips know is filled up: an unknown static score is NaN, a pose weight 1, sky nowhere.
    """
    if not clips:
        return None
    tracks_px = torch.stack([clip.tracks_px for clip in clips])
    observations = TrackObservations(
        tracks_px=tracks_px,
        frame_weights=torch.stack([clip.frame_weights for clip in clips]),
        static_score=_stack([clip.static_score for clip in clips], lambda clip: torch.full_like(clips[clip].frame_weights[0], torch.nan)),
        pose_weight=_stack([clip.pose_weight for clip in clips], lambda clip: torch.ones_like(clips[clip].frame_weights[:, 0])),
    )
    truths = [clip.truth for clip in clips if clip.truth is not None]
    tracks3d_world = torch.stack([truth.tracks3d_world for truth in truths]) if truths else None
    with_normals = torch.tensor([clip.dataset not in without_normals for clip in clips])
    return ClipBatch(
        keys=tuple(clip.key for clip in clips),
        datasets=tuple(clip.dataset for clip in clips),
        licenses=tuple(clip.license for clip in clips),
        images=torch.stack([clip.images for clip in clips]).movedim(-1, 2).contiguous().float().div_(255),
        query_points=tracks_px[:, 0].clone(),
        observations=observations,
        is_metric=torch.tensor([clip.is_metric for clip in clips]),
        geometry=_geometry(truths, with_normals) if truths else None,
        tracks3d_world=tracks3d_world,
        track_valid=None if tracks3d_world is None else tracks3d_world.isfinite().all(-1),
        visibility=torch.stack([truth.visibility for truth in truths]) if truths else None,
    )


def unproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Points of all pixels in their camera, z K^-1 (x, y, 1), "... H W 3"; the origin where depth is 0.

    Args:
        depth: "... H W", along z. intrinsics: "... 3 3", pixels; integers are centres.
    """
    height, width = depth.shape[-2:]
    y, x = (torch.arange(length, device=depth.device, dtype=depth.dtype) for length in (height, width))
    rows, columns = y[:, None], x[None, :]
    fx, skew, cx = (intrinsics[..., 0, entry, None, None] for entry in range(3))
    fy, cy = intrinsics[..., 1, 1, None, None], intrinsics[..., 1, 2, None, None]
    ray_y = (rows - cy) / fy
    ray_x = (columns - cx - skew * ray_y) / fx
    return torch.stack([ray_x * depth, (ray_y * depth).expand_as(depth), depth], -1)


def _geometry(truths: Sequence[PreparedTruth], with_normals: Tensor) -> GeometryTruth:
    depth = torch.stack([truth.depth for truth in truths])
    return GeometryTruth(
        local_points=unproject(depth, torch.stack([truth.intrinsics for truth in truths])),
        camera_to_world=torch.stack([truth.camera_to_world for truth in truths]),
        valid=depth > 0,
        pose_valid=torch.stack([truth.pose_valid for truth in truths]),
        sky_mask=_stack([truth.sky_mask for truth in truths], lambda clip: torch.zeros_like(truths[clip].depth, dtype=torch.bool)),
        with_normals=with_normals,
    )


def _stack(tensors: Sequence[Tensor | None], missing: Callable[[int], Tensor]) -> Tensor | None:
    """The tensors of all clips, those that are None as `missing` makes them; None where all are."""
    if all(tensor is None for tensor in tensors):
        return None
    return torch.stack([missing(clip) if tensor is None else tensor for clip, tensor in enumerate(tensors)])

"""Batches as the decoder sees and is taught them: geometry bundles from truth, and the targets of tracks in the image and in space."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from networks.track4world import GeometryBundle, bundle_of_truth, bundle_without_geometry
from networks.track4world.alignment import ScaleShift
from networks.track4world.network import padding_of
from pipeline.errors import DataError
from trainer.data import ClipBatch
from trainer.families.track4world.geometry_losses import align_clip
from trainer.families.track4world.motion_losses import PlanarTargets, SpatialTargets
from trainer.families.track4world.settings import GeometryStageSettings, MotionSettings
from trainer.geometry import invert_rigid, sample_maps, transform_points

_NEAREST = 1e-3  # depth from which a hidden point has a place in the image, in the truth's unit


def asked_tracks(clips: ClipBatch, clip: int) -> Tensor:
    """Places of the tracks that are seen in the clip's first frame, int64 "N"; the others fill the batch up."""
    return (clips.observations.frame_weights[clip, 0] > 0).nonzero()[:, 0]


def batch_bundle(clips: ClipBatch, *, token_width: int) -> GeometryBundle:
    """Geometry of a batch without a backbone: of its truth, or none at all for clips that have no truth.

    A frame without a valid depth, which cropping may leave, has a plane at the mean depth of its clip, and no valid pixel.

    Raises: DataError for truth without intrinsics.
    """
    if clips.geometry is None:
        return bundle_without_geometry(clips.images, token_width=token_width)
    truth = clips.geometry
    if truth.intrinsics is None:
        raise DataError(f"clips {', '.join(clips.keys)}: truth without intrinsics, which geometry from depth needs")
    depth = torch.where(truth.valid, truth.local_points[..., 2], 0)
    known = truth.valid.flatten(2).any(dim=2)  # "B T"
    if bool(known.all()):
        return bundle_of_truth(depth, truth.intrinsics, truth.camera_to_world, token_width=token_width)
    mean = depth.flatten(1).sum(1) / truth.valid.flatten(1).sum(1).clamp_min(1)
    plane = torch.where(mean > 0, mean, 1)[:, None, None, None].expand_as(depth)
    filled = torch.where(known[..., None, None], depth, plane)
    bundle = bundle_of_truth(filled, truth.intrinsics, truth.camera_to_world, token_width=token_width)
    return replace(bundle, mask=bundle.mask * known[..., None, None])


def pseudo_targets(clips: ClipBatch, clip: int, frames: slice) -> PlanarTargets:
    """Targets of the labelled tracks of one clip at some frames: what is seen counts as the audit says.

    Hidden positions are the labeler's guesses, and do not count. Visibility counts as much as the track does in its best frame.
    """
    asked = asked_tracks(clips, clip)
    weights = clips.observations.frame_weights[clip][:, asked]
    return PlanarTargets(
        tracks_px=clips.observations.tracks_px[clip][frames, asked],
        visible=weights[frames] > 0,
        position_trust=weights[frames],
        visibility_trust=weights.amax(dim=0).expand_as(weights[frames]),
    )


def true_targets(clips: ClipBatch, clip: int, frames: slice) -> PlanarTargets:
    """Targets of the true tracks of one clip at some frames.

    Hidden positions count where the point is known in space, in front of the camera, and less than the image's own size outside of it.
    """
    asked = asked_tracks(clips, clip)
    tracks = clips.observations.tracks_px[clip][frames, asked]
    visible = clips.observations.frame_weights[clip][frames, asked] > 0
    camera, known = _camera_tracks(clips, clip, asked)
    size = tracks.new_tensor([clips.images.shape[-1], clips.images.shape[-2]])
    near = ((tracks > -size) & (tracks < 2 * size)).all(dim=-1)
    hidden = known[frames] & (camera[frames, :, 2] > _NEAREST) & near
    return PlanarTargets(
        tracks_px=tracks,
        visible=visible,
        position_trust=(visible | hidden).to(tracks.dtype),
        visibility_trust=(visible | known[frames]).to(tracks.dtype),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpatialClip:
    """Targets in space of one clip, and the true points at the first frame that neighbours are found by."""

    targets: SpatialTargets
    start: Tensor  # "N 3", true points in the first camera, in the truth's unit; 0 where not known
    start_known: Tensor  # bool "N"


def spatial_targets(
    clips: ClipBatch, clip: int, frames: slice, bundle: GeometryBundle, fit: ScaleShift, settings: MotionSettings
) -> SpatialClip:
    """Targets in space of one clip with truth, in the bundle's unit: (X* - t) / s.

    A source pixel counts if both maps know it and the true one shows the track's own surface there: between two surfaces a map holds
    neither.

    Args:
        fit: s and t from the bundle's points to the true ones.
    """
    truth, padding = clips.truth(), padding_of(clips.images)
    asked = asked_tracks(clips, clip)
    camera, known = _camera_tracks(clips, clip, asked)
    queries = clips.query_points[clip, asked][None, None]  # "1 1 N 2"
    shown = bundle.mask[clip, 0] > bundle.mask_threshold
    valid = (padding.crop(shown) & truth.valid[clip, 0]).to(queries.dtype)
    source = sample_maps(padding.crop(bundle.points[clip, :1]).permute(0, 2, 3, 1)[None], queries)[0, 0]
    surface = sample_maps(truth.local_points[clip, :1][None], queries)[0, 0]
    whole = sample_maps(valid[None, None, ..., None], queries)[0, 0, :, 0] > 1 - 1e-4  # all pixels around it
    same = (surface - camera[0]).norm(dim=-1) <= settings.same_surface * camera[0].norm(dim=-1)
    counts = known[0] & whole & same
    targets = SpatialTargets(
        source=source.detach(),
        points=(camera[frames] - camera.new_tensor(fit.shift)) / fit.scale,
        known=known[frames] & counts,
        visible=clips.observations.frame_weights[clip][frames, asked] > 0,
    )
    return SpatialClip(targets=targets, start=camera[0], start_known=known[0])


def bundle_fit(
    clips: ClipBatch, clip: int, bundle: GeometryBundle, settings: GeometryStageSettings, *, from_truth: bool
) -> ScaleShift | None:
    """Scale and shift from a bundle's points to the true ones of one clip; None where no positive scale is found.

    Args:
        from_truth: the bundle was made of that truth, and knows its own unit.
    """
    if from_truth and bundle.unit is not None:
        return ScaleShift(scale=float(bundle.unit[clip]), shift=(0.0, 0.0, 0.0))
    truth, padding = clips.truth(), padding_of(clips.images)
    valid = truth.valid[clip] & (padding.crop(bundle.mask[clip]) > bundle.mask_threshold)
    return align_clip(padding.crop(bundle.points[clip]).permute(0, 2, 3, 1), truth.local_points[clip], valid, settings)


def _camera_tracks(clips: ClipBatch, clip: int, asked: Tensor) -> tuple[Tensor, Tensor]:
    """True points "T N 3" of some tracks in each frame's camera, 0 where not known, and where they are known, bool "T N"."""
    truth = clips.truth()
    assert clips.tracks3d_world is not None, "a batch has all of its truth or none"
    world = clips.tracks3d_world[clip][:, asked]
    known = world.isfinite().all(dim=-1)
    if truth.pose_valid is not None:
        known = known & truth.pose_valid[clip, :, None]
    camera = transform_points(invert_rigid(truth.camera_to_world[clip]), torch.where(known[..., None], world, 0))
    return torch.where(known[..., None], camera, 0), known

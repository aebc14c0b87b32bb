"""The coupling losses of TrajVG, L_cons and L_cam, on labelled clips and on clips with pseudo tracks.

TrajVG eq. (6), L_cons = w [rho(p~ - sg p^) + rho(p^ - sg p~)]: point maps and tracks say the same place in space. The first term is printed
as rho(sg[p~] - p~), which is zero whatever the network does; the text below it ("updates the pointmap branch, tracks detached") fixes the
reading taken here.
TrajVG eq. (7), L_cam = sum of w [m rho(C_{t->x} sg p - target) + rho(sg C_{t->x} p - p-bar)]: every frame's points, brought to the anchor
camera, lie where the anchor's view or the truth says.
Without truth every residual is relative to the size of the scene, or it would vanish as the scene shrinks to a point.
`reprojection_term` is another pose term for clips without truth, and not the paper's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.families.trajvg.settings import CouplingSettings, CouplingWeights
from trainer.families.trajvg.static_gates import static_tracks
from trainer.families.trajvg.tracking import NormalisedTracks
from trainer.geometry import (
    invert_rigid,
    masked_mean,
    motion_to_anchor,
    point_map_intrinsics,
    sample_maps,
    scale_motion,
    transform_points,
)
from trainer.losses.penalties import huber, reduce_weighted, residual_where
from trainer.losses.records import ClipGeometry, TrackObservations

_NEAREST = 0.1  # of a point's depth in the anchor frame: nearer to another camera it is not projected


def point_map_consistency(samples: Tensor, tracks: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Term A of L_cons: sum of w rho(p~ - sg p^).

    Args:
        samples: "B T N 3", p~, the point maps at the tracks' pixels.
        tracks: "B T N 3", p^, of the tracker; detached here.
        weight: "B T N".
    Returns:
        "B". Gradient flows to the point maps, at the four pixels around each seen place; none to tracks or cameras.
    """
    residual = residual_where(weight, samples, tracks.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def track_consistency(samples: Tensor, tracks: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Term B of L_cons: sum of w rho(p^ - sg p~). Arguments as for `point_map_consistency`, the samples detached here.

    Returns:
        "B". Gradient flows to the tracks alone. A tracker that reads the point maps must be fed them detached, or they would move with
        it in spite of the detached samples.
    """
    residual = residual_where(weight, tracks, samples.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def pose_term(points: Tensor, camera_to_world: Tensor, target: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """First term of L_cam: sum of w m rho(C_{t->x} Hom(sg p) - sg target).

    Args:
        points: "B T N 3", p~ in each frame's camera; detached here.
        camera_to_world: "B T 4 4".
        target: "B T N 3" in the anchor camera, detached here: the truth p-bar, or p~_x of every track (see `anchor_targets`).
        weight: "B T N", w m.
    Returns:
        "B". Gradient flows to C_t and C_x, not from t = x; none to points.
    """
    moved = transform_points(motion_to_anchor(camera_to_world, settings.anchor), points.detach())
    residual = residual_where(weight, moved, target.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def reprojection_term(
    points: Tensor, camera_to_world: Tensor, pixels: Tensor, intrinsics: Tensor, weight: Tensor, settings: CouplingSettings
) -> Tensor:
    """Another pose term, not the paper's: sum of w m rho(pi(C_{x->t} Hom(sg p_x)) - K_t^-1 q_t), pi(x, y, z) = (x / z, y / z).

    The depth of frame t plays no part, so it teaches translations also where the depths of two frames agree less than the cameras move.
    Residuals, and with them settings.huber, are tangents of angles; they do not depend on the unit of points and cameras.

    Args:
        points: "B T N 3", p~ in each frame's camera; those of the anchor frame count, detached here.
        camera_to_world: "B T 4 4", in the unit of the points.
        pixels: "B T N 2", q. intrinsics: "B T 3 3", K, one focal length for both axes.
        weight: "B T N", w m. A point that would lie behind camera t, or nearly so, has no residual; its weight stays in the divisor, as
            that of t = x does.
    Returns:
        "B". Gradient flows to C_t and C_x, not from t = x; none to points.
    Source: the reprojection of St4RTrack's adaptation, on TrajVG's static tracks.
    """
    anchor = settings.anchor
    at_anchor = points.detach()[:, anchor, None]
    moved = transform_points(invert_rigid(motion_to_anchor(camera_to_world, anchor)), at_anchor)  # "B T N 3"
    other = torch.arange(moved.shape[1], device=moved.device) != anchor
    usable = (moved[..., 2] > _NEAREST * at_anchor[..., 2]) & (at_anchor[..., 2] > 0) & other[:, None]
    seen = (pixels - intrinsics[..., None, :2, 2]) / intrinsics[..., 0, 0, None, None]
    projected = moved[..., :2] / torch.where(usable, moved[..., 2], 1)[..., None]
    residual = residual_where(torch.where(usable, weight, 0), projected, seen)
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def point_term(points: Tensor, camera_to_world: Tensor, target: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Second term of L_cam: sum of w rho(sg C_{t->x} Hom(p) - p-bar). No static mask: p-bar moves with the points.

    Args:
        points: "B T N 3": p~, so that the point maps learn (as printed), or p^, so that the tracks do (as the text has it).
        camera_to_world: "B T 4 4", detached here. target: "B T N 3", p-bar. weight: "B T N", w.
    Returns:
        "B". Gradient flows to `points` alone.
    """
    moved = transform_points(motion_to_anchor(camera_to_world.detach(), settings.anchor), points)
    residual = residual_where(weight, moved, target.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def anchor_targets(samples: Tensor, weight: Tensor, anchor: int) -> tuple[Tensor, Tensor]:
    """Target without truth: each track's own sample in the anchor frame, sg p~_x, and the weight w_t w_x that goes with it.

    Args:
        samples: "B T N 3", p~. weight: "B T N". anchor: x.
    Returns:
        target "B T N 3", detached, and weight "B T N". At t = x the residual is zero, while the weight stays, and with it in the divisor.
    """
    target = samples.detach()[:, anchor, None].expand_as(samples)
    return target, weight * weight[:, anchor, None]


def scene_scale(samples: Tensor, weight: Tensor) -> Tensor:
    """N = mean of |p~| over what is seen, "B"; 1 for a clip that sees nothing. Gradient flows to the samples; callers detach.

    Args:
        samples: "B T N 3". weight: "B T N".
    """
    seen = weight > 0
    distance = samples.where(seen[..., None], samples.new_ones(())).norm(dim=-1)
    return masked_mean(distance, seen) + (~seen.flatten(1).any(1)).to(samples.dtype)


def normalised_point_map_consistency(samples: Tensor, tracks: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Term A of L_cons over a scene of size 1: sum of w rho(p~ / N - sg[p^ / N]).

    Dividing by a constant N makes the value, but not the gradient, independent of the scene's size: p~ would be drawn towards a p^ held
    fixed, and on average to smaller scenes. With settings.scale_gradient "invariant" gradient flows through N as well, so that the
    gradient along a common factor of all of p~ is exactly zero; "detached" takes N as a constant.

    Returns: "B". Gradient flows to the point maps alone.
    """
    scale = scene_scale(samples, weight)[:, None, None, None]
    divisor = scale if settings.scale_gradient == "invariant" else scale.detach()
    return point_map_consistency(samples / divisor, tracks / scale.detach(), weight, settings)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CouplingTerms:
    """One number per clip and term, "B", unweighted; the last two are for logs, and carry no gradient."""

    consistency_points: Tensor  # to the point map
    consistency_tracks: Tensor  # to the tracks
    camera_poses: Tensor  # to the cameras
    camera_points: Tensor | None  # to point map or tracks; None without labels
    scene_scale: Tensor  # mean |p~| of what is seen, in the unit of the residuals before any normalisation by it
    static_share: Tensor  # of what is seen, by weight

    def total(self, weights: CouplingWeights) -> Tensor:
        """The weighted sum, "B"."""
        total = (
            weights.consistency_points * self.consistency_points
            + weights.consistency_tracks * self.consistency_tracks
            + weights.camera_poses * self.camera_poses
        )
        return total if self.camera_points is None else total + weights.camera_points * self.camera_points


def labelled_coupling(
    prediction: ClipGeometry, observed: TrackObservations, truth: NormalisedTracks, *, scale: Tensor, settings: CouplingSettings
) -> CouplingTerms:
    """L_cons and both terms of L_cam on clips with true tracks.

    Args:
        prediction: in the network's unit.
        observed: the true tracks' pixels, and their weights (visibility).
        truth: in normalised units.
        scale: "B", from the network's unit to the normalised one (`AlignedGeometry.scale`). Its gradient counts for the point maps alone,
            and with settings.scale_gradient "invariant" alone: then the gradient along a common factor of all points is zero. Otherwise
            the terms keep pulling on that factor, and since the scale is solved anew at every step nothing ever holds it.
    Raises: DataError if the prediction has no tracks or frames and tracks disagree.
    """
    tracks = _check(prediction, observed, settings, truth)
    with torch.autocast(observed.frame_weights.device.type, enabled=False):
        factor = scale if settings.scale_gradient == "invariant" else scale.detach()
        samples = sample_maps(prediction.local_points, observed.tracks_px) * factor[:, None, None, None]
        tracks, weight = tracks * scale.detach()[:, None, None, None], observed.frame_weights
        cameras = scale_motion(prediction.camera_to_world, scale.detach())
        known = weight * truth.track_valid
        pose_weight = _on_frames(known, observed) * truth.static
        target = truth.anchor_points
        if settings.cam_target == "anchor":
            target, pose_weight = anchor_targets(samples, _on_frames(weight, observed), settings.anchor)
            pose_weight = pose_weight * truth.static
        learners = {"pointmap": (samples,), "track": (tracks,), "both": (samples, tracks)}[settings.points]
        by_learner = [point_term(points, cameras, truth.anchor_points, known, settings) for points in learners]
        return CouplingTerms(
            consistency_points=point_map_consistency(samples, tracks, weight, settings),
            consistency_tracks=track_consistency(samples, tracks, weight, settings),
            camera_poses=pose_term(samples, cameras, target, pose_weight, settings),
            camera_points=torch.stack(by_learner).sum(0),
            scene_scale=scene_scale(samples, weight).detach(),
            static_share=_share(weight * truth.static, weight),
        )


def self_supervised_coupling(prediction: ClipGeometry, observed: TrackObservations, settings: CouplingSettings) -> CouplingTerms:
    """L_self: L_cons and the first term of L_cam on clips with pseudo tracks, every residual relative to the scene's size N = mean |p~|.

    The camera's target is each track's sample in the anchor frame, for tracks that pass the static gates. N is a constant for tracks and
    cameras; for the point maps see `normalised_point_map_consistency`. With settings.self_pose_form "reprojection", which is not the
    paper's, the pose term is `reprojection_term`, by the focal lengths of the predicted point maps.

    Args:
        prediction: in the network's unit, which cancels.
        observed: pseudo tracks and their weights.
    Raises: DataError if the prediction has no tracks, frames and tracks disagree, or the audit's gate finds no scores.
    """
    tracks = _check(prediction, observed, settings)
    with torch.autocast(observed.frame_weights.device.type, enabled=False):
        samples, weight = sample_maps(prediction.local_points, observed.tracks_px), observed.frame_weights
        static = static_tracks(prediction, samples, observed, settings.anchor, settings.gate)[:, None]
        scale = scene_scale(samples, weight).detach()
        unit = scale[:, None, None, None]
        target, pose_weight = anchor_targets(samples / unit, _on_frames(weight, observed), settings.anchor)
        pose_weight, cameras = pose_weight * static, scale_motion(prediction.camera_to_world, 1 / scale)
        if settings.self_pose_form == "points":
            poses = pose_term(samples / unit, cameras, target, pose_weight, settings)
        else:
            intrinsics = point_map_intrinsics(prediction.local_points)
            poses = reprojection_term(samples / unit, cameras, observed.tracks_px, intrinsics, pose_weight, settings)
        return CouplingTerms(
            consistency_points=normalised_point_map_consistency(samples, tracks, weight, settings),
            consistency_tracks=track_consistency(samples / unit, tracks / unit, weight, settings),
            camera_poses=poses,
            camera_points=None,
            scene_scale=scale,
            static_share=_share(weight * static, weight),
        )


def _on_frames(weight: Tensor, observed: TrackObservations) -> Tensor:
    return weight if observed.pose_weight is None else weight * observed.pose_weight[..., None]


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part.sum(dim=(1, 2)) / whole.sum(dim=(1, 2)).clamp_min(torch.finfo(whole.dtype).tiny)


def _check(
    prediction: ClipGeometry, observed: TrackObservations, settings: CouplingSettings, truth: NormalisedTracks | None = None
) -> Tensor:
    """The predicted tracks, checked to be of the same clips, frames and tracks as the observations and the truth."""
    if prediction.tracks is None:
        raise DataError("the prediction has no tracks; coupling losses need a model that tracks, such as trajvg")
    shape = tuple(observed.frame_weights.shape)
    others = [tuple(prediction.tracks.shape[:3])] + ([] if truth is None else [tuple(truth.track_valid.shape)])
    if any(other != shape for other in others):
        raise DataError(f"observations are [B, T, N] = {list(shape)}, predicted (and true) tracks {others}")
    if settings.anchor >= shape[1]:
        raise DataError(f"anchor frame {settings.anchor} of clips of {shape[1]} frames; take an earlier anchor or longer clips")
    return prediction.tracks

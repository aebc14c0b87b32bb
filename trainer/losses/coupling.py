"""The coupling losses of TrajVG, L_cons and L_cam, on labelled clips and on clips with pseudo tracks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.geometry import sample_maps, scale_motion
from trainer.losses.camera import anchor_targets, point_term, pose_term
from trainer.losses.consistency import point_map_consistency, track_consistency
from trainer.losses.records import ClipGeometry, NormalisedTracks, TrackObservations
from trainer.losses.scene_scale import normalised_point_map_consistency, scene_scale
from trainer.losses.settings import CouplingSettings, CouplingWeights
from trainer.losses.static_gates import static_tracks


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CouplingTerms:
    """One number per clip and term, "B", unweighted; the last two are to be watched, and carry no gradient."""

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
    cameras; for the point maps see `normalised_point_map_consistency`.

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
        cameras = scale_motion(prediction.camera_to_world, 1 / scale)
        return CouplingTerms(
            consistency_points=normalised_point_map_consistency(samples, tracks, weight, settings),
            consistency_tracks=track_consistency(samples / unit, tracks / unit, weight, settings),
            camera_poses=pose_term(samples / unit, cameras, target, pose_weight * static, settings),
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
    """The predicted tracks, if everything is of the same clips, frames and tracks."""
    if prediction.tracks is None:
        raise DataError("the prediction has no tracks; coupling losses need a model that tracks, such as trajvg")
    shape = tuple(observed.frame_weights.shape)
    others = [tuple(prediction.tracks.shape[:3])] + ([] if truth is None else [tuple(truth.track_valid.shape)])
    if any(other != shape for other in others):
        raise DataError(f"observations are [B, T, N] = {list(shape)}, predicted (and true) tracks {others}")
    if settings.anchor >= shape[1]:
        raise DataError(f"anchor frame {settings.anchor} of clips of {shape[1]} frames; take an earlier anchor or longer clips")
    return prediction.tracks

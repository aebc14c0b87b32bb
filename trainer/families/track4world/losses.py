"""Losses of a batch of clips, term by term: the geometry stage's, and the motion stage's in the image and in space."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from networks.track4world import GeometryBundle, RawGeometry
from networks.track4world.network import padding_of
from trainer.data import ClipBatch
from trainer.families.track4world.geometry_losses import geometry_stage_terms
from trainer.families.track4world.motion_losses import SpatialTerms, neighbourhoods, planar_loss, spatial_loss
from trainer.families.track4world.reading import TrackReadings
from trainer.families.track4world.settings import GeometryStageSettings, GeometryStageWeights, MotionSettings, Track4WorldLosses
from trainer.families.track4world.targets import SpatialClip, asked_tracks, bundle_fit, pseudo_targets, spatial_targets, true_targets
from trainer.losses import ClipGeometry, GeometryTruth, LossTerm, normalise_truth
from trainer.losses.settings import weights_of


def geometry_losses(
    raw: RawGeometry, clips: ClipBatch, weights: GeometryStageWeights, settings: GeometryStageSettings, draw: torch.Generator
) -> tuple[LossTerm, ...]:
    """The first stage's losses under names such as "geometry/points". Gradient flows to the backbone's points and cameras."""
    padding = padding_of(clips.images)
    local = raw.points.float().flatten(0, 1).permute(0, 3, 1, 2)
    resized = F.interpolate(local, size=padding.padded, mode="bilinear", align_corners=False)
    points = padding.crop(resized).permute(0, 2, 3, 1).unflatten(0, raw.points.shape[:2])
    truth = normalise_truth(clips.truth()).truth
    found = [
        geometry_stage_terms(
            ClipGeometry(local_points=points[clip : clip + 1], camera_to_world=raw.camera_poses[clip : clip + 1].float()),
            _one_clip(truth, clip),
            weights,
            settings,
            draw,
        )
        for clip in range(len(clips.keys))
    ]
    return _terms("geometry", found, weights_of(weights), zero=points, logged=("aligned",))


def planar_losses(
    readings: TrackReadings, clips: ClipBatch, weights: Mapping[str, float], settings: MotionSettings, *, group: str
) -> tuple[LossTerm, ...]:
    """The 2D losses under names such as "planar/trajectory": of true tracks, or of labelled ones where the clips have no truth."""
    frames = _target_frames(readings)
    targets_of = pseudo_targets if clips.geometry is None else true_targets
    found = [
        planar_loss(readings.planar(clip, asked_tracks(clips, clip)), targets_of(clips, clip, frames), settings)
        if len(asked_tracks(clips, clip))
        else None  # a dataset without tracks
        for clip in range(len(clips.keys))
    ]
    return _terms(group, found, weights, zero=readings.tracks_px)


def spatial_losses(
    readings: TrackReadings,
    bundle: GeometryBundle,
    clips: ClipBatch,
    settings: Track4WorldLosses,
    draw: torch.Generator,
    *,
    from_truth: bool,
) -> tuple[LossTerm, ...]:
    """The 3D losses under names such as "spatial/position"; "spatial/known", the share of places that they see, is for logs.

    Args:
        from_truth: the bundle was made of the clips' truth.
    """
    frames, found, known = _target_frames(readings), list[SpatialTerms | None](), list[Tensor]()
    for clip in range(len(clips.keys)):
        asked = asked_tracks(clips, clip)
        fit = bundle_fit(clips, clip, bundle, settings.geometry_settings, from_truth=from_truth)
        if fit is None or not len(asked):
            found.append(None)
            known.append(readings.flow3d.new_zeros(()))
            continue
        space = spatial_targets(clips, clip, frames, bundle, fit, settings.motion_settings)
        anchors = _neighbours(space, settings.motion_settings, draw)
        found.append(spatial_loss(readings.flow3d[clip][:, :, asked], space.targets, anchors, settings.motion_settings))
        known.append(space.targets.known.float().mean())
    terms = _terms("spatial", found, weights_of(settings.spatial), zero=readings.flow3d)
    return (*terms, LossTerm(name="spatial/known", weight=0.0, values=torch.stack(known)))


def _neighbours(space: SpatialClip, settings: MotionSettings, draw: torch.Generator) -> Tensor:
    """Anchors drawn of the tracks that are known at the start, and their neighbours there."""
    known = space.start_known.nonzero()[:, 0]
    if len(known) > settings.anchors:
        known = known[torch.randperm(len(known), generator=draw)[: settings.anchors].to(known.device)]
    return neighbourhoods(space.start, known, settings.neighbours)


def _target_frames(readings: TrackReadings) -> slice:
    """Frames of the targets: the second of a pair, which is one target; else all."""
    return slice(1, None) if readings.tracks_px.shape[2] == 1 else slice(None)


def _terms(
    group: str, found: Sequence[object], weights: Mapping[str, float], zero: Tensor, logged: Sequence[str] = ()
) -> tuple[LossTerm, ...]:
    """Records of scalars, one per clip, as terms; None is a clip without that loss: 0, with a gradient of 0.

    Args:
        zero: any of the network's output. logged: fields of the records that have no weight.
    """
    nothing = zero.sum() * 0
    return tuple(
        LossTerm(
            name=f"{group}/{name}",
            weight=weights.get(name, 0.0),
            values=torch.stack([nothing if terms is None else getattr(terms, name) for terms in found]),
        )
        for name in (*weights, *logged)
    )


def _one_clip(truth: GeometryTruth, clip: int) -> GeometryTruth:
    """One clip of a batch, as a batch of 1."""
    parts: dict[str, Any] = {field.name: getattr(truth, field.name) for field in fields(truth)}
    chosen: dict[str, Any] = {name: None if part is None else part[clip : clip + 1] for name, part in parts.items()}
    return GeometryTruth(**chosen)

"""The losses of clips with truth."""

from networks.pi3 import ModelOutput
from trainer.data import ClipBatch
from trainer.losses import (
    AlignedGeometry,
    ClipGeometry,
    GeometryTruth,
    GeometryWeights,
    NormalisedTracks,
    NormalisedTruth,
    align_geometry,
    geometry_terms,
    labelled_coupling,
    normalise_tracks,
    normalise_truth,
    static_tau,
    track_loss,
    visibility_loss,
)
from trainer.objective.clip_losses import ClipLosses, LossTerm, coupling_terms
from trainer.objective.settings import LossSettings, TrackingWeights


def labelled_losses(output: ModelOutput, batch: ClipBatch, geometry: GeometryTruth, settings: LossSettings) -> ClipLosses:
    """π³'s losses, the tracker's, and the coupling, as far as the settings take them.

    Args:
        geometry: the batch's.
    """
    normalised = normalise_truth(geometry)
    prediction = predicted_geometry(output)
    aligned = align_geometry(prediction, normalised, settings.geometry_settings)
    terms: tuple[LossTerm, ...] = ()
    if settings.geometry is not None:
        terms += _geometry(output, aligned, normalised, settings.geometry, settings)
    if settings.tracking is not None or settings.coupling is not None:
        truth = _true_tracks(batch, geometry, normalised, settings)
        if settings.tracking is not None:
            terms += _tracking(output, aligned, truth, settings.tracking, settings)
        if settings.coupling is not None:
            coupled = labelled_coupling(prediction, batch.observations, truth, scale=aligned.scale, settings=settings.coupling_settings)
            terms += coupling_terms(coupled, settings.coupling, prefix="coupling")
    return ClipLosses(keys=batch.keys, terms=terms)


def predicted_geometry(output: ModelOutput) -> ClipGeometry:
    """What the coupling and π³'s losses look at."""
    tracks = None if output.traj3d_camera is None else output.traj3d_camera[-1]
    return ClipGeometry(local_points=output.local_points, camera_to_world=output.camera_poses, tracks=tracks)


def _geometry(
    output: ModelOutput, aligned: AlignedGeometry, normalised: NormalisedTruth, weights: GeometryWeights, settings: LossSettings
) -> tuple[LossTerm, ...]:
    logits = output.conf[..., 0] if weights.confidence > 0 else None
    terms = geometry_terms(aligned, normalised, settings.geometry_settings, logits, normals=weights.normals > 0)
    named = {name: (getattr(weights, name), getattr(terms, name)) for name in weights.__slots__}
    named |= {"translation": (0.0, terms.translation), "rotation": (0.0, terms.rotation)}
    return tuple(
        LossTerm(name=f"geometry/{name}", weight=weight, values=values) for name, (weight, values) in named.items() if values is not None
    )


def _tracking(
    output: ModelOutput, aligned: AlignedGeometry, truth: NormalisedTracks, weights: TrackingWeights, settings: LossSettings
) -> tuple[LossTerm, ...]:
    tracks = track_loss(output.traj3d_camera or [], truth, scale=aligned.scale, settings=settings.tracking_settings)
    seen = visibility_loss(output.visibility_logits or [], truth.visibility, truth.track_valid)
    return (
        LossTerm(name="tracking/tracks", weight=weights.tracks, values=tracks),
        LossTerm(name="tracking/visibility", weight=weights.visibility, values=seen),
    )


def _true_tracks(batch: ClipBatch, geometry: GeometryTruth, normalised: NormalisedTruth, settings: LossSettings) -> NormalisedTracks:
    assert batch.tracks3d_world is not None  # a batch has all of its truth or none
    assert batch.visibility is not None
    return normalise_tracks(
        batch.tracks3d_world,
        geometry.camera_to_world,
        batch.visibility,
        norm=normalised.norm,
        tau=static_tau(normalised.norm, batch.is_metric, settings.coupling_settings),
        anchor=settings.coupling_settings.anchor,
    )

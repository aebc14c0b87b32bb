"""TrajVG's family: losses of geometry, of tracks, and of the coupling of the two."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from networks.building import Network
from networks.inputs import PIXEL_BUDGET
from networks.pi3 import ModelOutput
from networks.trajvg import TrajVG
from pipeline.errors import ConfigError
from trainer.data import ClipBatch
from trainer.families.pictures import draw_reconstruction
from trainer.families.protocol import InferenceDefaults, KnownGeometry
from trainer.families.trajvg.coupling import CouplingTerms, labelled_coupling, self_supervised_coupling
from trainer.families.trajvg.settings import CouplingWeights, TrackingWeights, TrajVGLosses
from trainer.families.trajvg.tracking import NormalisedTracks, normalise_tracks, static_tau, track_loss, visibility_loss
from trainer.losses import ClipLosses, GeometryTruth, LabelledGeometry, LossTerm, compare_geometry, geometry_losses, predicted_geometry
from trainer.losses.settings import weights_of


def labelled_losses(output: ModelOutput, clips: ClipBatch, truth: GeometryTruth, settings: TrajVGLosses) -> ClipLosses:
    """π³'s losses, the tracker's, and the coupling, as the settings select them.

    Args:
        truth: the clips'.
    """
    compared = compare_geometry(output, truth, settings.geometry_settings)
    terms: tuple[LossTerm, ...] = ()
    if settings.geometry is not None:
        terms += geometry_losses(output, compared, settings.geometry, settings.geometry_settings)
    if settings.tracking is not None or settings.coupling is not None:
        tracks = _normalised_tracks(clips, truth, compared, settings)
        scale = compared.aligned.scale
        if settings.tracking is not None:
            terms += _tracking_terms(output, tracks, settings.tracking, settings, compared)
        if settings.coupling is not None:
            coupled = labelled_coupling(compared.prediction, clips.observations, tracks, scale=scale, settings=settings.coupling_settings)
            terms += _coupling_terms(coupled, settings.coupling, prefix="coupling")
    return ClipLosses(keys=clips.keys, terms=terms)


def pseudo_losses(output: ModelOutput, clips: ClipBatch, weights: CouplingWeights, settings: TrajVGLosses) -> ClipLosses:
    """L_self, the losses of pseudo-labelled clips."""
    terms = self_supervised_coupling(predicted_geometry(output), clips.observations, settings.coupling_settings)
    return ClipLosses(keys=clips.keys, terms=_coupling_terms(terms, weights, prefix="self", factor=settings.self_supervised_weight))


def _tracking_terms(
    output: ModelOutput, truth: NormalisedTracks, weights: TrackingWeights, settings: TrajVGLosses, compared: LabelledGeometry
) -> tuple[LossTerm, ...]:
    tracks = track_loss(output.traj3d_camera or [], truth, scale=compared.aligned.scale, settings=settings.tracking_settings)
    seen = visibility_loss(output.visibility_logits or [], truth.visibility, truth.track_valid)
    return (
        LossTerm(name="tracking/tracks", weight=weights.tracks, values=tracks),
        LossTerm(name="tracking/visibility", weight=weights.visibility, values=seen),
    )


def _coupling_terms(terms: CouplingTerms, weights: CouplingWeights, *, prefix: str, factor: float = 1.0) -> tuple[LossTerm, ...]:
    """The coupling losses under names such as "self/camera_poses"; `factor` multiplies all weights."""
    named = [(name, factor * weight, getattr(terms, name)) for name, weight in weights_of(weights).items()]
    named += [(name, 0.0, getattr(terms, name)) for name in ("scene_scale", "static_share")]
    return tuple(LossTerm(name=f"{prefix}/{name}", weight=weight, values=values) for name, weight, values in named if values is not None)


def _normalised_tracks(clips: ClipBatch, truth: GeometryTruth, compared: LabelledGeometry, settings: TrajVGLosses) -> NormalisedTracks:
    assert clips.tracks3d_world is not None  # a batch has all of its truth or none
    assert clips.visibility is not None
    norm = compared.normalised.norm
    return normalise_tracks(
        clips.tracks3d_world,
        truth.camera_to_world,
        clips.visibility,
        norm=norm,
        tau=static_tau(norm, clips.is_metric, settings.coupling_settings),
        anchor=settings.coupling_settings.anchor,
    )


class TrajVGFamily:
    """See `trainer.families.protocol.Family`."""

    settings_type = TrajVGLosses
    inference_defaults = InferenceDefaults(pixels=PIXEL_BUDGET, video_stride=1)

    def patch_size(self, model: Network) -> int:
        """The encoder's."""
        return _trajvg(model).config.encoder.patch_size

    def keeps_start(self, settings: TrajVGLosses) -> bool:
        """Never."""
        return False

    def keep_start(self, model: Network, settings: TrajVGLosses) -> None:
        """Nothing is kept."""

    def tracks(self, model: Network) -> bool:
        """Always."""
        return True

    def infers(self, model: Network) -> bool:
        """Always."""
        return True

    def check_shape(self, model: Network, settings: TrajVGLosses, height: int, width: int) -> None:
        """Images must hold the tracker's coarsest map, unless no loss needs tracks."""
        if settings.needs_tracks:
            _trajvg(model).check_trackable(height, width)

    def forward(self, model: Network, clips: ClipBatch, settings: TrajVGLosses) -> ModelOutput:
        """Geometry; tracks and confidence where a loss needs them."""
        if not settings.needs_tracks:
            return _trajvg(model).geometry(clips.images, confidence=settings.needs_confidence).output
        output: ModelOutput = model(clips.images, clips.query_points, confidence=settings.needs_confidence)
        return output

    def labelled_losses(self, output: ModelOutput, clips: ClipBatch, settings: TrajVGLosses) -> ClipLosses:
        """π³'s losses, the tracker's, L_cons and L_cam."""
        return labelled_losses(output, clips, clips.truth(), settings)

    def pseudo_losses(self, output: ModelOutput, clips: ClipBatch, settings: TrajVGLosses) -> ClipLosses:
        """L_self."""
        assert settings.self_supervised is not None  # else the objective computes no pseudo side
        return pseudo_losses(output, clips, settings.self_supervised, settings)

    def pictures(self, clips: ClipBatch, output: ModelOutput) -> Mapping[str, np.ndarray]:
        """Frames with tracks, depth, points and tracks from above."""
        return draw_reconstruction(clips, output)

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None, geometry: KnownGeometry | None = None) -> ModelOutput:
        """Geometry, and tracks of the query points."""
        if query_points is None:
            return _trajvg(model).geometry(images).output
        output: ModelOutput = model(images, query_points)
        return output


def _trajvg(model: Network) -> TrajVG:
    if not isinstance(model, TrajVG):
        raise ConfigError(f"{type(model).__name__} is no TrajVG")
    return model

"""Track4World's family: geometry of the backbone, and 2D and 3D flow of the decoder, from clips with truth and from labelled tracks."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from networks.building import Network
from networks.layers.computing import full_precision
from networks.pi3 import ModelOutput
from networks.track4world import DenseFlow, GeometryBundle, RawGeometry, bundle_of_backbone
from networks.track4world.config import STRIDE
from networks.track4world.features import Window
from networks.track4world.network import Track4World, padding_of
from pipeline.errors import ConfigError, DataError
from trainer.data import ClipBatch
from trainer.families.protocol import InferenceDefaults, KnownGeometry
from trainer.families.track4world.losses import geometry_losses, planar_losses, spatial_losses
from trainer.families.track4world.pictures import draw_motion
from trainer.families.track4world.prediction import given_bundle, predict_clip
from trainer.families.track4world.reading import TrackReadings, read_tracks
from trainer.families.track4world.settings import Track4WorldLosses
from trainer.families.track4world.targets import batch_bundle
from trainer.losses import ClipLosses, LossTerm
from trainer.losses.settings import weights_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageOutput:
    """What the losses of one batch need."""

    raw: RawGeometry | None = None  # of the first stage, with gradient
    bundle: GeometryBundle | None = None  # below the decoder, without gradient; None where no motion is learned
    from_truth: bool = False  # the bundle is that of the clips' truth, or of nothing where they have none
    readings: TrackReadings | None = None  # flow at the tracks' queries, of frames 1 of pairs, and of all frames of longer clips


class Track4WorldFamily:
    """See `trainer.families.protocol.Family`."""

    settings_type = Track4WorldLosses
    inference_defaults = InferenceDefaults(pixels=384 * 512, video_stride=1, frames=16)

    def patch_size(self, model: Network) -> int:
        """The anchors' stride: frames are padded to multiples of 64 inside the network."""
        _decoder(model)
        return STRIDE

    def keeps_start(self, settings: Track4WorldLosses) -> bool:
        """Never."""
        return False

    def keep_start(self, model: Network, settings: Track4WorldLosses) -> None:
        """Nothing is kept. Raises: ConfigError where the geometry of a backbone is to be learned, and there is none."""
        if settings.learns_geometry and _decoder(model).backbone is None:
            raise ConfigError("losses.geometry teaches the backbone, and model.config.backbone is none; build it with pi3x or trajvg")

    def tracks(self, model: Network) -> bool:
        """Always: any pixel of the first frame."""
        return True

    def infers(self, model: Network) -> bool:
        """With a backbone; without one geometry comes from elsewhere."""
        return _decoder(model).backbone is not None

    def check_shape(self, model: Network, settings: Track4WorldLosses, height: int, width: int) -> None:
        """Images must have enough anchors for the coarsest level of the correlation."""
        smallest = _decoder(model).config.smallest_side
        if min(height, width) < smallest:
            raise DataError(f"both sides must have {smallest} pixels or more for a correlation of {_decoder(model).config.levels} levels")

    def forward(self, model: Network, clips: ClipBatch, settings: Track4WorldLosses) -> StageOutput:
        """Geometry with gradient where the first stage learns, and flow at the tracks' queries where the second does."""
        decoder, has_truth = _decoder(model), clips.geometry is not None
        if clips.images.shape[1] < 2:
            raise DataError(f"clips {', '.join(clips.keys)} of 1 frame, in which nothing moves: set data.shape.frames to 2 or more")
        needs_flow = not has_truth or settings.learns_motion_from_labels
        raw = decoder.raw_geometry(clips.images, confidence=needs_flow) if has_truth and settings.learns_geometry else None
        if not needs_flow:
            return StageOutput(raw=raw)
        bundle = _bundle(decoder, clips, raw)
        flows = dense_flows(decoder, clips, bundle, settings.motion_settings.iterations)
        with full_precision(clips.images.device):
            return StageOutput(raw=raw, bundle=bundle, from_truth=decoder.backbone is None, readings=read_tracks(flows, clips.query_points))

    def labelled_losses(self, output: StageOutput, clips: ClipBatch, settings: Track4WorldLosses) -> ClipLosses:
        """Both stages', as the settings select them."""
        clips.truth()
        terms: tuple[LossTerm, ...] = ()
        if output.raw is not None and settings.geometry is not None:
            terms += geometry_losses(output.raw, clips, settings.geometry, settings.geometry_settings, _generator(clips))
        if output.readings is not None and output.bundle is not None:
            if settings.planar is not None:
                terms += planar_losses(output.readings, clips, weights_of(settings.planar), settings.motion_settings, group="planar")
            if settings.spatial is not None:
                draw = _generator(clips)
                terms += spatial_losses(output.readings, output.bundle, clips, settings, draw, from_truth=output.from_truth)
        return ClipLosses(keys=clips.keys, terms=terms)

    def pseudo_losses(self, output: StageOutput, clips: ClipBatch, settings: Track4WorldLosses) -> ClipLosses:
        """2D flow, visibility and confidence at the labelled tracks."""
        assert output.readings is not None  # forward reads tracks wherever there is no truth
        weights = {name: weight * settings.pseudo_weight for name, weight in weights_of(settings.pseudo).items()}
        return ClipLosses(keys=clips.keys, terms=planar_losses(output.readings, clips, weights, settings.motion_settings, group="pseudo"))

    def pictures(self, clips: ClipBatch, output: StageOutput) -> Mapping[str, np.ndarray]:
        """Frames with the tracks that count and with the predicted ones, depth, points and tracks from above, as far as they are known."""
        return draw_motion(clips, output.bundle, output.readings)

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None, geometry: KnownGeometry | None = None) -> ModelOutput:
        """Geometry of the backbone, or the given one where there is none, and hybrid tracks."""
        decoder = _decoder(model)
        return predict_clip(decoder, images, query_points, None if geometry is None else given_bundle(decoder, geometry))


def dense_flows(model: Track4World, clips: ClipBatch, bundle: GeometryBundle, num_iterations: int) -> list[DenseFlow]:
    """Flow from the first frames to the second of pairs, or to all frames as one window; of every iteration.

    A pair's row of the time table is drawn, by the clips, as the released code does in training.
    """
    if clips.images.shape[1] > 2:
        flows: list[DenseFlow] = model(clips.images, bundle, num_iterations=num_iterations)
        return flows
    features = model.encode(clips.images, bundle)
    row = int(torch.randint(model.config.seqlen, (), generator=_generator(clips)))
    window = Window(source=features[:, 0], targets=features[:, 1:], time_row=row)
    return [model.upsample(state, padding_of(clips.images), 1) for state in model.iterate(window, num_iterations)]


def _bundle(model: Track4World, clips: ClipBatch, raw: RawGeometry | None) -> GeometryBundle:
    """Geometry below the decoder: the backbone's, if there is one; without gradient."""
    if model.backbone is None:
        return batch_bundle(clips, token_width=model.config.dim_feature)
    if raw is None:
        return model.geometry(clips.images)
    with torch.no_grad():
        return bundle_of_backbone(raw, padding_of(clips.images))


def _generator(clips: ClipBatch) -> torch.Generator:
    """Draws of one batch: a function of its clips and their windows, so that a resumed run draws the same."""
    content = "\n".join(clips.keys).encode() + clips.query_points.detach().cpu().numpy().tobytes()
    return torch.Generator().manual_seed(zlib.crc32(content))


def _decoder(model: Network) -> Track4World:
    if not isinstance(model, Track4World):
        raise ConfigError(f"{type(model).__name__} is no Track4World")
    return model

"""The family of iterative 2D trackers: CoTracker3, online and offline, on true tracks and on those of label sets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from networks.building import Network
from networks.cotracker3 import CoTracker3, CoTracker3Offline, CoTracker3Online, RefinedWindow
from networks.cotracker3.config import SMALLEST_SIDE
from networks.cotracker3.features import STRIDE
from networks.cotracker3.refinement import STEP
from networks.pi3 import ModelOutput
from pipeline.errors import ConfigError, DataError
from trainer.data import ClipBatch
from trainer.families.protocol import InferenceDefaults, KnownGeometry
from trainer.families.tracker2d.losses import TrackTargets, WindowPrediction, position_losses, score_losses
from trainer.families.tracker2d.pictures import draw_tracks
from trainer.families.tracker2d.settings import Tracker2dLosses, TrackerSettings
from trainer.losses import ClipLosses, LossTerm
from trainer.losses.settings import weights_of

SCORES = "updateformer.vis_conf_head"  # the part that both scores come from
_PIXEL_RANGE = 255  # of the network's images


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackerOutput:
    """All windows of one batch."""

    windows: tuple[WindowPrediction, ...]
    forward_only: bool  # the model tracks from a query on, not before it


class Tracker2dFamily:
    """See `trainer.families.protocol.Family`."""

    settings_type = Tracker2dLosses
    inference_defaults = InferenceDefaults(pixels=384 * 512, video_stride=1)

    def patch_size(self, model: Network) -> int:
        """The stride of the finest features."""
        _tracker(model)
        return STRIDE

    def keeps_start(self, settings: Tracker2dLosses) -> bool:
        """Never."""
        return False

    def keep_start(self, model: Network, settings: Tracker2dLosses) -> None:
        """Nothing is kept.

        Raises: ConfigError where both scores would drift: no loss teaches them, and they learn from that of positions all the same.
        """
        learns = any(parameter.requires_grad for name, parameter in _tracker(model).named_parameters() if name.startswith(f"{SCORES}."))
        if learns and not settings.teaches_scores:
            raise ConfigError(
                f"no loss teaches visibility and confidence, and the positions' would move them: add {SCORES} to frozen, or give both"
                " losses.supervised.visibility and losses.supervised.confidence a weight"
            )

    def tracks(self, model: Network) -> bool:
        """Not behind this interface, whose tracks lie in space; labelers track with such a model."""
        return False

    def infers(self, model: Network) -> bool:
        """Never: there is no geometry."""
        return False

    def check_shape(self, model: Network, settings: Tracker2dLosses, height: int, width: int) -> None:
        """The coarsest features must have a cell."""
        if min(height, width) < SMALLEST_SIDE:
            raise DataError(f"both sides must have {SMALLEST_SIDE} pixels or more")

    def forward(self, model: Network, clips: ClipBatch, settings: Tracker2dLosses) -> TrackerOutput:
        """All refinements of all windows, from each track's own query."""
        tracker, num_frames = _tracker(model), clips.images.shape[1]
        if clips.queries is None:
            raise ConfigError("a 2D tracker learns tracks from where each was asked: set data.queries to own")
        if isinstance(tracker, CoTracker3Online) and num_frames <= STEP:
            raise ConfigError(f"{num_frames} frames hold no window of an online model: set data.shape.frames to {STEP + 1} or more")
        queries = torch.cat([clips.queries.frames[..., None].to(clips.query_points.dtype), clips.query_points], dim=-1)
        windows = tracker.refined(_PIXEL_RANGE * clips.images, queries, settings.settings.iterations)
        return TrackerOutput(windows=tuple(map(_prediction, windows)), forward_only=isinstance(tracker, CoTracker3Online))

    def labelled_losses(self, output: TrackerOutput, clips: ClipBatch, settings: Tracker2dLosses) -> ClipLosses:
        """Positions and scores of true tracks."""
        clips.truth()
        assert settings.supervised is not None  # else the objective computes no labelled side
        weights, targets = weights_of(settings.supervised), track_targets(output, clips, settings.settings)
        positions = position_losses(output.windows, targets, settings.settings)
        scores = score_losses(output.windows, targets, settings.settings)
        values = {
            "visible": positions.visible,
            "occluded": positions.occluded,
            "visibility": scores.visibility,
            "confidence": scores.confidence,
        }
        terms = [LossTerm(name=f"supervised/{name}", weight=weight, values=values[name]) for name, weight in weights.items()]
        return ClipLosses(keys=clips.keys, terms=(*terms, _share_near(output, targets, "supervised", settings.settings)))

    def pseudo_losses(self, output: TrackerOutput, clips: ClipBatch, settings: Tracker2dLosses) -> ClipLosses:
        """Positions of labelled tracks alone: a label set's visibility only says which of the two penalties a position has."""
        assert settings.pseudo is not None  # else the objective computes no pseudo side
        targets = track_targets(output, clips, settings.settings)
        found = position_losses(output.windows, targets, settings.settings)
        weights = {name: settings.pseudo_weight * weight for name, weight in weights_of(settings.pseudo).items()}
        terms = [LossTerm(name=f"pseudo/{name}", weight=weight, values=getattr(found, name)) for name, weight in weights.items()]
        return ClipLosses(keys=clips.keys, terms=(*terms, _share_near(output, targets, "pseudo", settings.settings)))

    def pictures(self, clips: ClipBatch, output: TrackerOutput) -> Mapping[str, np.ndarray]:
        """Frames of the first clip with the tracks to learn, and with those of the last refinement."""
        return draw_tracks(clips, output.windows)

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None, geometry: KnownGeometry | None = None) -> ModelOutput:
        """None: raises ConfigError."""
        raise ConfigError(
            "a 2D tracker has no geometry to infer; label clips with it (jobs/pseudolabel.py --labeler cotracker3-online or -offline"
            " --checkpoint FILE), and measure its labels with jobs/evaluate.py labels"
        )


def track_targets(output: TrackerOutput, clips: ClipBatch, settings: TrackerSettings) -> TrackTargets:
    """Tracks to learn of a batch, and the places that count.

    Labelled tracks count as much as each other, or, where the settings take an audit's weights, as it says.
    """
    queries = clips.queries
    assert queries is not None  # forward refuses batches without
    counted = queries.known
    if settings.counted_frames == "from_query" or (settings.counted_frames == "variant" and output.forward_only):
        frames = torch.arange(clips.images.shape[1], device=counted.device)
        counted = counted & (frames[:, None] >= queries.frames[:, None])
    weights = queries.weights if settings.audit_weights and clips.geometry is None else torch.ones_like(queries.weights)
    return TrackTargets(tracks_px=clips.observations.tracks_px, visible=queries.visible, counted=counted, weights=weights)


def _prediction(window: RefinedWindow) -> WindowPrediction:
    """Cells to pixels, time before points, float32."""
    states = window.states
    return WindowPrediction(
        start=window.start,
        tracks_px=STRIDE * torch.stack([state.cells.transpose(1, 2) for state in states], dim=1).float(),
        visibility_logits=torch.stack([state.visibility.transpose(1, 2) for state in states], dim=1).float(),
        confidence_logits=torch.stack([state.confidence.transpose(1, 2) for state in states], dim=1).float(),
    )


@torch.no_grad()
def _share_near(output: TrackerOutput, targets: TrackTargets, group: str, settings: TrackerSettings) -> LossTerm:
    """For logs: the share of visible places whose last refinement is as near as confidence asks, over all windows."""
    near, places = torch.zeros_like(targets.weights[:, 0]), torch.zeros_like(targets.weights[:, 0])
    for window in output.windows:
        last = window.tracks_px[:, -1]
        wanted = targets.of_window(window.start, last.shape[1])
        counted = wanted.counted & wanted.visible
        right = (last - wanted.tracks_px).norm(dim=-1) <= settings.confident_px
        near += (counted & right).sum(dim=(1, 2))
        places += counted.sum(dim=(1, 2))
    return LossTerm(name=f"{group}/share_near", weight=0.0, values=near / places.clamp_min(1))


def _tracker(model: Network) -> CoTracker3Offline | CoTracker3Online:
    if not isinstance(model, CoTracker3Offline | CoTracker3Online):
        what = "a CoTracker3 that is neither offline nor online" if isinstance(model, CoTracker3) else type(model).__name__
        raise ConfigError(f"{what} is no 2D tracker; there are cotracker3-offline and cotracker3-online")
    return model

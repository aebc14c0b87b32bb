"""Dense flow read at the tracks' source pixels: flow bilinearly, visibility and confidence at the nearest pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from networks.track4world import DenseFlow
from trainer.families.track4world.motion_losses import TrackPrediction
from trainer.geometry import nearest_pixels, sample_maps


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackReadings:
    """Predictions at N pixels of the first frames of B clips, K iterations, S targets."""

    tracks_px: Tensor  # "B K S N 2", absolute
    flow3d: Tensor  # "B K S N 3"
    logits: Tensor  # "B K S N 2", of visibility and confidence

    def planar(self, clip: int, tracks: Tensor) -> TrackPrediction:
        """What one clip says of some of its tracks in the image."""
        logits = self.logits[clip][:, :, tracks]
        return TrackPrediction(
            tracks_px=self.tracks_px[clip][:, :, tracks], visibility_logits=logits[..., 0], confidence_logits=logits[..., 1]
        )


def read_tracks(flows: Sequence[DenseFlow], queries: Tensor) -> TrackReadings:
    """Read all iterations at queries "B N 2", (x, y) in the first frames."""
    num_clips, num_targets, _, height, width = flows[-1].flow.shape
    everywhere = queries[:, None].expand(-1, num_targets, -1, -1)
    x, y = (place[:, None].expand(-1, num_targets, -1) for place in nearest_pixels(queries, (height, width)))
    clips, targets = (torch.arange(count, device=x.device) for count in (num_clips, num_targets))

    def nearest(maps: Tensor) -> Tensor:
        return maps.movedim(2, -1)[clips[:, None, None], targets[None, :, None], y, x]

    return TrackReadings(
        tracks_px=torch.stack([everywhere + sample_maps(one.flow.movedim(2, -1), everywhere) for one in flows], dim=1),
        flow3d=torch.stack([sample_maps(one.flow3d.movedim(2, -1), everywhere) for one in flows], dim=1),
        logits=torch.stack([nearest(one.visconf_logits) for one in flows], dim=1),
    )

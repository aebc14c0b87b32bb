"""The tracker's learned parts, and one step of its iteration."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.models.config import TrackHeadConfig
from trainer.models.tracker.correlation import CorrelationModule
from trainer.models.tracker.positional_encoding import encoding_size, positional_encoding
from trainer.models.tracker.pyramid import Level
from trainer.models.tracker.update_transformer import UpdateTransformer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """What a clip's tracks are compared with, the same for all iterations."""

    pyramid: list[Level]
    query_tokens: list[Tensor]  # per level "B Q C"


class Tracker(nn.Module):
    """From where the tracks are to where they go."""

    def __init__(self, config: TrackHeadConfig, *, neighbour_mb: float) -> None:
        super().__init__()
        self.neighbour_mb = neighbour_mb
        token_size = 1 + 2 * encoding_size(3) + config.corr_levels * config.features
        self.query_ref_token = nn.Parameter(torch.zeros(1, 2, token_size))  # frame 0, all other frames
        self.fmap_norm = nn.LayerNorm(config.features)
        self.corr_module = CorrelationModule(config.features, num_levels=config.corr_levels, num_neighbours=config.k_neighbors)
        self.updateformer = UpdateTransformer(config, token_size)

    def normalised_features(self, feature_maps: Tensor) -> Tensor:
        """Norm over channels at every position, "B C h w" to "B C h w"."""
        return self.fmap_norm(feature_maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def forward(self, scene: Scene, coordinates: Tensor, logits: Tensor) -> Tensor:
        """Present coordinates "B T Q 3" (boxes) and visibility logits "B T Q" to steps of both, "B T Q 4"."""
        correlation = self.corr_module(scene.pyramid, scene.query_tokens, coordinates, self.neighbour_mb)
        tokens = self.track_tokens(coordinates, logits, correlation)
        return self.updateformer(self.marked(tokens).transpose(1, 2)).transpose(1, 2)

    def track_tokens(self, coordinates: Tensor, logits: Tensor, correlation: Tensor) -> Tensor:
        """ "B T Q 3", "B T Q" and "B T Q C" to "B T Q D": logit, motion since frame 0 as estimated now, position, correlation."""
        motion = positional_encoding(coordinates - coordinates[:, :1])
        return torch.cat([logits[..., None], motion, positional_encoding(coordinates), correlation], dim=-1)

    def marked(self, tokens: Tensor) -> Tensor:
        """Add to tokens "B T Q D" whether they are of frame 0: the only mark of time."""
        num_frames = tokens.shape[1]
        marks = torch.cat([self.query_ref_token[:, :1], self.query_ref_token[:, 1:].expand(-1, num_frames - 1, -1)], dim=1)
        return tokens + marks[:, :, None]

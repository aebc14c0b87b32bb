"""The tracker's learned parts: one step of its iteration, by a transformer along each track and within each frame."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from networks.layers.blocks import Attention, CrossAttention, Mlp
from networks.pi3.config import TrackHeadConfig
from networks.trajvg.correlation import CorrelationModule, Level, encoding_size, positional_encoding

_STEP = 4  # three coordinates, one logit of visibility


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackContext:
    """Surface and queries of a clip, with which its tracks are compared in all iterations."""

    pyramid: list[Level]
    query_tokens: list[Tensor]  # per level "B Q C"


class Tracker(nn.Module):
    """One step of all tracks: from their positions and visibility to changes of both."""

    def __init__(self, config: TrackHeadConfig, *, neighbour_mb: float) -> None:
        super().__init__()
        self.neighbour_mb = neighbour_mb
        token_size = 1 + 2 * encoding_size(3) + config.corr_levels * config.features
        self.query_ref_token = nn.Parameter(torch.zeros(1, 2, token_size))  # frame 0, all other frames
        self.fmap_norm = nn.LayerNorm(config.features)
        self.corr_module = CorrelationModule(config.features, num_levels=config.corr_levels, num_neighbours=config.k_neighbors)
        self.updateformer = UpdateTransformer3d(config, token_size)

    def normalise_features(self, feature_maps: Tensor) -> Tensor:
        """Norm over channels at every position, "B C h w" to "B C h w"."""
        return self.fmap_norm(feature_maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def forward(self, context: TrackContext, coordinates: Tensor, logits: Tensor) -> Tensor:
        """Present coordinates "B T Q 3" (boxes) and visibility logits "B T Q" to steps of both, "B T Q 4"."""
        correlation = self.corr_module(context.pyramid, context.query_tokens, coordinates, self.neighbour_mb)
        tokens = self.track_tokens(coordinates, logits, correlation)
        return self.updateformer(self.add_frame_marks(tokens).transpose(1, 2)).transpose(1, 2)

    def track_tokens(self, coordinates: Tensor, logits: Tensor, correlation: Tensor) -> Tensor:
        """ "B T Q 3", "B T Q" and "B T Q C" to "B T Q D": logit, motion since frame 0 as estimated now, position, correlation."""
        motion = positional_encoding(coordinates - coordinates[:, :1])
        return torch.cat([logits[..., None], motion, positional_encoding(coordinates), correlation], dim=-1)

    def add_frame_marks(self, tokens: Tensor) -> Tensor:
        """Add to tokens "B T Q D" whether they are of frame 0: the only mark of time."""
        num_frames = tokens.shape[1]
        marks = torch.cat([self.query_ref_token[:, :1], self.query_ref_token[:, 1:].expand(-1, num_frames - 1, -1)], dim=1)
        return tokens + marks[:, :, None]


class UpdateTransformer3d(nn.Module):
    """Attention along each track, then within each frame by way of virtual tracks, and so on."""

    def __init__(self, config: TrackHeadConfig, token_size: int) -> None:
        super().__init__()
        width, heads = config.hidden_size, config.update_num_heads
        self.virual_tracks = nn.Parameter(torch.zeros(1, config.num_virtual_tracks, 1, width))  # spelled so in the public checkpoint
        self.input_transform = nn.Linear(token_size, width)
        self.flow_head = nn.Linear(width, _STEP)
        layers = range(config.update_depth)
        self.time_blocks = nn.ModuleList(SelfBlock(width, heads) for _ in layers)
        self.space_virtual_blocks = nn.ModuleList(SelfBlock(width, heads) for _ in layers)
        self.space_point2virtual_blocks = nn.ModuleList(CrossBlock(width, heads) for _ in layers)
        self.space_virtual2point_blocks = nn.ModuleList(CrossBlock(width, heads) for _ in layers)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens "B N T D" to steps "B N T 4"."""
        batch, num_tracks, num_frames = tokens.shape[:3]
        virtual = self.virual_tracks.expand(batch, -1, num_frames, -1)
        x = torch.cat([self.input_transform(tokens), virtual], dim=1)
        for layer, along_time in enumerate(self.time_blocks):
            x = along_time(x.flatten(0, 1)).unflatten(0, (batch, -1))
            x = self._within_frames(layer, x, num_tracks)
        return self.flow_head(x[:, :num_tracks])

    def _within_frames(self, layer: int, x: Tensor, num_tracks: int) -> Tensor:
        """ "B N+V T C" to "B N+V T C"."""
        frames = x.transpose(1, 2).flatten(0, 1)
        real, virtual = frames[:, :num_tracks], frames[:, num_tracks:]
        virtual = self.space_virtual2point_blocks[layer](virtual, real)
        virtual = self.space_virtual_blocks[layer](virtual)
        real = self.space_point2virtual_blocks[layer](real, virtual)
        return torch.cat([real, virtual], dim=1).unflatten(0, (len(x), -1)).transpose(1, 2)


class SelfBlock(nn.Module):
    """Attention within one sequence. The residual starts from the normalised tokens: the raw ones are dropped."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """ "S L C" to "S L C"."""
        x = self.norm1(x)
        x = x + self.attn(x, None)
        return x + self.mlp(self.norm2(x))


class CrossBlock(nn.Module):
    """Attention to a context."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm_context = nn.LayerNorm(width)
        self.cross_attn = CrossAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """ "S L C" and "S M C" to "S L C"."""
        x = x + self.cross_attn(self.norm1(x), self.norm_context(context))
        return x + self.mlp(self.norm2(x))

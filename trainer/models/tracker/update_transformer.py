"""The transformer that turns what is known of all tracks into their next step."""

import torch
from torch import Tensor, nn

from trainer.models.config import TrackHeadConfig
from trainer.models.tracker.blocks import CrossBlock, SelfBlock

_STEP = 4  # three coordinates, one logit of visibility


class UpdateTransformer(nn.Module):
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

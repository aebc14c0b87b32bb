"""The transformer that reads every point's tokens and says how its track, visibility and confidence should change."""

import torch
from torch import Tensor, nn

from labelers.cotracker3.attention import HIDDEN, CrossBlock, SelfBlock, in_parts
from labelers.cotracker3.correlation import EMBEDDING
from labelers.cotracker3.embeddings import MOTION
from labelers.cotracker3.features import LEVELS

TOKEN = 2 + LEVELS * EMBEDDING + MOTION  # 1110
DEPTH = 3
VIRTUAL_TRACKS = 64


class UpdateTransformer(nn.Module):
    """Attention along time for every track, and across tracks by way of 64 learned virtual ones."""

    def __init__(self) -> None:
        super().__init__()
        self.virual_tracks = nn.Parameter(torch.randn(1, VIRTUAL_TRACKS, 1, HIDDEN))  # the public checkpoints' spelling
        self.input_transform = nn.Linear(TOKEN, HIDDEN)
        self.flow_head = nn.Linear(HIDDEN, 2)
        self.vis_conf_head = nn.Linear(HIDDEN, 2)
        self.time_blocks = nn.ModuleList(SelfBlock() for _ in range(DEPTH))
        self.space_virtual_blocks = nn.ModuleList(SelfBlock() for _ in range(DEPTH))
        self.space_point2virtual_blocks = nn.ModuleList(CrossBlock() for _ in range(DEPTH))
        self.space_virtual2point_blocks = nn.ModuleList(CrossBlock() for _ in range(DEPTH))

    def forward(self, points: Tensor, *, across_tracks: bool = True) -> Tensor:
        """Changes of one refinement step.

        Args:
            points: float32 "B N T 384", what `input_transform` made of the tokens "B N T 1110". They stay float32 under autocast.
            across_tracks: False leaves the tracks to themselves.
        Returns: float32 "B N T 4": dx, dy in cells, change of the visibility logit, change of the confidence logit.
        """
        batch = len(points)
        virtual = self.virual_tracks.expand(batch, -1, points.shape[2], -1)
        for layer in range(DEPTH):
            points = _along_time(self.time_blocks[layer], points)
            virtual = _along_time(self.time_blocks[layer], virtual)
            if across_tracks:
                points = points.transpose(1, 2).flatten(0, 1)  # by frame: "B*T N 384"
                virtual = virtual.transpose(1, 2).flatten(0, 1)
                virtual = in_parts(self.space_virtual2point_blocks[layer], virtual, points)
                virtual = in_parts(self.space_virtual_blocks[layer], virtual)
                points = in_parts(self.space_point2virtual_blocks[layer], points, virtual)
                points, virtual = (tracks.unflatten(0, (batch, -1)).transpose(1, 2) for tracks in (points, virtual))
        with torch.autocast(points.device.type, enabled=False):
            return torch.cat([self.flow_head(points), self.vis_conf_head(points)], -1)


def _along_time(block: nn.Module, tracks: Tensor) -> Tensor:
    return in_parts(block, tracks.flatten(0, 1)).view(tracks.shape)

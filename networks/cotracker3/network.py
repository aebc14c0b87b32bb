"""The learned parts under the public checkpoints' names, 188 entries, and the embeddings of time and motion that they read."""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.building import Network
from networks.cotracker3.config import NUM_SCALES, CoTracker3Config
from networks.cotracker3.correlation import CorrelationMlp
from networks.cotracker3.features import FeatureEncoder
from networks.layers.computing import full_precision
from networks.layers.plain_blocks import PlainCrossBlock, PlainSelfBlock, apply_in_parts


class CoTracker3(Network):
    """Encoder, correlation MLP and update transformer. Holds weights and sizes; nothing of any video."""

    config_type: ClassVar[type] = CoTracker3Config
    public_window: ClassVar[int]  # rows of the public checkpoints' time embedding
    config: CoTracker3Config
    time_emb: Tensor

    def __init__(self, config: CoTracker3Config) -> None:
        super().__init__(config)
        self.model_resolution = config.model_resolution  # scales relative motion; engines resize frames to it
        self.window_len = self.public_window if config.window_len is None else config.window_len
        self.register_buffer("time_emb", torch.empty(1, self.window_len, config.token))  # see `fill_constants`
        self.fnet = FeatureEncoder(config.encoder, config.features)
        self.updateformer = UpdateTransformer(config)
        self.corr_mlp = CorrelationMlp(config.correlation_hidden, config.embedding)

    def fill_constants(self) -> None:
        """Write the time embedding."""
        self.time_emb.copy_(time_embedding(self.window_len, self.config.token))

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.time_emb.device


class UpdateTransformer(nn.Module):
    """Attention along time for every track, and across tracks by way of learned virtual ones."""

    def __init__(self, config: CoTracker3Config) -> None:
        super().__init__()
        width, heads, layers = config.hidden, config.heads, range(config.depth)
        self.virual_tracks = nn.Parameter(torch.zeros(1, config.virtual_tracks, 1, width))  # the public checkpoints' spelling
        self.input_transform = nn.Linear(config.token, width)
        self.flow_head = nn.Linear(width, 2)
        self.vis_conf_head = nn.Linear(width, 2)
        self.time_blocks = nn.ModuleList(PlainSelfBlock(width, heads) for _ in layers)
        self.space_virtual_blocks = nn.ModuleList(PlainSelfBlock(width, heads) for _ in layers)
        self.space_point2virtual_blocks = nn.ModuleList(PlainCrossBlock(width, heads) for _ in layers)
        self.space_virtual2point_blocks = nn.ModuleList(PlainCrossBlock(width, heads) for _ in layers)

    def forward(self, points: Tensor, *, across_tracks: bool = True) -> Tensor:
        """Changes of one refinement step.

        Args:
            points: float32 "B N T D", what `input_transform` made of the tokens, of the public checkpoints 384 of 1110. They stay float32
                under autocast.
            across_tracks: False leaves the tracks to themselves.
        Returns: float32 "B N T 4": dx, dy in cells, change of the visibility logit, change of the confidence logit.
        """
        batch = len(points)
        virtual = self.virual_tracks.expand(batch, -1, points.shape[2], -1)
        for layer in range(len(self.time_blocks)):
            points = _along_time(self.time_blocks[layer], points)
            virtual = _along_time(self.time_blocks[layer], virtual)
            if across_tracks:
                points = points.transpose(1, 2).flatten(0, 1)  # by frame: "B*T N D"
                virtual = virtual.transpose(1, 2).flatten(0, 1)
                virtual = apply_in_parts(self.space_virtual2point_blocks[layer], virtual, points)
                virtual = apply_in_parts(self.space_virtual_blocks[layer], virtual)
                points = apply_in_parts(self.space_point2virtual_blocks[layer], points, virtual)
                points, virtual = (tracks.unflatten(0, (batch, -1)).transpose(1, 2) for tracks in (points, virtual))
        with full_precision(points.device):
            return torch.cat([self.flow_head(points), self.vis_conf_head(points)], -1)


def _along_time(block: nn.Module, tracks: Tensor) -> Tensor:
    return apply_in_parts(block, tracks.flatten(0, 1)).view(tracks.shape)


def time_embedding(length: int, width: int) -> Tensor:
    """float32 "1 length width": row k holds sin(k w_j), then cos(k w_j), with w_j = 10000^(-j / (width / 2)); computed in float64."""
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1).float()[None]


def resample_time(embedding: Tensor, length: int) -> Tensor:
    """Stretch "1 S C" over `length` frames, linear between half-pixel centres; S frames take it as it is."""
    if embedding.shape[1] == length:
        return embedding
    return F.interpolate(embedding.mT, length, mode="linear", align_corners=False).mT


def relative_motion(positions: Tensor, scale: Tensor) -> Tensor:
    """Motion to the next and from the previous frame, 0 at the ends.

    Args:
        positions: "... T 2" in cells.
        scale: (2,), cells across and down of the model's resolution.
    Returns: "... T 4", (p[t] - p[t+1], p[t] - p[t-1]) / scale.
    """
    step = (positions[..., 1:, :] - positions[..., :-1, :]) / scale
    return torch.cat([F.pad(-step, (0, 0, 0, 1)), F.pad(step, (0, 0, 1, 0))], -1)


def encode_motion(motion: Tensor) -> Tensor:
    """ "... 4" to "... 84": the motion, the sines of its multiples by 2^0..2^9 (scale-major), and the sines of those plus pi/2."""
    scales = 2.0 ** torch.arange(NUM_SCALES, device=motion.device, dtype=motion.dtype)
    angles = (motion.unsqueeze(-2) * scales[:, None]).flatten(-2)
    return torch.cat([motion, torch.sin(angles), torch.sin(angles + 0.5 * math.pi)], -1)

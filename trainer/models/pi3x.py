"""Pi3X: π³ with convolutional heads. Its modules for known depth, rays and poses, and for metric scale, are carried, not run."""

import torch
from torch import Tensor, nn

from trainer.models.blocks import Block
from trainer.models.config import ModelConfig
from trainer.models.conv_geometry import ConvGeometry
from trainer.models.encoder import Encoder, PatchEmbedding
from trainer.models.metric_decoder import MetricDecoder
from trainer.models.outputs import ModelOutput

CARRIED = ("depth_emb", "metric_token", "depth_encoder.", "ray_embed.", "pose_inject_blk.", "metric_decoder.", "metric_head.")
_NUM_POSE_BLOCKS = 5
_GIVEN_CHANNELS = 2  # of depth (depth, known), of rays (x, y)


class Pi3X(ConvGeometry):
    """The entries of the public Pi3X checkpoint, 1873 at full size; the 1338 that TrajVG has too are what computes here.

    Geometry is therefore up to scale, and nothing but images can be given. What is carried is saved with the rest, frozen: it makes
    checkpoints load strictly and stay whole.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        decoder, encoder, metric = config.decoder, config.encoder, config.metric_decoder
        self.depth_emb = nn.Parameter(torch.zeros(1, 1, decoder.dim))
        self.metric_token = nn.Parameter(torch.zeros(1, 1, 2 * decoder.dim))
        self.depth_encoder = Encoder(encoder, channels=_GIVEN_CHANNELS)
        self.ray_embed = PatchEmbedding(_GIVEN_CHANNELS, encoder.patch_size, decoder.dim)
        self.pose_inject_blk = nn.ModuleList(
            Block(decoder.dim, decoder.num_heads, mlp_ratio=decoder.mlp_ratio, init_values=decoder.init_values, qk_norm=decoder.qk_norm)
            for _ in range(_NUM_POSE_BLOCKS)
        )
        self.metric_decoder = MetricDecoder(metric, 2 * decoder.dim)
        self.metric_head = nn.Linear(metric.out_dim, 1)
        for name, parameter in self.named_parameters():
            if name.startswith(CARRIED):
                parameter.requires_grad_(False)

    def forward(self, images: Tensor, query_points: Tensor | None = None) -> ModelOutput:
        """Reconstruct clips from images "B T 3 H W" in [0, 1]; `query_points` is not looked at: Pi3X tracks nothing."""
        return self.geometry(images).output

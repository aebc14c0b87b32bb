"""π³ with linear heads, and Pi3X with convolutional ones."""

import torch
from torch import Tensor, nn

from networks.layers.blocks import Block, CrossAttention, Mlp, PatchEmbedding
from networks.layers.computing import full_precision
from networks.pi3.backbone import Backbone
from networks.pi3.config import MetricDecoderConfig, ModelConfig, backbone_faults, check_sizes
from networks.pi3.geometry import ConvGeometry, ModelOutput, camera_to_world, decode_points
from networks.pi3.heads import LinearHead
from networks.pi3.transformer import Encoder

# of Pi3X
CARRIED = ("depth_emb", "metric_token", "depth_encoder.", "ray_embed.", "pose_inject_blk.", "metric_decoder.", "metric_head.")
_NUM_POSE_BLOCKS = 5
_NUM_METRIC_HEADS = 8
_GIVEN_CHANNELS = 2  # of depth (depth, known), of rays (x, y)


class Pi3(Backbone):
    """The network of the public π³ checkpoint: 1210 entries at full size."""

    def __init__(self, config: ModelConfig) -> None:
        check_sizes(config, backbone_faults)
        super().__init__(config)
        width, patch = config.point_decoder.out_dim, config.encoder.patch_size
        self.point_head = LinearHead(width, patch, 3)
        self.conf_head = LinearHead(width, patch, 1)

    def forward(self, images: Tensor, query_points: Tensor | None = None, *, confidence: bool = True) -> ModelOutput:
        """Reconstruct clips.

        Args:
            images: "B T 3 H W" in [0, 1], H and W multiples of 14.
            query_points: not used: π³ tracks nothing, and is called like a model that does.
            confidence: False leaves the confidence branch out, and `conf` None.
        """
        features = self.features(images, confidence=confidence)
        with full_precision(images.device):
            raw = self.point_head(features.point_tokens.float(), features.grid).permute(0, 2, 3, 1)
            local_points = decode_points(raw[..., :2], raw[..., 2:]).unflatten(0, images.shape[:2])
            conf = None
            if features.conf_tokens is not None:
                conf = self.conf_head(features.conf_tokens.float(), features.grid).permute(0, 2, 3, 1).unflatten(0, images.shape[:2])
            points = camera_to_world(local_points, features.camera_poses)
        return ModelOutput(points=points, local_points=local_points, conf=conf, camera_poses=features.camera_poses)


class Pi3X(ConvGeometry):
    """The network of the public Pi3X checkpoint: 1873 entries at full size, of which the 1338 that TrajVG has too compute here.

    Its modules for known depth, rays and poses, and for metric scale, are carried, not run: geometry is up to scale, and nothing but
    images can be given. They are saved with the rest, frozen, so that checkpoints load strictly and stay whole.
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

    def forward(self, images: Tensor, query_points: Tensor | None = None, *, confidence: bool = True) -> ModelOutput:
        """Reconstruct clips from images "B T 3 H W" in [0, 1]; `query_points` is not used: Pi3X tracks nothing."""
        return self.geometry(images, confidence=confidence).output


class MetricDecoder(nn.Module):
    """Cross-attention of one token to all features. Weights only: it has no `forward`, and torch refuses a call."""

    def __init__(self, config: MetricDecoderConfig, width: int) -> None:
        super().__init__()
        inner = config.dec_embed_dim
        self.projects_x = nn.Linear(width, inner)
        self.projects_y = nn.Linear(width, inner)
        self.blocks = nn.ModuleList(ContextBlock(inner) for _ in range(config.depth))
        self.linear_out = nn.Linear(inner, config.out_dim)


class ContextBlock(nn.Module):
    """Cross-attention and MLP with their norms. Weights only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm2 = nn.LayerNorm(width)
        self.norm_y = nn.LayerNorm(width)
        self.cross_attn = CrossAttention(width, _NUM_METRIC_HEADS)
        self.norm3 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)

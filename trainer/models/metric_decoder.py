"""The modules of Pi3X's metric scale, by their public names and shapes."""

from torch import nn

from trainer.models.blocks import Mlp
from trainer.models.config import MetricDecoderConfig
from trainer.models.tracker.blocks import CrossAttention

_NUM_HEADS = 8


class MetricDecoder(nn.Module):
    """A token that would look at all features. Weights only: it has no `forward`, and torch refuses a call."""

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
        self.cross_attn = CrossAttention(width, _NUM_HEADS)
        self.norm3 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)

"""Attention blocks of the tracker. Norms have torch's epsilon, 1e-5."""

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.models.blocks import Attention, Mlp


class SelfBlock(nn.Module):
    """Tokens of one sequence look at each other. The residual starts from the normalised tokens: the raw ones are dropped."""

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


class CrossAttention(nn.Module):
    """Attention whose keys and values come from a context."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries "S L C" and context "S M C" to "S L C"."""
        q, k, v = (
            project(tokens).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for project, tokens in ((self.q_proj, x), (self.k_proj, context), (self.v_proj, context))
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossBlock(nn.Module):
    """Tokens look at a context."""

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

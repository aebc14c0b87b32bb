"""Encoder and twin decoder: a shared vision transformer, then two branches that look at each other in every block."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import EPS, Attention, Mlp, rotary_angles, rotate, token_positions

Grid = tuple[int, int]  # rows and columns of patches


class PairAttention(nn.Module):
    """Attention to the other image's tokens; queries and keys are rotated each by its own position. Public names."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.projq = nn.Linear(width, width)
        self.projk = nn.Linear(width, width)
        self.projv = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, other: Tensor, angles: Tensor, other_angles: Tensor) -> Tensor:
        """Queries "B P C" and context "B Q C", rotary angles "P d" and "Q d", to "B P C"."""
        q, k, v = (
            project(tokens).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for project, tokens in ((self.projq, x), (self.projk, other), (self.projv, other))
        )
        attended = F.scaled_dot_product_attention(rotate(q, angles), rotate(k, other_angles), v)
        return self.proj(attended.transpose(1, 2).flatten(2))


class PairBlock(nn.Module):
    """A branch's step: attention within the image, attention to the other one, MLP; each beside the identity."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, num_heads)
        self.cross_attn = PairAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.norm3 = nn.LayerNorm(width, eps=EPS)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.norm_y = nn.LayerNorm(width, eps=EPS)

    def forward(self, x: Tensor, other: Tensor, angles: Tensor, other_angles: Tensor) -> Tensor:
        """Own tokens "B P C", the other image's "B Q C", rotary angles "P d" and "Q d", to "B P C"."""
        x = x + self.attn(self.norm1(x), angles)
        x = x + self.cross_attn(self.norm2(x), self.norm_y(other), angles, other_angles)
        return x + self.mlp(self.norm3(x))


def patch_angles(grid: Grid, *, head_size: int, base: float, device: torch.device) -> Tensor:
    """Rotary angles of patches row by row, positions from 0: float32 "P head_size"."""
    positions = token_positions(*grid, num_registers=0, device=device) - 1
    return rotary_angles(positions, head_size=head_size, frequency=base)


def tokens_to_map(tokens: Tensor, grid: Grid) -> Tensor:
    """Tokens "B P C" to a map "B C h w"."""
    return cast(Tensor, tokens.transpose(1, 2).unflatten(2, grid))

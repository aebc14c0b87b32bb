"""The dense head of π³: one linear layer from a patch's token to all its pixels."""

import torch.nn.functional as F
from torch import Tensor, nn


class LinearHead(nn.Module):
    """Tokens to maps; a patch's vector holds, channel by channel, its pixels row by row."""

    def __init__(self, width: int, patch_size: int, channels: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(width, channels * patch_size * patch_size)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Patch tokens "BT h*w C" of a grid (h, w) to "BT channels H W"."""
        return F.pixel_shuffle(self.proj(tokens).transpose(1, 2).unflatten(2, grid), self.patch_size)

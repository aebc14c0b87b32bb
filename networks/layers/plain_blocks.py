"""Attention blocks of point trackers, whose norms have no parameters: pre-norm, residual, GELU by its tanh form."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import Mlp


class KeyValueAttention(nn.Module):
    """Attention with biases whose keys and values are one projection of a context, which may be the sequence itself."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_q = nn.Linear(width, width)
        self.to_kv = nn.Linear(width, 2 * width)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries "B L C", context "B M C" to "B L C"."""
        q = self.to_q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.to_kv(context).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class PlainSelfBlock(nn.Module):
    """Attention within one sequence."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attn = KeyValueAttention(width, num_heads)
        self.mlp = Mlp(width, 4 * width, gelu="tanh")

    def forward(self, x: Tensor) -> Tensor:
        """ "B L C" to "B L C"."""
        y = plain_norm(x)
        x = x + self.attn(y, y)
        return x + self.mlp(plain_norm(x))


class PlainCrossBlock(nn.Module):
    """Attention to a context. Only the context's norm has parameters, and PyTorch's default epsilon."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_context = nn.LayerNorm(width)
        self.cross_attn = KeyValueAttention(width, num_heads)
        self.mlp = Mlp(width, 4 * width, gelu="tanh")

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """ "B L C" and "B M C" to "B L C"."""
        x = x + self.cross_attn(plain_norm(x), self.norm_context(context))
        return x + self.mlp(plain_norm(x))


def plain_norm(x: Tensor) -> Tensor:
    """Layer norm without parameters, epsilon 1e-6."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def apply_in_parts(block: nn.Module, x: Tensor, *context: Tensor) -> Tensor:
    """Apply a block to sequences "B L C" (and contexts "B M C"), a few of them at a time: they do not see each other.

    Outside training this bounds the memory of the hidden layer, and on a CPU keeps a part in the cache.
    """
    if torch.is_grad_enabled():
        return block(x, *context)
    tokens_at_once = 1024 if x.device.type == "cpu" else 65536
    size = max(1, tokens_at_once // x.shape[1])
    result = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        result[part] = block(x[part], *(other[part] for other in context))
    return result

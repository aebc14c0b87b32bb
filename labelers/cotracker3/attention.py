"""Attention blocks: pre-norm, residual, 8 heads."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 384
HEADS = 8


class Attention(nn.Module):
    """Multi-head attention with biases; logits are scaled by the head size to the power of -1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q = nn.Linear(HIDDEN, HIDDEN)
        self.to_kv = nn.Linear(HIDDEN, 2 * HIDDEN)
        self.to_out = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries "B L 384", context "B M 384" to "B L 384"."""
        q = self.to_q(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        k, v = self.to_kv(context).unflatten(-1, (2, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """384 -> 1536 -> 384 with the tanh form of GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(HIDDEN, 4 * HIDDEN)
        self.fc2 = nn.Linear(4 * HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        """ "... 384" to "... 384"."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class SelfBlock(nn.Module):
    """Tokens of one sequence look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = Attention()
        self.mlp = Mlp()

    def forward(self, x: Tensor) -> Tensor:
        """ "B L 384" to "B L 384"."""
        y = plain_norm(x)
        x = x + self.attn(y, y)
        return x + self.mlp(plain_norm(x))


class CrossBlock(nn.Module):
    """Tokens look at a context. Only the context's norm has parameters, and PyTorch's default epsilon."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_context = nn.LayerNorm(HIDDEN)
        self.cross_attn = Attention()
        self.mlp = Mlp()

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """ "B L 384" and "B M 384" to "B L 384"."""
        x = x + self.cross_attn(plain_norm(x), self.norm_context(context))
        return x + self.mlp(plain_norm(x))


def plain_norm(x: Tensor) -> Tensor:
    """Layer norm without parameters, epsilon 1e-6."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def in_parts(block: nn.Module, x: Tensor, *context: Tensor) -> Tensor:
    """Apply a block to sequences "B L 384" (and contexts "B M 384"), a few of them at a time: they do not see each other.

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

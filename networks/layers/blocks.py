"""Transformer blocks as vision transformers have them: pre-norm, residual, rotary positions in two dimensions."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Gelu = Literal["none", "tanh"]  # exact, or by the tanh approximation
EPS = 1e-6  # of a block's two norms; the per-head norms have torch's 1e-5


def token_positions(rows: int, columns: int, *, num_registers: int, device: torch.device) -> Tensor:
    """(y, x) of a frame's tokens: registers stand at (0, 0), the patch in row r and column c at (r + 1, c + 1).

    Returns: int64 "L 2", L = num_registers + rows * columns, registers first, patches row by row.
    """
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    patches = torch.stack([y, x], dim=-1).flatten(0, 1) + 1
    return torch.cat([patches.new_zeros(num_registers, 2), patches])


def rotary_angles(positions: Tensor, *, head_size: int, frequency: float) -> Tensor:
    """Angle of every channel: position * frequency^(-2j/D), j < D/2, D = head_size / 2; both channels of a pair have the same.

    Args:
        positions: "L 2", (y, x).
        head_size: channels of a head, a multiple of 4.
        frequency: base of the geometric row.
    Returns: float32 "L head_size", radians.
    """
    half = head_size // 2
    exponents = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32) / half
    angles = positions.float()[..., None] * (1.0 / frequency**exponents)  # "L 2 D/2"
    return torch.cat([angles, angles], dim=-1).flatten(-2)


def rotate(tokens: Tensor, angles: Tensor) -> Tensor:
    """Turn each channel pair (j, j + D/2) of either half by its angle.

    Args:
        tokens: "... L d".
        angles: float32 "L d". Cosine and sine are taken in the tokens' dtype, as the public weights were trained: bfloat16 rounds angles.
    Returns: "... L d".
    """
    angles = angles.to(tokens.dtype)
    halves = tokens.unflatten(-1, (2, 2, -1))  # y or x, first or second of the pair, D/2
    turned = torch.stack([-halves[..., 1, :], halves[..., 0, :]], dim=-2).flatten(-3)
    return tokens * angles.cos() + turned * angles.sin()


def wave_encoding(coordinates: Tensor, octaves: tuple[int, int]) -> Tensor:
    """ "... D" to "... D(1+2N)": coordinates, sines, cosines, octave by octave, within an octave coordinate by coordinate.

    The cosine is the sine of a quarter turn more, as in the public code: in float32 that differs at high octaves, where rounding of the
    coordinates is multiplied by thousands already.

    Args:
        octaves: (a, b) for the N = b - a + 1 frequencies 2^a to 2^b.
    """
    frequencies = torch.exp2(torch.arange(octaves[0], octaves[1] + 1, device=coordinates.device, dtype=coordinates.dtype))
    phases = (coordinates[..., None, :] * frequencies[:, None]).flatten(-2)
    return torch.cat([coordinates, phases.sin(), (phases + math.pi / 2).sin()], dim=-1)


class PatchEmbedding(nn.Module):
    """One token per patch."""

    def __init__(self, channels: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Images "B C H W" to tokens "B P width", patches row by row."""
        tokens: Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class Attention(nn.Module):
    """Self-attention with biases; optionally each head's queries and keys are normalised, then rotated by position."""

    def __init__(self, width: int, num_heads: int, *, qk_norm: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // num_heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // num_heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, angles: Tensor | None) -> Tensor:
        """Tokens "B L C" and rotary angles "L d" to "B L C"."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


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


class Mlp(nn.Module):
    """Two layers with a GELU between."""

    def __init__(self, width: int, hidden: int, out: int | None = None, *, gelu: Gelu = "none") -> None:
        super().__init__()
        self.gelu = gelu
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        """ "... C" to "... out"."""
        return self.fc2(F.gelu(self.fc1(x), approximate=self.gelu))


class LayerScale(nn.Module):
    """A learned factor per channel on a branch."""

    def __init__(self, width: int, init_value: float) -> None:
        super().__init__()
        self.init_value = init_value
        self.gamma = nn.Parameter(torch.full((width,), init_value))

    def forward(self, x: Tensor) -> Tensor:
        """ "... C" to "... C"."""
        return x * self.gamma


class Block(nn.Module):
    """Attention and MLP on a residual stream."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        mlp_ratio: int = 4,
        init_values: float | None = None,
        qk_norm: bool = False,
        eps: float = EPS,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, num_heads, qk_norm=qk_norm)
        self.ls1 = nn.Identity() if init_values is None else LayerScale(width, init_values)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.ls2 = nn.Identity() if init_values is None else LayerScale(width, init_values)

    def forward(self, x: Tensor, angles: Tensor | None = None) -> Tensor:
        """Tokens "B L C" and rotary angles "L d" to "B L C"."""
        x = x + self.ls1(self.attn(self.norm1(x), angles))
        return x + self.ls2(self.mlp(self.norm2(x)))

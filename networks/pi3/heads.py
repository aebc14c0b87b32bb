"""Heads of π³, Pi3X and TrajVG: dense ones from patches to pixels, linear or convolutional, and the camera head."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.computing import checkpointed
from networks.layers.initialisation import shrink_weight
from networks.pi3.config import ConvHeadConfig

_SMALLEST_GAP = 1e-6  # of two signed singular values' sum: below, the nearest rotation is not unique


class LinearHead(nn.Module):
    """One linear layer from a patch's token to all its pixels; a patch's vector holds, channel by channel, its pixels row by row."""

    def __init__(self, width: int, patch_size: int, channels: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(width, channels * patch_size * patch_size)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Patch tokens "BT h*w C" of a grid (h, w) to "BT channels H W"."""
        return F.pixel_shuffle(self.proj(tokens).transpose(1, 2).unflatten(2, grid), self.patch_size)

    def shrink_initial_weights(self) -> None:
        """Begin with depths near 1."""
        shrink_weight(self.proj)


class ConvHead(nn.Module):
    """Three doublings, a resize to the image, one small block per output; the position in the image is appended before each.

    Frames do not see each other, and a few go through at a time. With gradient checkpointing only their tokens and maps are kept, so that
    what lies between, the largest tensors of the network, exists for those few frames alone.
    """

    def __init__(self, config: ConvHeadConfig, *, patch_size: int, gradient_checkpointing: bool = False, frames_at_once: int = 8) -> None:
        super().__init__()
        self.patch_size, self.using_uv, self.dim_out = patch_size, config.using_uv, config.dim_out
        self.gradient_checkpointing, self.frames_at_once = gradient_checkpointing, frames_at_once
        extra = 2 if config.using_uv else 0
        widths = (config.dim_proj, *config.dim_upsample)
        self.upsample_blocks = nn.ModuleList(
            _upsample_block(width + extra, out, config) for width, out in zip(widths, widths[1:], strict=False)
        )
        self.output_block = nn.ModuleList(_output_block(widths[-1] + extra, out, config) for out in config.dim_out)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> list[Tensor]:
        """Patch tokens "BT h*w C" of a grid (h, w) to maps "BT dim H W", one per output."""
        step = lambda part: self._frames(part, grid)  # noqa: E731  binds the grid, which checkpointing need not see
        parts = tokens.split(self.frames_at_once)
        maps = torch.cat([checkpointed(step, part, enabled=self.gradient_checkpointing) for part in parts])
        return list(maps.split(self.dim_out, dim=1))

    def _frames(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """All outputs of some frames, "F sum(dim) H W"."""
        size = (grid[0] * self.patch_size, grid[1] * self.patch_size)
        aspect = size[1] / size[0]
        maps = tokens.transpose(1, 2).unflatten(2, grid)
        for block in self.upsample_blocks:
            maps = block(self._with_uv(maps, aspect))
        maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
        maps = self._with_uv(maps, aspect)
        return torch.cat([block(maps) for block in self.output_block], dim=1)

    def shrink_initial_weights(self) -> None:
        """Begin with depths near 1."""
        for block in self.output_block:
            shrink_weight(list(block.children())[-1])

    def _with_uv(self, maps: Tensor, aspect: float) -> Tensor:
        if not self.using_uv:
            return maps
        grid = uv_grid(maps.shape[-1], maps.shape[-2], aspect=aspect).to(maps)
        return torch.cat([maps, grid.permute(2, 0, 1).expand(len(maps), -1, -1, -1)], dim=1)


class ResidualConvolutions(nn.Module):
    """Two normalised convolutions beside the identity."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.ReLU(),
            _convolution(width, hidden),
            nn.GroupNorm(max(1, hidden // 32), hidden),
            nn.ReLU(),
            _convolution(hidden, width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B C h w"."""
        return maps + self.layers(maps)

    def shrink_initial_weights(self) -> None:
        """Begin near the identity."""
        shrink_weight(self.layers[-1])


def uv_grid(width: int, height: int, *, aspect: float) -> Tensor:
    """Positions of cell centres on a plane whose diagonal is 2: float32 "height width 2", (u, v) to the right and down.

    `aspect` is the image's width by height, also where the cells' numbers give another.
    """
    diagonal = math.sqrt(1 + aspect * aspect)
    reach_u, reach_v = aspect / diagonal * (width - 1) / width, 1 / diagonal * (height - 1) / height
    u, v = torch.linspace(-reach_u, reach_u, width), torch.linspace(-reach_v, reach_v, height)
    return torch.stack(torch.meshgrid(u, v, indexing="xy"), dim=-1)


def _upsample_block(width: int, out: int, config: ConvHeadConfig) -> nn.Sequential:
    upsampling = nn.Sequential(nn.ConvTranspose2d(width, out, kernel_size=2, stride=2), _convolution(out, out))
    hidden = config.dim_times_res_block_hidden * out
    return nn.Sequential(upsampling, *(ResidualConvolutions(out, hidden) for _ in range(config.num_res_blocks)))


def _output_block(width: int, out: int, config: ConvHeadConfig) -> nn.Sequential:
    middle = config.last_conv_channels
    hidden = config.dim_times_res_block_hidden * middle
    return nn.Sequential(
        _convolution(width, middle),
        *(ResidualConvolutions(middle, hidden) for _ in range(config.last_res_blocks)),
        nn.ReLU(),
        _convolution(middle, out, config.last_conv_size),
    )


def _convolution(width: int, out: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(width, out, kernel_size=size, padding=size // 2, padding_mode="replicate")


class CameraHead(nn.Module):
    """Residual layers on every token, their mean, two layers, then translation and rotation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv = nn.ModuleList(ResidualLayers(width) for _ in range(2))
        self.more_mlps = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.fc_t = nn.Linear(width, 3)
        self.fc_rot = nn.Linear(width, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        """Patch tokens "BT P C" to camera-to-world poses "BT 4 4" in a world frame that the network chooses."""
        for layers in self.res_conv:
            tokens = layers(tokens)
        pooled = self.more_mlps(tokens.mean(dim=1))
        top = torch.cat([rows_to_rotation(self.fc_rot(pooled)), self.fc_t(pooled)[..., None]], dim=-1)
        bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], device=top.device, dtype=top.dtype).expand(len(top), 1, 4)
        return torch.cat([top, bottom], dim=1)

    def shrink_initial_weights(self) -> None:
        """Begin near the identity."""
        shrink_weight(self.fc_rot)
        shrink_weight(self.fc_t)
        self.fc_rot.bias.copy_(torch.eye(3).flatten())


class ResidualLayers(nn.Module):
    """Three linear layers beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv1 = nn.Linear(width, width)
        self.res_conv2 = nn.Linear(width, width)
        self.res_conv3 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """ "... C" to "... C"."""
        branch = F.relu(self.res_conv2(F.relu(self.res_conv1(x))))
        return x + F.relu(self.res_conv3(branch))


def rows_to_rotation(numbers: Tensor) -> Tensor:
    """Nine numbers, a 3x3 matrix row by row, to the rotation nearest to it once its rows have unit length.

    Args:
        numbers: "... 9".
    Returns: "... 3 3". Gradient flows, and is finite also at a multiple of the identity, where that of an SVD is not.
    """
    return ClosestRotation.apply(F.normalize(numbers.unflatten(-1, (3, 3)), dim=-1, eps=1e-12))


class ClosestRotation(torch.autograd.Function):
    """A = U S V^T to R = U D V^T, D = diag(1, 1, det(U V^T)).

    With A = R P, P = V D S V^T symmetric, a change dA turns R by R^T dR = W, where W P + P W = R^T dA - dA^T R; in the basis V this
    is a division by sums of signed singular values p_i + p_j. An SVD differentiated step by step divides by differences of squares
    instead, which cancel in the end but overflow before.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        """ "... 3 3" to "... 3 3"."""
        u, s, vh = torch.linalg.svd(matrix)
        signs = torch.ones_like(s)
        signs[..., 2] = torch.linalg.det(u @ vh)
        rotation = u @ (signs[..., None] * vh)
        ctx.save_for_backward(rotation, vh, signs * s)
        return rotation

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Gradient to the rotation, "... 3 3", to that of the matrix."""
        rotation, vh, p = ctx.saved_tensors
        sums = (p[..., :, None] + p[..., None, :]).clamp_min(_SMALLEST_GAP)
        turned = vh @ (rotation.mT @ gradients[0]) @ vh.mT / sums
        return rotation @ (vh.mT @ (turned - turned.mT) @ vh)

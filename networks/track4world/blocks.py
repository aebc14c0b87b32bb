"""Parts of Track4World's decoder: aggregators over all frames, context encoder, motion encoders, refinement in time and space."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import Block, rotary_angles, token_positions
from networks.layers.computing import checkpointed
from networks.layers.initialisation import shrink_weight
from networks.layers.plain_blocks import PlainSelfBlock, apply_in_parts
from networks.track4world.config import TEMPORAL_HEADS, Track4WorldConfig

_ROPE_BASE = 100.0
_BRANCH_SCALE = 0.01  # start of an aggregator's branch scales
_AGGREGATOR_EPS = 1e-5
_EPS = 1e-6
WAVES = 10  # octaves of a flow's encoding, from 1


class Aggregator(nn.Module):
    """Attention among the tokens of all frames of a clip. There is no mark of time and no last norm."""

    def __init__(self, width: int, *, depth: int, num_heads: int, gradient_checkpointing: bool) -> None:
        super().__init__()
        self.head_size = width // num_heads
        self.gradient_checkpointing = gradient_checkpointing
        self.global_blocks = nn.ModuleList(
            Block(width, num_heads, init_values=_BRANCH_SCALE, qk_norm=True, eps=_AGGREGATOR_EPS) for _ in range(depth)
        )

    def forward(self, tokens: Tensor, grid: tuple[int, int], num_special: int) -> Tensor:
        """Tokens "B T R+P C", special ones first, of a grid (h, w) to the same shape.

        Special tokens stand at (0, 0) and the first patch at (1, 1); without special ones it stands at (0, 0).
        """
        num_frames = tokens.shape[1]
        positions = token_positions(*grid, num_registers=num_special, device=tokens.device)
        angles = rotary_angles(positions if num_special else positions - 1, head_size=self.head_size, frequency=_ROPE_BASE)
        clip = tokens.flatten(1, 2)
        for block in self.global_blocks:
            clip = checkpointed(block, clip, angles.repeat(num_frames, 1), enabled=self.gradient_checkpointing)
        return clip.unflatten(1, (num_frames, -1))


class ChannelsLast(nn.Module):
    """Channels to the end."""

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B h w C"."""
        return maps.permute(0, 2, 3, 1)


class MapNorm(nn.LayerNorm):
    """Layer norm over the channels of maps."""

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B C h w"."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ScaledBlock(nn.Module):
    """A block with a learned factor per channel, which begins at a given value."""

    def __init__(self, shape: tuple[int, ...], start: float) -> None:
        super().__init__()
        self.start = start
        self.layer_scale = nn.Parameter(torch.full(shape, start))

    def shrink_initial_weights(self) -> None:
        """Begin at the configured scale."""
        self.layer_scale.fill_(self.start)


class SpatialBlock(ScaledBlock):
    """ConvNeXt's block."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__((width, 1, 1), start)
        self.block = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=7, padding=3, groups=width),
            ChannelsLast(),
            nn.LayerNorm(width, eps=_EPS),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B C h w"."""
        return maps + self.layer_scale * self.block(maps).permute(0, 3, 1, 2)


class TemporalBlock(ScaledBlock):
    """Attention among the targets at one anchor. The block's own skip is scaled with its branches."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__((width, 1), start)
        self.block = PlainSelfBlock(width, TEMPORAL_HEADS)

    def forward(self, maps: Tensor, num_targets: int) -> Tensor:
        """Maps "BS C h w" of S targets to the same shape."""
        targets = maps.unflatten(0, (-1, num_targets)).permute(0, 3, 4, 1, 2)  # "B h w S C"
        mixed = apply_in_parts(self.block, targets.flatten(0, 2)).unflatten(0, targets.shape[:3])
        return (self.layer_scale[:, 0] * mixed + targets).permute(0, 3, 4, 1, 2).flatten(0, 1)


class Refinement(nn.ModuleList):
    """Blocks in time and in space by turns."""

    def __init__(self, width: int, num_pairs: int, start: float) -> None:
        super().__init__()
        for _ in range(num_pairs):
            self.append(TemporalBlock(width, start))
            self.append(SpatialBlock(width, start))

    def forward(self, maps: Tensor, num_targets: int) -> Tensor:
        """Maps "BS C h w" of S targets to the same shape."""
        for block in self:
            maps = block(maps, num_targets) if isinstance(block, TemporalBlock) else block(maps)
        return maps


class ContextEncoder(nn.Module):
    """The first three stages of ConvNeXt-T, the third without stride: one feature per 8 x 8 pixels."""

    def __init__(self, config: Track4WorldConfig) -> None:
        super().__init__()
        one, two, three = config.ctx
        stages = [
            nn.Sequential(*(SpatialBlock(width, config.layer_scale) for _ in range(depth)))
            for width, depth in zip(config.ctx, config.ctx_depth, strict=True)
        ]
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, one, kernel_size=4, stride=4), MapNorm(one, eps=_EPS)),
            stages[0],
            nn.Sequential(MapNorm(one, eps=_EPS), nn.Conv2d(one, two, kernel_size=2, stride=2)),
            stages[1],
            nn.Sequential(MapNorm(two, eps=_EPS), nn.Conv2d(two, three, kernel_size=3, padding=2, dilation=2)),
            stages[2],
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images "B 3 H W" to "B C H/8 W/8"."""
        return self.features(images)


class MotionEncoder(nn.Module):
    """Correlations and the encoding of the present flow to motion features."""

    def __init__(self, config: Track4WorldConfig, dimensions: int) -> None:
        super().__init__()
        width = config.hdim
        between = width * 3 // 2
        self.convc1 = nn.Conv2d(config.correlation_channels, 4 * width, kernel_size=1)
        self.convc2 = nn.Conv2d(4 * width, between, kernel_size=3, padding=1)
        self.conv = nn.Conv2d(between + dimensions * (1 + 2 * WAVES), width, kernel_size=3, padding=1)

    def forward(self, motion: Tensor, correlation: Tensor) -> Tensor:
        """Encoded flow "K 21D h w" and correlation "K L(2r+1)^2 h w" to "K hdim h w"."""
        features = F.relu(self.convc2(F.relu(self.convc1(correlation))))
        return F.relu(self.conv(torch.cat([features, motion], dim=1)))


class PixelHead(nn.Sequential):
    """Two convolutions whose maps are continued beyond the border by their outermost values."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(replicating_convolution(width, 2 * width), nn.ReLU(), replicating_convolution(2 * width, out))

    def shrink_initial_weights(self) -> None:
        """Begin with small steps."""
        shrink_weight(self[2])


def replicating_convolution(width: int, out: int) -> nn.Conv2d:
    """3 x 3, the same size, replicate padding."""
    return nn.Conv2d(width, out, kernel_size=3, padding=1, padding_mode="replicate")


def upsampling_weights(width: int, stride: int) -> nn.Sequential:
    """Features to logits of the 9 neighbours for each of a cell's pixels."""
    return nn.Sequential(replicating_convolution(width, 2 * width), nn.ReLU(), nn.Conv2d(2 * width, 9 * stride * stride, kernel_size=1))

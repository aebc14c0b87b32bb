"""Feature maps for the tracker, from four pairs of decoder blocks."""

import torch
from torch import Tensor, nn

from trainer.models.config import TrackDecoderConfig
from trainer.models.fusion import Scratch, resized
from trainer.models.memory import recomputed


class TrackDecoder(nn.Module):
    """Tokens of four depths become maps of four resolutions and are fused."""

    def __init__(self, config: TrackDecoderConfig, *, num_registers: int, frames_at_once: int = 8) -> None:
        super().__init__()
        self.patch_size, self.down_ratio, self.token_layout = config.patch_size, config.down_ratio, config.token_layout
        self.num_registers, self.frames_at_once = num_registers, frames_at_once
        self.gradient_checkpointing = False
        one, two, three, four = config.out_channels
        self.norm = nn.LayerNorm(config.dim_in)
        self.projects = nn.ModuleList(nn.Conv2d(config.dim_in, count, kernel_size=1) for count in config.out_channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(one, one, kernel_size=4, stride=4),
                nn.ConvTranspose2d(two, two, kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(four, four, kernel_size=3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch((one, two, three, four), config.features)

    def forward(self, pairs: list[Tensor], grid: tuple[int, int]) -> Tensor:
        """Pair features "BT L C" of a grid (h, w) to "BT features H/2 W/2" (floor); a few frames at a time, which do not see each other."""
        groups = zip(*(pair.split(self.frames_at_once) for pair in pairs), strict=True)
        step = lambda *group: self._frames(list(group), grid)  # noqa: E731  binds the grid, which checkpointing need not see
        return torch.cat([recomputed(step, *group, enabled=self.gradient_checkpointing) for group in groups])

    def _frames(self, pairs: list[Tensor], grid: tuple[int, int]) -> Tensor:
        to_patches = clean_patches if self.token_layout == "clean" else reference_patches
        levels = []
        for pair, project, resize in zip(pairs, self.projects, self.resize_layers, strict=True):
            tokens = self.norm(to_patches(pair, self.num_registers))
            levels.append(resize(project(tokens.transpose(1, 2).unflatten(2, grid))))
        return resized(self.scratch(levels), self.map_size(grid))

    def map_size(self, grid: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of the feature maps of a grid of patches."""
        return int(grid[0] * self.patch_size / self.down_ratio), int(grid[1] * self.patch_size / self.down_ratio)


def clean_patches(tokens: Tensor, num_registers: int) -> Tensor:
    """Drop the register tokens: "B L C" to "B P C"."""
    return tokens[:, num_registers:]


def reference_patches(tokens: Tensor, num_registers: int) -> Tensor:
    """Drop entries as the public code does: "B L C" to "B P C", tokens and channels mixed.

    A frame's buffer of L rows of C is read as C rows of L, without transposing; of each such row the first `num_registers` entries
    are dropped; what remains is read as P rows of C. The public weights were trained so.
    """
    count, channels = tokens.shape[1:]
    kept = tokens.flatten(1).unflatten(1, (channels, count))[..., num_registers:]
    return kept.flatten(1).unflatten(1, (count - num_registers, channels))

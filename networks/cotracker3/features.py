"""Features of frames, which never influence each other: the encoder, and pyramids that are computed once for every pass over a video."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.errors import DataError

STRIDE = 4  # pixels per cell of the finest feature map
CHANNELS = 128  # of the public checkpoints' maps
ENCODER_WIDTHS = (64, 96, 128, 128)  # and of their encoder's four scales
LEVELS = 4


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm; both inner ReLUs come before the sum."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.downsample = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride)) if stride != 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """ "F C_in h w" to "F C h/stride w/stride"."""
        y = F.relu_(F.instance_norm(self.conv1(x)))  # in place: fresh memory costs more than the arithmetic
        y = F.relu_(F.instance_norm(self.conv2(y)))
        shortcut = x if self.downsample is None else F.instance_norm(self.downsample(x))
        return F.relu_(shortcut + y)


def _layer(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(in_channels, channels, stride), ResidualBlock(channels, channels, 1))


class FeatureEncoder(nn.Module):
    """Residual pyramid whose four scales are resized to stride 4 and merged. Norms: per frame and channel, no parameters."""

    def __init__(self, widths: tuple[int, int, int, int] = ENCODER_WIDTHS, channels: int = CHANNELS) -> None:
        """Args:
        widths: channels of the four scales. channels: of the merged map.
        """
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = nn.Conv2d(3, first, 7, 2, 3)
        self.layer1 = _layer(first, first, 1)
        self.layer2 = _layer(first, second, 2)
        self.layer3 = _layer(second, third, 2)
        self.layer4 = _layer(third, fourth, 2)
        self.conv2 = nn.Conv2d(sum(widths), 2 * channels, 3, 1, 1)
        self.conv3 = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Raw features, before normalisation.

        Args: frames: "F 3 H W", RGB, 0..255; H and W multiples of 4.
        Returns: "F C H/4 W/4", C channels, of the public checkpoints 128.
        """
        size = (frames.shape[-2] // STRIDE, frames.shape[-1] // STRIDE)
        x = F.relu_(F.instance_norm(self.conv1(2 * (frames / 255) - 1)))
        scales = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            scales.append(F.interpolate(x, size, mode="bilinear", align_corners=True))
        merged = F.relu_(F.instance_norm(self.conv2(torch.cat(scales, 1))))
        return self.conv3(merged)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Pyramid of F frames: level l is "F h_l w_l C", cells of stride 4 * 2^l, unit norm at level 0."""

    levels: tuple[Tensor, ...]

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.levels[0])


def pyramid(raw: Tensor) -> Features:
    """Raw encoder output "F C h w" to a pyramid: unit norm per location, then 2x2 means; odd sizes drop the last row or column."""
    level = raw.float() / raw.float().square().sum(1, keepdim=True).clamp_min(1e-12).sqrt()
    levels = [level]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2, 2))
    return Features(tuple(level.permute(0, 2, 3, 1).to(raw.dtype) for level in levels))


def encode(encoder: Callable[[Tensor], Tensor], frames: Tensor, frames_at_once: int) -> Features:
    """Pyramid of frames "F 3 H W" (0..255), a few at a time: the encoder's working memory does not grow with F."""
    return gather_chunks((pyramid(encoder(part)) for part in frames.split(frames_at_once)), len(frames))


def gather_chunks(chunks: Iterable[Features], num_frames: int) -> Features:
    """Pyramids of consecutive frames as one, copied chunk by chunk into place. Raises DataError if they are not as many as promised."""
    levels: list[Tensor] = []
    arrived = 0
    for chunk in chunks:
        if not levels:
            levels = [level.new_empty((num_frames, *level.shape[1:])) for level in chunk.levels]
        place = slice(arrived, arrived + chunk.num_frames)
        arrived += chunk.num_frames
        if arrived > num_frames:
            break
        for whole, part in zip(levels, chunk.levels, strict=True):
            whole[place] = part
    if arrived != num_frames:
        raise DataError(f"{arrived} frames arrived, {num_frames} were promised; cut the clip again")
    return Features(tuple(levels))


def last_frames(features: Features, count: int, *, batch: int) -> tuple[Features, ...]:
    """The last frames of each of `batch` videos, as copies that do not keep the others alive."""
    videos = (zip(*(level.chunk(batch) for level in features.levels), strict=True)) if batch > 1 else [features.levels]
    return tuple(Features(tuple(level[-count:].clone() for level in levels)) for levels in videos)

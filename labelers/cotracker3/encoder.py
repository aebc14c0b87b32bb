"""The feature encoder: frames to unit-norm maps at a quarter of the resolution. Frames never influence each other."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labelers.cotracker3.features import CHANNELS

STRIDE = 4  # pixels per cell of the finest feature map


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

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.layer1 = _layer(64, 64, 1)
        self.layer2 = _layer(64, 96, 2)
        self.layer3 = _layer(96, 128, 2)
        self.layer4 = _layer(128, 128, 2)
        self.conv2 = nn.Conv2d(64 + 96 + 128 + 128, 2 * CHANNELS, 3, 1, 1)
        self.conv3 = nn.Conv2d(2 * CHANNELS, CHANNELS, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Raw features, before normalisation.

        Args: frames: "F 3 H W", RGB, 0..255; H and W multiples of 4.
        Returns: "F 128 H/4 W/4".
        """
        size = (frames.shape[-2] // STRIDE, frames.shape[-1] // STRIDE)
        x = F.relu_(F.instance_norm(self.conv1(2 * (frames / 255) - 1)))
        scales = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            scales.append(F.interpolate(x, size, mode="bilinear", align_corners=True))
        merged = F.relu_(F.instance_norm(self.conv2(torch.cat(scales, 1))))
        return self.conv3(merged)

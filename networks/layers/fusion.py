"""The blocks that fuse feature maps of several resolutions, from coarse to fine (DPT)."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualUnit(nn.Module):
    """relu(x) + conv(relu(conv(relu(x)))): the public weights were trained with the skip after the first ReLU, which ran in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B C h w"."""
        positive = F.relu(maps)
        return self.conv2(F.relu(self.conv1(positive))) + positive


class CoarsestFusion(nn.Module):
    """Refine the coarsest level and resize it to the next."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, width, kernel_size=1)
        self.resConfUnit2 = ResidualUnit(width)

    def refine(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """ "B C h w" to "B C *size"."""
        return self.out_conv(resize_bilinear(self.resConfUnit2(maps), size))

    def forward(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """ "B C h w" to "B C *size"."""
        return self.refine(maps, size)


class Fusion(CoarsestFusion):
    """Add a finer level to what came from the coarser ones, refine, resize."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.resConfUnit1 = ResidualUnit(width)

    def forward(self, maps: Tensor, size: tuple[int, int], level: Tensor | None = None) -> Tensor:
        """ "B C h w", and the level of the same size, to "B C *size"."""
        return self.refine(maps if level is None else maps + self.resConfUnit1(level), size)


class Scratch(nn.Module):
    """Four levels to one map. Names are the public checkpoint's."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn = (
            nn.Conv2d(count, width, kernel_size=3, padding=1, bias=False) for count in channels
        )
        self.refinenet1, self.refinenet2, self.refinenet3 = Fusion(width), Fusion(width), Fusion(width)
        self.refinenet4 = CoarsestFusion(width)
        self.output_conv1 = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Levels "B C_i h_i w_i", finest first, to "B width 2h_1 2w_1"."""
        one, two, three, four = self.layer1_rn(levels[0]), self.layer2_rn(levels[1]), self.layer3_rn(levels[2]), self.layer4_rn(levels[3])
        maps = self.refinenet4(four, _size(three))
        maps = self.refinenet3(maps, _size(two), three)
        maps = self.refinenet2(maps, _size(one), two)
        maps = self.refinenet1(maps, (2 * one.shape[-2], 2 * one.shape[-1]), one)
        return self.output_conv1(maps)


def resize_bilinear(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corners on corners."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)


def _size(maps: Tensor) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]

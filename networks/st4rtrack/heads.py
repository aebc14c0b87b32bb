"""Dense heads of the twin networks: DPT, linear, and MASt3R's local features beside a DPT."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import Mlp
from networks.layers.fusion import resize_bilinear
from networks.layers.initialisation import shrink_weight
from networks.st4rtrack.config import TwinConfig
from networks.st4rtrack.output import DenseMaps, decode_maps
from networks.st4rtrack.transformer import Grid, tokens_to_map

_RAW = 4  # x, y, z, confidence


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))). TrajVG's, in `networks.layers.fusion`, skips from behind the first ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B C h w"."""
        return maps + self.conv2(F.relu(self.conv1(F.relu(maps))))


class FusionBlock(nn.Module):
    """Add a finer level to what came from the coarser ones, refine, double the size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, width, kernel_size=1)
        self.resConfUnit1 = ResidualUnit(width)
        self.resConfUnit2 = ResidualUnit(width)

    def forward(self, maps: Tensor, level: Tensor | None = None) -> Tensor:
        """ "B C h w", and a level of the same size, to "B C 2h 2w"."""
        if level is not None:
            maps = maps + self.resConfUnit1(level)
        refined = self.resConfUnit2(maps)
        return self.out_conv(resize_bilinear(refined, (2 * refined.shape[-2], 2 * refined.shape[-1])))


class Scratch(nn.Module):
    """Four levels to one map. `layer_rn` holds the same convolutions a second time: public torch files name them twice."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn = (
            nn.Conv2d(count, width, kernel_size=3, padding=1, bias=False) for count in channels
        )
        self.layer_rn = nn.ModuleList([self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn])
        self.refinenet1, self.refinenet2, self.refinenet3, self.refinenet4 = (FusionBlock(width) for _ in range(4))
        self.refinenet4.resConfUnit1.requires_grad_(False)  # in every file, and never used: there is no coarser level to add

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Levels "B C_i h_i w_i", finest first, to "B width 2h_1 2w_1"."""
        one, two, three, four = (layer(level) for layer, level in zip(self.layer_rn, levels, strict=True))
        maps = self.refinenet4(four)[..., : three.shape[-2], : three.shape[-1]]  # an odd grid came out a row or column larger
        for refine, level in ((self.refinenet3, three), (self.refinenet2, two), (self.refinenet1, one)):
            maps = refine(maps, level)
        return maps


class Doubling(nn.Module):
    """Bilinear, twice the size, corners on corners."""

    def forward(self, maps: Tensor) -> Tensor:
        """ "B C h w" to "B C 2h 2w"."""
        return resize_bilinear(maps, (2 * maps.shape[-2], 2 * maps.shape[-1]))


class DPT(nn.Module):
    """Tokens of four depths become maps of four resolutions, are fused, and give raw numbers per pixel."""

    def __init__(self, config: TwinConfig) -> None:
        super().__init__()
        one, two, three, four = config.dpt_layer_dims
        width, encoder, decoder = config.dpt_feature_dim, config.enc_embed_dim, config.dec_embed_dim
        self.hooks = config.dpt_hooks
        self.patch_size = config.patch_size
        self.scratch = Scratch((one, two, three, four), width)
        self.head = nn.Sequential(
            nn.Conv2d(width, width // 2, kernel_size=3, padding=1),
            Doubling(),
            nn.Conv2d(width // 2, config.dpt_last_dim, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.dpt_last_dim, _RAW, kernel_size=1),
        )
        self.act_postprocess = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(encoder, one, kernel_size=1), nn.ConvTranspose2d(one, one, kernel_size=4, stride=4)),
                nn.Sequential(nn.Conv2d(decoder, two, kernel_size=1), nn.ConvTranspose2d(two, two, kernel_size=2, stride=2)),
                nn.Sequential(nn.Conv2d(decoder, three, kernel_size=1)),
                nn.Sequential(nn.Conv2d(decoder, four, kernel_size=1), nn.Conv2d(four, four, kernel_size=3, stride=2, padding=1)),
            ]
        )

    def forward(self, tokens: list[Tensor], grid: Grid) -> Tensor:
        """A branch's list of tokens "B P C_k", of a grid (h, w), to "B 4 H W"."""
        levels = [adapt(tokens_to_map(tokens[hook], grid)) for adapt, hook in zip(self.act_postprocess, self.hooks, strict=True)]
        raw = self.head(self.scratch(levels))  # 16 times the grid
        size = (grid[0] * self.patch_size, grid[1] * self.patch_size)
        return raw if raw.shape[-2:] == size else resize_bilinear(raw, size)

    def shrink_initial_weights(self) -> None:
        """Begin with small point maps and confidences near 2."""
        shrink_weight(self.head[-1])


class DptHead(nn.Module):
    """Points and confidence by a DPT."""

    def __init__(self, config: TwinConfig) -> None:
        super().__init__()
        self.dpt = DPT(config)

    def forward(self, tokens: list[Tensor], grid: Grid) -> DenseMaps:
        """A branch's list of tokens "B P C_k", of a grid (h, w), to maps of H x W pixels."""
        return decode_maps(self.dpt(tokens, grid))


class LinearHead(nn.Module):
    """Points and confidence by one linear layer on a patch's last token."""

    def __init__(self, config: TwinConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = nn.Linear(config.dec_embed_dim, _RAW * config.patch_size**2)

    def forward(self, tokens: list[Tensor], grid: Grid) -> DenseMaps:
        """A branch's list of tokens "B P C_k", of a grid (h, w), to maps of H x W pixels."""
        return decode_maps(F.pixel_shuffle(tokens_to_map(self.proj(tokens[-1]), grid), self.patch_size))

    def shrink_initial_weights(self) -> None:
        """Begin with small point maps and confidences near 2."""
        shrink_weight(self.proj)


class MatchingHead(DptHead):
    """A DPT, and beside it MASt3R's descriptors: an MLP on a patch's first and last token."""

    def __init__(self, config: TwinConfig) -> None:
        super().__init__(config)
        self.patch_size = config.patch_size
        width = config.enc_embed_dim + config.dec_embed_dim
        self.head_local_features = Mlp(width, 4 * width, (config.local_feat_dim + 1) * config.patch_size**2)

    def forward(self, tokens: list[Tensor], grid: Grid) -> DenseMaps:
        """A branch's list of tokens "B P C_k", of a grid (h, w), to maps of H x W pixels."""
        maps = super().forward(tokens, grid)
        numbers = self.head_local_features(torch.cat([tokens[0], tokens[-1]], dim=-1))
        last = F.pixel_shuffle(tokens_to_map(numbers, grid), self.patch_size).permute(0, 2, 3, 1)
        vectors = last[..., :-1]
        return DenseMaps(
            point_map=maps.point_map,
            confidence=maps.confidence,
            descriptors=vectors / vectors.norm(dim=-1, keepdim=True),
            descriptor_confidence=last[..., -1].exp(),
        )

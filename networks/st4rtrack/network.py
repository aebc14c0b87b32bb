"""DUSt3R, MASt3R and St4RTrack as `build_model` knows them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from networks.building import Network, Shapes
from networks.layers.blocks import EPS, Block, PatchEmbedding
from networks.layers.computing import checkpointed, full_precision
from networks.st4rtrack.config import TwinConfig, config_of_shapes
from networks.st4rtrack.heads import DptHead, LinearHead, MatchingHead
from networks.st4rtrack.output import TwinOutput, pair_output
from networks.st4rtrack.transformer import Grid, PairBlock, patch_angles
from pipeline.errors import ConfigError, DataError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedImages:
    """Tokens of images, which an image needs once, however many pairs it is in."""

    tokens: Tensor  # "B P E", after the last norm
    grid: Grid

    def __getitem__(self, index: Any) -> "EncodedImages":
        return EncodedImages(tokens=self.tokens[index], grid=self.grid)


class TwinNetwork(Network):
    """A shared encoder, two decoders that attend to each other, a head for each."""

    config_type = TwinConfig
    config: TwinConfig
    head_class: type[DptHead] = DptHead
    kept_start: "tuple[TwinNetwork, ...]" = ()  # the network as training began it, where losses compare with it; saved with none

    def __init__(self, config: TwinConfig) -> None:
        super().__init__(config)
        width, decoder = config.enc_embed_dim, config.dec_embed_dim
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder), requires_grad=False)  # of the pretraining; in every file, never used
        self.patch_embed = PatchEmbedding(config.input_channels, config.patch_size, width)
        self.enc_blocks = nn.ModuleList(Block(width, config.enc_num_heads, mlp_ratio=config.mlp_ratio) for _ in range(config.enc_depth))
        self.enc_norm = nn.LayerNorm(width, eps=EPS)
        self.decoder_embed = nn.Linear(width, decoder)
        self.dec_blocks = self._branch()
        self.dec_norm = nn.LayerNorm(decoder, eps=EPS)
        self.dec_blocks2 = self._branch()
        head = self._head_class()
        self.downstream_head1 = head(config)
        self.downstream_head2 = head(config)

    def forward(self, image1: Tensor, image2: Tensor) -> TwinOutput:
        """Point maps of pairs, both in the first cameras' axes.

        Args:
            image1: "B C H W", RGB as value / 127.5 - 1; sides multiples of the patch size, landscape or portrait.
            image2: "B C H' W'", of the same number of images; another size is welcome.
        Raises: DataError if shapes do not fit.
        """
        return self.decode(self.encode(image1), self.encode(image2))

    def encode(self, images: Tensor) -> EncodedImages:
        """Tokens of images "B C H W", see `forward`."""
        grid = self._grid(images)
        angles = self._angles(grid, self.config.enc_embed_dim // self.config.enc_num_heads, images.device)
        tokens = self.patch_embed(images)
        for block in self.enc_blocks:
            tokens = checkpointed(block, tokens, angles, enabled=self.config.computing.gradient_checkpointing)
        return EncodedImages(tokens=self.enc_norm(tokens), grid=grid)

    def decode(self, first: EncodedImages, second: EncodedImages) -> TwinOutput:
        """Point maps of pairs of encoded images, of which there are equally many. Raises DataError where there are not."""
        if len(first.tokens) != len(second.tokens):
            raise DataError(f"{len(first.tokens)} first images and {len(second.tokens)} second ones are no pairs")
        tokens1, tokens2 = self.decode_tokens(first, second)
        with full_precision(first.tokens.device):
            maps1 = self.downstream_head1([tokens.float() for tokens in tokens1], first.grid)
            maps2 = self.downstream_head2([tokens.float() for tokens in tokens2], second.grid)
        return pair_output(maps1, maps2)

    def decode_tokens(self, first: EncodedImages, second: EncodedImages) -> tuple[list[Tensor], list[Tensor]]:
        """Both branches' token lists: the encoder's "B P E", then the state after each block "B P D", the last one normalised."""
        size = self.config.dec_embed_dim // self.config.dec_num_heads
        angles1, angles2 = (self._angles(images.grid, size, images.tokens.device) for images in (first, second))
        again = self.config.computing.gradient_checkpointing
        list1, list2 = [first.tokens], [second.tokens]
        x1, x2 = self.decoder_embed(first.tokens), self.decoder_embed(second.tokens)
        for block1, block2 in zip(self.dec_blocks, self.dec_blocks2, strict=True):
            x1, x2 = (  # both from the previous pair
                checkpointed(block1, x1, x2, angles1, angles2, enabled=again),
                checkpointed(block2, x2, x1, angles2, angles1, enabled=again),
            )
            list1.append(x1)
            list2.append(x2)
        list1[-1], list2[-1] = self.dec_norm(x1), self.dec_norm(x2)
        return list1, list2

    def fill_constants(self) -> None:
        """There are no buffers."""

    @classmethod
    def parse_config(cls, table: Mapping[str, Any] | None) -> Any:
        """See `Network.parse_config`; "salt", which tables of golden vectors carry for their weights, describes no network."""
        given = {key: value for key, value in table.items() if key != "salt"} if isinstance(table, Mapping) else table
        return super().parse_config(given)

    @classmethod
    def config_of(cls, shapes: Shapes) -> dict[str, Any]:
        """See `Network.config_of`; heads of attention have 64 channels, as in all public files."""
        return config_of_shapes(shapes)

    def _branch(self) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(PairBlock(config.dec_embed_dim, config.dec_num_heads, config.mlp_ratio) for _ in range(config.dec_depth))

    def _head_class(self) -> "type[DptHead | LinearHead]":
        if self.config.head_type != "dpt":
            raise ConfigError(f"model configuration: head_type {self.config.head_type!r} is DUSt3R's alone; take the model dust3r")
        return self.head_class

    def _grid(self, images: Tensor) -> Grid:
        patch, channels = self.config.patch_size, self.config.input_channels
        if images.ndim != 4 or images.shape[1] != channels or not images.is_floating_point():
            raise DataError(f"images are {images.dtype}{list(images.shape)}, expected floating [B, {channels}, H, W] in [-1, 1]")
        height, width = images.shape[-2:]
        if height < patch or width < patch or height % patch or width % patch:
            raise DataError(f"images of {height} x {width} pixels are no whole patches of {patch}; resize or crop them")
        return height // patch, width // patch

    def _angles(self, grid: Grid, head_size: int, device: torch.device) -> Tensor:
        return patch_angles(grid, head_size=head_size, base=self.config.rope_base, device=device)


class DUSt3R(TwinNetwork):
    """The network of the public DUSt3R checkpoints: 1009 entries with DPT heads, 877 with linear ones."""

    def _head_class(self) -> "type[DptHead | LinearHead]":
        return LinearHead if self.config.head_type == "linear" else DptHead


class MASt3R(TwinNetwork):
    """The network of the public metric MASt3R checkpoint: 1017 entries; its heads give descriptors too."""

    head_class = MatchingHead


class St4RTrack(TwinNetwork):
    """The network of the public St4RTrack checkpoints: 1009 entries, DUSt3R's names and shapes. It begins from MASt3R's file."""

"""The transformers of π³: the image encoder (DINOv2's ViT with register tokens), the alternating decoder, a head for each output."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import EPS, Block, PatchEmbedding
from networks.layers.computing import checkpointed
from networks.pi3.config import DecoderConfig, EncoderConfig, TransformerHeadConfig


class Encoder(nn.Module):
    """Images to patch tokens; class and register tokens take part and are dropped."""

    def __init__(self, config: EncoderConfig, *, channels: int = 3, gradient_checkpointing: bool = False) -> None:
        super().__init__()
        width, side = config.embed_dim, config.img_size // config.patch_size
        self.patch_size, self.table_side = config.patch_size, side
        self.gradient_checkpointing = gradient_checkpointing
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.num_register_tokens, width))
        self.patch_embed = PatchEmbedding(channels, config.patch_size, width)
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, mlp_ratio=config.mlp_ratio, init_values=config.init_values) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images "B 3 H W" to patch tokens "B h*w C"."""
        return self.all_tokens(images)[:, 1 + self.register_tokens.shape[1] :]

    def all_tokens(self, images: Tensor) -> Tensor:
        """Normalised images "B 3 H W" to "B 1+R+h*w C": class, registers, patches, after the last norm."""
        rows, columns = images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size
        patches = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        tokens = tokens + self.positions(rows, columns).to(tokens.dtype)
        registers = self.register_tokens.expand(len(patches), -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
        for block in self.blocks:
            tokens = checkpointed(block, tokens, enabled=self.gradient_checkpointing)
        return self.norm(tokens)

    def positions(self, rows: int, columns: int) -> Tensor:
        """Position embedding of the class token and a grid of patches, "1 1+h*w C": the learned table, resampled unless it fits."""
        side = self.table_side
        if (rows, columns) == (side, side):
            return self.pos_embed
        table = self.pos_embed[:, 1:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
        table = F.interpolate(table, size=(rows, columns), mode="bicubic", antialias=True, align_corners=False)
        patches = table.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)
        return torch.cat([self.pos_embed[:, :1], patches], dim=1)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedTokens:
    """Output of the decoder: channels of a frame block's and the following clip block's output side by side."""

    last: Tensor  # "BT L 2C", the last two blocks
    pairs: list[Tensor]  # float32 "BT L 2C" each, as asked for


class AlternatingDecoder(nn.ModuleList):
    """Blocks 0, 2, ... look within a frame, blocks 1, 3, ... across all frames. Frames carry no mark of time: permuted in, permuted out."""

    def __init__(self, config: DecoderConfig, *, gradient_checkpointing: bool = False) -> None:
        super().__init__(
            Block(config.dim, config.num_heads, mlp_ratio=config.mlp_ratio, init_values=config.init_values, qk_norm=config.qk_norm)
            for _ in range(config.depth)
        )
        self.gradient_checkpointing = gradient_checkpointing

    def forward(self, tokens: Tensor, angles: Tensor, num_frames: int, pairs: Sequence[int] = ()) -> DecodedTokens:
        """Run all blocks.

        Args:
            tokens: "BT L C".
            angles: rotary angles of one frame's tokens, "L d"; every frame has the same.
            num_frames: T.
            pairs: which pairs k (blocks 2k and 2k + 1) to keep.
        """
        kept: dict[int, Tensor] = {}
        clip_angles = angles.repeat(num_frames, 1)
        for index in range(0, len(self), 2):
            within = checkpointed(self[index], tokens, angles, enabled=self.gradient_checkpointing)
            clip = within.unflatten(0, (-1, num_frames)).flatten(1, 2)  # "B TL C"
            across = checkpointed(self[index + 1], clip, clip_angles, enabled=self.gradient_checkpointing)
            tokens = across.unflatten(1, (num_frames, -1)).flatten(0, 1)
            if index // 2 in pairs:
                kept[index // 2] = torch.cat([within, tokens], dim=-1).float()
        return DecodedTokens(last=torch.cat([within, tokens], dim=-1), pairs=[kept[pair] for pair in pairs])


class TransformerHead(nn.Module):
    """Projection, blocks within each frame (no layer scale, no norm of queries and keys), projection."""

    def __init__(self, config: TransformerHeadConfig, *, gradient_checkpointing: bool = False) -> None:
        super().__init__()
        self.gradient_checkpointing = gradient_checkpointing
        self.projects = nn.Linear(config.in_dim, config.dec_embed_dim)
        self.blocks = nn.ModuleList(Block(config.dec_embed_dim, config.dec_num_heads) for _ in range(config.depth))
        self.linear_out = nn.Linear(config.dec_embed_dim, config.out_dim)

    def forward(self, tokens: Tensor, angles: Tensor) -> Tensor:
        """Tokens "BT L 2C" and rotary angles "L d" to "BT L out"."""
        tokens = self.projects(tokens)
        for block in self.blocks:
            tokens = checkpointed(block, tokens, angles, enabled=self.gradient_checkpointing)
        return self.linear_out(tokens)

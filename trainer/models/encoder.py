"""The image encoder: DINOv2's ViT with register tokens, under its public names."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.models.blocks import EPS, Block
from trainer.models.config import EncoderConfig
from trainer.models.memory import recomputed


class PatchEmbedding(nn.Module):
    """One token per patch."""

    def __init__(self, channels: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """ "B 3 H W" to "B h C", patches row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


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
            tokens = recomputed(block, tokens, enabled=self.gradient_checkpointing)
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

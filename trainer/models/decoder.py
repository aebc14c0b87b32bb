"""The alternating decoder: attention within each frame, then across the clip, and so on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.models.blocks import Block
from trainer.models.config import DecoderConfig
from trainer.models.memory import recomputed


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodedTokens:
    """What the decoder gives: channels of a frame block's and the following clip block's output side by side."""

    last: Tensor  # "BT L 2C", the last two blocks
    pairs: list[Tensor]  # float32 "BT L 2C" each, as asked for


class AlternatingDecoder(nn.ModuleList):
    """Blocks 0, 2, ... look within a frame, blocks 1, 3, ... across all frames. Nothing tells frames apart: permuted in, permuted out."""

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
            within = recomputed(self[index], tokens, angles, enabled=self.gradient_checkpointing)
            clip = within.unflatten(0, (-1, num_frames)).flatten(1, 2)  # "B TL C"
            across = recomputed(self[index + 1], clip, clip_angles, enabled=self.gradient_checkpointing)
            tokens = across.unflatten(1, (num_frames, -1)).flatten(0, 1)
            if index // 2 in pairs:
                kept[index // 2] = torch.cat([within, tokens], dim=-1).float()
        return DecodedTokens(last=torch.cat([within, tokens], dim=-1), pairs=[kept[pair] for pair in pairs])

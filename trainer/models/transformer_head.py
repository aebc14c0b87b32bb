"""The transformer that prepares the decoder's features for one output: points, confidence or cameras."""

from torch import Tensor, nn

from trainer.models.blocks import Block
from trainer.models.config import TransformerHeadConfig
from trainer.models.memory import recomputed


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
            tokens = recomputed(block, tokens, angles, enabled=self.gradient_checkpointing)
        return self.linear_out(tokens)

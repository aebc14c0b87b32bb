"""One iteration of Track4World's decoder: the step of the 2D flow, the step of the 3D flow, and both on all pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.initialisation import shrink_weight
from networks.track4world.blocks import MotionEncoder, Refinement, replicating_convolution
from networks.track4world.config import STRIDE, Track4WorldConfig

_POINT = 3  # x, y, z
_VISCONF = 2  # logits of visibility and confidence


class FlowUpdate(nn.Module):
    """State of the 2D flow from correlations of geometry and context."""

    def __init__(self, config: Track4WorldConfig) -> None:
        super().__init__()
        width = config.hdim
        self.motion_encoder2d = MotionEncoder(config, 2)
        self.motion_encoder2d_ctx = MotionEncoder(config, 2)
        self.compressor_f = nn.Conv2d(config.flow_dim, width, kernel_size=1)
        self.compressor_c = nn.Conv2d(config.ctx_dim, width, kernel_size=1)
        self.compressor = nn.Conv2d(4 * width + _VISCONF, width, kernel_size=1)
        self.refine = Refinement(width, config.n2d, config.layer_scale)
        self.final_conv = nn.Conv2d(width, config.flow_dim, kernel_size=1)

    def forward(self, hidden: Tensor, context: Tensor, motions: tuple[Tensor, Tensor], visconf: Tensor, num_targets: int) -> Tensor:
        """Next state "K D h w".

        Args:
            hidden: "K D h w", the present state, K = targets of all clips.
            context: "K ctx_dim h w", of the source, with the targets' times.
            motions: "K hdim h w" each, by `motion`.
            visconf: "K 2 h w", logits before this iteration.
            num_targets: S, of each clip.
        """
        parts = [self.compressor_f(hidden), self.compressor_c(context), *motions, visconf]
        return self.final_conv(self.refine(self.compressor(torch.cat(parts, dim=1)), num_targets))

    def motion(self, code: Tensor, geometry: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded flow and both correlations to motion features "K hdim h w"."""
        return self.motion_encoder2d(code, geometry), self.motion_encoder2d_ctx(code, context)


class Flow3dHead(nn.Module):
    """State and step of the 3D flow, from the 2D state and from what the target shows where the 2D flow leads."""

    def __init__(self, config: Track4WorldConfig) -> None:
        super().__init__()
        width, detail = config.hdim, config.flow3d_dim
        self.compressor_f = nn.Conv2d(config.flow_dim, width, kernel_size=1)
        self.compressor_d = nn.Conv2d(detail, width, kernel_size=1)
        self.compressor_c = nn.Conv2d(detail, width // 2, kernel_size=1)
        self.compressor_c1 = nn.Conv2d(detail, width // 2, kernel_size=1)
        self.motion_encoder3d = MotionEncoder(config, _POINT)
        self.compressor = nn.Conv2d(4 * width, width, kernel_size=1)
        self.refine = Refinement(width, config.n3d, config.layer_scale)
        self.final_conv = nn.Conv2d(width, detail, kernel_size=1)
        self.head = nn.Sequential(
            nn.Conv2d(detail + _POINT, width, kernel_size=1),
            replicating_convolution(width, 2 * width),
            nn.GELU(),
            replicating_convolution(2 * width, _POINT),
        )

    def forward(self, hidden: Tensor, detail: Tensor, sampled: tuple[Tensor, Tensor], motion: Tensor, num_targets: int) -> Tensor:
        """Next state "K D3 h w".

        Args:
            hidden: "K D h w", state of the 2D flow, detached.
            detail: "K D3 h w", the present state.
            sampled: "K D3 h w" each, the target's detail at the 2D flow before and after this iteration's step.
            motion: "K hdim h w", by `motion_encoder3d`.
            num_targets: S, of each clip.
        """
        before, after = sampled
        parts = [self.compressor_f(hidden), self.compressor_d(detail), self.compressor_c(after), self.compressor_c1(before), motion]
        return self.final_conv(self.refine(self.compressor(torch.cat(parts, dim=1)), num_targets))

    def step(self, detail: Tensor, lifted: Tensor) -> Tensor:
        """Change of the 3D flow "K 3 h w", from the state and the target's points' move under the 2D step, "K 3 h w"."""
        return self.head(torch.cat([detail, lifted], dim=1))

    def shrink_initial_weights(self) -> None:
        """Begin with small steps."""
        shrink_weight(self.head[3])


def upsample(maps: Tensor, logits: Tensor) -> Tensor:
    """Maps of anchors on all pixels: each a convex mixture of its anchor's 3 x 3 neighbours, zeros outside.

    Args:
        maps: "K C h w".
        logits: "K 9*8*8 h w": neighbour row by row, then the pixel's row and column in its anchor's cell.
    Returns: "K C 8h 8w".
    """
    weights = logits.unflatten(1, (9, STRIDE, STRIDE)).softmax(dim=1)
    neighbours = F.unfold(maps, kernel_size=3, padding=1).unflatten(2, maps.shape[-2:]).unflatten(1, (-1, 9))
    return torch.einsum("knabhw,kcnhw->kchawb", weights, neighbours).flatten(4, 5).flatten(2, 3)

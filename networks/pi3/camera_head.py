"""Camera poses from a frame's tokens: the pose regressor, and the rotation nearest to a 3x3 matrix."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.initialisation import damp

_SMALLEST_GAP = 1e-6  # of two signed singular values' sum: below, the nearest rotation is not unique


class CameraHead(nn.Module):
    """Residual layers on every token, their mean, two layers, then translation and rotation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv = nn.ModuleList(ResidualLayers(width) for _ in range(2))
        self.more_mlps = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.fc_t = nn.Linear(width, 3)
        self.fc_rot = nn.Linear(width, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        """Patch tokens "BT P C" to camera-to-world poses "BT 4 4" in a world frame that the network chooses."""
        for layers in self.res_conv:
            tokens = layers(tokens)
        pooled = self.more_mlps(tokens.mean(dim=1))
        top = torch.cat([rows_to_rotation(self.fc_rot(pooled)), self.fc_t(pooled)[..., None]], dim=-1)
        bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], device=top.device, dtype=top.dtype).expand(len(top), 1, 4)
        return torch.cat([top, bottom], dim=1)

    def start_mildly(self) -> None:
        """Begin near the identity."""
        damp(self.fc_rot)
        damp(self.fc_t)
        self.fc_rot.bias.copy_(torch.eye(3).flatten())


class ResidualLayers(nn.Module):
    """Three linear layers beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv1 = nn.Linear(width, width)
        self.res_conv2 = nn.Linear(width, width)
        self.res_conv3 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """ "... C" to "... C"."""
        branch = F.relu(self.res_conv2(F.relu(self.res_conv1(x))))
        return x + F.relu(self.res_conv3(branch))


def rows_to_rotation(numbers: Tensor) -> Tensor:
    """Nine numbers, a 3x3 matrix row by row, to the rotation nearest to it once its rows have unit length.

    Args:
        numbers: "... 9".
    Returns: "... 3 3". Gradient flows, and is finite also at a multiple of the identity, where that of an SVD is not.
    """
    return ClosestRotation.apply(F.normalize(numbers.unflatten(-1, (3, 3)), dim=-1, eps=1e-12))


class ClosestRotation(torch.autograd.Function):
    """A = U S V^T to R = U D V^T, D = diag(1, 1, det(U V^T)).

    With A = R P, P = V D S V^T symmetric, a change dA turns R by R^T dR = W, where W P + P W = R^T dA - dA^T R; in the basis V this
    is a division by sums of signed singular values p_i + p_j. An SVD differentiated step by step divides by differences of squares
    instead, which cancel in the end but overflow before.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        """ "... 3 3" to "... 3 3"."""
        u, s, vh = torch.linalg.svd(matrix)
        signs = torch.ones_like(s)
        signs[..., 2] = torch.linalg.det(u @ vh)
        rotation = u @ (signs[..., None] * vh)
        ctx.save_for_backward(rotation, vh, signs * s)
        return rotation

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Gradient to the rotation, "... 3 3", to that of the matrix."""
        rotation, vh, p = ctx.saved_tensors
        sums = (p[..., :, None] + p[..., None, :]).clamp_min(_SMALLEST_GAP)
        turned = vh @ (rotation.mT @ gradients[0]) @ vh.mT / sums
        return rotation @ (vh.mT @ (turned - turned.mT) @ vh)

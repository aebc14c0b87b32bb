"""The rotation nearest to a 3x3 matrix, with a gradient that stays finite where singular values coincide."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_SMALLEST_GAP = 1e-6  # of two signed singular values' sum: below, the nearest rotation is not unique


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

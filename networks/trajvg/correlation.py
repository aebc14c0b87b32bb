"""How well a track's present position fits its query: features and shape of the nearest surface points, level by level."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import Mlp
from networks.trajvg.pyramid import Level, gather_rows, nearest_neighbours, sample_bilinear

_RELIEF = 4  # x, y, z, and z by its statistics
_OCTAVES = (-2, 13)  # frequencies of the positional encoding: 2^-2 to 2^13


class CorrelationModule(nn.Module):
    """Norm and MLPs of the comparison; each level has its own MLPs."""

    def __init__(self, width: int, *, num_levels: int, num_neighbours: int) -> None:
        super().__init__()
        self.num_neighbours = num_neighbours
        self.in_norm = nn.LayerNorm(width)
        self.posenc_mlps = nn.ModuleList(Mlp(encoding_size(_RELIEF), width, width) for _ in range(num_levels))
        self.corr_mlps = nn.ModuleList(Mlp(num_neighbours * (1 + width), 4 * width, width) for _ in range(num_levels))

    def query_tokens(self, pyramid: list[Level], pixels: Tensor) -> list[Tensor]:
        """What each query looks like, once per clip.

        Args:
            pixels: "B Q 2", (x, y) in cells of the finest level.
        Returns: per level "B Q C": the features of frame 0 there, and the encoding of no displacement.
        """
        batch, finest = len(pixels), pyramid[0].size
        nowhere = positional_encoding(pixels.new_zeros(_RELIEF))
        tokens = []
        for level, mlp in zip(pyramid, self.posenc_mlps, strict=True):
            first = level.features.unflatten(0, (batch, -1))[:, 0].transpose(1, 2).unflatten(2, level.size)
            scale = pixels.new_tensor([level.size[1] / finest[1], level.size[0] / finest[0]])
            tokens.append(self.in_norm(sample_bilinear(first, pixels * scale)) + mlp(nowhere))
        return tokens

    def forward(self, pyramid: list[Level], tokens: list[Tensor], coordinates: Tensor, budget_mb: float) -> Tensor:
        """Compare all tracks with their queries.

        Args:
            tokens: per level "B Q C", of `query_tokens`.
            coordinates: "B T Q 3", present positions in each frame's box.
            budget_mb: working memory of the search for neighbours.
        Returns: "B T Q C*levels".
        """
        num_frames, flat = coordinates.shape[1], coordinates.flatten(0, 1)
        parts = []
        for index, level in enumerate(pyramid):
            nearest = nearest_neighbours(flat, level.points, k=self.num_neighbours, budget_mb=budget_mb)
            query = tokens[index].repeat_interleave(num_frames, dim=0)
            parts.append(self._compared(index, level, nearest, query, flat))
        return torch.cat(parts, dim=-1).unflatten(0, (-1, num_frames))

    def _compared(self, index: int, level: Level, nearest: Tensor, query: Tensor, coordinates: Tensor) -> Tensor:
        """Neighbours "BT Q k", query tokens "BT Q C" and coordinates "BT Q 3" to "BT Q C"."""
        relative = gather_rows(level.relief, nearest) - level.with_relief(coordinates)[:, :, None]
        shape = self.posenc_mlps[index](positional_encoding(relative))  # "BT Q k C"
        features = F.normalize(self.in_norm(gather_rows(level.features, nearest)), dim=-1)
        likeness = (features * F.normalize(query, dim=-1)[:, :, None]).sum(-1, keepdim=True) / math.sqrt(query.shape[-1])
        return self.corr_mlps[index](torch.cat([likeness, shape], dim=-1).flatten(2))


def encoding_size(dimensions: int) -> int:
    """Channels of the encoding of a vector."""
    return dimensions * (1 + 2 * (_OCTAVES[1] - _OCTAVES[0] + 1))


def positional_encoding(coordinates: Tensor) -> Tensor:
    """ "... D" to float32 "... 33D": coordinates, sines, cosines, octave by octave, within an octave coordinate by coordinate.

    The cosine is the sine of a quarter turn more, as in the public code: in float32 that differs at high octaves, where rounding of the
    coordinates is multiplied by 8192 already.
    """
    octaves = torch.arange(_OCTAVES[0], _OCTAVES[1] + 1, device=coordinates.device, dtype=coordinates.dtype)
    phases = (coordinates[..., None, :] * torch.exp2(octaves)[:, None]).flatten(-2)
    return torch.cat([coordinates, phases.sin(), (phases + math.pi / 2).sin()], dim=-1)

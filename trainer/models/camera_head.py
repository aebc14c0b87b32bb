"""Camera poses from a frame's tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.models.rotation import rows_to_rotation


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

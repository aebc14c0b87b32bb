"""Cameras out of point maps, and Track4World's hybrid target: the pixel from the 2D flow, the depth from the 3D flow."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import least_squares
from torch import Tensor

from networks.pi3.heads import uv_grid

_SIDE = 64  # of the maps that the fit sees
_FEWEST = 10  # valid pixels
_FTOL = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class PinholeFit:
    """A camera with its principal point in the middle and square pixels, and the shift that makes its points' depths true."""

    focal: float  # in half diagonals of the image
    shift: float  # along z, in the points' unit

    def intrinsics(self, size: tuple[int, int]) -> Tensor:
        """Matrix "3 3" for (x / W, y / H), edges of the image at 0 and 1."""
        height, width = size
        diagonal = self.focal / 2 * (width**2 + height**2) ** 0.5
        return torch.tensor([[diagonal / width, 0, 0.5], [0, diagonal / height, 0.5], [0, 0, 1]])


def fit_pinhole(points: Tensor, valid: Tensor) -> PinholeFit:
    """Focal length f and depth shift s that minimise the sum of |f xy / (z + s) - uv|^2 over a clip; Levenberg-Marquardt from s = 0.

    Args:
        points: "T 3 H W", in each frame's camera; maps are thinned to 64 x 64, nearest.
        valid: bool "T H W". With fewer than 10 valid pixels of the thinned maps the fit is f = 1, s = 0.
    Source: MoGe's recovery of focal length and shift.
    """
    height, width = points.shape[-2:]
    uv = uv_grid(width, height, aspect=width / height).permute(2, 0, 1)[None]
    thin_points, thin_uv = (F.interpolate(maps, size=(_SIDE, _SIDE), mode="nearest") for maps in (points.float().cpu(), uv))
    chosen = F.interpolate(valid[:, None].float().cpu(), size=(_SIDE, _SIDE), mode="nearest")[:, 0] > 0
    xyz = thin_points.permute(0, 2, 3, 1)[chosen]
    plane = thin_uv.expand(len(points), -1, -1, -1).permute(0, 2, 3, 1)[chosen]
    return solve_pinhole(xyz.double().numpy(), plane.double().numpy())


def solve_pinhole(xyz: np.ndarray, plane: np.ndarray) -> PinholeFit:
    """The fit of `fit_pinhole` on pixels.

    Args:
        xyz: float64 "N 3". plane: float64 "N 2", pixels on a plane whose half diagonal is 1, from its middle.
    """
    if len(xyz) < _FEWEST:
        return PinholeFit(focal=1.0, shift=0.0)

    def residuals(shift: np.ndarray) -> np.ndarray:
        focal, rays = _closed_focal(xyz, plane, float(shift[0]))
        return (focal * rays - plane).ravel()

    shift = float(least_squares(residuals, x0=[0.0], ftol=_FTOL, method="lm").x[0])
    return PinholeFit(focal=float(_closed_focal(xyz, plane, shift)[0]), shift=shift)


def unproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Depth "... H W" at the pixels' centres ((i + 0.5) / W, (j + 0.5) / H) to points "... 3 H W"; `intrinsics` as `PinholeFit` gives."""
    y, x = torch.meshgrid(*(torch.arange(side, device=depth.device, dtype=depth.dtype) for side in depth.shape[-2:]), indexing="ij")
    return lift(torch.stack([x, y]), depth, intrinsics, pixel_offset=0.5)


def lift(pixels: Tensor, depth: Tensor, intrinsics: Tensor, *, pixel_offset: float, size: tuple[int, int] | None = None) -> Tensor:
    """Pixels at depths to points "... 3 H W".

    Args:
        pixels: "... 2 H W", (x, y), integers at pixel centres.
        depth: "... H W".
        intrinsics: as `PinholeFit.intrinsics` gives.
        pixel_offset: of a pixel's centre from its integer. The public code adds 0 to targets and 0.5 to points: half a pixel's slip.
        size: of the images, (H, W); None for that of the maps.
    """
    height, width = size or depth.shape[-2:]
    x, y = (pixels[..., 0, :, :] + pixel_offset) / width, (pixels[..., 1, :, :] + pixel_offset) / height
    (focal_x, _, centre_x), (_, focal_y, centre_y) = intrinsics[:2].tolist()
    return torch.stack([(x - centre_x) / focal_x * depth, (y - centre_y) / focal_y * depth, depth], dim=-3)


def _closed_focal(xyz: np.ndarray, plane: np.ndarray, shift: float) -> tuple[float, np.ndarray]:
    rays = xyz[:, :2] / (xyz[:, 2:] + shift)
    return float((rays * plane).sum() / np.square(rays).sum()), rays

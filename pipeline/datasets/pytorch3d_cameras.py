"""Cameras as PyTorch3D writes them (Dynamic Replica, Co3D): x left, y up, points as rows, focal lengths as shares of the image."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError

_FLIP = np.diag([-1.0, -1.0, 1.0])  # x left, y up -> x right, y down


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Viewpoint:
    """One frame's camera in PyTorch3D's terms."""

    rotation: np.ndarray  # "3 3": X_camera = X_world R + T, rows
    translation: np.ndarray  # "3"
    focal_length: np.ndarray  # "2", in normalised coordinates
    principal_point: np.ndarray  # "2", likewise
    intrinsics_format: str  # ndc_isotropic | ndc_norm_image_bounds


def world_to_camera(viewpoint: Viewpoint) -> np.ndarray:
    """The extrinsic matrix "4 4" with our axes: diag(-1, -1, 1) R', diag(-1, -1, 1) T."""
    matrix = np.eye(4)
    matrix[:3, :3] = _FLIP @ viewpoint.rotation.T
    matrix[:3, 3] = _FLIP @ viewpoint.translation
    return matrix


def pixel_centre_intrinsics(viewpoint: Viewpoint, size: tuple[int, int]) -> np.ndarray:
    """The camera's matrix "3 3" in pixels, integer = pixel centre.

    Normalised coordinates reach from -1 to 1 over the shorter side (`ndc_isotropic`) or over each side (`ndc_norm_image_bounds`) and
    count from the middle of the image; the image's corner, where PyTorch3D has 0, is our -0.5.

    Args:
        size: (H, W).
    Raises: DataError for another format.
    """
    half = np.array(size[::-1]) / 2
    if viewpoint.intrinsics_format == "ndc_isotropic":
        scale = np.full(2, half.min())
    elif viewpoint.intrinsics_format == "ndc_norm_image_bounds":
        scale = half
    else:
        raise DataError(f"intrinsics_format is {viewpoint.intrinsics_format!r}, expected ndc_isotropic or ndc_norm_image_bounds")
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]] = viewpoint.focal_length * scale
    matrix[:2, 2] = half - viewpoint.principal_point * scale - 0.5
    return matrix


def float16_bits_to_depth(stored: np.ndarray, scale: float) -> np.ndarray:
    """Depth float32 of a 16-bit PNG whose numbers are the bits of float16, times `scale`; what is not finite, or below 1e-5, is 0."""
    depth = stored.astype(np.uint16).view(np.float16).astype(np.float32) * np.float32(scale)
    return np.where(np.isfinite(depth) & (depth >= 1e-5), depth, 0).astype(np.float32)

"""Grey patches around points, made comparable."""

from dataclasses import dataclass

import cv2
import numpy as np

PATCH = 15  # pixels on a side
FLAT = 3.0  # grey levels: below this standard deviation a patch is mostly noise
_EPSILON = 1e-6
_MARGIN = 64.0  # pixels beyond the border up to which positions matter; all further ones see the border alike


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patches:
    """M patches with mean 0 and standard deviation 1, so that the mean of a product is their correlation."""

    values: np.ndarray  # float32 "M P"
    textured: np.ndarray  # bool "M": enough contrast to mean something

    def correlation(self, other: "Patches") -> np.ndarray:
        """NCC of each patch with its partner, float32 "M"."""
        return np.einsum("mp,mp->m", self.values, other.values) / self.values.shape[1]

    def take(self, rows: np.ndarray) -> "Patches":
        """Some of them."""
        return Patches(values=self.values[rows], textured=self.textured[rows])


def cut_patches(image: np.ndarray, points_px: np.ndarray) -> Patches:
    """Patches of 15 x 15 pixels around points, bilinear; beyond the image its border is repeated.

    Each is normalised as (p - mean) / (std + 1e-6).

    Args:
        image: grey uint8 "H W".
        points_px: "M 2", (x, y), integer = pixel centre. M < 32768, the limit of OpenCV's remap.
    """
    offset_y, offset_x = np.mgrid[:PATCH, :PATCH].reshape(2, 1, -1).astype(np.float32) - PATCH // 2
    upper = np.array(image.shape[::-1]) + _MARGIN
    centre = np.clip(points_px, -_MARGIN, upper).astype(np.float32)
    map_x, map_y = centre[:, :1] + offset_x, centre[:, 1:] + offset_y
    raw = cv2.remap(image.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    raw = raw.reshape(len(points_px), PATCH * PATCH)
    deviation = raw.std(axis=1, keepdims=True)
    return Patches(values=(raw - raw.mean(axis=1, keepdims=True)) / (deviation + _EPSILON), textured=deviation[:, 0] > FLAT)

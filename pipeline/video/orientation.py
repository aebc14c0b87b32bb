"""Turning and mirroring of a stored picture by its display matrix."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

_UNIT = 1 << 16  # of the matrix's fixed-point numbers


@dataclass(frozen=True, slots=True)
class Orientation:
    """Stored to shown: first rows become columns if `swapped`, then the columns (left to right) and the rows are reversed."""

    swapped: bool = False
    flipped_x: bool = False
    flipped_y: bool = False
    rounded_deg: int = 0  # what the matrix turns beyond the nearest quarter turn, and is not obeyed

    @property
    def upright(self) -> bool:
        """Nothing is to be done."""
        return not (self.swapped or self.flipped_x or self.flipped_y)

    @property
    def mirrored(self) -> bool:
        """No rotation alone does it: one of the steps is odd."""
        return self.swapped ^ self.flipped_x ^ self.flipped_y

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) as shown, of a stored picture of this size."""
        return (height, width) if self.swapped else (width, height)

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """The picture "H W ..." as shown, in memory of its own unless it is upright already."""
        if self.upright:
            return picture
        shown = picture.swapaxes(0, 1) if self.swapped else picture
        return np.ascontiguousarray(shown[:: -1 if self.flipped_y else 1, :: -1 if self.flipped_x else 1])


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """The orientation that a frame's display matrix asks for, at the nearest quarter turn."""
    try:
        data = frame.side_data[Type.DISPLAYMATRIX]
    except KeyError:
        return UPRIGHT
    return orientation_of_matrix(np.frombuffer(cast(bytes, data), np.int32)[[0, 1, 3, 4]] / _UNIT)


def orientation_of_matrix(matrix: np.ndarray) -> Orientation:
    """Orientation of (a, b, c, d), where the stored point (x, y) is shown at (a x + c y, b x + d y), y downwards.

    Source: ISO/IEC 14496-12, 8.3.2.3 (tkhd's matrix).
    """
    a, b, c, d = matrix.tolist()
    if not (np.isfinite(matrix).all() and abs(a * d - b * c) > 1e-6):
        return UPRIGHT  # players show a picture whose matrix would make it vanish as stored
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    along_x, across_x = (c, a) if swapped else (a, c)
    rounded = round(float(np.degrees(np.arctan2(abs(across_x), abs(along_x)))))
    return Orientation(swapped, along_x < 0, (b if swapped else d) < 0, rounded)

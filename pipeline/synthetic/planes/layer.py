"""A flat thing that moves, and the lengths that it is drawn with."""

from dataclasses import dataclass

import numpy as np

SHUTTER = (-0.3, 0.0, 0.3)  # sub-exposures, in frames around the frame's own time
FRAME_TIME = len(SHUTTER) // 2  # the sub-exposure at the frame's own time
_HEIGHT, _WIDTH = 240, 320  # the image for which lengths in pixels are given


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """A flat, textured thing; `canvas_to_image` is sampled at every frame and at every sub-exposure."""

    texture: np.ndarray  # float32 "h w 3", 0..255
    alpha: np.ndarray  # float32 "h w", 0..1
    canvas_to_image: np.ndarray  # float64 "T S 3 3": S sub-exposures, the middle one is the frame's own time
    moves: bool  # by itself, not only on the screen

    def at(self, frame: int) -> np.ndarray:
        """Homography of a frame's own time, float64 "3 3"."""
        return np.asarray(self.canvas_to_image[frame, FRAME_TIME])


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The image that the layers are drawn for."""

    height: int
    width: int
    num_frames: int

    @property
    def unit(self) -> float:
        """By how much lengths in pixels are longer than in an image of 240 x 320; a texture's grain does not scale."""
        return min(self.height / _HEIGHT, self.width / _WIDTH)

    @property
    def margin(self) -> int:
        """Pixels of a standing layer's canvas beyond each side of the image."""
        return round(200 * self.unit)

"""Frames in grey: all that the classical trackers see, and where re-seeding looks for texture."""

import cv2
import numpy as np

from pipeline.errors import DataError
from pipeline.records import ClipFrames


def read_grey(clip: ClipFrames, *, blur_px: float = 0.0) -> np.ndarray:
    """All frames of a clip in grey, uint8 "T H W": a third of the RGB frames, of which one is held at a time.

    Args:
        blur_px: sigma of a Gaussian in pixels, against noise; 0 for none.
    Raises: DataError if the reader gives another number of frames, or another size, than it says.
    """
    grey = np.empty(clip.reader.shape, np.uint8)
    num_read = 0
    for t, frame in enumerate(clip.reader):
        if t == len(grey) or frame.shape != (*grey.shape[1:], 3):
            raise DataError(
                f"clip {clip.key}: frame {t} is {list(frame.shape)}, expected {len(grey)} frames {[*grey.shape[1:], 3]}; cut it again"
            )
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        grey[t] = cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px > 0 else image
        num_read += 1
    if num_read < len(grey):
        raise DataError(f"clip {clip.key}: its frames end after {num_read} of {len(grey)}; cut the clip again")
    return grey


def grey_frames(clip: ClipFrames, *, every: int) -> dict[int, np.ndarray]:
    """Every so many frames of a clip in grey, uint8 "H W" by frame index."""
    return {t: cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for t, frame in enumerate(clip.reader) if t % every == 0}

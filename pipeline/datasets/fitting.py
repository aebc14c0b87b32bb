"""The size at which a clip is stored: frames and truth shrink together, or lose an odd row and column."""

from dataclasses import replace

import numpy as np

from pipeline.records.pixel_transforms import Crop
from pipeline.records.truth import TruthClip
from pipeline.records.views import crop, resize
from pipeline.video.encode import EncodePolicy


def fitted(truth: TruthClip, long_side: int | None) -> TruthClip:
    """The clip at the size that its video is stored in. Both sides become even, as yuv420p needs it.

    Shrinking averages frames over the area of the new pixels; tracks, principal points and focal lengths follow by
    x -> (x + 0.5) s - 0.5; depth and masks take the nearest pixel. A clip that is small enough only loses its last row or column if
    there is an odd one: nothing moves. A clip that keeps its image files stays as it is.
    """
    if truth.images is not None:
        return truth
    height, width = truth.frames.shape[1:3]
    if long_side is not None and long_side < max(height, width):
        new_width, new_height = EncodePolicy(long_side=long_side).size(width, height)
        return resize(truth, (new_height, new_width))
    if height % 2 == 0 and width % 2 == 0:
        return truth
    even = crop(truth, Crop(left=0, top=0, width=width - width % 2, height=height - height % 2))
    return replace(even, frames=np.ascontiguousarray(even.frames))

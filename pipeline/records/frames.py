"""The input of a labeler: the frames of a clip, in memory or read on demand, and the points to follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite


class FrameReader(Protocol):
    """Frames of one clip in presentation order, RGB uint8. May be iterated several times; each pass starts at frame 0."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        ...

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield T frames "H W 3"."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FramesInMemory:
    """A FrameReader over an array."""

    frames: npt.NDArray[np.uint8]  # uint8 "T H W 3"

    def __post_init__(self) -> None:
        check_array("frames", self.frames, "uint8", (None, None, None, 3))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        num_frames, height, width, _ = self.frames.shape
        return num_frames, height, width

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return iter(self.frames)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipFrames:
    """One clip to label. `queries` are float32 "N 3": (t, x, y), frame index and pixels of the stored clip.

    Integer pixel coordinates are pixel centres, so the image covers [-0.5, W-0.5] x [-0.5, H-0.5].
    """

    key: str
    reader: FrameReader
    queries: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        check_array(f"clip {self.key}: queries", self.queries, "float32", (None, 3))
        check_finite(f"clip {self.key}: queries", self.queries)
        num_frames, height, width = self.reader.shape
        t, x, y = self.queries.T
        inside = (t >= 0) & (t < num_frames) & (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        if not inside.all() or (t != np.round(t)).any():
            raise DataError(
                f"clip {self.key}: {int((~inside).sum())} of {len(t)} queries lie outside its {num_frames} frames of {width}x{height},"
                " or between two frames; a query is (frame index, x, y)"
            )

    def array(self) -> npt.NDArray[np.uint8]:
        """All frames at once, uint8 "T H W 3"."""
        if isinstance(self.reader, FramesInMemory):
            return self.reader.frames
        return np.stack(list(self.reader))

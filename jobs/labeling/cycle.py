"""The way back: every track of a clip followed from its end to its query, by the labeler that made it, on the clip in reverse."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from jobs.labeling.outcome import noted
from labelers import Labeler
from pipeline.audit.tracks.cycle import cycle_measures, cycle_queries
from pipeline.errors import DataError
from pipeline.labels.kinds.tracks import as_stored
from pipeline.metrics.tapvid_counts import length_from_raster
from pipeline.records import ClipFrames, FrameReader, FramesInMemory, TrackLabels

BLOCK_BYTES = 256 * 2**20  # of frames that are held while a stream is read backwards


@dataclass(frozen=True, slots=True, eq=False)
class ReversedFrames:
    """A FrameReader over another's frames, the last one first.

    Frames in memory are shown as they lie. A stream, which is read forwards only, is read once for each block of frames, up to the
    block's end: T (T / block + 1) / 2 frames in all, so a clip that fits into one block is read once.
    """

    reader: FrameReader
    block_bytes: int = BLOCK_BYTES

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return self.reader.shape

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield T frames "H W 3". Raises DataError if the reader gives fewer frames than it says; what the reader raises."""
        if isinstance(self.reader, FramesInMemory):
            yield from self.reader.frames[::-1]
            return
        num_frames, height, width = self.reader.shape
        size = max(1, self.block_bytes // (3 * height * width))
        for end in range(num_frames, 0, -size):
            start = max(0, end - size)
            block = list(islice(self.reader, start, end))
            if len(block) < end - start:
                raise DataError(f"frames end after {start + len(block)} of {num_frames}; cut the clip again")
            while block:
                yield block.pop()


def clip_reversed(clip: ClipFrames, labels: TrackLabels) -> ClipFrames:
    """The clip with its frames in reverse order, and for each track of its labels the query to start the way back from."""
    _, height, width = clip.reader.shape
    queries = cycle_queries(_as_stored(labels), height=height, width=width)
    return ClipFrames(key=clip.key, reader=ReversedFrames(clip.reader), queries=queries)


def followed_back(labeler: Labeler, clip: ClipFrames, labels: TrackLabels) -> TrackLabels:
    """Follow every track of a clip back, at the price of labelling it once more.

    Args:
        labels: of the clip, N tracks.
    Returns:
        Labels of the reversed clip: frame T - 1 - t is frame t of the clip. The first N tracks are those of `labels`, in their order;
        those that a re-seeding labeler adds follow. What `cycle_measures` asks for.
    Raises: whatever the labeler raises, among it DataError and MemoryExhausted.
    """
    (back,) = labeler.label([clip_reversed(clip, labels)])
    if not isinstance(back, TrackLabels):
        raise DataError(f"clip {clip.key}: the labeler gave {type(back).__name__} on the way back, expected TrackLabels")
    return back


def with_cycle_error(clip: ClipFrames, labels: TrackLabels, back: TrackLabels) -> TrackLabels:
    """The labels with `cycle_error_px`: how far each track ends from its query after there and back.

    It is the audit's fb_cycle, measured where the image is scaled to a square, told in pixels of a square of the clip's area, so that
    the audit reads from a stored error what it finds when it tracks again. In a clip of W x H pixels an error along x counts
    sqrt(H / W) times, one along y sqrt(W / H) times: 0.75 and 1.33 at 16:9. NaN where a track has no frame to come back from.

    Args:
        labels: of the clip. back: of the reversed clip, from `followed_back`.
    Raises: DataError if the way back is not of these labels.
    """
    _, height, width = clip.reader.shape
    cycle = cycle_measures(_as_stored(labels), back, height=height, width=width)
    error = length_from_raster(cycle.fb_cycle, height, width).astype(np.float32)
    return noted(replace(labels, cycle_error_px=error), f"the way back: {back.degraded}" if back.degraded else None)


def _as_stored(labels: TrackLabels) -> TrackLabels:
    """The labels as they are read from disk, in 1/32 px: whoever tracks back from there goes the same way."""
    return replace(labels, tracks_px=as_stored(labels.tracks_px))

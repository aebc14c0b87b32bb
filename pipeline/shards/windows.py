"""From a manifest's span to the clips that are cut from it: pure arithmetic on frame indices."""

import numpy as np

from pipeline.errors import DataError
from pipeline.records import ClipSpec
from pipeline.video.groups import DecodingOrder, Span
from pipeline.video.probe import VideoProbe

_OVERSHOOT_S = 0.5  # manifests round; an end further beyond the video's end says that it is another video


def frames_of(spec: ClipSpec, probe: VideoProbe) -> Span:
    """The frames that a manifest row asks for.

    A frame belongs to [start_s, end_s) when its time, counted from the first frame, lies at or after start_s and before
    end_s, give or take half a frame: manifests round their times.
    Raises: DataError if the row reaches beyond the end of the video.
    """
    length_s = probe.time_after(probe.num_frames - 1)
    if spec.start_frame is not None or spec.end_frame is not None:
        first, end = spec.start_frame or 0, probe.num_frames if spec.end_frame is None else spec.end_frame
        if end > probe.num_frames:
            raise DataError(f"{spec.where}: asks for frames {first}..{end - 1}, the video has {probe.num_frames}; {_REMEDY}")
        return Span(first, end - first)
    start_s, end_s = spec.start_s or 0.0, length_s if spec.end_s is None else spec.end_s
    if start_s >= length_s or end_s > length_s + _OVERSHOOT_S:
        raise DataError(f"{spec.where}: asks for {start_s:g}..{end_s:g} s, the video ends at {length_s:g} s; {_REMEDY}")
    first, end = np.searchsorted(probe.times_s, np.array([start_s, end_s]) - probe.frame_s / 2)
    if end <= first:
        raise DataError(f"{spec.where}: no frame lies in {start_s:g}..{end_s:g} s; widen the span or drop the row")
    return Span(int(first), int(end - first))


_REMEDY = "check that it is the right file, and fix or drop the row"


def split_at(span: Span, cuts: tuple[int, ...]) -> list[Span]:
    """A span split so that no part holds a cut; a cut is the first frame of its scene."""
    edges = [span.first, *(cut for cut in cuts if span.first < cut < span.end), span.end]
    return [Span(first, end - first) for first, end in zip(edges, edges[1:], strict=False)]


def windows_of(span: Span, clip_frames: int, stride: int, min_frames: int) -> list[Span]:
    """Clips of `clip_frames` frames, `stride` apart, until the span is covered; a tail keeps its true length.

    A tail below `min_frames` is left out. `clip_frames` 0: the whole span.
    """
    if not clip_frames:
        return [span] if span.count >= min_frames else []
    windows: list[Span] = []
    for first in range(span.first, span.end, stride):
        window = Span(first, min(clip_frames, span.end - first))
        if window.count >= min_frames:
            windows.append(window)
        if window.end == span.end:
            break
    return windows


def snapped_windows(span: Span, order: DecodingOrder, clip_frames: int, min_frames: int) -> list[Span]:
    """Clips of at most `clip_frames` frames that begin at the source's key frames, so that their packets alone are the clip.

    A clip takes as many whole groups of pictures as fit. Of a group that is longer than `clip_frames` it takes the longest
    beginning behind which no packet is missing; the rest of the group is left out. So is what lies before the first clean key
    frame (one that nothing behind it reaches across), and a clip below `min_frames`. `clip_frames` 0: no limit.
    """
    starts = np.flatnonzero(order.starts[span.first : span.end]) + span.first
    ends = np.flatnonzero(order.boundaries[span.first : span.end + 1]) + span.first
    limit = clip_frames or span.count
    windows: list[Span] = []
    place = 0
    while place < len(starts):
        first = int(starts[place])
        nearer = starts[(starts > first) & (starts <= first + limit)]
        if span.end <= first + limit and order.boundaries[span.end]:
            nearer = np.append(nearer, span.end)
        if not len(nearer):
            nearer = ends[(ends > first) & (ends <= first + limit)]
        end = int(nearer[-1]) if len(nearer) else first
        if end - first >= max(1, min_frames) and order.whole(Span(first, end - first)):
            windows.append(Span(first, end - first))
        place = int(np.searchsorted(starts, max(end, first + 1)))
    return windows

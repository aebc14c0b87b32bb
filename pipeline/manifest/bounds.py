"""Where a clip begins and ends in its source."""

from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError
from pipeline.manifest.timestamps import parse_frame, parse_time, shortened

_REMEDY = "correct or drop the row"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Half-open bounds, in seconds or in frames of the source, not both; all None: the whole file."""

    start_s: float | None = None
    end_s: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None

    def __post_init__(self) -> None:
        for unit, start, end in (("s", self.start_s, self.end_s), ("frames", self.start_frame, self.end_frame)):
            if end is not None and end <= (start or 0):
                raise DataError(f"the clip ends at {end:g} {unit}, not after its start at {start or 0:g}; {_REMEDY}")


def span_bounds(span: Any) -> Bounds:
    """Bounds of one [start, end] pair of times. Raises DataError."""
    if not isinstance(span, list | tuple) or len(span) != 2:
        raise DataError(f"a clip is {shortened(span)}, expected a pair [start, end]; {_REMEDY}")
    return Bounds(start_s=parse_time(span[0]), end_s=parse_time(span[1]))


def bounds_of(start: Any, end: Any, *, start_frame: Any, end_frame: Any, base_fps: float | None) -> Bounds:
    """Bounds from the cells of a row, each of which may be None.

    Args:
        base_fps: frames per second at which the frame numbers count; they become seconds (to the microsecond, as Sekai's own
            cutting tool does). None: they number the frames of the video itself.
    Raises: DataError if a cell cannot be read, if the clip ends before it starts, or if both kinds are given and differ by
        more than one frame.
    """
    seconds = [None if value is None else parse_time(value) for value in (start, end)]
    frames = [None if value is None else parse_frame(value) for value in (start_frame, end_frame)]
    if frames == [None, None]:
        return Bounds(start_s=seconds[0], end_s=seconds[1])
    if base_fps is None:
        if seconds != [None, None]:
            raise DataError(
                "bounds are given in seconds and in frames; say at which rate frames count (--frame-base-fps), or give one kind"
            )
        return Bounds(start_frame=frames[0], end_frame=frames[1])
    merged = [_agreed(*pair, base_fps) for pair in zip(seconds, frames, strict=True)]
    return Bounds(start_s=merged[0], end_s=merged[1])


def _agreed(seconds: float | None, frame: int | None, base_fps: float) -> float | None:
    if frame is None:
        return seconds
    from_frame = round(frame / base_fps, 6)
    if seconds is None:
        return from_frame
    if abs(seconds - from_frame) > 1 / base_fps + 1e-6:
        raise DataError(f"{seconds:g} s and frame {frame} at {base_fps:g} fps ({from_frame:g} s) differ by more than one frame; {_REMEDY}")
    return seconds

"""Times and spans as people write them into tables, and the bounds of a clip in its source."""

import ast
import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pipeline.errors import DataError

_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"\s*\d{1,15}(\.0*)?\s*")
_CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d{1,2}(?:\.\d*)?)")
_NEVER_S = 1e12
_SHORTENED = reprlib.Repr()  # however deep or long a value is
_GRAMMAR = "write seconds, MM:SS.fff or H:MM:SS.fff"
_REMEDY = "correct or drop the row"


def parse_time(value: Any) -> float:
    """A time in seconds.

    Args:
        value: a number of seconds, or text: seconds, SS(.fff), MM:SS(.fff) or H:MM:SS(.fff) with any number of hour digits.
    Returns: seconds; of a clock text to the microsecond.
    Raises: DataError if it is none of these, negative, or not finite.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value < _NEVER_S:
            return float(value)
    elif isinstance(value, str):
        seconds = _parse_text(value.strip())
        if seconds is not None:
            return seconds
    raise DataError(f"{shorten(value)} is not a time; {_GRAMMAR}")


def _parse_text(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text) if float(text) < _NEVER_S else None
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return None
    hours, minutes, seconds = float(clock["hours"] or 0), float(clock["minutes"]), float(clock["seconds"])
    if seconds >= 60 or (clock["hours"] is not None and minutes >= 60) or max(hours, minutes) * 3600 > _NEVER_S:
        return None
    return round(hours * 3600 + minutes * 60 + seconds, 6)


def parse_frame(value: Any) -> int:
    """A frame number: an integer, or a number or text that is one. Raises DataError."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _NEVER_S and value == int(value):
        return int(value)
    raise DataError(f"{shorten(value)} is not a frame number; write a whole number from 0 on")


def parse_list(value: Any) -> list[Any]:
    """A list, or text that holds one in the spelling of JSON or Python. Nothing in it is executed. Raises DataError."""
    if isinstance(value, str):
        try:
            value = _literal(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise DataError(f"{shorten(value)} is not a list in the spelling of JSON or Python") from error
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    raise DataError(f"{shorten(value)} is not a list")


def parse_spans(value: Any) -> list[Any]:
    """The spans of a cell: a list of pairs; one flat pair is a list of one. What the pairs hold is not looked at.

    Raises: DataError if it is no list, or an empty one.
    Source: video2dataset's clip column.
    """
    spans = parse_list(value)
    if not spans:
        raise DataError("the list of clips is empty; give at least one [start, end], or drop the row")
    nested = [isinstance(span, Sequence) and not isinstance(span, str | bytes) for span in spans]
    if any(nested):
        return spans
    return [spans]


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text.strip())


def shorten(value: Any) -> str:
    """A value for a message."""
    text = _SHORTENED.repr(value) if isinstance(value, list | tuple | dict) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


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
        raise DataError(f"a clip is {shorten(span)}, expected a pair [start, end]; {_REMEDY}")
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

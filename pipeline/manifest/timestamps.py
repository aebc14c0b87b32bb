"""Times and spans as people write them into tables."""

import ast
import json
import re
import reprlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pipeline.errors import DataError

_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"\s*\d{1,15}(\.0*)?\s*")
_CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d{1,2}(?:\.\d*)?)")
_NEVER_S = 1e12
_SHORTENED = reprlib.Repr()  # however deep or long a value is
_GRAMMAR = "write seconds, MM:SS.fff or H:MM:SS.fff"


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
    raise DataError(f"{shortened(value)} is not a time; {_GRAMMAR}")


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
    raise DataError(f"{shortened(value)} is not a frame number; write a whole number from 0 on")


def parse_list(value: Any) -> list[Any]:
    """A list, or text that holds one in the spelling of JSON or Python. Nothing in it is executed. Raises DataError."""
    if isinstance(value, str):
        try:
            value = _literal(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise DataError(f"{shortened(value)} is not a list in the spelling of JSON or Python") from error
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    raise DataError(f"{shortened(value)} is not a list")


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


def shortened(value: Any) -> str:
    """A value for a message."""
    text = _SHORTENED.repr(value) if isinstance(value, list | tuple | dict) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

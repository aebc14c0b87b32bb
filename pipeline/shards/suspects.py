"""Units of a stage all of whose parts failed unexpectedly at one place: more likely a mistake of ours than so many odd files."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from pipeline.errors import TrackmillError
from pipeline.shards.errors_table import ErrorRow

_FRAME = re.compile(r'^ *File "(?P<file>[^"\n]*)", line (?P<line>\d+), in .*$', re.MULTILINE)
_ON_TRIAL: ContextVar[bool] = ContextVar("on_trial", default=False)  # set by the executors, around a unit that may be held back


class SuspectUnitError(TrackmillError):
    """A unit is held back: nothing is committed. The executor runs it again, off trial, as soon as the stage is known to work.

    Attributes: place, where its parts failed; num_parts, how many; sources, of which they are; trace, the traceback of the first.
    """

    def __init__(self, place: str, num_parts: int, sources: frozenset[str], trace: str) -> None:
        super().__init__(place, num_parts, sources, trace)  # all arguments, so that it pickles
        self.place, self.num_parts, self.sources, self.trace = place, num_parts, sources, trace

    def __str__(self) -> str:
        return f"all {self.num_parts} parts failed unexpectedly at one place: {self.place}"


@contextmanager
def on_trial() -> Iterator[None]:
    """Within, a unit all of whose parts fail unexpectedly at one place raises instead of being committed."""
    token = _ON_TRIAL.set(True)
    try:
        yield
    finally:
        _ON_TRIAL.reset(token)


def hold_back_suspects(errors: Sequence[ErrorRow], num_parts: int) -> None:
    """To be called right before a unit of `num_parts` parts is committed with these errors. Does nothing off trial.

    Raises: SuspectUnitError on trial, if every part failed unexpectedly at one place.
    """
    if _ON_TRIAL.get():
        found = suspect(errors, num_parts)
        if found is not None:
            raise found


def suspect(errors: Sequence[ErrorRow], num_parts: int) -> SuspectUnitError | None:
    """Error that holds back a unit with these errors; None if nothing does."""
    places = {place_of(row) for row in errors}
    if not num_parts or len(errors) < num_parts or len(places) != 1:
        return None
    place, trace = places.pop(), errors[0].traceback
    if place is None or trace is None:
        return None
    return SuspectUnitError(place, num_parts, frozenset(row.source for row in errors), trace)


def place_of(row: ErrorRow) -> str | None:
    """Kind of an unexpected exception, file and line that raised it; None for a foreseen error."""
    if row.traceback is None:
        return None
    frames = list(_FRAME.finditer(row.traceback))
    return f"{row.exception} at {frames[-1]['file']}:{frames[-1]['line']}" if frames else f"{row.exception} at a place unknown"

"""The border around one part of a job (a source, a clip, a sample): whatever its file can cause ends here as an error of that part.

And word of which part is at work, for whoever limits the time that a part may take.
"""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import MemoryExhausted, StorageError, TrackmillError, UnexpectedError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class PartAtWork:
    """The part of a unit that a process works at; read by another thread than the one that works."""

    name: str | None = None  # None: none of them, the unit is opened or committed
    changes: int = 0


_AT_WORK: ContextVar[PartAtWork | None] = ContextVar("part_at_work", default=None)


@contextmanager
def noting_parts(at_work: PartAtWork) -> Iterator[None]:
    """Within, and in this thread, `begin_part` notes the part in `at_work`."""
    token = _AT_WORK.set(at_work)
    try:
        yield
    finally:
        _AT_WORK.reset(token)


def begin_part(name: str | None) -> None:
    """Say that a unit's work comes to this part now, by the name that the stage knows it by; None: to none of them.

    Its time begins: anew, if it was at this part already. Parts are done in the order of the unit. Nothing happens where nobody listens.
    """
    at_work = _AT_WORK.get()
    if at_work is not None:
        at_work.name, at_work.changes = name, at_work.changes + 1


@contextmanager
def border(name: str) -> Iterator[None]:
    """Turn whatever goes wrong within into an error of the part `name`.

    Errors of ours pass as they are. Running out of memory is a MemoryExhausted of the part. Anything else is an UnexpectedError: the
    part is lost, the job goes on, and the row in errors/ says where it came from.
    Raises: TrackmillError of any kind; StorageError, which is not the part's fault, also for a full disk.
    """
    try:
        yield
    except TrackmillError:
        raise
    except MemoryError as error:
        raise MemoryExhausted(f"{name}: does not fit into memory ({error or 'MemoryError'}); drop it, or give the workers more") from error
    except Exception as error:  # noqa: BLE001  the one place that catches: DESIGN, "one place catches"
        if is_disk_full(error):
            raise StorageError(f"{name}: no space left ({error}); free some, then run the same command again") from error
        raise unexpected(name, error) from error


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or the one that it was raised from, says that no space is left."""
    return any(isinstance(each, OSError) and each.errno in _DISK_FULL for each in (error, error.__cause__))


def unexpected(name: str, error: Exception) -> UnexpectedError:
    """An exception that nobody foresaw as an error: its kind, its text, and the last line of ours that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else "nowhere known"
    trace = "".join(traceback.format_exception(error))
    return UnexpectedError(f"{name}: unexpected {type(error).__name__} at {place}: {error}", type(error).__name__, trace)

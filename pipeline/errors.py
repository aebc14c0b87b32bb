"""Errors that cross a room's border, and the border around one part of a job. Every message says what is wrong, where, and the remedy."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class TrackmillError(Exception):
    """Base of all errors that trackmill raises on purpose; a job shows its message without a traceback."""


class ConfigError(TrackmillError):
    """The user asked for something that cannot be done as asked (wrong option, missing extra, wrong column). Exit code 2."""


class DataError(TrackmillError):
    """A file, clip or shard is not what it should be. At a job's per-clip border it becomes a row in errors/."""


class MemoryExhausted(DataError):  # noqa: N818  not an error of the data, but the clip is what it costs
    """A clip does not fit into memory, however frugally it is worked on. The clip is quarantined, the job goes on."""


class FormatError(DataError):
    """A file was written by another version of the format; the message names both versions and what helps."""


class MissingSourceError(DataError):
    """A source is not where it was. No verdict on it: the next run tries again."""


class UnexpectedError(DataError):
    """An exception that nobody foresaw, met at a border: of an odd file, or a mistake of ours. Counted apart, and tried again.

    Attributes: kind, the class name of the exception; trace, its traceback as text.
    """

    def __init__(self, message: str, kind: str, trace: str) -> None:
        super().__init__(message, kind, trace)  # all arguments, so that it pickles
        self.kind, self.trace = kind, trace

    def __str__(self) -> str:
        return str(self.args[0])


class StorageError(TrackmillError):
    """Bytes could not be read or written (missing file, no space, object store failure). Exit code 1 when it stops a job."""


class AlreadyThereError(StorageError):
    """A file that may be made only once is there already: another job was first. Read it, and plan again."""


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

"""The errors that cross a room's border. Every message says what is wrong, where, and the remedy."""

from pathlib import Path


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


def install_command(extra: str) -> str:
    """Command that installs one of our extras, for a message: in a checkout by its folder, else by our name."""
    in_checkout = (Path(__file__).parents[1] / "pyproject.toml").exists()
    return f".venv/bin/pip install -e '.[{extra}]'" if in_checkout else f"pip install 'trackmill[{extra}]'"

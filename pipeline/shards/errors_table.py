"""Failures as a table beside the data: one row per source, clip or manifest row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import pyarrow as pa

from pipeline import storage
from pipeline.errors import UnexpectedError
from pipeline.layout import Layout, committed
from pipeline.tables import TableShape, read_table, write_table


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRow:
    """One failure, with all that a person needs to find and mend it."""

    stage: str  # manifest | probe | plan | shards | labels/SET
    key: str  # of the clip, or empty when it concerns a whole source
    source: str
    exception: str  # class name
    message: str
    traceback: str | None = None  # of an exception that nobody foresaw

    @property
    def unexpected(self) -> bool:
        """Whether the error was unforeseen: a run counts these apart, and the next one tries again."""
        return self.traceback is not None

    @classmethod
    def of(cls, error: Exception, *, stage: str, key: str, source: str) -> "ErrorRow":
        """The row that an error becomes."""
        kind, trace = (error.kind, error.trace) if isinstance(error, UnexpectedError) else (type(error).__name__, None)
        return cls(stage=stage, key=key, source=source, exception=kind, message=str(error), traceback=trace)


SCHEMA = pa.schema([(name, pa.string()) for name in ErrorRow.__dataclass_fields__])
_SHAPE = TableShape(schema=SCHEMA, added=frozenset({"traceback"}), filled=("stage", "key", "source", "exception", "message"))


def write_errors(root: str, stage: str, number: int, rows: Sequence[ErrorRow]) -> None:
    """Publish the errors of one unit of a stage; without errors, remove what an earlier run wrote."""
    uri = Layout(root).errors(stage, number)
    if rows:
        write_table(uri, pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA), "errors")
    elif storage.exists(uri):
        storage.remove(uri)


@contextmanager
def errors_beside(root: str, stage: str, number: int, rows: Sequence[ErrorRow], *, commit: str) -> Iterator[None]:
    """Publish the errors of a unit before the block commits it.

    Where `commit`, the file that commits it, is there already and is made again, they come after: if the job is killed in between, the
    old errors still ask for another try.
    """
    again = storage.exists(commit)
    if not again:
        write_errors(root, stage, number, rows)
    yield
    if again:
        write_errors(root, stage, number, rows)


def read_errors(root: str, stage: str, *, before: int | None = None) -> list[ErrorRow]:
    """All errors of a stage, in order; or those of the tables with a number below `before`."""
    return [row for number, rows in read_error_tables(root, stage).items() for row in rows if before is None or number < before]


def read_error_tables(root: str, stage: str) -> dict[int, list[ErrorRow]]:
    """Errors of a stage by the number of their table, in order."""
    numbers = sorted(committed(storage.join(root, "errors", stage)))
    return {number: _rows(Layout(root).errors(stage, number)) for number in numbers}


def read_unit_errors(root: str, stage: str, number: int) -> list[ErrorRow]:
    """The errors of one unit of a stage, in order; none where it has no table."""
    uri = Layout(root).errors(stage, number)
    return _rows(uri) if storage.exists(uri) else []


def units_to_retry(root: str, stage: str) -> list[int]:
    """Numbers of the units of a stage whose table names an error that nobody foresaw, ascending: the next run takes them up again."""
    return [number for number, rows in read_error_tables(root, stage).items() if any(row.unexpected for row in rows)]


def _rows(uri: str) -> list[ErrorRow]:
    return [ErrorRow(**row) for row in read_table(uri, "errors", shape=_SHAPE).to_pylist()]

"""What could not be done, as a table beside the data: one row per source, clip or manifest row."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from pipeline import storage
from pipeline.errors import UnexpectedError
from pipeline.layout import Layout
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
        """Whether nobody foresaw it: a run counts these apart, and the next one tries again."""
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


def read_errors(root: str, stage: str) -> list[ErrorRow]:
    """All errors of a stage, in order."""
    directory = storage.join(root, "errors", stage)
    tables = [uri for uri in storage.list_files(directory) if uri.endswith(".parquet")]
    return [ErrorRow(**row) for uri in tables for row in read_table(uri, "errors", shape=_SHAPE).to_pylist()]

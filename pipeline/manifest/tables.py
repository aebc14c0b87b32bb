"""Rows of users' tables: delimited text, JSONL, Parquet. One broken row never costs the others."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

import pyarrow as pa

from pipeline import storage
from pipeline.errors import DataError
from pipeline.manifest.text import SURROGATE, check_utf8, find_dialect, open_text
from pipeline.tables import read_foreign_table

_DELIMITED = {".csv": ",", ".tsv": "\t", ".txt": "\t"}  # suffix -> the delimiter that it speaks for
_BATCH = 4096  # rows of a Parquet table turned into Python values at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One data row; `values` is None where it could not be read, and `error` says why."""

    number: int  # the first data row is 1; blank lines do not count
    values: dict[str, Any] | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RowTable:
    """Columns of a table, and its rows to iterate over once."""

    columns: tuple[str, ...]
    rows: Iterator[TableRow]
    repeated: frozenset[str] = frozenset()  # columns whose name stands twice: the first one counts


def open_rows(uri: str, known: Collection[str] = ()) -> AbstractContextManager[RowTable]:
    """The rows of a table, by its suffix (.csv, .tsv and .txt, .jsonl and .ndjson, .parquet).

    Args:
        known: names that columns may have; they help to find the delimiter of .csv, .tsv and .txt, whatever the suffix says.
    Raises: DataError or StorageError.
    """
    suffix = table_suffix(uri)
    if suffix in _DELIMITED:
        return _open_delimited(uri, _DELIMITED[suffix], known)
    return _open_parquet(uri) if suffix == ".parquet" else _open_jsonl(uri)


def table_suffix(uri: str) -> str:
    """The suffix of a uri in lower case if it is a table's, else an empty text."""
    suffix = PurePosixPath(uri).suffix.lower()
    return suffix if suffix in (*_DELIMITED, ".jsonl", ".ndjson", ".parquet") else ""


@contextmanager
def _open_text(uri: str) -> Iterator[io.TextIOWrapper]:
    with storage.open_input(uri) as handle:
        text = open_text(handle, uri)
        try:
            yield text
        finally:
            text.detach()


@contextmanager
def _open_delimited(uri: str, default: str, known: Collection[str]) -> Iterator[RowTable]:
    with _open_text(uri) as text:
        try:
            dialect = find_dialect(text, default, known)
            for _ in range(dialect.skipped_lines):
                text.readline()
            reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
            header = _header(uri, reader)
        except UnicodeDecodeError as error:
            raise DataError(f"{storage.escape_name(uri)}: {_undecodable(error)}") from error
        yield RowTable(tuple(dict.fromkeys(header)), _delimited_rows(reader, header), _repeated(header))


def _header(uri: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"{uri}: its header cannot be read ({error}); save it as UTF-8 text with one header row") from error
    if not any(header):
        raise DataError(f"{uri}: no header row in its first line; give it one")
    check_utf8(uri, header)
    if any("\0" in name for name in header):
        raise DataError(f"{uri}: its header holds NUL characters: it is no text, or of an unknown encoding; save it as UTF-8")
    return header


def _repeated(header: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name, count in Counter(header).items() if count > 1)


def _undecodable(error: UnicodeDecodeError) -> str:
    return f"cannot be read as {error.encoding} from here on ({error.reason}); fetch the table again, or save it as UTF-8"


def _delimited_rows(reader: Any, header: list[str]) -> Iterator[TableRow]:
    number, line = 0, reader.line_num
    while True:
        first, values, error = line + 1, None, None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError as problem:
            yield TableRow(number=number + 1, values=None, error=_undecodable(problem))
            return
        except csv.Error as problem:
            cells, error = None, f"lines {first} to {reader.line_num} cannot be read ({problem}); mend the quotes there"
        line = reader.line_num
        if cells == []:
            continue
        number += 1
        if cells is not None and len(cells) != len(header):
            error = f"{len(cells)} cells at lines {first} to {line}, the header has {len(header)}; mend the delimiters and quotes there"
        elif cells is not None:
            values = dict(zip(reversed(header), reversed(cells), strict=True))  # the first of two columns of one name wins
            values = {name: values[name] for name in header}
        yield TableRow(number=number, values=values, error=error)


@contextmanager
def _open_jsonl(uri: str) -> Iterator[RowTable]:
    with _open_text(uri) as text:
        columns: dict[str, None] = {}
        for row in _jsonl_rows(text):
            columns.update(dict.fromkeys(name for name in row.values or () if not SURROGATE.search(name)))  # its row is an error
        text.seek(0)
        yield RowTable(tuple(columns), _jsonl_rows(text))


def _jsonl_rows(lines: io.TextIOWrapper) -> Iterator[TableRow]:
    number = 0
    while True:
        try:
            line = lines.readline()
        except UnicodeDecodeError as error:
            yield TableRow(number=number + 1, values=None, error=_undecodable(error))
            return
        if not line:
            return
        text = line.removeprefix("\ufeff").strip()
        if not text:
            continue
        number += 1
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield TableRow(number=number, values=None, error=f"not valid JSON ({_reason(error)}); write one object per line")
            continue
        if isinstance(values, dict):
            yield TableRow(number=number, values=values)
        else:
            yield TableRow(number=number, values=None, error=f"a JSON {type(values).__name__}, expected an object; write one per line")


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


@contextmanager
def _open_parquet(uri: str) -> Iterator[RowTable]:
    table = read_foreign_table(uri)
    yield RowTable(tuple(dict.fromkeys(table.column_names)), _parquet_rows(table), _repeated(table.column_names))


def _parquet_rows(table: pa.Table) -> Iterator[TableRow]:
    first = list(dict.fromkeys(table.column_names))  # of two columns of one name the first counts
    table = table.select([table.column_names.index(name) for name in first])
    number = 0
    for batch in table.to_batches(max_chunksize=_BATCH):
        for place in range(len(batch)) if (rows := _python_rows(batch)) is None else ():
            number += 1
            yield _parquet_row(batch.slice(place, 1), number)
        for values in rows or ():
            number += 1
            yield TableRow(number=number, values=values)


def _python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]] | None:
    """The rows of a batch; None if a cell of it has no value in Python (text that is no UTF-8, the year 20000)."""
    try:
        return cast(list[dict[str, Any]], batch.to_pylist())
    except _NO_PYTHON_VALUE:
        return None


def _parquet_row(row: pa.RecordBatch, number: int) -> TableRow:
    values = {}
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            values[name] = column[0].as_py()
        except _NO_PYTHON_VALUE as error:
            return TableRow(
                number=number, values=None, error=f"column {name!r} ({column.type}) cannot be read ({error}); correct or drop it"
            )
    return TableRow(number=number, values=values)


_NO_PYTHON_VALUE = (pa.ArrowException, ValueError, OverflowError, TypeError)

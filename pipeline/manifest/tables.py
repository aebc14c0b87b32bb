"""Rows of users' tables: CSV, TSV, JSONL, Parquet. One broken row never costs the others."""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pipeline import storage
from pipeline.errors import DataError
from pipeline.tables import read_foreign_table

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


def open_rows(uri: str) -> AbstractContextManager[RowTable]:
    """The rows of a table, by its suffix (.csv, .tsv, .jsonl, .parquet). Raises DataError or StorageError."""
    return _OPENERS[table_suffix(uri)](uri)


def table_suffix(uri: str) -> str:
    """The suffix of a uri in lower case if it is a table's, else an empty text."""
    suffix = PurePosixPath(uri).suffix.lower()
    return suffix if suffix in _OPENERS else ""


@contextmanager
def _open_delimited(uri: str, delimiter: str) -> Iterator[RowTable]:
    with storage.open_input(uri) as handle:
        # bytes that are no UTF-8 travel on as surrogates: the row that holds them is reported, the others are read
        text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            header = _header(uri, reader)
            yield RowTable(tuple(dict.fromkeys(header)), _delimited_rows(reader, header))
        finally:
            text.detach()


def _header(uri: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"{uri}: its header cannot be read ({error}); save it as UTF-8 text with one header row") from error
    if not any(header):
        raise DataError(f"{uri}: no header row in its first line; give it one")
    return header


def _delimited_rows(reader: Any, header: list[str]) -> Iterator[TableRow]:
    number, line = 0, reader.line_num
    while True:
        first, values, error = line + 1, None, None
        try:
            cells = next(reader)
        except StopIteration:
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
    with storage.open_input(uri) as handle:
        columns: dict[str, None] = {}
        for row in _jsonl_rows(handle):
            columns.update(dict.fromkeys(row.values or ()))
        handle.seek(0)
        yield RowTable(tuple(columns), _jsonl_rows(handle))


def _jsonl_rows(lines: Iterator[bytes] | Any) -> Iterator[TableRow]:
    number = 0
    for line in lines:
        text = line.removeprefix(codecs.BOM_UTF8).strip()
        if not text:
            continue
        number += 1
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield TableRow(number=number, values=None, error=f"not valid JSON ({error}); write one object per line")
            continue
        if isinstance(values, dict):
            yield TableRow(number=number, values=values)
        else:
            yield TableRow(number=number, values=None, error=f"a JSON {type(values).__name__}, expected an object; write one per line")


@contextmanager
def _open_parquet(uri: str) -> Iterator[RowTable]:
    table = read_foreign_table(uri)
    values = (row for batch in table.to_batches(max_chunksize=_BATCH) for row in batch.to_pylist())
    yield RowTable(tuple(table.column_names), (TableRow(number=number, values=row) for number, row in enumerate(values, start=1)))


_OPENERS: dict[str, Callable[[str], AbstractContextManager[RowTable]]] = {
    ".csv": lambda uri: _open_delimited(uri, ","),
    ".tsv": lambda uri: _open_delimited(uri, "\t"),
    ".jsonl": _open_jsonl,
    ".parquet": _open_parquet,
}

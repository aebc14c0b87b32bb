"""Tables (Parquet) and documents (JSON) that carry their kind and schema version, and refuse what they cannot read."""

import hashlib
import io
import json
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import DataError, FormatError

SCHEMA_VERSIONS = {
    "dataset": 1,
    "probe": 1,
    "plan": 1,
    "source_roots": 1,
    "shard": 1,
    "clip": 1,
    "errors": 1,
    "checks": 1,
    "labels": 1,
    "label_set": 1,
    "tombstones": 1,
    "evaluation": 1,
    "screen": 1,
    "audit": 1,
    "audit_clips": 1,
    "audit_shards": 1,
    "audit_summary": 1,
    "audit_comparison": 1,
    "calibration": 1,
    "inference": 1,
    "model_evaluation": 1,
    "evaluated_shard": 1,
    "label_scores": 1,
    "paper_table": 1,
    "export": 1,
    "exported_clip": 1,
    "exported_shard": 1,
    "publication": 1,
    "published_clips": 1,
    "adaptation": 1,
    "dense_tracks": 1,
}
_VERSION, _KIND = b"schema_version", b"trackmill_kind"


def stamped(table: pa.Table, kind: str) -> pa.Table:
    """The same table with kind and schema version in its metadata."""
    stamp = {_KIND: kind.encode(), _VERSION: str(SCHEMA_VERSIONS[kind]).encode()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **stamp})


def write_table(uri: str, table: pa.Table, kind: str, **options: Any) -> None:
    """Publish a table as Parquet (zstd). `options` go to pyarrow's writer (encodings, row group size)."""
    with storage.publishing(uri) as path:
        pq.write_table(stamped(table, kind), path, compression="zstd", store_schema=True, **options)


def table_bytes(table: pa.Table, kind: str) -> bytes:
    """A table as `write_table` publishes it."""
    buffer = io.BytesIO()
    pq.write_table(stamped(table, kind), buffer, compression="zstd", store_schema=True)
    return buffer.getvalue()


def parse_table(data: bytes) -> pa.Table:
    """The table of such bytes."""
    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


@contextmanager
def writing_table(uri: str, schema: pa.Schema, kind: str, **options: Any) -> Iterator[pq.ParquetWriter]:
    """Publish a table piece by piece: the file appears when the block ends without an error. `options` as for `write_table`."""
    empty = stamped(schema.empty_table().replace_schema_metadata(schema.metadata), kind)
    with storage.publishing(uri) as path, pq.ParquetWriter(path, empty.schema, compression="zstd", store_schema=True, **options) as writer:
        yield writer


@dataclass(frozen=True, kw_only=True, slots=True)
class TableShape:
    """Schema of a table of ours as a reader needs it: the writer's, and the departures that are allowed."""

    schema: pa.Schema
    added: frozenset[str] = frozenset()  # columns that tables of older versions lack
    filled: tuple[str, ...] = ()  # columns without a null

    def check(self, where: str, found: pa.Schema, columns: Sequence[str] | None = None) -> None:
        """Raise DataError unless a file has these columns (all of the schema by default), of the writer's kinds."""
        for name in self.schema.names if columns is None else columns:
            if name not in found.names:
                if name in self.added or name not in self.schema.names:
                    continue
                raise DataError(f"{where}: it has no column {name}; {_EDITED}")
            if found.names.count(name) > 1:
                raise DataError(f"{where}: it has two columns {name}; {_EDITED}")
            there, wanted = found.field(name).type, self.schema.field(name).type
            if not _alike(there, wanted):
                raise DataError(f"{where}: column {name} is {there}, expected {wanted}; {_EDITED}")

    def check_filled(self, where: str, table: pa.Table) -> None:
        """Raise DataError for a null where none may be."""
        for name in self.filled:
            if name in table.column_names and table[name].null_count:
                raise DataError(f"{where}: column {name} has {table[name].null_count} nulls; {_EDITED}")


_EDITED = "it was edited or damaged: delete it and run the job that wrote it again"


@contextmanager
def open_table(uri: str, kind: str, *, shape: TableShape | None = None) -> Iterator[pq.ParquetFile]:
    """A Parquet file of ours, checked for kind and version (and columns), to read parts of.

    What Arrow raises over damaged pages within the block is a DataError too.
    Raises: FormatError, DataError or StorageError.
    """
    with storage.open_input(uri) as handle:
        try:
            file = pq.ParquetFile(handle, page_checksum_verification=True)
        except _BROKEN as error:
            raise _unreadable(uri, error) from error
        check_version(uri, kind, file.schema_arrow.metadata or {})
        if shape is not None:
            shape.check(uri, file.schema_arrow)
        try:
            yield file
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(uri, error) from error


def read_table(uri: str, kind: str, columns: Sequence[str] | None = None, *, shape: TableShape | None = None) -> pa.Table:
    """A whole table of ours (or some of its columns), checked for kind and version, and against a shape where one is given."""
    with open_table(uri, kind) as file:
        if shape is not None:
            shape.check(uri, file.schema_arrow, columns)
            columns = [name for name in columns or shape.schema.names if name in file.schema_arrow.names]
        try:
            # In this thread: one of Arrow's that lets go of our Python file while the interpreter ends would abort the process.
            table = file.read(columns=None if columns is None else list(columns), use_threads=False)
            table.validate(full=True)
        except _BROKEN as error:
            raise _unreadable(uri, error) from error
    if shape is not None:
        shape.check_filled(uri, table)
    return table


# What pyarrow raises over damaged files; its own exceptions are ValueErrors, KeyErrors, ... too.
_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError)


def _unreadable(uri: str, error: BaseException) -> DataError:
    if isinstance(error, DataError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        raise error  # the store's, not the file's: explained by who opened it
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return DataError(f"{uri}: not a readable Parquet file ({reason}); delete it and run the job that wrote it again")


def _alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether two types hold the same kind of values: any width of integers and floats, and text and lists of either size."""
    for kind in (pa.types.is_integer, pa.types.is_floating, _is_text, pa.types.is_boolean):
        if kind(wanted):
            return bool(kind(found))
    if _is_list(wanted):
        return _is_list(found) and _alike(found.value_type, wanted.value_type)
    if pa.types.is_struct(wanted):
        fields = {field.name: field.type for field in found} if pa.types.is_struct(found) else {}
        return all(field.name in fields and _alike(fields[field.name], field.type) for field in wanted)
    return bool(found == wanted)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def fingerprint(uri: str) -> str | None:
    """64 hex digits of a table's footer, which says where all its pages lie: another table has another one. None if there is no such file.

    Raises: DataError if it is no Parquet file; StorageError.
    """
    if not storage.exists(uri):
        return None
    end = storage.size(uri) - 8
    length, magic = struct.unpack("<I4s", storage.read_range(uri, end, 8)) if end >= 0 else (0, b"")
    if magic != b"PAR1" or length > end:
        raise DataError(f"{uri}: not a readable Parquet file (no footer); delete it and run the job that wrote it again")
    return hashlib.sha256(storage.read_range(uri, end - length, length)).hexdigest()


def read_foreign_table(uri: str) -> pa.Table:
    """Any Parquet table, such as a user's manifest."""
    try:
        return pq.ParquetFile(pa.BufferReader(storage.read_bytes(uri))).read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:  # damaged pages and types that Arrow cannot rebuild, too
        raise DataError(f"{uri}: not a readable Parquet file ({error}); write it again") from error


def write_document(uri: str, document: dict[str, Any], kind: str) -> None:
    """Publish a JSON document, keys sorted, so that equal content is equal bytes."""
    storage.publish_bytes(uri, document_bytes(document, kind))


def document_bytes(document: dict[str, Any], kind: str) -> bytes:
    """A JSON document as it is stored: schema version added, keys sorted."""
    stamped_document = {"schema_version": SCHEMA_VERSIONS[kind], **document}
    return (
        json.dumps(stamped_document, sort_keys=True, ensure_ascii=False, indent=None if kind == "clip" else 1, allow_nan=False) + "\n"
    ).encode()


def read_document(uri: str, kind: str) -> dict[str, Any]:
    """A JSON document of ours, checked for its version."""
    return parse_document(storage.read_bytes(uri), uri, kind)


def parse_document(data: bytes, where: str, kind: str) -> dict[str, Any]:
    """Decode and check a stored JSON document; `where` names it in errors."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON ({error}); delete it and run the job that wrote it again") from error
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
        raise DataError(f"{where}: no schema_version; this is not a {kind} document of trackmill")
    _check(where, kind, document["schema_version"])
    return document


def check_version(where: str, kind: str, metadata: dict[bytes, bytes]) -> None:
    """Raise FormatError or DataError unless a table's metadata name this kind and a version that we read."""
    found = metadata.get(_KIND, b"").decode(errors="replace")
    if found != kind:
        raise DataError(
            f"{where}: expected a {kind} table of trackmill, found {f'a {found} table' if found else 'a table of another tool'}"
        )
    version = metadata.get(_VERSION, b"0")
    if not re.fullmatch(rb"\d{1,9}", version):
        raise DataError(f"{where}: its schema version is {version[:20].decode(errors='replace')!r}, expected a number; {_EDITED}")
    _check(where, kind, int(version))


def _check(where: str, kind: str, version: int) -> None:
    known = SCHEMA_VERSIONS[kind]
    if version > known:
        raise FormatError(
            f"{where}: {kind} schema version {version}, this trackmill reads up to {known}; upgrade it (pip install -U trackmill)"
        )
    if version < known:
        raise FormatError(
            f"{where}: {kind} schema version {version}, this trackmill reads {known}; run the job that wrote it again into a new root"
        )

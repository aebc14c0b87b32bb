"""Tables (Parquet) and documents (JSON) that carry their kind and schema version, and refuse what they cannot read."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def open_table(uri: str, kind: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file of ours, checked for kind and version, to read parts of. Raises FormatError, DataError or StorageError."""
    with storage.open_input(uri) as handle:
        try:
            file = pq.ParquetFile(handle, page_checksum_verification=True)
        except (pa.ArrowInvalid, pa.ArrowIOError) as error:
            raise DataError(f"{uri}: not a readable Parquet file ({error}); delete it and run the job that wrote it again") from error
        check_version(uri, kind, file.schema_arrow.metadata or {})
        yield file


def read_table(uri: str, kind: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole table of ours (or some of its columns), checked for kind and version."""
    with open_table(uri, kind) as file:
        # In this thread: one of Arrow's that lets go of our Python file while the interpreter ends would abort the process.
        return file.read(columns=None if columns is None else list(columns), use_threads=False)


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
    except ValueError as error:
        raise DataError(f"{where}: not valid JSON ({error}); delete it and run the job that wrote it again") from error
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
        raise DataError(f"{where}: no schema_version; this is not a {kind} document of trackmill")
    _check(where, kind, document["schema_version"])
    return document


def check_version(where: str, kind: str, metadata: dict[bytes, bytes]) -> None:
    """Raise FormatError or DataError unless a table's metadata name this kind and a version that we read."""
    found = metadata.get(_KIND, b"").decode()
    if found != kind:
        raise DataError(
            f"{where}: expected a {kind} table of trackmill, found {f'a {found} table' if found else 'a table of another tool'}"
        )
    _check(where, kind, int(metadata.get(_VERSION, b"0")))


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

"""The label file of one shard, from rows of any kind. A dense kind's tar is published first: the Parquet file is the commit."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline import storage
from pipeline.errors import DataError
from pipeline.labels.kinds import kind_named
from pipeline.labels.rows import LabelRow, encode_rows, table_schema
from pipeline.labels.sidecar import store_files
from pipeline.layout import Layout
from pipeline.records import TrackLabels
from pipeline.tables import write_table


def write_label_shard(root: str, label_set: str, *, shard: int, rows: Sequence[LabelRow], kind: str = TrackLabels.kind) -> None:
    """Commit the labels of one shard: one row per clip, in the shard's order. See `write_label_tables`."""
    write_label_tables(root, label_set, shard=shard, tables=[encode_rows(rows, kind)], kind=kind)


def write_label_tables(root: str, label_set: str, *, shard: int, tables: Iterable[pa.Table], kind: str = TrackLabels.kind) -> None:
    """Commit the labels of one shard from tables of `encode_rows`, joined in the order given.

    Equal rows give equal bytes, however they were spread over tables. Where a dense kind's labels are made again, the old commit is
    withdrawn before the tar changes, so that no byte range ever points into another tar: killed in between, the shard is labelled anew.
    Raises DataError for a key that occurs twice.
    """
    of_kind = kind_named(kind)
    uri = Layout(root).label_shard(label_set, shard)
    table = pa.concat_tables([table_schema(of_kind).empty_table(), *tables])
    keys = table["key"].to_pylist()
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise DataError(f"{uri}: {len(twice)} clips have two rows each, the first is {twice[0]}; give every clip of the shard one row")
    if of_kind.dense:
        if storage.exists(uri):
            storage.remove(uri)
        table = store_files(table, of_kind, Layout(root).label_tar(label_set, shard))
    metadata = {**of_kind.schema.metadata, "label_set": label_set}
    write_table(uri, table.combine_chunks().replace_schema_metadata(metadata), "labels", **of_kind.writer_options)

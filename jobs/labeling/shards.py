"""Which shards are to be labelled, and the commit of one when all its clips are there."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline import storage
from pipeline.labels import write_label_tables
from pipeline.layout import Layout, committed
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.index import ClipEntry
from pipeline.shards.plan import read_plan_counts


def shards_to_label(root: str, label_set: str) -> tuple[list[int], list[int]]:
    """(shards that are cut but not labelled yet, shards that are planned but not cut)."""
    planned = set(read_plan_counts(root).shards.tolist())
    cut = planned & committed(storage.join(root, "shards"))
    labelled = committed(Layout(root).label_set(label_set))
    return sorted(cut - labelled), sorted(planned - cut)


def commit_labels(root: str, label_set: str, shard: int, tables: Iterable[pa.Table], entries: Sequence[ClipEntry]) -> None:
    """Publish the errors, then the labels of one shard; `tables` together hold one row per clip, in the shard's order."""
    table = pa.concat_tables(list(tables)) if entries else None
    sources = {entry.key: entry.source for entry in entries}
    rows = [] if table is None else table.select(["key", "status", "error"]).to_pylist()
    errors = [
        ErrorRow(
            stage=f"labels/{label_set}", key=row["key"], source=sources[row["key"]], exception=row["status"], message=str(row["error"])
        )
        for row in rows
        if row["status"] in ("failed", "quarantined")
    ]
    write_errors(root, f"labels/{label_set}", shard, errors)
    write_label_tables(root, label_set, shard=shard, tables=[] if table is None else [table])

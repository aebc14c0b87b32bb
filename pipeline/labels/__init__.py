"""Label sets: 2D tracks beside the video, as Parquet that any tool reads. `read_labels` is the short way in."""

from pipeline.labels.decode import decode_row
from pipeline.labels.read import LabelEntry, LabelShard, labelled_shards, read_label_shard, read_labels
from pipeline.labels.row import STATUSES, LabelRow
from pipeline.labels.sets import list_label_sets, read_label_set, write_label_set
from pipeline.labels.write import encode_rows, write_label_shard, write_label_tables

__all__ = [
    "STATUSES",
    "LabelEntry",
    "LabelRow",
    "LabelShard",
    "decode_row",
    "encode_rows",
    "labelled_shards",
    "list_label_sets",
    "read_label_set",
    "read_label_shard",
    "read_labels",
    "write_label_set",
    "write_label_shard",
    "write_label_tables",
]

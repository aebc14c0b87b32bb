"""Label sets: pseudo-labels beside the video, of several kinds, in files that any tool reads. `read_labels` is the short way in."""

from pipeline.labels.kinds import KINDS, LabelKind, is_kind, kind_named
from pipeline.labels.read import LabelEntry, LabelShard, labelled_shards, read_encoded_rows, read_label_shard, read_labels, read_labels_as
from pipeline.labels.rows import STATUSES, LabelRow, decode_row, encode_rows
from pipeline.labels.sets import list_label_sets, read_label_set, sets_on_other_frames, write_label_set
from pipeline.labels.write import write_label_shard, write_label_tables

__all__ = [
    "KINDS",
    "STATUSES",
    "LabelEntry",
    "LabelKind",
    "LabelRow",
    "LabelShard",
    "decode_row",
    "encode_rows",
    "is_kind",
    "kind_named",
    "labelled_shards",
    "list_label_sets",
    "read_encoded_rows",
    "read_label_set",
    "read_label_shard",
    "read_labels",
    "read_labels_as",
    "sets_on_other_frames",
    "write_label_set",
    "write_label_shard",
    "write_label_tables",
]

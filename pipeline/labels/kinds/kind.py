"""Description of a kind of labels, so that status, commit, pool, screen and provenance need not know which kind it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError

# What a label file says of every clip, whatever was labelled; a kind adds its own columns.
CLIP_COLUMNS = {
    "key": pa.string(),
    "status": pa.string(),
    "clip_sha256": pa.string(),
    "num_frames": pa.int32(),
    "width": pa.int32(),
    "height": pa.int32(),
    "error": pa.string(),
    "notes": pa.string(),
}
KIND = "label_kind"  # in a label file's metadata; files of tracks, which are older than kinds, do not have it
MEMBERS = "members"  # the column of a dense kind: files of the clip in the shard's sidecar tar
MEMBERS_TYPE = pa.list_(pa.struct({"name": pa.string(), "offset": pa.int64(), "length": pa.int64()}))


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelKind:
    """One kind of labels; `Any` below is its record. A record that is also another kind's (a subclass) is taken where that is asked for.

    A dense kind, with a value for every pixel, keeps its arrays in a sidecar tar: one or more files per frame, whose names within the
    clip begin with the frame's number and a dot (`0007.depth.png`). Its rows have their byte ranges in the column `members`.
    """

    name: str
    record: type[Any]  # TrackLabels, DepthLabels, ...
    schema: pa.Schema  # of a label file: CLIP_COLUMNS, and the kind's own
    writer_options: Mapping[str, Any] = field(default_factory=dict)  # of pyarrow's Parquet writer
    dense: bool = False
    has_queries: bool = False  # a labeler of this kind is given points to start from
    fields: tuple[str, ...]  # of ClipSample, that these labels take over: what they do not hold becomes None

    # (labels, clip's num_frames, height, width): raises DataError for labels that are not of such a clip
    check: Callable[[Any, int, int, int], None]
    # (labels) -> values of the kind's own columns; of `members`, [{"name", "data"}]. Raises DataError for what the columns cannot hold
    encode: Callable[[Any], dict[str, Any]]
    # (table, row, files by name) -> labels; of a dense kind, of the frames whose files are given. Raises DataError
    decode: Callable[[pa.Table, int, Mapping[str, bytes]], Any]
    # (labels) -> arrays by field of ClipSample; the field table says how each of them is cut in time, resized and mirrored
    arrays: Callable[[Any], dict[str, np.ndarray]]
    # (labels) -> other fields of ClipSample
    facts: Callable[[Any], dict[str, Any]] = field(default=lambda labels: {})

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Columns beside CLIP_COLUMNS."""
        return tuple(name for name in self.schema.names if name not in CLIP_COLUMNS)


def metadata_number(table: pa.Table, name: str) -> int:
    """A number that a label file says about itself. Raises DataError if it does not."""
    value = (table.schema.metadata or {}).get(name.encode(), b"")
    if not value.isdigit() or len(value) > 6 or int(value) < 1:
        raise DataError(f"the file's metadata name no {name} (found {value.decode(errors='replace')!r})")
    return int(value)

"""The tar beside a label file, in which a dense kind keeps its files: `KEY.0007.depth.png`, in the order of clips and frames."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.errors import DataError
from pipeline.labels.kinds import LabelKind
from pipeline.labels.kinds.kind import MEMBERS
from pipeline.labels.rows import row_files, table_schema
from pipeline.shards.tar import ShardWriter

_FRAME = re.compile(r"(\d+)\.")
_HEADER = 512  # bytes before a file of a tar; they begin with its name


def store_files(table: pa.Table, kind: LabelKind, uri: str) -> pa.Table:
    """Publish the files of a shard's rows as a tar; the rows come back with byte ranges in place of bytes."""
    keys = table["key"].to_pylist()
    with storage.publishing(uri) as path:
        with ShardWriter(path) as writer:
            for row, key in enumerate(keys):
                writer.write(key, row_files(table, row).items())
        written = writer.members()
    ranges = [
        [{"name": member.name, "offset": member.offset, "length": member.length} for member in written.get(key, ())]
        if status == "ok"
        else None
        for key, status in zip(keys, table["status"].to_pylist(), strict=True)
    ]
    place = kind.schema.get_field_index(MEMBERS)
    return table.set_column(place, kind.schema.field(MEMBERS), pa.array(ranges, kind.schema.field(MEMBERS).type)).cast(kind.schema)


def with_files(table: pa.Table, kind: LabelKind, uri: str) -> pa.Table:
    """Rows read from a label file with the bytes of their files, as `encode_rows` makes them. Raises DataError for another tar."""
    cells = []
    for key, num_frames, members in zip(*(table[name].to_pylist() for name in ("key", "num_frames", MEMBERS)), strict=True):
        files = None if members is None else read_files(uri, key, members, range(num_frames))
        cells.append(None if files is None else [{"name": name, "data": data} for name, data in files.items()])
    schema = table_schema(kind)
    place = schema.get_field_index(MEMBERS)
    return table.select(schema.names).set_column(place, schema.field(MEMBERS), pa.array(cells, schema.field(MEMBERS).type)).cast(schema)


def read_files(uri: str, key: str, members: Sequence[Mapping[str, Any]], frames: Sequence[int]) -> dict[str, bytes]:
    """The files of some frames of a clip, by name, in the order of the frames; one read for all of them.

    Args:
        members: `name`, `offset` and `length` of each of the clip's files, as its row says.
        frames: which, ascending.
    Raises: DataError if a frame has none, or the tar is not the one that the row was written with; StorageError if it cannot be read.
    """
    asked = {int(frame) for frame in frames}
    wanted = [member for member in members if _frame_of(member["name"]) in asked]
    missing = sorted(asked - {_frame_of(member["name"]) for member in wanted})
    if missing:
        raise DataError(f"{uri}: clip {key} has no file for frame {missing[0]} ({len(missing)} of {len(asked)} lack one)")
    if not wanted:
        return {}
    start = wanted[0]["offset"] - _HEADER
    end = start
    for member in wanted:
        if member["offset"] < end + _HEADER or member["length"] < 0:
            raise DataError(f"{uri}: clip {key}: the byte ranges of its files overlap")
        end = member["offset"] + member["length"]
    data = storage.read_range(uri, start, end - start)
    files = {}
    for member in wanted:
        at = member["offset"] - start
        header = data[at - _HEADER : at]
        if header.split(b"\0", 1)[0] != f"{key}.{member['name']}".encode():
            raise DataError(f"{uri}: {member['name']} of clip {key} is not at byte {member['offset']}: another tar than the label file's")
        files[member["name"]] = data[at : at + member["length"]]
    return files


def _frame_of(name: str) -> int | None:
    found = _FRAME.match(name)
    return int(found[1]) if found else None

"""The commit of one shard: every clip's record and the places of its members, so that readers fetch clips by byte range."""

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.records import ClipRecord
from pipeline.shards.source_roots import read_source_roots
from pipeline.tables import TableShape, read_table, write_table
from pipeline.video.reader import VideoData

VIDEO_SUFFIXES = ("mp4", "mkv", "webm", "mov", "avi", "m4v")
ARRAYS = "arrays.npz"  # the member that holds a clip's arrays
_IMAGE = re.compile(r"(\d{4,})\.(?:jpg|png)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file inside a tar: `name` is its suffix after the sample's key, such as `mp4`, `json`, `arrays.npz`."""

    name: str
    offset: int
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipEntry:
    """One planned clip of a shard. A failed clip keeps its row, without record and members; its reason is in errors/."""

    key: str
    sample_key: str  # `__key__` inside the tar; differs from `key` in foreign shards only
    tar: str  # absolute path or URL, name of a tar in ROOT/shards, or path below ROOT: tars/NAME.tar of a tar unpacked there
    source: str
    source_id: str
    split: str
    license: str | None = None
    members: tuple[Member, ...] = ()
    record: ClipRecord | None = None

    @property
    def status(self) -> str:
        """`ok`, or `failed`."""
        return "failed" if self.record is None else "ok"

    def member(self, name: str) -> Member | None:
        """The member of this suffix, or None."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def video(self) -> Member:
        """The video member. Raises DataError if the clip has none."""
        found = next((member for member in self.members if is_video(member.name)), None)
        if found is None:
            raise DataError(f"clip {self.key}: no video member in {self.tar}; run the job that wrote it again")
        return found

    @property
    def images(self) -> tuple[Member, ...]:
        """The image members, in the order of their frames; none where the clip is a video."""
        found = [(int(match[1]), member) for member in self.members if (match := _IMAGE.fullmatch(member.name))]
        return tuple(member for _, member in sorted(found, key=lambda pair: pair[0]))


def is_video(member_name: str) -> bool:
    """Whether a member's suffix is one of a video container."""
    return member_name.rsplit(".", 1)[-1].lower() in VIDEO_SUFFIXES


_PLANNED = "planned"  # the table's word on the plan that the shard was made by
_MEMBERS = pa.list_(pa.struct([("name", pa.string()), ("offset", pa.int64()), ("length", pa.int64())]))
_OF_ENTRY = {name: pa.string() for name in ("key", "sample_key", "tar", "source", "source_id", "split", "license")}
_OF_RECORD = {
    "frames": pa.int64(),
    "fps": pa.float64(),
    "width": pa.int64(),
    "height": pa.int64(),
    "start_s": pa.float64(),
    "end_s": pa.float64(),
    "codec": pa.string(),
    "video": pa.string(),
    "sha256": pa.string(),
    "timestamps": pa.list_(pa.float64()),
    "pose_source": pa.string(),
    "is_metric": pa.bool_(),
    "notes": pa.list_(pa.string()),
}
_LARGEST = 2**16  # pixels of a side
_HEADERS = 4096  # bytes between members that lie next to each other in a tar: padding, and headers with a long name
SCHEMA = pa.schema({**_OF_ENTRY, "status": pa.string(), "size": pa.int64(), "members": _MEMBERS, **_OF_RECORD, "extra": pa.string()})
_SHAPE = TableShape(
    schema=SCHEMA, added=frozenset({"notes"}), filled=("key", "sample_key", "tar", "source", "source_id", "split", "status", "members")
)


def write_index(root: str, shard: int, entries: Sequence[ClipEntry], *, planned: int = 0) -> None:
    """Commit a shard: its tar must have been published before.

    Args:
        planned: identity of the shard's rows in the plan.
    """
    write_entries(Layout(root).shard_index(shard), entries, {_PLANNED: str(planned)})


def read_index(root: str, shard: int, *, planned: int = 0) -> list[ClipEntry]:
    """The clips of a committed shard, in plan order.

    Args:
        planned: identity of the shard's rows in the plan; 0 not to check it.
    Raises: StorageError if it is not committed; DataError if it was made by another plan.
    """
    uri = Layout(root).shard_index(shard)
    table = read_table(uri, "shard", shape=_SHAPE)
    found = _made_by(uri, table.schema.metadata or {})
    if planned and found and planned != found:
        raise DataError(f"{uri}: it was made by another plan than the one that is there now; run jobs/shard.py again into a new root")
    entries = [_entry(row, uri) for row in table.to_pylist()]
    if not any(entry.tar.startswith("root://") for entry in entries):
        return entries
    roots = read_source_roots(root)
    return [replace(entry, tar=roots.resolve(entry.tar)) for entry in entries]


def _made_by(uri: str, said: Mapping[bytes, bytes]) -> int:
    word = said.get(_PLANNED.encode(), b"0")
    if not re.fullmatch(rb"-?\d{1,20}", word):
        raise DataError(f"{uri}: its word on the plan, {word[:40]!r}, is no number; delete this file and run jobs/shard.py again")
    return int(word)


def write_entries(uri: str, entries: Sequence[ClipEntry], said: Mapping[str, str] | None = None) -> None:
    """Publish a table of clips, with some words on it."""
    table = pa.Table.from_pylist([_row(entry) for entry in entries], schema=SCHEMA)
    write_table(uri, table.replace_schema_metadata(dict(said or {})), "shard")


def read_entries(uri: str) -> list[ClipEntry]:
    """The clips of such a table, their tars as it names them. Raises DataError naming file and clip."""
    return [_entry(row, uri) for row in read_table(uri, "shard", shape=_SHAPE).to_pylist()]


def tar_uri(root: str, entry: ClipEntry) -> str:
    """Address of the clip's tar."""
    if "://" in entry.tar or entry.tar.startswith("/"):
        return entry.tar
    return storage.join(root, entry.tar) if "/" in entry.tar else storage.join(root, "shards", entry.tar)


def read_member(root: str, entry: ClipEntry, member: Member) -> bytes:
    """The bytes of one member. Raises StorageError naming the tar."""
    return storage.read_range(tar_uri(root, entry), member.offset, member.length)


def read_video(root: str, entry: ClipEntry) -> VideoData:
    """Source of a clip's frames, checked against its record: the bytes of its video, or its image files in order.

    Raises: DataError if they are not those that were recorded, or the clip was not made; StorageError.
    """
    if entry.record is None:
        raise DataError(f"clip {entry.key} was not cut; see errors/shards")
    data: VideoData = read_members(root, entry, entry.images) if entry.record.video == "images" else read_member(root, entry, entry.video)
    _check_video(entry.record, data)
    return data


def read_sample(root: str, entry: ClipEntry, *, leave_out: Collection[str] = ()) -> dict[str, bytes]:
    """The bytes of all members by suffix, in small letters as webdataset gives it; the video is checked against its record.

    Args:
        leave_out: suffixes of members that are not read.
    Raises: DataError if the video is not the one that was recorded, or the clip was not made; StorageError.
    """
    if entry.record is None:
        raise DataError(f"clip {entry.key} was not cut; see errors/shards")
    wanted = [member for member in entry.members if member.name not in leave_out]
    found = dict(zip(wanted, read_members(root, entry, wanted), strict=True))
    images = tuple(found[image] for image in entry.images)
    _check_video(entry.record, images if entry.record.video == "images" else found[entry.video])
    return {member.name.lower(): data for member, data in found.items()}


def read_members(root: str, entry: ClipEntry, members: Sequence[Member]) -> tuple[bytes, ...]:
    """The bytes of several members, in their order; by one request where they lie next to each other in the tar."""
    if not members:
        raise DataError(f"clip {entry.key}: no such members in {entry.tar}; run the job that wrote it again")
    start, end = min(member.offset for member in members), max(member.offset + member.length for member in members)
    if end - start > sum(member.length + _HEADERS for member in members):
        return tuple(read_member(root, entry, member) for member in members)
    data = storage.read_range(tar_uri(root, entry), start, end - start)
    return tuple(data[member.offset - start : member.offset - start + member.length] for member in members)


def video_sha256(data: VideoData) -> str:
    """Digest of a video's bytes, or of image files one after the other."""
    digest = hashlib.sha256()
    for part in (data,) if isinstance(data, bytes) else data:
        digest.update(part)
    return digest.hexdigest()


def _check_video(record: ClipRecord, data: VideoData) -> None:
    found, expected = video_sha256(data), record.sha256
    if found != expected:
        raise DataError(f"the video's sha256 is {found[:12]}..., expected {expected[:12]}...: damaged or replaced since it was written")


def _row(entry: ClipEntry) -> dict[str, Any]:
    record = entry.record
    return {
        **{name: getattr(entry, name) for name in _OF_ENTRY},
        "status": entry.status,
        "size": sum(member.length for member in entry.members),
        "members": [{"name": member.name, "offset": member.offset, "length": member.length} for member in entry.members],
        **({} if record is None else {name: getattr(record, name) for name in _OF_RECORD}),
        "extra": None if record is None else json.dumps(dict(record.extra), sort_keys=True, ensure_ascii=False),
    }


def _entry(row: dict[str, Any], uri: str) -> ClipEntry:
    common = {name: row[name] for name in _OF_ENTRY}
    if row["status"] != "ok":
        return ClipEntry(**common)
    try:
        of_record: dict[str, Any] = {name: row[name] for name in _OF_RECORD if name in row}  # older tables lack the newer columns
        of_record["timestamps"], of_record["notes"] = tuple(row["timestamps"]), tuple(row.get("notes") or ())
        record = ClipRecord(
            **{name: common[name] for name in ("key", "source", "source_id", "split", "license")},
            **of_record,
            extra=json.loads(row["extra"]),
        )
        _check_values(record)
        return ClipEntry(**common, members=tuple(_member(**member) for member in row["members"]), record=record)
    except (DataError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{uri}: clip {row['key']}: {error}; delete this file and run jobs/shard.py again") from error


def _member(name: str, offset: int, length: int) -> Member:
    if not isinstance(name, str) or min(offset, length) < 0 or max(offset, length) > 2**48:
        raise DataError(f"its member {name!r} has {length} bytes from byte {offset} of the tar on")
    return Member(name=name, offset=offset, length=length)


def _check_values(record: ClipRecord) -> None:
    """Raise DataError for what a record's own checks let pass, and no writer of ours writes."""
    if not all(math.isfinite(value) for value in (*record.timestamps, record.fps, record.start_s, record.end_s)):
        raise DataError("its times hold NaN or infinity")
    if max(record.width, record.height) > _LARGEST:
        raise DataError(f"its pictures are {record.width}x{record.height}")
    if not isinstance(record.sha256, str) or not isinstance(record.codec, str) or not isinstance(record.extra, dict):
        raise DataError("its sha256, codec or extra columns are missing")

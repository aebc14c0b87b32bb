"""Labels for others to use: tables of one shard, cut down to the clips that are published, with what joins them to the videos.

A publication is a dataset's root without what must not leave: label set and audit lie where a root has them, and are read as there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.audit.stored.audit_rows import SCHEMA as AUDIT_SCHEMA
from pipeline.audit.stored.audit_rows import AuditShard, read_audit_shard
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.errors import ConfigError
from pipeline.labels import kind_named, read_label_set, read_label_shard
from pipeline.layout import Layout
from pipeline.records import LabelSet, TrackLabels
from pipeline.shards.index import ARRAYS, ClipEntry, read_index, read_sample
from pipeline.shards.tar import ShardWriter
from pipeline.shards.tombstones import read_tombstones
from pipeline.tables import open_table, writing_table

KIND = "published_clips"
TRUSTED = 0.5  # weight from which a track counts as trusted
# What joins a label to a video: who, which frames, which picture. Beside the label rows and in the index alike.
JOINING = {
    "source": pa.string(),
    "source_id": pa.string(),
    "url": pa.string(),
    "split": pa.string(),
    "license": pa.string(),
    "start_s": pa.float64(),
    "end_s": pa.float64(),
    "fps": pa.float64(),
    "timestamps": pa.list_(pa.field("element", pa.float64(), nullable=False)),
}
INDEX = pa.schema(
    {
        "key": pa.string(),
        **JOINING,
        "video_sha256": pa.string(),
        "num_frames": pa.int64(),
        "width": pa.int64(),
        "height": pa.int64(),
        "num_tracks": pa.int64(),
        "labels": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "mean_weight": pa.float64(),
        "trusted_tracks": pa.int64(),
        "video": pa.string(),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """What is published of a dataset."""

    root: str
    labels: str
    audit: str | None = None
    split: str | None = None
    with_video: bool = False

    def check(self) -> LabelSet:
        """The label set. Raises ConfigError if it is not there or holds no tracks, or the audit judged another one."""
        label_set = read_label_set(self.root, self.labels, kind=TrackLabels.kind)
        if self.audit is not None and read_audit_set(self.root, self.audit).label_set != self.labels:
            raise ConfigError(f"audit {self.audit} did not judge the label set {self.labels}; name the audit of these labels")
        return label_set


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedShard:
    """Clips of one shard that are published, in its order: labelled, cut, of the split, and not tombstoned."""

    shard: int
    kind: str  # of the labels: tracks, or tracks3d
    entries: tuple[ClipEntry, ...]
    audit: AuditShard | None


def published_shard(publication: Publication, shard: int) -> PublishedShard:
    """Choose the clips of a shard. Raises DataError for labels or an audit of other videos than the shard has."""
    root = publication.root
    tombstones = read_tombstones(root)
    labelled = read_label_shard(root, publication.labels, shard)
    audited = publication.audit is not None and storage.exists(Layout(root).audit_shard(publication.audit, shard))
    audit = read_audit_shard(root, str(publication.audit), shard) if audited else None
    entries = []
    for entry in read_index(root, shard):
        if entry.record is None or tombstones.cover(entry) or publication.split not in (None, entry.split):
            continue
        if labelled.entry(entry.key).status == "ok":
            labelled.check_clip(entry.key, entry.record.sha256)
            if audit is not None:
                audit.check_clip(entry.key, entry.record.sha256)
            entries.append(entry)
    return PublishedShard(shard=shard, kind=labelled.kind, entries=tuple(entries), audit=audit)


def write_published(publication: Publication, chosen: PublishedShard, out: str, *, made_from: str) -> None:
    """Write labels, audit and videos of a shard's clips, one clip in memory at a time, and last the index, which commits them.

    Args:
        made_from: identity of the files that these are made from, kept in the index.
    """
    to, shard = Layout(out), chosen.shard
    num_tracks = _write_labels(publication, chosen, to.label_shard(publication.labels, shard))
    weights = _write_audit(publication, chosen, to) if chosen.audit is not None else {}
    if publication.with_video:
        _write_videos(publication.root, chosen, to.shard_tar(shard))
    schema = INDEX.with_metadata({"made_from": made_from})
    rows = [_index_row(publication, chosen, entry, num_tracks[entry.key], weights.get(entry.key)) for entry in chosen.entries]
    with writing_table(index_uri(out, shard), schema, KIND) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))


def index_uri(out: str, shard: int) -> str:
    """Index of one published shard: its commit."""
    return storage.join(out, "index", f"{shard:06d}.parquet")


def joining_values(entry: ClipEntry) -> dict[str, Any]:
    """Values of JOINING of a clip that was cut."""
    record = entry.record
    assert record is not None, "only clips that were cut are published"
    said = record.extra.get("url")
    url = said if isinstance(said, str) else entry.source if "://" in entry.source else None
    of_entry = {name: getattr(entry, name) for name in ("source", "source_id", "split", "license")}
    of_record = {name: getattr(record, name) for name in ("start_s", "end_s", "fps")}
    return {**of_entry, "url": url, **of_record, "timestamps": list(record.timestamps)}


def _write_labels(publication: Publication, chosen: PublishedShard, uri: str) -> dict[str, int]:
    """Copy the clips' rows of labels, as they are stored, with JOINING beside them; gives the clips' numbers of tracks."""
    kind = kind_named(chosen.kind)
    schema = pa.schema([*kind.schema, *pa.schema(JOINING)], metadata={**kind.schema.metadata, "label_set": publication.labels})
    entries = {entry.key: entry for entry in chosen.entries}
    num_tracks: dict[str, int] = {}
    options = {name: value for name, value in kind.writer_options.items() if name != "row_group_size"}
    stored = Layout(publication.root).label_shard(publication.labels, chosen.shard)
    with writing_table(uri, schema, "labels", **options) as writer:
        for row in rows_of(stored, "labels", kind.schema.names):
            key = row["key"][0].as_py()
            if key in entries:
                beside = pa.Table.from_pylist([joining_values(entries[key])], schema=pa.schema(JOINING))
                columns = {**{name: row[name] for name in kind.schema.names}, **{name: beside[name] for name in JOINING}}
                writer.write_table(pa.table(columns, schema=writer.schema))
                num_tracks[key] = int(row["num_tracks"][0].as_py())
    return num_tracks


def _write_audit(publication: Publication, chosen: PublishedShard, to: Layout) -> dict[str, np.ndarray]:
    """Copy the clips' rows of the audit, as they are stored; gives the weights of their tracks, where they were measured."""
    name, keys = str(publication.audit), {entry.key for entry in chosen.entries}
    weights: dict[str, np.ndarray] = {}
    stored = Layout(publication.root).audit_shard(name, chosen.shard)
    schema = AUDIT_SCHEMA.with_metadata({**AUDIT_SCHEMA.metadata, "audit": name})
    options = {"use_dictionary": False, "write_statistics": ["key", "verdict"], "write_page_checksum": True}
    with writing_table(to.audit_shard(name, chosen.shard), schema, "audit", **options) as writer:
        for row in rows_of(stored, "audit", AUDIT_SCHEMA.names):
            key = row["key"][0].as_py()
            if key in keys:
                writer.write_table(row.select(AUDIT_SCHEMA.names).cast(writer.schema))
                if row["weight"][0].is_valid:
                    weights[key] = np.asarray(row["weight"][0].values.to_numpy(zero_copy_only=False))
    return weights


def rows_of(uri: str, kind: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of one of our tables, each a table of one row; one row group is in memory at a time."""
    with open_table(uri, kind) as file:
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, columns=list(columns), use_threads=False)
            for row in range(len(table)):
                yield table.slice(row, 1)


def _write_videos(root: str, chosen: PublishedShard, uri: str) -> None:
    """The clips' videos and their records, as they are stored, as a tar of webdataset samples."""
    with storage.publishing(uri) as path, ShardWriter(path) as writer:
        for entry in chosen.entries:
            members = read_sample(root, entry, leave_out=(ARRAYS,))
            writer.write(entry.key, sorted(members.items()))


def _index_row(
    publication: Publication, chosen: PublishedShard, entry: ClipEntry, num_tracks: int, weight: np.ndarray | None
) -> Mapping[str, Any]:
    record = entry.record
    assert record is not None, "only clips that were cut are published"
    verdict = None if chosen.audit is None else chosen.audit.clip(entry.key).verdict
    return {
        "key": entry.key,
        **joining_values(entry),
        "video_sha256": record.sha256,
        "num_frames": record.frames,
        "width": record.width,
        "height": record.height,
        "num_tracks": num_tracks,
        "labels": f"labels/{publication.labels}/{chosen.shard:06d}.parquet",
        "verdict": None if verdict is None else verdict.decision,
        "reasons": None if verdict is None else list(verdict.reasons),
        "mean_weight": None if weight is None or not len(weight) else float(weight.mean(dtype=np.float64)),
        "trusted_tracks": None if weight is None else int((weight >= TRUSTED).sum()),
        "video": f"shards/{chosen.shard:06d}.tar" if publication.with_video else None,
    }

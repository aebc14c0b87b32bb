"""Published labels joined with videos that the receiver cut: by the hash of a clip's video, else by its source and its frames' times."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.export.publication import KIND
from pipeline.labels import LabelRow, LabelShard, list_label_sets, read_label_set, read_label_shard, write_label_set, write_label_shard
from pipeline.layout import Layout, committed
from pipeline.records import ClipRecord, TrackLabels
from pipeline.records.pixel_transforms import resize_points
from pipeline.shards.index import read_index
from pipeline.shards.tombstones import read_tombstones
from pipeline.tables import read_table

BY_HASH, BY_TIMES, NOT_THERE = "by hash", "by source and times", "not in the publication"
_NEEDED = ("key", "source", "source_id", "timestamps", "video_sha256", "num_frames", "width", "height", "labels")
_SAME_SHAPE = 0.02  # relative difference of proportions that rounding to even sides may leave


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundLabels:
    """Labels of a clip, in its own pixels."""

    labels: TrackLabels
    how: str  # BY_HASH or BY_TIMES
    notes: str | None  # how they were changed to fit


class PublishedLabels:
    """A publication's labels, found by the clip that they belong to. Its index lies in memory, its tracks do not."""

    def __init__(self, folder: str) -> None:
        """Args:
        folder: local path or URL of the publication.
        Raises: ConfigError if it is none, or holds several label sets.
        """
        self.folder = storage.absolute(folder)
        names = list_label_sets(self.folder)
        if len(names) != 1:
            raise ConfigError(f"{folder} holds {len(names)} label sets, expected one: name a folder made by jobs/publish.py")
        self.name = names[0]
        self._rows: list[Mapping[str, Any]] = []
        for uri in storage.glob(storage.join(self.folder, "index", "*.parquet")):
            self._rows += read_table(uri, KIND, _NEEDED).to_pylist()

    def find(self, record: ClipRecord) -> FoundLabels | None:
        """Labels of the clip of this record, or None.

        Clips of the same bytes match; else those of the same source (its id, or its file's name where that is unique) whose frames lie
        at the same times, to half a frame. Positions of the latter are brought to the clip's size; other proportions do not match.
        Raises: DataError if labels cannot be read.
        """
        row = self._by_hash.get(record.sha256)
        how = BY_HASH
        if row is None:
            how = BY_TIMES
            row = next((row for row in self._of_source(record) if _same_frames(row, record) and _same_shape(row, record)), None)
        if row is None:
            return None
        labels = self._shard(row["labels"]).tracks(row["key"])
        before, after = (row["height"], row["width"]), (record.height, record.width)
        if before == after:
            return FoundLabels(labels=labels, how=how, notes=None if how == BY_HASH else f"joined {how}")
        notes = f"joined {how}, positions scaled from {before[1]}x{before[0]}"
        return FoundLabels(labels=_resized(labels, before, after), how=how, notes=notes)

    @cached_property
    def _by_hash(self) -> dict[str, Mapping[str, Any]]:
        return {row["video_sha256"]: row for row in self._rows}

    @cached_property
    def _by_source(self) -> dict[str, list[Mapping[str, Any]]]:
        found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in self._rows:
            found[row["source_id"]].append(row)
        return dict(found)

    @cached_property
    def _by_file(self) -> dict[str, str]:
        """Ids of the sources whose file's name no other source has."""
        named = {(_file(row["source"]), row["source_id"]) for row in self._rows}
        counts = Counter(name for name, _ in named)
        return {name: source_id for name, source_id in named if counts[name] == 1}

    def _of_source(self, record: ClipRecord) -> list[Mapping[str, Any]]:
        source_id = record.source_id if record.source_id in self._by_source else self._by_file.get(_file(record.source), "")
        return self._by_source.get(source_id, [])

    def _shard(self, path: str) -> LabelShard:
        return read_label_shard(self.folder, self.name, int(path.rsplit("/", 1)[-1].removesuffix(".parquet")))


def join_published(folder: str, root: str) -> dict[str, int]:
    """Write a publication's labels as a label set of the same name into a root with clips of the same videos.

    Shards that this set has labelled already are left as they are. Clips without published labels get a row with status `failed`.

    Args:
        folder: the publication.
        root: a dataset that jobs/shard.py cut.
    Returns: number of clips by how they were found: BY_HASH, BY_TIMES, NOT_THERE.
    Raises: ConfigError if either is not there.
    """
    published, root = PublishedLabels(folder), storage.absolute(root)
    shards = sorted(committed(Layout(root).shards) - committed(Layout(root).label_set(published.name)))
    if not committed(Layout(root).shards):
        raise ConfigError(f"{root} has no shard yet; run jobs/shard.py on the same videos first")
    described = read_label_set(published.folder, published.name)
    write_label_set(root, described)
    tombstones = read_tombstones(root)
    counts: Counter[str] = Counter()
    for shard in shards:
        rows = []
        for entry in read_index(root, shard):
            found = None if entry.record is None or tombstones.cover(entry) else published.find(entry.record)
            rows.append(_label_row(entry.key, entry.record, found))
            counts[NOT_THERE if found is None else found.how] += 1
        write_label_shard(root, published.name, shard=shard, rows=rows, kind=described.kind)
    return dict(counts)


def _label_row(key: str, record: ClipRecord | None, found: FoundLabels | None) -> LabelRow:
    if record is None or found is None:
        return LabelRow(key=key, status="failed", error="the publication holds no labels of this clip")
    if len(found.labels.tracks_px) != record.frames:
        raise DataError(f"clip {key}: its labels cover {len(found.labels.tracks_px)} frames, it has {record.frames}; publish them again")
    return LabelRow(
        key=key,
        status="ok",
        labels=found.labels,
        clip_sha256=record.sha256,
        num_frames=record.frames,
        width=record.width,
        height=record.height,
        notes=found.notes,
    )


def _same_frames(row: Mapping[str, Any], record: ClipRecord) -> bool:
    """Whether two clips have the same frames: as many, each within half a frame of the other's."""
    published, own = np.asarray(row["timestamps"]), np.asarray(record.timestamps)
    if len(published) != len(own):
        return False
    tolerance = 0.5 * float(np.diff(own).min()) if len(own) > 1 else 0.5 / record.fps
    return bool((np.abs(published - own) < tolerance).all())


def _same_shape(row: Mapping[str, Any], record: ClipRecord) -> bool:
    """Whether two pictures have the same proportions, but for rounding."""
    return abs(row["width"] * record.height / (row["height"] * record.width) - 1) < _SAME_SHAPE


def _resized(labels: TrackLabels, before: tuple[int, int], after: tuple[int, int]) -> TrackLabels:
    """Labels of the resized picture; cycle errors, which are in pixels, with them."""
    queries = labels.queries.copy()
    queries[:, 1:] = resize_points(labels.queries[:, 1:], before, after)
    cycle = None if labels.cycle_error_px is None else labels.cycle_error_px * np.float32(after[1] / before[1])
    return replace(labels, queries=queries, tracks_px=resize_points(labels.tracks_px, before, after), cycle_error_px=cycle)


def _file(source: str) -> str:
    """File name of a source."""
    return source.rsplit("/", 1)[-1]

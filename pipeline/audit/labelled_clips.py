"""Settings of an audit, and the files about the clips of one labelled shard: index, labels, second labels, screen, tombstones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.audit.calibration import Calibration
from pipeline.audit.stored.screen import ScreenRow, read_screen
from pipeline.audit.verdict import ClipRules
from pipeline.errors import DataError
from pipeline.labels import LabelEntry, LabelShard, read_label_shard
from pipeline.records import TrackLabels
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.tombstones import Tombstones, read_tombstones


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSettings:
    """One audit of one label set."""

    root: str
    audit: str  # name
    label_set: str
    rules: ClipRules
    calibration: Calibration | None  # None: fallback weights
    cycle: str  # as in AuditSet
    second: str | None = None  # label set that gives the second opinion
    screened: bool = False  # whether the screen's verdicts count


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledShard:
    """Tables of one shard, small; tracks are read clip by clip."""

    entries: tuple[ClipEntry, ...]  # in the shard's order
    tombstones: Tombstones
    labels: LabelShard
    second: LabelShard | None
    screen_rows: Mapping[str, ScreenRow] | None  # None: not screened
    stored_cycle: bool

    def label(self, entry: ClipEntry) -> LabelEntry:
        """Labels of the clip in the label file. Raises DataError if it lacks the clip, or is of another video."""
        found = self.labels.entry(entry.key)
        if entry.record is not None:
            self.labels.check_clip(entry.key, entry.record.sha256)
            sizes = ((found.num_frames, found.width, found.height), (entry.record.frames, entry.record.width, entry.record.height))
            if found.status == "ok" and sizes[0] != sizes[1]:
                raise DataError(
                    f"{self.labels.uri}: clip {entry.key}: labels are for (frames, width, height) {sizes[0]}, the clip has {sizes[1]};"
                    " label this shard again"
                )
        return found

    def screen(self, entry: ClipEntry) -> ScreenRow | None:
        """Verdict of the screen on the clip; None without a screen. Raises DataError if it lacks the clip, or saw another video."""
        if self.screen_rows is None:
            return None
        row = self.screen_rows.get(entry.key)
        if row is None:
            raise DataError(f"clip {entry.key} is not in the screen of its shard; delete that file of screen/ and screen again")
        if entry.record is not None and row.clip_sha256 not in (None, entry.record.sha256):
            raise DataError(f"clip {entry.key} was screened on another video; delete the shard's file in screen/ and screen again")
        return row

    def tracks(self, entry: ClipEntry) -> TrackLabels:
        """The clip's labels, with a cycle error only if the stored one is to count. Raises DataError for labels that break the format."""
        labels = self.labels.tracks(entry.key)
        return labels if self.stored_cycle else replace(labels, cycle_error_px=None)

    def second_opinion(self, entry: ClipEntry) -> TrackLabels | None:
        """The other set's labels of the clip; None if there are none. Raises DataError if they are of another video."""
        if self.second is None or self.second.entry(entry.key).status != "ok":
            return None
        if entry.record is not None:
            self.second.check_clip(entry.key, entry.record.sha256)
        return self.second.tracks(entry.key)


def open_labelled_shard(audit: AuditSettings, shard: int) -> LabelledShard:
    """Read the small tables of a shard. Raises StorageError for one that is missing, DataError or FormatError for one that is damaged."""
    root = audit.root
    return LabelledShard(
        entries=tuple(read_index(root, shard)),
        tombstones=read_tombstones(root),
        labels=read_label_shard(root, audit.label_set, shard),
        second=read_label_shard(root, audit.second, shard) if audit.second else None,
        screen_rows={row.key: row for row in read_screen(root, shard)} if audit.screened else None,
        stored_cycle=audit.cycle == "stored",
    )

"""The clips that are looked at, with their labels and what an audit says of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from pipeline import storage
from pipeline.audit.stored.audit_rows import read_audit_shard
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.drawing import TrackColours, TrackStyle, spread_frames
from pipeline.drawing.style import levels, ramp
from pipeline.errors import ConfigError, DataError
from pipeline.labels import read_label_set, read_label_shard
from pipeline.layout import Layout, committed
from pipeline.records import ClipRecord, DepthLabels, Labels, TrackLabels
from pipeline.shards.index import ClipEntry, read_index, read_video
from pipeline.shards.plan import plan_uris, read_plan_columns, read_plan_counts
from pipeline.shards.tombstones import read_tombstones
from pipeline.video.reader import read_clip_frames

SHOWN_KINDS = (TrackLabels.kind, DepthLabels.kind)
MAX_FRAMES = 300  # of a longer clip only so many are drawn: they lie in memory at full size


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Content to be shown: a dataset, with the tracks or the depth of a label set, judged by an audit."""

    root: str
    label_set: str | None = None
    audit: str | None = None


@dataclass(frozen=True, slots=True)
class ShownClip:
    """A clip that was cut, and the shard that it lies in."""

    shard: int
    entry: ClipEntry

    @property
    def record(self) -> ClipRecord:
        """Its record in the shard. Raises DataError if it was not cut."""
        if self.entry.record is None:
            raise DataError(f"clip {self.entry.key} was not cut; see errors/shards")
        return self.entry.record


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedClip:
    """A clip's first frames, with the tracks that begin in them, or their depth."""

    stored: ShownClip
    frames: np.ndarray  # uint8 "T H W 3"
    labels: TrackLabels | None  # of these T frames, N tracks
    depth: DepthLabels | None = None  # of these T frames, where the label set holds depth
    audit: ClipAudit | None = None
    weights: np.ndarray | None = None  # float32 "N", where the audit measured the tracks
    ncc: np.ndarray | None = None  # float32 "T N", likewise

    @property
    def style(self) -> TrackStyle:
        """Tracks coloured by weight where it is known, else by the place of their queries."""
        if self.weights is None:
            return TrackStyle()
        return TrackStyle(colours=TrackColours(table=ramp(), entries=levels(self.weights).astype(int)))


def choose_shown(root: str, label_set: str | None, audit: str | None) -> Shown:
    """Check what was asked for; an audit brings its label set.

    Raises: ConfigError if there is no such dataset, label set or audit, or the audit is of another label set.
    """
    where = storage.absolute(root)
    if not plan_uris(where):
        raise ConfigError(f"{where} holds no plan; make it with jobs/shard.py first, or check --root")
    if audit is not None:
        judged = read_audit_set(where, audit).label_set
        if label_set not in (None, judged):
            raise ConfigError(
                f"audit {audit} judges label set {judged}, not {label_set}; leave --labels away, or name the audit of {label_set}"
            )
        label_set = judged
    if label_set is not None and (kind := read_label_set(where, label_set).kind) not in SHOWN_KINDS:
        raise ConfigError(f"label set {label_set} holds {kind}; drawn are {' and '.join(SHOWN_KINDS)}")
    return Shown(root=where, label_set=label_set, audit=audit)


def find_clip(root: str, key: str) -> ShownClip:
    """The clip of this key. Raises ConfigError if the plan has none, or it was not cut."""
    plan = read_plan_columns(root, ["key", "shard"])
    shards = plan.filter(pc.equal(plan["key"], key))["shard"].to_pylist()
    found = [clip for shard in shards for clip in _clips_of(root, shard) if clip.entry.key == key]
    if not found:
        raise ConfigError(f"no clip {key} under {root}; see the keys in shards/*.parquet")
    return found[-1]  # of a clip that was tried again the later one counts


def spread_clips(root: str, count: int) -> list[ShownClip]:
    """Up to `count` clips, spread evenly over the shards and within each; only as many shards are opened as clips are needed."""
    shards = sorted(committed(storage.join(root, "shards")))
    if not shards:
        raise ConfigError(f"{root} has no shard yet; run jobs/shard.py to the end")
    opened = [shards[place] for place in spread_frames(len(shards), min(count, len(shards)))]
    per_shard = -(-count // len(opened))
    chosen = []
    for shard in opened:
        clips = _clips_of(root, shard)
        chosen += [clips[place] for place in spread_frames(len(clips), min(per_shard, len(clips)))] if clips else []
    if not chosen:
        raise ConfigError(f"no clip of {root} was cut; see errors/shards")
    return chosen[:count]


def choose_clip(root: str, key: str | None) -> ShownClip:
    """The clip of this key, or one from the middle."""
    return find_clip(root, key) if key else spread_clips(root, 1)[0]


def count_planned(root: str) -> int:
    """Clips of the plan."""
    return int(read_plan_counts(root).counts().sum())


def load_clip(shown: Shown, clip: ShownClip) -> LoadedClip:
    """Decode a clip with its labels and audit. Raises DataError if labels or audit are not of this video, or not of these tracks."""
    record = clip.record
    frames = read_clip_frames(
        read_video(shown.root, clip.entry), record, indices=range(min(record.frames, MAX_FRAMES)), threads=0
    )  # fmt: skip
    labels, audit = _labels(shown, clip, len(frames)), _audit(shown, clip)
    if not isinstance(labels, TrackLabels):
        depth = labels if isinstance(labels, DepthLabels) else None
        return LoadedClip(stored=clip, frames=frames, labels=None, depth=depth, audit=audit)
    tracks = None if audit is None else audit.tracks
    if tracks is not None and not np.array_equal(tracks.queries, labels.queries):
        raise DataError(
            f"clip {clip.entry.key}: audit {shown.audit} is of other tracks than label set {shown.label_set} holds now; delete"
            f" {Layout(shown.root).audit_shard(str(shown.audit), clip.shard)} and run jobs/audit.py run again"
        )
    begun = labels.queries[:, 0] < len(frames)
    return LoadedClip(
        stored=clip,
        frames=frames,
        labels=TrackLabels(
            queries=labels.queries[begun],
            tracks_px=labels.tracks_px[: len(frames), begun],
            visibility=labels.visibility[: len(frames), begun],
        ),
        audit=audit,
        weights=None if tracks is None else tracks.weight[begun],
        ncc=None if tracks is None else tracks.ncc[: len(frames), begun],
    )


def _clips_of(root: str, shard: int) -> list[ShownClip]:
    if not storage.exists(Layout(root).shard_index(shard)):
        return []
    tombstones = read_tombstones(root)
    return [ShownClip(shard, entry) for entry in read_index(root, shard) if entry.record is not None and not tombstones.cover(entry)]


def _labels(shown: Shown, clip: ShownClip, num_frames: int) -> Labels | None:
    """The clip's labels; of a dense kind, those of its first frames."""
    key = clip.entry.key
    if shown.label_set is None or not storage.exists(Layout(shown.root).label_shard(shown.label_set, clip.shard)):
        return None
    labelled = read_label_shard(shown.root, shown.label_set, clip.shard)
    if labelled.entry(key).status != "ok":
        return None
    labelled.check_clip(key, clip.record.sha256)
    return labelled.labels(key, frames=range(num_frames))


def _audit(shown: Shown, clip: ShownClip) -> ClipAudit | None:
    if shown.audit is None or not storage.exists(Layout(shown.root).audit_shard(shown.audit, clip.shard)):
        return None
    audited = read_audit_shard(shown.root, shown.audit, clip.shard)
    audited.check_clip(clip.entry.key, clip.record.sha256)
    return audited.whole(clip.entry.key)

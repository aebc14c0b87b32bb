"""Labels as fields of webdataset samples; `join_labels` adds them to samples that a pipeline reads from tars by itself."""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pipeline import storage
from pipeline.audit.stored.audit_rows import AuditShard, read_audit_shard
from pipeline.errors import DataError
from pipeline.labels import LabelShard, is_kind, kind_named, read_label_set, read_label_shard
from pipeline.layout import Layout
from pipeline.records import Labels, TrackLabels
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.source_roots import read_source_roots
from pipeline.shards.tar_headers import readable_key
from pipeline.shards.tombstones import Tombstones, read_tombstones
from pipeline.stream.audits import audited_labels, warn_unjudged
from pipeline.stream.trust import ClipTrust, clip_trust
from pipeline.tables import read_table

_OWN_TAR = re.compile(r"(\d{6,})\.tar")
_TAR_IN_URL = re.compile(r"[^\s'\"]+\.tar")
_KEPT_SHARDS = 4
_WORDS = ("labels.status", "labels.verdict")

Sample = dict[str, Any]


def join_labels(root: str | os.PathLike[str], labelset: str, audit: str | None = None) -> Callable[[Sample], Sample | None]:
    """A callable that adds a label set to samples of `wds.WebDataset`: `.map(join_labels(root, labelset))`.

    For pipelines that read tars by themselves; `pipeline.stream.webdataset_pipeline` makes one that reads clips by their index.

    A sample keeps its own fields and gets these, or None; they are those of the set's kind, of tracks TrackLabels, at the stored
    video's length and size: `labels.queries` "N 3", `labels.tracks_px` "T N 2", `labels.visibility` "T N", `labels.visibility_score`
    "T N", `labels.confidence` "T N", `labels.cycle_error_px` "N"; of tracks3d also `labels.tracks_world` "T N 3" and `labels.scale`; of
    depth DepthLabels: `labels.depth` "T H W", `labels.scale`, `labels.confidence` "T H W"; of flow FlowLabels: `labels.flow` "T H W 2",
    `labels.valid` "T H W", `labels.from_frame` and `labels.to_frame` "T", `labels.confidence` "T H W"; of cameras CameraLabels:
    `labels.camera_to_world` "T 4 4", `labels.pose_valid` "T", `labels.scale`, `labels.intrinsics` "T 3 3", `labels.reprojection_px` "T".
    And `labels.status`: `ok`, or why there are none (`screened`, `failed`, `quarantined`, or `missing` where the shard is not
    labelled). To keep labelled samples only, add `.select(lambda sample: sample["labels.status"] == "ok")`.

    With the name of an audit there are also `labels.verdict`: `keep`, `quarantine`, `drop`, `error`, or `missing` where the shard is
    not audited; and, for clips with labels that were measured, else None: `labels.weight` "N", `labels.frame_weights` "T N",
    `labels.static_score` "N" and `labels.pose_signal` "T", as ClipSample describes them. Nothing is left out: to train on what the
    audit keeps, add `.select(lambda sample: sample["labels.verdict"] == "keep")`.

    A sample of several videos has these fields per video, with the video's suffix in their name (`labels.0001.mp4.tracks_px`);
    `labels.status` and `labels.verdict` are the one that its videos share, or `mixed`. A tombstoned video is taken out of it.

    A clip is matched by its key and its tar (`__key__` and `__url__`), so that registered tars, whose keys may repeat, work
    like our own. A tombstoned clip gives None, which webdataset's `map` leaves out. Map before shuffling: the labels' metadata
    of a few shards are kept, not of all. The callable may be pickled, and sent to workers.

    Raises: ConfigError for an unknown label set or audit, and for an audit of other labels. When called: DataError for a sample
    that is not of this dataset, for labels that were made on another video, and for an audit of another video or other tracks.
    """
    root = os.fspath(root)
    kind = read_label_set(root, labelset).kind
    if audit is not None:
        audited_labels(root, audit, labelset)
    elif is_kind(kind, TrackLabels.kind):
        warn_unjudged(root, labelset)
    return _Joiner(_Asked(root=root, labels=labelset, kind=kind, audit=audit), read_tombstones(root))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """Labels and weights to be joined."""

    root: str
    labels: str
    kind: str  # of the labels
    audit: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    entries: Mapping[tuple[str, str], Sequence[ClipEntry]]  # by tar and `__key__`: one per video of the sample
    labels: LabelShard | None
    audit: AuditShard | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """A tar, and a shard that has clips in it."""

    tar: str
    shard: int


class _Joiner:
    """Holds the latest few shards, and, once a foreign tar was met, which shards lie in which tar."""

    def __init__(self, asked: _Asked, tombstones: Tombstones) -> None:
        self._asked = asked
        self._root = asked.root
        self._tombstones = tombstones
        self._latest: OrderedDict[int, _Shard] = OrderedDict()
        self._places: dict[str, list[_Place]] | None = None
        self._tar: str | None = None  # of the sample before, and where its clips are listed
        self._tar_places: list[_Place] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return _Joiner, (self._asked, self._tombstones)

    def __call__(self, sample: Sample) -> Sample | None:
        found = self._find(sample["__url__"], readable_key(sample["__key__"]))
        shown = [clip for clip in found if not self._tombstones.cover(clip.entry)]
        if not shown:
            return None
        if len(found) == 1:
            return {**sample, **self._joined(found[0])}
        hidden = {_suffix(clip.entry) for clip in found} - {_suffix(clip.entry) for clip in shown}
        of_video = {_suffix(clip.entry): self._joined(clip) for clip in shown}
        named = {f"labels.{suffix}.{name[7:]}": value for suffix, joined in of_video.items() for name, value in joined.items()}
        together = {
            name: _shared([joined[name] for joined in of_video.values()]) for name in _WORDS if name in next(iter(of_video.values()))
        }
        return {**{name: value for name, value in sample.items() if name not in hidden}, **together, **named}

    def _joined(self, found: "_Found") -> Sample:
        """The fields of one clip."""
        audited = self._asked.audit is not None
        return label_fields(found.entry, found.labels, found.audit, kind=self._asked.kind, audited=audited)

    def _find(self, url: str, key: str) -> "list[_Found]":
        tars = _TAR_IN_URL.findall(url)
        tar = tars[-1].removeprefix("file:") if tars else url
        if tar != self._tar:
            self._tar, self._tar_places = tar, self._places_of(tar)
        found = []
        for place in self._tar_places:
            shard = self._shard(place.shard)
            if (place.tar, key) in shard.entries:
                entries = shard.entries[place.tar, key]
                found.append([_Found(entry=entry, labels=shard.labels, audit=shard.audit) for entry in entries])
        if len(found) != 1:
            known = f"{len(found)} clips of this name in tars of this name" if found else "no such clip"
            raise DataError(f"{url}: sample {key}: {known} in {self._root}; read the tars that this dataset lists, by the same paths")
        return found[0]

    def _places_of(self, tar: str) -> list[_Place]:
        """Index places of a tar's clips. A tar read through another path or URL is known by its file name."""
        name = tar.rsplit("/", 1)[-1]
        own = _OWN_TAR.fullmatch(name)
        if own and storage.exists(Layout(self._root).shard_index(int(own[1]))):
            place = _Place(tar=name, shard=int(own[1]))
            if any(of_tar == name for of_tar, _ in self._shard(place.shard).entries):
                return [place]
        if self._places is None:
            self._places = _list_places(self._root)
        places = self._places.get(name, [])
        return [place for place in places if storage.absolute(place.tar) == storage.absolute(tar)] or places

    def _shard(self, number: int) -> _Shard:
        found = self._latest.pop(number, None) or self._read(number)
        self._latest[number] = found
        if len(self._latest) > _KEPT_SHARDS:
            self._latest.popitem(last=False)
        return found

    def _read(self, number: int) -> _Shard:
        entries: dict[tuple[str, str], list[ClipEntry]] = {}
        for entry in read_index(self._root, number):
            entries.setdefault((entry.tar, entry.sample_key), []).append(entry)
        layout, labels, audit = Layout(self._root), self._asked.labels, self._asked.audit
        labelled = storage.exists(layout.label_shard(labels, number))
        audited = audit is not None and storage.exists(layout.audit_shard(audit, number))
        return _Shard(
            entries=entries,
            labels=read_label_shard(self._root, labels, number) if labelled else None,
            audit=read_audit_shard(self._root, audit, number) if audit is not None and audited else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    entry: ClipEntry
    labels: LabelShard | None
    audit: AuditShard | None


def label_fields(entry: ClipEntry, labels: LabelShard | None, audit: AuditShard | None, *, kind: str, audited: bool) -> Sample:
    """The fields of one clip that `join_labels` describes.

    Args:
        labels, audit: of the clip's shard; None where it has none.
        kind: of the label set that was asked for.
        audited: whether an audit was asked for.
    Raises: DataError for labels that were made on another video, and for an audit of another video or other tracks.
    """
    found = _Found(entry=entry, labels=labels, audit=audit)
    status, read = _status_and_labels(found)
    arrays = {f"labels.{field.name}": getattr(read, field.name, None) for field in fields(kind_named(kind).record)}
    judged = _judged(found, read) if audited else {}
    return {"labels.status": status, **arrays, **judged}


def _suffix(entry: ClipEntry) -> str:
    """The video's suffix in its sample, in small letters as webdataset gives it: of a sample of several videos."""
    return entry.source.rpartition(f"{entry.sample_key}.")[2].lower()


def _shared(words: Sequence[str]) -> str:
    return words[0] if len(set(words)) == 1 else "mixed"


def _status_and_labels(found: _Found) -> tuple[str, Labels | None]:
    record, shard = found.entry.record, found.labels
    if record is None or shard is None:
        return "failed" if record is None else "missing", None
    status = shard.entry(found.entry.key).status
    if status != "ok":
        return status, None
    shard.check_clip(found.entry.key, record.sha256)
    return status, shard.labels(found.entry.key)


def _judged(found: _Found, labels: Labels | None) -> dict[str, Any]:
    """Fields of a sample from the audit."""
    key, audit, record = found.entry.key, found.audit, found.entry.record
    verdict = "missing" if audit is None else audit.clip(key).verdict.decision
    trust = None
    if audit is not None and record is not None and isinstance(labels, TrackLabels) and verdict != "error":
        audit.check_clip(key, record.sha256)
        trust = clip_trust(audit, key, labels)
    return {"labels.verdict": verdict, **{f"labels.{field.name}": getattr(trust, field.name, None) for field in fields(ClipTrust)}}


def _list_places(root: str) -> dict[str, list[_Place]]:
    """All tars of a dataset by file name, from one column of every shard's index."""
    places: dict[str, list[_Place]] = {}
    roots = read_source_roots(root)
    for uri in storage.glob(storage.join(root, "shards", "*.parquet")):
        for tar in map(roots.resolve, read_table(uri, "shard", ["tar"])["tar"].unique().to_pylist()):
            shard = int(uri.rsplit("/", 1)[-1].removesuffix(".parquet"))
            places.setdefault(tar.rsplit("/", 1)[-1], []).append(_Place(tar=tar, shard=shard))
    return places

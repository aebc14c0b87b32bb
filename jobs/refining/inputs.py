"""A clip as a refinement takes it: tracks, depth where they run, cameras to start from, and which tracks stand still."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar, get_args

import numpy as np
import torch

from jobs.labeling.outcome import NOT_CUT, Unlabelled
from pipeline.audit.stored.audit_rows import AuditShard, read_audit_shard
from pipeline.audit.tracks.static_gate import STATIC_SCORE
from pipeline.errors import DataError
from pipeline.labels import LabelShard, read_label_shard
from pipeline.records import CameraLabels, ClipRecord, DepthLabels, Labels, TrackLabels
from pipeline.records.fields import stored_shapes
from pipeline.records.labels import DepthScale
from pipeline.records.npz import read_npz
from pipeline.shards.index import ARRAYS, ClipEntry, read_member, tar_uri
from pipeline.shards.tombstones import read_tombstones
from pipeline.stream import StreamConfig
from pipeline.stream.clip_arrays import is_withheld
from pipeline.stream.trust import clip_trust
from trainer.geometry.static_tracks import sample_depth, static_by_mask

StaticName = Literal["audit", "not-moving", "mask", "displacement", "off"]
STATIC: tuple[StaticName, ...] = get_args(StaticName)
BY_AUDIT: tuple[StaticName, ...] = ("audit", "not-moving")  # gates that ask an audit

_FRAMES_AT_ONCE = 32  # of depth, that lie in memory together
_REMEMBERED = 2  # shards in a worker's hands
_FIELDS = ("intrinsics", "camera_to_world", "pose_valid", "dynamic_mask")

L = TypeVar("L", TrackLabels, DepthLabels, CameraLabels)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSets:
    """Names of what is read."""

    root: str
    tracks: str
    depth: str
    cameras: str | None  # None: the clips' own cameras
    audit: str | None  # of the tracks
    static: StaticName = "audit"

    @property
    def label_sets(self) -> tuple[str, ...]:
        """The label sets."""
        return tuple(name for name in (self.tracks, self.depth, self.cameras) if name is not None)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipInputs:
    """T frames, N tracks; pixels of the stored clip."""

    tracks: TrackLabels
    weights: np.ndarray  # float32 "N": 0 where a track does not count, because it moves or is not trusted
    depth: np.ndarray  # float64 "T N", at the tracks; 0 where unknown
    depth_scale: DepthScale
    cameras: CameraLabels
    size: tuple[int, int]  # (H, W)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    labels: tuple[LabelShard, ...]  # in the order of InputSets.label_sets
    audit: AuditShard | None


class InputReader:
    """Reads clips; may be asked from several threads."""

    def __init__(self, sets: InputSets) -> None:
        self._sets = sets
        self._tombstones = read_tombstones(sets.root)
        self._shard = lru_cache(maxsize=_REMEMBERED)(self._open)

    def left_out(self, number: int, entry: ClipEntry) -> Unlabelled | None:
        """Why nothing is made of a clip, known without its labels; None if it is to be refined."""
        if self._tombstones.cover(entry):
            return Unlabelled(status="screened", reason="tombstoned")
        if entry.record is None:
            return Unlabelled(status="failed", reason=NOT_CUT)
        shard = self._shard(number)
        for name, labels in zip(self._sets.label_sets, shard.labels, strict=True):
            found = labels.entry(entry.key)
            if found.status != "ok":
                reason = f"no {labels.kind} in {name}: {found.status}{f' ({found.error})' if found.error else ''}"
                return Unlabelled(status="screened", reason=reason)
        verdict = None if shard.audit is None else shard.audit.clip(entry.key).verdict
        if verdict is not None and verdict.decision != "keep":
            return Unlabelled(status="screened", reason=f"the audit says {verdict.decision}: {', '.join(verdict.reasons)}")
        return None

    def read(self, number: int, entry: ClipEntry) -> ClipInputs:
        """A clip that is not left out. Raises: DataError if its labels do not fit it or each other, or a clip's own arrays are lacking."""
        record = entry.record
        assert record is not None, "a clip that was not cut is left out"
        shard = self._shard(number)
        for labels in shard.labels:
            labels.check_clip(entry.key, record.sha256)
        own = self._own_arrays(entry, record)
        tracks = _of_kind(shard.labels[0].labels(entry.key), TrackLabels)
        depth, scale = _depth_at(shard.labels[1], entry.key, tracks)
        return ClipInputs(
            tracks=tracks,
            weights=self._weights(shard.audit, entry, record, tracks, own.get("dynamic_mask")),
            depth=depth,
            depth_scale=scale,
            cameras=self._cameras(shard, entry, record, own),
            size=(record.height, record.width),
        )

    def _open(self, number: int) -> _Shard:
        sets = self._sets
        return _Shard(
            labels=tuple(read_label_shard(sets.root, name, number) for name in sets.label_sets),
            audit=None if sets.audit is None else read_audit_shard(sets.root, sets.audit, number),
        )

    def _own_arrays(self, entry: ClipEntry, record: ClipRecord) -> dict[str, np.ndarray]:
        """The clip's own cameras, and its mask of what moves if that is the gate; truth that is for evaluation stays on disk."""
        member = entry.member(ARRAYS)
        if member is None or is_withheld(StreamConfig(root=self._sets.root), record):
            return {}
        names = _FIELDS if self._sets.static == "mask" else _FIELDS[:-1]
        shapes = stored_shapes(frames=record.frames, height=record.height, width=record.width)
        return read_npz(
            read_member(self._sets.root, entry, member), names, shapes=shapes, what=f"{ARRAYS} in {tar_uri(self._sets.root, entry)}",
            remedy="make the dataset again",
        )  # fmt: skip

    def _weights(
        self, audit: AuditShard | None, entry: ClipEntry, record: ClipRecord, tracks: TrackLabels, moving: np.ndarray | None
    ) -> np.ndarray:
        weights = np.ones(len(tracks.queries), np.float32)
        if audit is not None:
            audit.check_clip(entry.key, record.sha256)
            trust = clip_trust(audit, entry.key, tracks)
            if trust is None:
                raise DataError(f"{audit.uri}: it keeps the clip, but measured no track of it; run jobs/audit.py run again")
            weights = trust.weight
            if self._sets.static == "audit":
                weights = np.where(trust.static_score >= STATIC_SCORE, weights, np.float32(0))  # unknown is not static
            if self._sets.static == "not-moving":
                weights = np.where(trust.static_score < STATIC_SCORE, np.float32(0), weights)  # nor is it moving
        if self._sets.static == "mask":
            if moving is None:
                raise DataError("the clip has no dynamic_mask to tell by what moves; choose another --static")
            static = static_by_mask(*map(torch.from_numpy, (moving.astype(bool), tracks.tracks_px, tracks.visibility)))
            weights = np.where(static.numpy(), weights, np.float32(0))
        return weights

    def _cameras(self, shard: _Shard, entry: ClipEntry, record: ClipRecord, own: dict[str, np.ndarray]) -> CameraLabels:
        """Cameras to start from; where a label set knows no intrinsics, the clip's own are taken."""
        intrinsics = own["intrinsics"].astype(np.float32) if "intrinsics" in own else None
        if self._sets.cameras is not None:
            found = _of_kind(shard.labels[2].labels(entry.key), CameraLabels)
            return CameraLabels(
                camera_to_world=found.camera_to_world,
                pose_valid=found.pose_valid,
                scale=found.scale,
                intrinsics=intrinsics if found.intrinsics is None else found.intrinsics,
            )
        if "camera_to_world" not in own:
            raise DataError("the clip has no cameras to start from; name a label set of cameras with --labels")
        return CameraLabels(
            camera_to_world=own["camera_to_world"].astype(np.float32),
            pose_valid=own.get("pose_valid", np.ones(record.frames, bool)),
            scale="metric" if record.is_metric else "relative",
            intrinsics=intrinsics,
        )


def _depth_at(shard: LabelShard, key: str, tracks: TrackLabels) -> tuple[np.ndarray, DepthScale]:
    """Depth at the tracks, "T N", read a few frames at a time; and its scale."""
    parts, scale = [], None
    for frames in _blocks(len(tracks.tracks_px)):
        labels = _of_kind(shard.labels(key, frames=frames), DepthLabels)
        scale = labels.scale
        pixels = torch.from_numpy(tracks.tracks_px[frames.start : frames.stop])
        parts.append(sample_depth(torch.from_numpy(labels.depth), pixels).numpy())
    if scale is None or scale == "inverse":
        raise DataError(f"its depth is {scale or 'of no frame'}, so that points cannot be lifted; label depth that is metric or relative")
    return np.concatenate(parts), scale


def _blocks(num_frames: int) -> Iterator[range]:
    return (range(first, min(first + _FRAMES_AT_ONCE, num_frames)) for first in range(0, num_frames, _FRAMES_AT_ONCE))


def _of_kind(labels: Labels, record: type[L]) -> L:
    if not isinstance(labels, record):
        raise DataError(f"labels of kind {labels.kind}, expected {record.kind}; label this shard again")
    return labels

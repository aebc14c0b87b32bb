"""A small dataset on disk, made by hand: tars of tiny videos whose frames tell their own number."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import StaticPair, measure_names
from pipeline.audit.stored.audit_set import AuditSet, claim_audit
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.verdict import verdict_of
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, Member, read_index, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from tests.audited_clips import write_audit_shard

FPS = 10
GREY_STEP = 8  # frame t is grey of level 40 + 8 t


def encode(frames: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "1", "preset": "ultrafast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def numbered_frames(num_frames: int) -> np.ndarray:
    levels = 40 + GREY_STEP * np.arange(num_frames)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, 24, 32, 3)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What to write. Clip c of shard s has the key `s{s}c{c}`."""

    num_clips: Sequence[int] = (3, 2, 4, 1)  # of each shard
    extra: Mapping[str, str] = field(default_factory=dict)
    num_frames: int | Mapping[str, int] = 6
    failed: frozenset[str] = frozenset()
    uncommitted: frozenset[int] = frozenset()
    val: frozenset[str] = frozenset()  # keys in the split `val`; the others are in `train`
    videos: Mapping[str, np.ndarray] = field(default_factory=dict)  # frames, where they are not the numbered ones
    arrays: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    is_metric: bool = False

    def keys(self, shard: int) -> list[str]:
        return [f"s{shard}c{clip}" for clip in range(self.num_clips[shard])]

    def split(self, key: str) -> str:
        return "val" if key in self.val else "train"


def _source_id(key: str) -> str:
    return f"source-of-{key}"


def _video(dataset: Dataset, key: str, cache: dict[int, bytes]) -> tuple[bytes, np.ndarray]:
    if key in dataset.videos:
        return encode(dataset.videos[key]), dataset.videos[key]
    num_frames = dataset.num_frames if isinstance(dataset.num_frames, int) else dataset.num_frames[key]
    frames = numbered_frames(num_frames)
    if num_frames not in cache:
        cache[num_frames] = encode(frames)
    return cache[num_frames], frames


def _record(dataset: Dataset, key: str, data: bytes, frames: np.ndarray) -> ClipRecord:
    return ClipRecord(
        key=key, source=f"{key}.mp4", source_id=_source_id(key), split=dataset.split(key), license="CC0", codec="h264", video="h264",
        start_s=1.0, end_s=1.0 + len(frames) / FPS, fps=FPS, frames=len(frames), height=frames.shape[1], width=frames.shape[2],
        sha256=hashlib.sha256(data).hexdigest(), timestamps=tuple(1.0 + t / FPS for t in range(len(frames))),
        is_metric=dataset.is_metric, pose_source="gt" if dataset.is_metric else None, extra={"caption": f"clip {key}", **dataset.extra},
    )  # fmt: skip


def _write_shard(root: Path, dataset: Dataset, shard: int, cache: dict[int, bytes]) -> None:
    entries, places, tar = [], {}, root / "shards" / f"{shard:06d}.tar"
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as file:
        for key in dataset.keys(shard):
            common = {"key": key, "sample_key": key, "tar": tar.name, "source": f"{key}.mp4", "source_id": _source_id(key)}
            common |= {"split": dataset.split(key), "license": "CC0"}
            if key in dataset.failed:
                entries.append(ClipEntry(**common))
                continue
            data, frames = _video(dataset, key, cache)
            members = {"mp4": data}
            if key in dataset.arrays:
                npz = io.BytesIO()
                np.savez_compressed(npz, **dataset.arrays[key])
                members["arrays.npz"] = npz.getvalue()
            for name, content in members.items():
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(content)
                places[name] = Member(name=name, offset=file.offset + tarfile.BLOCKSIZE, length=len(content))
                file.addfile(info, io.BytesIO(content))
            entries.append(ClipEntry(**common, members=tuple(places[name] for name in members), record=_record(dataset, key, data, frames)))
    write_index(str(root), shard, entries)


@pytest.fixture(name="make_root")
def _make_root(tmp_path: Path) -> Callable[..., str]:
    """make_root(**fields of Dataset) -> root."""

    def make(name: str = "root", **what: Any) -> str:
        dataset, root, cache = Dataset(**what), tmp_path / name, {}
        planned = (
            PlannedClip(shard=shard, key=key, source=key, source_uri=key, source_id=_source_id(key), split=dataset.split(key))
            for shard in range(len(dataset.num_clips))
            for key in dataset.keys(shard)
        )
        shutil.rmtree(root, ignore_errors=True)
        write_plan(str(root), planned)
        for shard in range(len(dataset.num_clips)):
            if shard not in dataset.uncommitted:
                _write_shard(root, dataset, shard, cache)
        return str(root)

    return make


def clip_labels(record: ClipRecord) -> TrackLabels:
    """Three tracks: track n is at (n + t, 2 n) in frame t; it is hidden in frame n, and was started there."""
    t, n = np.meshgrid(np.arange(record.frames), np.arange(3), indexing="ij")
    tracks = np.stack([n + t, 2 * n], -1).astype(np.float32)
    queries = np.stack([np.arange(3), tracks[[0, 1, 2], [0, 1, 2], 0], tracks[[0, 1, 2], [0, 1, 2], 1]], 1).astype(np.float32)
    return TrackLabels(queries=queries, tracks_px=tracks, visibility=t != n, confidence=np.full(t.shape, 0.6, np.float32))


@pytest.fixture(name="label")
def _label() -> Callable[..., str]:
    """label(root, shards, bad={key: status}, sha256=None) -> name of the label set."""

    def write(root: str, shards: Sequence[int], *, bad: Mapping[str, str] | None = None, sha256: str | None = None) -> str:
        label_set = LabelSet(labeler="by-hand", configuration={})
        write_label_set(root, label_set)
        for shard in shards:
            rows = []
            for entry in read_index(root, shard):
                record, status = entry.record, (bad or {}).get(entry.key, "ok")
                if record is None:
                    rows.append(LabelRow(key=entry.key, status="failed", error="no video"))
                elif status != "ok":
                    rows.append(LabelRow(key=entry.key, status=status, error="because"))
                else:
                    size = {"num_frames": record.frames, "width": record.width, "height": record.height}
                    labels = clip_labels(record)
                    rows.append(LabelRow(key=entry.key, status="ok", labels=labels, clip_sha256=sha256 or record.sha256, **size))
            write_label_shard(root, label_set.name, shard=shard, rows=rows)
        return label_set.name

    return write


NCC = 0.4, 1.0  # of the tracks in even and in odd frames; half of the weight, and all of it
WEIGHT = (0.5, 1.0, 0.0)
STATIC = (0.9, 0.1, np.nan)


def track_audit(labels: TrackLabels) -> TrackAudit:
    """The three tracks of `clip_labels`: weights, scores and likeness as above; the camera is known in frames 0 to 2 alone."""
    T, N = labels.visibility.shape
    unknown = {name: np.full(N, np.nan, np.float32) for name in measure_names()}
    return TrackAudit(
        queries=labels.queries,
        weight=np.array(WEIGHT, np.float32),
        bad_probability=None,
        contract_error=np.zeros(N, bool),
        collapsed=np.zeros(N, bool),
        speed_px=np.ones(N, np.float32),
        measures={**unknown, "static_score": np.array(STATIC, np.float32)},
        ncc=np.repeat(np.where(np.arange(T) % 2, NCC[1], NCC[0]).astype(np.float32)[:, None], N, axis=1),
        static_pairs=(
            StaticPair(start=0, end=2, model="homography", num_candidates=40, static_inlier_ratio=0.3, parallax_px=1.0),
            StaticPair(start=4, end=5, model="homography", num_candidates=40, static_inlier_ratio=0.2, parallax_px=1.0),
        ),
    )


CLIP_MEASURES = ClipMeasures(**{each.name: 3 if each.type is int else 0.5 for each in fields(ClipMeasures)})


@pytest.fixture(name="audit")
def _audit() -> Callable[..., str]:
    """audit(root, labels, shards, reasons={key: [...]}, name=None, sha256=None, queries=None, measured=True) -> name of the audit."""

    def write(
        root: str,
        labels: str,
        shards: Sequence[int],
        *,
        reasons: Mapping[str, Sequence[str]] | None = None,
        name: str | None = None,
        sha256: str | None = None,
        queries: np.ndarray | None = None,
        measured: bool = True,
    ) -> str:
        name = name or labels
        common = {"labeler": "by-hand", "checkpoint_sha256": None, "measures": "m", "weights": "w", "rules": {}, "screen": None}
        claim_audit(root, AuditSet(name=name, label_set=labels, calibration=None, cycle="none", **common))
        for shard in shards:
            clips = []
            for entry in read_index(root, shard):
                verdict = verdict_of((reasons or {}).get(entry.key, []))
                error = "because" if verdict.decision == "error" else None
                judged = {"key": entry.key, "verdict": verdict, "error": error}
                if entry.record is None or error or not measured:
                    clips.append(ClipAudit(**judged))
                    continue
                tracks = track_audit(clip_labels(entry.record))
                tracks = tracks if queries is None else replace(tracks, queries=queries)
                size = {"num_frames": entry.record.frames, "clip_sha256": sha256 or entry.record.sha256}
                clips.append(ClipAudit(**judged, **size, measures=CLIP_MEASURES, tracks=tracks))
            write_audit_shard(root, name, shard, clips)
        return name

    return write


@pytest.fixture(name="make_truth")
def _make_truth() -> Callable[[], dict[str, np.ndarray]]:
    """make_truth() -> arrays of a clip of six numbered frames: depth and cameras."""
    return lambda: {"depth": np.ones((6, 24, 32), np.float16), "camera_to_world": np.tile(np.eye(4, dtype=np.float32), (6, 1, 1))}

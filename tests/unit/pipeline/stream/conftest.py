"""A small dataset on disk, made by hand: tars of tiny videos whose frames tell their own number."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, Member, read_index, write_index
from pipeline.shards.plan import PlannedClip, write_plan

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
        is_metric=dataset.is_metric, pose_source="gt" if dataset.is_metric else None, extra={"caption": f"clip {key}"},
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

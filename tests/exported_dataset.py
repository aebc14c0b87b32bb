"""A dataset whose truth is known in closed form, to be exported: a camera slides along a painted wall; labels and audits by hand."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.audit.stored.audit_set import AuditSet, claim_audit
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, read_index, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tar import ShardWriter, TarSample, arrays_npz
from pipeline.tables import document_bytes
from tests.audited_clips import clip_of, tracks_of, write_audit_shard

T, H, W = 6, 32, 48
FOCAL, WALL_M, STEP_M = 40.0, 2.0, 0.05  # a point of the wall moves by -1 px a frame
CENTRE = (W - 1) / 2, (H - 1) / 2
LABELLED = LabelSet(labeler="by-hand", configuration={}, license="CC BY-NC 4.0", checkpoint_sha256="c" * 64)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip to write. `s0c1` is clip 1 of shard 0."""

    key: str
    split: str = "train"
    license: str | None = "CC-BY-4.0"
    truth: bool = True
    cut: bool = True
    source: str | None = None
    start_s: float = 0.0
    size: tuple[int, int] = (H, W)
    mp4: bool = False  # an encoded video instead of PNG files, which give the frames exactly
    url: str | None = None


def frames_of(key: str, size: tuple[int, int] = (H, W)) -> np.ndarray:
    """uint8 "T H W 3", smooth, and different in every clip and frame."""
    coarse = np.random.default_rng(list(key.encode())).integers(0, 255, (T, 4, 6, 3)).astype(np.uint8)
    return np.stack([cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR) for picture in coarse])


def start_px() -> np.ndarray:
    """float32 "N 2": places of twelve points in frame 0, to a quarter of a pixel."""
    x, y = np.meshgrid(np.arange(2.25, W, 12), np.arange(3.5, H, 10))
    return np.stack([x.ravel(), y.ravel()], -1).astype(np.float32)


def truth_of() -> dict[str, np.ndarray]:
    """Arrays of a clip: the camera moves right by STEP_M a frame, and looks straight at the wall."""
    start = start_px()
    step = np.stack([np.arange(T) * -STEP_M * FOCAL / WALL_M, np.zeros(T)], -1).astype(np.float32)
    tracks = start[None] + step[:, None]
    world = np.concatenate([(start - CENTRE) / FOCAL * WALL_M, np.full((len(start), 1), WALL_M)], -1)
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, 0, 3] = STEP_M * np.arange(T)
    return {
        "intrinsics": np.tile(np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]], np.float32), (T, 1, 1)),
        "camera_to_world": poses.astype(np.float32),
        "pose_valid": np.ones(T, bool),
        "depth": np.full((T, H, W), WALL_M, np.float32),
        "tracks2d": tracks,
        "tracks3d": (world[None] - poses[:, None, :3, 3]).astype(np.float32),
        "tracks3d_world": np.tile(world, (T, 1, 1)).astype(np.float32),
        "visibility": (tracks[..., 0] >= -0.5) & (np.arange(len(start)) % 4 != np.arange(T)[:, None] - 2),
        "track_valid": np.ones(tracks.shape[:2], bool),
        "query_frame": (np.arange(len(start)) % 2).astype(np.int32),
    }


def write_root(root: Path, clips: Sequence[Clip]) -> str:
    """Write plan, tars and indices; clips of one shard in the order given."""
    keys = {clip.key: int(clip.key[1]) for clip in clips}
    write_plan(
        str(root),
        (
            PlannedClip(
                shard=keys[clip.key], key=clip.key, source=_source(clip), source_uri=_source(clip), source_id=_id(clip), split=clip.split
            )
            for clip in clips
        ),
    )
    (root / "shards").mkdir(parents=True, exist_ok=True)
    for shard in sorted(set(keys.values())):
        entries = []
        with ShardWriter(root / "shards" / f"{shard:06d}.tar") as writer:
            for clip in (clip for clip in clips if keys[clip.key] == shard):
                entry = ClipEntry(
                    key=clip.key, sample_key=clip.key, tar=f"{shard:06d}.tar", source=_source(clip), source_id=_id(clip), split=clip.split,
                    license=clip.license,
                )  # fmt: skip
                entries.append(writer.add(entry, _sample(clip)) if clip.cut else entry)
        write_index(str(root), shard, writer.located(entries))
    return str(root)


def _source(clip: Clip) -> str:
    return clip.source or f"walks/{clip.key}.mp4"


def _id(clip: Clip) -> str:
    return f"id-of-{_source(clip)}"


def _sample(clip: Clip) -> TarSample:
    frames = frames_of(clip.key, clip.size)
    images = tuple(cv2.imencode(".png", frame[..., ::-1])[1].tobytes() for frame in frames)
    video = encoded(frames) if clip.mp4 else images
    record = ClipRecord(
        key=clip.key, source=_source(clip), source_id=_id(clip), split=clip.split, license=clip.license, start_s=clip.start_s,
        end_s=clip.start_s + T / 10, fps=10.0, frames=T, width=clip.size[1], height=clip.size[0], codec="h264" if clip.mp4 else "png",
        video="h264" if clip.mp4 else "images", sha256=hashlib.sha256(video if isinstance(video, bytes) else b"".join(images)).hexdigest(),
        timestamps=tuple(clip.start_s + t / 10 for t in range(T)), is_metric=clip.truth, pose_source="gt" if clip.truth else None,
        extra={"url": clip.url} if clip.url else {},
    )  # fmt: skip
    arrays = arrays_npz(truth_of()) if clip.truth else None
    return TarSample(record=record, video=video, document=document_bytes(record.document(), "clip"), arrays=arrays)


def encoded(frames: np.ndarray) -> bytes:
    """An mp4 file of frames "T H W 3"."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def labels_of(key: str) -> TrackLabels:
    """Twelve tracks of a clip, in sixteenths of a pixel, which the files hold exactly; track 0 leaves the image, and is hidden there."""
    number = int(key[3:])
    tracks = start_px()[None] + np.arange(T, dtype=np.float32)[:, None, None] * np.array([-1.0625, 0.125 * (number + 1)], np.float32)
    visible = (tracks[..., 0] >= -0.5) & (np.arange(12)[None] % 5 != np.arange(T)[:, None] - 1)
    return TrackLabels(queries=np.column_stack([np.zeros(12), tracks[0]]).astype(np.float32), tracks_px=tracks, visibility=visible)


def label(root: str, shards: Sequence[int] = (0,), *, failed: Sequence[str] = ()) -> str:
    """Write the label set; returns its name."""
    write_label_set(root, LABELLED)
    for shard in shards:
        rows = []
        for entry in read_index(root, shard):
            record = entry.record
            if record is None or entry.key in failed:
                rows.append(LabelRow(key=entry.key, status="failed", error="because"))
                continue
            size = {"num_frames": record.frames, "width": record.width, "height": record.height, "clip_sha256": record.sha256}
            rows.append(LabelRow(key=entry.key, status="ok", labels=labels_of(entry.key), **size))
        write_label_shard(root, LABELLED.name, shard=shard, rows=rows)
    return LABELLED.name


WEIGHTS = np.array([0.0, 0.25, 0.5, 1.0] * 3, np.float32)


def audit(root: str, shards: Sequence[int] = (0,), *, reasons: Mapping[str, tuple[str, ...]] | None = None) -> str:
    """Audit the labels: every clip is kept unless `reasons` say otherwise; weights of the tracks are WEIGHTS."""
    name = LABELLED.name
    common = {"labeler": "by-hand", "checkpoint_sha256": None, "measures": "m", "weights": "w", "rules": {}, "screen": None}
    claim_audit(root, AuditSet(name=name, label_set=name, calibration=None, cycle="none", **common))
    for shard in shards:
        clips = []
        for number, entry in enumerate(read_index(root, shard)):
            if entry.record is None:
                clips.append(clip_of(entry.key, ("not_cut",), error="was not cut"))
                continue
            tracks = tracks_of(12, T, seed=number, queries=labels_of(entry.key).queries, weight=WEIGHTS)
            judged = clip_of(entry.key, (reasons or {}).get(entry.key, ()), tracks=tracks)
            clips.append(replace(judged, clip_sha256=entry.record.sha256, width=entry.record.width, height=entry.record.height))
        write_audit_shard(root, name, shard, clips)
    return name

"""A dataset of filmed points on disk, with sets of tracks, depth and noisy cameras, and an audit that knows the movers."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.audit.records import measure_names
from pipeline.audit.stored.audit_set import AuditSet, claim_audit
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import CameraLabels, ClipRecord, DepthLabels, Labels, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, read_index, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tar import ShardWriter, TarSample, arrays_npz
from pipeline.tables import document_bytes
from tests.audited_clips import clip_of, tracks_of, write_audit_shard
from tests.filmed_points import SIZE, FilmedPoints, film_points

TRACKS = LabelSet(labeler="by-hand", configuration={})
DEPTH = LabelSet(labeler="by-hand", configuration={"depth_scale": "metric"}, kind="depth")
CAMERAS = LabelSet(labeler="by-hand", configuration={"pose_scale": "metric"}, kind="cameras")
SHARDS = (("plain", "uncut", "one"), ("movers", "few", "unlabelled"))


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """A clip, or None of it where it was not cut."""

    key: str
    points: FilmedPoints
    num_movers: int = 0

    @property
    def num_frames(self) -> int:
        return len(self.points.noisy)

    @property
    def cameras(self) -> CameraLabels:
        """The noisy ones."""
        return CameraLabels(
            camera_to_world=self.points.noisy.astype(np.float32),
            pose_valid=np.ones(self.num_frames, bool),
            scale="metric",
            intrinsics=self.points.tracks.intrinsics.numpy().astype(np.float32),
        )

    @property
    def tracks(self) -> TrackLabels:
        points = self.points.tracks
        pixels = points.pixels.numpy().clip(-1000, 1000).astype(np.float32)
        queries = np.column_stack([np.zeros(pixels.shape[1]), pixels[0]]).astype(np.float32)
        return TrackLabels(queries=queries, tracks_px=pixels, visibility=points.seen.numpy())

    @property
    def depth(self) -> DepthLabels:
        """Unknown but around the tracks; where two of them meet the nearer one hides the other."""
        depth = np.zeros((self.num_frames, *SIZE), np.float32)
        points = self.points.tracks
        for frame in range(self.num_frames):
            for track in np.argsort(-points.points[frame, :, 2].numpy(), kind="stable"):
                if points.lifted[frame, track]:
                    x, y = np.floor(points.pixels[frame, track].numpy()).astype(int)
                    depth[frame, max(y, 0) : y + 2, max(x, 0) : x + 2] = points.points[frame, track, 2]
        return DepthLabels(depth=depth, scale="metric")

    @property
    def moving(self) -> np.ndarray:
        """Pixels around the movers, bool "T H W"."""
        moving = np.zeros((self.num_frames, *SIZE), bool)
        for track in range(self.num_movers):
            for frame, (x, y) in enumerate(np.round(self.tracks.tracks_px[:, track]).astype(int)):
                moving[frame, max(y, 0) : y + 1, max(x, 0) : x + 1] = True
        return moving


@cache
def clips() -> dict[str, Filmed]:
    """The clips that were cut, by key."""
    made = {
        "plain": film_points(num_frames=8, num_points=80, seed=1),
        "one": film_points(num_frames=1, num_points=30, seed=2),
        "movers": film_points(num_frames=8, num_points=140, seed=3, movers=70),
        "few": film_points(num_frames=8, num_points=8, seed=4),
        "unlabelled": film_points(num_frames=8, num_points=8, seed=5),
    }
    return {key: Filmed(key=key, points=points, num_movers=70 if key == "movers" else 0) for key, points in made.items()}


def write_root(root: Path, *, own_cameras: bool = True) -> str:
    """Write the clips, with the noisy cameras as their own or without, the three label sets, and an audit of the tracks."""
    plan = [
        PlannedClip(shard=shard, key=key, source=f"{key}.mp4", source_uri=f"{key}.mp4", source_id=key, split="train")
        for shard, keys in enumerate(SHARDS)
        for key in keys
    ]
    write_plan(str(root), iter(plan))
    (root / "shards").mkdir(parents=True, exist_ok=True)
    for shard, keys in enumerate(SHARDS):
        with ShardWriter(root / "shards" / f"{shard:06d}.tar") as writer:
            entries = [_written(writer, shard, key, own_cameras) for key in keys]
        write_index(str(root), shard, writer.located(entries))
    write_labels(root, TRACKS, {key: clip.tracks for key, clip in clips().items() if key != "unlabelled"})
    write_labels(root, DEPTH, {key: clip.depth for key, clip in clips().items()})
    write_labels(root, CAMERAS, {key: clip.cameras for key, clip in clips().items()})
    _write_audit(root)
    return str(root)


def write_labels(root: Path, label_set: LabelSet, labels: dict[str, Labels]) -> str:
    """Write a label set; clips without labels failed. Returns its name."""
    write_label_set(str(root), label_set)
    for shard in range(len(SHARDS)):
        rows = []
        for entry in read_index(str(root), shard):
            record = entry.record
            if record is None or entry.key not in labels:
                rows.append(LabelRow(key=entry.key, status="failed", error="because"))
                continue
            size = {"num_frames": record.frames, "width": record.width, "height": record.height, "clip_sha256": record.sha256}
            rows.append(LabelRow(key=entry.key, status="ok", labels=labels[entry.key], **size))
        write_label_shard(str(root), label_set.name, shard=shard, rows=rows, kind=label_set.kind)
    return label_set.name


def _written(writer: ShardWriter, shard: int, key: str, own_cameras: bool) -> ClipEntry:
    entry = ClipEntry(key=key, sample_key=key, tar=f"{shard:06d}.tar", source=f"{key}.mp4", source_id=key, split="train")
    if key not in clips():
        return entry
    clip = clips()[key]
    images = tuple(cv2.imencode(".png", np.full((*SIZE, 3), number, np.uint8))[1].tobytes() for number in range(clip.num_frames))
    record = ClipRecord(
        key=key, source=f"{key}.mp4", source_id=key, split="train", start_s=0.0, end_s=clip.num_frames / 10, fps=10.0,
        frames=clip.num_frames, width=SIZE[1], height=SIZE[0], codec="png", video="images",
        sha256=hashlib.sha256(b"".join(images)).hexdigest(),
        timestamps=tuple(t / 10 for t in range(clip.num_frames)), pose_source="pseudo" if own_cameras else None, is_metric=own_cameras,
    )  # fmt: skip
    own = clip.cameras
    arrays = {
        "intrinsics": own.intrinsics,
        "camera_to_world": own.camera_to_world,
        "pose_valid": own.pose_valid,
        "dynamic_mask": clip.moving,
    }
    document = document_bytes(record.document(), "clip")
    return writer.add(
        entry, TarSample(record=record, video=images, document=document, arrays=arrays_npz(arrays) if own_cameras else None)
    )  # fmt: skip


def _write_audit(root: Path) -> None:
    common = {"labeler": "by-hand", "checkpoint_sha256": None, "measures": "m", "weights": "w", "rules": {}, "screen": None}
    claim_audit(str(root), AuditSet(name=TRACKS.name, label_set=TRACKS.name, calibration=None, cycle="none", **common))
    for shard in range(len(SHARDS)):
        audited = []
        for entry in read_index(str(root), shard):
            if entry.record is None or entry.key == "unlabelled":
                audited.append(clip_of(entry.key, ("not_cut",), error="no labels"))
                continue
            clip = clips()[entry.key]
            labels = clip.tracks
            num_frames, num_tracks = labels.visibility.shape
            measures = {name: np.ones(num_tracks, np.float32) for name in measure_names()}
            measures["static_score"][: clip.num_movers] = 0.1
            if clip.num_movers:
                measures["static_score"][-10:] = np.nan
            tracks = tracks_of(
                num_tracks, num_frames, queries=labels.queries, weight=np.ones(num_tracks, np.float32), measures=measures
            )  # fmt: skip
            judged = clip_of(entry.key, (), tracks=tracks)
            audited.append(replace(judged, clip_sha256=entry.record.sha256, width=SIZE[1], height=SIZE[0]))
        write_audit_shard(str(root), TRACKS.name, shard, audited)

"""A small labelled dataset on disk, written without any job: clips of PNG files, a tar, an index, a plan, a label set."""

import hashlib
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, Member, write_index
from pipeline.shards.plan import PlannedClip, plan_uris, write_plan

FPS = 30.0


@dataclass(frozen=True, kw_only=True)
class LabelledClip:
    """A clip to write. Without `grey` it was not cut; without `labels` its row has the status."""

    key: str
    grey: np.ndarray | None = None  # uint8 "T H W"
    labels: TrackLabels | None = None
    status: str = "ok"
    license: str | None = None


def write_dataset(root: Path, shards: Sequence[Sequence[LabelledClip]], **label_set: object) -> str:
    """Write everything; returns the label set's name. `label_set` are fields of LabelSet (labeler "by-hand" by default)."""
    described = LabelSet(**{"labeler": "by-hand", "configuration": {}, **label_set})
    planned = [
        PlannedClip(
            shard=number, key=clip.key, source=f"{clip.key}.mp4", source_uri=f"{clip.key}.mp4", source_id=clip.key, split="train",
            num_frames=None if clip.grey is None else len(clip.grey),
        )
        for number, clips in enumerate(shards) for clip in clips
    ]  # fmt: skip
    if not plan_uris(str(root)):  # another label set of the same clips
        write_plan(str(root), iter(planned))
    write_label_set(str(root), described)
    for number, clips in enumerate(shards):
        write_index(str(root), number, _entries(root, number, clips))
        write_labels(root, described.name, number, clips)
    return described.name


def write_labels(root: Path, label_set: str, shard: int, clips: Sequence[LabelledClip]) -> None:
    """Write the label file of one shard anew."""
    write_label_shard(str(root), label_set, shard=shard, rows=[_label_row(clip) for clip in clips])


def _entries(root: Path, shard: int, clips: Sequence[LabelledClip]) -> list[ClipEntry]:
    (root / "shards").mkdir(exist_ok=True)
    entries, members = [], dict[str, list[Member]]()
    with tarfile.open(root / f"shards/{shard:06d}.tar", "w") as tar:
        for clip in clips:
            for name, data in _images(clip).items():
                info = tarfile.TarInfo(f"{clip.key}.{name}")
                info.size = len(data)
                tar.addfile(info, BytesIO(data))
                offset = tar.offset - (-(-len(data) // 512) * 512)
                members.setdefault(clip.key, []).append(Member(name=name, offset=offset, length=len(data)))
    for clip in clips:
        entries.append(
            ClipEntry(
                key=clip.key,
                sample_key=clip.key,
                tar=f"{shard:06d}.tar",
                source=f"{clip.key}.mp4",
                source_id=clip.key,
                split="train",
                license=clip.license,
                members=tuple(members.get(clip.key, ())),
                record=_record(clip),
            )  # fmt: skip
        )
    return entries


def _images(clip: LabelledClip) -> Mapping[str, bytes]:
    frames = [] if clip.grey is None else clip.grey
    return {f"{t:04d}.png": cv2.imencode(".png", cv2.merge([frame] * 3))[1].tobytes() for t, frame in enumerate(frames)}


def _record(clip: LabelledClip) -> ClipRecord | None:
    if clip.grey is None:
        return None
    num_frames, height, width = clip.grey.shape
    return ClipRecord(
        key=clip.key, source=f"{clip.key}.mp4", source_id=clip.key, split="train", license=clip.license, start_s=0.0,
        end_s=num_frames / FPS, fps=FPS, frames=num_frames, width=width, height=height, codec="png", video="images",
        sha256=_sha256(clip), timestamps=tuple(t / FPS for t in range(num_frames)),
    )  # fmt: skip


def _sha256(clip: LabelledClip) -> str:
    return hashlib.sha256(b"".join(_images(clip).values())).hexdigest()


def _label_row(clip: LabelledClip) -> LabelRow:
    if clip.grey is None:
        return LabelRow(key=clip.key, status="failed", error="was not cut")
    num_frames, height, width = clip.grey.shape
    facts = {"clip_sha256": _sha256(clip), "num_frames": num_frames, "width": width, "height": height}
    if clip.labels is None:
        return LabelRow(key=clip.key, status=clip.status, error=None if clip.status == "screened" else "the labeler gave up", **facts)
    return LabelRow(key=clip.key, status="ok", labels=clip.labels, **facts)

"""A tiny audited dataset on disk, made by hand: four clips of a moving texture, one shard, some strings that would like to be markup."""

import hashlib
import io
import tarfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import measure_names
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.summing.records import AuditSummary, ClipBrief, GateCheck, GateResult, Histogram, ShardSummary, WeightMass
from pipeline.audit.verdict import verdict_of
from pipeline.audit.weights import FALLBACK_VERSION
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, Member, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from tests.audited_clips import write_audit_shard

FPS, T, H, W = 12, 24, 48, 64
HOSTILE = "<img src=x onerror=alert(1)>"
LABELS = LabelSet(labeler="by-hand", configuration={"options": {"text": "it's"}, "queries": {"policy": "grid", "num_queries": 5}})
WEIGHT = np.array([0.2, 1.0, 0.0, 0.6, 0.4], np.float32)
REASONS = {"good": (), **dict.fromkeys(("poor", "poorer", "poorest"), ("few_tracks", "flicker"))}


def video() -> bytes:
    rng = np.random.default_rng(3)
    scene = cv2.resize(rng.integers(0, 255, (6, 10, 3)).astype(np.uint8), (W + T, H), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "12", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt, stream.thread_count = H, W, "yuv420p", 1
        for t in range(T):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(scene[:, t : t + W]), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def tracks() -> TrackLabels:
    """Five tracks that move left by a pixel per frame; track 2 is hidden from frame 12 on."""
    start = np.array([[40, 10], [44, 20], [48, 30], [52, 40], [56, 24]], np.float32)
    path = start - np.arange(T, dtype=np.float32)[:, None, None] * np.array([1, 0], np.float32)
    visibility = np.ones((T, 5), bool)
    visibility[12:, 2] = False
    return TrackLabels(queries=np.column_stack([np.zeros(5, np.float32), start]), tracks_px=path, visibility=visibility)


def track_audit(labels: TrackLabels) -> TrackAudit:
    num = len(labels.queries)
    return TrackAudit(
        queries=labels.queries,
        weight=WEIGHT,
        bad_probability=None,
        contract_error=np.zeros(num, bool),
        collapsed=np.zeros(num, bool),
        speed_px=np.ones(num, np.float32),
        measures={name: np.full(num, np.nan, np.float32) for name in measure_names()},
        ncc=np.full((T, num), 0.9, np.float32),
    )


def clip_measures(**known: Any) -> ClipMeasures:
    values = {each.name: 5 if each.type is int else 0.5 for each in fields(ClipMeasures)}
    return ClipMeasures(**{**values, **known})


def record(key: str, data: bytes) -> ClipRecord:
    return ClipRecord(
        key=key, source=f"{HOSTILE}.mp4", source_id=key, split="train", license=HOSTILE, codec="h264", video="h264", start_s=1.0,
        end_s=1.0 + T / FPS, fps=FPS, frames=T, height=H, width=W, sha256=hashlib.sha256(data).hexdigest(),
        timestamps=tuple(1.0 + t / FPS for t in range(T)),
    )  # fmt: skip


def write_shard(root: Path, data: bytes) -> None:
    entries, tar = [], root / "shards" / "000000.tar"
    tar.parent.mkdir(parents=True)
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as file:
        for key in REASONS:
            info = tarfile.TarInfo(f"{key}.mp4")
            info.size = len(data)
            member = Member(name="mp4", offset=file.offset + tarfile.BLOCKSIZE, length=len(data))
            file.addfile(info, io.BytesIO(data))
            common = {"key": key, "sample_key": key, "tar": tar.name, "source": f"{HOSTILE}.mp4", "source_id": key, "split": "train"}
            entries.append(ClipEntry(**common, license=HOSTILE, members=(member,), record=record(key, data)))
    write_index(str(root), 0, entries)


def audit_set(**changed: Any) -> AuditSet:
    known: dict[str, Any] = {"name": LABELS.name, "label_set": LABELS.name, "labeler": "by-hand", "checkpoint_sha256": None, "screen": None}
    known |= {"measures": "tracks-1", "weights": FALLBACK_VERSION, "calibration": None, "cycle": "stored"}
    known["rules"] = {"version": "clip-1", "min_usable_tracks": 64, "flicker": 0.2, "survival_4": 0.6}
    return AuditSet(**{**known, **changed})


def brief(key: str, **changed: Any) -> ClipBrief:
    known = {"key": key, "shard": 0, "verdict": verdict_of(REASONS.get(key, ())), "num_tracks": 5, "mean_weight": 0.44, "video_s": 2.0}
    return ClipBrief(**{**known, **changed})


def audit_summary(**changed: Any) -> AuditSummary:
    weight = Histogram(measure="weight", edges=(0.0, 0.5, 1.0), counts=(6, 4), unknown=0)
    cycle = Histogram(measure="fb_cycle", edges=(0.0, 4.0, 80.0), counts=(0, 0), unknown=10)
    survival = Histogram(measure="survival_4", edges=(0.0, 0.5, 1.0), counts=(1, 1), unknown=0)
    shards = (
        ShardSummary(shard=0, decisions={"keep": 1, "drop": 1}, num_tracks=10, mean_weight=0.44, worst_reason="few_tracks"),
        ShardSummary(shard=1, decisions={"keep": 3}, num_tracks=9, mean_weight=float("nan"), worst_reason=""),
        ShardSummary(shard=2, decisions={"keep": 2, "drop": 6}, num_tracks=800, mean_weight=0.9, worst_reason="dark"),
    )
    known: dict[str, Any] = {
        "decisions": {"keep": 1, "drop": 1}, "reasons": {"few_tracks": 1, "flicker": 1},
        "video_s": 4.0, "video_s_kept": 2.0, "num_frames": 48,
        "num_tracks": 10, "num_visible": 216, "weight_sum": 4.4, "trusted_tracks": 4, "track_histograms": (weight, cycle),
        "clip_histograms": (survival,), "masses": (WeightMass(group="motion: dynamic", num_tracks=4, weight=1.0),), "shards": shards,
        "worst": (brief("poor"),), "borderline": (), "random_keeps": (brief("good"),), "licenses": {HOSTILE: 2},
    }  # fmt: skip
    return AuditSummary(**{**known, **changed})


@dataclass(frozen=True)
class Audited:
    """The dataset, and what a report is made from."""

    root: str
    audit: AuditSet
    summary: AuditSummary
    gate: GateResult


def write_audit(root: str, labels: TrackLabels, sha256: str) -> None:
    clips = [
        ClipAudit(
            key=key,
            verdict=verdict_of(reasons),
            clip_sha256=sha256,
            video_s=2.0,
            num_frames=T,
            measures=clip_measures(flicker_mean=0.25),
            tracks=track_audit(labels),
        )
        for key, reasons in REASONS.items()
    ]
    write_audit_shard(root, LABELS.name, 0, clips)


def make_audited(root: Path) -> Audited:
    """Write the dataset with its labels and audit."""
    data, labels = video(), tracks()
    planned = (PlannedClip(shard=0, key=key, source=HOSTILE, source_uri=HOSTILE, source_id=key, split="train") for key in REASONS)
    write_plan(str(root), planned)
    write_shard(root, data)
    write_label_set(str(root), LABELS)
    sha256 = hashlib.sha256(data).hexdigest()
    size = {"clip_sha256": sha256, "num_frames": T, "width": W, "height": H}
    rows = [LabelRow(key=key, status="ok", labels=labels, **size) for key in REASONS]
    write_label_shard(str(root), LABELS.name, shard=0, rows=rows)
    write_audit(str(root), labels, sha256)
    gate = GateResult(checks=(GateCheck(rule="no error", value="0 of 2", holds=True, blocks=True),))
    return Audited(str(root), audit_set(), audit_summary(), gate)

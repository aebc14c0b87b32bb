"""Does the memory of an audit grow with the dataset? One labelled shard repeated, audited in a process of its own: peak memory, time."""

import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from material import machine

from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.layout import Layout
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, Member, video_sha256, write_index
from pipeline.shards.plan import PlannedClip, write_plan

T, H, W = 10, 48, 64
AUDIT = """
import json, resource, time
from jobs.auditing.run_job import audit_labels
from jobs.auditing.run_plan import AuditingConfig
from jobs.execution.run import Executor
from jobs.execution.units import Limits
started = time.process_time()
done = audit_labels(AuditingConfig(root={root!r}, label_set={labels!r}, executor=Executor(name="inline", limits=Limits())), dry_run=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"rows": done.summary.num_clips, "peak_mib": round(peak), "cpu_s": round(time.process_time() - started, 1)}}))
"""


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Label rows; may be given several times.")] = None,
    clips_per_shard: Annotated[int, typer.Option(help="Rows of the shard that is repeated.")] = 100,
    tracks: Annotated[int, typer.Option(help="Of each clip.")] = 64,
) -> None:
    """Print one JSON document: peak memory and CPU seconds of an audit of so many label rows."""
    found = []
    for count in rows or [1000, 10_000]:
        with tempfile.TemporaryDirectory(prefix="trackmill-") as folder:
            label_set = make_dataset(folder, count, clips_per_shard, tracks)
            code = AUDIT.format(root=folder, labels=label_set)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    print(json.dumps({"machine": machine(), "clips_per_shard": clips_per_shard, "tracks": tracks, "audits": found}, indent=1))


def make_dataset(root: str, rows: int, per_shard: int, num_tracks: int) -> str:
    """A dataset whose shards all hold the same few clips under other keys; returns the label set's name."""
    entries, labels = _shard(root, per_shard, num_tracks)
    numbers = range(-(-rows // per_shard))
    keys = [[f"clip-{number * per_shard + row:06d}" for row in range(min(per_shard, rows - number * per_shard))] for number in numbers]
    planned = (
        PlannedClip(shard=number, key=key, source="noise.mp4", source_uri="noise.mp4", source_id="noise", split="train")
        for number, of_shard in enumerate(keys)
        for key in of_shard
    )
    write_plan(root, planned)
    label_set = LabelSet(labeler="repeated", configuration={})
    write_label_set(root, label_set)
    for number, of_shard in enumerate(keys):
        named = [replace(entry, key=key, record=replace(_record(entry), key=key)) for entry, key in zip(entries, of_shard, strict=False)]
        write_index(root, number, named)
        said = [replace(row, key=key) for row, key in zip(labels, of_shard, strict=False)]
        write_label_shard(root, label_set.name, shard=number, rows=said)
    return label_set.name


def _record(entry: ClipEntry) -> ClipRecord:
    if entry.record is None:
        raise ValueError(f"clip {entry.key} has no record")
    return entry.record


def _shard(root: str, num_clips: int, num_tracks: int) -> tuple[list[ClipEntry], list[LabelRow]]:
    """Write the one tar; its clips are PNG files, each a texture that moves by (1, 0.5) px per frame."""
    path = Path(Layout(root).shard_tar(0))
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    entries, rows, offset = [], [], 0
    with tarfile.open(path, "w") as tar:
        for number in range(num_clips):
            key = f"clip-{number:06d}"
            images, labels = _clip(rng, num_tracks)
            members = []
            for index, data in enumerate(images):
                file = Path(root) / "image"
                file.write_bytes(data)
                tar.add(file, f"{key}.{index:04d}.png")
                members.append(Member(name=f"{index:04d}.png", offset=offset + 512, length=len(data)))
                offset += 512 + -(-len(data) // 512) * 512
                file.unlink()
            record = _clip_record(key, video_sha256(images))
            entries.append(
                ClipEntry(
                    key=key,
                    sample_key=key,
                    tar="000000.tar",
                    source="noise.mp4",
                    source_id="noise",
                    split="train",
                    members=tuple(members),
                    record=record,
                )
            )
            rows.append(LabelRow(key=key, status="ok", labels=labels, clip_sha256=record.sha256, num_frames=T, width=W, height=H))
    return entries, rows


def _clip(rng: np.random.Generator, num_tracks: int) -> tuple[tuple[bytes, ...], TrackLabels]:
    noise = cv2.GaussianBlur(rng.standard_normal((H + T, W + T)), (0, 0), 2.0)
    scene = np.uint8(np.clip(125 + 40 * noise / noise.std(), 0, 255))
    images = tuple(cv2.imencode(".png", cv2.merge([scene[t // 2 : t // 2 + H, t : t + W]] * 3))[1].tobytes() for t in range(T))
    queries = np.column_stack([np.zeros(num_tracks), rng.uniform(T, W - 1, num_tracks), rng.uniform(T, H - 1, num_tracks)])
    step = np.stack([np.arange(T), np.arange(T) // 2], axis=1)[:, None]
    tracks = (queries[:, 1:] - step).astype(np.float32)
    return images, TrackLabels(queries=queries.astype(np.float32), tracks_px=tracks, visibility=np.ones((T, num_tracks), bool))


def _clip_record(key: str, sha256: str) -> ClipRecord:
    return ClipRecord(
        key=key,
        source="noise.mp4",
        source_id="noise",
        split="train",
        start_s=0.0,
        end_s=T / 30,
        fps=30.0,
        frames=T,
        width=W,
        height=H,
        codec="png",
        video="images",
        sha256=sha256,
        timestamps=tuple(t / 30 for t in range(T)),
    )


if __name__ == "__main__":
    typer.run(main)

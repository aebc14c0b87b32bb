"""A dataset without pixels, with true tracks, and label sets that stand beside them by as many pixels as asked for."""

from pathlib import Path

import numpy as np

from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, read_index, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tar import ShardWriter, TarSample, arrays_npz

FRAMES, SIDE = 6, 256  # of the raster's own size


def true_arrays(number: int) -> dict[str, np.ndarray]:
    tracks = np.zeros((FRAMES, 4, 2), np.float32)
    tracks[..., 0] = 10 * np.arange(4) + 3 * np.arange(FRAMES)[:, None] + number
    tracks[..., 1] = 100.25
    every = np.ones((FRAMES, 4), bool)
    return {"tracks2d": tracks, "visibility": every, "track_valid": every, "query_frame": np.zeros(4, np.int32)}


def write_root(folder: Path) -> str:
    """Two shards of three clips; the second of each is in the split train, the last clip has no arrays."""
    keys = [f"s{shard}c{clip}" for shard in range(2) for clip in range(3)]
    splits = {key: "train" if key.endswith("c1") else "val" for key in keys}
    write_plan(
        str(folder),
        (PlannedClip(shard=int(key[1]), key=key, source=key, source_uri=key, source_id=key, split=splits[key]) for key in keys),
    )
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for shard in range(2):
        entries = []
        with ShardWriter(folder / "shards" / f"{shard:06d}.tar") as writer:
            for number, key in enumerate(keys[3 * shard : 3 * shard + 3]):
                record = ClipRecord(
                    key=key, source=key, source_id=key, split=splits[key], start_s=0.0, end_s=1.0, fps=6.0, frames=FRAMES, width=SIDE,
                    height=SIDE, codec="h264", video="h264", sha256=key, timestamps=tuple(float(t) for t in range(FRAMES)),
                )  # fmt: skip
                entry = ClipEntry(key=key, sample_key=key, tar=f"{shard:06d}.tar", source=key, source_id=key, split=splits[key])
                arrays = None if key == "s1c2" else arrays_npz(true_arrays(number))
                entries.append(writer.add(entry, TarSample(record=record, video=b"", document=b"{}", arrays=arrays)))
        write_index(str(folder), shard, writer.located(entries))
    return str(folder)


def label(root: str, name: str, *, off_px: float = 0.0, shards=(0, 1), failed=(), shift=0.0, extra=0, sha256=None) -> str:
    """Labels that stand `off_px` pixels beside the truth from frame 1 on."""
    label_set = LabelSet(labeler=name, configuration={"off": off_px, "shift": shift, "extra": extra})
    write_label_set(root, label_set)
    for shard in shards:
        rows = []
        for number, entry in enumerate(read_index(root, shard)):
            size = {"num_frames": FRAMES, "width": SIDE, "height": SIDE, "clip_sha256": sha256 or entry.record.sha256}
            if entry.key in failed:
                rows.append(LabelRow(key=entry.key, status="failed", error="because", **size))
                continue
            tracks = true_arrays(number)["tracks2d"] + np.float32(shift)
            tracks = np.concatenate([tracks, np.full((FRAMES, extra, 2), 200, np.float32)], axis=1)
            queries = np.column_stack([np.zeros(tracks.shape[1]), tracks[0]]).astype(np.float32)
            tracks[1:, :, 0] += np.float32(off_px)
            labels = TrackLabels(queries=queries, tracks_px=tracks, visibility=np.ones(tracks.shape[:2], bool))
            rows.append(LabelRow(key=entry.key, status="ok", labels=labels, **size))
        write_label_shard(root, label_set.name, shard=shard, rows=rows)
    return label_set.name

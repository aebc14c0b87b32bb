"""Size of a label file and time to read it, beside float32 npz and beside decoding the video: one JSON.

    python benchmarks/label_size.py --videos FOLDER [--labeler lucas-kanade] [--long-side 512]

Every video of the folder with enough frames gives one clip: its first frames, resized as sharding does, labelled on an even grid.
All clips go into one label file. A clip is read on its own, in shuffled order, as training does. Its video is decoded to RGB at
the clip's size by one thread, from an H.264 file of those frames (key frame every 12), and from the source file as it is.
"""

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np

from labelers import Labeler, make_labeler
from pipeline.labels import LabelRow, read_label_shard, write_label_shard
from pipeline.layout import Layout
from pipeline.records import ClipFrames, FramesInMemory, TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """One labelled clip, with the two videos that it can be decoded from."""

    key: str
    source: bytes
    encoded: bytes
    size: tuple[int, int]  # height, width
    labels: TrackLabels


def main() -> None:
    options = _options()
    paths = sorted(Path(options.videos).glob("*.mp4"))
    labeler = make_labeler(options.labeler)
    clips = [clip for path in paths if (clip := _clip(path, labeler, options)) is not None]
    if not clips:
        raise SystemExit(f"no .mp4 of at least {options.frames} frames in {options.videos}")
    point_frames = sum(clip.labels.visibility.size for clip in clips)
    without = _bytes([_only_visibility(clip) for clip in clips])
    with_confidence = _bytes([_row(clip, clip.labels) for clip in clips])
    arrays = {
        name: sum(_npz_bytes(clip, save) for clip in clips) for name, save in (("npz", np.savez), ("npz_compressed", np.savez_compressed))
    }
    result = {
        "benchmark": "label_size",
        "labeler": options.labeler,
        "clips": [clip.key for clip in clips],
        "frames": options.frames,
        "points": options.points,
        "share_visible": round(float(np.mean([clip.labels.visibility.mean() for clip in clips])), 3),
        "bytes_per_point_frame": {
            "visibility": round(without / point_frames, 3),
            "visibility_and_confidence": round(with_confidence / point_frames, 3),
            **{f"float32_{name}_visibility": round(total / point_frames, 3) for name, total in arrays.items()},
        },
        "npz_compressed_over_ours": round(arrays["npz_compressed"] / without, 2),
        **_times(clips, options.repeats),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numpy", "pyarrow", "av", "opencv-python-headless")},
    }
    print(json.dumps(result, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="folder of .mp4 files")
    parser.add_argument("--labeler", default="lucas-kanade")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--long-side", type=int, default=512, help="pixels; 0 keeps the source's size")
    parser.add_argument("--repeats", type=int, default=15)
    return parser.parse_args()


def _clip(path: Path, labeler: Labeler, options: argparse.Namespace) -> Clip | None:
    source = path.read_bytes()
    frames = _decoded(source, options.frames)
    if len(frames) < options.frames:
        return None
    height, width = frames.shape[1:3]
    scale = min(1.0, options.long_side / max(height, width)) if options.long_side else 1.0
    size = (2 * round(height * scale / 2), 2 * round(width * scale / 2))
    frames = np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in frames])
    queries = _grid(options.points, *size)
    [labels] = labeler.label([ClipFrames(key=path.stem, reader=FramesInMemory(frames), queries=queries)])
    return Clip(key=path.stem, source=source, encoded=_encoded(frames), size=size, labels=labels)


def _grid(num_points: int, height: int, width: int) -> np.ndarray:
    """Queries (0, x, y) on the most even grid of at least this many points, the rest dropped evenly."""
    columns = int(np.ceil(np.sqrt(num_points * width / height)))
    rows = int(np.ceil(num_points / columns))
    y, x = np.meshgrid((np.arange(rows) + 0.5) * height / rows - 0.5, (np.arange(columns) + 0.5) * width / columns - 0.5, indexing="ij")
    kept = np.linspace(0, x.size - 1, num_points).astype(int)
    return np.stack([np.zeros(num_points), x.ravel()[kept], y.ravel()[kept]], axis=1).astype(np.float32)


def _row(clip: Clip, labels: TrackLabels) -> LabelRow:
    num_frames, (height, width) = len(labels.tracks_px), clip.size
    return LabelRow(key=clip.key, status="ok", labels=labels, clip_sha256="0" * 64, num_frames=num_frames, width=width, height=height)


def _only_visibility(clip: Clip) -> LabelRow:
    labels = clip.labels
    return _row(clip, TrackLabels(queries=labels.queries, tracks_px=labels.tracks_px, visibility=labels.visibility))


def _bytes(rows: list[LabelRow]) -> int:
    with tempfile.TemporaryDirectory() as root:
        write_label_shard(root, "bench", shard=0, rows=rows)
        return Path(Layout(root).label_shard("bench", 0)).stat().st_size


def _npz_bytes(clip: Clip, save: Callable[..., None]) -> int:
    buffer, labels = io.BytesIO(), clip.labels
    save(buffer, queries=labels.queries, tracks=labels.tracks_px, visibility=labels.visibility)
    return len(buffer.getvalue())


def _times(clips: list[Clip], repeats: int) -> dict[str, object]:
    """Medians over clips and repeats, taken in turn so that the machine's mood is shared."""
    taken: dict[str, list[float]] = {"label_decode_ms": [], "video_decode_ms": [], "source_decode_ms": []}
    with tempfile.TemporaryDirectory() as root:
        write_label_shard(root, "bench", shard=0, rows=[_row(clip, clip.labels) for clip in clips])
        shard = read_label_shard(root, "bench", 0)
        rng = np.random.default_rng(0)
        for _ in range(repeats):
            for clip in (clips[index] for index in rng.permutation(len(clips))):
                num_frames = len(clip.labels.tracks_px)
                taken["label_decode_ms"].append(_timed(lambda key=clip.key: shard.labels(key)))
                taken["video_decode_ms"].append(_timed(lambda data=clip.encoded, count=num_frames: _decoded(data, count)))
                taken["source_decode_ms"].append(_timed(lambda data=clip.source, count=num_frames: _decoded(data, count)))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    quarters = {name: statistics.quantiles(values, n=4) for name, values in taken.items()}
    return {
        "repeats": repeats,
        **{name: {"median": round(medians[name], 2), "quartiles": [round(quarters[name][i], 2) for i in (0, 2)]} for name in taken},
        "label_over_video": round(medians["label_decode_ms"] / medians["video_decode_ms"], 4),
        "label_over_source": round(medians["label_decode_ms"] / medians["source_decode_ms"], 4),
    }


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def _decoded(data: bytes, num_frames: int) -> np.ndarray:
    """The first frames of a video, RGB "T H W 3", by one thread."""
    frames = []
    with av.open(io.BytesIO(data)) as container:
        container.streams.video[0].thread_type = "NONE"
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == num_frames:
                break
    return np.stack(frames)


def _encoded(frames: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        stream.codec_context.gop_size = 12
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


if __name__ == "__main__":
    main()

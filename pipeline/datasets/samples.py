"""A clip with truth as the members of its WebDataset sample."""

from typing import Any

import numpy as np

from pipeline.datasets.planning import ConversionPolicy
from pipeline.errors import DataError
from pipeline.records import ClipRecord
from pipeline.records.fields import FIELDS, arrays_of
from pipeline.records.truth import TruthClip
from pipeline.shards.index import video_sha256
from pipeline.shards.plan import PlannedClip
from pipeline.shards.tar import TarSample, arrays_npz
from pipeline.tables import document_bytes
from pipeline.video.encode import EncodePolicy, encode_frames
from pipeline.video.reader import VideoData, decode_clip

_FLOW_STEPS = np.float32(64)  # per pixel
_HALF_BELOW_M = 200.0  # depth up to here is stored as float16: its steps are 1/2048 of the value or finer


def sample_of(clip: PlannedClip, truth: TruthClip, policy: ConversionPolicy) -> TarSample:
    """Encode a clip (or keep its images), and prove that what will be written decodes to as many frames of its size.

    Raises: DataError if it does not.
    """
    data = _video(truth, policy)
    record = _record(clip, truth, data)
    for _ in decode_clip(data, record):
        pass
    arrays = {name: array for name, array in arrays_of(truth).items() if FIELDS[name].stored}
    if "depth" in arrays:
        arrays["depth"] = stored_depth(arrays["depth"])
    if "flow" in arrays:
        arrays["flow"] = stored_flow(arrays["flow"])
    return TarSample(
        record=record, video=data, document=document_bytes(record.document(), "clip"), arrays=arrays_npz(arrays) if arrays else None
    )


def stored_depth(depth: np.ndarray) -> np.ndarray:
    """Depth as it is stored: float16 where all of it is below 200 m, else float32."""
    return depth.astype(np.float16 if depth.max(initial=0) < _HALF_BELOW_M else np.float32)


def stored_flow(flow: np.ndarray) -> np.ndarray:
    """Flow as it is stored: float32 in steps of 1/64 px, as KITTI's files have them, whose low bits are zeros that compress away."""
    return np.rint(flow * _FLOW_STEPS) / _FLOW_STEPS


def _video(truth: TruthClip, policy: ConversionPolicy) -> VideoData:
    if truth.images is not None:
        return truth.images
    return encode_frames(truth.frames, truth.frame_times, EncodePolicy(quality=policy.quality, key_frame_every=policy.key_frame_every))


def _record(clip: PlannedClip, truth: TruthClip, data: VideoData) -> ClipRecord:
    num_frames, height, width = truth.frames.shape[:3]
    if num_frames != clip.num_frames:
        raise DataError(
            f"{clip.source}: {num_frames} frames read, {clip.num_frames} planned; did the dataset change? convert into a new root"
        )
    times = truth.frame_times
    fps = (num_frames - 1) / float(times[-1] - times[0]) if num_frames > 1 else float(truth.meta.get("fps", 1.0))
    start_s = int(clip.first_frame or 0) / fps
    stamps = tuple(start_s + float(time - times[0]) for time in times)
    return ClipRecord(
        key=clip.key,
        source=clip.source,
        source_id=clip.source_id,
        split=clip.split,
        start_s=stamps[0],
        end_s=stamps[-1] + 1 / fps,
        fps=round(fps, 6),
        frames=num_frames,
        width=width,
        height=height,
        codec="h264" if isinstance(data, bytes) else truth.image_suffix,
        video=clip.video,
        sha256=video_sha256(data),
        timestamps=stamps,
        license=clip.license,
        pose_source=None if truth.camera_to_world is None else "gt",
        is_metric=truth.is_metric,
        extra=_extra(clip, truth),
    )


def _extra(clip: PlannedClip, truth: TruthClip) -> dict[str, Any]:
    return {
        **truth.meta,
        "dataset": clip.source_uri.partition("/")[0],
        "sequence": clip.source,
        "first_frame": clip.first_frame,
        "track_source": truth.track_source,
        "depth_source": truth.depth_source,
    }

"""Encoding frames that are in memory (of a dataset, or rendered) as a clip's mp4."""

import io
from fractions import Fraction

import av
import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import check_array
from pipeline.video.colour import BT601, LIMITED
from pipeline.video.encode import REPEATABLE, EncodePolicy

_TIME_BASE = Fraction(1, 90_000)


def encode_frames(frames: np.ndarray, frame_times: np.ndarray, policy: EncodePolicy) -> bytes:
    """Frames as H.264 in an mp4 (yuv420p, one thread: equal frames are equal bytes). Nothing is resized.

    Args:
        frames: uint8 "T H W 3", RGB, both sides even.
        frame_times: "T", seconds, increasing.
        policy: quality, preset and key-frame interval; its long side is not looked at.
    Raises: DataError if a side is odd or times do not increase.
    """
    check_array("frames", frames, "uint8", (None, None, None, 3))
    height, width = frames.shape[1:3]
    ticks = np.round((np.asarray(frame_times) - frame_times[0]) / float(_TIME_BASE)).astype(np.int64)
    if height % 2 or width % 2 or (np.diff(ticks) <= 0).any():
        raise DataError(f"{len(frames)} frames of {width}x{height}: sides must be even and times increase to be encoded")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        rate = Fraction(1 / float(np.median(np.diff(frame_times)))).limit_denominator(1001) if len(frames) > 1 else Fraction(1)
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.thread_count = _TIME_BASE, 1
        stream.codec_context.gop_size = policy.key_frame_every
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED  # what the conversion below gives
        stream.options = {"crf": str(policy.quality), "preset": policy.preset, "x264-params": REPEATABLE}
        for picture, tick in zip(frames, ticks.tolist(), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = tick, _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()

"""Ways of storing depth maps: bytes, CPU time, largest relative error, whether invalid pixels stay so. One JSON.

    python benchmarks/depth_encoding.py [--frames 8] [--size 288 512] [--clips 3]

Two kinds of content, of the same rendered clips. `rendered`: true depth, with sharp edges and sky, which is invalid. `predicted`: what
a network gives of it, imitated: true depth averaged on its grid of patches, off by a few per cent per patch and frame, and interpolated
to the clip's size. A clip is read whole, in one thread; times are of the CPU, medians over the clips.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

import av
import cv2
import numpy as np
import pyarrow as pa
from material import machine

from pipeline.synthetic.clip import film
from pipeline.synthetic.domains import DOMAINS
from pipeline.synthetic.staging import ClipRequest

Encode = Callable[[np.ndarray], Sequence[bytes]]  # float32 "T H W" -> what is stored
Decode = Callable[[Sequence[bytes], tuple[int, ...]], np.ndarray]
PATCH = 14  # pixels


@dataclass(frozen=True, slots=True)
class Encoding:
    """A way to store a clip's depth and to read it again."""

    encode: Encode
    decode: Decode


@dataclass(frozen=True, slots=True)
class Log:
    """Codes of equal steps in the logarithm; 0 is invalid."""

    steps: int  # per octave
    offset: int = 2**15  # the code of 1 m

    def codes(self, depth: np.ndarray) -> np.ndarray:
        """uint16."""
        with np.errstate(divide="ignore"):
            codes = np.rint(np.log2(depth) * self.steps) + self.offset
        return np.where(depth > 0, codes, 0).astype(np.uint16)

    def depth(self, codes: np.ndarray) -> np.ndarray:
        """float32, by a table of all codes."""
        table = np.exp2((np.arange(2**16) - self.offset) / self.steps).astype(np.float32)
        table[0] = 0
        return table[codes]


@dataclass(frozen=True, slots=True)
class Inverse:
    """Codes of equal steps in 1 / depth, from 1 / `nearest` down; 0 is invalid."""

    nearest_m: float = 0.1

    def codes(self, depth: np.ndarray) -> np.ndarray:
        """uint16."""
        with np.errstate(divide="ignore"):
            codes = np.rint(np.clip(self.nearest_m / depth, 0, 1) * 65535)
        return np.where(depth > 0, np.maximum(codes, 1), 0).astype(np.uint16)

    def depth(self, codes: np.ndarray) -> np.ndarray:
        """float32."""
        with np.errstate(divide="ignore"):
            return np.where(codes > 0, np.float32(self.nearest_m * 65535) / codes, 0).astype(np.float32)


def png(code: Log | Inverse, level: int = 6, row_filter: int = cv2.IMWRITE_PNG_FILTER_UP) -> Encoding:
    """One 16-bit PNG per frame."""

    def encode(depth: np.ndarray) -> list[bytes]:
        options = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_FILTER, row_filter]
        return [cv2.imencode(".png", frame, options)[1].tobytes() for frame in code.codes(depth)]

    def decode(files: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([code.depth(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)) for data in files])

    return Encoding(encode, decode)


def zstd_float16(level: int = 9) -> Encoding:
    """Half floats of a frame, low bytes before high ones, as one zstd frame."""

    def encode(depth: np.ndarray) -> list[bytes]:
        return [_zstd(_planes(frame.astype(np.float16).view(np.uint16)), level) for frame in depth]

    def decode(files: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([_words(_unzstd(data, shape), shape).view(np.float16).astype(np.float32) for data in files])

    return Encoding(encode, decode)


def zstd_log(code: Log, level: int = 9) -> Encoding:
    """Logarithmic codes of a frame, each less the one on its left (the first of a row less the one above), low bytes before high ones."""

    def encode(depth: np.ndarray) -> list[bytes]:
        return [_zstd(_planes(_differences(frame)), level) for frame in code.codes(depth)]

    def decode(files: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([code.depth(_sums(_words(_unzstd(data, shape), shape))) for data in files])

    return Encoding(encode, decode)


def video(code: Log, *, codec: str, pixel_format: str, bits: int, options: dict[str, str]) -> Encoding:
    """Codes about the middle of so many bits as luma of a video; where invalid, 0."""
    shift = code.offset - 2 ** (bits - 1)

    def encode(depth: np.ndarray) -> list[bytes]:
        file = BytesIO()
        height, width = depth.shape[1:]
        with av.open(file, "w", "matroska") as container:
            stream = container.add_stream(codec, rate=30, options=options)
            stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, pixel_format, 1
            for index, codes in enumerate(code.codes(depth)):
                luma = np.where(codes > 0, np.clip(codes.astype(int) - shift, 1, 2**bits - 1), 0).astype(np.uint16)
                frame = av.VideoFrame(width, height, pixel_format)
                frame.planes[0].update(_lines(luma, frame.planes[0].line_size))
                frame.pts, frame.time_base = index, Fraction(1, 30)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return [file.getvalue()]

    def decode(files: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
        depth = np.empty(shape, np.float32)
        with av.open(BytesIO(files[0])) as container:
            container.streams.video[0].thread_count = 1
            for target, frame in zip(depth, container.decode(video=0), strict=True):
                plane = frame.planes[0]
                luma = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width]
                target[:] = code.depth(np.where(luma > 0, luma + np.uint16(shift), 0))
        return depth

    return Encoding(encode, decode)


X265 = {"preset": "medium"}
ENCODINGS = {
    "PNG, log, 256 steps per octave": png(Log(256)),
    "PNG, log, 1024 steps per octave": png(Log(1024)),
    "PNG, log, 1024 steps, level 3": png(Log(1024), level=3),
    "PNG, log, 1024 steps, all filters": png(Log(1024), row_filter=cv2.IMWRITE_PNG_ALL_FILTERS),
    "PNG, 1 / depth from 0.1 m": png(Inverse()),
    "zstd, float16": zstd_float16(),
    "zstd, log, 256 steps per octave": zstd_log(Log(256)),
    "zstd, log, 1024 steps per octave": zstd_log(Log(1024)),
    "FFV1, log, 256 steps per octave": video(Log(256), codec="ffv1", pixel_format="gray12le", bits=12, options={"level": "3", "g": "1"}),
    "FFV1, log, 1024 steps per octave": video(Log(1024), codec="ffv1", pixel_format="gray16le", bits=16, options={"level": "3", "g": "1"}),
    "HEVC lossless, log, 256 steps per octave": video(
        Log(256), codec="libx265", pixel_format="gray12le", bits=12, options={**X265, "x265-params": "lossless=1:log-level=error"}
    ),
    "HEVC crf 12, log, 256 steps per octave": video(
        Log(256), codec="libx265", pixel_format="gray12le", bits=12, options={**X265, "x265-params": "crf=12:log-level=error"}
    ),
}  # fmt: skip


def main() -> None:
    options = _options()
    cv2.setNumThreads(1)
    rendered = [_true_depth(number, options) for number in range(options.clips)]
    contents = {"rendered": rendered, "predicted": [_as_predicted(depth, number) for number, depth in enumerate(rendered)]}
    result = {
        "benchmark": "depth_encoding",
        "frames": options.frames,
        "size": options.size,
        "clips": options.clips,
        "invalid": {name: round(float(np.mean([(depth == 0).mean() for depth in clips])), 3) for name, clips in contents.items()},
        "encodings": {
            content: {name: _measured(encoding, clips) for name, encoding in ENCODINGS.items()} for content, clips in contents.items()
        },
        "machine": machine(),
    }
    print(json.dumps(result, indent=1))


def _measured(encoding: Encoding, clips: Sequence[np.ndarray]) -> dict[str, float]:
    num_bytes, encode_s, decode_s, worst, wrong = 0, [], [], 0.0, 0
    for depth in clips:
        started = time.process_time()
        files = encoding.encode(depth)
        encode_s.append(time.process_time() - started)
        started = time.process_time()
        found = encoding.decode(files, depth.shape)
        decode_s.append(time.process_time() - started)
        num_bytes += sum(map(len, files))
        both = (depth > 0) & (found > 0)
        worst = max(worst, float(np.abs(found[both] / depth[both] - 1).max()))
        wrong += int(((depth > 0) != (found > 0)).sum())
    num_frames = sum(map(len, clips))
    return {
        "bytes_per_pixel": round(num_bytes / sum(depth.size for depth in clips), 3),
        "encode_ms_per_frame": round(1000 * statistics.median(encode_s) * len(clips) / num_frames, 1),
        "decode_ms_per_frame": round(1000 * statistics.median(decode_s) * len(clips) / num_frames, 2),
        "largest_relative_error": float(f"{worst:.2g}"),
        "pixels_whose_validity_changed": wrong,
    }


def _true_depth(number: int, options: argparse.Namespace) -> np.ndarray:
    domain = DOMAINS["studio" if number % 2 == 0 else "wild"]
    request = ClipRequest(domain=domain, seed=7, number=number, num_frames=options.frames, size=tuple(options.size))
    depth = film(request, num_tracks=1).depth
    assert depth is not None, "a rendered clip knows its depth"
    return depth


def _as_predicted(depth: np.ndarray, seed: int) -> np.ndarray:
    """Depth as a network of 14-pixel patches might predict it: all of it valid."""
    rng = np.random.default_rng(seed)
    num_frames, height, width = depth.shape
    filled = np.where(depth > 0, depth, depth.max())
    grid = (-(-width // PATCH) * 2, -(-height // PATCH) * 2)  # two values per patch and side, as heads that refine give
    still = rng.normal(0, 0.03, grid[::-1])
    frames = []
    for frame in filled:
        coarse = cv2.resize(np.log(frame), grid, interpolation=cv2.INTER_AREA) + still + rng.normal(0, 0.005, grid[::-1])
        frames.append(np.exp(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)))
    return np.stack(frames).astype(np.float32)


def _zstd(data: bytes, level: int) -> bytes:
    return bytes(pa.Codec("zstd", compression_level=level).compress(data))


def _unzstd(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(pa.Codec("zstd").decompress(data, 2 * shape[1] * shape[2]), np.uint8)


def _planes(words: np.ndarray) -> bytes:
    return np.ascontiguousarray(words.reshape(-1, 1).view(np.uint8).T).tobytes()


def _words(planes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(planes.reshape(2, -1).T).view(np.uint16).reshape(shape[1:])


def _differences(codes: np.ndarray) -> np.ndarray:
    """Modulo 2^16, and folded (0, -1, 1, -2, ... become 0, 1, 2, 3, ...) so that small ones have an empty high byte."""
    left = np.diff(codes, axis=1, prepend=np.uint16(0))
    left[:, 0] = np.diff(codes[:, 0], prepend=np.uint16(0))
    signed = left.view(np.int16)
    return ((signed << 1) ^ (signed >> 15)).view(np.uint16)


def _sums(folded: np.ndarray) -> np.ndarray:
    codes = (folded >> 1) ^ (np.uint16(0) - (folded & 1))
    codes[:, 0] = np.cumsum(codes[:, 0], dtype=np.uint16)
    return np.cumsum(codes, axis=1, dtype=np.uint16)


def _lines(luma: np.ndarray, line_size: int) -> bytes:
    height, width = luma.shape
    padded = np.zeros((height, line_size // 2), np.uint16)
    padded[:, :width] = luma
    return padded.tobytes()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=[288, 512])
    parser.add_argument("--clips", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()

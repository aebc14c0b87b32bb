"""Rendered frames as an ordinary video file, and their truth as a file of its own."""

import zipfile
from fractions import Fraction
from functools import partial

import av
import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError, DataError, FormatError
from pipeline.records.arrays import check_array
from pipeline.records.npy_headers import retry_parsing
from pipeline.synthetic.scene import SceneTruth, TrueTracks

TRUTH_SCHEMA_VERSION = 1
_ARRAYS = ("depth", "camera_to_world", "intrinsics", "dynamic_mask")
# without cpu-independent, x264's macroblock-tree analysis uses approximate instructions, and equal frames now and then become other bytes
_ENCODER_OPTIONS = {"crf": "18", "preset": "medium", "bf": "2", "g": "48", "x264-params": "cpu-independent=1"}
_MUXER_OPTIONS = {"fflags": "+bitexact"}  # no version of the muxer, no clock time


def write_video(uri: str, frames: np.ndarray, fps: float) -> None:
    """Publish frames as H.264 (yuv420p, B-frames, a key frame every 48 frames) in an mp4. One thread, so that equal frames are equal bytes.

    Args:
        frames: uint8 "T H W 3", RGB; both sides even.
    Raises: ConfigError if a side is odd; StorageError if the file cannot be written.
    """
    check_array("frames", frames, "uint8", (None, None, None, 3))
    height, width = frames.shape[1:3]
    if height % 2 or width % 2 or len(frames) == 0:
        raise ConfigError(f"{uri}: {len(frames)} frames of {width}x{height}; yuv420p needs at least one frame with even sides")
    with storage.publishing(uri) as path, av.open(str(path), "w", format="mp4", options=_MUXER_OPTIONS) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=_ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def write_truth(uri: str, truth: SceneTruth) -> None:
    """Publish depth, cameras and mask as a compressed npz (no pickles); equal truth is equal bytes."""
    with storage.publishing(uri) as path, path.open("wb") as handle:
        arrays = {name: getattr(truth, name) for name in _ARRAYS}
        np.savez_compressed(handle, schema_version=np.array(TRUTH_SCHEMA_VERSION), fps=np.array(truth.fps), **arrays)


def write_true_tracks(uri: str, queries: np.ndarray, tracks: TrueTracks) -> None:
    """Publish true tracks of N queries "N 3" (t, x, y) as an npz (no pickles): tracks_px, visibility, tracks3d, valid, queries."""
    arrays = {"queries": queries, **{name: getattr(tracks, name) for name in ("tracks_px", "visibility", "tracks3d", "valid")}}
    with storage.publishing(uri) as path, path.open("wb") as handle:
        np.savez_compressed(handle, schema_version=np.array(TRUTH_SCHEMA_VERSION), **arrays)


def read_truth(uri: str) -> SceneTruth:
    """Read what `write_truth` wrote. Raises DataError if it is something else or of another version; StorageError if it cannot be read."""
    with storage.open_input(uri) as handle:
        try:
            with np.load(handle, allow_pickle=False) as stored:
                arrays = {name: retry_parsing(partial(stored.__getitem__, name)) for name in stored.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{uri}: not a readable npz file ({error}); render the scene again") from error
    missing = sorted({"schema_version", "fps", *_ARRAYS} - set(arrays))
    if missing:
        raise DataError(f"{uri}: no {', '.join(missing)}; this is not the truth of a rendered scene")
    version = int(arrays["schema_version"])
    if version != TRUTH_SCHEMA_VERSION:
        raise FormatError(f"{uri}: truth schema version {version}, this trackmill reads {TRUTH_SCHEMA_VERSION}; render the scene again")
    return SceneTruth(fps=float(arrays["fps"]), **{name: arrays[name] for name in _ARRAYS})

"""Formats of other trainers and benchmarks as the exporting job sees them, and the tracks that all of them are given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from pipeline.datasets.projection import inside
from pipeline.errors import DataError
from pipeline.records import ClipRecord, ClipSample


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Reason why a clip is not exported: its reader could not use it."""

    kind: str  # the same for all clips that are refused for it
    message: str  # with the clip's figures, and what helps


class ExportFormat(Protocol):
    """One format. It is sent to workers, so it must pickle."""

    @property
    def name(self) -> str:
        """Name on the command line."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written, in JSON types."""
        ...

    def place(self, shard: int, key: str) -> str:
        """Path of a clip below the export's folder: a file, or a folder of several files."""
        ...

    @property
    def in_folders(self) -> bool:
        """Whether a clip is a folder."""
        ...

    def refuse_record(self, record: ClipRecord) -> Refusal | None:
        """Reason against a clip by its record alone: its video is not decoded then."""
        ...

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip by its tracks, depth and cameras."""
        ...

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """Files of a clip that is not refused, (path below its folder, bytes), made one by one; of a single file the path is "".

        What makes the others useful comes last.
        """
        ...

    def num_tracks(self, sample: ClipSample) -> int:
        """Tracks (or queries) of a clip that is not refused."""
        ...

    def finish(self, out: str, places: Sequence[str]) -> str | None:
        """Make what is made of all clips together, in this order; gives its path, or None where the clips are all there is."""
        ...


class UsualAnswers:
    """Answers that most formats give."""

    __slots__ = ()

    def refuse_record(self, record: ClipRecord) -> Refusal | None:
        """No clip is refused for its record."""
        return None

    def finish(self, out: str, places: Sequence[str]) -> str | None:
        """Nothing is made of all clips together."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ExportTracks:
    """Tracks of a clip that are exported: T frames, N tracks, in pixels of the stored clip (integer = pixel centre)."""

    tracks_px: np.ndarray  # float32 "T N 2"
    visible: np.ndarray  # bool "T N": seen, inside the image, at a usable position
    valid: np.ndarray  # bool "T N": the position is usable
    query_frame: np.ndarray  # int32 "N"
    chosen: np.ndarray  # int64 "N": which tracks of the sample these are

    @property
    def query_px(self) -> np.ndarray:
        """float32 "N 2": positions in the query frames."""
        return np.asarray(self.tracks_px[self.query_frame, np.arange(len(self.query_frame))])


NO_TRACKS = "no tracks"


def refuse_without_tracks(sample: ClipSample, min_weight: float) -> Refusal | None:
    """Reason against a clip without tracks, or without one that the audit trusts."""
    if sample.tracks2d is None or sample.visibility is None:
        message = "it has no tracks: name a label set or an audit, or allow truth that is meant for evaluation with --evaluation-truth"
        return Refusal(kind=NO_TRACKS, message=message)
    if not _chosen(sample, min_weight).any():
        message = f"none of its {sample.tracks2d.shape[1]} tracks has a weight above 0 and of at least {min_weight:g} (--min-weight)"
        return Refusal(kind="no trusted track", message=message)
    return None


def export_tracks(sample: ClipSample, min_weight: float) -> ExportTracks:
    """The tracks of a clip that are visible somewhere and, where there is an audit, have weight.

    Args:
        min_weight: least weight of a track, besides being above 0.
    Raises: DataError for a clip without tracks.
    """
    if sample.tracks2d is None or sample.visibility is None:
        raise DataError(f"clip {sample.key} has no tracks; name a label set or an audit")
    chosen = np.flatnonzero(_chosen(sample, min_weight))
    tracks = sample.tracks2d[:, chosen]
    valid = np.ones(tracks.shape[:2], bool) if sample.track_valid is None else sample.track_valid[:, chosen]
    query_frame = np.zeros(len(chosen), np.int32) if sample.query_frame is None else sample.query_frame[chosen]
    size = (sample.frames.shape[1], sample.frames.shape[2])
    return ExportTracks(
        tracks_px=tracks,
        visible=sample.visibility[:, chosen] & valid & inside(tracks, size),
        valid=valid,
        query_frame=query_frame,
        chosen=chosen,
    )


def _chosen(sample: ClipSample, min_weight: float) -> np.ndarray:
    """bool "N"."""
    assert sample.visibility is not None
    chosen = sample.visibility.any(axis=0)
    weights = sample.track_weights
    return np.asarray(chosen if weights is None else chosen & (weights > 0) & (weights >= min_weight))


def frame_name(index: int, num_frames: int) -> str:
    """Name of a frame's file without its suffix: three digits or more, so that sorting by name is sorting by time."""
    return f"{index:0{max(3, len(str(num_frames - 1)))}d}"


def numbered_pngs(frames: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Frames uint8 "T H W 3" as `frames/000.png` and so on, one by one."""
    for index, frame in enumerate(frames):
        yield f"frames/{frame_name(index, len(frames))}.png", png(frame)


def png(frame: np.ndarray) -> bytes:
    """A frame uint8 "H W 3", RGB, as a PNG file."""
    return _encoded(frame, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 3])


def jpeg(frame: np.ndarray, quality: int) -> bytes:
    """A frame uint8 "H W 3", RGB, as a JPEG file of this quality (1 to 100)."""
    return _encoded(frame, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encoded(frame: np.ndarray, suffix: str, options: Sequence[int]) -> bytes:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(frame[..., ::-1]), options)
    if not done:
        raise DataError(f"a frame of {frame.shape[1]}x{frame.shape[0]} does not encode as {suffix}")
    return bytes(data.tobytes())

"""The source of a clip (ClipSpec), and its record in a shard (ClipRecord)."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from pipeline.errors import DataError

KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]+")
VideoMode = Literal["copy", "h264", "foreign", "images"]  # images: the source's own image files, one per frame
VIDEO_MODES: tuple[VideoMode, ...] = get_args(VideoMode)
PoseSource = Literal["gt", "pseudo"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSpec:
    """One span of one source video, as a manifest row (or a plain file) asks for it.

    Bounds are half-open. Seconds count on the source's own clock, starting at 0 with its first frame; frames count the
    source's frames in presentation order from 0. Both None: the whole file. Only one kind may be given.
    """

    source_uri: str  # absolute path or URL of the video, its name escaped (pipeline.storage.names)
    relative_uri: str  # the same below the manifest's video root: stable between machines, hashed into keys and splits
    source_id: str  # clips of one source video share it, and with it their split
    start_s: float | None = None
    end_s: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    camera_uri: str | None = None  # npz with pseudo cameras of exactly this span, one pose per frame
    license: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # the row's other columns (caption, ...); JSON types
    row: int | None = None  # row number in the manifest, for messages; the first data row is 1
    fps: float | None = None  # frames per second of a folder of numbered pictures; None: a video, which says so itself

    def __post_init__(self) -> None:
        seconds, frames = (self.start_s, self.end_s), (self.start_frame, self.end_frame)
        if seconds != (None, None) and frames != (None, None):
            raise DataError(f"{self.where}: bounds are given both in seconds and in frames; give one kind")
        for name, (start, end) in (("seconds", seconds), ("frames", frames)):
            if start is not None and not (math.isfinite(start) and start >= 0):
                raise DataError(f"{self.where}: start {start} ({name}) must be finite and not negative")
            if end is not None and not (math.isfinite(end) and end > (start or 0)):
                raise DataError(f"{self.where}: end {end} ({name}) must lie after start {start or 0}")

    @property
    def where(self) -> str:
        """The source, with the manifest row when there is one: for error messages."""
        return self.relative_uri if self.row is None else f"row {self.row} ({self.relative_uri})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRecord:
    """The record of one clip in a shard: the KEY.json member.

    Width and height are those of the frames as shown (rotation applied): the pixels in which tracks are given.
    """

    key: str
    source: str  # relative uri of the source video
    source_id: str
    split: str  # train | val | test
    start_s: float  # presentation time of the first frame, and of the end of the last, on the source's clock from its first frame
    end_s: float
    fps: float  # mean rate of the clip's frames (of the source for a single frame)
    frames: int
    width: int
    height: int
    codec: str  # of the stored video, e.g. h264, hevc; of images: jpg, png
    video: VideoMode
    sha256: str  # of the video member's bytes; of images: of all of them one after the other
    timestamps: tuple[float, ...]  # seconds on the source's clock, one per frame
    license: str | None = None
    pose_source: PoseSource | None = None  # where KEY.arrays.npz holds cameras
    is_metric: bool = False
    notes: tuple[str, ...] = ()  # where the stored picture is not simply the source's: "tone-mapped from PQ", "stream 1 of 2", ...
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not KEY_PATTERN.fullmatch(self.key):
            raise DataError(f"clip key {self.key!r} may hold only A-Z a-z 0-9 _ -")
        if self.video not in VIDEO_MODES:
            raise DataError(f"clip {self.key}: video is {self.video!r}, expected one of {', '.join(VIDEO_MODES)}")
        if min(self.frames, self.width, self.height) < 1:
            raise DataError(f"clip {self.key}: frames, width and height must be positive, found {self.frames}, {self.width}, {self.height}")
        if len(self.timestamps) != self.frames:
            raise DataError(f"clip {self.key}: {len(self.timestamps)} timestamps for {self.frames} frames")
        if any(after <= before for before, after in zip(self.timestamps, self.timestamps[1:], strict=False)):
            raise DataError(f"clip {self.key}: timestamps must increase")

    def document(self) -> dict[str, Any]:
        """The record as JSON types: the content of the .json member."""
        return {**asdict(self), "timestamps": list(self.timestamps), "notes": list(self.notes)}

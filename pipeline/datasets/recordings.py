"""Recordings of which all frames are taken, or some: `--option every=40`, `--option first=110`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pipeline.datasets.files import Frame, FrameFolderSource, clip_frames
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Thinning:
    """Which frames of each recording are converted. Raises: ConfigError for numbers that cannot be."""

    every: int = 1  # frames 0, N, 2N, ... alone: keyframes of evaluations
    first: int = 0  # of these at most so many; 0: all

    def __post_init__(self) -> None:
        for name, value, least in (("every", self.every, 1), ("first", self.first, 0)):
            if type(value) is not int or value < least:
                raise ConfigError(f"--option {name} is {value!r}, expected a whole number from {least} on")

    def of(self, sequence: SequenceInfo) -> SequenceInfo:
        """A recording with the frames that are taken; the thinning, where there is one, belongs to the identity of what is converted."""
        if self == Thinning():
            return sequence
        extra = {**sequence.extra, "every": self.every, "first": self.first}
        return replace(sequence, num_frames=len(self.taken(range(sequence.num_frames))), extra=extra)

    def taken(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Those of all frames of a recording that are taken."""
        return frames[:: self.every][: self.first or None]


class RecordingSource(FrameFolderSource):
    """A dataset for evaluation: each recording is one clip, of however few frames, and keeps its image files."""

    keep_images = True
    clip_frames: ClassVar[int] = 0
    min_frames: ClassVar[int] = 1
    first_frames: ClassVar[int] = 0  # `first`, unless asked for otherwise

    def __init__(self, root: str, *, license: str | None = None, every: int = 1, first: int | None = None) -> None:
        """As every folder of frames; `every` and `first` as Thinning has them, by default as many as the benchmark counts."""
        super().__init__(root, license=license)
        self._thinning = Thinning(every=every, first=self.first_frames if first is None else first)

    def sequences(self) -> list[SequenceInfo]:
        """As every folder of frames, with the frames that are taken."""
        return [self._thinning.of(sequence) for sequence in super().sequences()]

    def _chosen(self, frames: Sequence[Frame], sequence: SequenceInfo, first_frame: int, num_frames: int) -> Sequence[Frame]:
        """Those of all frames of a recording that make the clip. Raises: DataError."""
        return clip_frames(self._thinning.taken(frames), sequence, first_frame=first_frame, num_frames=num_frames)

    def _meta(self, size: tuple[int, int], fps: float, **more: Any) -> dict[str, Any]:
        """What is noted of a clip: (H, W) of its files, the recording's rate, and how many of its frames one of the clip stands for."""
        return {"orig_size": list(size), "fps": fps, "stride": self._thinning.every, **more}

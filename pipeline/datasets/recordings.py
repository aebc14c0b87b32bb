"""Benchmarks of whole recordings, all or some of whose frames are taken: `--option every=40`, `--option first=110`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pipeline.datasets.files import Frame, FrameFolderSource, clip_frames
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError


class RecordingSource(FrameFolderSource):
    """A dataset for evaluation: each recording is one clip, of however few frames, and keeps its image files."""

    keep_images = True
    clip_frames: ClassVar[int] = 0
    min_frames: ClassVar[int] = 1
    first_frames: ClassVar[int] = 0  # `first`, unless asked for otherwise

    def __init__(self, root: str, *, license: str | None = None, every: int = 1, first: int | None = None) -> None:
        """As every folder of frames.

        Args:
            every: take each recording's frames 0, N, 2N, ... alone: the keyframes of evaluations of point maps.
            first: of these at most so many; 0 for all; by default all, or as many as the benchmark counts.
        Raises: ConfigError if one of them is no such number.
        """
        super().__init__(root, license=license)
        self._every, self._first = every, self.first_frames if first is None else first
        for name, value, least in (("every", self._every, 1), ("first", self._first, 0)):
            if type(value) is not int or value < least:
                raise ConfigError(f"--option {name} is {value!r}, expected a whole number from {least} on")

    def sequences(self) -> list[SequenceInfo]:
        """As every folder of frames; which frames are taken belongs to the identity of what is converted."""
        return [
            replace(
                sequence,
                num_frames=len(self._taken(range(sequence.num_frames))),
                extra={**sequence.extra, "every": self._every, "first": self._first},
            )
            for sequence in super().sequences()
        ]

    def _chosen(self, frames: Sequence[Frame], sequence: SequenceInfo, first_frame: int, num_frames: int) -> Sequence[Frame]:
        """Those of all frames of a recording that make the clip. Raises: DataError."""
        return clip_frames(self._taken(frames), sequence, first_frame=first_frame, num_frames=num_frames)

    def _taken(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        return frames[:: self._every][: self._first or None]

    def _meta(self, size: tuple[int, int], fps: float, **more: Any) -> dict[str, Any]:
        """What is noted of a clip: (H, W) of its files, the recording's rate, and how many of its frames one of the clip stands for."""
        return {"orig_size": list(size), "fps": fps, "stride": self._every, **more}

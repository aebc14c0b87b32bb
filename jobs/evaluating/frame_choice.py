"""Choice of a clip's frames by a benchmark's protocol: keyframes, a span, or some that are drawn."""

import zlib
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.metrics import draw_frames
from pipeline.records import ClipRecord

_SEED = 42  # of drawn frames, as the public evaluations of relative poses have it


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameChoice:
    """Frames of a recording: of those from `skip` on every `every`-th, of these the first, or some that are drawn.

    Numbers are the recording's own. Where its clip holds every s-th frame alone (`stride` in the clip's record), `skip` and `every`
    are so many times fewer of the clip's.
    """

    skip: int = 0
    every: int = 1
    first: int | None = None  # at most so many
    drawn: int | None = None  # exactly so many, drawn by the clip's key; a clip of fewer is left out

    def __post_init__(self) -> None:
        for name, least in (("skip", 0), ("every", 1), ("first", 1), ("drawn", 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"frames: {name} is {value}, expected at least {least}")

    def of_clip(self, record: ClipRecord) -> np.ndarray | str:
        """Indices of the stored clip's frames, int64 "T"; or why there are none.

        Raises: ConfigError if the clip holds too few of its recording's frames.
        """
        stride = int(record.extra.get("stride", 1))
        if self.every % stride or self.skip % stride:
            raise ConfigError(
                f"clip {record.key} holds every {stride}-th frame of its recording, asked for is every {self.every}-th from {self.skip}"
                " on; convert the dataset with --option every=1"
            )
        frames = np.arange(self.skip // stride, record.frames, self.every // stride)[: self.first]
        if not len(frames):
            return f"no frame from {self.skip} on"
        if self.drawn is None:
            return frames
        if len(frames) < self.drawn:
            return f"fewer than {self.drawn} frames"
        rng = np.random.default_rng([_SEED, zlib.crc32(record.key.encode())])
        return np.sort(frames[draw_frames(len(frames), rng, count=self.drawn)])

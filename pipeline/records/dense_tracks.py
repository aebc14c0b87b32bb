"""Dense tracks of one clip as ragged arrays: each track begins in some frame and has a position in every frame until it ends."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import Bools, check_array, check_finite

Space: TypeAlias = Literal["world", "camera"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DenseTracks:
    """M tracks with P positions in all, over T frames of H x W pixels.

    Positions of a track follow each other, frame by frame, and tracks follow each other in the order of their numbers: track m has
    the positions `offsets[m]` to `offsets[m + 1]`, in the frames from `starts[m]` on.
    """

    num_frames: int  # T
    size: tuple[int, int]  # (H, W)
    space: Space  # of `points`: one world, or the camera of each position's frame
    queries: npt.NDArray[np.float32]  # float32 "M 3": (t, x, y), where the track was asked for
    starts: npt.NDArray[np.int32]  # int32 "M": first frame
    lengths: npt.NDArray[np.int32]  # int32 "M": frames, 1 or more
    pixels: npt.NDArray[np.float32]  # float32 "P 2": (x, y), integers at pixel centres; a prediction where hidden
    points: npt.NDArray[np.float32]  # float32 "P 3"; a prediction where hidden
    visibility: npt.NDArray[np.bool_]  # bool "P"
    visibility_score: npt.NDArray[np.float32]  # float32 "P" in [0, 1]: visibility times confidence of the step that led there
    colours: npt.NDArray[np.uint8] | None = None  # uint8 "M 3", RGB, of the queries' pixels

    def __post_init__(self) -> None:
        num_tracks, num_positions = len(self.starts), len(self.pixels)
        for name, dtype, shape in (
            ("queries", "float32", (num_tracks, 3)),
            ("starts", "int32", (num_tracks,)),
            ("lengths", "int32", (num_tracks,)),
            ("pixels", "float32", (num_positions, 2)),
            ("points", "float32", (num_positions, 3)),
            ("visibility", "bool", (num_positions,)),
            ("visibility_score", "float32", (num_positions,)),
        ):
            check_array(name, getattr(self, name), dtype, shape)
        if self.colours is not None:
            check_array("colours", self.colours, "uint8", (num_tracks, 3))
        for name in ("pixels", "points", "visibility_score"):
            check_finite(f"dense tracks' {name}", getattr(self, name))
        if int(self.lengths.sum()) != num_positions or (self.lengths < 1).any():
            raise DataError(f"dense tracks of {int(self.lengths.sum())} frames in all have {num_positions} positions")
        if (self.starts < 0).any() or (self.starts + self.lengths > self.num_frames).any():
            raise DataError(f"dense tracks reach beyond the clip's frames, 0 to {self.num_frames - 1}")

    @property
    def num_tracks(self) -> int:
        """M."""
        return len(self.starts)

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """int64 "M+1": number of each track's first position, and P."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    @property
    def track_numbers(self) -> npt.NDArray[np.int32]:
        """int32 "P": the track of each position."""
        return np.repeat(np.arange(self.num_tracks, dtype=np.int32), self.lengths)

    @property
    def frame_numbers(self) -> npt.NDArray[np.int32]:
        """int32 "P": the frame of each position."""
        first = np.repeat(self.starts - self.offsets[:-1], self.lengths)
        return (first + np.arange(len(self.pixels))).astype(np.int32)

    def select(self, chosen: Bools) -> "DenseTracks":
        """Some of the tracks, bool "M"."""
        positions = np.repeat(chosen, self.lengths)
        of_tracks = {name: getattr(self, name)[chosen] for name in ("queries", "starts", "lengths")}
        of_positions = {name: getattr(self, name)[positions] for name in ("pixels", "points", "visibility", "visibility_score")}
        return replace(self, **of_tracks, **of_positions, colours=None if self.colours is None else self.colours[chosen])

    def in_frames(self, numbers: npt.NDArray[np.integer]) -> "TracksInFrames":
        """The positions in K frames, as arrays with a row per frame.

        Args:
            numbers: int "K", frames of the clip, increasing.
        """
        place = np.full(self.num_frames, -1)
        place[numbers] = np.arange(len(numbers))
        frames, tracks = place[self.frame_numbers], self.track_numbers
        kept = frames >= 0
        index = frames[kept], tracks[kept]
        alive = np.zeros((len(numbers), self.num_tracks), bool)
        alive[index] = True
        found = {}
        for name in ("pixels", "points", "visibility"):
            values = getattr(self, name)
            found[name] = np.zeros((*alive.shape, *values.shape[1:]), values.dtype)
            found[name][index] = values[kept]
        return TracksInFrames(alive=alive, **found)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TracksInFrames:
    """M tracks in K frames; zeros where a track does not live."""

    alive: npt.NDArray[np.bool_]  # bool "K M"
    pixels: npt.NDArray[np.float32]  # float32 "K M 2"
    points: npt.NDArray[np.float32]  # float32 "K M 3"
    visibility: npt.NDArray[np.bool_]  # bool "K M"

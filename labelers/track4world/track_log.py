"""Tracks while they grow: positions are noted frame by frame, and become ragged arrays at the end."""

import numpy as np

from pipeline.records.dense_tracks import DenseTracks, Space


class TrackLog:
    """Positions of tracks over one clip. Notes 29 bytes per position; `finish` makes 25 of them, giving back frame after frame."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.num_frames = self.num_tracks = 0
        self._queries: list[np.ndarray] = []
        self._rows: list[tuple[np.ndarray, ...]] = []

    def begin(self, frame: int, pixels: np.ndarray) -> np.ndarray:
        """New tracks asked for at pixels "n 2" of a frame. Returns their numbers, int32 "n"."""
        numbers = np.arange(self.num_tracks, self.num_tracks + len(pixels), dtype=np.int32)
        self._queries.append(np.insert(pixels, 0, frame, axis=1).astype(np.float32))
        self.num_tracks += len(pixels)
        return numbers

    def note(
        self,
        numbers: np.ndarray,
        pixels: np.ndarray,
        points: np.ndarray,
        *,
        score: np.ndarray | None = None,
        seen: np.ndarray | None = None,
    ) -> None:
        """The next frame: positions of the tracks that live in it.

        Args:
            numbers: int32 "n", each once, and each track in one row of frames without a gap.
            pixels: "n 2". points: "n 3".
            score: "n", visibility times confidence; None for 1.
            seen: bool "n"; None where all are.
        """
        scores = np.ones(len(numbers), np.float32) if score is None else score.astype(np.float32)
        visible = np.ones(len(numbers), bool) if seen is None else seen
        self._rows.append((numbers, pixels.astype(np.float32), points.astype(np.float32), visible, scores))
        self.num_frames += 1

    def finish(self, space: Space, *, shortest: int = 1) -> DenseTracks:
        """The tracks of so many frames or more, in the order of their numbers. The log is empty then."""
        starts, lengths = np.full(self.num_tracks, -1, np.int32), np.zeros(self.num_tracks, np.int32)
        for frame, (numbers, *_) in enumerate(self._rows):
            lengths[numbers] += 1
            starts[numbers[starts[numbers] < 0]] = frame
        kept = lengths >= shortest
        lengths[~kept] = 0
        following = np.cumsum(lengths, dtype=np.int64) - lengths  # place of each track's next position
        total = int(lengths.sum())
        pixels, points = np.empty((total, 2), np.float32), np.empty((total, 3), np.float32)
        seen, score = np.empty(total, bool), np.empty(total, np.float32)
        for frame, (numbers, *values) in enumerate(self._rows):
            chosen = kept[numbers]
            places = following[numbers[chosen]]
            pixels[places], points[places], seen[places], score[places] = (value[chosen] for value in values)
            following[numbers[chosen]] += 1
            self._rows[frame] = ()
        return DenseTracks(
            num_frames=self.num_frames,
            size=self.size,
            space=space,
            queries=np.concatenate([np.zeros((0, 3), np.float32), *self._queries])[kept],
            starts=starts[kept],
            lengths=lengths[kept],
            pixels=pixels,
            points=points,
            visibility=seen,
            visibility_score=score,
        )

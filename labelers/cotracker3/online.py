"""cotracker3-online: window by window, in memory that does not grow with the clip."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from labelers.cotracker3.engine import CoTracker3Engine
from labelers.cotracker3.labeler import MACHINE, CoTracker3Labeler, Variant, label_encoded
from labelers.reseeding import Track
from pipeline.errors import DataError
from pipeline.records import ClipFrames, TrackLabels


@dataclass(frozen=True, kw_only=True)
class CoTracker3OnlineLabeler(CoTracker3Labeler):
    """The public online predictor's behaviour, with its raw scores.

    It looks forward only: before its query a point is not visible and rests, with both scores 0. With `backward` the clip's features
    are held in memory and the time-reversed clip says what came before. Re-seeding reads the clip once more for each look that adds
    points.
    """

    name: ClassVar[str] = "cotracker3-online"
    variant: ClassVar[Variant] = "online"

    checkpoint: str = field(default="hf://facebook/cotracker3/scaled_online.pth", metadata=MACHINE)
    visibility_rule: str = "product"
    support_grid: int = 0
    backward: bool = False

    def _trackers(self, engine: CoTracker3Engine, clips: Sequence[ClipFrames]) -> tuple[list[TrackLabels], Sequence[Track]]:
        if self.backward:
            return label_encoded(engine, clips, rule=self.visibility_rule, backward=True)
        labels = self._stream(engine, clips, [clip.queries for clip in clips])
        return labels, [partial(self._stream_one, engine, clip) for clip in clips]

    def _stream_one(self, engine: CoTracker3Engine, clip: ClipFrames, queries: np.ndarray) -> TrackLabels:
        return self._stream(engine, [clip], [queries])[0]

    def _stream(self, engine: CoTracker3Engine, clips: Sequence[ClipFrames], queries: Sequence[np.ndarray]) -> list[TrackLabels]:
        windows = deque(engine.stream([clip.reader for clip in clips], queries), maxlen=1)
        found = windows.pop() if windows else []
        num_frames = clips[0].reader.shape[0]
        if not found or len(found[0].tracks_px) != num_frames:
            raise DataError(f"{len(found[0].tracks_px) if found else 0} frames arrived, {num_frames} were promised; cut the clip again")
        return [
            tracks.through_queries(points).silent_before(points).labels(points, self.visibility_rule)
            for tracks, points in zip(found, queries, strict=True)
        ]

    def _before_queries(self) -> str:
        return "frames before a query are those of the time-reversed clip" if self.backward else "nothing is visible before its query"

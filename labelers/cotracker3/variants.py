"""cotracker3-offline, the whole clip at once, and cotracker3-online, window by window in memory that does not grow."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from labelers.cotracker3.engine import CoTracker3Engine, VisibilityRule
from labelers.cotracker3.labeler import MACHINE, CoTracker3Labeler, Variant, label_encoded
from labelers.options import check_count
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
    visibility_rule: VisibilityRule = "product"
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
            tracks.through_queries(points).rest_before(points).labels(points, self.visibility_rule)
            for tracks, points in zip(found, queries, strict=True)
        ]

    def _describe_earlier_frames(self) -> str:
        return "frames before a query are those of the time-reversed clip" if self.backward else "nothing is visible before its query"


@dataclass(frozen=True, kw_only=True)
class CoTracker3OfflineLabeler(CoTracker3Labeler):
    """The public offline predictor's behaviour, with its raw scores. Memory grows with clip length times queries.

    Clips longer than `max_frames` go to the online model, in memory that does not grow, where its weights are given.
    """

    name: ClassVar[str] = "cotracker3-offline"
    variant: ClassVar[Variant] = "offline"

    checkpoint: str = field(default="hf://facebook/cotracker3/scaled_offline.pth", metadata=MACHINE)
    visibility_rule: VisibilityRule = "predictor"
    support_grid: int = 6
    backward: bool = True
    max_frames: int = 60  # the rows of the time embedding; beyond, it is stretched
    online_checkpoint: str | None = field(default=None, metadata=MACHINE)  # weights for longer clips; identified by their hash

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("max_frames", self.max_frames, minimum=1)
        self._online  # noqa: B018  as for our own weights

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Follow each clip's queries; the longer clips by the online model. Raises DataError for those if there is none."""
        is_long = [clip.reader.shape[0] > self.max_frames for clip in clips]
        short = iter(super().label([clip for clip, long in zip(clips, is_long, strict=True) if not long]))
        long = iter(self._label_long([clip for clip, long in zip(clips, is_long, strict=True) if long]))
        return [next(long if is_long_one else short) for is_long_one in is_long]

    def _label_long(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        if clips and self._online is None:
            raise DataError(
                f"clip {clips[0].key}: {clips[0].reader.shape[0]} frames, cotracker3-offline takes max_frames={self.max_frames}; give"
                " online_checkpoint (such as hf://facebook/cotracker3/scaled_online.pth) for longer clips, label them with"
                " cotracker3-online, cut shorter ones, or raise max_frames if memory allows"
            )
        return [] if self._online is None else self._online.label(clips)

    @cached_property
    def _online(self) -> CoTracker3OnlineLabeler | None:
        if self.online_checkpoint is None:
            return None
        same = {option.name for option in fields(CoTracker3OnlineLabeler)} - {"checkpoint", "sha256", "backward", "support_grid"}
        return CoTracker3OnlineLabeler(checkpoint=self.online_checkpoint, **{name: getattr(self, name) for name in same})

    def _trackers(self, engine: CoTracker3Engine, clips: Sequence[ClipFrames]) -> tuple[list[TrackLabels], Sequence[Track]]:
        return label_encoded(engine, clips, rule=self.visibility_rule, backward=self.backward)

    def _describe_earlier_frames(self) -> str:
        return "frames before a query are those of the time-reversed clip" if self.backward else "frames before a query are tracked along"

    def _options(self) -> dict[str, Any]:
        online = None if self._online is None else self._online.provenance().checkpoint_sha256
        return {**super()._options(), "online_checkpoint_sha256": online}

"""CoTracker3 on whole clips and on streams, in pixels of the input: what the public predictors do, with every frame encoded once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from labelers.cotracker3.config import EngineConfig
from labelers.cotracker3.frames import check_queries, in_groups, pixel_scale, regular_grid, to_model_frames
from labelers.cotracker3.passes import EncodedClips, track_clips
from labelers.cotracker3.streaming import StreamState, advance, first_window, window_groups
from labelers.options import check_choice
from networks.cotracker3.features import Features, gather_chunks, last_frames, pyramid
from networks.cotracker3.models import CoTracker3Online, CoTracker3Output
from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import TrackState
from networks.cotracker3.windows import STEP
from networks.layers.computing import arithmetic
from pipeline.errors import ConfigError
from pipeline.records import FrameReader, TrackLabels

Video = np.ndarray | FrameReader  # uint8 "T H W 3", or a reader of T frames "H W 3"
RULES: dict[str, str] = {
    "predictor": "visibility > 0.9, the public offline predictor's rule",
    "product": "visibility x confidence > 0.6, the public online predictor's and benchmark's rule",
}
_RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "predictor": lambda visibility, confidence: visibility > 0.9,
    "product": lambda visibility, confidence: visibility * confidence > 0.6,
}


@dataclass(frozen=True, slots=True, eq=False)
class CoTracker3Tracks:
    """Tracks of N queries over the T frames of one clip, with both raw probabilities."""

    tracks_px: np.ndarray  # float32 "T N 2", (x, y) in pixels of the clip, integers at pixel centres
    visibility: np.ndarray  # float32 "T N" in [0, 1]
    confidence: np.ndarray  # float32 "T N" in [0, 1]: that the position is right

    def labels(self, queries: np.ndarray, rule: str) -> TrackLabels:
        """Labels of these queries "N 3": visible by one of RULES, and at their own query frames."""
        check_choice("visibility_rule", rule, tuple(RULES))
        visible = _RULES[rule](self.visibility, self.confidence)
        visible[queries[:, 0].astype(int), np.arange(len(queries))] = True
        return TrackLabels(
            queries=queries, tracks_px=self.tracks_px, visibility=visible, visibility_score=self.visibility, confidence=self.confidence
        )

    def through_queries(self, queries: np.ndarray) -> "CoTracker3Tracks":
        """The same, but each track passes exactly through its own query "N 3" (t, x, y)."""
        tracks_px = self.tracks_px.copy()
        tracks_px[queries[:, 0].astype(int), np.arange(len(queries))] = queries[:, 1:]
        return replace(self, tracks_px=tracks_px)

    def silent_before(self, queries: np.ndarray) -> "CoTracker3Tracks":
        """The same, but before its query frame a point rests at its query, with both probabilities 0: nothing is claimed there."""
        before = np.arange(len(self.tracks_px))[:, None] < queries[None, :, 0]
        return CoTracker3Tracks(
            np.where(before[..., None], queries[None, :, 1:], self.tracks_px).astype(np.float32),
            np.where(before, np.float32(0), self.visibility),
            np.where(before, np.float32(0), self.confidence),
        )


class CoTracker3Engine:
    """Runs a model, wherever its weights are. Holds no state of a video: several may be in flight."""

    def __init__(self, model: CoTracker3, config: EngineConfig | None = None) -> None:
        self.model = model.eval()
        self.config = config or EngineConfig.for_device(model.device.type)

    def track(self, video: Video, queries: np.ndarray, *, backward: bool = True) -> CoTracker3Tracks:
        """Track points through one clip, as the public `CoTrackerPredictor` does.

        Args:
            video: uint8 "T H W 3", RGB.
            queries: float32 "N 3": (t, x, y), frame index and pixels of the video, integers at pixel centres.
            backward: track the time-reversed clip too, and take from it the frames before each point's query.
        Returns: tracks that pass through their queries, and raw probabilities.
        Raises: DataError for queries outside the clip's frames.
        """
        return self.track_encoded(self.encode([video]), [queries], backward=backward)[0]

    def encode(self, videos: Sequence[Video]) -> EncodedClips:
        """Encode clips of equal length; their frames may differ in size. Raises ConfigError if the lengths differ."""
        lengths = {video.shape[0] for video in videos}
        if len(lengths) != 1:
            raise ConfigError(f"clips of {sorted(lengths)} frames cannot share a batch")
        with arithmetic(self.model.device, self.config.precision):
            features = self._features(videos, num_frames=sum(video.shape[0] for video in videos))
        rows = torch.arange(features.num_frames, device=self.model.device).view(len(videos), -1)
        return EncodedClips(features, rows, _sizes(videos))

    def track_encoded(self, clips: EncodedClips, queries: Sequence[np.ndarray], *, backward: bool = True) -> list[CoTracker3Tracks]:
        """As `track`, for clips that are encoded already; each has as many queries as the others."""
        for points in queries:
            check_queries(points, clips.rows.shape[1])
        with arithmetic(self.model.device, self.config.precision):
            state = track_clips(self.model, clips, self._model_points(queries, clips.sizes), config=self.config, backward=backward)
            found = self._in_pixels(state, clips.sizes, num_points=len(queries[0]))
        return [tracks.through_queries(points) for tracks, points in zip(found, queries, strict=True)]

    def stream(self, videos: Sequence[Video], queries: Sequence[np.ndarray]) -> Iterator[list[CoTracker3Tracks]]:
        """Track clips of equal length while reading them, as the public `CoTrackerOnlinePredictor` does; the model must be the online one.

        Args:
            videos: read front to back, 8 frames of each in memory.
            queries: one float32 "N 3" per video, N the same.
        Yields: after every window, the tracks from frame 0 to the last frame seen. What else is held does not grow with the length.
            Windows before the first query are left out: points rest there, with probabilities of 0.5.
        """
        if not isinstance(self.model, CoTracker3Online):
            raise ConfigError("only the online model tracks a stream: build_model('online'), weights scaled_online.pth")
        for points, video in zip(queries, videos, strict=True):
            check_queries(points, video.shape[0])
        state = StreamState.before(
            self._model_points(queries, _sizes(videos)), start=0 if self.config.support_grid else first_window(queries)
        )
        kept: list[Features] = []  # the last 8 frames of each video
        for groups in zip(*(window_groups(video, state.start) for video in videos), strict=True):
            with arithmetic(self.model.device, self.config.precision):
                window = self._features(groups, num_frames=sum(map(len, groups)) + sum(part.num_frames for part in kept), after=kept)
                state = advance(self.model, state, window, config=self.config)
                kept += last_frames(window, STEP, batch=len(videos))
                del window  # before the next one is made
                found = self._in_pixels(state.found, _sizes(videos), num_points=len(queries[0]))
            yield found

    def _features(self, videos: Sequence[Video], *, num_frames: int, after: list[Features] | None = None) -> Features:
        """Pyramids of all videos, one video after the other.

        Args:
            after: of each video, frames before these that are encoded already. The list is emptied, so that each is held only until
                it is copied.
        """

        def chunks() -> Iterator[Features]:
            for video in videos:
                if after:
                    yield after.pop(0)
                for frames in in_groups(video, self.config.frames_at_once):
                    yield pyramid(self.model.fnet(to_model_frames(frames, self.model)))

        return gather_chunks(chunks(), num_frames)

    def _model_points(self, queries: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> Tensor:
        """float32 "B N+G*G 3" (t, x, y) in model pixels: each clip's queries, then the support grid on frame 0."""
        support = np.zeros((self.config.support_grid**2, 3), np.float32)
        support[:, 1:] = regular_grid(self.config.support_grid, self.model.model_resolution)
        scales = [np.array([1, *pixel_scale(size, self.model.model_resolution)], np.float32) for size in sizes]
        points = [np.concatenate([of_clip * scale, support]) for of_clip, scale in zip(queries, scales, strict=True)]
        return torch.from_numpy(np.stack(points).astype(np.float32)).to(self.model.device)

    def _in_pixels(self, state: TrackState, sizes: Sequence[tuple[int, int]], *, num_points: int) -> list[CoTracker3Tracks]:
        output = CoTracker3Output.of_state(state)
        arrays = [values[:, :, :num_points].float().cpu().numpy() for values in (output.tracks, output.visibility, output.confidence)]
        return [
            CoTracker3Tracks(tracks / pixel_scale(size, self.model.model_resolution), visibility, confidence)
            for tracks, visibility, confidence, size in zip(*arrays, sizes, strict=True)
        ]


def _sizes(videos: Sequence[Video]) -> tuple[tuple[int, int], ...]:
    return tuple((video.shape[1], video.shape[2]) for video in videos)

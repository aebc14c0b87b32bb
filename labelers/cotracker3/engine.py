"""CoTracker3 on whole clips and on streams, in pixels of the input: as the public predictors, with every frame encoded once.

Frames are resized as in the public predictor: align-corners, aspect ratio not kept. With whole numbers at pixel centres, align-corners
maps the outermost pixel centres onto each other: x_model = x (W_model-1)/(W-1).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labelers.cotracker3.config import EngineConfig
from labelers.cotracker3.passes import EncodedClips, StreamState, first_window, frames_by_window, track_clips, track_window
from labelers.options import check_choice
from networks.cotracker3.features import Features, gather_chunks, last_frames, pyramid
from networks.cotracker3.models import CoTracker3Online, CoTracker3Output
from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import STEP, TrackState
from networks.layers.computing import arithmetic
from pipeline.errors import ConfigError, DataError
from pipeline.records import FrameReader, TrackLabels

Video = np.ndarray | FrameReader  # uint8 "T H W 3", or a reader of T frames "H W 3"
VisibilityRule = Literal["predictor", "product"]
RULES: dict[VisibilityRule, str] = {
    "predictor": "visibility > 0.9, the public offline predictor's rule",
    "product": "visibility x confidence > 0.6, the public online predictor's and benchmark's rule",
}
_RULES: dict[VisibilityRule, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "predictor": lambda visibility, confidence: visibility > 0.9,
    "product": lambda visibility, confidence: visibility * confidence > 0.6,
}


def to_model_frames(frames: np.ndarray, model: CoTracker3) -> Tensor:
    """Frames uint8 "F H W 3" to float32 "F 3 H_model W_model", 0..255, on the model's device: bilinear, no antialiasing."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames))
    if model.device.type != "cpu":
        pixels = pixels.pin_memory().to(model.device, non_blocking=True)
    return F.interpolate(pixels.permute(0, 3, 1, 2).float(), model.model_resolution, mode="bilinear", align_corners=True)


def pixel_scale(size: tuple[int, int], model_resolution: tuple[int, int]) -> np.ndarray:
    """float32 (2,): multiply (x, y) of frames of `size` (H, W) by it to get model pixels."""
    (height, width), (model_height, model_width) = size, model_resolution
    return np.array([(model_width - 1) / max(width - 1, 1), (model_height - 1) / max(height - 1, 1)], np.float32)


def group_frames(frames: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Frames "H W 3" a few at a time, as "F H W 3"; the last group may be smaller."""
    group: list[np.ndarray] = []
    for frame in frames:
        group.append(frame)
        if len(group) == size:
            yield np.stack(group)
            group = []
    if group:
        yield np.stack(group)


def check_queries(queries: np.ndarray, num_frames: int) -> None:
    """Raise DataError unless queries "N 3" lie on whole frames of a clip."""
    if queries.ndim != 2 or queries.shape[1] != 3:
        raise DataError(f"queries {list(queries.shape)}, expected [N, 3]: (t, x, y)")
    t = queries[:, 0]
    if ((t < 0) | (t >= num_frames) | (t % 1 != 0)).any():
        raise DataError(f"queries on frames {t.min():g} to {t.max():g}, expected whole numbers from 0 to {num_frames - 1}")


def regular_grid(num_side: int, extent: tuple[float, float], *, center: tuple[float, float] | None = None) -> np.ndarray:
    """Points on a square grid.

    Args:
        num_side: points per side; a single one lies in the middle, 0 gives none.
        extent: (H, W) that the grid covers, less a margin of W/64 on every side.
        center: (y, x) of the middle, by default that of the extent.
    Returns: float32 "G*G 2", (x, y), row by row.
    """
    height, width = extent
    center_y, center_x = center or (height / 2, width / 2)
    if num_side == 1:
        return np.array([[center_x, center_y]], np.float32)
    margin = width / 64
    xs = np.linspace(margin - width / 2 + center_x, width / 2 + center_x - margin, num_side)
    ys = np.linspace(margin - height / 2 + center_y, height / 2 + center_y - margin, num_side)
    return np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class CoTracker3Tracks:
    """Tracks of N queries over the T frames of one clip, with both raw probabilities."""

    tracks_px: np.ndarray  # float32 "T N 2", (x, y) in pixels of the clip, integers at pixel centres
    visibility: np.ndarray  # float32 "T N" in [0, 1]
    confidence: np.ndarray  # float32 "T N" in [0, 1]: that the position is right

    def labels(self, queries: np.ndarray, rule: VisibilityRule) -> TrackLabels:
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

    def rest_before(self, queries: np.ndarray) -> "CoTracker3Tracks":
        """The same, but before its query frame a point rests at its query, with both probabilities 0."""
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
        for groups in zip(*(frames_by_window(video, state.start) for video in videos), strict=True):
            with arithmetic(self.model.device, self.config.precision):
                window = self._features(groups, num_frames=sum(map(len, groups)) + sum(part.num_frames for part in kept), after=kept)
                state = track_window(self.model, state, window, config=self.config)
                kept += last_frames(window, STEP, batch=len(videos))
                del window  # before the next one is made
                found = self._in_pixels(state.found, _sizes(videos), num_points=len(queries[0]))
            yield found

    def _features(self, videos: Sequence[Video], *, num_frames: int, after: list[Features] | None = None) -> Features:
        """Pyramids of all videos, one video after the other.

        Args:
            after: of each video, frames before these that are encoded already. The list is emptied, so that each is freed once it is
                copied.
        """

        def chunks() -> Iterator[Features]:
            for video in videos:
                if after:
                    yield after.pop(0)
                for frames in group_frames(video, self.config.frames_at_once):
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

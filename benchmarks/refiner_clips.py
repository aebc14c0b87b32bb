"""Windows that the refiner learns from and is measured on: clips through a virtual camera, degraded, with chains of dis-flow.

The renderer has no fast or shaken cameras outside `wild`, which is for testing: a crop that wanders over the picture, turns and zooms
stands in for them. What a chain says depends on the picture, so windows are made once, before training, and kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from experiments import save

from labelers.optical_flow import DisFlowLabeler
from labelers.refined_flow.clues import clues_of
from labelers.refined_flow.labeler import JUMPS
from pipeline.records import ClipFrames, ClipSample, FramesInMemory
from pipeline.stream import ClipStream, StreamConfig

CHAIN = DisFlowLabeler(jumps=JUMPS)
STORED_QUALITY = 95  # JPEG, of windows to train on; those to measure on are stored as PNG
STEADY_SHARE = 0.25  # of windows to train on, whose camera is left as it is
_MOVES = 3  # sines of a camera's path
_EXPOSURES = 3  # of a blurred frame


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tracks:
    """What is known, or said, of N points over T frames."""

    tracks_px: np.ndarray  # float32 "T N 2"
    visibility: np.ndarray  # bool "T N"
    known: np.ndarray  # bool "T N": whether it is known at all
    queries: np.ndarray  # float32 "N 3", (t, x, y)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Window:
    """T frames of a clip, N points followed through them by chains, and what is known of these."""

    key: str
    images: tuple[bytes, ...]  # compressed, T
    truth: Tracks  # in pixels of these images, as are all that follow
    chain_px: np.ndarray  # float32 "T N 2"
    strain: np.ndarray  # float32 "T N"
    reached: np.ndarray  # bool "T N"
    clues: np.ndarray  # float16 "T N CLUES"
    frames: np.ndarray  # int64 "T": of the clip
    chosen: np.ndarray  # int64 "N": of the clip's tracks
    camera: np.ndarray  # float64 "T 2 3": from the clip's pixels to these
    size: tuple[int, int]  # (H, W)

    def pictures(self) -> np.ndarray:
        """uint8 "T H W 3", RGB."""
        return np.stack([np.asarray(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR))[..., ::-1] for image in self.images])


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A window of a clip: its length, the stored frames from one of its frames to the next, and whether time may run backwards."""

    frames: int
    stride: int = 1
    reversible: bool = True

    def indices(self, available: int, draw: np.random.Generator) -> np.ndarray:
        """Frames of a clip that has so many, "T". Raises: ValueError if it is too short."""
        span = (self.frames - 1) * self.stride + 1
        if span > available:
            raise ValueError(f"a window of {span} frames from a clip of {available}; render longer clips")
        chosen = int(draw.integers(available - span + 1)) + self.stride * np.arange(self.frames)
        return chosen[::-1].copy() if self.reversible and draw.random() < 0.5 else chosen


def clips_with_truth(root: str | Path) -> Iterator[ClipSample]:
    """One at a time, in the order of the plan."""
    config = StreamConfig(root=str(root), num_frames=None, evaluation_truth=True, epochs=1, shuffle=False)
    return iter(ClipStream(config, announce=False))


def true_tracks(clip: ClipSample) -> Tracks:
    """A rendered clip's own, each asked where it begins, or where it is first seen."""
    assert clip.tracks2d is not None, "rendered clips have tracks"
    assert clip.visibility is not None, "rendered clips have tracks"
    known = np.ones_like(clip.visibility) if clip.track_valid is None else clip.track_valid
    seen = clip.visibility & known
    first = seen.argmax(axis=0)
    queries = np.column_stack([first, clip.tracks2d[first, np.arange(len(first))]]).astype(np.float32)
    return Tracks(tracks_px=clip.tracks2d, visibility=seen, known=known & np.isfinite(clip.tracks2d).all(axis=-1), queries=queries)


def keep_windows(root: str | Path, cuts: Sequence[Cut], folder: Path, *, points: int, seed: int) -> int:
    """Make the windows of every clip and keep them below `folder`, a file a clip; those that are there are left. Returns their number."""
    count = 0
    for number, clip in enumerate(clips_with_truth(root)):
        file = folder / f"{number:04d}.pt"
        if not file.exists():
            draws = [np.random.default_rng([seed, number, place]) for place in range(len(cuts))]
            save([degraded_window(clip, cut, points, draw) for cut, draw in zip(cuts, draws, strict=True)], file)
        count += len(cuts)
    return count


def degraded_window(clip: ClipSample, cut: Cut, points: int, draw: np.random.Generator, *, told: Tracks | None = None) -> Window:
    """To train on: through a virtual camera, degraded.

    Args:
        told: labels of the clip; the points are those that it asks within the window, as it asks them. None: the clip's truth.
    """
    indices = cut.indices(len(clip.frames), draw)
    frames, given = clip.frames[indices], told or true_tracks(clip)
    steady = draw.random() < STEADY_SHARE
    path = np.tile(np.eye(2, 3), (2 * len(frames) - 1, 1, 1)) if steady else camera_path(len(frames), frames.shape[1:3], draw)
    frames = degraded(filmed(frames, path, float(draw.uniform(0, 0.8))), draw)
    tracks = through_camera(given, indices, path[::2], frames.shape[1:3])
    chosen = draw.permutation(candidates(tracks, None if told is None else frames.shape[1:3]))[:points]
    chosen.sort()
    tracks = take(tracks, chosen) if told is not None else asked_anew(take(tracks, chosen), draw)
    return window(clip.key, frames, tracks, indices=indices, chosen=chosen, camera=path[::2], quality=STORED_QUALITY)


def measured_window(clip: ClipSample, frames: int, points: int) -> Window:
    """To measure on: the clip's first frames as they are, points from where they are first seen."""
    indices = np.arange(frames)
    still = np.tile(np.eye(2, 3), (frames, 1, 1))
    tracks = through_camera(true_tracks(clip), indices, still, clip.frames.shape[1:3])
    chosen = np.flatnonzero(tracks.visibility[:-1].any(axis=0))[:points]
    tracks = asked_anew(take(tracks, chosen), None)
    return window(clip.key, clip.frames[:frames], tracks, indices=indices, chosen=chosen, camera=still, quality=None)


def window(
    key: str, frames: np.ndarray, tracks: Tracks, *, indices: np.ndarray, chosen: np.ndarray, camera: np.ndarray, quality: int | None
) -> Window:
    """Chain the points of `tracks` through frames "T H W 3"; these are stored as JPEG, or as PNG without a quality."""
    traced = CHAIN.trace(ClipFrames(key=key, reader=FramesInMemory(frames), queries=tracks.queries))
    return Window(
        key=key,
        images=tuple(_encoded(frame, quality) for frame in frames),
        truth=tracks,
        chain_px=traced.labels.tracks_px,
        strain=traced.trace.strain,
        reached=traced.labels.visibility,
        clues=clues_of(traced),
        frames=indices,
        chosen=chosen,
        camera=camera,
        size=frames.shape[1:3],
    )


def camera_path(num_frames: int, size: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    """A wandering crop within the picture: maps of its pixels, float64 "2T-1 2 3", of every frame and of the times halfway between.

    The crop is 0.55 to 0.9 of the picture, and shown at the picture's size.
    """
    height, width = size
    times = np.linspace(0, 1, 2 * num_frames - 1)
    angle = np.radians(draw.uniform(0, 8)) * _sines(times, draw)
    cosine, sine = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    extent = np.stack([cosine * width + sine * height, sine * width + cosine * height], axis=1)  # of the whole picture, turned
    most = (np.array([width, height]) / extent).min(axis=1)
    share = np.minimum(draw.uniform(0.55, 0.9) * np.exp(draw.uniform(0, 0.12) * _sines(times, draw)), most)
    shake_px = draw.uniform(0, 2.5) if draw.random() < 0.5 else 0.0
    extent = share[:, None] * extent
    room = np.maximum(np.array([width, height]) - extent, 0) / 2
    wander = np.stack([_sines(times, draw), _sines(times, draw)], axis=1) * draw.uniform(0.2, 1.0)
    jitter = np.repeat(draw.normal(0, max(shake_px, 1e-9), (num_frames, 2)), 2, axis=0)[:-1]
    centre = np.array([(width - 1) / 2, (height - 1) / 2]) + np.clip(room * wander + jitter, -room, room)
    scale = 1 / share
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2) * scale[:, None, None]
    shift = np.array([(width - 1) / 2, (height - 1) / 2]) - np.einsum("tij,tj->ti", turn, centre)
    return np.concatenate([turn, shift[..., None]], axis=2)


def _sines(times: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A smooth path within [-1, 1]."""
    waves = draw.uniform(0.3, 3.0, _MOVES)[:, None] * times * 2 * np.pi + draw.uniform(0, 2 * np.pi, _MOVES)[:, None]
    return np.asarray((draw.dirichlet(np.ones(_MOVES))[:, None] * np.sin(waves)).sum(axis=0))


def filmed(frames: np.ndarray, path: np.ndarray, shutter: float) -> np.ndarray:
    """Frames "T H W 3" seen by a camera of `camera_path`, open for that share of the time between frames: uint8 of the same shape."""
    if np.array_equal(path, np.tile(np.eye(2, 3), (len(path), 1, 1))):
        return frames
    size = frames.shape[2:0:-1]
    result = np.empty_like(frames)
    for t, frame in enumerate(frames):
        before, now, after = (path[int(np.clip(2 * t + step, 0, len(path) - 1))] for step in (-1, 0, 1))
        shares = np.linspace(-shutter, shutter, _EXPOSURES)
        maps = [now + (after - now) * share if share > 0 else now + (now - before) * share for share in shares]
        seen = [cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for matrix in maps]
        result[t] = np.round(np.mean(seen, axis=0))
    return result


def degraded(frames: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """As poor recordings are: another light, resized, blurred, noisy, compressed; each with its own probability. uint8 "T H W 3"."""
    height, width = frames.shape[1:3]
    times = np.linspace(0, 1, len(frames))
    gain = np.exp(draw.uniform(-0.4, 0.4) + draw.uniform(0, 0.2) * _sines(times, draw))
    tint, gamma = np.exp(draw.normal(0, 0.08, 3)), float(np.exp(draw.uniform(-0.3, 0.3)))
    grey = draw.uniform(0, 0.6)
    small = float(draw.uniform(0.5, 1.0)) if draw.random() < 0.4 else 1.0
    blur_px = float(draw.uniform(0.3, 1.4)) if draw.random() < 0.4 else 0.0
    noise = float(draw.uniform(1, 12)) if draw.random() < 0.6 else 0.0
    options = [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(15, 75))] if draw.random() < 0.6 else None
    result = np.empty_like(frames)
    for t, frame in enumerate(frames):
        values = frame.astype(np.float32) / 255
        values = values + grey * (values.mean(axis=-1, keepdims=True) - values)
        values = np.clip(values * tint * gain[t], 0, 1).astype(np.float32) ** gamma
        if small < 1:
            reduced = cv2.resize(values, (round(small * width), round(small * height)), interpolation=cv2.INTER_AREA)
            values = cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)
        if blur_px:
            values = cv2.GaussianBlur(values, (0, 0), blur_px)
        shown = 255 * values + draw.standard_normal(values.shape, dtype=np.float32) * noise
        picture = np.clip(np.round(shown), 0, 255).astype(np.uint8)
        result[t] = picture if options is None else cv2.imdecode(cv2.imencode(".jpg", picture, options)[1], cv2.IMREAD_COLOR)
    return result


def through_camera(told: Tracks, indices: np.ndarray, camera: np.ndarray, size: tuple[int, int]) -> Tracks:
    """Tracks of a clip in some of its frames, in the pixels of a camera's pictures.

    A query keeps its frame, as a place in the window; -1 where the window lacks it.
    """
    moved = _moved(told.tracks_px[indices].astype(np.float64), camera)
    inside = ((moved >= -0.5) & (moved <= np.array(size[::-1]) - 0.5)).all(axis=-1)
    place = np.full(int(max(indices.max(), told.queries[:, 0].max(initial=0))) + 1, -1)
    place[indices] = np.arange(len(indices))
    asked = place[told.queries[:, 0].astype(np.int64)]
    there = _moved(told.queries[None, :, 1:].astype(np.float64), camera)[np.maximum(asked, 0), np.arange(len(asked))]
    return Tracks(
        tracks_px=moved.astype(np.float32),
        visibility=told.visibility[indices] & inside,
        known=told.known[indices],
        queries=np.column_stack([asked, there]).astype(np.float32),
    )


def _moved(places: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Places "T N 2" (or "1 N 2" for all frames) by maps "T 2 3"."""
    turned = np.einsum("tij,tnj->tni", camera[:, :, :2], np.broadcast_to(places, (len(camera), *places.shape[1:])))
    return np.asarray(turned + camera[:, None, :, 2])


def candidates(tracks: Tracks, size: tuple[int, int] | None) -> np.ndarray:
    """Numbers of the tracks that are asked within the window and a picture of that size; without one, that are seen twice or more."""
    if size is None:
        return np.flatnonzero(tracks.visibility.sum(axis=0) >= 2)
    place = tracks.queries[:, 1:]
    inside = ((place >= -0.5) & (place <= np.array(size[::-1]) - 0.5)).all(axis=1)
    return np.flatnonzero((tracks.queries[:, 0] >= 0) & inside)


def take(tracks: Tracks, chosen: np.ndarray) -> Tracks:
    """Some of the tracks."""
    positions, visible, known = (values[:, chosen] for values in (tracks.tracks_px, tracks.visibility, tracks.known))
    return Tracks(tracks_px=positions, visibility=visible, known=known, queries=tracks.queries[chosen])


def asked_anew(tracks: Tracks, draw: np.random.Generator | None) -> Tracks:
    """The tracks, which are seen at least once, asked where they are first seen; with a draw half of them in any frame that sees them."""
    frame = tracks.visibility.argmax(axis=0)
    if draw is not None:
        lots = np.where(tracks.visibility, draw.random(tracks.visibility.shape), -1).argmax(axis=0)
        frame = np.where(draw.random(len(frame)) < 0.5, lots, frame)
    queries = np.column_stack([frame, tracks.tracks_px[frame, np.arange(len(frame))]]).astype(np.float32)
    return replace(tracks, queries=queries)


def _encoded(frame: np.ndarray, quality: int | None) -> bytes:
    name, options = (".png", []) if quality is None else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imencode(name, frame[..., ::-1], options)[1].tobytes()

"""Every pixel, every frame: flow between neighbouring frames chained into sub-pixel tracks, new ones begun where none passes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from labelers.chain import RoundTripRule
from labelers.optical_flow import sample_flow
from labelers.options import check_count, check_number
from labelers.track4world.track_log import TrackLog
from pipeline.records.dense_tracks import DenseTracks, Space

VISIBLE = 0.3  # visibility times confidence, of the public code


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameGeometry:
    """Points of one frame."""

    points: np.ndarray  # float32 "H W 3", in the frame's camera
    clean: np.ndarray  # bool "H W", by `cleaning.clean_mask`
    intrinsics: np.ndarray  # "3 3", pixels; the camera of `points`
    camera_to_world: np.ndarray | None  # "4 4"; None: points stay in the camera's axes

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.clean.shape[0], self.clean.shape[1]

    @property
    def space(self) -> Space:
        """Of `placed` points."""
        return "camera" if self.camera_to_world is None else "world"

    def lift(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels "n 2" to points "n 3" in the camera, at the depth of the frame's points there, bilinear."""
        return lift_pixels(pixels, sample_flow(self.points[..., 2:], pixels)[:, 0], self.intrinsics)

    def placed(self, points: np.ndarray) -> np.ndarray:
        """Points "n 3" of the camera in the world, where the pose is known."""
        return place(points, self.camera_to_world)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChainStep:
    """Where the pixels of one frame are in the next."""

    targets: np.ndarray  # float32 "H W 2", (x, y) in the next frame, integers at pixel centres
    score: np.ndarray  # float32 "H W", visibility times confidence
    returns: np.ndarray | None = None  # float32 "H W 2": where the next frame's pixels are in this one; None without check


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainRule:
    """When tracks begin and end."""

    every: int = 1  # pixels: side of the cells, in the middle of which a track begins where none is in the cell
    visible: float = VISIBLE  # a step below or at this score ends a track
    round_trip: RoundTripRule | None = None  # a step that misses its start by more, there and back, ends a track; None: no check
    most_per_cell: int = 4  # of more tracks in a cell the youngest end: positions per frame never exceed this times the cells
    shortest: int = 2  # frames: shorter tracks are left out

    def __post_init__(self) -> None:
        check_count("every", self.every, minimum=1)
        check_number("visible", self.visible, minimum=0.0, maximum=1.0)
        check_count("most_per_cell", self.most_per_cell, minimum=1)
        check_count("shortest", self.shortest, minimum=1)


def chain_tracks(frames: Iterable[FrameGeometry], steps: Iterable[ChainStep], rule: ChainRule, *, num_frames: int) -> DenseTracks:
    """Chain the steps between neighbouring frames; one frame and one step are looked at at a time.

    A track goes on while its step is visible, stays inside the image, lands on a pixel of the next frame's clean mask, and passes the
    check of the round trip. It is then at the sub-pixel place where the flow led, at the depth of that frame's points: errors of
    depth do not add up along a track. Tracks begin on clean pixels alone, and none in the last frame.

    Args:
        frames: T of them. steps: T - 1.
        num_frames: T.
    Source: Track4World's chaining, which `integer_chaining` repeats to the letter: there positions are rounded at every step.
    """
    walk = iter(frames)
    first = next(walk)
    cells = Cells(size=first.size, every=rule.every)
    log = TrackLog(first.size)
    empty = np.zeros((0, 2), np.float32)
    pixels = cells.free(empty, first.clean)
    numbers = log.begin(0, pixels)
    log.note(numbers, pixels, first.placed(first.lift(pixels)))
    for t, (frame, step) in enumerate(zip(walk, steps, strict=True), start=1):
        moved, score, kept = _take_step(pixels, frame, step, rule)
        numbers, moved, score = numbers[kept], moved[kept], score[kept]
        roomy = cells.crowd_ranks(moved) < rule.most_per_cell
        numbers, moved, score = numbers[roomy], moved[roomy], score[roomy]
        new = cells.free(moved, frame.clean) if t < num_frames - 1 else empty
        numbers, pixels = np.concatenate([numbers, log.begin(t, new)]), np.concatenate([moved, new])
        log.note(numbers, pixels, frame.placed(frame.lift(pixels)), score=np.concatenate([score, np.ones(len(new), np.float32)]))
    return log.finish(first.space, shortest=rule.shortest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """A grid of square cells over an image, which is cut off at its right and lower edge."""

    size: tuple[int, int]  # (H, W) of the image
    every: int  # pixels of a side

    def middles(self) -> np.ndarray:
        """The cells' middle pixels, row by row, float32 "C 2" (x, y)."""
        y, x = (np.minimum(np.arange(0, side, self.every) + self.every // 2, side - 1) for side in self.size)
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Number of the cell of each pixel "n 2": int64 "n"."""
        x, y = nearest_pixels(pixels, self.size)
        return y // self.every * -(-self.size[1] // self.every) + x // self.every

    def free(self, pixels: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """Middles, if clean, of the cells without any of the pixels "n 2": float32 "k 2"."""
        middles = self.middles()
        x, y = nearest_pixels(middles, self.size)
        free = clean[y, x]
        free[self.of(pixels)] = False
        return middles[free]

    def crowd_ranks(self, pixels: np.ndarray) -> np.ndarray:
        """Number of earlier rows of pixels "n 2" in the same cell: int64 "n"."""
        cells = self.of(pixels)
        order = np.argsort(cells, kind="stable")
        counts = np.bincount(cells)
        ranks = np.empty(len(cells), np.int64)
        ranks[order] = np.arange(len(cells)) - np.repeat(np.cumsum(counts) - counts, counts)
        return ranks


def lift_pixels(pixels: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels "n 2" at depths "n" to points "n 3" of a camera "3 3" in pixels."""
    rays = (pixels - intrinsics[:2, 2]) / intrinsics[[0, 1], [0, 1]]
    return np.concatenate([rays, np.ones_like(rays[:, :1])], axis=1) * depth[:, None]


def place(points: np.ndarray, camera_to_world: np.ndarray | None) -> np.ndarray:
    """Points "n 3" of a camera in the world; as they are where its pose "4 4" is unknown."""
    return points if camera_to_world is None else points @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]


def nearest_pixels(pixels: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows, int64 "n" each, of the image's pixels nearest to places "n 2"; halves to even."""
    height, width = size
    x, y = np.rint(pixels).astype(np.int64).T
    return x.clip(0, width - 1), y.clip(0, height - 1)


def _take_step(pixels: np.ndarray, frame: FrameGeometry, step: ChainStep, rule: ChainRule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of pixels "n 2" in the next frame, "n 2", the step's score, "n", and whether a track goes on, bool "n"."""
    edges = np.array(frame.size[::-1], np.float32)  # (W, H)
    beyond = pixels - pixels.clip(0, edges - 1)  # outermost half pixels move as the outermost centres
    moved = sample_flow(step.targets, pixels) + beyond
    score = sample_flow(step.score[..., None], pixels)[:, 0]
    inside = ((moved >= -0.5) & (moved <= edges - 0.5)).all(axis=1)
    moved = np.where(inside[:, None], moved, pixels)
    x, y = nearest_pixels(moved, frame.size)
    kept = inside & (score > rule.visible) & frame.clean[y, x]
    if rule.round_trip is not None:
        assert step.returns is not None, "a rule with a round trip comes with ways back"
        returned = sample_flow(step.returns, moved) + moved - moved.clip(0, edges - 1)
        missed, length = (np.linalg.norm(way, axis=1) for way in (returned - pixels, moved - pixels))
        kept &= missed <= rule.round_trip.px + rule.round_trip.share * length
    return moved, score, kept

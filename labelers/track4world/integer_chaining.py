"""Chaining by the public code's rules: positions rounded to pixels at every step."""

from collections.abc import Iterable

import numpy as np

from labelers.track4world.chaining import VISIBLE, ChainStep, FrameGeometry
from labelers.track4world.track_log import TrackLog
from pipeline.records.dense_tracks import DenseTracks


def chain_integer(frames: Iterable[FrameGeometry], steps: Iterable[ChainStep], *, num_frames: int, visible: float = VISIBLE) -> DenseTracks:
    """Tracks of every pixel, as Track4World's code makes them.

    Step t - 1 -> t: a track goes on if the score at its pixel p is above the threshold, the clean mask of frame t holds at p (not at the
    new pixel), and its target, rounded with halves to even, is inside the image. Its point is that of frame t at the new pixel. Then
    a track begins on every pixel without one, valid or not. A step that no track survives is skipped: all keep their pixels, and are
    hidden in that frame (the code has NaN there). The last frame is left empty.

    Args:
        frames: T of them. steps: T - 1; the last is not used.
        num_frames: T.
    Source: Track4World's released code; where a description reads otherwise (mask of frame t - 1), the code counts.
    """
    walk = iter(frames)
    frame = next(walk)
    (height, width), space, log = frame.size, frame.space, TrackLog(frame.size)
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    numbers = log.begin(0, pixels)
    log.note(numbers, pixels, frame.placed(frame.points.reshape(-1, 3)))
    for t, frame, step in zip(range(1, num_frames - 1), walk, steps, strict=False):
        x, y = pixels.T
        moved = np.rint(step.targets[y, x]).astype(np.int64)
        inside = ((moved >= 0) & (moved < (width, height))).all(axis=1)
        kept = (step.score[y, x] > visible) & frame.clean[y, x] & inside
        if not kept.any():
            hidden = np.zeros(len(numbers), bool)
            log.note(numbers, pixels, frame.placed(frame.points[y, x]), score=hidden.astype(np.float32), seen=hidden)
            continue
        score, moved = step.score[y, x][kept], moved[kept]
        free = np.ones((height, width), bool)
        free[moved[:, 1], moved[:, 0]] = False
        new = np.argwhere(free)[:, ::-1]
        numbers, pixels = np.concatenate([numbers[kept], log.begin(t, new)]), np.concatenate([moved, new])
        points = frame.points[pixels[:, 1], pixels[:, 0]]
        log.note(numbers, pixels, frame.placed(points), score=np.concatenate([score, np.ones(len(new), np.float32)]))
    if num_frames > 1:
        nothing = np.zeros((0, 3), np.float32)
        log.note(numbers[:0], nothing[:, :2], nothing)
    return log.finish(space)

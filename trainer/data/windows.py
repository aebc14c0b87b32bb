"""Which frames of a clip a step takes: a walk through time that starts where tracks are asked."""

import numpy as np

from trainer.data.config import AugmentConfig


def draw_window(starts: np.ndarray, num_frames: int, augment: AugmentConfig, draw: np.random.Generator) -> np.ndarray:
    """Draw the first frame and walk from it.

    Args:
        starts: float "S": how much speaks for each of the clip's S frames as the first one; not all 0.
        num_frames: T.
    Returns: int64 "T", see `walk`.
    """
    first = int(draw.choice(len(starts), p=starts / starts.sum()))
    stride = int(draw.integers(augment.strides[0], augment.strides[1] + 1))
    backwards = bool(draw.random() < 0.5)
    return walk(len(starts), first, num_frames, stride=stride, backwards=backwards and augment.reverse)


def walk(num_stored: int, first: int, num_frames: int, *, stride: int, backwards: bool) -> np.ndarray:
    """T frames at one stride, `first` ahead of all others.

    In the direction asked for if there is room for it, else in the other one, else on both sides: then the others follow in the order of
    time. (The models know no order among the frames after the first.) The stride shrinks as far as the clip's length demands. A
    clip of fewer than T frames is taken whole, again and again.

    Args:
        num_stored: frames of the clip.
        first: in [0, num_stored).
    Returns: int64 "T"; frames differ wherever the clip has T of them.
    """
    steps = num_frames - 1
    stride = max(min(stride, (num_stored - 1) // max(steps, 1)), 1)
    room = {+1: (num_stored - 1 - first) // stride, -1: first // stride}
    ahead = -1 if backwards else +1
    for direction in (ahead, -ahead):
        if room[direction] >= steps:
            return first + direction * stride * np.arange(num_frames)
    if room[+1] + room[-1] < steps and stride > 1:
        return walk(num_stored, first, num_frames, stride=stride - 1, backwards=backwards)
    before = min(room[-1], max(steps - room[+1], steps // 2))
    others = first + stride * np.arange(-before, min(room[+1], steps - before) + 1)
    order = np.concatenate([[first], others[others != first]])
    return np.resize(order, num_frames).astype(np.int64)

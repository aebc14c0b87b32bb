"""Which frames of a clip are delivered: a function of the stream's seed and the index i alone."""

import numpy as np

from pipeline.stream.config import StreamConfig

_WINDOW = 2**32 - 1  # keeps these draws apart from the order's, whose second word is an epoch


def span_frames(config: StreamConfig) -> int:
    """Stored frames that a full window covers, from its first to its last; 1 when whole clips are delivered."""
    return 1 if config.num_frames is None else (config.num_frames - 1) * config.frame_stride + 1


def is_too_short(config: StreamConfig, num_stored: int) -> bool:
    """Whether a clip is left out for its length: only with `short_clips="skip"`."""
    return config.short_clips == "skip" and num_stored < span_frames(config)


def window_indices(config: StreamConfig, index: int, num_stored: int) -> np.ndarray:
    """Frames of the stored clip to deliver at index i.

    The start is uniform among those that leave room for the window. A clip that is too short for one, and every clip with
    `num_frames=None`, is delivered from its first frame to its end at the stride.

    Args:
        num_stored: frames of the stored clip.
    Returns: int64 "T", increasing.
    """
    spare = num_stored - span_frames(config)
    if config.num_frames is None or spare < 0:
        return np.arange(0, num_stored, config.frame_stride)
    # Raw output, which numpy never changes; the modulo's bias is below spare / 2^64.
    start = np.random.PCG64(np.random.SeedSequence([config.seed, _WINDOW, index])).random_raw() % (spare + 1)
    return start + config.frame_stride * np.arange(config.num_frames)

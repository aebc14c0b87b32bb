"""Which points of a clip are followed: spread over its frames and its picture, with a fair share on what moves."""

import numpy as np

_ON_MOVERS = 0.4  # of the queries, where the frame shows enough of them


def choose_queries(depth: np.ndarray, dynamic: np.ndarray, *, num_tracks: int, rng: np.random.Generator) -> np.ndarray:
    """Queries (t, x, y) on surfaces, float64 "N 3", in the order of their frames, evenly over all frames. N may be 0: nothing but sky.

    Args:
        depth: float32 "T H W", 0 = sky.
        dynamic: bool "T H W".
    """
    num_frames = len(depth)
    frames = np.arange(num_tracks) * num_frames // max(num_tracks, 1)
    queries = []
    for frame in range(num_frames):
        count = int(np.sum(frames == frame))
        moving = np.flatnonzero(dynamic[frame])
        still = np.flatnonzero((depth[frame] > 0) & ~dynamic[frame])
        on_movers = round(min(_ON_MOVERS * count, len(moving) / 12)) if len(still) else min(count, len(moving))
        chosen = [_spread(moving, on_movers, rng), _spread(still, count - on_movers, rng)]
        y, x = np.divmod(np.concatenate(chosen), depth.shape[2])
        queries.append(np.stack([np.full(len(x), frame), x, y], axis=-1))
    return np.concatenate(queries).astype(np.float64)


def _spread(pixels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the pixels (fewer if there are not so many): one from each of as many equal runs of them."""
    count = min(count, len(pixels))
    if count == 0:
        return pixels[:0]
    edges = np.linspace(0, len(pixels), count + 1)
    return pixels[np.floor(edges[:-1] + rng.random(count) * np.diff(edges)).astype(int)]

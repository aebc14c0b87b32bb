"""Coverage of a clip by its tracks, and tracks that end at once. Only visible points count."""

import numpy as np

from pipeline.audit.clips.small import known_max, known_mean

CELLS = 8  # per side
_MIN_VISIBLE = 8  # tracks, to speak of a share that ends
_MARGIN_SHARE = 0.02  # of a side: so close to the edge, a track has left the image


def usable_tracks(visibility: np.ndarray, least: int) -> int:
    """Tracks that are visible in `least` frames or more, or in all frames of a shorter clip. visibility: bool "T N"."""
    return int((visibility.sum(axis=0) >= min(least, len(visibility))).sum())


def cover_entropy(tracks_px: np.ndarray, visibility: np.ndarray, height: int, width: int) -> float:
    """Mean over frames of H / log 64, with H the entropy of the visible points' histogram over 8 x 8 cells.

    1: spread evenly; 0: all in one cell. Frames without a visible point say nothing; NaN if none has one.

    Args:
        tracks_px: "T N 2" (x, y), integer = pixel centre.
    """
    column, row = (
        np.clip(np.floor((tracks_px[..., axis] + 0.5) * CELLS / size), 0, CELLS - 1).astype(np.intp)
        for axis, size in ((0, width), (1, height))
    )
    cell = row * CELLS + column
    return known_mean([_entropy(cell[t, visible]) for t, visible in enumerate(visibility)])


def deaths(tracks_px: np.ndarray, visibility: np.ndarray, height: int, width: int) -> np.ndarray:
    """Share of the tracks visible in frame t whose last visible frame it is, float64 "T"; NaN with fewer than 8, and in the last frame.

    A track that leaves the image does not count: one that, moving on as in its last step (where it was visible before), would be
    outside or within 2 % of the edge.
    """
    num_frames = len(visibility)
    frame = np.arange(num_frames)[:, None]
    ends = visibility & (frame == np.where(visibility, frame, -1).max(axis=0, initial=-1))
    step = np.zeros(tracks_px.shape, np.float64)
    both = visibility[1:] & visibility[:-1]
    step[1:][both] = tracks_px[1:][both].astype(np.float64) - tracks_px[:-1][both]
    ahead = tracks_px + step
    size = np.array([width, height])
    margin = _MARGIN_SHARE * size
    inside = ((ahead >= margin - 0.5) & (ahead <= size - 0.5 - margin)).all(axis=-1)
    visible = visibility.sum(axis=1)
    share = np.where(visible >= _MIN_VISIBLE, (ends & inside).sum(axis=1) / np.maximum(visible, 1), np.nan)
    share[-1:] = np.nan
    return share


def deaths_max(tracks_px: np.ndarray, visibility: np.ndarray, height: int, width: int) -> float:
    """The worst frame's share of deaths; NaN if no frame has enough tracks. A cut, or a cross-fade, kills many tracks at once."""
    return known_max(deaths(tracks_px, visibility, height, width))


def dynamic_ratio(static_score: np.ndarray) -> float:
    """Share of the tracks with a static score below 0.5 among those that have one (NaN: undecided). static_score: "N"."""
    decided = static_score[np.isfinite(static_score)]
    return float((decided < 0.5).mean()) if len(decided) else float("nan")


def _entropy(cells: np.ndarray) -> float:
    if not len(cells):
        return float("nan")
    share = np.bincount(cells, minlength=CELLS * CELLS) / len(cells)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum() / np.log(CELLS * CELLS))

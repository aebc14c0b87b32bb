"""Hard cuts inside a clip. Cross-fades are not found here: these tests cannot tell them from a moving camera."""

from collections.abc import Sequence

import numpy as np

CUT_CORRELATION = 0.5  # of thumbs, below which a picture is another one
CUT_SURVIVAL = 0.2  # share of corners found again, below which nothing of the picture is left
_FLAT_STD = 1.0  # grey levels: a thumb of a smaller spread has no pattern to compare


def thumb_correlation(before: np.ndarray, after: np.ndarray) -> float:
    """NCC of two thumbs, float32 "24 32": in [-1, 1]. A flat one is like another flat one (1) and unlike any picture (0)."""
    flat = [thumb.std() < _FLAT_STD for thumb in (before, after)]
    if any(flat):
        return 1.0 if all(flat) else 0.0
    a, b = (thumb - thumb.mean() for thumb in (before, after))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def colour_histogram(rgb: np.ndarray) -> np.ndarray:
    """Shares of the 8 x 8 x 8 cells of RGB, float64 "512", of a frame uint8 "H W 3"."""
    red, green, blue = (rgb[..., channel].astype(np.intp) >> 5 for channel in range(3))
    return np.bincount((red * 64 + green * 8 + blue).ravel(), minlength=512) / red.size


def histogram_jump(before: np.ndarray, after: np.ndarray) -> float:
    """Half the L1 distance of two histograms: 0 for equal colours, 1 for none in common."""
    return float(0.5 * np.abs(before - after).sum())


def cut_frames(correlations: Sequence[float], over_one: Sequence[float], survivals: Sequence[float]) -> tuple[int, ...]:
    """Frames that begin another scene.

    A step is a cut where the thumbs' correlation is below 0.5 and fewer than 0.2 of the corners survive; an unknown survival is no
    evidence. Either test alone takes a flash for a cut. A flash that blinds the picture altogether passes both, but the scene is back
    after it: a step is no cut where the frames around it, or around its end, correlate with 0.5 or more.

    Args:
        correlations: of frames t and t + 1, "T-1".
        over_one: of frames t and t + 2, "T-2".
        survivals: of the corners of frame t in frame t + 1, "T-1".
    """
    found = []
    for t, (correlation, survival) in enumerate(zip(correlations, survivals, strict=True)):
        around = [over_one[place] for place in (t - 1, t) if 0 <= place < len(over_one)]
        is_flash = any(each >= CUT_CORRELATION for each in around)
        if correlation < CUT_CORRELATION and survival < CUT_SURVIVAL and not is_flash:
            found.append(t + 1)
    return tuple(found)

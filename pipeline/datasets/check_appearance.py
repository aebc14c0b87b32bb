"""A measure of visibility where neither depth nor camera is known: a visible point keeps its looks, a hidden one does not."""

import numpy as np

from pipeline.datasets.evidence import Evidence
from pipeline.datasets.measured import Measured
from pipeline.datasets.projection import nearest

_FEWEST_PAIRS = 200  # of each kind
_MOSTLY = 0.5  # of the points in the image are visible in any ordinary clip


def appearance_excess(evidence: Evidence) -> Measured | None:
    """Mean change of colour along visible points over that along hidden ones, less 1; at least 0, and 0 where most points are visible.

    Colours are compared between neighbouring sampled frames. The two signs must come together: hidden points on a plain wall may keep
    their colour, and a clip may show a crowd; only where most points are said to be hidden, and these look the steadier, is it odd.
    """
    tracks, seen, hidden = evidence.tracks2d, evidence.seen, evidence.hidden
    if tracks is None or seen is None or hidden is None or evidence.depth is not None or len(tracks) < 2:
        return None
    colour = np.stack([nearest(evidence.frames[..., channel], tracks) for channel in range(3)], -1).astype(np.float64)
    change = np.abs(np.diff(colour, axis=0)).mean(axis=-1)
    of_seen, of_hidden = (change[kind[1:] & kind[:-1]] for kind in (seen, hidden))
    if min(of_seen.size, of_hidden.size) < _FEWEST_PAIRS:
        return None
    samples = int(of_seen.size + of_hidden.size)
    if seen.sum() > _MOSTLY * (seen.sum() + hidden.sum()):
        return Measured(0.0, samples)
    return Measured(max(float(of_seen.mean() / max(of_hidden.mean(), 1.0)) - 1, 0.0), samples)

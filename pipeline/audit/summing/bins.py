"""The fixed bins in which each measure is counted, so that histograms of different runs may be added and compared."""

import numpy as np

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import measure_names

NUM_BINS = 20
_SHARE = tuple(step / NUM_BINS for step in range(NUM_BINS + 1))
_DISTANCE_PX = (0.0, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.2, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 8.0, 11.0, 16.0, 24.0, 40.0, 80.0)
_LIKENESS = (-1.0, -0.5, -0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0)
_SMALL_SHARE = (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
_COUNT = (
    0.0,
    2.0,
    4.0,
    8.0,
    12.0,
    16.0,
    24.0,
    32.0,
    48.0,
    64.0,
    96.0,
    128.0,
    192.0,
    256.0,
    384.0,
    512.0,
    768.0,
    1024.0,
    2048.0,
    8192.0,
    1e6,
)
_TENFOLD = (0.0, *(1e-6 * 10 ** (step / 3) for step in range(NUM_BINS)))  # three bins a decade, 1e-6 .. 2

_EDGES = {
    **dict.fromkeys(("ncc_min", "ncc_mean", "ncc_step_min"), _LIKENESS),
    **dict.fromkeys(("weight", "bad_probability", "fb_agree", "vis_conf", "visible_iou", "agree_aj", "cover", "longest_run"), _SHARE),
    **dict.fromkeys(("collapse", "static_stick", "static_score"), _SHARE),
    **dict.fromkeys(("flicker", "oof"), _SMALL_SHARE),
    "texture": _TENFOLD,
    "len": _COUNT,
    **dict.fromkeys(("num_tracks", "usable_tracks", "mean_length"), _COUNT),
    **dict.fromkeys(("visible_share", "cover_entropy", "bad_probability_mean", "survival_4", "dynamic_ratio"), _SHARE),
    **dict.fromkeys(("deaths_max", "flicker_mean", "collapse_share", "stuck_share"), _SMALL_SHARE),
}
TRACK_HISTOGRAMS = ("weight", "bad_probability", *measure_names())  # what is counted of each track
CLIP_HISTOGRAMS = tuple(ClipMeasures.__dataclass_fields__)  # and of each clip


def measure_edges(name: str) -> tuple[float, ...]:
    """Edges of the 20 bins of a measure of tracks or clips, ascending. What is not listed is a distance in pixels of the raster.

    The first and the last bin also hold what lies beyond them.
    """
    return _EDGES.get(name, _DISTANCE_PX)


def bin_counts(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Known values in each of K bins, int64 "K"; a value on an edge lies in the upper bin, NaN in none."""
    known = values[~np.isnan(values)].astype(np.float64)
    places = np.searchsorted(edges[1:-1], known, side="right")
    return np.bincount(places, minlength=len(edges) - 1).astype(np.int64)

"""Drift of a track's colour."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.audit.tracks.inputs import mean_where, median_where, number_frames, query_frames
from pipeline.errors import DataError
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels

_BLUR_PX = 1.0  # sigma: takes out noise, and a position's last tenths of a pixel
_MIN_CROWD = 8  # tracks whose median change is the light's rather than one of their own
_CHUNK = 4096  # points looked up at once: below the limit of OpenCV's remap


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointColours:
    """Colours of a clip at N points in T frames, RGB, grey levels."""

    at_tracks: np.ndarray  # float32 "T N 3": at the tracks' positions, whether visible or not
    at_queries: np.ndarray  # float32 "N 3": at the queries, in their frames

    def __post_init__(self) -> None:
        check_array("at_tracks", self.at_tracks, "float32", (None, None, 3))
        check_array("at_queries", self.at_queries, "float32", self.at_tracks.shape[1:])


def point_colours(labels: TrackLabels, frames: Iterable[np.ndarray]) -> PointColours:
    """Look up the colours at tracks and queries, bilinear after a blur of sigma 1 px; beyond the image its border is repeated.

    Args:
        frames: uint8 "H W 3" each, RGB, in whose pixels the labels are; one is held at a time.
    Raises: DataError if there are not as many frames as the labels have.
    """
    colours = ColourPass(labels)
    for frame, image in number_frames(labels, frames):
        colours.add(frame, image)
    return colours.point_colours()


class ColourPass:
    """`point_colours`, while the frames go by. None is held."""

    def __init__(self, labels: TrackLabels) -> None:
        self._labels, self._asked = labels, query_frames(labels)
        self._at_tracks = np.zeros((*labels.visibility.shape, 3), np.float32)
        self._at_queries = np.zeros((len(self._asked), 3), np.float32)

    def add(self, frame: int, image: np.ndarray) -> None:
        """The next frame, RGB uint8 "H W 3"."""
        smooth = cv2.GaussianBlur(image, (0, 0), _BLUR_PX)
        here = np.flatnonzero(self._asked == frame)
        self._at_tracks[frame] = _looked_up(smooth, self._labels.tracks_px[frame])
        self._at_queries[here] = _looked_up(smooth, self._labels.queries[here, 1:])

    def point_colours(self) -> PointColours:
        """Results of the finished pass."""
        return PointColours(at_tracks=self._at_tracks, at_queries=self._at_queries)


def colour_drift(labels: TrackLabels, colours: PointColours) -> np.ndarray:
    """Mean distance of a track's colour from its query's, the clip's own change of light taken off; float64 "N", grey levels.

    mean over the visible t but the query's of |c[t, i] - c_q[i] - e[t, t_q]|, c the colour at the point, c_q at its query, and e the
    median of c[t, j] - c[t_q, j] per channel over the tracks j visible in both frames: what exposure and white balance did
    between them. Fewer than 8 such tracks tell no e, and nothing is taken off. NaN where a track is seen in its query's frame alone.

    Raises: DataError if the colours are of other tracks.
    """
    seen = labels.visibility
    if colours.at_tracks.shape[:2] != seen.shape:
        raise DataError(f"colours are of {list(colours.at_tracks.shape[:2])} (frames, tracks), labels {list(seen.shape)}; not of one clip")
    asked, frame = query_frames(labels), np.arange(len(seen))[:, None]
    distance = np.zeros(seen.shape)
    for start in np.unique(asked):
        members = np.flatnonzero(asked == start)
        light = _light(colours.at_tracks, seen, int(start))
        away = colours.at_tracks[:, members] - colours.at_queries[members] - light[:, None]
        distance[:, members] = np.linalg.norm(away, axis=-1)
    return mean_where(distance, seen & (frame != asked))


def _light(colours: np.ndarray, seen: np.ndarray, start: int) -> np.ndarray:
    """Median change of colour since frame `start` over the tracks that count, "T 3"; 0 where these are too few."""
    change = (colours - colours[start]).swapaxes(0, 1)
    both = np.broadcast_to((seen & seen[start]).T[..., None], change.shape)
    return np.nan_to_num(median_where(change, both, at_least=_MIN_CROWD), nan=0.0)


def _looked_up(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Colours "M 3" at points "M 2", float32."""
    x, y = np.clip(points, 0, np.array(image.shape[1::-1]) - 1).astype(np.float32).T
    parts = [slice(begin, begin + _CHUNK) for begin in range(0, len(points), _CHUNK)]
    found = [cv2.remap(image.astype(np.float32), x[part, None], y[part, None], cv2.INTER_LINEAR)[:, 0] for part in parts]
    return np.concatenate([np.zeros((0, 3), np.float32), *found])

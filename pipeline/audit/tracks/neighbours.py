"""Motion of a track against that of the points around it."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pipeline.audit.tracks.inputs import max_where, median_where

NEIGHBOURS, MIN_NEIGHBOURS = 8, 3
_EVERY = 4  # frames between two comparisons
_STUCK_PX, _PASSING_PX = 0.5, 3.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NeighbourMotion:
    """Displacements from the query's frame to each of K compared frames, pixels of the raster; NaN where they cannot be told."""

    own_px: np.ndarray  # float64 "K N": length of the track's own displacement
    crowd_px: np.ndarray  # float64 "K N": length of the neighbours' median displacement
    deviation_px: np.ndarray  # float64 "K N": length of the difference

    def neigh_max(self) -> np.ndarray:
        """max over t of |d[t, i] - median of d[t, j] over i's neighbours j|; float64 "N"."""
        return max_where(self.deviation_px, ~np.isnan(self.deviation_px))

    def static_stick(self) -> np.ndarray:
        """1 where a track stays within 0.5 px of its query while its neighbours' median moves more than 3 px, else 0; float64 "N"."""
        known = ~np.isnan(self.deviation_px)
        own, crowd = max_where(self.own_px, known), max_where(self.crowd_px, known)
        return np.where(np.isnan(own), np.nan, (own < _STUCK_PX) & (crowd > _PASSING_PX))


def neighbour_motion(tracks: np.ndarray, visibility: np.ndarray, asked: np.ndarray) -> NeighbourMotion:
    """Compare each track with the median of its 8 nearest neighbours, in every 4th frame and the last.

    Neighbours are nearest at the query's frame, among the tracks visible both there and in the compared frame, whatever frame
    they were asked for in; displacements count from the query's frame. Fewer than 3 neighbours tell nothing. Motion boundaries,
    and strong zoom or roll where neighbours are far, deviate too.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N". asked: int64 "N", the query's frame.
    """
    compared = np.union1d(np.arange(0, len(tracks), _EVERY), [max(len(tracks) - 1, 0)]).astype(np.int64)[: len(tracks)]
    own, crowd, deviation = (np.full((len(compared), len(asked)), np.nan) for _ in range(3))
    for start in np.unique(asked):
        members = np.flatnonzero(asked == start)
        for row, end in enumerate(compared):
            if end == start:
                continue
            moved = tracks[end] - tracks[start]
            here = members[visibility[end, members]]
            median = crowd_displacement(tracks[start], moved, here, np.flatnonzero(visibility[start] & visibility[end]))
            own[row, here] = np.linalg.norm(moved[here], axis=-1)
            crowd[row, here] = np.linalg.norm(median, axis=-1)
            deviation[row, here] = np.linalg.norm(moved[here] - median, axis=-1)
    return NeighbourMotion(own_px=own, crowd_px=crowd, deviation_px=deviation)


def crowd_displacement(places: np.ndarray, moved: np.ndarray, members: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Median displacement of each member's neighbours; "M 2", NaN below 3 neighbours. Arguments as for `neighbour_displacements`."""
    crowd = neighbour_displacements(places, moved, members, candidates)
    return median_where(crowd, ~np.isnan(crowd), at_least=MIN_NEIGHBOURS)


def neighbour_displacements(places: np.ndarray, moved: np.ndarray, members: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Displacements of the 8 candidates nearest to each member, itself left out; "K M 2", NaN where there are fewer.

    Args:
        places, moved: "N 2", positions and displacements of all tracks. members: int64 "M". candidates: int64 "C".
    """
    if len(candidates) == 0 or len(members) == 0:
        return np.full((NEIGHBOURS + 1, len(members), 2), np.nan)
    _, nearest = cKDTree(places[candidates]).query(places[members], k=NEIGHBOURS + 1)
    found = nearest < len(candidates)
    index = candidates[np.where(found, nearest, 0)]
    valid = found & (index != members[:, None])
    valid[:, -1] &= valid.sum(axis=1) <= NEIGHBOURS  # the ninth is only there for those who found themselves
    return np.where(valid.T[..., None], moved[index].swapaxes(0, 1), np.nan)

"""Measures of a clip by its labels: counts, coverage, deaths, and its tracks' measures summed up."""

from dataclasses import dataclass, fields

import numpy as np

from pipeline.audit.clips.coverage import cover_entropy, deaths_max, dynamic_ratio, usable_tracks
from pipeline.audit.clips.small import known_mean
from pipeline.errors import DataError
from pipeline.records import TrackLabels

USABLE_FRAMES = 8  # visible frames that make a track worth training on
_SURVIVAL_PX = 4.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackEvidence:
    """Findings of the per-track measures, one value for each of N tracks; NaN where unknown, None where not measured."""

    bad_probability: np.ndarray | None = None  # in [0, 1]
    cycle_px: np.ndarray | None = None  # forward-backward error, raster of 256 x 256
    flicker: np.ndarray | None = None  # visibility changes per frame
    collapsed: np.ndarray | None = None  # 1: merged with another track and not the one that is kept; else 0
    stuck: np.ndarray | None = None  # 1: stands still while its neighbours move; else 0
    static_score: np.ndarray | None = None  # in [0, 1]

    def check(self, num_tracks: int) -> None:
        """Raise DataError unless all are for so many tracks."""
        for each in fields(self):
            values = getattr(self, each.name)
            if values is not None and values.shape != (num_tracks,):
                raise DataError(f"{each.name} is {list(values.shape)}, the labels have {num_tracks} tracks; audit this clip again")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipMeasures:
    """Measures of one labelled clip. NaN: too little data to tell."""

    num_tracks: int
    usable_tracks: int  # visible in 8 frames or more (in all of a shorter clip)
    mean_length: float  # visible frames per track
    visible_share: float  # of all points
    cover_entropy: float  # 0 .. 1
    deaths_max: float  # share of the visible tracks that end in one frame
    bad_probability_mean: float
    survival_4: float  # share of tracks whose cycle error is at most 4 px
    flicker_mean: float
    collapse_share: float
    stuck_share: float
    dynamic_ratio: float  # share of dynamic among decided tracks


def measure_clip_labels(labels: TrackLabels, height: int, width: int, *, tracks: TrackEvidence | None = None) -> ClipMeasures:
    """All measures of one clip's labels.

    Args:
        labels: of a clip of height x width pixels.
        tracks: what was measured of each track; without it the measures that need it are NaN.
    Raises: DataError if the evidence is for another number of tracks.
    """
    tracks = tracks or TrackEvidence()
    num_frames, num_tracks = labels.visibility.shape
    tracks.check(num_tracks)
    image = (labels.tracks_px, labels.visibility, height, width)
    return ClipMeasures(
        num_tracks=num_tracks,
        usable_tracks=usable_tracks(labels.visibility, USABLE_FRAMES),
        mean_length=float(labels.visibility.sum() / num_tracks) if num_tracks else float("nan"),
        visible_share=float(labels.visibility.mean()) if num_tracks and num_frames else float("nan"),
        cover_entropy=cover_entropy(*image),
        deaths_max=deaths_max(*image),
        bad_probability_mean=_mean(tracks.bad_probability),
        survival_4=_survival(tracks.cycle_px),
        flicker_mean=_mean(tracks.flicker),
        collapse_share=_mean(tracks.collapsed),
        stuck_share=_mean(tracks.stuck),
        dynamic_ratio=float("nan") if tracks.static_score is None else dynamic_ratio(tracks.static_score),
    )


def _mean(values: np.ndarray | None) -> float:
    return float("nan") if values is None else known_mean(values)


def _survival(cycle_px: np.ndarray | None) -> float:
    known = np.zeros(0) if cycle_px is None else cycle_px[np.isfinite(cycle_px)]
    return float((known <= _SURVIVAL_PX).mean()) if len(known) else float("nan")

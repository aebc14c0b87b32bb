"""Tracks with both the audit's measures and their errors against the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.calibrating.records import SuiteHalf
from pipeline.audit.records import measure_names
from pipeline.audit.tracks.inputs import max_where, median_where, query_frames
from pipeline.errors import DataError
from pipeline.metrics.tapvid_counts import to_raster
from pipeline.records import TrackLabels, TrackTruth
from pipeline.records.arrays import check_array

BAD_PX = 4.0
BAD_DEFINITION = (
    f"farther than {BAD_PX:g} px of the 256 x 256 raster from the truth in any frame that is visible in both label and truth, the"
    " query's left out"
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackSamples:
    """M tracks of several clips and datasets, all of one labeler."""

    measures: Mapping[str, np.ndarray]  # by name of `measure_names`: float32 "M", NaN where unknown
    max_error_px: np.ndarray  # float64 "M", pixels of the raster
    median_error_px: np.ndarray  # float64 "M"
    clip: np.ndarray  # int64 "M": number of the track's clip
    dataset: np.ndarray  # int64 "M": number of its dataset in `datasets`
    datasets: tuple[str, ...]

    def __post_init__(self) -> None:
        size = self.max_error_px.shape
        for name in ("max_error_px", "median_error_px"):
            check_array(name, getattr(self, name), "float64", size)
        for name in ("clip", "dataset"):
            check_array(name, getattr(self, name), "int64", size)
        for name in measure_names():
            check_array(name, self.measures[name], "float32", size)

    @property
    def bad(self) -> np.ndarray:
        """bool "M", as BAD_DEFINITION says."""
        return np.asarray(self.max_error_px > BAD_PX)

    def chosen(self, rows: np.ndarray) -> "TrackSamples":
        """Some of the tracks: indices, or bool "M"."""
        return TrackSamples(
            measures={name: values[rows] for name, values in self.measures.items()},
            max_error_px=self.max_error_px[rows],
            median_error_px=self.median_error_px[rows],
            clip=self.clip[rows],
            dataset=self.dataset[rows],
            datasets=self.datasets,
        )

    def half(self) -> SuiteHalf:
        """Summary of the tracks for the calibration's record."""
        return SuiteHalf(
            datasets=self.datasets,
            num_clips=len(np.unique(self.clip)),
            num_tracks=len(self.clip),
            bad_share=float(self.bad.mean()) if len(self.clip) else float("nan"),
        )


def track_errors(labels: TrackLabels, truth: TrackTruth, *, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest and median distance of each track from its truth, float64 "N" each, pixels of the raster.

    Over the frames, but the query's, that are visible in both; NaN where there is none.

    Args:
        labels, truth: of the same N points, in pixels of a `height` x `width` image.
    """
    if labels.visibility.shape != truth.visibility.shape:
        raise DataError(f"labels are {list(labels.visibility.shape)} (frames, tracks), the truth {list(truth.visibility.shape)}")
    both = labels.visibility & truth.seen & (np.arange(len(truth.seen))[:, None] != query_frames(labels))
    distance = np.linalg.norm(to_raster(labels.tracks_px, height, width) - to_raster(truth.tracks_px, height, width), axis=-1)
    return max_where(distance, both), median_where(distance, both)


def samples_of(parts: Sequence[TrackSamples]) -> TrackSamples:
    """Several datasets as one; each gives its own clips. Raises DataError if there is none."""
    if not parts:
        raise DataError("no dataset to take tracks from")
    clips = np.cumsum([0, *(part.clip.max(initial=-1) + 1 for part in parts)])
    sets = np.cumsum([0, *(len(part.datasets) for part in parts)])
    return TrackSamples(
        measures={name: np.concatenate([part.measures[name] for part in parts]) for name in measure_names()},
        max_error_px=np.concatenate([part.max_error_px for part in parts]),
        median_error_px=np.concatenate([part.median_error_px for part in parts]),
        clip=np.concatenate([part.clip + start for part, start in zip(parts, clips, strict=False)]).astype(np.int64),
        dataset=np.concatenate([part.dataset + start for part, start in zip(parts, sets, strict=False)]).astype(np.int64),
        datasets=tuple(name for part in parts for name in part.datasets),
    )

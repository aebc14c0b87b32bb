"""The rest of TAPVid-3D's protocol: the evaluation's resolution, the three sources, and the mean over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from pipeline.errors import DataError
from pipeline.metrics.averages import DefinedMean, defined_mean
from pipeline.records.arrays import Floats

SHORT_SIDE_PX = 256
SOURCES = ("adt", "drivetrack", "pstudio")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceMeans:
    """One value of the benchmark: its mean over the videos of each source, and over the sources."""

    sources: Mapping[str, DefinedMean]
    value: float  # mean over the sources, each counted alike; NaN if one of them has no value
    undefined: str | None  # why `value` is NaN


def evaluation_focal(fx: float | Floats, fy: float | Floats, *, height: int, width: int) -> Floats:
    """sqrt(fx fy) when the shorter side of the image is 256 pixels, float64, of the shape of fx and fy (all frames, or "T").

    Args:
        fx, fy: pixels of the `height` x `width` image.
    Source: TAPVid-3D: all intrinsics are multiplied by 256 / min(H, W); only the focal lengths matter.
    """
    return np.asarray(np.sqrt(np.asarray(fx, np.float64) * fy) * (SHORT_SIDE_PX / min(height, width)))


def source_of_file(name: str) -> str:
    """The source of one of the benchmark's npz files: by its folder, else by its bare name.

    Source: TAPVid-3D: `tapvid3d_*` is drivetrack, `Lite*` and `Apartment*` are adt, anything else is pstudio.
    """
    path = PurePosixPath(name)
    if path.parent.name in SOURCES:
        return path.parent.name
    if path.name.startswith("tapvid3d_"):
        return "drivetrack"
    return "adt" if path.name.startswith(("Lite", "Apartment")) else "pstudio"


def mean_over_sources(values: Mapping[str, float]) -> SourceMeans:
    """Mean over the videos of each source, then over the sources.

    Undefined videos (NaN) are left out and counted. A video whose prediction is missing or unreadable is not undefined: it is 0, which
    the caller says.

    Args:
        values: by file name, which tells the source (`source_of_file`).
    Raises: DataError if there are no values.
    Source: TAPVid-3D, protocol of its tables.
    """
    if not values:
        raise DataError("there are no videos to average over; give one value per video of the split")
    by_source: dict[str, list[float]] = {}
    for name, value in values.items():
        by_source.setdefault(source_of_file(name), []).append(value)
    means = {source: defined_mean(by_source[source]) for source in SOURCES if source in by_source}
    lacking = [source for source, mean in means.items() if np.isnan(mean.value)]
    value = np.nan if lacking else float(np.mean([mean.value for mean in means.values()]))
    return SourceMeans(sources=means, value=value, undefined=f"no video of {', '.join(lacking)} has a value" if lacking else None)

"""WorldTrack's files, St4RTrack's benchmark of tracks in the world of the first camera: `SUBSET/KEY.npz`.

TAPVid-3D's names less the queries, which are the points that frame 0 shows: `images_jpeg_bytes` objects "T", JPEG files; `tracks_XYZ`
float32 "T N 3", metres, in the camera of each frame; `visibility` bool "T N"; `fx_fy_cx_cy` float32 "4", pixels; `extrinsics_w2c` float32
"T 4 4", world to camera; and `depth_map` float32 "T H W", metres along z, 0 where unknown, of clips with measured or rendered depth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.datasets.world_track import FRAMES, SUBSETS
from pipeline.errors import ConfigError
from pipeline.export.format import Refusal, UsualAnswers, export_tracks
from pipeline.export.pickles import npz_bytes
from pipeline.export.tapvid3d import camera_arrays, check_jpeg_quality, refuse_without_camera_tracks, track_arrays
from pipeline.records import ClipSample
from pipeline.records.views import take_frames, take_tracks

TRACKED_SUBSETS = tuple(subset for subset in SUBSETS if subset != "tum")  # tum is for reconstruction, and has no tracks
_TRUE_DEPTH = ("gt", "sensor")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldTrackFormat(UsualAnswers):
    """One .npz per clip, in the folder of a subset, of its first 64 frames: the benchmark looks at no others.

    The benchmark counts a track in all frames, also where it is hidden: one whose position is not known in all of them is left out, and
    so is one that no frame of these shows.
    """

    subset: str = "po_mini"
    jpeg_quality: int = 95
    min_weight: float = 0.0
    name: str = "worldtrack"
    in_folders: bool = False

    def __post_init__(self) -> None:
        check_jpeg_quality(self.jpeg_quality)
        if self.subset not in TRACKED_SUBSETS:
            raise ConfigError(f"--subset is {self.subset!r}, expected one of {', '.join(TRACKED_SUBSETS)}")

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written."""
        return {"subset": self.subset, "jpeg_quality": self.jpeg_quality, "min_weight": self.min_weight}

    def place(self, shard: int, key: str) -> str:
        """The clip's file."""
        return f"{self.subset}/{key}.npz"

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip that cannot be measured in metres in the world of its first camera."""
        first = _first_frames(sample)
        found = refuse_without_camera_tracks(first, self.min_weight)
        if found is not None:
            return found
        if first.camera_to_world is None:
            message = "its poses are unknown, and the benchmark takes a camera without poses for one that stands still"
            return Refusal(kind="no poses", message=message)
        if first.pose_source == "pseudo":
            return Refusal(
                kind="estimated poses", message="its poses are estimates, and a benchmark needs true ones: name no set of cameras"
            )
        if not first.is_metric:
            return Refusal(kind="not in metres", message="its unit of length is unknown, and the benchmark counts metres")
        if not self.num_tracks(first):
            message = f"none of its tracks is known in all of the first {len(first.frames)} frames, as the benchmark counts them"
            return Refusal(kind="no whole track", message=message)
        return None

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """The one file."""
        counted = _with_whole_tracks(_first_frames(sample))
        arrays = {**track_arrays(counted, export_tracks(counted, self.min_weight), self.jpeg_quality), **camera_arrays(counted)}
        if counted.depth is not None and counted.depth_source in _TRUE_DEPTH:
            arrays["depth_map"] = counted.depth
        yield "", npz_bytes(arrays)

    def num_tracks(self, sample: ClipSample) -> int:
        """Exported tracks."""
        return len(export_tracks(_with_whole_tracks(_first_frames(sample)), self.min_weight).chosen)


def _first_frames(sample: ClipSample) -> ClipSample:
    """The frames that count; all that the sample knows of them."""
    return sample if len(sample.frames) <= FRAMES else take_frames(sample, np.arange(FRAMES))


def _with_whole_tracks(first: ClipSample) -> ClipSample:
    """The clip with those tracks that are known in every frame; a clip that came from the benchmark says that all of its are."""
    assert first.tracks3d is not None
    whole = np.isfinite(first.tracks3d).all(axis=(0, 2))
    if first.track_valid is not None and not first.extra.get("tracks_complete"):
        whole &= first.track_valid.all(axis=0)
    return take_tracks(first, np.flatnonzero(whole))

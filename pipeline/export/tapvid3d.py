"""TAPVid-3D's files, one `KEY.npz` per clip, and what WorldTrack took over of them (see `pipeline.export.world_track`).

`images_jpeg_bytes` objects "T", JPEG files; `tracks_XYZ` float32 "T N 3", metres (or the clip's unit), in the camera of each frame;
`visibility` bool "T N"; `queries_xyt` float32 "N 3", pixels and frame; `fx_fy_cx_cy` float32 "4", pixels; `extrinsics_w2c` float32
"T 4 4", world to camera, where poses are known. Pixels: integer = pixel centre.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import ConfigError
from pipeline.export.format import ExportTracks, Refusal, UsualAnswers, export_tracks, jpeg, refuse_without_tracks
from pipeline.export.pickles import bytes_array, npz_bytes
from pipeline.export.tapip3d import world_to_camera
from pipeline.records import ClipSample

_SAME_CAMERA_PX = 1e-3  # what a focal length or principal point may vary by within a clip: the format has one camera matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class TapVid3dFormat(UsualAnswers):
    """One .npz per clip; only of clips whose tracks are known in space."""

    jpeg_quality: int = 95
    min_weight: float = 0.0
    name: str = "tapvid3d"
    in_folders: bool = False

    def __post_init__(self) -> None:
        check_jpeg_quality(self.jpeg_quality)

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written."""
        return {"jpeg_quality": self.jpeg_quality, "min_weight": self.min_weight}

    def place(self, shard: int, key: str) -> str:
        """The clip's file."""
        return f"{key}.npz"

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip without tracks in space, or without one camera matrix."""
        return refuse_without_camera_tracks(sample, self.min_weight)

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """The one file."""
        tracks = export_tracks(sample, self.min_weight)
        queries = np.concatenate([tracks.query_px, tracks.query_frame[:, None]], axis=1).astype(np.float32)
        arrays = {**track_arrays(sample, tracks, self.jpeg_quality), "queries_xyt": queries, **camera_arrays(sample)}
        yield "", npz_bytes(arrays)

    def num_tracks(self, sample: ClipSample) -> int:
        """Exported tracks."""
        return len(export_tracks(sample, self.min_weight).chosen)


def check_jpeg_quality(quality: int) -> None:
    """Raises: ConfigError if it is not from 1 to 100."""
    if not 1 <= quality <= 100:
        raise ConfigError(f"--jpeg-quality is {quality}, expected 1 to 100")


def refuse_without_camera_tracks(sample: ClipSample, min_weight: float) -> Refusal | None:
    """Reason against a clip without tracks in space, without one camera matrix, or with frames of unknown pose."""
    found = refuse_without_tracks(sample, min_weight)
    if found is not None:
        return found
    if sample.tracks3d is None:
        message = (
            "its tracks are not known in space: converted and rendered datasets have such tracks as their truth (leave --labels and"
            " --audit out); labels are tracks in the image, or in a world without its cameras"
        )
        return Refusal(kind="no tracks in space", message=message)
    if sample.intrinsics is None:
        return Refusal(kind="no intrinsics", message="its focal length is unknown: take a dataset with cameras")
    spread = float(np.ptp(sample.intrinsics, axis=0).max())
    if spread > _SAME_CAMERA_PX:
        message = f"its camera matrix changes by {spread:.3g} px within the clip (a zoom), the format has one matrix a clip"
        return Refusal(kind="changing intrinsics", message=message)
    if sample.pose_valid is not None and not sample.pose_valid.all():
        message = f"the poses of {int((~sample.pose_valid).sum())} of its frames are unknown: cut clips that leave these out"
        return Refusal(kind="unknown poses", message=message)
    return None


def track_arrays(sample: ClipSample, tracks: ExportTracks, jpeg_quality: int) -> dict[str, np.ndarray]:
    """Pictures, tracks in the camera of each frame, and visibility of a clip that is not refused, by their names in the file."""
    assert sample.tracks3d is not None
    return {
        "images_jpeg_bytes": bytes_array([jpeg(frame, jpeg_quality) for frame in sample.frames]),
        "tracks_XYZ": sample.tracks3d[:, tracks.chosen],
        "visibility": tracks.visible,
    }


def camera_arrays(sample: ClipSample) -> dict[str, np.ndarray]:
    """Camera matrix, and poses where they are known, of a clip that is not refused, by their names in the file."""
    assert sample.intrinsics is not None
    arrays = {"fx_fy_cx_cy": sample.intrinsics[0][[0, 1, 0, 1], [0, 1, 2, 2]].astype(np.float32)}
    if sample.camera_to_world is not None:
        arrays["extrinsics_w2c"] = world_to_camera(sample.camera_to_world)
    return arrays

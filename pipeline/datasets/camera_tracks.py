"""Videos that lie in one .npz each, with tracks in the camera of each frame: the form of TAPVid-3D, which WorldTrack took over."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.datasets.npz import NpzFile
from pipeline.datasets.pictures import Pictures, decode_pictures, zero_where_invalid
from pipeline.datasets.poses import CameraPath, camera_path, inverse_poses, pinhole
from pipeline.datasets.projection import NEAR_M, project, world_from_camera
from pipeline.datasets.tracks import first_frame_of
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip

IMAGES, TRACKS, VISIBILITY, CAMERA, POSES, DEPTH = (
    "images_jpeg_bytes",
    "tracks_XYZ",
    "visibility",
    "fx_fy_cx_cy",
    "extrinsics_w2c",
    "depth_map",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """The source of some of a benchmark's videos."""

    fps: float
    license: str
    camera_stands: bool = False  # files without poses have a camera that stands still, not one that is unknown
    depth_source: Literal["gt", "sensor"] | None = None  # of `depth_map`; None: not read


def check_arrays_of(file: NpzFile, needed: tuple[str, ...], *, benchmark: str) -> None:
    """Raises: DataError if one of the arrays is not in the file."""
    missing = [name for name in needed if name not in file.names]
    if missing:
        raise DataError(f"{file.where}: no array {missing[0]!r}, found {', '.join(file.names)}; is it a file of {benchmark}?")


def read_clip(file: NpzFile, span: slice, recording: Recording, *, only_finite: bool = False) -> TruthClip:
    """Frames, as their files, with camera, depth and tracks where the file has them. Tracks begin where they are first visible.

    Args:
        span: frames of the video, with both ends.
        only_finite: leave tracks out that have a position that is not finite within the span; else such positions are 0 and not valid.
    Raises: DataError.
    """
    num_frames = span.stop - span.start
    pictures = _pictures(file, span)
    path = _camera(file, span, num_frames if recording.camera_stands else 0)
    intrinsics = pinhole(np.tile(file.read(CAMERA), (num_frames, 1)))
    depth = _depth(file, span, pictures) if recording.depth_source is not None and DEPTH in file.names else None
    return TruthClip(
        frames=pictures.frames,
        images=pictures.images,
        frame_times=np.arange(num_frames) / recording.fps,
        intrinsics=intrinsics,
        camera_to_world=None if path is None else path.camera_to_world,
        pose_valid=None if path is None else path.pose_valid,
        depth=depth,
        depth_source=None if depth is None else recording.depth_source,
        is_metric=True,
        license=recording.license,
        meta={"orig_size": list(pictures.original_size), "fps": recording.fps},
        **(_tracks(file, span, intrinsics, path, only_finite=only_finite) if TRACKS in file.names else {}),
    )


def _tracks(file: NpzFile, span: slice, intrinsics: np.ndarray, path: CameraPath | None, *, only_finite: bool) -> dict[str, Any]:
    """Fields of a TruthClip."""
    points, visible = (file.rows(name, span.start, span.stop - span.start) for name in (TRACKS, VISIBILITY))
    if only_finite:
        kept = np.isfinite(points).all(axis=(0, 2))
        points, visible = points[:, kept], visible[:, kept]
    valid = np.isfinite(points).all(axis=-1) & (np.nan_to_num(points[..., 2]) > NEAR_M)
    points = np.where(np.isfinite(points), points, 0)
    visible = visible.astype(bool) & valid
    return {
        "tracks2d": project(points, intrinsics).astype(np.float32),
        "tracks3d": points.astype(np.float32),
        "tracks3d_world": None if path is None else world_from_camera(points, path.camera_to_world).astype(np.float32),
        "visibility": visible,
        "track_valid": valid,
        "query_frame": first_frame_of(visible),
        "track_source": "gt",
    }


def _pictures(file: NpzFile, span: slice) -> Pictures:
    images: Any = file.read(IMAGES)
    files = [bytes(image) for image in images[span]]
    return decode_pictures(files, names=[f"{file.where}: image {span.start + index}" for index in range(len(files))], keep_files=True)


def _camera(file: NpzFile, span: slice, still_frames: int) -> CameraPath | None:
    """The poses in the file; of a camera that stands still over `still_frames`, the identity; None where neither is known."""
    if POSES in file.names:
        world_to_camera = file.rows(POSES, span.start, span.stop - span.start).astype(np.float64)
        return camera_path(inverse_poses(world_to_camera), where=f"{file.where}: {POSES}")
    return camera_path(np.tile(np.eye(4), (still_frames, 1, 1)), where=file.where) if still_frames else None


def _depth(file: NpzFile, span: slice, pictures: Pictures) -> np.ndarray:
    """Metres "T H W", 0 where unknown."""
    depth = file.rows(DEPTH, span.start, span.stop - span.start)
    if depth.shape != pictures.frames.shape[:3]:
        raise DataError(
            f"{file.where}: {DEPTH} of frames {span.start} to {span.stop - 1} is {list(depth.shape)}, its images are"
            f" {list(pictures.frames.shape[:3])}; expected one depth per pixel"
        )
    return zero_where_invalid(depth)

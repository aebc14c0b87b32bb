"""TAPVid-3D: the benchmark of 3D point tracks, from three recordings of the real world. An evaluation set."""

import posixpath
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.datasets.files import FileTree, check_sequences, clip_frames, count_frames
from pipeline.datasets.npz import NpzFile, open_npz
from pipeline.datasets.pictures import Pictures, decode_pictures
from pipeline.datasets.poses import CameraPath, camera_path, inverse_poses, pinhole
from pipeline.datasets.projection import NEAR_M, project, world_from_camera
from pipeline.datasets.source import SequenceInfo
from pipeline.datasets.tracks import first_frame_of
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, join

_LAYOUT = "adt/NAME.npz, drivetrack/NAME.npz or pstudio/NAME.npz"
_ARRAYS = ("images_jpeg_bytes", "tracks_XYZ", "visibility", "queries_xyt", "fx_fy_cx_cy")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Origin:
    """One of the three recordings that the benchmark was made from."""

    fps: float
    license: str
    camera_stands: bool = False


_ORIGINS = {
    "adt": _Origin(fps=30.0, license="annotations CC-BY-4.0; video under the Aria Digital Twin terms"),
    "drivetrack": _Origin(fps=10.0, license="annotations CC-BY-4.0; video under the Waymo Open Dataset terms"),
    "pstudio": _Origin(fps=30.0, license="annotations CC-BY-4.0; video under the CMU Panoptic Studio terms", camera_stands=True),
}


class TapVid3dSource:
    """Tracks in the camera of each frame, metres; 2D tracks are their projections. Every sequence is of the split `test`.

    Poses are world to camera in adt and drivetrack; the camera of pstudio stands still. Depth, which some copies add, is not part of the
    benchmark and not read. The JPEG files lie in the .npz as pickled bytes, which the restricted unpickler reads.
    Source: datasets' section "TAPVid-3D".
    """

    name = "tapvid3d"
    keep_images = True

    def __init__(self, root: str, *, license: str | None = None, trust_pickle: bool = False) -> None:
        """`root` holds the .npz files, at any depth; `license` replaces what is noted for each of the three recordings.

        Args:
            trust_pickle: also read files whose pickle asks for more than bytes and arrays: it may run any code.
        """
        self._root, self._trust_pickle, self._license = absolute(root), trust_pickle, license
        self.license: str | None = license or "annotations CC-BY-4.0; videos under their providers' terms"

    def sequences(self) -> list[SequenceInfo]:
        """All videos; of each file only the header of one array is read. Raises: ConfigError if there are none."""
        tree = FileTree(self._root)
        found = [self._sequence(tree.relative(uri)) for uri in tree.files if uri.endswith(".npz")]
        return check_sequences(self.name, self._root, sequences=found, layout=_LAYOUT)

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with tracks and camera. Raises: DataError."""
        origin = _ORIGINS[sequence.extra["origin"]]
        span = slice(first_frame, first_frame + num_frames)
        with open_npz(join(self._root, sequence.extra["file"]), trust_pickle=self._trust_pickle) as file:
            clip_frames(range(_num_frames(file)), sequence, first_frame=first_frame, num_frames=num_frames)
            pictures = _pictures(file, span)
            path = _camera(file, span, num_frames if origin.camera_stands else 0)
            points, visible = file.rows("tracks_XYZ", first_frame, num_frames), file.rows("visibility", first_frame, num_frames)
            intrinsics = pinhole(np.tile(file.read("fx_fy_cx_cy"), (num_frames, 1)))
            queries = np.asarray(file.read("queries_xyt"))
        valid = np.isfinite(points).all(axis=-1) & (np.nan_to_num(points[..., 2]) > NEAR_M)
        points = np.where(np.isfinite(points), points, 0)
        visible = visible.astype(bool) & valid
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            frame_times=np.arange(num_frames) / origin.fps,
            intrinsics=intrinsics,
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            tracks2d=project(points, intrinsics).astype(np.float32),
            tracks3d=points.astype(np.float32),
            tracks3d_world=None if path is None else world_from_camera(points, path.camera_to_world).astype(np.float32),
            visibility=visible,
            track_valid=valid,
            query_frame=_query_frames(queries, visible, span),
            is_metric=True,
            track_source="gt",
            license=self._license or origin.license,
            meta={"camera": sequence.extra["origin"], "orig_size": list(pictures.original_size), "fps": origin.fps},
        )

    def _sequence(self, relative: str) -> SequenceInfo:
        origin = origin_of(relative)

        def count() -> int:
            with open_npz(join(self._root, relative)) as file:
                return _num_frames(file)

        return SequenceInfo(
            name=f"{origin}/{posixpath.basename(relative).removesuffix('.npz')}",
            num_frames=count_frames(count),
            split="test",
            extra={"file": relative, "origin": origin},
        )


def origin_of(path: str) -> str:
    """Recording, one of three, that a file is from, by its folder's name or else its own."""
    *folders, name = path.split("/")
    for folder in reversed(folders):
        if folder in _ORIGINS:
            return folder
    if name.startswith("tapvid3d_"):
        return "drivetrack"
    return "adt" if re.match(r"Lite|Apartment", name) else "pstudio"


def _num_frames(file: NpzFile) -> int:
    missing = [name for name in _ARRAYS if name not in file.names]
    if missing:
        raise DataError(f"{file.where}: no array {missing[0]!r}, found {', '.join(file.names)}; is it a file of TAPVid-3D?")
    return file.shape("tracks_XYZ")[0]


def _pictures(file: NpzFile, span: slice) -> Pictures:
    images: Any = file.read("images_jpeg_bytes")
    files = [bytes(image) for image in images[span]]
    return decode_pictures(files, names=[f"{file.where}: image {span.start + index}" for index in range(len(files))], keep_files=True)


def _camera(file: NpzFile, span: slice, still_frames: int) -> CameraPath | None:
    """The poses in the file; of a camera that stands still over `still_frames`, the identity; None where neither is known."""
    if "extrinsics_w2c" in file.names:
        world_to_camera = file.rows("extrinsics_w2c", span.start, span.stop - span.start).astype(np.float64)
        return camera_path(inverse_poses(world_to_camera), where=f"{file.where}: extrinsics_w2c")
    return camera_path(np.tile(np.eye(4), (still_frames, 1, 1)), where=file.where) if still_frames else None


def _query_frames(queries_xyt: np.ndarray, visible: np.ndarray, span: slice) -> np.ndarray:
    """int32 "N": the benchmark's query frame where the clip holds it, else the first frame of the clip that shows the point."""
    frames = np.round(queries_xyt[:, 2]).astype(np.int64)
    return np.where((frames >= span.start) & (frames < span.stop), frames - span.start, first_frame_of(visible)).astype(np.int32)

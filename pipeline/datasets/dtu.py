"""DTU: objects on a table, photographed from 49 or 64 places by a robot's arm. An evaluation set."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, list_frames, read_file
from pipeline.datasets.pictures import image_suffix, read_depths, read_npy_depth, read_pictures, zero_where_invalid
from pipeline.datasets.poses import camera_path, inverse_poses
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import join
from pipeline.video.images import decode_image

_IMAGE = re.compile(r"/([^/]+)/images/(\d{8})\.(?:jpg|png)$")
_LAYOUT = "scan1/images/00000000.jpg"
_MILLIMETRES = 1000.0
_MARGIN_PX = 10  # side of the square by which the object's mask is eroded
_FPS = 1.0  # nominal: photographs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MvsNetCamera:
    """One camera file."""

    intrinsics: np.ndarray  # float64 "3 3", pixels
    world_to_camera: np.ndarray  # float64 "4 4", in the file's unit of length


class DtuSource(RecordingSource):
    """The layout of evaluations of point maps: `images/`, `depths/` (NumPy), `binary_masks/`, `cams/` of MVSNet, in one folder per scan.

    Depth is rendered from the scanned surface. It and the poses are in millimetres, here in metres: multiply lengths by 1000 to compare
    them with published ones. Depth counts where the object's mask is, eroded by a square of 10 pixels, as these evaluations have it.
    Cameras are world to camera. Sequences are named after their scan. Source: datasets' table, "DTU".
    """

    name = "dtu"
    terms = "terms of the DTU MVS provider"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Photographs, as their files, with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        chosen = self._chosen(list_frames(join(folder, "images"), _IMAGE), sequence, first_frame, num_frames)
        names = [f"{frame.number:08d}" for frame in chosen]
        pictures = read_pictures([frame.uri for frame in chosen], keep_files=True)
        cameras = [read_mvsnet_camera(join(folder, "cams", f"{name}_cam.txt")) for name in names]
        path = camera_path(_in_metres(inverse_poses(np.stack([camera.world_to_camera for camera in cameras]))), where=join(folder, "cams"))
        depth = read_depths([join(folder, "depths", f"{name}.npy") for name in names], read_npy_depth, size=pictures.original_size)
        masks = [_object(join(folder, "binary_masks", f"{name}.png"), depth.shape[1:]) for name in names]
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix=image_suffix([frame.uri for frame in chosen]),
            frame_times=np.arange(num_frames) / _FPS,
            intrinsics=np.stack([camera.intrinsics for camera in cameras]).astype(np.float32),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=zero_where_invalid(np.where(masks, depth / np.float32(_MILLIMETRES), 0)),
            is_metric=True,
            depth_source="gt",
            license=self.license,
            meta=self._meta(pictures.original_size, _FPS, fps_source="nominal", first_number=chosen[0].number),
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        scan = tree.relative(posixpath.dirname(folder.uri))
        return SequenceInfo(name=folder.parts[0], num_frames=folder.num_frames, split="test", extra={"folder": scan})


def read_mvsnet_camera(uri: str) -> MvsNetCamera:
    """A camera file of MVSNet: `extrinsic` and 4 rows of 4, `intrinsic` and 3 rows of 3, then depth ranges. Raises: DataError."""
    words = read_file(uri).decode(errors="replace").split()
    try:
        if (words[0], words[17]) != ("extrinsic", "intrinsic"):
            raise ValueError(f"begins with {words[0]!r}")
        pose, matrix = np.array(words[1:17], np.float64).reshape(4, 4), np.array(words[18:27], np.float64).reshape(3, 3)
    except (IndexError, ValueError) as error:
        raise DataError(f"{uri}: not `extrinsic` and 16 numbers, `intrinsic` and 9 ({error}); download it again") from error
    return MvsNetCamera(intrinsics=matrix, world_to_camera=pose)


def _in_metres(poses: np.ndarray) -> np.ndarray:
    """Poses "T 4 4" with their positions, millimetres, in metres."""
    moved = poses.copy()
    moved[:, :3, 3] /= _MILLIMETRES
    return moved


def _object(uri: str, size: Sequence[int]) -> np.ndarray:
    """The object's mask, eroded, bool "H W"; brought to the depth's size by its nearest pixels."""
    mask = (decode_image(read_file(uri), uri)[..., 0] > 127).astype(np.uint8)
    resized = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    return cv2.erode(resized, np.ones((_MARGIN_PX, _MARGIN_PX), np.uint8)) > 0

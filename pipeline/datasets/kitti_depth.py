"""KITTI's annotated depth: drives recorded by a car, with depth of eleven gathered LiDAR sweeps. An evaluation set."""

import posixpath
import re

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, list_frames, read_file
from pipeline.datasets.pictures import read_depths, read_pictures, read_png16
from pipeline.datasets.poses import pinhole
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import exists, join

_DEPTH = re.compile(r"/(train|val)/([^/]+_sync)/proj_depth/groundtruth/image_02/(\d{10})\.png$")
_LAYOUT = "val/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000005.png"
_IMAGES = "image_02/data"
_CALIBRATION, _CAMERA = "calib_cam_to_cam.txt", "P_rect_02:"
_DEPTH_UNITS = 256.0  # per metre
_FPS = 10.0


class KittiDepthSource(RecordingSource):
    """The annotated depth, and below the same root the raw drives, `DATE/DRIVE/image_02/data/` (or `SPLIT/DRIVE/image_02/data/`).

    The frames are those of the left colour camera that have depth: PNG of 16 bits, 256 per metre, unknown where 0, which most pixels
    are. Of each drive the first 110 are taken, which the public evaluation of video depth counts; `--option first=0` takes all.
    Intrinsics are those of the rectified camera where `DATE/calib_cam_to_cam.txt` is there; poses are not read. Sequences are named
    val/2011_09_26_drive_0002_sync. Source: datasets' table, "KITTI depth"; the calibration from general knowledge, not checked
    against a download.
    """

    name = "kitti_depth"
    terms = "CC BY-NC-SA 3.0"
    images = _DEPTH
    layout = _LAYOUT
    first_frames = 110

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with sparse depth, and intrinsics where known. Raises: DataError."""
        folder, where = sequence.extra["images"], join(self._root, sequence.extra["folder"])
        if folder is None:
            raise DataError(
                f"{where}: no folder {sequence.name.partition('/')[2]}/{_IMAGES} below {self._root}; unpack the raw drive there"
            )
        chosen = self._chosen(list_frames(where, _DEPTH), sequence, first_frame, num_frames)
        pictures = read_pictures([join(self._root, folder, posixpath.basename(frame.uri)) for frame in chosen], keep_files=True)
        stored = read_depths([frame.uri for frame in chosen], read_png16, size=pictures.original_size)
        calibration = sequence.extra["calibration"]
        intrinsics = None if calibration is None else pinhole(np.tile(_rectified(join(self._root, calibration)), (num_frames, 1)))
        numbers = np.array([frame.number for frame in chosen])
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix="png",
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=intrinsics,
            depth=stored.astype(np.float32) / np.float32(_DEPTH_UNITS),
            is_metric=True,
            depth_source="sensor",
            license=self.license,
            meta=self._meta(pictures.original_size, _FPS, camera="image_02", first_number=int(numbers[0])),
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        split, drive = folder.parts
        images = next((uri for uri in sorted(tree.folders) if uri.endswith(f"/{drive}/{_IMAGES}")), None)
        calibration = None if images is None else join(images.removesuffix(f"/{drive}/{_IMAGES}"), _CALIBRATION)
        return SequenceInfo(
            name=f"{split}/{drive}",
            num_frames=folder.num_frames,
            split=split,
            extra={
                "folder": folder.relative,
                "images": None if images is None else tree.relative(images),
                "calibration": tree.relative(calibration) if calibration is not None and exists(calibration) else None,
            },
        )


def _rectified(uri: str) -> np.ndarray:
    """fx, fy, cx, cy of the left colour camera. Raises: DataError."""
    lines = [line.split()[1:] for line in read_file(uri).decode(errors="replace").splitlines() if line.startswith(_CAMERA)]
    try:
        matrix = np.array(lines[0], np.float64).reshape(3, 4)
    except (IndexError, ValueError) as error:
        raise DataError(f"{uri}: no line `{_CAMERA}` with 12 numbers ({error}); download the calibration again") from error
    return matrix[[0, 1, 0, 1], [0, 1, 2, 2]]

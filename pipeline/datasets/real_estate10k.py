"""RealEstate10K: walks through houses, cut from videos of the web, with estimated cameras and no depth."""

import posixpath
import re

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, list_frames, read_table
from pipeline.datasets.pictures import image_suffix, read_pictures
from pipeline.datasets.poses import camera_path, inverse_poses
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.manifest.cameras import intrinsics_to_pixels
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/([0-9a-f]{16})/(\d+)\.(?:jpg|png)$")
_LAYOUT = "frames/0000cc6d8b108390/52553000.jpg, test/0000cc6d8b108390.txt"
_COLUMNS = 19  # time; fx, fy, cx, cy, normalised; two zeros; 3 rows of 4, world to camera
_MICROSECONDS = 1e6
_SPLITS = {"train": "train", "test": "test"}


class RealEstate10kSource(RecordingSource):
    """The published camera files, `SPLIT/ID.txt`, and the frames that you cut from the videos: `ID/TIME.jpg` (or png), at any depth.

    TIME is that of the camera file, in microseconds. A file's first line is the video's address; then each frame has a row. Intrinsics are
    normalised by the image's width and height, from its corner; poses are world to camera, of unknown scale. There is no depth: a clip
    has frames and cameras alone. Sequences are named test/ID. Layout from general knowledge, not checked against a download.
    """

    name = "real_estate10k"
    terms = "CC BY 4.0 (cameras); videos: terms of their owners"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with cameras. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        if sequence.extra["cameras"] is None:
            raise DataError(f"{folder}: no {posixpath.basename(folder)}.txt below {self._root}; unpack the camera files there")
        chosen = self._chosen(list_frames(folder, _IMAGE), sequence, first_frame, num_frames)
        pictures = read_pictures([frame.uri for frame in chosen], keep_files=True)
        cameras = join(self._root, sequence.extra["cameras"])
        times = np.array([frame.number for frame in chosen])
        rows = _rows(cameras, times)
        poses = np.tile(np.eye(4), (num_frames, 1, 1))
        poses[:, :3] = rows[:, 7:].reshape(-1, 3, 4)
        path = camera_path(inverse_poses(poses), where=cameras)
        times_s = (times - times[0]) / _MICROSECONDS
        fps = (num_frames - 1) / float(times_s[-1]) if num_frames > 1 else 1.0
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix=image_suffix([frame.uri for frame in chosen]),
            frame_times=times_s,
            intrinsics=intrinsics_to_pixels(_normalised(rows[:, 1:5]), pictures.original_size).astype(np.float32),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            is_metric=False,
            license=self.license,
            meta=self._meta(pictures.original_size, fps, first_time_s=float(times[0]) / _MICROSECONDS),
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        (identifier,) = folder.parts
        cameras = tree.by_name.get(f"{identifier}.txt")
        part = "none" if cameras is None else posixpath.basename(posixpath.dirname(cameras))
        return SequenceInfo(
            name=f"{part}/{identifier}",
            num_frames=folder.num_frames,
            split=_SPLITS.get(part),
            extra={"folder": folder.relative, "cameras": None if cameras is None else tree.relative(cameras)},
        )


def _rows(uri: str, times: np.ndarray) -> np.ndarray:
    """The rows of frames at these times, "T 19". Raises: DataError if one has none."""
    table = read_table(uri, columns=_COLUMNS, header_lines=1)
    places = {int(time): place for place, time in enumerate(table[:, 0])}
    missing = [time for time in times.tolist() if time not in places]
    if missing:
        raise DataError(f"{uri}: no row for the frame {missing[0]}; its rows are of {int(table[0, 0])} to {int(table[-1, 0])} microseconds")
    return table[[places[time] for time in times.tolist()]]


def _normalised(fx_fy_cx_cy: np.ndarray) -> np.ndarray:
    matrices = np.tile(np.eye(3), (len(fx_fy_cx_cy), 1, 1))
    matrices[:, [0, 1, 0, 1], [0, 1, 2, 2]] = fx_fy_cx_cy
    return matrices

"""Neural RGB-D: walks through rendered rooms, with depth and poses of every frame. An evaluation set."""

import posixpath
import re

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, list_frames, read_table
from pipeline.datasets.pictures import read_depths, read_pictures, read_room_depth
from pipeline.datasets.poses import camera_path, opengl_to_opencv, pinhole
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/([^/]+)/images/img(\d+)\.png$")
_LAYOUT = "kitchen/images/img0.png"
_FPS = 30.0  # nominal: the publisher names no rate


class NrgbdSource(RecordingSource):
    """Depth is that of `depth/`, PNG of 16 bits in millimetres, left out beyond 10 m as public evaluations have it.

    `poses.txt` has four lines per frame: camera to world, of a camera with x right, y up, z backward; lost where they hold nan.
    `focal.txt` has the one focal length in pixels; the principal point is half the image's width and height. Sequences are named
    after their scene. Source: datasets' table, "NRGBD"; `focal.txt` from general knowledge, not checked against a download.
    """

    name = "nrgbd"
    terms = "terms of the Neural RGB-D provider"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        chosen = self._chosen(list_frames(join(folder, "images"), _IMAGE), sequence, first_frame, num_frames)
        pictures = read_pictures([frame.uri for frame in chosen], keep_files=True)
        height, width = pictures.original_size
        numbers = np.array([frame.number for frame in chosen])
        depth_uris = [join(folder, "depth", f"depth{number}.png") for number in numbers]
        path = camera_path(_poses(join(folder, "poses.txt"), numbers), where=join(folder, "poses.txt"))
        focal = _focal(join(folder, "focal.txt"))
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix="png",
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=pinhole(np.tile((focal, focal, width / 2, height / 2), (num_frames, 1))),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=read_depths(depth_uris, read_room_depth, size=pictures.original_size),
            is_metric=True,
            depth_source="render",
            license=self.license,
            meta=self._meta(pictures.original_size, _FPS, fps_source="nominal", first_number=int(numbers[0])),
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        scene = tree.relative(posixpath.dirname(folder.uri))
        return SequenceInfo(name=folder.parts[0], num_frames=folder.num_frames, split="test", extra={"folder": scene})


def _poses(uri: str, numbers: np.ndarray) -> np.ndarray:
    rows = read_table(uri, columns=4)
    if len(rows) % 4 or numbers.max() >= len(rows) // 4:
        raise DataError(f"{uri}: {len(rows)} rows, expected 4 of every frame up to number {numbers.max()}; download the scene again")
    return opengl_to_opencv(rows.reshape(-1, 4, 4)[numbers])


def _focal(uri: str) -> float:
    table = read_table(uri, columns=1)
    if len(table) != 1 or not table[0, 0] > 0:
        raise DataError(f"{uri}: {table.ravel()[:3]}, expected one focal length in pixels; download the scene again")
    return float(table[0, 0])

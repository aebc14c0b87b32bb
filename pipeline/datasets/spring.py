"""Spring: frames of an animated film in full HD, disparity at twice the resolution. Needs h5py: the `datasets` extra."""

import importlib
import io
import posixpath
import re
from typing import Any

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, clip_frames, list_frames, read_file, read_table
from pipeline.datasets.flow import FlowFolderSource, FlowMap
from pipeline.datasets.pictures import read_depths, read_pictures, zero_where_invalid
from pipeline.datasets.poses import camera_path, inverse_poses, pinhole
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError, install_command
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/train/(\d{4})/frame_left/frame_left_(\d{4})\.png$")
_LAYOUT = "train/0001/frame_left/frame_left_0001.png"
_BASELINE_M = 0.065
_FPS = 24.0


class SpringSource(FlowFolderSource):
    """The left camera of the training sequences (those of the test set have no truth).

    Depth comes from rendered disparity: HDF5 at twice the frames' resolution, in pixels of the frames, and so does
    flow. Poses are world to camera.
    Source: datasets' table, "Spring".
    """

    name = "spring"
    terms = "terms of the Spring provider"
    images = _IMAGE
    layout = _LAYOUT

    def __init__(self, root: str, *, license: str | None = None, flow: bool = False) -> None:
        """As every folder of frames. Raises: ConfigError without h5py."""
        require_h5py()
        super().__init__(root, license=license, flow=flow)

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        listed = list_frames(join(folder, "frame_left"), _IMAGE)
        chosen = clip_frames(listed, sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([frame.uri for frame in chosen])
        numbers = np.array([frame.number for frame in chosen])
        fx_fy_cx_cy = _rows(join(folder, "cam_data/intrinsics.txt"), 4, numbers)
        extrinsics = join(folder, "cam_data/extrinsics.txt")
        path = camera_path(inverse_poses(_rows(extrinsics, 16, numbers).reshape(-1, 4, 4)), where=extrinsics)
        depth = None
        if sequence.extra["has_depth"]:
            uris = [join(folder, "disp1_left", f"disp1_left_{frame.number:04d}.dsp5") for frame in chosen]
            disparity = read_depths(uris, read_disparity, size=pictures.original_size)
            depth = disparity_to_depth(disparity, fx_fy_cx_cy[:, :1, None])
        return TruthClip(
            frames=pictures.frames,
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=pinhole(fx_fy_cx_cy),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth,
            **self._flow_fields(numbers, pictures.original_size, lambda number: _flow(folder, number)),
            is_metric=True,
            depth_source=None if depth is None else "render",
            license=self.license,
            meta={"camera": "left", "orig_size": list(pictures.original_size), "fps": _FPS, "first_number": int(numbers[0])},
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        parent = posixpath.dirname(folder.uri)
        return SequenceInfo(
            name=f"train/{folder.parts[0]}",
            num_frames=folder.num_frames,
            extra={"folder": tree.relative(parent), "has_depth": join(parent, "disp1_left") in tree.folders},
        )


def require_h5py() -> Any:
    """The package that reads HDF5. Raises: ConfigError if it is not installed."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ConfigError(f"Spring keeps disparity in HDF5, which needs h5py ({error}); run: {install_command('datasets')}") from error


def read_disparity(uri: str) -> np.ndarray:
    """Disparity at the frame's resolution, float32 "H W", in its pixels: every second row and column of the file. Raises: DataError."""
    return _read_hdf5(uri, "disparity", dimensions=2)[::2, ::2]


def _flow(folder: str, number: int) -> FlowMap:
    """Forward flow at the frame's resolution, in its pixels: as disparity."""
    uri = join(folder, "flow_FW_left", f"flow_FW_left_{number:04d}.flo5")
    vectors = _read_hdf5(uri, "flow", dimensions=3)[::2, ::2]
    return FlowMap(vectors=vectors, known=np.isfinite(vectors).all(-1))


def _read_hdf5(uri: str, name: str, *, dimensions: int) -> np.ndarray:
    data = read_file(uri)
    try:
        with require_h5py().File(io.BytesIO(data), "r") as file:
            array = np.asarray(file[name], np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{uri}: {len(data)} bytes without an HDF5 array `{name}` ({error}); download it again") from error
    if array.ndim != dimensions or (dimensions == 3 and array.shape[2] != 2):
        raise DataError(f"{uri}: `{name}` is {list(array.shape)}; is it a file of Spring?")
    return array


def disparity_to_depth(disparity: np.ndarray, fx: np.ndarray | float) -> np.ndarray:
    """Metres along z, float32, 0 where the disparity is 0, NaN or infinite. `fx` in pixels, broadcast against the disparity.

    Source: depth = fx baseline / disparity, for a pair of parallel cameras 0.065 m apart.
    """
    known = np.isfinite(disparity) & (disparity > 0)
    return zero_where_invalid(np.where(known, fx * _BASELINE_M / np.where(known, disparity, 1), 0))


def _rows(uri: str, columns: int, numbers: np.ndarray) -> np.ndarray:
    """Rows of frames that count from 1."""
    table = read_table(uri, columns=columns)
    if numbers.min() < 1 or numbers.max() > len(table):
        raise DataError(f"{uri}: {len(table)} rows, but images are numbered {numbers.min()} to {numbers.max()} of 1 to {len(table)}")
    return table[numbers - 1]

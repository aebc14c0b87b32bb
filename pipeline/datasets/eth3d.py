"""ETH3D's training scenes: photographs of places that a laser scanned. An evaluation set."""

import posixpath
import re
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datasets.colmap import FisheyeCamera, read_cameras, read_images
from pipeline.datasets.files import FileTree, FrameFile, FrameFolder, list_frames, read_file
from pipeline.datasets.pictures import png_files, read_pictures, zero_where_invalid
from pipeline.datasets.poses import camera_path, pinhole
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/([^/]+)/images/dslr_images/[^/]*?(\d+)\.JPG$")
_LAYOUT = "courtyard/images/dslr_images/DSC_0286.JPG"
_MODEL = "dslr_calibration_jpg"
_FPS = 1.0  # nominal: photographs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _View:
    """One photograph as a camera without distortion would have taken it."""

    frame: np.ndarray  # uint8 "H W 3"
    depth: np.ndarray  # float32 "H W"
    fx_fy_cx_cy: np.ndarray  # "4", pixels, integer = pixel centre


class Eth3dSource(RecordingSource):
    """The distorted photographs and what belongs to them: `dslr_calibration_jpg/`, `ground_truth_depth/`, below one folder per scene.

    Depth is the laser's, raw float32 metres along z of the distorted pixels, infinite where unknown. Photographs and depth are
    undistorted into a pinhole camera of the same focal lengths, centre and proportions, as the public evaluation of point maps does it, but
    by the whole lens model and at once to `long_side`; frames are stored as PNG. Depth is that of the nearest pixel. Poses are
    world to camera. Sequences are named after their scene. Source: datasets' table, "ETH3D"; the lens model, COLMAP.
    """

    name = "eth3d"
    terms = "CC BY-NC-SA 4.0"
    images = _IMAGE
    layout = _LAYOUT

    def __init__(self, root: str, *, license: str | None = None, every: int = 1, first: int | None = None, long_side: int = 1036) -> None:
        """As every recording. `long_side` is that of the frames in pixels. Raises: ConfigError if it is no size."""
        super().__init__(root, license=license, every=every, first=first)
        if type(long_side) is not int or long_side < 16:
            raise ConfigError(f"--option long_side is {long_side!r}, expected a whole number of pixels from 16 on")
        self._long_side = long_side

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Undistorted photographs with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        chosen = self._chosen(list_frames(join(folder, "images/dslr_images"), _IMAGE), sequence, first_frame, num_frames)
        cameras, placed = read_cameras(join(folder, _MODEL, "cameras.txt")), read_images(join(folder, _MODEL, "images.txt"))
        images = []
        for frame in chosen:
            image = placed.get(f"dslr_images/{posixpath.basename(frame.uri)}")
            if image is None or image.camera not in cameras:
                raise DataError(f"{frame.uri}: no such image, or not its camera, in {join(folder, _MODEL)}; download the calibration again")
            images.append(image)
        size = self._size(cameras[images[0].camera])
        views = [_view(frame, cameras[image.camera], size) for frame, image in zip(chosen, images, strict=True)]
        path = camera_path(np.stack([image.camera_to_world for image in images]), where=join(folder, _MODEL, "images.txt"))
        frames = np.stack([view.frame for view in views])
        return TruthClip(
            frames=frames,
            images=png_files(frames),
            image_suffix="png",
            frame_times=np.arange(num_frames) / _FPS,
            intrinsics=pinhole(np.stack([view.fx_fy_cx_cy for view in views])),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=np.stack([view.depth for view in views]),
            is_metric=True,
            depth_source="sensor",
            license=self.license,
            meta=self._meta(cameras[images[0].camera].size, _FPS, fps_source="nominal", first_number=chosen[0].number),
        )

    def _size(self, camera: FisheyeCamera) -> tuple[int, int]:
        """(H, W) of the frames: never larger than the photographs."""
        scale = min(1, self._long_side / max(camera.size))
        return round(camera.size[0] * scale), round(camera.size[1] * scale)

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        scene = posixpath.dirname(posixpath.dirname(folder.uri))
        extra = {"folder": tree.relative(scene), "long_side": self._long_side}
        return SequenceInfo(name=folder.parts[0], num_frames=folder.num_frames, split="test", extra=extra)


def _view(frame: FrameFile, camera: FisheyeCamera, size: tuple[int, int]) -> _View:
    picture = read_pictures([frame.uri], size=size)
    if picture.original_size != camera.size:
        raise DataError(f"{frame.uri}: {picture.original_size} pixels (H, W), its camera has {camera.size}; download both again")
    scale = np.array(size[::-1]) / camera.size[::-1]
    grid = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1) + 0.5
    source = camera.distort((grid / scale - camera.centre) / camera.focal)  # in the photograph, from its corner
    here = (source * scale - 0.5).astype(np.float32)
    return _View(
        frame=cv2.remap(picture.frames[0], here[..., 0], here[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT),
        depth=_depth(frame.uri.replace("/images/dslr_images/", "/ground_truth_depth/dslr_images/"), camera, source),
        fx_fy_cx_cy=np.concatenate([camera.focal * scale, camera.centre * scale - 0.5]),
    )


def _depth(uri: str, camera: FisheyeCamera, source: np.ndarray) -> np.ndarray:
    """Depth at positions "H W 2" of the photograph, counted from its corner; 0 where unknown or outside."""
    data, (height, width) = read_file(uri), camera.size
    if len(data) != 4 * height * width:
        raise DataError(f"{uri}: {len(data)} bytes, expected {4 * height * width} of {width}x{height} float32; download it again")
    stored = np.frombuffer(data, "<f4").reshape(height, width)
    column, row = np.floor(source).astype(np.int64).transpose(2, 0, 1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return zero_where_invalid(np.where(inside, stored[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)], 0))

"""MPI Sintel: frames of an animated film. An evaluation set; its units of length are the film's own."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, clip_frames, list_frames, read_file
from pipeline.datasets.flow import FlowFolderSource, FlowMap
from pipeline.datasets.pictures import read_depths, read_pictures, zero_where_invalid
from pipeline.datasets.poses import camera_path, inverse_poses
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import exists, join
from pipeline.video.images import decode_image

_IMAGE = re.compile(r"/training/(final|clean)/([^/]+)/frame_(\d{4})\.png$")
_LAYOUT = "training/final/alley_1/frame_0001.png"
_TAG = 202021.25  # of every file: a float that reads otherwise if the bytes are swapped
_FPS = 24.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SintelCamera:
    """One frame's camera."""

    intrinsics: np.ndarray  # float64 "3 3", pixels
    world_to_camera: np.ndarray  # float64 "4 4"


class SintelSource(FlowFolderSource):
    """Both passes of the training sequences (those of the test set have no truth), all of the split `test`: they are for evaluation.

    Depth is rendered and kept whole, sky included: the usual limit of 70 belongs to the evaluation. Poses are world to camera.
    Flow leaves out what the masks of invalid pixels mark, where these are there; occluded pixels have theirs.
    Sequences are named final/alley_1; the passes of a scene share a scene. Source: datasets' table, "Sintel".
    """

    name = "sintel"
    keep_images = True
    terms = "terms of the MPI Sintel provider"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with depth and camera. Raises: DataError."""
        listed = list_frames(join(self._root, sequence.extra["folder"]), _IMAGE)
        chosen = clip_frames(listed, sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([frame.uri for frame in chosen], keep_files=True)
        intrinsics = path = depth = None
        if sequence.extra["has_camera"]:
            folder = join(self._root, _sibling(sequence.extra["folder"], "camdata_left"))
            cameras = [read_cam(join(folder, f"frame_{frame.number:04d}.cam")) for frame in chosen]
            intrinsics = np.stack([camera.intrinsics for camera in cameras]).astype(np.float32)
            path = camera_path(inverse_poses(np.stack([camera.world_to_camera for camera in cameras])), where=folder)
        if sequence.extra["has_depth"]:
            folder = join(self._root, _sibling(sequence.extra["folder"], "depth"))
            uris = [join(folder, f"frame_{frame.number:04d}.dpt") for frame in chosen]
            depth = zero_where_invalid(read_depths(uris, read_dpt, size=pictures.original_size))
        numbers = np.array([frame.number for frame in chosen])
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix="png",
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=intrinsics,
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth,
            **self._flow_fields(numbers, pictures.original_size, self._flow_reader(sequence.extra["folder"])),
            is_metric=False,
            depth_source=None if depth is None else "render",
            license=self.license,
            meta={"camera": "left", "orig_size": list(pictures.original_size), "fps": _FPS, "first_number": int(numbers[0])},
        )

    def _flow_reader(self, folder: str) -> Callable[[int], FlowMap]:
        def read(number: int) -> FlowMap:
            vectors = read_flo(join(self._root, _sibling(folder, "flow"), f"frame_{number:04d}.flo"))
            mask = join(self._root, _sibling(folder, "invalid"), f"frame_{number:04d}.png")
            known = decode_image(read_file(mask), mask)[..., 0] == 0 if exists(mask) else np.ones(vectors.shape[:2], bool)
            return FlowMap(vectors=vectors, known=known)

        return read

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        rendering, scene = folder.parts
        return SequenceInfo(
            name=f"{rendering}/{scene}",
            num_frames=folder.num_frames,
            split="test",
            scene=scene,
            extra={
                "folder": tree.relative(folder.uri),
                "has_depth": _sibling(folder.uri, "depth") in tree.folders,
                "has_camera": _sibling(folder.uri, "camdata_left") in tree.folders,
            },
        )


def read_cam(uri: str) -> SintelCamera:
    """A .cam file: tag, 9 float64 of K, 12 float64 of [R|t], world to camera. Raises: DataError."""
    data = read_file(uri)
    _check_tag(data, uri)
    if len(data) != 4 + 8 * 21:
        raise DataError(f"{uri}: {len(data)} bytes, expected {4 + 8 * 21}; download it again")
    values = np.frombuffer(data, "<f8", offset=4)
    return SintelCamera(intrinsics=values[:9].reshape(3, 3), world_to_camera=np.vstack([values[9:].reshape(3, 4), [0, 0, 0, 1]]))


def read_dpt(uri: str) -> np.ndarray:
    """A .dpt file: tag, int32 width, int32 height, float32 values; float32 "H W". Raises: DataError."""
    return _read_tagged(uri, channels=1)[..., 0]


def read_flo(uri: str) -> np.ndarray:
    """A .flo file: as .dpt, with two values per pixel; float32 "H W 2". Raises: DataError."""
    return _read_tagged(uri, channels=2)


def _read_tagged(uri: str, *, channels: int) -> np.ndarray:
    data = read_file(uri)
    _check_tag(data, uri)
    width, height = (int(size) for size in np.frombuffer(data[4:12].ljust(8, b"\0"), "<i4"))
    expected = 12 + 4 * channels * width * height
    if min(width, height) < 1 or len(data) != expected:
        raise DataError(f"{uri}: {len(data)} bytes for {width}x{height} pixels, expected {expected}; download it again")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, channels)


def _check_tag(data: bytes, uri: str) -> None:
    tag = np.frombuffer(data[:4].ljust(4, b"\0"), "<f4")[0]
    if tag != np.float32(_TAG):
        raise DataError(f"{uri}: begins with {tag}, expected the tag {_TAG}; is it a file of Sintel?")


def _sibling(folder: str, part: str) -> str:
    """Folder of a scene in another part: the scene's name under the part's own folder."""
    return re.sub(r"(^|/)(?:final|clean)(/[^/]+)$", rf"\g<1>{part}\g<2>", folder)

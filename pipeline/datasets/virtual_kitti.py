"""Virtual KITTI 2: rendered drives in five streets, each under ten weathers and views, with masks of the vehicles that move."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError

from pipeline.datasets.files import FileTree, FrameFolder, clip_frames, list_frames, read_file, read_table
from pipeline.datasets.flow import FlowFolderSource, FlowMap
from pipeline.datasets.pictures import read_depths, read_pictures, read_png16
from pipeline.datasets.poses import camera_path, inverse_poses, pinhole
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/(Scene\d+)/([^/]+)/frames/rgb/Camera_(\d)/rgb_(\d{5})\.jpg$")
_LAYOUT = "vkitti_2.0.3_rgb/Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg"
_CENTIMETRES = 100.0
_SKY_M = 655.0  # and beyond: 65535 cm
_FPS = 10.0  # KITTI's
_HEADER = "frame cameraID trackID left right top bottom number_pixels truncation_ratio occupancy_ratio isMoving"
_FLAGS = {"0": False, "1": True, "false": False, "true": True}


class VirtualKittiSource(FlowFolderSource):
    """Both cameras. Depth is rendered, PNG of 16 bits in centimetres along z; poses are world to camera.

    Sequences are named Scene01/clone/Camera_0; those of one scene share a scene, as its variations show the same street.
    The parts (rgb, depth, textgt, instanceSegmentation) may lie side by side, as downloaded, or merged into one tree.
    With the instance segmentation, vehicles that move are known; flow is of the part forwardFlow.
    Source: datasets' table, "Virtual KITTI 2".
    """

    name = "virtual-kitti"
    terms = "CC-BY-NC-SA-3.0"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames with depth, sky, camera and moving vehicles, as far as these were downloaded. Raises: DataError."""
        extra = sequence.extra
        listed = list_frames(self._frames(extra, "rgb"), _IMAGE)
        chosen = clip_frames(listed, sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([frame.uri for frame in chosen])
        numbers, camera = np.array([frame.number for frame in chosen]), int(extra["camera"].removeprefix("Camera_"))
        depth = sky = None
        if extra["has_depth"]:
            uris = [join(self._frames(extra, "depth"), f"depth_{number:05d}.png") for number in numbers]
            metres = read_depths(uris, read_png16, size=pictures.original_size).astype(np.float32) / np.float32(_CENTIMETRES)
            sky = metres >= _SKY_M
            depth = np.where(sky, np.float32(0), metres)
        path = intrinsics = dynamic = None
        if extra["has_text"]:
            text = join(self._root, part_folder(extra["folder"], "textgt"))
            rows = camera_rows(join(text, "extrinsic.txt"), columns=18, camera=camera, numbers=numbers)
            path = camera_path(inverse_poses(rows.reshape(-1, 4, 4)), where=join(text, "extrinsic.txt"))
            intrinsics = pinhole(camera_rows(join(text, "intrinsic.txt"), columns=6, camera=camera, numbers=numbers))
            if extra["has_instances"]:
                instances = self._frames(extra, "instanceSegmentation")
                dynamic = moving_vehicles(join(text, "bbox.txt"), instances, camera=camera, numbers=numbers)
        return TruthClip(
            frames=pictures.frames,
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=intrinsics,
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth,
            sky_mask=sky,
            dynamic_mask=dynamic,
            **self._flow_fields(numbers, pictures.original_size, self._flow_reader(extra)),
            is_metric=True,
            depth_source=None if depth is None else "render",
            license=self.license,
            meta={"camera": extra["camera"], "orig_size": list(pictures.original_size), "fps": _FPS, "first_number": int(numbers[0])},
        )

    def _flow_reader(self, extra: Mapping[str, Any]) -> Callable[[int], FlowMap]:
        folder = self._frames(extra, "forwardFlow")
        return lambda number: read_flow_png(join(folder, f"flow_{number:05d}.png"))

    def _frames(self, extra: Mapping[str, Any], part: str) -> str:
        return join(self._root, part_folder(extra["folder"], part), "frames", part, extra["camera"])

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        scene, variation, camera = folder.parts
        variation_folder = folder.uri.removesuffix(f"/frames/rgb/Camera_{camera}")

        def has(part: str) -> bool:
            return f"{part_folder(variation_folder, part)}/frames/{part}/Camera_{camera}" in tree.folders

        return SequenceInfo(
            name=f"{scene}/{variation}/Camera_{camera}",
            num_frames=folder.num_frames,
            scene=scene,
            extra={
                "folder": tree.relative(variation_folder),
                "camera": f"Camera_{camera}",
                "has_depth": has("depth"),
                "has_text": part_folder(variation_folder, "textgt") in tree.folders,
                "has_instances": has("instanceSegmentation"),
            },
        )


def read_flow_png(uri: str) -> FlowMap:
    """A PNG of 16 bits: red is u, green v, over all codes from -(W - 1) to W - 1 and -(H - 1) to H - 1; blue is 0 where unknown (sky).

    Raises: DataError if it is anything else.
    """
    data = read_file(uri)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3 or decoded.shape[2] != 3:
        raise DataError(f"{uri}: {len(data)} bytes that are no PNG of three channels with 16 bits; download it again")
    height, width = decoded.shape[:2]
    reach = np.array([width - 1, height - 1], np.float32)
    vectors = (decoded[..., :0:-1].astype(np.float32) * np.float32(2 / 65535) - 1) * reach
    return FlowMap(vectors=vectors, known=decoded[..., 0] > 0)


def part_folder(folder: str, part: str) -> str:
    """Folder in another part that belongs to an rgb folder: the same path under its own top folder, or beside it in a merged tree."""
    return re.sub(r"(vkitti_[\d.]+)_rgb(?=/)", rf"\1_{part}", folder)


def camera_rows(uri: str, *, columns: int, camera: int, numbers: np.ndarray) -> np.ndarray:
    """The rows of some frames and one camera in a table `frame cameraID ...`, without these two columns, "T columns-2".

    Raises: DataError if a frame is not in the table.
    """
    table = read_table(uri, columns=columns, header_lines=1)
    rows = {int(row[0]): row[2:] for row in table if int(row[1]) == camera}
    missing = [int(number) for number in numbers if number not in rows]
    if missing:
        raise DataError(f"{uri}: no row for frame {missing[0]} of camera {camera}; download the text part again")
    return np.stack([rows[int(number)] for number in numbers])


def moving_vehicles(boxes_uri: str, folder: str, *, camera: int, numbers: np.ndarray) -> np.ndarray:
    """Pixels of vehicles that move between a frame and the next.

    Args:
        boxes_uri: bbox.txt, one row per frame, camera and vehicle, with the flag isMoving.
        folder: indexed PNGs instancegt_00000.png, whose values are trackID + 1, and 0 where there is no vehicle.
        numbers: the frames, "T".
    Returns: bool "T H W".
    Raises: DataError.
    """
    moving = _moving_tracks(boxes_uri, camera)
    masks = []
    for number in numbers:
        instances = read_indexed_png(join(folder, f"instancegt_{number:05d}.png"))
        masks.append(np.isin(instances, [track + 1 for track in moving.get(int(number), [])]))
    return np.stack(masks)


def read_indexed_png(uri: str) -> np.ndarray:
    """The indices of a PNG with a palette (or the values of a grey one), uint8 "H W". OpenCV would give colours. Raises: DataError."""
    data = read_file(uri)
    try:
        with av.open(io.BytesIO(data), format="png_pipe") as container:
            frame = next(container.decode(video=0))
    except (FFmpegError, StopIteration) as error:
        raise DataError(f"{uri}: {len(data)} bytes that do not decode as a PNG ({error}); download it again") from error
    if frame.format.name not in ("pal8", "gray"):
        raise DataError(f"{uri}: a PNG of {frame.format.name}, expected 8-bit indices; was it saved anew by another program?")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width].copy()


def _moving_tracks(uri: str, camera: int) -> dict[int, list[int]]:
    """Frame -> track ids of the vehicles that move in it, as this camera sees them."""
    lines = [line.split() for line in read_file(uri).decode(errors="replace").splitlines() if line.strip()]
    if not lines or lines[0] != _HEADER.split():
        raise DataError(f"{uri}: the header is {' '.join(lines[0] if lines else [])!r}, expected {_HEADER!r}")
    moving: dict[int, list[int]] = {}
    for number, row in enumerate(lines[1:], start=2):
        flag = _FLAGS.get(row[-1].lower()) if len(row) == len(lines[0]) else None
        if flag is None:
            raise DataError(f"{uri}: line {number} is {' '.join(row)!r}, expected {len(lines[0])} values, the last 0, 1, True or False")
        if flag and int(row[1]) == camera:
            moving.setdefault(int(row[0]), []).append(int(row[2]))
    return moving

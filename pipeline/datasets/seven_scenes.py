"""7-Scenes: rooms recorded with a Kinect, whose colour camera and depth camera stand side by side. An evaluation set."""

import posixpath
import re

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, list_frames, read_file, read_matrices
from pipeline.datasets.pictures import read_depths, read_pictures, read_room_depth
from pipeline.datasets.poses import camera_path, pinhole
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import exists, join

_IMAGE = re.compile(r"/([^/]+)/(seq-\d+)/frame-(\d{6})\.color\.png$")
_LAYOUT = "chess/seq-01/frame-000000.color.png"
_SIZE = (480, 640)
_FX_FY_CX_CY = (525.0, 525.0, 320.0, 240.0)  # of the colour camera, as public evaluations have it
_DEPTH_FOCAL = 585.0  # of the depth camera, as published; its centre is the image's
_FPS = 30.0
# of the depth camera's points in the colour camera, metres: a Kinect calibrated by LIRIS, which public scripts take for this one
_DEPTH_TO_COLOUR = np.array(
    [
        [0.99996518012567637, 0.0026765126468950343, -0.0079041012313000904, -0.025558943178152542],
        [-0.00274093112813167, 0.99996302803027592, -0.0081504520778013286, 0.00010109636268061706],
        [0.0078819942130445332, 0.0081718328771890631, 0.99993554558014031, 0.0020318321729487039],
    ]
)


class SevenScenesSource(RecordingSource):
    """Depth is measured, PNG of 16 bits in millimetres, unknown where 0 or beyond 10 m (65535 marks it too); poses are camera to world.

    The published depth is the depth camera's. Public evaluations of point maps measure against depth carried into the colour camera
    (`.depth.proj.png`, made by the preparation scripts of SimpleRecon and Spann3R), with 525 px for its focal length, and take the
    published poses as they are. So does this reader: files of that name are read where they are there, else the published depth
    is carried over in the same way. Sequences are named chess/seq-01; `TestSplit.txt` of each scene says which are for testing.
    Source: datasets' table, "7-Scenes"; the calibration from general knowledge, not checked against a download.
    """

    name = "seven_scenes"
    terms = "terms of the 7-Scenes provider (non-commercial research)"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        chosen = self._chosen(list_frames(folder, _IMAGE), sequence, first_frame, num_frames)
        stems = [join(folder, f"frame-{frame.number:06d}") for frame in chosen]
        pictures = read_pictures([frame.uri for frame in chosen], keep_files=True)
        if pictures.original_size != _SIZE:
            raise DataError(f"{chosen[0].uri}: {pictures.original_size} pixels (H, W), expected {_SIZE}, which the intrinsics are for")
        read = read_room_depth if sequence.extra["registered"] else _carried_over
        depth = read_depths([f"{stem}.depth{'.proj' * sequence.extra['registered']}.png" for stem in stems], read, size=_SIZE)
        path = camera_path(read_matrices([f"{stem}.pose.txt" for stem in stems]), where=folder)
        numbers = np.array([frame.number for frame in chosen])
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix="png",
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=pinhole(np.tile(_FX_FY_CX_CY, (num_frames, 1))),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth,
            is_metric=True,
            depth_source="sensor",
            license=self.license,
            meta=self._meta(_SIZE, _FPS, camera="color", first_number=int(numbers[0])),
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        scene, name = folder.parts
        tests = _test_sequences(posixpath.dirname(folder.uri))
        return SequenceInfo(
            name=f"{scene}/{name}",
            num_frames=folder.num_frames,
            split="test" if int(name.removeprefix("seq-")) in tests else "train",
            scene=scene,
            extra={"folder": folder.relative, "registered": exists(join(folder.uri, "frame-000000.depth.proj.png"))},
        )


def _carried_over(uri: str) -> np.ndarray:
    return depth_to_colour_camera(read_room_depth(uri))


def depth_to_colour_camera(depth: np.ndarray) -> np.ndarray:
    """Depth "H W" of the depth camera as the colour camera sees it: each pixel moves as a point, and the nearest of a pixel stays.

    Both cameras have their centre in the middle of the image, counted from its corner; the pixel on which a point falls is rounded from
    there, as the public preparation scripts do it.
    """
    height, width = depth.shape
    y, x = np.nonzero(depth)
    z = depth[y, x].astype(np.float64)
    rays = np.stack([(x + 0.5 - width / 2) / _DEPTH_FOCAL, (y + 0.5 - height / 2) / _DEPTH_FOCAL, np.ones_like(z)], axis=-1)
    points = (rays * z[:, None]) @ _DEPTH_TO_COLOUR[:, :3].T + _DEPTH_TO_COLOUR[:, 3]
    points = points[points[:, 2] > 0]
    fx, fy, cx, cy = _FX_FY_CX_CY
    column, row = np.rint(points[:, :2] / points[:, 2:] * (fx, fy) + (cx, cy)).astype(np.int64).T
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    carried = np.full(depth.shape, np.inf)
    np.minimum.at(carried, (row[seen], column[seen]), points[seen, 2])
    return np.where(np.isfinite(carried), carried, 0).astype(np.float32)


def _test_sequences(scene: str) -> frozenset[int]:
    """Numbers of a scene's sequences for testing: `TestSplit.txt` holds lines such as `sequence3`. Raises: DataError."""
    uri = join(scene, "TestSplit.txt")
    lines = read_file(uri).decode(errors="replace").split()
    numbers = [re.fullmatch(r"sequence(\d+)", line) for line in lines]
    if not lines or None in numbers:
        raise DataError(f"{uri}: {lines[:3]}, expected lines such as sequence3; download the scene again")
    return frozenset(int(match[1]) for match in numbers if match)

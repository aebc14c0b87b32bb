"""TartanAir (v1): flights through rendered scenes, metric depth and poses of every frame."""

import posixpath
import re

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, clip_frames, list_frames, read_table
from pipeline.datasets.flow import FlowFolderSource, FlowMap
from pipeline.datasets.pictures import read_depths, read_npy, read_npy_depth, read_pictures, zero_where_invalid
from pipeline.datasets.poses import camera_path, ned_to_opencv, pinhole, quaternion_poses
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/([^/]+)/(Easy|Hard)/(P\d+)/image_left/(\d{6})_left\.png$")
_LAYOUT = "ENV/ENV/Easy/P000/image_left/000000_left.png"
_FX_FY_CX_CY = (320.0, 320.0, 320.0, 240.0)  # as published, for 640 x 480; whether 320 means half a pixel less is not said anywhere
_SIZE = (480, 640)
_SKY_M = 1000.0  # and beyond
_FPS = 10.0  # nominal: the publisher names no rate


class TartanAirSource(FlowFolderSource):
    """The left camera. Depth is rendered, float metres along z; poses are camera to world in x forward, y right, z down.

    Flow is known where its mask is 0: that marks what is hidden, out of view or beyond the renderer's range in the next frame.
    Sequences are named ENV/Easy/P000; those of one environment share a scene. Source: datasets' table, "TartanAir v1".
    """

    name = "tartanair"
    terms = "terms of the TartanAir provider"
    images = _IMAGE
    layout = _LAYOUT

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames with depth, sky and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        listed = list_frames(join(folder, "image_left"), _IMAGE)
        chosen = clip_frames(listed, sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([frame.uri for frame in chosen])
        if pictures.original_size != _SIZE:
            raise DataError(f"{chosen[0].uri}: {pictures.original_size} pixels (H, W), expected {_SIZE}, which the intrinsics are for")
        numbers = np.array([frame.number for frame in chosen])
        path = camera_path(_poses(join(folder, "pose_left.txt"), numbers), where=join(folder, "pose_left.txt"))
        depth = sky = None
        if sequence.extra["has_depth"]:
            uris = [join(folder, "depth_left", f"{frame.number:06d}_left_depth.npy") for frame in chosen]
            metres = read_depths(uris, read_npy_depth, size=_SIZE)
            sky = metres >= _SKY_M
            depth = zero_where_invalid(np.where(sky, 0, metres))
        return TruthClip(
            frames=pictures.frames,
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=pinhole(np.tile(_FX_FY_CX_CY, (num_frames, 1))),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth,
            sky_mask=sky,
            **self._flow_fields(numbers, _SIZE, lambda number: _flow(join(folder, "flow", f"{number:06d}_{number + 1:06d}"))),
            is_metric=True,
            depth_source=None if depth is None else "render",
            license=self.license,
            meta={"camera": "left", "orig_size": list(_SIZE), "fps": _FPS, "fps_source": "nominal", "first_number": int(numbers[0])},
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        trajectory = posixpath.dirname(folder.uri)
        return SequenceInfo(
            name="/".join(folder.parts),
            num_frames=folder.num_frames,
            scene=folder.parts[0],
            extra={"folder": tree.relative(trajectory), "has_depth": join(trajectory, "depth_left") in tree.folders},
        )


def _flow(stem: str) -> FlowMap:
    vectors, mask = read_npy(f"{stem}_flow.npy", kinds="f", dimensions=3), read_npy(f"{stem}_mask.npy", kinds="biu", dimensions=2)
    if vectors.shape != (*mask.shape, 2):
        raise DataError(f"{stem}_flow.npy: {list(vectors.shape)}, its mask is {list(mask.shape)}; download both again")
    return FlowMap(vectors=vectors.astype(np.float32), known=mask == 0)


def _poses(uri: str, numbers: np.ndarray) -> np.ndarray:
    rows = read_table(uri, columns=7)
    if numbers.max() >= len(rows):
        raise DataError(f"{uri}: {len(rows)} poses, but there is an image of number {numbers.max()}; download the poses again")
    return ned_to_opencv(quaternion_poses(rows[numbers], where=uri))

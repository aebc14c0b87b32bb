"""ScanNet (v2) as its SensReader exports it: indoor walks with a structured-light sensor, poses from reconstruction."""

import posixpath
import re

import numpy as np

from pipeline.datasets.files import FileTree, FrameFolder, FrameFolderSource, clip_frames, list_frames, read_matrices, read_table
from pipeline.datasets.pictures import read_depths, read_pictures, read_png16
from pipeline.datasets.poses import camera_path
from pipeline.datasets.recordings import Thinning
from pipeline.datasets.source import SequenceInfo
from pipeline.records.truth import TruthClip
from pipeline.storage import join

_IMAGE = re.compile(r"/([^/]+)/color/(\d+)\.jpg$")
_LAYOUT = "scene0000_00/color/0.jpg"
_MILLIMETRES = 1000.0
_FPS = 30.0
_FIRST_TEST_SCENE = 707  # scene0707 to scene0806 are the benchmark's hidden test set


class ScanNetSource(FrameFolderSource):
    """Depth is measured, PNG of 16 bits in millimetres; poses are camera to world, and lost where they hold -inf.

    Colour is shrunk to the depth's size, whose intrinsics hold for both. Sequences are named after the scan (scene0000_00);
    scans of one room share a scene. Source: datasets' table, "ScanNet v2".
    """

    name = "scannet"
    terms = "ScanNet terms of use (non-commercial research)"
    images = _IMAGE
    layout = _LAYOUT

    def __init__(self, root: str, *, license: str | None = None, every: int = 1, first: int = 0) -> None:
        """As every folder of frames; `every` and `first` as Thinning has them."""
        super().__init__(root, license=license)
        self._thinning = Thinning(every=every, first=first)

    def sequences(self) -> list[SequenceInfo]:
        """As every folder of frames, with the frames that are taken."""
        return [self._thinning.of(sequence) for sequence in super().sequences()]

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        listed = self._thinning.taken(list_frames(join(folder, "color"), _IMAGE))
        chosen = clip_frames(listed, sequence, first_frame=first_frame, num_frames=num_frames)
        depth = read_depths([join(folder, "depth", f"{frame.number}.png") for frame in chosen], read_png16)
        pictures = read_pictures([frame.uri for frame in chosen], size=depth.shape[1:])
        intrinsics = read_table(join(folder, "intrinsic/intrinsic_depth.txt"), columns=4)[:3, :3]
        path = camera_path(read_matrices([join(folder, "pose", f"{frame.number}.txt") for frame in chosen]), where=join(folder, "pose"))
        numbers = np.array([frame.number for frame in chosen])
        return TruthClip(
            frames=pictures.frames,
            frame_times=(numbers - numbers[0]) / _FPS,
            intrinsics=np.tile(intrinsics.astype(np.float32), (num_frames, 1, 1)),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth.astype(np.float32) / np.float32(_MILLIMETRES),
            is_metric=True,
            depth_source="sensor",
            license=self.license,
            meta={
                "camera": "color",
                "orig_size": list(pictures.original_size),
                "fps": _FPS,
                "stride": self._thinning.every,
                "first_number": int(numbers[0]),
            },
        )

    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        name = folder.parts[0]
        numbered = re.match(r"scene(\d{4})_\d\d$", name)
        return SequenceInfo(
            name=name,
            num_frames=folder.num_frames,
            split="test" if numbered and int(numbered[1]) >= _FIRST_TEST_SCENE else None,
            scene=name.rpartition("_")[0] if numbered else None,
            extra={"folder": tree.relative(posixpath.dirname(folder.uri))},
        )

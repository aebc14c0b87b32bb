"""PointOdyssey (v1.1 and later): long rendered videos of deforming humans and animals, with true tracks, depth and cameras."""

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

import numpy as np

from pipeline.datasets.files import FileTree, check_sequences, clip_frames, list_frames
from pipeline.datasets.npz import NpzFile, open_npz
from pipeline.datasets.pictures import read_depths, read_pictures, read_png16
from pipeline.datasets.poses import inverse_poses
from pipeline.datasets.source import SequenceInfo
from pipeline.datasets.tracks import SourceTracks, add_tracks
from pipeline.errors import ConfigError, DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, join

_FRAME = re.compile(r"/rgbs/rgb_(\d+)\.(?:jpg|png)$")
_ANNOTATIONS = ("anno.npz", "annotations.npz")  # published, and of a run of the generator on one's own machine
_SPLITS = {"train": "train", "val": "val", "test": "test"}
_FAR_M = 1000.0


@dataclass(frozen=True, slots=True)
class PointOdysseySource:
    """Sequences `SPLIT/SEQ/` with rgbs/rgb_00000.jpg, depths/depth_00000.png and anno.npz."""

    path: str
    _: KW_ONLY
    license: str | None = "CC BY-NC-SA 4.0 (PointOdyssey)"
    fps: float = 30.0
    name: str = field(default="point-odyssey", init=False)
    keep_images: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ConfigError(f"point-odyssey: fps is {self.fps}, expected a positive rate")

    def sequences(self) -> Sequence[SequenceInfo]:
        """All folders that hold rgbs/ and an annotation. Raises ConfigError if there are none."""
        tree = FileTree(self.path)
        files = set(tree.files)
        found = []
        for folder in tree.frame_folders(_FRAME):
            parent, name = folder.uri.removesuffix("/rgbs"), folder.relative.removesuffix("/rgbs")
            annotation = next((file for file in _ANNOTATIONS if f"{parent}/{file}" in files), None)
            if annotation is not None:
                extra = {"annotation": annotation, "fps": self.fps}
                split = _SPLITS.get(name.partition("/")[0])
                found.append(SequenceInfo(name=name, num_frames=folder.num_frames, split=split, extra=extra))
        return check_sequences(self.name, self.path, sequences=found, layout="train/SEQ/rgbs/rgb_00000.jpg and train/SEQ/anno.npz")

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, depth, cameras and tracks in image and world."""
        folder = join(absolute(self.path), sequence.name)
        files = clip_frames(list_frames(join(folder, "rgbs"), _FRAME), sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([file.uri for file in files])
        truth = TruthClip(
            frames=pictures.frames,
            frame_times=np.arange(num_frames) / self.fps,
            is_metric=True,
            license=self.license,
            meta={"orig_size": list(pictures.original_size), "fps": self.fps},
        )
        truth = _with_depth(truth, [join(folder, "depths", f"depth_{file.number:05d}.png") for file in files])
        with open_npz(join(folder, str(sequence.extra["annotation"]))) as annotation:
            return _with_annotation(truth, annotation, sequence, first_frame)


def depth_in_metres(stored: np.ndarray) -> np.ndarray:
    """Depth of PointOdyssey's uint16 PNGs: 65535 steps over 1000 m along z; 0, and all from 1000 m on, is no depth. float32."""
    depth = stored.astype(np.float32) / np.float32(65535) * np.float32(_FAR_M)
    return np.where(depth < _FAR_M, depth, 0).astype(np.float32)


def _with_depth(truth: TruthClip, uris: Sequence[str]) -> TruthClip:
    stored = read_depths(uris, read_png16, size=truth.frames.shape[1:3])
    return replace(truth, depth=depth_in_metres(stored), sky_mask=stored == 65535, depth_source="gt")


def _with_annotation(truth: TruthClip, annotation: NpzFile, sequence: SequenceInfo, first: int) -> TruthClip:
    count = len(truth.frames)
    shape = annotation.shape("trajs_3d")
    if len(shape) != 3 or 0 in shape:
        raise DataError(f"{annotation.where}: trajs_3d is {list(shape)}: this sequence was published without tracks; leave it out")
    if shape[0] != sequence.num_frames:
        raise DataError(f"{annotation.where}: trajs_3d covers {shape[0]} frames, there are {sequence.num_frames} images; unpack it again")
    poses = inverse_poses(annotation.rows("extrinsics", first, count).astype(np.float64))  # stored world-to-camera
    pose_valid = np.isfinite(poses).all(axis=(1, 2))
    truth = replace(
        truth,
        intrinsics=annotation.rows("intrinsics", first, count).astype(np.float32),
        camera_to_world=np.where(pose_valid[:, None, None], poses, np.eye(4)).astype(np.float32),
        pose_valid=pose_valid,
    )
    visible = annotation.rows("visibs", first, count).astype(bool)
    valid = annotation.rows("valids", first, count).astype(bool) if "valids" in annotation.names else np.ones_like(visible)
    tracks = SourceTracks(
        tracks2d=annotation.rows("trajs_2d", first, count).astype(np.float64),
        visible=visible,
        valid=valid,
        world=annotation.rows("trajs_3d", first, count).astype(np.float64),
    )
    return add_tracks(truth, tracks)

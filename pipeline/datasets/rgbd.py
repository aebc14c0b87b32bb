"""TUM RGB-D (freiburg3) and Bonn RGB-D Dynamic: hand-held depth cameras, poses from motion capture. Evaluation sets."""

import bisect
import posixpath
import re
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.datasets.files import FileTree, check_sequences, clip_frames, count_frames, read_file, read_table
from pipeline.datasets.pictures import read_depths, read_pictures, read_png16
from pipeline.datasets.poses import camera_path, pinhole, quaternion_poses
from pipeline.datasets.recordings import Thinning
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, exists, join, list_files

_STAMP = re.compile(r"/(\d+(?:\.\d+)?)\.png$")
_DEPTH_UNITS = 5000.0  # per metre
_TOLERANCE_S = 0.02
_FPS = 30.0  # of the sensor; the clip's own times are those of the recording


@dataclass(frozen=True, kw_only=True, slots=True)
class StampedFile:
    """An image and when it was taken."""

    time_s: float
    uri: str


def stamped_files(sequence: str, stream: str) -> list[StampedFile]:
    """Images of one stream (`rgb`, `depth`) in order of time: from SEQUENCE/STREAM.txt, or, without it, from the files' names.

    Raises: DataError if a line is not `timestamp path`.
    """
    index = join(sequence, f"{stream}.txt")
    if not exists(index):
        matches = [match for uri in list_files(join(sequence, stream)) if (match := _STAMP.search(absolute(uri)))]
        found = [StampedFile(time_s=float(match[1]), uri=match.string) for match in matches]
    else:
        lines = [line.split() for line in read_file(index).decode(errors="replace").splitlines() if line.strip() and line[0] != "#"]
        try:
            found = [StampedFile(time_s=float(stamp), uri=join(sequence, path)) for stamp, path in lines]
        except ValueError as error:
            raise DataError(f"{index}: a line is not `timestamp path` ({error}); download it again") from error
    return sorted(found, key=lambda file: file.time_s)


def associate(times_s: np.ndarray, others_s: np.ndarray, *, tolerance_s: float) -> np.ndarray:
    """For each time the index of the other that belongs to it, or -1, int64 "N". Nobody belongs to two; the closest pair is made first.

    Args:
        times_s: "N", increasing.
        others_s: "M", increasing.
        tolerance_s: pairs differ by less.
    Source: associate.py of the TUM RGB-D benchmark.
    """
    others = others_s.tolist()
    candidates = []
    for index, time_s in enumerate(times_s.tolist()):
        first, end = bisect.bisect_left(others, time_s - tolerance_s), bisect.bisect_right(others, time_s + tolerance_s)
        candidates += [(abs(time_s - others[other]), index, other) for other in range(first, end)]
    partner, taken = np.full(len(times_s), -1), set()
    for difference, index, other in sorted(candidates):
        if difference < tolerance_s and partner[index] < 0 and other not in taken:
            partner[index] = other
            taken.add(other)
    return partner


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    colour: StampedFile
    depth: StampedFile


class RgbdSource:
    """The layout that TUM RGB-D introduced: rgb/, depth/, groundtruth.txt, their clocks associated within 0.02 s.

    A frame is a colour image with a depth image; its pose is lost where motion capture has none within the tolerance.
    Depth is measured, PNG of 16 bits, 5000 per metre; poses are camera to world. Every sequence is of the split `test`.
    Source: datasets' table, "TUM-dynamics" and "Bonn".
    """

    keep_images = True
    name: str
    terms: str  # what the licence says by default
    prefix: str  # of the sequences' folders
    fx_fy_cx_cy: tuple[float, float, float, float]  # pixels

    def __init__(self, root: str, *, license: str | None = None, every: int = 1, first: int = 0) -> None:
        """`root` holds the sequences, at any depth; `license` replaces the note on the provider's terms; `every`, `first`: Thinning."""
        self._root, self._thinning = absolute(root), Thinning(every=every, first=first)
        self.license: str | None = license or self.terms

    def sequences(self) -> list[SequenceInfo]:
        """All sequences of this camera; others are left out. Raises: ConfigError if there are none."""
        tree = FileTree(self._root)
        image = re.compile(rf"/({re.escape(self.prefix)}[^/]*)/rgb/(\d+)(?:\.\d+)?\.png$")
        found = []
        for folder in tree.frame_folders(image):
            relative = tree.relative(posixpath.dirname(folder.uri))
            num_frames = count_frames(partial(_num_frames, join(self._root, relative)))
            found.append(SequenceInfo(name=folder.parts[0], num_frames=num_frames, split="test", extra={"folder": relative}))
        layout = f"{self.prefix}NAME/rgb/1341846313.592026.png"
        return check_sequences(self.name, self._root, sequences=[self._thinning.of(sequence) for sequence in found], layout=layout)

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with depth and camera. Raises: DataError."""
        folder = join(self._root, sequence.extra["folder"])
        chosen = clip_frames(self._thinning.taken(_frames(folder)), sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([frame.colour.uri for frame in chosen], keep_files=True)
        depth = read_depths([frame.depth.uri for frame in chosen], read_png16, size=pictures.original_size)
        times_s = np.array([frame.colour.time_s for frame in chosen])
        trajectory = join(folder, "groundtruth.txt")
        path = camera_path(_poses(trajectory, times_s), where=trajectory)
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix="png",
            frame_times=times_s - times_s[0],
            intrinsics=pinhole(np.tile(self.fx_fy_cx_cy, (num_frames, 1))),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth.astype(np.float32) / np.float32(_DEPTH_UNITS),
            is_metric=True,
            depth_source="sensor",
            license=self.license,
            meta={
                "camera": "rgb",
                "orig_size": list(pictures.original_size),
                "fps": _FPS,
                "stride": self._thinning.every,
                "first_time_s": float(times_s[0]),
            },
        )


class TumSource(RgbdSource):
    """The freiburg3 sequences, whose images come undistorted; those of the other two cameras, with distorted lenses, are left out."""

    name = "tum"
    terms = "terms of the TUM RGB-D benchmark"
    prefix = "rgbd_dataset_freiburg3_"
    fx_fy_cx_cy = (535.4, 539.2, 320.1, 247.6)


class BonnSource(RgbdSource):
    """Bonn RGB-D Dynamic: people and things that move before a hand-held camera."""

    name = "bonn"
    terms = "terms of the Bonn RGB-D Dynamic dataset"
    prefix = "rgbd_bonn_"
    fx_fy_cx_cy = (542.8228, 542.5764, 315.5936, 237.7561)


def _frames(folder: str) -> list[_Frame]:
    colours, depths = stamped_files(folder, "rgb"), stamped_files(folder, "depth")
    times, others = (np.array([file.time_s for file in files]) for files in (colours, depths))
    partner = associate(times, others, tolerance_s=_TOLERANCE_S)
    return [_Frame(colour=colour, depth=depths[other]) for colour, other in zip(colours, partner, strict=True) if other >= 0]


def _num_frames(folder: str) -> int:
    return len(_frames(folder))


def _poses(uri: str, times_s: np.ndarray) -> np.ndarray:
    """Poses "T 4 4" at these times, NaN where motion capture has none."""
    rows = read_table(uri, columns=8)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    partner = associate(times_s, rows[:, 0], tolerance_s=_TOLERANCE_S)
    return quaternion_poses(np.where(partner[:, None] < 0, np.nan, rows[partner, 1:]), where=uri)

"""Kubric as CoTracker trains on it: PNG frames and one pickled .npy per sequence; with depth and cameras in the 3D variant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

import numpy as np

from pipeline.datasets.files import FileTree, check_sequences, clip_frames, list_frames, read_file
from pipeline.datasets.pictures import Pictures, read_depths, read_pictures, read_png16, zero_where_invalid
from pipeline.datasets.poses import opengl_to_opencv
from pipeline.datasets.projection import NEAR_M, camera_from_world, distance_to_depth, project
from pipeline.datasets.safe_pickle import load_npy
from pipeline.datasets.source import SequenceInfo
from pipeline.datasets.tracks import SourceTracks, add_tracks, to_pixel_centres
from pipeline.errors import ConfigError, DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, join

_FRAME = re.compile(r"/frames/(\d+)\.(?:png|jpg)$")
_ANNOTATION = re.compile(r"([^/]+)/\1\.npy$")
_FARTHEST_PX = 1000.0  # from the image's centre: what lies farther out is no usable coordinate (CoTracker's reader rejects it)


@dataclass(frozen=True, slots=True)
class KubricSource:
    """Sequences `SEQ/SEQ.npy` with `SEQ/frames/000.png`, and `SEQ/frames/000_depth.png` in the 3D variant."""

    path: str
    _: KW_ONLY
    license: str | None = "Apache-2.0 (CoTracker3_Kubric)"
    fps: float = 12.0  # MOVi's rate; the files do not say theirs
    trust_pickle: bool = False
    name: str = field(default="kubric", init=False)
    keep_images: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ConfigError(f"kubric: fps is {self.fps}, expected a positive rate")

    def sequences(self) -> Sequence[SequenceInfo]:
        """All folders with an annotation of their own name. Raises ConfigError if there are none."""
        tree = FileTree(self.path)
        frames = {folder.uri.removesuffix("/frames"): folder.num_frames for folder in tree.frame_folders(_FRAME)}
        found = [
            SequenceInfo(name=tree.relative(folder), num_frames=frames.get(folder, 0), extra={"fps": self.fps})
            for uri in tree.files
            if _ANNOTATION.search(uri)
            for folder in [uri.rpartition("/")[0]]
        ]
        return check_sequences(self.name, self.path, sequences=found, layout="SEQ/SEQ.npy and SEQ/frames/000.png")

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames and 2D tracks; in the 3D variant also depth, cameras and points of the world."""
        folder = join(absolute(self.path), sequence.name)
        files = clip_frames(list_frames(join(folder, "frames"), _FRAME), sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures([file.uri for file in files])
        annotation = _Annotation.read(join(folder, f"{sequence.name.rpartition('/')[2]}.npy"), self.trust_pickle)
        window = _Window(num_frames=sequence.num_frames, frames=slice(first_frame, first_frame + num_frames))
        truth = TruthClip(
            frames=pictures.frames,
            frame_times=np.arange(num_frames) / self.fps,
            license=self.license,
            meta={"orig_size": list(pictures.original_size), "fps": self.fps, "rate": "assumed", "variant": annotation.variant},
        )
        if annotation.variant == "3d":
            truth = _with_camera(truth, annotation, window)
            depths = [f"{file.uri.rpartition('.')[0]}_depth.png" for file in files]
            truth = _with_depth(truth, annotation, depths, pictures)
        return _with_tracks(truth, annotation, window)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    num_frames: int  # of the whole sequence
    frames: slice


@dataclass(frozen=True, slots=True, eq=False)
class _Annotation:
    """The pickled dictionary of one sequence."""

    uri: str
    arrays: Mapping[str, Any]

    @classmethod
    def read(cls, uri: str, trust_pickle: bool) -> "_Annotation":
        found = load_npy(read_file(uri), uri, trust_pickle=trust_pickle)
        if not isinstance(found, dict):
            raise DataError(f"{uri}: a {type(found).__name__}, expected a dictionary of arrays; is it Kubric in CoTracker's layout?")
        return cls(uri, found)

    @property
    def variant(self) -> str:
        return "3d" if "matrix_world" in self.arrays else "2d"

    def find(self, *names: str) -> np.ndarray | None:
        """The first of these arrays that is there."""
        return next((np.asarray(self.arrays[name]) for name in names if name in self.arrays), None)

    def need(self, *names: str) -> np.ndarray:
        found = self.find(*names)
        if found is None:
            raise DataError(f"{self.uri}: no {' or '.join(names)}, found {', '.join(map(str, self.arrays))}; is it this dataset's file?")
        return found

    def per_frame(self, name: str, window: _Window) -> np.ndarray:
        """An array "T ..." over the clip's frames."""
        return self._cut(name, self.need(name), window)

    def per_track(self, array: np.ndarray, window: _Window) -> np.ndarray:
        """An array "N T ..." as "T N ..." over the clip's frames."""
        return self._cut("an array of tracks", array.swapaxes(0, 1) if array.ndim > 1 else array, window)

    def _cut(self, name: str, array: np.ndarray, window: _Window) -> np.ndarray:
        if len(array) != window.num_frames:
            raise DataError(f"{self.uri}: {name} covers {len(array)} frames, there are {window.num_frames} images; unpack it again")
        return array[window.frames]


def pixel_intrinsics(normalised: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Kubric's matrices "T 3 3", which are shares of the image and partly negative, in pixels from the image's CORNER.

    Ours, from the first pixel's centre, are 0.5 less in the principal point.
    """
    return np.asarray(np.abs(normalised) * np.array([[size[1]], [size[0]], [1.0]]))


def depth_distance(stored: np.ndarray, depth_range: np.ndarray) -> np.ndarray:
    """Kubric's uint16 depth as it means it: the distance from the camera in metres, 65535 steps over `depth_range` (2)."""
    nearest, farthest = np.asarray(depth_range, np.float64)
    return np.asarray(nearest + stored.astype(np.float64) * (farthest - nearest) / 65535)


def _with_camera(truth: TruthClip, annotation: _Annotation, window: _Window) -> TruthClip:
    intrinsics = pixel_intrinsics(annotation.per_frame("intrinsics", window).astype(np.float64), truth.frames.shape[1:3])
    intrinsics[:, :2, 2] -= 0.5
    poses = opengl_to_opencv(annotation.per_frame("matrix_world", window).astype(np.float64))
    valid = np.isfinite(poses).all(axis=(1, 2))
    return replace(
        truth,
        intrinsics=intrinsics.astype(np.float32),
        camera_to_world=np.where(valid[:, None, None], poses, np.eye(4)).astype(np.float32),
        pose_valid=valid,
        is_metric=True,
    )


def _with_depth(truth: TruthClip, annotation: _Annotation, uris: Sequence[str], pictures: Pictures) -> TruthClip:
    if truth.intrinsics is None or "depth_range" not in annotation.arrays:
        return truth
    stored = read_depths(uris, read_png16, size=pictures.original_size)
    distance = depth_distance(stored, annotation.need("depth_range"))
    return replace(truth, depth=zero_where_invalid(distance_to_depth(distance, truth.intrinsics)), depth_source="gt")


def _with_tracks(truth: TruthClip, annotation: _Annotation, window: _Window) -> TruthClip:
    """`visibility`, despite its name, is True where a point is OCCLUDED, as `occluded` is."""
    hidden = annotation.per_track(annotation.need("visibility", "occluded"), window).astype(bool)
    points = annotation.find("traj_3d")
    world = None if points is None else annotation.per_track(points, window).astype(np.float64)
    projected = _projected(truth, world, hidden)
    given = annotation.find("coords", "target_points")
    origin: str
    if given is not None:
        centred = to_pixel_centres(annotation.per_track(given, window).astype(np.float64), projected)
        tracks2d, origin = centred.tracks2d, centred.origin
    elif projected is not None:
        tracks2d, origin = projected, "projected"
    else:
        raise DataError(f"{annotation.uri}: neither coords nor traj_3d with cameras; is it this dataset's file?")
    centre = (np.array(truth.frames.shape[2:0:-1]) - 1) / 2
    near = np.linalg.norm(tracks2d - centre, axis=-1) <= _FARTHEST_PX
    truth = replace(truth, meta={**truth.meta, "pixel_origin": origin})
    return add_tracks(truth, SourceTracks(tracks2d=tracks2d, visible=~hidden, valid=near, world=world))


def _projected(truth: TruthClip, world: np.ndarray | None, hidden: np.ndarray) -> np.ndarray | None:
    """Projections of the points that are not hidden; NaN elsewhere."""
    if world is None or truth.camera_to_world is None or truth.intrinsics is None:
        return None
    camera = camera_from_world(world, truth.camera_to_world)
    known = ~hidden & (camera[..., 2] > NEAR_M)
    return np.where(known[..., None], project(camera, truth.intrinsics), np.nan)

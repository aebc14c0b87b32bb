"""A reconstruction as files that other programs read: archives of arrays, a cloud of points, a trajectory. Written frame by frame."""

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline import storage
from pipeline.errors import DataError
from trainer.inference.reconstruction import Reconstruction

_VERTEX = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])
_COMPRESSION = 1  # zlib's level: mantissas of floats hardly shrink at any


def write_arrays(uri: str, whole: Reconstruction) -> None:
    """Publish the archive of TrajVG's public script, compressed .npz, which its viewer opens.

    - world_points: float32 "T H*W 3", pixels row by row
    - extrinsics: float32 "T 4 4", camera to world, OpenCV axes
    - colors: uint8 "T H*W 3", RGB
    - trajectories: float32 "T N 3", in the world; NaN where a point is not visible
    - visibility: bool "T N", score at least the reconstruction's threshold

    N is 0 for a model that tracks nothing. Of several windows each has tracks of its own, which are not visible in the frames of others.
    """
    num_frames, pixels, num_tracks = whole.num_frames, whole.size[0] * whole.size[1], whole.num_tracks
    with _archive(uri) as archive:
        points = (whole.points(t).reshape(1, pixels, 3) for t in range(num_frames))
        _add(archive, "world_points", "float32", (num_frames, pixels, 3), points)
        _add(archive, "extrinsics", "float32", (num_frames, 4, 4), [whole.camera_to_world])
        _add(archive, "colors", "uint8", (num_frames, pixels, 3), (whole.frames(t).reshape(1, pixels, 3) for t in range(num_frames)))
        _add(archive, "trajectories", "float32", (num_frames, num_tracks, 3), _world_rows(whole, visible_only=True))
        _add(archive, "visibility", "bool", (num_frames, num_tracks), _visibility_rows(whole))


def write_tracks(uri: str, whole: Reconstruction) -> None:
    """Publish what the public archive leaves out of the tracks, compressed .npz.

    - queries: float32 "N 3", (t, x, y): the frame in which a point was asked for, the first of its window, and its pixel there
    - world: float32 "T N 3", hidden points too; NaN in frames of other windows
    - visibility_score: float32 "T N" in [0, 1]; NaN in frames of other windows
    """
    num_frames, num_tracks = whole.num_frames, whole.num_tracks
    with _archive(uri) as archive:
        _add(archive, "queries", "float32", (num_tracks, 3), [whole.queries])
        _add(archive, "world", "float32", (num_frames, num_tracks, 3), _world_rows(whole, visible_only=False))
        _add(archive, "visibility_score", "float32", (num_frames, num_tracks), _score_rows(whole))


def write_cloud(uri: str, whole: Reconstruction) -> None:
    """Publish the cloud's points of all frames as binary .ply with colours."""
    properties = [f"property float {name}" for name in "xyz"] + [f"property uchar {name}" for name in ("red", "green", "blue")]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {whole.num_points}", *properties, "end_header", ""]
    with storage.publishing(uri) as path, path.open("wb") as handle:
        handle.write("\n".join(header).encode())
        for t in range(whole.num_frames):
            shown = whole.depth(t) > 0
            vertices = np.empty(int(shown.sum()), _VERTEX)
            vertices["position"], vertices["colour"] = whole.points(t)[shown], whole.frames(t)[shown]
            handle.write(vertices.tobytes())


def write_trajectory(uri: str, camera_to_world: np.ndarray, times_s: np.ndarray, found: np.ndarray | None = None) -> None:
    """Publish poses "T 4 4" in TUM's format: time, centre, quaternion (x, y, z, w), a line a frame.

    Args:
        found: bool "T": a comment before its line says of a frame that its camera was not found. None: all were.
    Raises: DataError if there are not as many times as poses.
    """
    if len(times_s) != len(camera_to_world):
        raise DataError(f"{len(camera_to_world)} poses, {len(times_s)} times; expected one time a pose")
    quaternions = Rotation.from_matrix(camera_to_world[:, :3, :3]).as_quat()
    rows = np.column_stack([camera_to_world[:, :3, 3], quaternions])
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    for frame, (time, row) in enumerate(zip(times_s, rows, strict=True)):
        if found is not None and not found[frame]:
            lines.append(f"# frame {frame}: camera not found; the next pose stands in for it")
        lines.append(" ".join([f"{time:.6f}", *(f"{value:.9g}" for value in row)]))
    storage.publish_bytes(uri, ("\n".join(lines) + "\n").encode())


def _world_rows(whole: Reconstruction, *, visible_only: bool) -> Iterator[np.ndarray]:
    """float32 "1 N 3" of every frame, NaN where a track does not live or, if asked, is not visible."""
    for t in range(whole.num_frames):
        tracks = whole.tracks(t)
        row = np.full((1, whole.num_tracks, 3), np.nan, np.float32)
        kept = tracks.visibility_score >= whole.visible if visible_only else slice(None)
        row[0, tracks.columns[kept]] = tracks.world[kept]
        yield row


def _visibility_rows(whole: Reconstruction) -> Iterator[np.ndarray]:
    for t in range(whole.num_frames):
        tracks = whole.tracks(t)
        row = np.zeros((1, whole.num_tracks), bool)
        row[0, tracks.columns] = tracks.visibility_score >= whole.visible
        yield row


def _score_rows(whole: Reconstruction) -> Iterator[np.ndarray]:
    for t in range(whole.num_frames):
        tracks = whole.tracks(t)
        row = np.full((1, whole.num_tracks), np.nan, np.float32)
        row[0, tracks.columns] = tracks.visibility_score
        yield row


@contextmanager
def _archive(uri: str) -> Iterator[zipfile.ZipFile]:
    """An .npz that appears when the block ends; without clock time, so that equal arrays are equal bytes."""
    with storage.publishing(uri) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        yield archive


def _add(archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Add an array to an .npz, of parts that follow each other along its first axis."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, header)
        for part in parts:
            handle.write(np.ascontiguousarray(part, dtype).tobytes())

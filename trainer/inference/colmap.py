"""A reconstruction as a model of COLMAP's: `sparse/0` with cameras, images and points in its binary layout, and the images themselves.

COLMAP puts the corner of the first pixel at (0, 0), we its centre: principal points and observations move by half a pixel at this border.
"""

import io
import struct
from typing import IO

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from pipeline import storage
from pipeline.errors import DataError
from trainer.inference.reconstruction import Reconstruction, Spool

POINTS_PER_IMAGE = 2000
_PINHOLE = 1  # COLMAP's number of the camera model with fx, fy, cx, cy
_HALF = 0.5
_OBSERVATION = np.dtype([("pixel", "<f8", 2), ("point", "<i8")])
_POINT = np.dtype(
    [
        *(("id", "<u8"), ("position", "<f8", 3), ("colour", "u1", 3), ("error", "<f8")),
        *(("track_length", "<u8"), ("image", "<i4"), ("observation", "<i4")),
    ]
)


def write_colmap(folder: str, whole: Reconstruction) -> int:
    """Publish `images/000000.png`, ... and `sparse/0/{cameras,images,points3D}.bin` below a folder or URL.

    Every image has a PINHOLE camera of its own, as fitted to its points, and up to POINTS_PER_IMAGE points of the cloud, spread evenly
    over its pixels; a point is observed in the image that it comes from, and its error, in pixels, says how far from there the camera
    projects it. Frames whose camera was not found are left out, as COLMAP does with those that it cannot register. Lengths are in the
    model's unit.

    Returns: the number of points.
    Raises: DataError if in some frame no pinhole camera sees the points.
    """
    intrinsics = check_cameras(whole)
    sparse, poses = storage.join(folder, "sparse", "0"), whole.camera_to_world.astype(np.float64)
    storage.publish_bytes(storage.join(sparse, "cameras.bin"), _cameras(intrinsics, whole.size))
    num_points = 0
    placed = range(whole.num_frames) if whole.camera_found is None else np.flatnonzero(whole.camera_found).tolist()
    points = Spool(whole.folder, "uint8", (_POINT.itemsize,))
    try:
        with storage.publishing(storage.join(sparse, "images.bin")) as path, path.open("wb") as handle:
            handle.write(struct.pack("<Q", len(placed)))
            for t in placed:
                name = f"{t:06d}.png"
                storage.publish_bytes(storage.join(folder, "images", name), _png(whole.frames(t)[0], name))
                rows = _points_of(whole, t, first_id=num_points + 1)
                rows[0]["error"] = _reprojection_error(rows, poses[t], intrinsics[t])
                _write_image(handle, t, name, poses[t], rows)
                points.append(rows[0].view(np.uint8).reshape(-1, _POINT.itemsize))
                num_points += len(rows[0])
        _publish_points(storage.join(sparse, "points3D.bin"), points)
    finally:
        points.close()
    return num_points


def check_cameras(whole: Reconstruction) -> np.ndarray:
    """Cameras of all frames, "T 3 3". Raises: DataError if in some frame no pinhole camera sees the points."""
    intrinsics = whole.intrinsics
    if intrinsics is None:
        raise DataError(
            f"in some frame up to {whole.num_frames - 1} no pinhole camera sees the predicted points, so that COLMAP's layout has no camera"
            " for it; the model is untrained or has failed: leave --colmap out"
        )
    return intrinsics


def _cameras(intrinsics: np.ndarray, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    buffer.write(struct.pack("<Q", len(intrinsics)))
    for number, matrix in enumerate(intrinsics.astype(np.float64), start=1):
        centre = matrix[0, 2] + _HALF, matrix[1, 2] + _HALF
        buffer.write(struct.pack("<iiQQ4d", number, _PINHOLE, size[1], size[0], matrix[0, 0], matrix[1, 1], *centre))
    return buffer.getvalue()


def _points_of(whole: Reconstruction, t: int, *, first_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of one image as rows of points3D.bin, and their pixels in COLMAP's convention, float64 "n 2"."""
    places = np.flatnonzero(whole.depth(t).reshape(-1) > 0)
    places = places[:: max(1, -(-len(places) // POINTS_PER_IMAGE))]
    rows = np.zeros(len(places), _POINT)
    rows["id"] = first_id + np.arange(len(places))
    rows["position"] = whole.points(t).reshape(-1, 3)[places]
    rows["colour"] = whole.frames(t).reshape(-1, 3)[places]
    rows["track_length"], rows["image"], rows["observation"] = 1, t + 1, np.arange(len(places))
    return rows, np.stack([places % whole.size[1], places // whole.size[1]], axis=1) + _HALF


def _reprojection_error(points: tuple[np.ndarray, np.ndarray], camera_to_world: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels "n" between where points are observed and where their image's camera projects them; infinite behind it."""
    rows, pixels = points
    camera = (rows["position"] - camera_to_world[:3, 3]) @ camera_to_world[:3, :3]
    front = camera[:, 2] > 0
    projected = camera @ intrinsics.astype(np.float64).T / np.where(front, camera[:, 2], 1)[:, None]
    return np.where(front, np.linalg.norm(projected[:, :2] + _HALF - pixels, axis=1), np.inf)


def _write_image(handle: IO[bytes], t: int, name: str, camera_to_world: np.ndarray, points: tuple[np.ndarray, np.ndarray]) -> None:
    """One image: world to camera as quaternion (w, x, y, z) and translation, camera, name, observations."""
    rows, pixels = points
    rotation = camera_to_world[:3, :3].T
    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    translation = -rotation @ camera_to_world[:3, 3]
    handle.write(struct.pack("<i7di", t + 1, w, x, y, z, *translation, t + 1))
    observations = np.zeros(len(rows), _OBSERVATION)
    observations["pixel"], observations["point"] = pixels, rows["id"]
    handle.write(name.encode() + b"\0" + struct.pack("<Q", len(rows)) + observations.tobytes())


def _publish_points(uri: str, rows: Spool) -> None:
    with storage.publishing(uri) as path, path.open("wb") as handle:
        handle.write(struct.pack("<Q", len(rows)))
        for first in range(0, len(rows), POINTS_PER_IMAGE):
            handle.write(rows.read(first, min(POINTS_PER_IMAGE, len(rows) - first)).tobytes())


def _png(frame: np.ndarray, name: str) -> bytes:
    encoded, data = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise DataError(f"{name}: a frame of shape {list(frame.shape)} cannot be written as PNG; leave --colmap out")
    return bytes(data.tobytes())

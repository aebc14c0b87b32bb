"""COLMAP's text files: cameras with their lenses, and where each image was taken from."""

from dataclasses import dataclass

import numpy as np

from pipeline.datasets.files import read_file
from pipeline.datasets.poses import inverse_poses, quaternion_poses
from pipeline.errors import DataError

_LENS = "THIN_PRISM_FISHEYE"
_REMEDY = "is it the calibration of the distorted images?"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FisheyeCamera:
    """A camera of the model THIN_PRISM_FISHEYE. Pixels count from the image's corner."""

    size: tuple[int, int]  # (H, W)
    focal: np.ndarray  # "2", pixels
    centre: np.ndarray  # "2", pixels
    lens: np.ndarray  # "8": k1 k2 p1 p2 k3 k4 sx1 sy1

    def distort(self, points: np.ndarray) -> np.ndarray:
        """Pixels "... 2" on which the lens puts points "... 2" of the plane z = 1.

        Source: COLMAP, camera models: the angle theta = atan(r) replaces the radius r, then theta (1 + k1 theta² + k2 theta⁴ +
        k3 theta⁶ + k4 theta⁸) along the radius, tangential terms p1, p2 and thin-prism terms sx1, sy1 of the undistorted theta.
        """
        k1, k2, p1, p2, k3, k4, sx1, sy1 = self.lens
        radius = np.linalg.norm(points, axis=-1, keepdims=True)
        angles = points * np.where(radius > 1e-9, np.arctan(radius) / np.maximum(radius, 1e-9), 1)
        u, v = angles[..., 0], angles[..., 1]
        square = u**2 + v**2
        radial = square * (k1 + square * (k2 + square * (k3 + square * k4)))
        across = u * (1 + radial) + 2 * p1 * u * v + p2 * (square + 2 * u**2) + sx1 * square
        down = v * (1 + radial) + 2 * p2 * u * v + p1 * (square + 2 * v**2) + sy1 * square
        return np.stack([across, down], axis=-1) * self.focal + self.centre


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlacedImage:
    """One image of a model."""

    camera: int
    camera_to_world: np.ndarray  # float64 "4 4"


def read_cameras(uri: str) -> dict[int, FisheyeCamera]:
    """`cameras.txt`: CAMERA_ID MODEL WIDTH HEIGHT and the model's numbers. Raises: DataError, for other models too."""
    cameras = {}
    for words in _rows(uri):
        try:
            if words[1] != _LENS:
                raise ValueError(f"model {words[1]}")
            numbers = np.array(words[4:], np.float64)
            focal, centre, lens = np.split(numbers, (2, 4))
            if len(lens) != 8:
                raise ValueError(f"{len(numbers)} numbers")
            size = (int(words[3]), int(words[2]))
            cameras[int(words[0])] = FisheyeCamera(size=size, focal=focal, centre=centre, lens=lens)
        except (IndexError, ValueError) as error:
            raise DataError(f"{uri}: a line is no {_LENS} camera with 12 numbers ({error}); {_REMEDY}") from error
    return cameras


def read_images(uri: str) -> dict[str, PlacedImage]:
    """`images.txt` by names: IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, world to camera; the lines of points are left out.

    Raises: DataError.
    """
    placed = {}
    for words in _rows(uri):
        if len(words) != 10:  # a line of points has three words per point
            continue
        try:
            qw, qx, qy, qz, x, y, z = (float(word) for word in words[1:8])
            camera = int(words[8])
        except ValueError as error:
            raise DataError(f"{uri}: a line is no image ({error}); download it again") from error
        pose = inverse_poses(quaternion_poses(np.array([[x, y, z, qx, qy, qz, qw]]), where=uri))[0]
        placed[words[9]] = PlacedImage(camera=camera, camera_to_world=pose)
    return placed


def _rows(uri: str) -> list[list[str]]:
    lines = read_file(uri).decode(errors="replace").splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]

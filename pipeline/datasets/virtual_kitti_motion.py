"""Which pixels of Virtual KITTI 2 belong to vehicles that move: its instance segmentation joined with its table of boxes."""

import io

import av
import numpy as np
from av.error import FFmpegError

from pipeline.datasets.files import read_file
from pipeline.errors import DataError
from pipeline.storage import join

_HEADER = "frame cameraID trackID left right top bottom number_pixels truncation_ratio occupancy_ratio isMoving"
_FLAGS = {"0": False, "1": True, "false": False, "true": True}


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

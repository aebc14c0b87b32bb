"""Depth as datasets store it: 16-bit PNG and NumPy files."""

import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pipeline.datasets.files import read_file
from pipeline.errors import DataError


def read_depths(uris: Sequence[str], read: Callable[[str], np.ndarray], *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Depth maps of several files, dtype of the first, "T H W".

    Args:
        read: one file to its values "H W", in the file's own unit.
        size: (H, W) that they must have; by default that of the first.
    Raises: DataError if one has another size.
    """
    maps = []
    for uri in uris:
        depth = read(uri)
        size = size or (depth.shape[0], depth.shape[1])
        if depth.shape != size:
            found, expected = (f"{shape[1]}x{shape[0]}" for shape in (depth.shape, size))
            raise DataError(f"{uri}: depth of {found} pixels, expected {expected}; do frames and depth belong to one download?")
        maps.append(depth)
    return np.stack(maps)


def read_png16(uri: str) -> np.ndarray:
    """A PNG of one channel with 16 bits, uint16 "H W". Raises: DataError if it is anything else."""
    data = read_file(uri)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 2:
        found = "what does not decode" if decoded is None else f"{decoded.dtype}{list(decoded.shape)}"
        raise DataError(f"{uri}: {found}, expected a PNG of one channel with 16 bits; was it saved anew by another program?")
    return decoded


def read_npy_depth(uri: str) -> np.ndarray:
    """A NumPy file of floats, float32 "H W". Raises: DataError."""
    data = read_file(uri)
    try:
        depth = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{uri}: {len(data)} bytes that are no NumPy array ({error}); download it again") from error
    if depth.dtype.kind != "f" or depth.ndim != 2:
        raise DataError(f"{uri}: {depth.dtype}{list(depth.shape)}, expected floats of two dimensions")
    return depth.astype(np.float32)


def zero_where_invalid(depth: np.ndarray) -> np.ndarray:
    """The depth with 0, the one mark of invalid, for what is negative, NaN or infinite; float32."""
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)

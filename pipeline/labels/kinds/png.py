"""PNG files of dense labels: written with one filter and level, and read only where they are sound and of the size expected."""

import struct
import zlib
from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np

from pipeline.errors import DataError

SCORE_SCALE = 255
# Filter and level: smallest but for a tenth, in half the time. Rows are predicted by the one above, which is also the fastest to undo.
_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: (0, "grey"), 3: (2, "RGB")}  # by channels: PNG's number, and its name


def encode_png(values: np.ndarray) -> bytes:
    """A PNG of uint8 or uint16, "H W" grey or "H W 3" RGB."""
    return bytes(cv2.imencode(".png", values if values.ndim == 2 else values[..., ::-1], _OPTIONS)[1])


def decode_png(name: str, data: bytes, size: tuple[int, int], dtype: Literal["uint8", "uint16"], *, channels: int = 1) -> np.ndarray:
    """The image in a PNG, checked before anything of its declared size is allocated: "H W", or "H W 3" RGB.

    Args:
        name: for the error.
        size: (H, W) that it must have.
    Raises: DataError if it is damaged, or of another size, depth or number of channels.
    """
    bits, (colour_type, colours) = 8 * np.dtype(dtype).itemsize, _COLOUR_TYPES[channels]
    header = struct.pack(">IIBB", size[1], size[0], bits, colour_type)
    if not data.startswith(_SIGNATURE) or data[16 : 16 + len(header)] != header or not _is_sound(data):
        raise DataError(f"{name} is damaged, or no {colours} PNG of {size[1]}x{size[0]} with {bits} bits")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.shape != (size if channels == 1 else (*size, channels)) or image.dtype != dtype:
        raise DataError(f"{name} does not decode")
    return np.asarray(image if channels == 1 else image[..., ::-1])


def encode_scores(scores: np.ndarray) -> bytes:
    """A grey PNG of 8 bits of scores in [0, 1], "H W"."""
    return encode_png(np.rint(scores * np.float32(SCORE_SCALE)).astype(np.uint8))


def decode_scores(files: Mapping[str, bytes], size: tuple[int, int], *, num_frames: int) -> np.ndarray | None:
    """Scores float32 "T H W" of files of `encode_scores`, by name; None if there is none. Raises DataError unless there are T or none."""
    if len(files) not in (0, num_frames):
        raise DataError(f"{len(files)} images of scores for {num_frames} frames")
    if not files:
        return None
    images = np.stack([decode_png(name, data, size, "uint8") for name, data in files.items()])
    return images.astype(np.float32) / np.float32(SCORE_SCALE)


def _is_sound(data: bytes) -> bool:
    """Whether all chunks are there with their checksums, which OpenCV does not insist on."""
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data) or struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(data[at + 4 : end - 4]):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return end == len(data)
        at = end
    return False

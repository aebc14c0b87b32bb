"""Frames and depth of datasets that store one file per frame: images, 16-bit PNG and NumPy files."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from pipeline.datasets.files import read_file
from pipeline.errors import DataError
from pipeline.records.npy_headers import retry_parsing
from pipeline.video.images import decode_image

_ROOM_M = 10.0
_COUNTS = {2: "two", 3: "three"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pictures:
    """T decoded images, with their files' own bytes where they shall be kept."""

    frames: np.ndarray  # uint8 "T H W 3", RGB
    images: tuple[bytes, ...] | None
    original_size: tuple[int, int]  # (H, W) of the files


def read_pictures(uris: Sequence[str], *, keep_files: bool = False, size: tuple[int, int] | None = None) -> Pictures:
    """Decode image files of one size.

    Args:
        keep_files: keep their bytes too; not together with `size`.
        size: (H, W) to resize to, averaging over the area of the new pixels (half-pixel convention, as everywhere).
    Raises: DataError if one is missing, does not decode, or differs in size.
    """
    return decode_pictures([read_file(uri) for uri in uris], names=uris, keep_files=keep_files, size=size)


def decode_pictures(
    files: Sequence[bytes], *, names: Sequence[str], keep_files: bool = False, size: tuple[int, int] | None = None
) -> Pictures:
    """As `read_pictures`, from bytes; `names` are for the errors."""
    first = decode_image(files[0], names[0])
    height, width = size or first.shape[:2]
    frames = np.empty((len(files), height, width, 3), np.uint8)
    for index, (data, name) in enumerate(zip(files, names, strict=True)):
        picture = first if index == 0 else decode_image(data, name)
        if picture.shape != first.shape:
            raise DataError(f"{name}: {_size(picture)} pixels, expected {_size(first)} as {names[0]}; download it again")
        frames[index] = picture if size is None else cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return Pictures(frames=frames, images=tuple(files) if keep_files else None, original_size=first.shape[:2])


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"


def image_suffix(uris: Sequence[str]) -> Literal["jpg", "png"]:
    """What the image files of one clip are. Raises: DataError if they are of two kinds."""
    found = {uri.rpartition(".")[2].lower() for uri in uris}
    if found not in ({"jpg"}, {"png"}):
        raise DataError(f"{uris[0]}: kinds {', '.join(sorted(found))} of image files in one clip, expected jpg or png; remove the others")
    return "jpg" if "jpg" in found else "png"


def png_files(frames: np.ndarray) -> tuple[bytes, ...]:
    """Pictures "T H W 3" as PNG files, which lose nothing: of frames that are not those of the source's own files."""
    return tuple(cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes() for frame in frames)


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


def read_room_depth(uri: str) -> np.ndarray:
    """Metres of a 16-bit PNG in millimetres, float32 "H W"; 0 beyond 10 m, as evaluations of indoor scenes have it. Raises: DataError."""
    depth = read_png16(uri).astype(np.float32) / np.float32(1000)
    return np.where(depth > _ROOM_M, 0, depth).astype(np.float32)


def read_npy_depth(uri: str) -> np.ndarray:
    """A NumPy file of floats, float32 "H W". Raises: DataError."""
    return read_npy(uri, kinds="f", dimensions=2).astype(np.float32)


def read_npy(uri: str, *, kinds: str, dimensions: int) -> np.ndarray:
    """A NumPy file of an array of so many dimensions, whose dtype is of one of the kinds (f, b, i, u). Raises: DataError."""
    data = read_file(uri)
    try:
        array = np.asarray(retry_parsing(lambda: np.load(io.BytesIO(data), allow_pickle=False)))
    except (ValueError, EOFError) as error:
        raise DataError(f"{uri}: {len(data)} bytes that are no NumPy array ({error}); download it again") from error
    if array.dtype.kind not in kinds or array.ndim != dimensions:
        wanted = "floats" if kinds == "f" else "whole numbers"
        raise DataError(f"{uri}: {array.dtype}{list(array.shape)}, expected {wanted} of {_COUNTS[dimensions]} dimensions")
    return array


def zero_where_invalid(depth: np.ndarray) -> np.ndarray:
    """The depth with 0, the one mark of invalid, for what is negative, NaN or infinite; float32."""
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)

"""Frames of a dataset that stores one image file per frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datasets.files import read_file
from pipeline.errors import DataError
from pipeline.video.images import decode_image


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

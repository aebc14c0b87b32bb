"""Decoding single image files: frames of clips that keep their source's own images, and folders of pictures to be encoded."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.errors import DataError

_JPEG, _START_OF_SCAN, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PROFILES = (b"ICC_PROFILE\0", b"iCCP", b"ICCP")  # of JPEG, PNG, WebP
_PROFILE_WITHIN = 1 << 16  # bytes from the beginning

_STORED, _UPRIGHT = cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
_UNTURNED = _UPRIGHT | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShownImage:
    """An image file as a viewer shows it."""

    pixels: np.ndarray  # uint8 "H W 3", RGB
    notes: tuple[str, ...]  # where that is not simply what is stored


def decode_image(data: bytes, name: str) -> np.ndarray:
    """An image file as uint8 "H W 3", RGB, as stored (orientation tags are not obeyed, an alpha channel is dropped).

    Args:
        name: stands in errors.
    Raises: DataError if it is no readable image.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data else None
    if picture is None:
        raise DataError(f"{name}: {len(data)} bytes that are no readable image (JPEG or PNG); fetch it again")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def shown_image(data: bytes, name: str) -> ShownImage:
    """An image file upright and in 8 bits: orientation tags are obeyed, 16-bit values v become round(v / 257), greyscale three equal
    channels, and what is transparent lies over black (round(c a / 255), of the stored sRGB values). Colour profiles are not applied.

    Args:
        name: stands in errors.
    Raises: DataError if it is no readable image, is cut short, or holds floating-point values.
    """
    stored, upright, unturned = (_decoded(data, flags) for flags in (_STORED, _UPRIGHT, _UNTURNED))
    if stored is None or upright is None or unturned is None:
        raise DataError(f"{name}: {len(data)} bytes that are no readable picture; it is damaged or cut short: fetch it again")
    if data.startswith(_JPEG) and data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
        raise DataError(f"{name}: the JPEG is cut short; fetch it again")
    if stored.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{name}: holds values of {stored.dtype}, expected 8 or 16 bits; convert it to an 8-bit PNG")
    notes = ["16-bit pictures as 8 bits"] if stored.dtype == np.uint16 else []
    notes += ["greyscale pictures"] if stored.ndim == 2 else []
    notes += ["a colour profile was not applied"] if any(mark in data[:_PROFILE_WITHIN] for mark in _PROFILES) else []
    turned = not np.array_equal(upright, unturned)
    notes += ["turned as the orientation tag says"] if turned else []
    if stored.ndim == 3 and stored.shape[2] == 4:
        if turned:
            raise DataError(f"{name}: has both transparency and an orientation tag; turn it for good, or drop the transparency")
        colour, alpha = _in_8_bits(stored[..., :3]), _in_8_bits(stored[..., 3:])
        upright = ((colour.astype(np.uint32) * alpha + 127) // 255).astype(np.uint8)
        notes += ["transparent pixels over black"] if (alpha < 255).any() else []
    return ShownImage(pixels=np.asarray(cv2.cvtColor(_in_8_bits(upright), cv2.COLOR_BGR2RGB)), notes=tuple(notes))


def _decoded(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:  # a declared size beyond OpenCV's limit
        return None


def _in_8_bits(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)

"""Decoding single image files (JPEG, PNG): frames of clips that keep their source's own images."""

import cv2
import numpy as np

from pipeline.errors import DataError


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

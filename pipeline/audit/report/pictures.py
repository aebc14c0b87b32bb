"""A clip's frames as one picture, and what lies below it: visibility and likeness of each track over time."""

import base64
import math

import cv2
import numpy as np

from pipeline.drawing.ramp import HIDDEN, UNKNOWN, levels, ramp
from pipeline.errors import DataError
from pipeline.records import ClipRecord, TrackLabels
from pipeline.video.reader import VideoData, read_clip_frames

LONG_SIDE = 320
MAX_COLUMNS = 512  # of a raster; a longer clip is thinned out
SPRITE_COLUMNS = 6
_QUALITY = 62
_QUERY = (255, 255, 255)


def shown_size(record: ClipRecord) -> tuple[int, int]:
    """(height, width) of the frames in the page: a long side of at most 320 pixels."""
    scale = min(1.0, LONG_SIDE / max(record.height, record.width))
    return max(1, round(record.height * scale)), max(1, round(record.width * scale))


def sprite(video: VideoData, record: ClipRecord, frames: tuple[int, ...]) -> bytes:
    """Frames of a clip side by side in rows of six, as WebP.

    Raises: DataError if they do not decode.
    """
    height, width = shown_size(record)
    pictures = read_clip_frames(video, record, indices=frames, size=(height, width))
    columns = min(SPRITE_COLUMNS, len(frames))
    sheet = np.zeros((math.ceil(len(frames) / columns) * height, columns * width, 3), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + height, left : left + width] = picture
    return _encoded(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])


def visibility_raster(labels: TrackLabels, weight: np.ndarray, order: np.ndarray) -> bytes:
    """Tracks x frames as PNG: the colour of the track's weight where visible, dark where not, white at its query."""
    frames = _columns(len(labels.visibility))
    colours = ramp()[levels(weight[order])]
    picture = np.where(labels.visibility[frames][:, order].T[..., None], colours[:, None], np.array(HIDDEN, np.uint8))
    place = np.searchsorted(frames, labels.queries[order, 0])
    picture[np.arange(len(order)), np.minimum(place, len(frames) - 1)] = _QUERY
    return _encoded(".png", picture.astype(np.uint8))


def likeness_raster(labels: TrackLabels, ncc: np.ndarray, order: np.ndarray) -> bytes:
    """Tracks x frames as PNG: likeness to the query's patch from 0 or less to 1 where visible; grey where unknown, dark where not seen."""
    frames = _columns(len(ncc))
    values, seen = ncc[frames][:, order].T, labels.visibility[frames][:, order].T
    picture = np.where(np.isnan(values)[..., None], np.array(UNKNOWN, np.uint8), ramp()[levels(values)])
    return _encoded(".png", np.where(seen[..., None], picture, np.array(HIDDEN, np.uint8)).astype(np.uint8))


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as an address that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _columns(num_frames: int) -> np.ndarray:
    step = math.ceil(num_frames / MAX_COLUMNS)
    return np.arange(0, num_frames, max(step, 1))


def _encoded(suffix: str, picture: np.ndarray, options: list[int] | None = None) -> bytes:
    encoded, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options or [])
    if not encoded:
        raise DataError(f"a picture of shape {list(picture.shape)} cannot be written as {suffix}")
    return bytes(data.tobytes())

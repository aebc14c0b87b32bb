"""Pictures of a clip's card: chosen frames as one picture, the tracks over them as numbers, visibility and likeness as rasters."""

import base64
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipeline.drawing.style import HIDDEN, UNKNOWN, colour_indices, levels, ramp
from pipeline.errors import DataError
from pipeline.records import ClipRecord, TrackLabels
from pipeline.video.reader import VideoData, read_clip_frames

MAX_RATE, MAX_SECONDS, NUM_STILLS = 12.0, 3.0, 4
MAX_FRAMES = int(MAX_RATE * MAX_SECONDS)
LONG_SIDE = 320
MAX_COLUMNS = 512  # of a raster; a longer clip is thinned out
SPRITE_COLUMNS = 6
_QUALITY = 62
_QUERY = (255, 255, 255)
MAX_TRACKS = 256
SUBPIXELS = 16  # positions are stored in sixteenths of a pixel of the picture
_MOST = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True)
class ClipWindow:
    """Frames of a clip, evenly spaced, and at which rate they are shown."""

    frames: tuple[int, ...]
    rate: float  # frames shown per second


def animation_window(num_frames: int, fps: float, likeness: np.ndarray | None) -> ClipWindow:
    """At most 3 s at 12 frames per second, in real time; of a longer clip those in which the points look least like their queries.

    Args:
        likeness: float "T", NaN where unknown; without it, the first seconds.
    """
    step = max(1, math.ceil(fps / MAX_RATE - 1e-9))
    length = max(1, min(num_frames, round(MAX_SECONDS * fps), step * MAX_FRAMES))
    start = 0 if likeness is None else _least(likeness, length)
    return ClipWindow(tuple(range(start, start + length, step)), fps / step)


def still_window(num_frames: int) -> ClipWindow:
    """A few frames spread over the clip, a second each."""
    places = np.linspace(0, num_frames - 1, min(NUM_STILLS, num_frames))
    return ClipWindow(tuple(int(place) for place in np.rint(places)), 1.0)


def frame_likeness(ncc: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Mean of "T N" over the visible points of each frame, float64 "T"; NaN where nothing is known."""
    known = visibility & ~np.isnan(ncc)
    count = known.sum(axis=1)
    total = np.where(known, ncc, 0.0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _least(likeness: np.ndarray, length: int) -> int:
    """First frame of the window of least mean; the earliest of equals, unknown frames left out."""
    known = ~np.isnan(likeness)
    sums, counts = (
        np.convolve(values, np.ones(length), mode="valid") for values in (np.where(known, likeness, 0.0), known.astype(np.float64))
    )
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return int(np.argmin(np.round(means, 9)))


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


def drawing_order(weight: np.ndarray) -> np.ndarray:
    """Indices of the tracks that are drawn, best first, so that the worst lie on top; of more than 256, an even choice by weight."""
    order = np.lexsort((np.arange(len(weight)), -weight))
    if len(order) <= MAX_TRACKS:
        return order
    return order[np.rint(np.linspace(0, len(order) - 1, MAX_TRACKS)).astype(int)]


def track_document(
    labels: TrackLabels, weight: np.ndarray, window: ClipWindow, *, stored: tuple[int, int], shown: tuple[int, int]
) -> dict[str, Any]:
    """Tracks over the frames of the window, as JSON types.

    Args:
        weight: float "N" in [0, 1].
        stored, shown: (height, width) of the labels' pixels and of the picture's.
    """
    order, frames = drawing_order(weight), np.array(window.frames)
    scale = np.array([shown[1] / stored[1], shown[0] / stored[0]])
    points = (labels.tracks_px[frames][:, order] + 0.5) * scale - 0.5
    queries = labels.queries[order]
    return {
        "tracks": len(order),
        "points": _packed(_fixed(points)),
        "visible": _packed(np.packbits(labels.visibility[frames][:, order].ravel(), bitorder="little")),
        "weight": _packed(levels(weight[order])),
        "place": _packed(colour_indices(queries, *stored).astype(np.uint8)),
        "query": _packed(np.column_stack([_query_places(queries[:, 0], window), _fixed((queries[:, 1:] + 0.5) * scale - 0.5)])),
    }


def _query_places(frames: np.ndarray, window: ClipWindow) -> np.ndarray:
    """Place among the shown frames at which a query's cross is drawn: the first from its frame on; -1 if it lies outside the window."""
    step = window.frames[1] - window.frames[0] if len(window.frames) > 1 else 1
    place = np.searchsorted(window.frames, frames)
    inside = (frames >= window.frames[0] - step + 1) & (place < len(window.frames))
    return np.where(inside, place, -1).astype(np.int16)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels * SUBPIXELS), -_MOST, _MOST).astype(np.int16)


def _packed(values: np.ndarray) -> str:
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode()

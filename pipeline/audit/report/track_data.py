"""The tracks of a clip as the page's script draws them: a choice of them, in few bytes."""

import base64
from typing import Any

import numpy as np

from pipeline.audit.report.clip_window import ClipWindow
from pipeline.drawing.ramp import levels
from pipeline.drawing.style import colour_indices
from pipeline.records import TrackLabels

MAX_TRACKS = 256
SUBPIXELS = 16  # positions are stored in sixteenths of a pixel of the picture
_MOST = np.iinfo(np.int16).max


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

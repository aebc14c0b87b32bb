"""A clip whose true motion is known in closed form, and labels of it that are exactly right."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.records import TrackLabels
from tests.textured_plane import plane

T, H, W = 24, 96, 128
VELOCITY = np.array([1.0, 0.5])  # px per frame of the clip: (2, 1.33) on the raster


@pytest.fixture(autouse=True)
def _one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def right_labels(queries: np.ndarray, *, velocity: np.ndarray = VELOCITY) -> TrackLabels:
    """Tracks of the moving plane through the queries; visible inside the image."""
    queries = np.asarray(queries, np.float32).reshape(-1, 3)
    tracks = queries[:, 1:] + (np.arange(T)[:, None] - queries[:, 0])[..., None] * velocity
    visible = ((tracks >= -0.5) & (tracks <= np.array([W, H]) - 0.5)).all(axis=-1)
    return TrackLabels(queries=queries, tracks_px=tracks.astype(np.float32), visibility=visible)


@pytest.fixture(scope="session")
def moving_plane() -> SimpleNamespace:
    """A textured plane that moves evenly: `grey` uint8 "T H W", and labels of an 8 x 8 grid of queries on frame 0, 10 x 9 px apart."""
    y, x = np.mgrid[:H, :W].astype(float)
    grey = np.stack([plane(x - VELOCITY[0] * t, y - VELOCITY[1] * t) for t in range(T)])
    grid = np.stack(np.meshgrid(12 + 10 * np.arange(8), 12 + 9 * np.arange(8)), axis=-1).reshape(-1, 2)
    queries = np.column_stack([np.zeros(len(grid)), grid])
    return SimpleNamespace(
        grey=np.clip(np.round(grey), 0, 255).astype(np.uint8),
        labels=right_labels(queries),
        follow=right_labels,
        follow_reversed=lambda queries: right_labels(queries, velocity=-VELOCITY),
        height=H,
        width=W,
    )

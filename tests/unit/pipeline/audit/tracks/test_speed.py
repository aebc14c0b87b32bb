"""Speed by hand: only steps between two neighbouring visible frames count."""

import numpy as np

from pipeline.audit.tracks.motion import median_speed
from pipeline.records import TrackLabels


def test_hidden_frames_take_their_steps_with_them():
    x = np.float32([0, 1, 2, 3, 40, 44, 48])
    visibility = np.ones((7, 3), bool)
    visibility[3, 1] = False  # the steps 2 -> 3 and 3 -> 40
    visibility[1::2, 2] = False
    tracks = np.repeat(np.stack([x, np.zeros(7, np.float32)], axis=1)[:, None], 3, axis=1)
    labels = TrackLabels(queries=np.zeros((3, 3), np.float32), tracks_px=tracks, visibility=visibility)
    speed = median_speed(labels, height=256, width=128)  # a step along x counts twice on the raster
    np.testing.assert_allclose(speed[:2], [2 * 2.5, 2 * 2.5])  # of 1, 1, 1, 37, 4, 4 and of 1, 1, 4, 4
    assert np.isnan(speed[2])

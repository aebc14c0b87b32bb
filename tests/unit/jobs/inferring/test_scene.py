"""The picture of a reconstruction says what it cannot show."""

import numpy as np

from jobs.inferring.scene import describe_tracks, preview, track_labels
from pipeline.records import TrackLabels
from tests.unit.trainer.inference.sequences import part, walk
from trainer.inference import Prediction, Reconstruction
from trainer.inference.digest import take_digest


def described(tmp_path, *predictions: Prediction) -> tuple[str, np.ndarray, TrackLabels | None]:
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        for prediction in predictions:
            made.append(prediction, first=made.num_frames)
        digest = take_digest(made, at_most=64)
        labels = track_labels(digest, visible=made.visible)
        return describe_tracks(made), preview("walk", made, digest), labels


def test_tracks_outside_of_every_frame_are_counted_as_such(tmp_path):
    away = walk(4)
    away.tracks.camera[..., 0] += 100
    said, picture, labels = described(tmp_path, away)
    assert said.startswith("5 tracks, 0 inside the frame")
    assert (labels.tracks_px[..., 0] > 16).all()
    assert picture.shape[2] == 3


def test_tracks_of_a_known_camera_are_inside_at_their_pixels(tmp_path):
    said, _, labels = described(tmp_path, walk(3), walk(3, seed=5))
    assert said.startswith("10 tracks, 10 inside the frame")
    place = np.arange(5)
    np.testing.assert_allclose(labels.tracks_px[1, :5], np.stack([place, place], 1), atol=1e-3)
    assert not labels.visibility[3:, :5].any()  # the second window has others
    assert (labels.tracks_px[3:, :5] < 0).all()


def test_without_a_camera_the_picture_says_so(tmp_path):
    mirrored = part(walk(3), 0, 3)
    mirrored.local_points[..., 0] *= -1
    said, _, labels = described(tmp_path, mirrored)
    assert "5 tracks, and no camera that projects them" in said
    assert labels is None

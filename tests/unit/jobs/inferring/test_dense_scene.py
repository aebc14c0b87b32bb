"""Which of many tracks a picture shows, and what the viewer is given."""

import numpy as np

from jobs.inferring.dense_scene import dense_scene, shown_tracks, spread_tracks
from pipeline.records.dense_tracks import DenseTracks
from trainer.inference.digest import Digest


def test_every_cell_has_a_track_in_every_frame_and_the_longest_is_taken():
    """Two tracks in the left cell, one of which lasts; one in the right cell until frame 1, and another from there on."""
    rows = [(0, 2, (2, 2)), (0, 3, (3, 3)), (0, 2, (12, 2)), (1, 2, (13, 3))]  # start, length, place
    lengths = np.array([length for _, length, _ in rows], np.int32)
    places = np.repeat(np.array([place for _, _, place in rows], np.float32), lengths, axis=0)
    tracks = DenseTracks(
        num_frames=3,
        size=(10, 20),
        space="world",
        queries=np.array([(start, *place) for start, _, place in rows], np.float32),
        starts=np.array([start for start, _, _ in rows], np.int32),
        lengths=lengths,
        pixels=places,
        points=np.zeros((len(places), 3), np.float32),
        visibility=np.ones(len(places), bool),
        visibility_score=np.ones(len(places), np.float32),
    )
    assert spread_tracks(tracks, np.array([0, 1, 2]), apart=10).tolist() == [False, True, True, True]
    assert spread_tracks(tracks, np.array([0, 1]), apart=10).tolist() == [False, True, True, False]


def test_the_viewer_is_given_the_drawn_tracks_in_the_image_and_in_space():
    """One track of frames 1 and 2; of 3 frames, the viewer is shown 0 and 2."""
    digest = Digest(
        numbers=np.array([0, 2]),
        frames=np.zeros((2, 10, 20, 3), np.uint8),
        depth=np.ones((2, 10, 20), np.float32),
        camera_to_world=np.tile(np.eye(4, dtype=np.float32), (2, 1, 1)),
        intrinsics=None,
        tracks=None,
    )
    tracks = DenseTracks(
        num_frames=3,
        size=(10, 20),
        space="world",
        queries=np.array([[1, 4, 5]], np.float32),
        starts=np.array([1], np.int32),
        lengths=np.array([2], np.int32),
        pixels=np.array([[4, 5], [6, 7]], np.float32),
        points=np.array([[1, 2, 3], [4, 5, 6]], np.float32),
        visibility=np.ones(2, bool),
        visibility_score=np.ones(2, np.float32),
    )
    scene = dense_scene("walk", digest, shown_tracks(tracks, digest), times_s=np.array([0.0, 0.2]))
    assert scene.labels.visibility.tolist() == scene.sample.visibility.tolist() == [[False], [True]]
    assert scene.labels.tracks_px[:, 0].tolist() == [[-20, -10], [6, 7]]  # where it does not live: far outside
    assert scene.sample.tracks3d_world[1, 0].tolist() == [4, 5, 6]
    assert scene.colours.shape == (1, 3)

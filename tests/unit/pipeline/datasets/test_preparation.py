import numpy as np
import pytest

from pipeline.datasets.preparation import complete_tracks, resize_for_video, subsample_tracks, to_first_camera
from pipeline.datasets.samples import stored_depth, stored_flow
from pipeline.records.truth import TruthClip


def make_clip(height: int = 7, width: int = 9, **fields) -> TruthClip:
    tracks = np.array([[[8.0, 2.0], [1.0, 1.0], [3.0, 6.4]]] * 2, np.float32)
    given = {
        "frames": np.zeros((2, height, width, 3), np.uint8),
        "frame_times": np.arange(2.0),
        "depth": np.arange(2 * height * width, dtype=np.float32).reshape(2, height, width),
        "intrinsics": np.tile(np.array([[10, 0, 4], [0, 10, 3], [0, 0, 1]], np.float32), (2, 1, 1)),
        "tracks2d": tracks,
        "visibility": np.ones((2, 3), bool),
        "track_valid": np.ones((2, 3), bool),
        "query_frame": np.zeros(3, np.int32),
        "track_source": "gt",
    }
    return TruthClip(**{**given, **fields})


def test_an_odd_row_and_column_are_cut_off_and_nothing_moves():
    stored = complete_tracks(resize_for_video(make_clip(), None))
    assert stored.frames.shape == (2, 6, 8, 3)
    np.testing.assert_array_equal(stored.depth, make_clip().depth[:, :6, :8])
    np.testing.assert_array_equal(stored.intrinsics, make_clip().intrinsics)
    np.testing.assert_array_equal(stored.tracks2d[0], [[1.0, 1.0]])  # the others lie in what was cut off, and are never visible


def test_image_files_are_never_touched():
    clip = make_clip(images=(b"a", b"b"))
    assert resize_for_video(clip, None) is clip


def test_shrinking_follows_pixel_centres():
    half = resize_for_video(make_clip(height=16, width=32), 16)
    assert half.frames.shape == (2, 8, 16, 3)
    np.testing.assert_allclose(half.tracks2d[0], [[3.75, 0.75], [0.25, 0.25], [1.25, 2.95]])
    np.testing.assert_allclose(half.intrinsics[0], [[5, 0, 1.75], [0, 5, 1.25], [0, 0, 1]])


def test_tracks_begin_where_they_are_seen():
    visible = np.array([[False, True, False], [True, True, False]])
    stored = complete_tracks(make_clip(visibility=visible, query_frame=np.array([0, 1, 0], np.int32)))
    assert stored.query_frame.tolist() == [1, 1]
    assert stored.tracks2d.shape == (2, 2, 2)


def test_thinning_draws_by_the_clips_key_and_keeps_rows_together():
    clip = make_clip(tracks3d=np.arange(18, dtype=np.float32).reshape(2, 3, 3) + 1)
    assert subsample_tracks(clip, None, "a") is clip
    assert subsample_tracks(clip, 3, "a") is clip
    drawn = {tuple(subsample_tracks(clip, 1, key).tracks2d[0, 0]) for key in "abcdefghijkl"}
    assert len(drawn) == 3
    one = subsample_tracks(clip, 2, "a")
    assert one.tracks2d.shape == (2, 2, 2)
    for track in range(2):
        place = clip.tracks2d[0].tolist().index(one.tracks2d[0, track].tolist())
        np.testing.assert_array_equal(one.tracks3d[:, track], clip.tracks3d[:, place])


def test_points_behind_the_camera_are_not_valid():
    points = np.full((2, 3, 3), 2.0, np.float32)
    points[0, 1, 2] = -1
    stored = complete_tracks(make_clip(tracks3d=points))
    assert stored.track_valid.tolist() == [[True, False, True], [True, True, True]]
    assert not stored.visibility[0, 1]


def test_the_first_valid_camera_becomes_the_world():
    poses = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    poses[1] = [[0, 0, 1, 2], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]  # 2 m to the right, looking along +x
    valid = np.array([False, True])
    world = np.tile(np.array([[5.0, 0, 0]] * 3, np.float32), (2, 1, 1))
    moved = to_first_camera(make_clip(camera_to_world=poses, pose_valid=valid, tracks3d_world=world))
    np.testing.assert_array_equal(moved.camera_to_world, np.tile(np.eye(4), (2, 1, 1)))
    np.testing.assert_allclose(moved.tracks3d_world[0, 0], [0, 0, 3], atol=1e-6)  # 3 m in front of that camera
    assert moved.meta["world_origin_frame"] == 1
    again = to_first_camera(moved)
    np.testing.assert_array_equal(again.tracks3d_world, moved.tracks3d_world)


@pytest.mark.parametrize(("farthest", "dtype"), [(199.0, np.float16), (250.0, np.float32)])
def test_depth_is_halved_where_it_stays_near(farthest, dtype):
    assert stored_depth(np.array([0, farthest], np.float32)).dtype == dtype


def test_flow_is_stored_in_steps_of_a_64th_of_a_pixel():
    flow = np.random.default_rng(0).normal(0, 40, (2, 3, 4, 2)).astype(np.float32)
    stored = stored_flow(flow)
    assert stored.dtype == "float32"
    assert 0.9 / 128 < np.abs(stored - flow).max() <= 1 / 128
    np.testing.assert_array_equal(stored * 64, np.rint(stored * 64))

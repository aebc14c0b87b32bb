"""A reconstruction on disk: one window is what the model said; many cost no more memory than few."""

import tracemalloc

import numpy as np

from tests.unit.trainer.inference.sequences import FOCAL, H, W, part, walk, window_by_window
from trainer.inference import Reconstruction, WindowPlan, reconstruct
from trainer.inference.digest import take_digest
from trainer.inference.files import write_arrays, write_cloud, write_tracks
from trainer.inference.geometry import inside_frames


def test_a_video_of_one_window_is_the_prediction_untouched(tmp_path):
    whole = walk(6)
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        assert list(reconstruct(WindowPlan(length=6, overlap=2).cut(range(6)), lambda _: whole, made)) == [None]
        np.testing.assert_array_equal(made.points(0, 6), whole.points)
        np.testing.assert_array_equal(made.frames(2, 3), whole.frames[2:5])
        np.testing.assert_array_equal(made.camera_to_world, whole.camera_to_world)
        np.testing.assert_allclose(made.intrinsics[:, [0, 1], [0, 1]], FOCAL, rtol=1e-5)
        digest = take_digest(made, at_most=6)
        np.testing.assert_array_equal(digest.tracks.camera, whole.tracks.camera)
        np.testing.assert_array_equal(digest.tracks.visibility_score, whole.tracks.visibility_score)
        assert digest.tracks.queries[:, 0].tolist() == [0] * 5
        assert made.num_inside == 5
    assert list(tmp_path.iterdir()) == []


def test_tracks_live_in_the_frames_of_their_window(tmp_path):
    whole = walk(9)
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        list(reconstruct(WindowPlan(length=5, overlap=1).cut(range(9)), window_by_window(whole), made))
        assert [made.tracks(t).columns.tolist() for t in (0, 4, 8)] == [[*range(5)], [*range(10)], [*range(5, 10)]]
        assert made.queries[:, 0].tolist() == [0] * 5 + [4] * 5
        digest = take_digest(made, at_most=3)
    assert digest.numbers.tolist() == [0, 4, 8]
    assert digest.tracks.queries[:, 0].tolist() == [0] * 5 + [1] * 5
    np.testing.assert_array_equal(digest.tracks.alive, np.repeat([[True, False], [True, True], [False, True]], 5, axis=1))


def test_a_frame_that_is_left_out_marks_no_query(tmp_path):
    whole = walk(9)
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        list(reconstruct(WindowPlan(length=6, overlap=3).cut(range(9)), window_by_window(whole), made))
        digest = take_digest(made, at_most=3)  # 0, 4 and 8; the second window begins with 3
    assert digest.tracks.queries[:, 0].tolist() == [0] * 5 + [-1] * 5


def test_memory_does_not_grow_with_the_number_of_windows(tmp_path):
    plan = WindowPlan(length=8, overlap=2)

    def peak(num_windows: int) -> int:
        num_frames = 8 + 6 * (num_windows - 1)
        big = walk(num_frames)
        predict = window_by_window(big)
        tracemalloc.start()
        with Reconstruction(str(tmp_path / str(num_windows)), least_confidence=0.1) as made:
            assert len(list(reconstruct(plan.cut(range(num_frames)), predict, made))) == num_windows
            for write in (write_arrays, write_tracks, write_cloud):
                write(str(tmp_path / str(num_windows) / write.__name__), made)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert made.num_frames == num_frames
        return size

    peak(2)  # what is imported and cached on first use
    few, many = peak(3), peak(12)
    assert many < 1.2 * few, (few, many)


def test_points_behind_the_camera_or_beside_the_image_are_outside():
    edge = (W / 2 - 0.01) / FOCAL  # the right border lies half a pixel beyond the last centre
    points = np.array([[[0, 0, 1], [0, 0, -1], [edge, 0, 1], [edge + 0.002, 0, 1], [0, -5, 5]]], np.float32)
    camera = np.array([[[FOCAL, 0, (W - 1) / 2], [0, FOCAL, (H - 1) / 2], [0, 0, 1]]], np.float32)
    assert inside_frames(points, camera, (H, W)).tolist() == [[True, False, True, False, False]]


def test_frames_that_no_camera_fits_leave_the_others_without_a_verdict(tmp_path):
    whole = walk(5)
    mirrored = part(whole, 0, 5)
    mirrored.local_points[..., 0] *= -1
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        made.append(mirrored, first=0)
        assert made.intrinsics is None
        assert made.num_inside == 0

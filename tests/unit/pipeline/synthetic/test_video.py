from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError, FormatError, StorageError
from pipeline.synthetic.scene import SceneTruth, TrueTracks
from pipeline.synthetic.video import read_truth, write_true_tracks, write_truth, write_video


def make_frames(num_frames: int = 60, height: int = 48, width: int = 64) -> np.ndarray:
    """A soft pattern that drifts by a pixel per frame."""
    y, x = np.mgrid[:height, :width]
    shifts = np.arange(num_frames)[:, None, None]
    waves = [128 + 90 * np.sin((x + shifts) / period + y / 9) for period in (5, 7, 11)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def make_truth() -> SceneTruth:
    rng = np.random.default_rng(0)
    return SceneTruth(
        depth=rng.random((3, 4, 5), np.float32),
        camera_to_world=rng.random((3, 4, 4)),
        intrinsics=rng.random((3, 3, 3)),
        dynamic_mask=rng.random((3, 4, 5)) < 0.5,
        fps=24,
    )


def test_the_video_is_an_ordinary_one_and_shows_the_frames_in_order(tmp_path: Path) -> None:
    frames = make_frames()
    write_video(str(tmp_path / "walk.mp4"), frames, 24)
    with av.open(str(tmp_path / "walk.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 24)
        decoded = list(container.decode(stream))
    assert [frame.time for frame in decoded] == pytest.approx(np.arange(60) / 24)
    assert [i for i, frame in enumerate(decoded) if frame.key_frame] == [0, 48]
    assert any(frame.pict_type == av.video.frame.PictureType.B for frame in decoded)
    shown = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded]).astype(float)
    error = np.square(shown - frames).mean(axis=(1, 2, 3))
    assert 10 * np.log10(255**2 / error.max()) > 28  # colours at half resolution cost most of this
    assert np.square(shown - np.roll(frames, 1, axis=0)).mean() > 3 * error.mean()


def test_equal_frames_are_equal_bytes(tmp_path: Path) -> None:
    frames, found = make_frames(num_frames=12), set()
    for _ in range(30):  # x264 left to itself differs in one of a hundred to one of three encodes
        write_video(str(tmp_path / "walk.mp4"), frames, 24)
        found.add((tmp_path / "walk.mp4").read_bytes())
    assert len(found) == 1


def test_equal_truth_is_equal_bytes_and_nothing_temporary_is_left(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_truth(str(tmp_path / name), make_truth())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_odd_sides_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="63x48"):
        write_video(str(tmp_path / "walk.mp4"), make_frames(width=63), 24)
    assert list(tmp_path.iterdir()) == []


def test_truth_comes_back_as_it_was_written(tmp_path: Path) -> None:
    uri, truth = str(tmp_path / "truth.npz"), make_truth()
    write_truth(uri, truth)
    read = read_truth(uri)
    for name in ("depth", "camera_to_world", "intrinsics", "dynamic_mask", "fps"):
        np.testing.assert_array_equal(getattr(read, name), getattr(truth, name))


def test_what_is_not_truth_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"absent\.npz"):
        read_truth(str(tmp_path / "absent.npz"))
    (tmp_path / "text.npz").write_text("this is no archive")
    with pytest.raises(DataError, match=r"text\.npz"):
        read_truth(str(tmp_path / "text.npz"))
    write_truth(str(tmp_path / "cut.npz"), make_truth())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:500])
    with pytest.raises(DataError, match=r"cut\.npz"):
        read_truth(str(tmp_path / "cut.npz"))
    np.savez(tmp_path / "other.npz", depth=np.zeros(3))
    with pytest.raises(DataError, match="no camera_to_world, dynamic_mask"):
        read_truth(str(tmp_path / "other.npz"))


@pytest.mark.parametrize("version", [0, 2])
def test_truth_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    uri = str(tmp_path / "truth.npz")
    write_truth(uri, make_truth())
    with np.load(uri) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(uri, **{**arrays, "schema_version": np.array(version)})
    with pytest.raises(FormatError, match=f"version {version}, this trackmill reads 1"):
        read_truth(uri)


def test_truth_of_disagreeing_shapes_cannot_be_made() -> None:
    truth = make_truth()
    with pytest.raises(DataError, match="dynamic_mask"):
        SceneTruth(
            depth=truth.depth,
            camera_to_world=truth.camera_to_world,
            intrinsics=truth.intrinsics,
            dynamic_mask=truth.dynamic_mask[:, :3],
            fps=24,
        )


def test_true_tracks_are_kept_with_their_queries(tmp_path: Path) -> None:
    tracks = TrueTracks(
        tracks_px=np.full((3, 2, 2), 1.5, np.float32),
        visibility=np.array([[True, False]] * 3),
        tracks3d=np.ones((3, 2, 3), np.float32),
        valid=np.array([True, False]),
    )
    queries = np.array([[0, 1.5, 1.5], [2, 0, 0]], np.float32)
    write_true_tracks(str(tmp_path / "tracks.npz"), queries, tracks)
    with np.load(tmp_path / "tracks.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["queries"], queries)
        np.testing.assert_array_equal(stored["visibility"], tracks.visibility)
        np.testing.assert_array_equal(stored["tracks_px"], tracks.tracks_px)

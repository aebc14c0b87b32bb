"""The reader of WorldTrack, on a camera that slides along a wall."""

import pickle

import numpy as np
import pytest

from pipeline.datasets.planning import ConversionPolicy, plan_sequences
from pipeline.datasets.source import clip_frames_of, make_source
from pipeline.datasets.validation import check_truth, failures
from pipeline.datasets.world_track import WorldTrackSource
from pipeline.errors import ConfigError, DataError
from tests.world_track_files import H, W, make_wall, write_file


@pytest.fixture(scope="module")
def wall():
    return make_wall(6)


def only_clip(source: WorldTrackSource):
    (sequence,) = source.sequences()
    return source.read(sequence, 0, sequence.num_frames)


@pytest.mark.parametrize("pickled", [True, False])
def test_a_video_comes_back_in_the_first_cameras_world_with_its_own_files(tmp_path, wall, pickled) -> None:
    write_file(tmp_path / "data/po_mini/a.npz", wall, pickled=pickled, depth_map=wall.depth)
    source = pickle.loads(pickle.dumps(make_source("worldtrack", str(tmp_path))))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == ("po_mini/a", 6, "test")
    clip = source.read(sequence, 0, 6)
    assert source.keep_images
    assert clip.images == tuple(wall.images)
    np.testing.assert_allclose(clip.tracks3d_world, wall.world, atol=1e-6)
    np.testing.assert_allclose(clip.camera_to_world[:, 0, 3], 0.05 * np.arange(6), atol=1e-7)
    np.testing.assert_array_equal(clip.depth, wall.depth)
    assert clip.query_frame.tolist() == [0] * (wall.world.shape[1] - 1) + [1]  # the last one is hidden in frame 0
    assert clip.meta["subset"] == "po_mini"
    assert not failures(check_truth(clip))


def test_one_clip_is_made_of_the_first_64_frames(tmp_path, wall) -> None:
    long = make_wall(70)
    write_file(tmp_path / "ds_mini/long.npz", long)
    write_file(tmp_path / "ds_mini/short.npz", wall)
    source = WorldTrackSource(str(tmp_path / "ds_mini"))  # one subset's folder serves too
    planned = plan_sequences(source, source.sequences(), ConversionPolicy(clip_frames=clip_frames_of(source, None)))
    assert [(clip.source, clip.first_frame, clip.num_frames) for clip in planned.clips] == [
        ("ds_mini/long", 0, 64),
        ("ds_mini/short", 0, 6),
    ]
    clip = source.read(source.sequences()[0], 0, 64)
    np.testing.assert_allclose(clip.tracks3d, long.camera[:64], rtol=1e-6)
    assert clip_frames_of(source, 10) == 10
    assert clip_frames_of(make_source("tapvid3d", str(tmp_path)), None) == 48


def test_cameras_that_are_not_given_stand_still_in_the_studio_alone(tmp_path, wall) -> None:
    for subset in ("pstudio_mini", "adt_mini"):
        write_file(tmp_path / subset / "a.npz", wall, extrinsics_w2c=None)
    source = WorldTrackSource(str(tmp_path))
    unknown, studio = (source.read(sequence, 0, 6) for sequence in source.sequences())
    assert unknown.camera_to_world is None
    np.testing.assert_array_equal(studio.camera_to_world, np.tile(np.eye(4), (6, 1, 1)))
    np.testing.assert_array_equal(studio.tracks3d_world, studio.tracks3d)
    assert ("Aria" in unknown.license, "Panoptic" in studio.license) == (True, True)


def test_a_file_for_reconstruction_has_no_tracks(tmp_path, wall) -> None:
    write_file(tmp_path / "tum/a.npz", wall, tracks_XYZ=None, visibility=None, depth_map=np.where(wall.depth > 0, wall.depth, np.nan))
    clip = only_clip(WorldTrackSource(str(tmp_path)))
    assert (clip.tracks2d, clip.tracks3d, clip.track_source) == (None, None, None)
    np.testing.assert_array_equal(clip.depth, wall.depth)
    assert clip.depth_source == "sensor"


def test_a_track_that_is_not_known_in_all_frames_is_left_out(tmp_path, wall) -> None:
    broken = wall.camera.copy()
    broken[2, 3, 1] = np.nan
    write_file(tmp_path / "adt_mini/a.npz", wall, tracks_XYZ=broken)
    clip = only_clip(WorldTrackSource(str(tmp_path)))
    np.testing.assert_allclose(clip.tracks3d, np.delete(wall.camera, 3, axis=1), rtol=1e-6)
    assert (clip.tracks3d[-1, -2, 2] < 0, clip.track_valid[-1, -2]) == (True, False)  # behind the camera: its place is kept


def test_other_files_are_refused(tmp_path, wall, caplog) -> None:
    write_file(tmp_path / "a/po_mini/a.npz", wall, depth_map=np.ones((6, H, W + 1)))
    write_file(tmp_path / "a/elsewhere/b.npz", wall)
    with pytest.raises(DataError, match=rf"depth_map of frames 0 to 5 is \[6, {H}, {W + 1}\]"):
        only_clip(WorldTrackSource(str(tmp_path / "a")))
    assert "1 of 2 .npz files lie in no subset's folder" in caplog.text
    with pytest.raises(ConfigError, match="no worldtrack sequence found"):
        WorldTrackSource(str(tmp_path / "a/elsewhere")).sequences()
    write_file(tmp_path / "c/po_mini/a.npz", wall, visibility=None)
    assert WorldTrackSource(str(tmp_path / "c")).sequences()[0].num_frames == 0  # an error of planning, not the end of the listing
    assert "no array 'visibility'" in caplog.text

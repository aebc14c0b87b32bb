"""Clips that a format cannot hold, or that its trainer would drop, and the points that are left."""

import io
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.export.alltracker import ALLTRACKER_TRAINERS, AllTrackerFormat
from pipeline.export.format import export_tracks
from pipeline.export.kubric import KubricFormat, TrainerNeeds, drawn_points
from pipeline.export.tapip3d import Tapip3dFormat, query_points, refuse_without_geometry
from pipeline.export.tapvid3d import TapVid3dFormat
from pipeline.export.world_track import WorldTrackFormat
from pipeline.records import ClipSample
from tests.exported_dataset import CENTRE, FOCAL, WALL_M, H, T, W, frames_of, labels_of, truth_of


def sample(**changed) -> ClipSample:
    """A clip with all its truth."""
    whole = ClipSample(
        key="a", source="a.mp4", split="train", index=0, frames=frames_of("a"), frame_indices=np.arange(T), frame_times=np.arange(T) / 10.0,
        supervision="metric", is_metric=True, depth_source="gt", depth_scale="metric", pose_source="gt", pose_scale="metric", **truth_of(),
    )  # fmt: skip
    return replace(whole, **changed)


NO_TRUE_TRACKS = dict.fromkeys(("tracks2d", "tracks3d", "tracks3d_world", "visibility", "track_valid", "query_frame"))


def labelled(**changed) -> ClipSample:
    labels = labels_of("s0c0")
    tracks = {"tracks2d": labels.tracks_px, "visibility": labels.visibility, "query_frame": np.zeros(12, np.int32)}
    return replace(sample(), **{**NO_TRUE_TRACKS, **tracks, **changed})


UNKNOWN_POSE = np.arange(T) != 2
ZOOM = truth_of()["intrinsics"] * np.where(np.arange(9).reshape(3, 3) == 0, 1 + 0.01 * np.arange(T)[:, None, None], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"depth": None}, "no depth"),
        ({"intrinsics": None}, "no cameras"),
        ({"camera_to_world": None}, "no cameras"),
        ({"pose_valid": UNKNOWN_POSE}, "unknown poses"),
        ({"depth_source": "pseudo", "depth_scale": "inverse"}, "inverse depth"),
        ({"depth_source": "pseudo", "depth_scale": "relative"}, "depth and cameras in different units"),
        ({"depth_source": "pseudo", "pose_scale": "relative"}, "depth and cameras in different units"),
        ({"pose_source": "pseudo", "pose_scale": "relative"}, "depth and cameras in different units"),
    ],
)
def test_tapip3d_refuses_what_cannot_be_placed_in_one_world(changed, kind):
    assert refuse_without_geometry(sample(**changed)).kind == kind
    assert Tapip3dFormat().refuse(sample(**changed)).kind == kind


def test_tapip3d_takes_truth_in_any_unit_and_metric_labels():
    assert refuse_without_geometry(sample()) is None
    assert refuse_without_geometry(sample(is_metric=False, supervision="pseudo", depth_scale="relative", pose_scale="relative")) is None
    assert refuse_without_geometry(sample(depth_source="pseudo")) is None


def test_lifted_queries_lie_on_the_depth_and_need_one():
    clip = labelled()
    clip.depth[0, :, : W // 2] = 0  # nothing is known of the left half of the first frame
    tracks = export_tracks(clip, 0.0)
    start = labels_of("s0c0").tracks_px[0]
    right = labels_of("s0c0").visibility[0] & (np.round(start[:, 0]) >= W // 2)
    expected = np.column_stack([np.zeros(right.sum()), (start[right] - CENTRE) / FOCAL * WALL_M, np.full(right.sum(), WALL_M)])
    np.testing.assert_allclose(query_points(clip, tracks), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"tracks3d": None}, "no tracks in space"),
        ({"intrinsics": None}, "no intrinsics"),
        ({"intrinsics": ZOOM}, "changing intrinsics"),
        ({"pose_valid": UNKNOWN_POSE}, "unknown poses"),
        (NO_TRUE_TRACKS, "no tracks"),
    ],
)
def test_tapvid3d_refuses_what_its_files_cannot_say(changed, kind):
    assert TapVid3dFormat().refuse(sample(**changed)).kind == kind
    assert TapVid3dFormat().refuse(sample()) is None


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"tracks3d": None}, "no tracks in space"),
        ({"intrinsics": ZOOM}, "changing intrinsics"),
        ({"camera_to_world": None}, "no poses"),
        ({"pose_valid": UNKNOWN_POSE}, "unknown poses"),
        ({"is_metric": False}, "not in metres"),
        ({"pose_source": "pseudo"}, "estimated poses"),
        ({"track_valid": np.arange(T)[:, None] != np.zeros(12)}, "no whole track"),
    ],
)
def test_worldtrack_refuses_what_the_benchmark_would_measure_wrongly(changed, kind):
    assert WorldTrackFormat().refuse(sample(**changed)).kind == kind
    assert WorldTrackFormat().refuse(sample()) is None


def read_npz(clip: ClipSample) -> dict[str, np.ndarray]:
    ((name, content),) = WorldTrackFormat().files(clip)
    assert name == ""
    with np.load(io.BytesIO(content), allow_pickle=True) as file:
        return {key: file[key] for key in file.files}


def test_worldtrack_holds_whole_tracks_of_the_first_64_frames():
    later = np.arange(70) % T
    truth = {name: array if name == "query_frame" else array[later] for name, array in truth_of().items()}
    truth["visibility"][:64, 3] = False  # track 3 appears in frame 64
    truth["track_valid"][20, 5] = truth["track_valid"][66, 6] = False
    truth["query_frame"] = np.where(np.arange(12) == 3, 64, 0).astype(np.int32)
    clip = sample(frames=frames_of("a")[later], frame_indices=np.arange(70), frame_times=np.arange(70) / 10.0, **truth)
    assert WorldTrackFormat().refuse(clip) is None
    written, kept = read_npz(clip), np.delete(np.arange(12), [3, 5])
    assert list(written) == ["images_jpeg_bytes", "tracks_XYZ", "visibility", "fx_fy_cx_cy", "extrinsics_w2c", "depth_map"]
    assert len(written["images_jpeg_bytes"]) == len(written["extrinsics_w2c"]) == len(written["depth_map"]) == 64
    np.testing.assert_array_equal(written["tracks_XYZ"], truth["tracks3d"][:64, kept])
    np.testing.assert_array_equal(written["visibility"], truth["visibility"][:64, kept])
    assert WorldTrackFormat().num_tracks(clip) == len(kept)


def test_worldtrack_keeps_all_tracks_of_its_own_clips_and_no_depth_that_a_network_guessed():
    clip = sample(track_valid=np.arange(T)[:, None] != np.zeros(12), extra={"tracks_complete": True}, depth_source="pseudo")
    written = read_npz(clip)
    assert written["tracks_XYZ"].shape == (T, 12, 3)
    assert "depth_map" not in written
    with pytest.raises(ConfigError, match="--subset is 'tum', expected one of adt_mini, pstudio_mini, po_mini, ds_mini"):
        WorldTrackFormat(subset="tum")


def test_points_are_counted_as_cotracker_lists_them():
    visible = np.zeros((6, 4), bool)
    visible[0, :3] = visible[2, 2:] = visible[1, 0] = visible[3, :] = True
    assert drawn_points(visible, 4) == min(3 + 2, 1 + 4, 2 + 0)  # windows from frames 0, 1 and 2; their middles are frames 2, 3 and 4
    assert drawn_points(visible, 6) == 3 + 4


def test_weights_choose_tracks_and_too_few_are_refused():
    clip = labelled(track_weights=np.linspace(0, 1, 12, dtype=np.float32))
    needs = TrainerNeeds(trainer="mine", frames=T, points=1)
    assert export_tracks(clip, 0.0).chosen.tolist() == list(range(1, 12))
    assert export_tracks(clip, 0.8).chosen.tolist() == [9, 10, 11]
    assert KubricFormat(needs=needs, min_weight=0.8).refuse(clip) is None
    assert KubricFormat(needs=replace(needs, points=7), min_weight=0.8).refuse(clip).kind.startswith("fewer than 7 points")
    assert KubricFormat(needs=needs).refuse(replace(clip, track_weights=np.zeros(12, np.float32))).kind == "no trusted track"


def test_alltracker_counts_tracks_that_are_valid_throughout():
    valid = np.ones((T, 12), bool)
    valid[3, :5] = False
    clip = labelled(track_valid=valid)
    in_first = int(labels_of("s0c0").visibility[0, 5:].sum())
    needs = TrainerNeeds(trainer="mine", frames=T, points=in_first)
    assert AllTrackerFormat(needs=needs).refuse(clip) is None
    assert (
        f"{in_first} points are visible in the first frame"
        in AllTrackerFormat(needs=replace(needs, points=in_first + 1)).refuse(clip).message
    )
    assert ALLTRACKER_TRAINERS["alltracker"].refuse_length(23).kind == "fewer than 24 frames"


def test_a_point_outside_the_image_is_not_seen():
    clip = labelled(visibility=np.ones((T, 12), bool))
    tracks = export_tracks(clip, 0.0)
    outside = (tracks.tracks_px < -0.5).any(-1) | (tracks.tracks_px[..., 0] > W - 0.5) | (tracks.tracks_px[..., 1] > H - 0.5)
    assert outside.any()
    np.testing.assert_array_equal(tracks.visible, ~outside)


def test_needs_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="--trainer-frames 0"):
        TrainerNeeds(trainer="mine", frames=0, points=1)

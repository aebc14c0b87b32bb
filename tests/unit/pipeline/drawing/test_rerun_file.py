"""A recording is read back; where rerun-sdk (the viz extra) is not installed these are skipped."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.drawing.clip_scene import ClipScene
from pipeline.records import ClipSample, TrackLabels

rr = pytest.importorskip("rerun", reason="rerun-sdk is not installed: pip install -c constraints.txt -e '.[viz]'")

T, H, W = 5, 24, 32
FOCAL, CENTRE = 30.0, (15.5, 11.5)


def world_points() -> np.ndarray:
    """Static points, "3 3" metres, in front of all cameras."""
    return np.array([[0.0, 0.0, 4.0], [1.0, 0.5, 5.0], [-1.0, -0.5, 6.0]])


def poses() -> np.ndarray:
    """Camera to world: it slides right and turns about y."""
    found = np.tile(np.eye(4), (T, 1, 1))
    for t in range(T):
        angle = 0.05 * t
        found[t, :3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        found[t, 0, 3] = 0.1 * t
    return found


def project(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    camera = (points - pose[:3, 3]) @ pose[:3, :3]
    return FOCAL * camera[:, :2] / camera[:, 2:] + CENTRE


def scene(**changes: object) -> ClipScene:
    intrinsics = np.tile(np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]], np.float32), (T, 1, 1))
    tracks = np.stack([project(world_points(), pose) for pose in poses()]).astype(np.float32)
    visibility = np.ones((T, 3), bool)
    visibility[2] = False
    visibility[3, 0] = False
    sample = ClipSample(
        key="clip-0",
        source="s",
        split="train",
        index=0,
        frames=np.full((T, H, W, 3), (200, 30, 60), np.uint8),
        frame_indices=np.arange(T),
        frame_times=np.arange(T) / 25,
        supervision="metric",
        tracks2d=tracks,
        visibility=visibility,
        track_valid=np.ones((T, 3), bool),
        tracks3d_world=np.tile(world_points(), (T, 1, 1)).astype(np.float32),
        intrinsics=intrinsics,
        camera_to_world=poses().astype(np.float32),
        pose_valid=np.array([True, True, True, False, True]),
        depth=np.full((T, H, W), 2.0, np.float32),
    )
    labels = TrackLabels(queries=np.column_stack([np.zeros(3), tracks[0]]).astype(np.float32), tracks_px=tracks, visibility=visibility)
    colours = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)
    parts = {"sample": sample, "report": "# clip-0", "labels": labels, "colours": colours}
    return ClipScene(**{**parts, "weights": np.array([0.2, 0.4, 0.9], np.float32), "ncc": np.full((T, 3), 0.5, np.float32), **changes})


def read(path: Path) -> dict[tuple[str, str], list]:
    """(entity, component) -> its value in every frame; a static one is a list of one."""
    found: dict[tuple[str, str], list] = {}
    for chunk in rr.chunk.RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        order = [0] if chunk.is_static else np.argsort(batch["frame"].to_pylist())
        for name in batch.schema.names:
            if ":" in name or name in ("frame", "time"):
                values = batch[name].to_pylist()
                found[chunk.entity_path.lstrip("/"), name] = [values[row] for row in order]
    return found


@pytest.fixture
def recording(tmp_path) -> dict[tuple[str, str], list]:
    from pipeline.drawing.rerun_file import write_recording

    write_recording(str(tmp_path / "clip.rrd"), scene())
    return read(tmp_path / "clip.rrd")


def test_frames_lie_on_both_time_lines(recording):
    image = "world/camera/image"
    assert recording[image, "frame"] == list(range(T))
    assert [time.total_seconds() for time in recording[image, "time"]] == pytest.approx([t / 25 for t in range(T)])
    jpeg = np.array(recording[image, "EncodedImage:blob"][1][0], np.uint8)
    np.testing.assert_allclose(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[5, 5, ::-1], (200, 30, 60), atol=6)


def test_visible_points_move_by_half_a_pixel_and_a_frame_without_any_is_empty(recording):
    positions = recording["world/camera/image/visible", "Points2D:positions"]
    assert [len(each) for each in positions] == [3, 3, 0, 2, 3]
    np.testing.assert_allclose(positions[1], project(world_points(), poses()[1]) + 0.5, atol=1e-4)
    assert recording["world/camera/image/visible", "Points2D:colors"][3] == [0x00FA00FF, 0x0000FAFF]
    assert [len(each) for each in recording["world/camera/image/hidden", "Points2D:positions"]] == [0, 0, 3, 1, 0]
    tails = recording["world/camera/image/tails", "LineStrips2D:strips"]
    assert [len(each) for each in tails] == [0, 3, 0, 0, 2]


def test_the_cameras_that_were_stored_see_the_points_where_the_tracks_are(recording):
    """The law that ties Pinhole, Transform3D, 3D and 2D tracks: project the stored points by the stored cameras."""
    column_major = recording["world/camera", "Pinhole:image_from_camera"]
    rotations = recording["world/camera", "Transform3D:mat3x3"]
    assert len(column_major) == T
    assert len(rotations) == T - 1  # one pose is unknown
    for row, t in enumerate([0, 1, 2, 4]):
        intrinsics = np.array(column_major[t][0]).reshape(3, 3).T
        rotation = np.array(rotations[row][0]).reshape(3, 3).T
        camera = (world_points() - recording["world/camera", "Transform3D:translation"][row][0]) @ rotation
        pixels = camera @ intrinsics.T
        np.testing.assert_allclose(pixels[:, :2] / pixels[:, 2:], project(world_points(), poses()[t]) + 0.5, atol=1e-3)
    np.testing.assert_allclose(recording["world/tracks", "Points3D:positions"][0], world_points(), atol=1e-6)


def test_depth_becomes_points_two_metres_before_the_camera(recording):
    clouds = recording["world/depth", "Points3D:positions"]
    assert len(clouds[0]) > 100
    assert clouds[3] == []  # no pose, no place
    local = (np.array(clouds[4]) - poses()[4, :3, 3]) @ poses()[4, :3, :3]
    np.testing.assert_allclose(local[:, 2], 2.0, atol=1e-5)


def test_plots_are_means_over_the_visible_tracks(recording):
    weights = [each[0] for each in recording["plots/weight", "Scalars:scalars"]]
    assert [weights[0], weights[3]] == pytest.approx([0.5, 0.65])
    assert np.isnan(weights[2])
    assert recording["plots/visible", "Scalars:scalars"][3] == pytest.approx([2 / 3])
    assert recording["report", "TextDocument:text"] == [["# clip-0"]]


def test_a_clip_without_tracks_and_truth_is_its_frames_and_report(tmp_path):
    from pipeline.drawing.rerun_file import write_recording

    none = dict.fromkeys(
        ("tracks2d", "visibility", "track_valid", "tracks3d_world", "intrinsics", "camera_to_world", "pose_valid", "depth")
    )
    bare = scene(sample=replace(scene().sample, **none), labels=None, colours=None, weights=None, ncc=None)
    write_recording(str(tmp_path / "bare.rrd"), bare)
    assert {entity for entity, _ in read(tmp_path / "bare.rrd")} == {"world/camera/image", "report"}

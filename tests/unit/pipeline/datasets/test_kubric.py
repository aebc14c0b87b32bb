import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets.kubric import KubricSource, depth_distance, pixel_intrinsics
from pipeline.datasets.poses import opengl_to_opencv
from pipeline.datasets.projection import distance_to_depth
from pipeline.errors import ConfigError, DataError

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "dataset_conversions.npz"
OPENGL = np.diag([1.0, -1, -1, 1])


def write_kubric(scene, root: Path, *, variant: str = "3d", corner: float = 0.5, name: str = "0001", **changes) -> Path:
    """A scene in CoTracker's layout; `changes` replace entries of the pickled dictionary."""
    frames = root / name / "frames"
    frames.mkdir(parents=True)
    height, width = scene.size
    intrinsics = scene.intrinsics.copy()
    intrinsics[:2, 2] += 0.5  # from the image's corner
    normalised = np.diag([1 / width, 1 / height, 1]) @ intrinsics * np.array([[1, 0, -1], [0, -1, -1], [0, 0, -1]])
    rays = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) - scene.intrinsics[:2, 2]
    distance = scene.depth * np.sqrt(1 + (rays**2).sum(-1) / scene.intrinsics[0, 0] ** 2)
    bounds = np.array([distance.min(), distance.max()], np.float32)
    for index, picture in enumerate(scene.frames):
        cv2.imwrite(str(frames / f"{index:03d}.png"), picture[..., ::-1])
        if variant == "3d":
            stored = np.round((distance[index] - bounds[0]) / float(bounds[1] - bounds[0]) * 65535)
            cv2.imwrite(str(frames / f"{index:03d}_depth.png"), np.clip(stored, 0, 65535).astype(np.uint16))
    data = {"coords": (scene.tracks2d + corner).swapaxes(0, 1).astype(np.float32), "visibility": ~scene.visible.T}
    if variant == "3d":
        data = {
            "coords": data["coords"],
            "occluded": ~scene.visible.T,
            "traj_3d": scene.world.swapaxes(0, 1),
            "depth_range": bounds,
            "intrinsics": np.tile(normalised, (scene.num_frames, 1, 1)),
            "matrix_world": scene.camera_to_world @ OPENGL,
        }
    np.save(root / name / f"{name}.npy", {**data, **changes}, allow_pickle=True)
    return root


def anchored(scene):
    """Poses and points in the world of the first camera."""
    to_first = np.linalg.inv(scene.camera_to_world[0])
    return to_first @ scene.camera_to_world, scene.world @ to_first[:3, :3].T + to_first[:3, 3]


def test_the_3d_variant_comes_back_as_it_was(plane_scene, tmp_path, convert):
    conversion = convert(KubricSource(path=str(write_kubric(plane_scene, tmp_path / "kubric"))))
    sample, (poses, world) = conversion.sample, anchored(plane_scene)
    kept = plane_scene.visible.any(axis=0)
    np.testing.assert_allclose(sample.tracks2d, plane_scene.tracks2d[:, kept], atol=1e-3)
    np.testing.assert_array_equal(sample.visibility, plane_scene.visible[:, kept])
    np.testing.assert_allclose(sample.camera_to_world, poses, atol=1e-5)
    np.testing.assert_allclose(sample.intrinsics, np.tile(plane_scene.intrinsics, (12, 1, 1)), rtol=1e-6)
    np.testing.assert_allclose(sample.tracks3d_world, world[:, kept], atol=1e-4)
    np.testing.assert_allclose(sample.depth, plane_scene.depth, rtol=2**-11, atol=1e-3)  # float16, and 65535 steps over the range
    moved = np.ptp(sample.tracks3d_world, axis=0).max(axis=-1)
    assert moved[plane_scene.static[kept]].max() < 1e-4
    assert moved[~plane_scene.static[kept]].min() > 0.5
    assert sample.supervision == "metric"
    assert sample.pose_source == "gt"
    assert conversion.checks["projection"].worst < 0.01
    assert {"rotation", "depth_at_tracks", "visibility", "depth_alignment", "depth_between_views"} <= conversion.checks.keys()


def test_the_2d_variant_has_tracks_and_nothing_else(plane_scene, tmp_path, convert):
    sample = convert(KubricSource(path=str(write_kubric(plane_scene, tmp_path / "kubric", variant="2d")))).sample
    kept = plane_scene.visible.any(axis=0)
    np.testing.assert_allclose(sample.tracks2d, plane_scene.tracks2d[:, kept], atol=1e-4)
    np.testing.assert_array_equal(sample.visibility, plane_scene.visible[:, kept])
    assert sample.depth is None
    assert sample.camera_to_world is None
    assert sample.tracks3d is None
    assert sample.extra["track_source"] == "gt"


def test_coordinates_from_the_first_centre_are_told_from_those_from_the_corner(plane_scene, tmp_path, convert):
    sample = convert(KubricSource(path=str(write_kubric(plane_scene, tmp_path / "kubric", corner=0.0)))).sample
    assert sample.extra["pixel_origin"] == "centre"
    np.testing.assert_allclose(sample.tracks2d, plane_scene.tracks2d[:, plane_scene.visible.any(axis=0)], atol=1e-3)


@pytest.mark.parametrize(
    ("finding", "change"),
    [
        ("w2c_for_c2w", lambda scene: {"matrix_world": np.linalg.inv(scene.camera_to_world) @ OPENGL}),
        ("opengl_axes", lambda scene: {"matrix_world": scene.camera_to_world}),
        ("half_pixel_shift", lambda scene: {"coords": (scene.tracks2d + 1.0).swapaxes(0, 1)}),
        ("mirrored_x", lambda scene: {"coords": ((127, 0) + scene.tracks2d * (-1, 1) + 0.5).swapaxes(0, 1)}),
        ("visibility_inverted", lambda scene: {"occluded": scene.visible.T}),
        ("swapped_xy", lambda scene: {"coords": (scene.tracks2d[..., ::-1] + 0.5).swapaxes(0, 1)}),
    ],
)
def test_a_wrong_convention_fails_the_clip_by_name(finding, change, plane_scene, tmp_path, convert):
    conversion = convert(KubricSource(path=str(write_kubric(plane_scene, tmp_path / "kubric", **change(plane_scene)))))
    assert conversion.samples == []
    assert f"{finding}: " in conversion.errors[0].message
    assert any(finding in check.findings for check in conversion.checks.values())


def test_inverted_visibility_is_caught_by_looks_alone(plane_scene, tmp_path, convert):
    written = write_kubric(plane_scene, tmp_path / "kubric", variant="2d", visibility=plane_scene.visible.T)
    conversion = convert(KubricSource(path=str(written)))
    assert "visibility_inverted: appearance" in conversion.errors[0].message


def test_an_accepted_finding_fails_no_clip_and_is_counted(plane_scene, tmp_path, convert):
    written = write_kubric(plane_scene, tmp_path / "kubric", coords=(plane_scene.tracks2d + 1.0).swapaxes(0, 1))
    conversion = convert(KubricSource(path=str(written)), accept=("half_pixel_shift",))
    assert len(conversion.samples) == 1
    assert conversion.checks["projection"].findings == {"half_pixel_shift": 1}


def test_truth_shrinks_with_its_video(plane_scene, tmp_path, convert):
    sample = convert(KubricSource(path=str(write_kubric(plane_scene, tmp_path / "kubric"))), long_side=64).sample
    assert sample.frames.shape == (12, 48, 64, 3)
    kept = plane_scene.visible.any(axis=0)
    np.testing.assert_allclose(sample.tracks2d, (plane_scene.tracks2d[:, kept] + 0.5) / 2 - 0.5, atol=1e-3)
    np.testing.assert_allclose(sample.intrinsics[0], [[55, 0, 31.5], [0, 55, 23.5], [0, 0, 1]], rtol=1e-6)
    np.testing.assert_allclose(sample.depth, plane_scene.depth[:, 1::2, 1::2], rtol=2**-11, atol=1e-3)


def test_golden_conversions():
    golden = np.load(GOLDEN)
    size = tuple(golden["kubric/in/hw"].tolist())
    intrinsics = pixel_intrinsics(golden["kubric/in/intrinsics_normalised"], size)
    np.testing.assert_allclose(intrinsics, golden["kubric/out/K_px_reference"], atol=1e-6)
    distance = depth_distance(golden["kubric/in/depth_u16"], golden["kubric/in/depth_range"])
    np.testing.assert_allclose(distance_to_depth(distance, intrinsics), golden["kubric/out/z_depth_reference"], atol=1e-6)
    poses = opengl_to_opencv(golden["kubric/in/matrix_world"])
    np.testing.assert_allclose(poses, golden["kubric/out/c2w_opencv"], atol=1e-6)
    np.testing.assert_allclose(np.linalg.inv(poses), golden["kubric/out/w2c_opencv"], atol=1e-6)


def test_a_folder_that_is_something_else_is_a_mistake_of_the_user(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(ConfigError, match="no kubric sequence found"):
        KubricSource(path=str(tmp_path)).sequences()


def test_missing_images_are_named(plane_scene, tmp_path):
    root = write_kubric(plane_scene, tmp_path / "kubric")
    source = KubricSource(path=str(root))
    (sequence,) = source.sequences()
    (root / "0001" / "frames" / "005.png").unlink()
    with pytest.raises(DataError, match="11 frames found, 12 when"):
        source.read(sequence, 0, 12)


def test_the_plan_names_no_place_of_this_machine(plane_scene, tmp_path, convert):
    conversion = convert(KubricSource(path=str(write_kubric(plane_scene, tmp_path / "kubric"))))
    assert str(tmp_path) not in json.dumps(dict(conversion.sample.extra))
    assert str(tmp_path).encode() not in (conversion.root / "plan/000000.parquet").read_bytes()

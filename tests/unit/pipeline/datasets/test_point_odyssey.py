from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets.point_odyssey import PointOdysseySource, depth_in_metres
from pipeline.datasets.projection import camera_from_world, project

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "dataset_conversions.npz"


def write_point_odyssey(scene, root: Path, *, name: str = "train/ani", file: str = "anno.npz", **changes) -> Path:
    """A scene as PointOdyssey v1.2; `changes` replace arrays of anno.npz."""
    folder = root / name
    for part in ("rgbs", "depths"):
        (folder / part).mkdir(parents=True)
    for index, picture in enumerate(scene.frames):
        cv2.imwrite(str(folder / "rgbs" / f"rgb_{index:05d}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
        stored = np.round(scene.depth[index] / 1000 * 65535).astype(np.uint16)
        stored[:4] = 65535  # a strip of sky
        cv2.imwrite(str(folder / "depths" / f"depth_{index:05d}.png"), stored)
    arrays = {
        "trajs_2d": scene.tracks2d.astype(np.float32),
        "trajs_3d": scene.world.astype(np.float32),
        "visibs": scene.visible,
        "valids": np.ones_like(scene.visible),
        "intrinsics": np.tile(scene.intrinsics, (scene.num_frames, 1, 1)),
        "extrinsics": np.linalg.inv(scene.camera_to_world),
    }
    np.savez_compressed(folder / file, **{**arrays, **changes})
    return root


def test_a_sequence_comes_back_as_it_was(plane_scene, tmp_path, convert):
    conversion = convert(PointOdysseySource(path=str(write_point_odyssey(plane_scene, tmp_path / "po"))))
    sample, kept = conversion.sample, plane_scene.visible.any(axis=0)
    to_first = np.linalg.inv(plane_scene.camera_to_world[0])
    np.testing.assert_allclose(sample.tracks2d, plane_scene.tracks2d[:, kept], atol=1e-3)
    np.testing.assert_array_equal(sample.visibility, plane_scene.visible[:, kept])
    np.testing.assert_allclose(sample.camera_to_world, to_first @ plane_scene.camera_to_world, atol=1e-5)
    np.testing.assert_allclose(sample.depth[:, 4:], plane_scene.depth[:, 4:], atol=0.5 * 1000 / 65535 + 0.005)
    assert sample.sky_mask[:, :4].all()
    assert (sample.depth[:, :4] == 0).all()
    assert not sample.sky_mask[:, 4:].any()
    static = np.ptp(sample.tracks3d_world, axis=0).max(axis=-1)[plane_scene.static[kept]]
    assert static.max() < 1e-4
    assert sample.split == "train"
    assert conversion.checks["projection"].worst < 0.01


def test_clips_are_cut_from_the_middle_of_the_annotation(plane_scene, tmp_path, convert):
    conversion = convert(PointOdysseySource(path=str(write_point_odyssey(plane_scene, tmp_path / "po"))), clip_frames=6)
    assert [len(sample.frames) for sample in conversion.samples] == [6, 6]
    second, kept = conversion.samples[1], plane_scene.visible[6:].any(axis=0)
    np.testing.assert_allclose(second.tracks2d, plane_scene.tracks2d[6:, kept], atol=1e-3)
    assert second.extra["first_frame"] == 6
    assert (second.visibility[second.query_frame, np.arange(len(second.query_frame))]).all()


def test_points_are_known_in_the_camera_of_their_frame(plane_scene, tmp_path, convert):
    sample = convert(PointOdysseySource(path=str(write_point_odyssey(plane_scene, tmp_path / "po")))).sample
    moved = camera_from_world(sample.tracks3d_world.astype(np.float64), sample.camera_to_world)
    np.testing.assert_allclose(sample.tracks3d, moved, atol=1e-4)
    assert np.abs(project(sample.tracks3d, sample.intrinsics) - sample.tracks2d).max() < 0.01


@pytest.mark.parametrize(
    ("finding", "change"),
    [
        ("w2c_for_c2w", lambda scene: {"extrinsics": scene.camera_to_world}),
        ("half_pixel_shift", lambda scene: {"trajs_2d": scene.tracks2d + 0.5}),
        ("mirrored_x", lambda scene: {"trajs_2d": (127, 0) + scene.tracks2d * (-1, 1)}),  # as v1.0 was
        ("visibility_inverted", lambda scene: {"visibs": ~scene.visible}),
    ],
)
def test_a_wrong_convention_fails_the_clip_by_name(finding, change, plane_scene, tmp_path, convert):
    written = write_point_odyssey(plane_scene, tmp_path / "po", **change(plane_scene))
    conversion = convert(PointOdysseySource(path=str(written)))
    assert conversion.samples == []
    assert f"{finding}: " in conversion.errors[0].message


def test_a_shift_of_tracks_and_camera_together_is_seen_by_the_depth(plane_scene, tmp_path, convert):
    """Projection agrees then; only the slopes of the depth say where the tracks really are. The depth must be fine enough for that."""
    scene, depth = plane_scene, np.round(plane_scene.depth * 1000 / 1000, 4)
    shifted = np.tile(scene.intrinsics, (12, 1, 1)) + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    source = PointOdysseySource(path=str(write_point_odyssey(scene, tmp_path / "po", trajs_2d=scene.tracks2d + 0.5, intrinsics=shifted)))
    (sequence,) = source.sequences()
    from dataclasses import replace

    from pipeline.datasets.validation import check_truth

    truth = replace(source.read(sequence, 0, 12), depth=depth.astype(np.float32))
    found = {check.name: check for check in check_truth(truth)}
    assert found["projection"].passed
    assert found["depth_alignment"].finding == "half_pixel_shift"
    assert not found["depth_alignment"].passed


def test_a_sequence_without_tracks_is_an_error_that_says_so(plane_scene, tmp_path, convert):
    written = write_point_odyssey(plane_scene, tmp_path / "po", trajs_3d=np.zeros((0,)))
    conversion = convert(PointOdysseySource(path=str(written)))
    assert "published without tracks" in conversion.errors[0].message


def test_an_annotation_of_ones_own_generator_run_has_no_valids(plane_scene, tmp_path):
    root = write_point_odyssey(plane_scene, tmp_path / "po", file="annotations.npz", valids=np.zeros(1))
    source = PointOdysseySource(path=str(root))
    (sequence,) = source.sequences()
    assert sequence.extra["annotation"] == "annotations.npz"


def test_golden_conversions():
    golden = np.load(GOLDEN)
    np.testing.assert_allclose(
        depth_in_metres(golden["pointodyssey/in/depth_u16"]), golden["pointodyssey/out/depth_m_canonical"], atol=1e-6
    )
    poses = np.linalg.inv(golden["pointodyssey/in/extrinsics_w2c"])[None]
    camera = camera_from_world(golden["pointodyssey/in/trajs_3d_world"][None], poses)
    np.testing.assert_allclose(camera[0, :, 2:], golden["pointodyssey/out/z"], atol=1e-6)
    pixels = project(camera, golden["pointodyssey/in/K"][None])
    np.testing.assert_allclose(pixels[0], golden["pointodyssey/out/trajs_2d"], atol=1e-6)

"""The reader of Neural RGB-D, on a hall written as one of its scenes."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.nrgbd import NrgbdSource
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError, DataError

FOCAL, SIZE = 60.5, (48, 64)
K = np.array([[FOCAL, 0, 32], [0, FOCAL, 24], [0, 0, 1]])
GL = np.diag([1.0, -1, -1, 1])


@pytest.fixture(scope="module")
def scene(hall):
    return hall(*SIZE, intrinsics=K, num_frames=11)


def write(folder: Path, scene, write_image, *, axes: np.ndarray = GL, lost: int | None = None) -> list[bytes]:
    files, poses = [], scene.camera_to_world @ axes
    for index in range(len(poses)):
        files.append(write_image(folder / f"images/img{index}.png", scene.frames[index]).read_bytes())
        depth = np.where(np.isfinite(scene.depth[index]), np.round(1000 * scene.depth[index]), 0).astype(np.uint16)
        write_image(folder / f"depth/depth{index}.png", depth)
    if lost is not None:
        poses[lost] = np.nan
    np.savetxt(folder / "poses.txt", poses.reshape(-1, 4), fmt="%.9f")
    (folder / "focal.txt").write_text(f"{FOCAL}\n")
    return files


def test_a_scene_comes_back_in_the_order_of_its_numbers(tmp_path, scene, write_image, worst_projection_px) -> None:
    files = write(tmp_path / "data/kitchen", scene, write_image, lost=4)  # img10 follows img9, not img1
    source = NrgbdSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == ("kitchen", 11, "test")
    clip = source.read(sequence, 0, 11)
    assert clip.images == tuple(files)
    assert clip.pose_valid.tolist() == [index != 4 for index in range(11)]
    near = np.isfinite(scene.depth) & (scene.depth < 9.99)
    np.testing.assert_allclose(clip.depth[near], scene.depth[near], atol=0.00051)
    assert (clip.depth[~np.isfinite(scene.depth) | (scene.depth > 10.01)] == 0).all()
    kept = [index for index in range(11) if index != 4]
    np.testing.assert_allclose(clip.camera_to_world[kept], scene.camera_to_world[kept], atol=1e-6)
    assert not failures(check_truth(clip))
    start = type(scene)(frames=scene.frames[:4], depth=scene.depth[:4], intrinsics=K, camera_to_world=scene.camera_to_world[:4])
    assert worst_projection_px(source.read(sequence, 0, 4), start) < 0.1
    np.testing.assert_allclose(source.read(sequence, 9, 2).camera_to_world, scene.camera_to_world[9:], atol=1e-6)


def test_poses_of_other_axes_would_be_seen(tmp_path, scene, write_image) -> None:
    write(tmp_path / "kitchen", scene, write_image, axes=np.eye(4))
    source = NrgbdSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 4)
    assert "opengl_axes" in [check.finding for check in failures(check_truth(clip))]


def test_too_few_poses_and_a_focal_file_of_two_numbers_are_errors(tmp_path, scene, write_image) -> None:
    folder = tmp_path / "kitchen"
    write(folder, scene, write_image)
    source = NrgbdSource(str(tmp_path))
    (sequence,) = source.sequences()
    (folder / "focal.txt").write_text("554\n554\n")
    with pytest.raises(DataError, match=r"focal\.txt: \[554\. 554\.\], expected one focal length"):
        source.read(sequence, 0, 2)
    lines = (folder / "poses.txt").read_text().splitlines()
    (folder / "poses.txt").write_text("\n".join(lines[:40]))
    with pytest.raises(DataError, match=r"poses\.txt: 40 rows, expected 4 of every frame up to number 10"):
        source.read(sequence, 9, 2)
    with pytest.raises(ConfigError, match="no nrgbd sequence found, expected files such as kitchen/images/img0.png"):
        NrgbdSource(str(folder / "depth")).sequences()

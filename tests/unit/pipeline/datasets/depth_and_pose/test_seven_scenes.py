"""The reader of 7-Scenes, on a hall written as its published files, and on walls known in closed form for the depth camera."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.seven_scenes import SevenScenesSource, depth_to_colour_camera
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import DataError

K = np.array([[525.0, 0, 320], [0, 525, 240], [0, 0, 1]])


@pytest.fixture(scope="module")
def scene(hall):
    return hall(480, 640, intrinsics=K, num_frames=3)


def write(folder: Path, scene, write_image, *, registered: bool = True) -> list[bytes]:
    """Depth in the colour camera as `.depth.proj.png`, and raw depth of 2 m everywhere."""
    files = []
    for index, pose in enumerate(scene.camera_to_world):
        stem = f"frame-{index:06d}"
        files.append(write_image(folder / f"{stem}.color.png", scene.frames[index]).read_bytes())
        depth = np.where(np.isfinite(scene.depth[index]), np.round(1000 * scene.depth[index]), 65535).astype(np.uint16)
        write_image(folder / f"{stem}.depth.png", np.full(depth.shape, 2000, np.uint16))
        if registered:
            write_image(folder / f"{stem}.depth.proj.png", depth)
        np.savetxt(folder / f"{stem}.pose.txt", pose, fmt="%.8f")
    (folder.parent / "TestSplit.txt").write_text("sequence3\nsequence5 \n")
    return files


def test_a_recording_comes_back_with_its_own_files(tmp_path, scene, write_image, worst_projection_px) -> None:
    files = write(tmp_path / "chess/seq-03", scene, write_image)
    source = SevenScenesSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split, sequence.scene) == ("chess/seq-03", 3, "test", "chess")
    clip = source.read(sequence, 0, 3)
    assert clip.images == tuple(files)
    near = np.isfinite(scene.depth) & (scene.depth < 9.99)
    assert near.mean() > 0.5
    np.testing.assert_allclose(clip.depth[near], scene.depth[near], atol=0.00051)
    assert (clip.depth[~np.isfinite(scene.depth) | (scene.depth > 10.01)] == 0).all()
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    np.testing.assert_allclose(clip.intrinsics[1], K)
    np.testing.assert_allclose(clip.frame_times, [0, 1 / 30, 2 / 30])
    assert worst_projection_px(clip, scene) < 0.3
    assert not failures(check_truth(clip))


def test_keyframes_alone_are_read_and_other_sequences_are_for_training(tmp_path, scene, write_image) -> None:
    write(tmp_path / "chess/seq-02", scene, write_image)
    source = SevenScenesSource(str(tmp_path), every=2)
    (sequence,) = source.sequences()
    assert (sequence.num_frames, sequence.split) == (2, "train")
    clip = source.read(sequence, 0, 2)
    np.testing.assert_array_equal(clip.frames, scene.frames[::2])
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world[::2], atol=1e-6)
    assert clip.meta["stride"] == 2


def test_published_depth_is_carried_into_the_colour_camera(tmp_path, scene, write_image) -> None:
    write(tmp_path / "chess/seq-03", scene, write_image, registered=False)
    source = SevenScenesSource(str(tmp_path))
    (sequence,) = source.sequences()
    depth = source.read(sequence, 1, 1).depth[0]
    expected = wall_in_colour_camera(np.array([0.0, 0, 1]), 2.0)
    seen = depth > 0
    assert 0.7 < seen.mean() < 0.85  # the depth camera sees (525 / 585)^2 of what the colour camera does
    np.testing.assert_allclose(depth[seen], expected[seen], atol=0.001)


def wall_in_colour_camera(normal: np.ndarray, offset: float) -> np.ndarray:
    """Depth of the plane normal · x = offset of the depth camera, at the pixels of the colour camera."""
    rotation = np.array([[0.999965, 0.002677, -0.007904], [-0.002741, 0.999963, -0.008150], [0.007882, 0.008172, 0.999936]])
    turned = rotation @ normal
    moved = offset + turned @ (-0.025559, 0.000101, 0.002032)
    y, x = np.mgrid[:480, :640]
    return moved / (turned[0] * (x - 320) / 525 + turned[1] * (y - 240) / 525 + turned[2])


def test_a_slanted_wall_lands_where_the_calibration_says_and_the_nearer_of_two_stays() -> None:
    normal, (y, x) = np.array([0.3, -0.2, 1.0]), np.mgrid[:480, :640]
    rays = np.stack([(x - 319.5) / 585, (y - 239.5) / 585, np.ones(x.shape)], axis=-1)
    wall = (2.5 / (rays @ normal)).astype(np.float32)
    carried, expected = depth_to_colour_camera(wall), wall_in_colour_camera(normal, 2.5)
    seen = carried > 0
    np.testing.assert_allclose(carried[seen], expected[seen], rtol=0.0006)  # half a pixel of slope
    unmoved = np.abs(wall - expected)[seen]  # the cameras stand 2.6 cm apart and see differently far
    assert np.abs(carried - expected)[seen].mean() < unmoved.mean() / 20
    both = depth_to_colour_camera(np.where((x + y) % 2, wall, wall / 2))
    assert (both[seen] < 0.8 * expected[seen]).mean() > 0.5
    assert not depth_to_colour_camera(np.zeros((480, 640), np.float32)).any()


def test_a_missing_split_file_and_another_size_are_errors(tmp_path, scene, hall, write_image) -> None:
    folder = tmp_path / "chess/seq-03"
    write(folder, scene, write_image)
    source = SevenScenesSource(str(tmp_path))
    (sequence,) = source.sequences()
    write(folder, hall(48, 64, num_frames=3), write_image)
    with pytest.raises(DataError, match=r"frame-000000\.color\.png: \(48, 64\) pixels"):
        source.read(sequence, 0, 3)
    np.savetxt(folder / "frame-000001.pose.txt", np.eye(4)[:3])
    write_image(folder / "frame-000001.color.png", scene.frames[1])
    write_image(folder / "frame-000001.depth.proj.png", np.zeros((480, 640), np.uint16))
    with pytest.raises(DataError, match=r"frame-000001\.pose\.txt: 3 rows, expected the 4 of a pose"):
        source.read(sequence, 1, 1)
    (folder.parent / "TestSplit.txt").write_text("seq-03")
    with pytest.raises(DataError, match=r"TestSplit\.txt: \['seq-03'\], expected lines such as sequence3"):
        source.sequences()
    (folder.parent / "TestSplit.txt").unlink()
    with pytest.raises(DataError, match=r"TestSplit\.txt: there is no such file"):
        source.sequences()

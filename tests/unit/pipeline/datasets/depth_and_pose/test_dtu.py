"""The reader of DTU, on a hall written as one of its scans, in millimetres."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.dtu import DtuSource, read_mvsnet_camera
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import DataError

SIZE = (48, 64)


@pytest.fixture(scope="module")
def scene(hall):
    return hall(*SIZE, num_frames=4)


def write(folder: Path, scene, write_image, *, inverse: bool = False) -> list[bytes]:
    """Depth in millimetres, nan in the sky; the object is all but the left ten columns, its mask twice as large."""
    files = []
    for part in ("cams", "depths"):
        (folder / part).mkdir(parents=True)
    for index, pose in enumerate(scene.camera_to_world):
        name, camera = f"{index:08d}", pose if inverse else np.linalg.inv(pose)
        files.append(write_image(folder / f"images/{name}.jpg", scene.frames[index]).read_bytes())
        np.save(
            folder / f"depths/{name}.npy", np.where(np.isfinite(scene.depth[index]), 1000 * scene.depth[index], np.nan).astype(np.float32)
        )
        mask = np.zeros((2 * SIZE[0], 2 * SIZE[1]), np.uint8)
        mask[:, 20:] = 255
        write_image(folder / f"binary_masks/{name}.png", mask)
        camera = np.r_[camera[:3] * [1, 1, 1, 1000], [[0, 0, 0, 1]]]
        rows = [["extrinsic"], *camera.tolist(), [], ["intrinsic"], *scene.intrinsics.tolist(), [], [425.0, 2.5]]
        (folder / f"cams/{name}_cam.txt").write_text("\n".join(" ".join(map(str, row)) for row in rows))
    return files


def test_a_scan_comes_back_in_metres(tmp_path, scene, write_image, worst_projection_px) -> None:
    files = write(tmp_path / "dtu/scan9", scene, write_image)
    source = DtuSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == ("scan9", 4, "test")
    clip = source.read(sequence, 0, 4)
    assert (clip.images, clip.image_suffix) == (tuple(files), "jpg")
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-5)
    known = np.isfinite(scene.depth)
    inner = np.zeros_like(known)
    inner[:, :, 15:] = True  # 10 columns without the object, and 5 of the margin
    np.testing.assert_allclose(clip.depth[known & inner], scene.depth[known & inner], rtol=1e-6)
    assert not clip.depth[~(known & inner)].any()
    assert worst_projection_px(clip, scene) < 0.01
    assert not failures(check_truth(clip))


def test_camera_to_world_matrices_would_be_seen(tmp_path, scene, write_image) -> None:
    write(tmp_path / "scan9", scene, write_image, inverse=True)
    source = DtuSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 4)
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


@pytest.mark.parametrize("text", ["", "intrinsic 1 2 3", "extrinsic " + "1 " * 16 + "intrinsic 1 2"])
def test_what_is_no_camera_file_is_an_error(tmp_path, text) -> None:
    (tmp_path / "a_cam.txt").write_text(text)
    with pytest.raises(DataError, match=r"a_cam\.txt: not `extrinsic` and 16 numbers"):
        read_mvsnet_camera(str(tmp_path / "a_cam.txt"))

"""The reader of Spring, on a hall written with its disparity in HDF5."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.datasets.spring import SpringSource, disparity_to_depth
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError, DataError

GOLDEN = Path(__file__).parents[4] / "golden/metrics/dataset_conversions.npz"


@pytest.fixture(scope="module")
def scene(hall):
    return hall(54, 96, num_frames=4)


def write(root: Path, scene, write_image, *, poses=None) -> Path:
    folder = root / "spring/train/0005"
    (folder / "cam_data").mkdir(parents=True)
    (folder / "disp1_left").mkdir()
    K, extrinsics = scene.intrinsics, []
    for index, pose in enumerate(scene.camera_to_world if poses is None else poses):
        write_image(folder / f"frame_left/frame_left_{index + 1:04d}.png", scene.frames[index])
        disparity = np.full((108, 192), np.nan, np.float32)  # what lies between is not to be read
        disparity[::2, ::2] = K[0, 0] * 0.065 / scene.depth[index]  # 0 where there is sky
        with h5py.File(folder / f"disp1_left/disp1_left_{index + 1:04d}.dsp5", "w") as file:
            file.create_dataset("disparity", data=disparity, compression="gzip", compression_opts=5)
        extrinsics.append(np.linalg.inv(pose).ravel())
    np.savetxt(folder / "cam_data/extrinsics.txt", extrinsics)
    np.savetxt(folder / "cam_data/intrinsics.txt", np.tile([K[0, 0], K[1, 1], K[0, 2], K[1, 2]], (len(extrinsics), 1)))
    return folder


def test_a_sequence_comes_back_as_it_was_written(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path, scene, write_image)
    source = SpringSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames) == ("train/0005", 4)
    clip = source.read(sequence, 0, 4)
    np.testing.assert_array_equal(clip.frames, scene.frames)
    np.testing.assert_allclose(clip.depth, np.where(np.isfinite(scene.depth), scene.depth, 0), rtol=1e-6)
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    assert worst_projection_px(clip, scene) < 0.01
    assert not failures(check_truth(clip))
    np.testing.assert_allclose(source.read(sequence, 2, 2).camera_to_world, scene.camera_to_world[2:], atol=1e-6)


def test_camera_to_world_matrices_would_be_seen(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path, scene, write_image, poses=np.linalg.inv(scene.camera_to_world))
    source = SpringSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 4)
    assert worst_projection_px(clip, scene) > 3
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


def test_the_golden_disparities_become_the_golden_depths() -> None:
    golden = np.load(GOLDEN)
    depth = disparity_to_depth(golden["spring/in/disparity_subsampled"], float(golden["spring/in/fx"]))
    np.testing.assert_allclose(depth, golden["spring/out/depth_m"], atol=1e-6)


def test_a_broken_file_is_named(tmp_path, scene, write_image) -> None:
    folder = write(tmp_path, scene, write_image)
    (folder / "disp1_left/disp1_left_0002.dsp5").write_bytes(b"not HDF5")
    source = SpringSource(str(tmp_path))
    (sequence,) = source.sequences()
    with pytest.raises(DataError, match=r"disp1_left_0002\.dsp5: 8 bytes without an HDF5 array `disparity`"):
        source.read(sequence, 0, 4)
    (folder / "cam_data/intrinsics.txt").write_text("1 1 0 0\n")
    with pytest.raises(DataError, match=r"intrinsics\.txt: 1 rows, but images are numbered 1 to 4"):
        source.read(sequence, 0, 4)


def test_without_h5py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"\.venv/bin/pip install -e '\.\[datasets\]'"):
        SpringSource(str(tmp_path))


def test_flow_is_read_where_it_is_asked_for(tmp_path, scene, write_image, forward_flow, check_flow) -> None:
    folder, flow = write(tmp_path, scene, write_image), forward_flow(scene)
    (folder / "flow_FW_left").mkdir()
    for index, vectors in enumerate(flow):
        stored = np.full((108, 192, 2), 1e4, np.float32)  # what lies between is not to be read
        stored[::2, ::2] = vectors
        with h5py.File(folder / f"flow_FW_left/flow_FW_left_{index + 1:04d}.flo5", "w") as file:
            file.create_dataset("flow", data=stored)
    source = SpringSource(str(tmp_path), flow=True)
    check_flow(source.read(source.sequences()[0], 0, 4), flow, atol=1e-4)
    check_flow(source.read(source.sequences()[0], 1, 3), flow[1:], atol=1e-4)

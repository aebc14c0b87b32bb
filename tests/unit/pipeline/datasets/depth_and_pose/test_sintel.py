"""The reader of Sintel, on a hall written in its binary files, and on the golden ones."""

import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.poses import inverse_poses
from pipeline.datasets.sintel import SintelSource, read_cam, read_dpt
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError, DataError

GOLDEN = Path(__file__).parents[4] / "golden/metrics/dataset_conversions.npz"
SKY = 7e4  # what renders as far away is a number here


@pytest.fixture(scope="module")
def scene(hall):
    return hall(44, 100, num_frames=3)


def write(training: Path, scene, write_image, *, poses=None) -> list[bytes]:
    """Both passes; returns the image files of the final one."""
    files = []
    for index, pose in enumerate(scene.camera_to_world if poses is None else poses):
        name = f"frame_{index + 1:04d}"
        write_image(training / f"clean/alley_2/{name}.png", 255 - scene.frames[index])
        files.append(write_image(training / f"final/alley_2/{name}.png", scene.frames[index]).read_bytes())
        depth = np.where(np.isfinite(scene.depth[index]), scene.depth[index], SKY).astype("<f4")
        camera = np.concatenate([scene.intrinsics.ravel(), np.linalg.inv(pose)[:3].ravel()])
        for part, suffix, data in (
            ("depth", "dpt", struct.pack("<fii", 202021.25, depth.shape[1], depth.shape[0]) + depth.tobytes()),
            ("camdata_left", "cam", struct.pack("<f21d", 202021.25, *camera)),
        ):
            path = training / part / "alley_2" / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return files


@pytest.mark.parametrize("root", ["sintel", "sintel/training"])
def test_both_passes_come_back_with_their_own_files(tmp_path, scene, write_image, worst_projection_px, root) -> None:
    files = write(tmp_path / "sintel/training", scene, write_image)
    source = SintelSource(str(tmp_path / root))
    clean, final = source.sequences()
    assert (clean.name, final.name, final.split, final.scene) == ("clean/alley_2", "final/alley_2", "test", "alley_2")
    clip = source.read(final, 0, 3)
    assert source.keep_images
    assert clip.images == tuple(files)
    np.testing.assert_array_equal(clip.frames, scene.frames)
    np.testing.assert_array_equal(clip.depth, np.where(np.isfinite(scene.depth), scene.depth, SKY).astype(np.float32))
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    np.testing.assert_allclose(clip.intrinsics, np.tile(scene.intrinsics, (3, 1, 1)), rtol=1e-6)
    assert worst_projection_px(clip, scene) < 0.01
    assert not failures(check_truth(clip))
    assert not clip.is_metric
    np.testing.assert_array_equal(source.read(clean, 1, 2).frames, 255 - scene.frames[1:])


def test_camera_to_world_matrices_would_be_seen(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path / "training", scene, write_image, poses=np.linalg.inv(scene.camera_to_world))
    source = SintelSource(str(tmp_path))
    clip = source.read(source.sequences()[1], 0, 3)
    assert worst_projection_px(clip, scene) > 3
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


def test_the_golden_files_give_the_golden_camera_and_depth(tmp_path) -> None:
    golden = np.load(GOLDEN)
    (tmp_path / "a.cam").write_bytes(golden["sintel/in/cam_bytes"].tobytes())
    (tmp_path / "a.dpt").write_bytes(golden["sintel/in/dpt_bytes"].tobytes())
    camera = read_cam(str(tmp_path / "a.cam"))
    np.testing.assert_allclose(camera.intrinsics, golden["sintel/out/K"], atol=1e-6)
    np.testing.assert_allclose(camera.world_to_camera, golden["sintel/out/w2c"], atol=1e-6)
    np.testing.assert_allclose(inverse_poses(camera.world_to_camera[None])[0], golden["sintel/out/c2w"], atol=1e-6)
    np.testing.assert_array_equal(read_dpt(str(tmp_path / "a.dpt")), golden["sintel/out/depth"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"begins with 0\.0"),
        (struct.pack(">f", 202021.25), "expected the tag 202021.25"),
        (struct.pack("<fii", 202021.25, 3, 2), "36"),
    ],
)
def test_what_is_no_depth_file_is_an_error(tmp_path, data, message) -> None:
    (tmp_path / "a.dpt").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_dpt(str(tmp_path / "a.dpt"))


def test_flow_is_read_where_it_is_asked_for_and_leaves_out_what_is_marked_invalid(tmp_path, scene, write_image, forward_flow, check_flow):
    training = tmp_path / "sintel/training"
    write(training, scene, write_image)
    flow = forward_flow(scene)
    (training / "flow/alley_2").mkdir(parents=True)
    for index, vectors in enumerate(flow):
        stored = np.where(np.isfinite(vectors), vectors, 1e10).astype("<f4")
        data = struct.pack("<fii", 202021.25, vectors.shape[1], vectors.shape[0]) + stored.tobytes()
        (training / f"flow/alley_2/frame_{index + 1:04d}.flo").write_bytes(data)
    mask = np.zeros((*flow.shape[1:3], 3), np.uint8)
    mask[30, 50] = 255
    write_image(training / "invalid/alley_2/frame_0001.png", mask)
    assert SintelSource(str(tmp_path)).read(SintelSource(str(tmp_path)).sequences()[1], 0, 3).flow is None
    source = SintelSource(str(tmp_path), flow=True)
    final = source.sequences()[1]
    assert final.extra["flow"]
    flow[0, 30, 50] = np.nan
    check_flow(source.read(final, 0, 3), flow, atol=1e-4)
    check_flow(source.read(final, 1, 2), flow[1:], atol=1e-4)
    (training / "flow/alley_2/frame_0002.flo").unlink()
    with pytest.raises(DataError, match=r"flow/alley_2/frame_0002.flo: there is no such file"):
        source.read(final, 0, 3)
    with pytest.raises(ConfigError, match="--option flow is 'yes', expected true or false"):
        SintelSource(str(tmp_path), flow="yes")

"""The reader of Virtual KITTI 2, on a hall written as its parts are."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.datasets.validation import check_truth, failures
from pipeline.datasets.virtual_kitti import VirtualKittiSource
from pipeline.errors import DataError

GOLDEN = Path(__file__).parents[4] / "golden/metrics/dataset_conversions.npz"
TOPS = {"rgb": "vkitti_2.0.3_rgb", "depth": "vkitti_2.0.3_depth", "text": "vkitti_2.0.3_textgt", "ids": "vkitti_2.0.3_instanceSegmentation"}
MERGED = dict.fromkeys(TOPS, ".")


@pytest.fixture(scope="module")
def scene(hall):
    return hall(60, 96, num_frames=4)


def write(root: Path, scene, write_image, *, tops=TOPS, cameras_to_world=None, camera: int = 0) -> None:
    poses = scene.camera_to_world if cameras_to_world is None else cameras_to_world
    K = scene.intrinsics
    extrinsics = ["frame cameraID r1,1 r1,2 r1,3 t1 r2,1 r2,2 r2,3 t2 r3,1 r3,2 r3,3 t3 0 0 0 1"]
    intrinsics = ["frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]"]
    for index, pose in enumerate(poses):
        at = f"Scene06/fog/frames/{{}}/Camera_{camera}"
        write_image(root / tops["rgb"] / at.format("rgb") / f"rgb_{index:05d}.jpg", scene.frames[index])
        centimetres = np.where(np.isfinite(scene.depth[index]), np.round(100 * scene.depth[index]), 65535).astype(np.uint16)
        write_image(root / tops["depth"] / at.format("depth") / f"depth_{index:05d}.png", centimetres)
        for other, matrix in ((camera, np.linalg.inv(pose)), (1 - camera, np.eye(4))):
            extrinsics.append(f"{index} {other} " + " ".join(f"{value:.9g}" for value in matrix.ravel()))
            intrinsics.append(f"{index} {other} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}" if other == camera else f"{index} {other} 1 1 0 0")
    text = root / tops["text"] / "Scene06/fog"
    text.mkdir(parents=True, exist_ok=True)
    (text / "extrinsic.txt").write_text("\n".join(extrinsics))
    (text / "intrinsic.txt").write_text("\n".join(intrinsics))


def write_indexed(path: Path, indices: np.ndarray) -> None:
    """A PNG with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 2], palette[:, 3] = np.arange(256)[::-1], 255
    target = io.BytesIO()
    with av.open(target, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = *indices.shape, "pal8"
        container.mux(stream.encode(av.VideoFrame.from_ndarray((indices, palette), format="pal8")))
        container.mux(stream.encode(None))
    path.write_bytes(target.getvalue())


@pytest.mark.parametrize("tops", [TOPS, MERGED])
def test_a_drive_comes_back_as_it_was_written(tmp_path, scene, write_image, worst_projection_px, tops) -> None:
    write(tmp_path, scene, write_image, tops=tops, camera=1)
    source = VirtualKittiSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.scene) == ("Scene06/fog/Camera_1", 4, "Scene06")
    clip = source.read(sequence, 0, 4)
    assert np.abs(clip.frames.astype(int) - scene.frames).mean() < 3  # JPEG
    seen = np.isfinite(scene.depth)
    assert np.abs(clip.depth - scene.depth)[seen].max() <= 0.0051  # centimetres
    np.testing.assert_array_equal(clip.sky_mask, ~seen)
    np.testing.assert_array_equal(clip.depth == 0, ~seen)
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    assert worst_projection_px(clip, scene) < 0.3
    assert not failures(check_truth(clip))
    assert clip.dynamic_mask is None
    assert clip.license == "CC-BY-NC-SA-3.0"


def test_camera_to_world_matrices_in_the_text_would_be_seen(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path, scene, write_image, cameras_to_world=np.linalg.inv(scene.camera_to_world))
    source = VirtualKittiSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 4)
    assert worst_projection_px(clip, scene) > 3
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


def test_depth_in_millimetres_would_be_seen(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path, scene, write_image)
    for index, depth in enumerate(np.where(np.isfinite(scene.depth), scene.depth, 0)):
        path = tmp_path / f"vkitti_2.0.3_depth/Scene06/fog/frames/depth/Camera_0/depth_{index:05d}.png"
        write_image(path, (1000 * depth).astype(np.uint16))
    source = VirtualKittiSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 4)
    assert worst_projection_px(clip, scene) > 0.3


def test_moving_vehicles_are_dynamic_and_parked_ones_are_not(tmp_path, scene, write_image) -> None:
    write(tmp_path, scene, write_image)
    header = "frame cameraID trackID left right top bottom number_pixels truncation_ratio occupancy_ratio isMoving"
    rows = [
        "0 0 0 1 2 3 4 9 0 1 True",
        "0 0 1 1 2 3 4 9 0 1 False",
        "0 1 1 1 2 3 4 9 0 1 True",
        "1 0 0 1 2 3 4 9 0 1 0",
        "1 0 1 1 2 3 4 9 0 1 1",
    ]
    (tmp_path / TOPS["text"] / "Scene06/fog/bbox.txt").write_text("\n".join([header, *rows]))
    indices = np.zeros((60, 96), np.uint8)
    indices[10:20, 5:30], indices[30:40, 50:90] = 1, 2  # track 0, track 1
    for index in range(4):
        name = f"Scene06/fog/frames/instanceSegmentation/Camera_0/instancegt_{index:05d}.png"
        write_indexed(tmp_path / TOPS["ids"] / name, indices)
    source = VirtualKittiSource(str(tmp_path))
    mask = source.read(source.sequences()[0], 0, 3).dynamic_mask
    np.testing.assert_array_equal(mask, np.stack([indices == 1, indices == 2, indices == 9]))


def test_a_frame_that_the_text_does_not_know_is_named(tmp_path, scene, write_image) -> None:
    write(tmp_path, scene, write_image)
    path = tmp_path / TOPS["text"] / "Scene06/fog/extrinsic.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:5]))
    source = VirtualKittiSource(str(tmp_path))
    with pytest.raises(DataError, match=r"extrinsic\.txt: no row for frame 2 of camera 0"):
        source.read(source.sequences()[0], 0, 4)


def test_the_golden_text_and_depth_give_the_golden_cameras_and_sky(tmp_path, write_image) -> None:
    golden = np.load(GOLDEN)
    text = tmp_path / "Scene01/clone"
    text.mkdir(parents=True)
    (text / "extrinsic.txt").write_text(str(golden["vkitti2/in/extrinsic_txt"]))
    (text / "intrinsic.txt").write_text(str(golden["vkitti2/in/intrinsic_txt"]))
    for camera in (0, 1):
        for index in range(3):
            write_image(text / f"frames/rgb/Camera_{camera}/rgb_{index:05d}.jpg", np.zeros((1, 6, 3), np.uint8))
            write_image(text / f"frames/depth/Camera_{camera}/depth_{index:05d}.png", golden["vkitti2/in/depth_u16"][None])
    source = VirtualKittiSource(str(tmp_path))
    for camera, sequence in enumerate(source.sequences()):
        clip = source.read(sequence, 0, 3)
        np.testing.assert_allclose(clip.camera_to_world, golden["vkitti2/out/c2w"][:, camera], atol=1e-6)
        np.testing.assert_allclose(clip.intrinsics[2], golden["vkitti2/out/K"], rtol=1e-7)
        np.testing.assert_allclose(clip.depth[1, 0], golden["vkitti2/out/depth_m_canonical"], atol=1e-6)
        np.testing.assert_array_equal(clip.sky_mask[1, 0], golden["vkitti2/out/sky"])


def test_flow_is_read_where_it_is_asked_for(tmp_path, scene, write_image, forward_flow, check_flow) -> None:
    write(tmp_path, scene, write_image)
    flow = forward_flow(scene)
    height, width = flow.shape[1:3]
    flow[(np.abs(flow) > [width - 1, height - 1]).any(-1)] = np.nan  # what the files cannot hold
    folder = tmp_path / "vkitti_2.0.3_forwardFlow/Scene06/fog/frames/forwardFlow/Camera_0"
    for index, vectors in enumerate(flow):
        codes = np.rint((np.nan_to_num(vectors) / [width - 1, height - 1] + 1) / 2 * 65535)
        write_image(folder / f"flow_{index:05d}.png", np.dstack([codes, 65535 * np.isfinite(vectors[..., 0])]).astype(np.uint16))
    source = VirtualKittiSource(str(tmp_path), flow=True)
    check_flow(source.read(source.sequences()[0], 0, 4), flow, atol=0.51 * 2 * (width - 1) / 65535)
    write_image(folder / "flow_00001.png", np.zeros((height, width), np.uint16))
    with pytest.raises(DataError, match=r"flow_00001.png: \d+ bytes that are no PNG of three channels with 16 bits"):
        source.read(source.sequences()[0], 0, 4)

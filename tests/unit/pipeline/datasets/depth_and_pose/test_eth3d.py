"""The reader of ETH3D, on a slanted wall photographed through its lens model, all of it known in closed form."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.datasets.colmap import read_cameras
from pipeline.datasets.eth3d import Eth3dSource
from pipeline.errors import ConfigError, DataError
from pipeline.video.images import decode_image

SIZE = (200, 300)
CAMERA = "0 THIN_PRISM_FISHEYE 300 200 170 171 151.2 98.7 -0.02 0.01 0.001 -0.0008 -0.003 0.001 0.0006 -0.0005"
NORMAL, OFFSET = np.array([0.2, -0.3, 1.0]), 4.0  # normal · x = offset, in the camera


def colour(points: np.ndarray) -> np.ndarray:
    """Of the wall where the plane z = 1 is crossed, smooth."""
    x, y = points[..., 0], points[..., 1]
    return np.stack([128 + 90 * np.sin(3 * x), 128 + 90 * np.cos(2 * y), 128 + 60 * np.sin(2 * x + y)], axis=-1)


def depth(points: np.ndarray) -> np.ndarray:
    return OFFSET / (points @ NORMAL[:2] + 1)


def undistorted(camera, pixels: np.ndarray) -> np.ndarray:
    """Points of the plane z = 1 that the lens puts on these pixels: the inverse of its model, by iteration."""
    points = (pixels - camera.centre) / camera.focal
    for _ in range(60):
        points = points + 1.2 * (pixels - camera.distort(points)) / camera.focal
    np.testing.assert_allclose(camera.distort(points), pixels, atol=1e-4)
    return points


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A photograph with its depth, sky in one corner, and its calibration."""
    folder = tmp_path / "courtyard"
    for part in ("images/dslr_images", "ground_truth_depth/dslr_images", "dslr_calibration_jpg"):
        (folder / part).mkdir(parents=True)
    (folder / "dslr_calibration_jpg/cameras.txt").write_text(f"# Camera list\n{CAMERA}\n")
    pose = np.r_[Rotation.from_euler("xyz", [10, -20, 5], degrees=True).as_quat()[[3, 0, 1, 2]], 0.5, -0.25, 2.0]
    line = " ".join(f"{value:.9f}" for value in pose)
    text = f"# Image list\n1 {line} 0 dslr_images/DSC_0286.JPG\n10.5 20.5 -1 30.5 40.5 7\n2 {line} 0 dslr_images/DSC_0287.JPG\n\n"
    (folder / "dslr_calibration_jpg/images.txt").write_text(text)
    camera = read_cameras(str(folder / "dslr_calibration_jpg/cameras.txt"))[0]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    points = undistorted(camera, np.stack([x, y], -1) + 0.5)
    stored = np.where((x < 90) & (y < 60), np.inf, depth(points)).astype("<f4")
    for name in ("DSC_0286", "DSC_0287"):
        picture = np.uint8(np.round(colour(points)))
        cv2.imwrite(str(folder / f"images/dslr_images/{name}.JPG"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
        (folder / f"ground_truth_depth/dslr_images/{name}.JPG").write_bytes(stored.tobytes())
    return folder


@pytest.mark.parametrize("long_side", [300, 150])
def test_a_photograph_is_undistorted_with_its_depth(scene, long_side) -> None:
    source = Eth3dSource(str(scene.parent), long_side=long_side)
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == ("courtyard", 2, "test")
    clip = source.read(sequence, 0, 2)
    assert clip.frames.shape == (2, long_side * 2 // 3, long_side, 3)
    np.testing.assert_array_equal(decode_image(clip.images[1], "image"), clip.frames[1])
    y, x = np.mgrid[: clip.frames.shape[1], :long_side]
    K = clip.intrinsics[0].astype(float)
    points = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]], axis=-1)
    assert np.abs(clip.frames[0] - colour(points))[2:-2, 2:-2].mean() < 1.5
    seen = clip.depth[0] > 0
    assert 0.9 < seen.mean() < 0.95  # the corner without depth, smaller than in the photograph: a lens without distortion sees less
    np.testing.assert_allclose(clip.depth[0][seen], depth(points)[seen], rtol=0.006)  # of the nearest pixel
    assert np.abs(clip.depth[0][seen] / depth(points)[seen] - 1).mean() < 0.001
    rotation = Rotation.from_euler("xyz", [10, -20, 5], degrees=True).as_matrix()
    np.testing.assert_allclose(clip.camera_to_world[0][:3, :3], rotation.T, atol=1e-6)
    np.testing.assert_allclose(clip.camera_to_world[0][:3, 3], -rotation.T @ (0.5, -0.25, 2.0), atol=1e-6)


def test_photographs_are_never_enlarged(scene) -> None:
    source = Eth3dSource(str(scene.parent))
    assert source.read(source.sequences()[0], 0, 1).frames.shape == (1, *SIZE, 3)


def test_bad_files_are_errors(scene) -> None:
    source = Eth3dSource(str(scene.parent), long_side=60)
    (sequence,) = source.sequences()
    raw = scene / "ground_truth_depth/dslr_images/DSC_0286.JPG"
    raw.write_bytes(raw.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"DSC_0286\.JPG: 239996 bytes, expected 240000 of 300x200 float32"):
        source.read(sequence, 0, 1)
    images = scene / "dslr_calibration_jpg/images.txt"
    images.write_text(images.read_text().replace("DSC_0287", "DSC_0288"))
    with pytest.raises(DataError, match=r"DSC_0287\.JPG: no such image, or not its camera, in .*dslr_calibration_jpg"):
        source.read(sequence, 1, 1)
    cameras = scene / "dslr_calibration_jpg/cameras.txt"
    cameras.write_text(CAMERA.replace("300 200", "310 200"))
    with pytest.raises(DataError, match=r"\(200, 300\) pixels \(H, W\), its camera has \(200, 310\)"):
        source.read(sequence, 0, 1)
    with pytest.raises(ConfigError, match="--option long_side is 'big', expected a whole number of pixels"):
        Eth3dSource(str(scene), long_side="big")

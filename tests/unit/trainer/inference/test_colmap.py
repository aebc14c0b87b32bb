"""COLMAP's layout: what is written is read by a reader of its published format, and by COLMAP's own, and projects to its own pixels."""

import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import DataError
from tests.unit.trainer.inference.sequences import FOCAL, H, W, part, walk
from trainer.inference import Reconstruction
from trainer.inference.colmap import write_colmap

NUM_FRAMES = 3


@pytest.fixture
def model(tmp_path):
    """A known walk, and the folder of its model."""
    whole = walk(NUM_FRAMES)
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        made.append(whole, first=0)
        assert write_colmap(str(tmp_path / "colmap"), made) == made.num_points > 50
    return whole, tmp_path / "colmap"


class Reader:
    """Values of one binary file, one after the other, little-endian and unpadded."""

    def __init__(self, path):
        self.data, self.place = path.read_bytes(), 0

    def take(self, layout: str):
        values = struct.unpack_from(f"<{layout}", self.data, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return values if len(values) > 1 else values[0]

    def text(self) -> str:
        end = self.data.index(b"\0", self.place)
        found, self.place = self.data[self.place : end].decode(), end + 1
        return found

    def ends(self) -> bool:
        return self.place == len(self.data)


def read_points(sparse):
    reader = Reader(sparse / "points3D.bin")
    points = {}
    for _ in range(reader.take("Q")):
        number, *values = reader.take("Q3d3Bd")
        track = [reader.take("ii") for _ in range(reader.take("Q"))]
        points[number] = (np.array(values[:3]), values[3:6], values[6], track)
    assert reader.ends()
    return points


def read_cameras(sparse):
    reader = Reader(sparse / "cameras.bin")
    cameras = {}
    for _ in range(reader.take("Q")):
        number, kind, *size = reader.take("iiQQ")
        assert (kind, size) == (1, [W, H])  # PINHOLE
        cameras[number] = reader.take("4d")
    assert reader.ends()
    return cameras


def test_points_project_to_their_pixels_in_the_published_layout(model):
    whole, folder = model
    cameras, points = read_cameras(folder / "sparse/0"), read_points(folder / "sparse/0")
    reader = Reader(folder / "sparse/0/images.bin")
    assert reader.take("Q") == NUM_FRAMES
    seen = 0
    for t in range(NUM_FRAMES):
        number, w, x, y, z, *translation, camera = reader.take("i7di")
        name = reader.text()
        assert name == f"{t:06d}.png"
        np.testing.assert_array_equal(cv2.imread(str(folder / "images" / name))[..., ::-1], whole.frames[t])
        fx, fy, cx, cy = cameras[camera]
        assert (fx, fy, cx, cy) == pytest.approx((FOCAL, FOCAL, W / 2, H / 2), rel=1e-5)  # corners of pixels, not centres
        for place in range(reader.take("Q")):
            u, v, point = reader.take("ddq")
            position, colour, error, track = points[point]
            assert error < 1e-3
            assert track == [(number, place)]
            at = Rotation.from_quat([x, y, z, w]).apply(position) + translation
            assert (fx * at[0] / at[2] + cx, fy * at[1] / at[2] + cy) == pytest.approx((u, v), abs=1e-3)
            assert tuple(colour) == tuple(whole.frames[t, int(v), int(u)])
            seen += 1
    assert reader.ends()
    assert seen == len(points)


def test_colmap_reads_it(model):
    pycolmap = pytest.importorskip("pycolmap")
    whole, folder = model
    found = pycolmap.Reconstruction(str(folder / "sparse/0"))
    assert found.num_images() == NUM_FRAMES
    for number, image in found.images.items():
        pose = np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]])
        np.testing.assert_allclose(np.linalg.inv(pose), whole.camera_to_world[number - 1], atol=1e-5)
        for observation in image.points2D:
            pixel = image.project_point(found.points3D[observation.point3D_id].xyz)
            np.testing.assert_allclose(pixel, observation.xy, atol=1e-3)


def test_frames_whose_camera_was_not_found_are_left_out(tmp_path):
    whole = replace(walk(NUM_FRAMES), camera_found=np.array([True, False, True]))
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        made.append(whole, first=0)
        assert write_colmap(str(tmp_path / "colmap"), made) < made.num_points
    assert [path.name for path in sorted((tmp_path / "colmap/images").iterdir())] == ["000000.png", "000002.png"]
    assert Reader(tmp_path / "colmap/sparse/0/images.bin").take("Q") == 2
    assert {track[0][0] for *_, track in read_points(tmp_path / "colmap/sparse/0").values()} == {1, 3}  # numbers of images


def test_points_that_the_cameras_do_not_fit_carry_their_error(tmp_path):
    whole = walk(2)
    right = whole.camera_to_world[:, None, None, :3, 0]
    aside = replace(whole, points=whole.points + 0.1 * whole.depth[..., None] * right)  # a tenth of the depth, at every depth
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        made.append(aside, first=0)
        write_colmap(str(tmp_path / "colmap"), made)
    errors = [error for _, _, error, _ in read_points(tmp_path / "colmap/sparse/0").values()]
    assert errors == pytest.approx([0.1 * FOCAL] * len(errors), rel=1e-3)


def test_without_a_camera_there_is_no_model(tmp_path):
    mirrored = part(walk(2), 0, 2)
    mirrored.local_points[..., 0] *= -1
    with Reconstruction(str(tmp_path), least_confidence=0.1) as made:
        made.append(mirrored, first=0)
        with pytest.raises(DataError, match="no pinhole camera"):
            write_colmap(str(tmp_path / "colmap"), made)
    assert not (tmp_path / "colmap").exists()

import gzip
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.datasets.dynamic_replica import DynamicReplicaSource
from pipeline.datasets.poses import Viewpoint, float16_bits_to_depth, pixel_centre_intrinsics, world_to_camera
from pipeline.errors import DataError

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "dataset_conversions.npz"
FLIP = np.diag([-1.0, -1, 1])


def viewpoint(scene, frame: int, *, transposed: bool = False) -> dict:
    height, width = scene.size
    w2c = np.linalg.inv(scene.camera_to_world[frame])
    rotation = (FLIP @ w2c[:3, :3]).T
    half = min(scene.size) / 2
    centre = scene.intrinsics[:2, 2] + 0.5  # from the corner
    return {
        "R": (rotation.T if transposed else rotation).tolist(),
        "T": (FLIP @ w2c[:3, 3]).tolist(),
        "focal_length": (scene.intrinsics[[0, 1], [0, 1]] / half).tolist(),
        "principal_point": ((np.array([width / 2, height / 2]) - centre) / half).tolist(),
        "intrinsics_format": "ndc_isotropic",
    }


def write_dynamic_replica(scene, root: Path, *, split: str = "valid", corner: float = 0.5, transposed: bool = False, scale: float = 2.0):
    """A scene in the published layout: left camera with trajectories, right camera (the same views) without."""
    records = []
    for camera in ("left", "right"):
        for part in ("images", "depths", "trajectories"):
            (root / split / f"seq_{camera}" / part).mkdir(parents=True)
        for index, picture in enumerate(scene.frames):
            folder = f"seq_{camera}"
            image, depth = f"{folder}/images/{index:04d}.png", f"{folder}/depths/{index:04d}.geometric.png"
            cv2.imwrite(str(root / split / image), picture[..., ::-1])
            cv2.imwrite(str(root / split / depth), (scene.depth[index] / scale).astype(np.float16).view(np.uint16))
            record = {
                "sequence_name": "seq",
                "frame_number": index,
                "frame_timestamp": index / 30,
                "camera_name": camera,
                "image": {"path": image, "size": list(scene.size)},
                "depth": {"path": depth, "scale_adjustment": scale},
                "viewpoint": viewpoint(scene, index, transposed=transposed),
            }
            if camera == "left":
                record["trajectories"] = {"path": f"{folder}/trajectories/{index:06d}.pth"}
                tracks = {
                    "img": torch.zeros(*scene.size, 3, dtype=torch.uint8),
                    "traj_2d": torch.tensor(np.c_[scene.tracks2d[index] + corner, np.zeros(len(scene.static))], dtype=torch.float32),
                    "traj_3d_world": torch.tensor(scene.world[index], dtype=torch.float32),
                    "verts_inds_vis": scene.visible[index],  # some fields are NumPy arrays: torch's own safe loader refuses them
                }
                torch.save(tracks, root / split / record["trajectories"]["path"])
            records.append(record)
    text = json.dumps(sorted(records, key=lambda record: -record["frame_number"]))  # order is not promised
    (root / split / f"frame_annotations_{split}.jgz").write_bytes(gzip.compress(text.encode()))
    return root


def test_both_cameras_come_back_as_they_were(plane_scene, tmp_path, convert):
    conversion = convert(DynamicReplicaSource(path=str(write_dynamic_replica(plane_scene, tmp_path / "dr"))))
    assert not conversion.errors
    left, right = conversion.samples
    kept, to_first = plane_scene.visible.any(axis=0), np.linalg.inv(plane_scene.camera_to_world[0])
    np.testing.assert_allclose(left.tracks2d, plane_scene.tracks2d[:, kept], atol=1e-3)
    np.testing.assert_array_equal(left.visibility, plane_scene.visible[:, kept])
    for sample in (left, right):
        np.testing.assert_allclose(sample.camera_to_world, to_first @ plane_scene.camera_to_world, atol=1e-5)
        np.testing.assert_allclose(sample.intrinsics[3], plane_scene.intrinsics, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(sample.depth, plane_scene.depth, rtol=2**-10)
        assert sample.split == "val"
    assert np.ptp(left.tracks3d_world, axis=0).max(axis=-1)[plane_scene.static[kept]].max() < 1e-4
    assert left.extra["track_source"] == "gt"
    assert right.extra["track_source"] == "reprojection"
    assert conversion.checks["projection"].worst < 0.01
    np.testing.assert_allclose(np.diff(left.frame_times), 1 / 30)


def test_the_cameras_of_a_scene_share_its_split_and_source(plane_scene, tmp_path):
    first, second = DynamicReplicaSource(path=str(write_dynamic_replica(plane_scene, tmp_path / "dr"))).sequences()
    assert (first.name, second.name) == ("valid/seq/left", "valid/seq/right")
    assert first.scene == second.scene == "valid/seq"


def test_a_rotation_read_the_wrong_way_round_is_caught(plane_scene, tmp_path, convert):
    conversion = convert(DynamicReplicaSource(path=str(write_dynamic_replica(plane_scene, tmp_path / "dr", transposed=True))))
    assert conversion.samples == []
    left, right = (error.message for error in conversion.errors)
    assert "projection is" in left
    assert "camera_motion is" in right  # it has no tracks: depth and poses contradict each other


def test_a_pickle_that_would_run_code_is_refused_without_trust(plane_scene, tmp_path):
    root = write_dynamic_replica(plane_scene, tmp_path / "dr")
    path = root / "valid" / "seq_left" / "trajectories" / "000000.pth"
    torch.save({"traj_2d": Path("x"), "traj_3d_world": 0, "verts_inds_vis": 0}, path)
    source = DynamicReplicaSource(path=str(root))
    with pytest.raises(DataError, match="asks for pathlib.*--trust-pickle"):
        source.read(source.sequences()[0], 0, 6)


def test_golden_conversions():
    golden = np.load(GOLDEN)
    view = Viewpoint(
        rotation=golden["pytorch3d/in/R"],
        translation=golden["pytorch3d/in/T"],
        focal_length=golden["pytorch3d/in/focal_ndc"],
        principal_point=golden["pytorch3d/in/pp_ndc"],
        intrinsics_format="ndc_isotropic",
    )
    size = tuple(golden["pytorch3d/in/image_size_hw"].tolist())
    np.testing.assert_allclose(world_to_camera(view), golden["pytorch3d/out/w2c_opencv"], atol=1e-6)
    np.testing.assert_allclose(np.linalg.inv(world_to_camera(view)), golden["pytorch3d/out/c2w_opencv"], atol=1e-6)
    np.testing.assert_allclose(pixel_centre_intrinsics(view, size), golden["pytorch3d/out/K_pixel_centre"], atol=1e-4)
    depth = float16_bits_to_depth(golden["float16_png/in/uint16"], float(golden["float16_png/in/scale_adjustment"]))
    np.testing.assert_allclose(depth, golden["float16_png/out/depth_m"], atol=1e-6)


def test_focal_lengths_of_each_side_apart():
    view = Viewpoint(
        rotation=np.eye(3),
        translation=np.zeros(3),
        focal_length=np.array([2.0, 2.0]),
        principal_point=np.zeros(2),
        intrinsics_format="ndc_norm_image_bounds",
    )
    np.testing.assert_allclose(pixel_centre_intrinsics(view, (100, 200)), [[200, 0, 99.5], [0, 100, 49.5], [0, 0, 1]])

"""The reader of KITTI's annotated depth, on two drives written as the two downloads unpack."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.kitti_depth import KittiDepthSource
from pipeline.errors import DataError

DRIVE, SIZE = "2011_09_26_drive_0002_sync", (24, 80)
P = "7.2e+01 0.0 3.9e+01 4.4e+01 0.0 7.3e+01 1.2e+01 2.2e-01 0.0 0.0 1.0 2.7e-03"


def write(root: Path, write_image, *, num_frames: int = 4, split: str = "val", drive: str = DRIVE, raw: str = "2011_09_26") -> dict:
    """Frames from 0, depth from 5: the first and last five have none."""
    random, made = np.random.default_rng(0), {"files": [], "depth": []}
    for number in range(num_frames + 10):
        frame = random.integers(0, 255, (*SIZE, 3), np.uint8)
        path = write_image(root / raw / drive / f"image_02/data/{number:010d}.png", frame)
        if 5 <= number < num_frames + 5:
            depth = np.where(random.random(SIZE) < 0.2, random.uniform(2, 80, SIZE), 0)
            place = root / split / drive / f"proj_depth/groundtruth/image_02/{number:010d}.png"
            write_image(place, np.round(256 * depth).astype(np.uint16))
            made["files"].append(path.read_bytes())
            made["depth"].append(depth)
    return made


def test_the_annotated_frames_of_a_drive_come_back(tmp_path, write_image) -> None:
    made = write(tmp_path, write_image)
    (tmp_path / "2011_09_26/calib_cam_to_cam.txt").write_text(f"calib_time: 09-Jan-2012\nP_rect_02: {P}\nP_rect_03: 0\n")
    source = KittiDepthSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == (f"val/{DRIVE}", 4, "val")
    clip = source.read(sequence, 1, 3)
    assert clip.images == tuple(made["files"][1:])
    np.testing.assert_allclose(clip.depth, made["depth"][1:], atol=0.5 / 256 + 1e-5)
    np.testing.assert_allclose(clip.intrinsics[2], [[72, 0, 39], [0, 73, 12], [0, 0, 1]])
    np.testing.assert_allclose(clip.frame_times, [0, 0.1, 0.2])
    assert clip.camera_to_world is None
    assert clip.meta["first_number"] == 6


def test_a_drive_counts_with_its_first_110_frames_unless_asked_otherwise(tmp_path, write_image) -> None:
    made = write(tmp_path, write_image, num_frames=112)
    (counted,) = KittiDepthSource(str(tmp_path)).sequences()
    assert counted.num_frames == 110
    everything = KittiDepthSource(str(tmp_path), first=0)
    (sequence,) = everything.sequences()
    assert sequence.num_frames == 112
    assert everything.read(sequence, 111, 1).images == (made["files"][111],)


def test_frames_may_lie_beside_the_depth_and_intrinsics_may_be_unknown(tmp_path, write_image) -> None:
    made = write(tmp_path, write_image, split="train", raw="train")
    source = KittiDepthSource(str(tmp_path))
    (sequence,) = source.sequences()
    clip = source.read(sequence, 0, 4)
    assert clip.images == tuple(made["files"])
    assert clip.intrinsics is None
    assert sequence.split == "train"


def test_a_drive_without_its_frames_and_a_calibration_without_the_camera_are_errors(tmp_path, write_image) -> None:
    write(tmp_path / "a", write_image)
    (tmp_path / "a/2011_09_26/calib_cam_to_cam.txt").write_text("P_rect_02: 1 2 3\n")
    source = KittiDepthSource(str(tmp_path / "a"))
    with pytest.raises(DataError, match=r"calib_cam_to_cam\.txt: no line `P_rect_02:` with 12 numbers"):
        source.read(source.sequences()[0], 0, 1)
    write(tmp_path / "b", write_image, drive="2011_09_26_drive_0005_sync")
    depth = KittiDepthSource(str(tmp_path / "b/val"))
    with pytest.raises(DataError, match=r"no folder 2011_09_26_drive_0005_sync/image_02/data below .*; unpack the raw drive there"):
        depth.read(depth.sequences()[0], 0, 1)

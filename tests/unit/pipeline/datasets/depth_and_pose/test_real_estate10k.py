"""The reader of RealEstate10K, on a hall written as a camera file and its frames."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.real_estate10k import RealEstate10kSource
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import DataError

ID, SIZE = "0000cc6d8b108390", (48, 64)
TIMES = (52553000, 52586333, 52619667, 52686333)


@pytest.fixture(scope="module")
def scene(hall):
    return hall(*SIZE, num_frames=4)


def write(root: Path, scene, write_image, *, part: str = "test", times=TIMES) -> list[bytes]:
    """Frames of `times`; the camera file has rows of all."""
    K, rows = scene.intrinsics, ["https://www.youtube.com/watch?v=abc#t=1"]
    normalised = (K[0, 0] / SIZE[1], K[1, 1] / SIZE[0], (K[0, 2] + 0.5) / SIZE[1], (K[1, 2] + 0.5) / SIZE[0])
    for time, pose in zip(TIMES, scene.camera_to_world, strict=True):
        rows.append(" ".join(str(value) for value in (time, *normalised, 0.0, 0.0, *np.linalg.inv(pose)[:3].ravel())))
    (root / part).mkdir(parents=True)
    (root / part / f"{ID}.txt").write_text("\n".join(rows) + "\n")
    return [write_image(root / f"frames/{ID}/{time}.jpg", scene.frames[TIMES.index(time)]).read_bytes() for time in times]


def test_a_walk_comes_back_with_cameras_and_without_depth(tmp_path, scene, write_image) -> None:
    files = write(tmp_path, scene, write_image, times=TIMES[1:])
    source = RealEstate10kSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == (f"test/{ID}", 3, "test")
    clip = source.read(sequence, 0, 3)
    assert (clip.images, clip.image_suffix) == (tuple(files), "jpg")
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world[1:], atol=1e-6)
    np.testing.assert_allclose(clip.intrinsics[0], scene.intrinsics, rtol=1e-6)
    np.testing.assert_allclose(clip.frame_times, [0, 0.033334, 0.1])
    assert clip.depth is None
    assert not clip.is_metric
    assert not failures(check_truth(clip))


def test_clips_without_depth_are_converted_and_streamed(tmp_path, scene, write_image, convert) -> None:
    files = write(tmp_path / "re10k", scene, write_image)
    sample = convert(RealEstate10kSource(str(tmp_path / "re10k")), clip_frames=0, min_frames=1).sample
    expected = np.linalg.inv(scene.camera_to_world[0]) @ scene.camera_to_world
    np.testing.assert_allclose(sample.camera_to_world, expected, atol=1e-5)
    assert sample.depth is None
    assert sample.tracks2d is None
    assert sample.split == "test"
    assert len(files) == len(sample.frames)


def test_a_frame_without_its_row_and_frames_without_a_camera_file_are_errors(tmp_path, scene, write_image) -> None:
    write(tmp_path, scene, write_image)
    write_image(tmp_path / f"frames/{ID}/52700000.jpg", scene.frames[0])
    source = RealEstate10kSource(str(tmp_path))
    (sequence,) = source.sequences()
    with pytest.raises(DataError, match=r"no row for the frame 52700000; its rows are of 52553000 to 52686333 microseconds"):
        source.read(sequence, 0, 5)
    alone = RealEstate10kSource(str(tmp_path / "frames"))
    with pytest.raises(DataError, match=rf"no {ID}\.txt below .*; unpack the camera files there"):
        alone.read(alone.sequences()[0], 0, 5)

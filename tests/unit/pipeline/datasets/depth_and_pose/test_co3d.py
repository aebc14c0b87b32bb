"""The reader of Co3D, on a hall written as a sequence of one of its categories."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.co3d import Co3dSource
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError, DataError

SIZE, SCALE = (48, 64), 2.5
FLIP = np.diag([-1.0, -1, 1])


@pytest.fixture(scope="module")
def scene(hall):
    return hall(*SIZE, num_frames=4)


def write_jgz(path: Path, records: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(records).encode()))


def viewpoint(scene, index: int) -> dict:
    w2c, half = np.linalg.inv(scene.camera_to_world[index]), min(SIZE) / 2
    return {
        "R": (FLIP @ w2c[:3, :3]).T.tolist(),
        "T": (FLIP @ w2c[:3, 3]).tolist(),
        "focal_length": (scene.intrinsics[[0, 1], [0, 1]] / half).tolist(),
        "principal_point": ((np.array(SIZE[::-1]) / 2 - scene.intrinsics[:2, 2] - 0.5) / half).tolist(),
        "intrinsics_format": "ndc_isotropic",
    }


def write(root: Path, scene, write_image, *, scores: dict[str, float | None] | None = None, with_depth: bool = True) -> list[bytes]:
    """One category; the sequence that is described is a test sequence. Its depth is not reliable in the upper half of frame 2."""
    name, category, files, records = "110_13051_23361", root / "apple", [], []
    for index, picture in enumerate(scene.frames):
        image = f"apple/{name}/images/frame{index + 1:06d}.jpg"
        files.append(write_image(root / image, picture).read_bytes())
        record = {
            "sequence_name": name,
            "frame_number": index + 1,
            "frame_timestamp": index / 5,
            "image": {"path": image, "size": list(SIZE)},
            "viewpoint": viewpoint(scene, index),
        }
        if with_depth:
            depth, mask = (
                f"apple/{name}/depths/frame{index + 1:06d}.jpg.geometric.png",
                f"apple/{name}/depth_masks/frame{index + 1:06d}.png",
            )
            values = np.where(np.isfinite(scene.depth[index]), scene.depth[index] / SCALE, 0)
            write_image(root / depth, values.astype(np.float16).view(np.uint16))
            reliable = np.full(SIZE, 255, np.uint8)
            reliable[: 24 * (index == 2)] = 0
            write_image(root / mask, reliable)
            record["depth"] = {"path": depth, "scale_adjustment": SCALE, "mask_path": mask}
        records.append(record)
    write_jgz(category / "frame_annotations.jgz", records[::-1])
    scores = {name: 1.2} if scores is None else scores
    write_jgz(
        category / "sequence_annotations.jgz", [{"sequence_name": key, "viewpoint_quality_score": score} for key, score in scores.items()]
    )
    (category / "set_lists").mkdir(exist_ok=True)
    lists = {"train": [], "val": [], "test": [[name, 1, records[0]["image"]["path"]]]}
    (category / "set_lists/set_lists_fewview_dev.json").write_text(json.dumps(lists))
    return files


def test_a_sequence_comes_back_with_its_own_files(tmp_path, scene, write_image, worst_projection_px) -> None:
    files = write(tmp_path, scene, write_image)
    source = Co3dSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == ("apple/110_13051_23361", 4, "test")
    clip = source.read(sequence, 0, 4)
    assert (clip.images, clip.image_suffix) == (tuple(files), "jpg")
    known = np.isfinite(scene.depth)
    known[2, :24] = False
    np.testing.assert_allclose(clip.depth[known], scene.depth[known], rtol=2**-10)
    assert not clip.depth[~known].any()
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    np.testing.assert_allclose(clip.intrinsics[3], scene.intrinsics, rtol=1e-6)
    np.testing.assert_allclose(clip.frame_times, [0, 0.2, 0.4, 0.6])
    assert worst_projection_px(clip, scene) < 0.1
    assert not failures(check_truth(clip))
    assert not clip.is_metric


@pytest.mark.parametrize("score", [0.5, None])
def test_sequences_of_doubtful_cameras_are_left_out(tmp_path, scene, write_image, score) -> None:
    write(tmp_path, scene, write_image, scores={"110_13051_23361": score, "another": 3.0}, with_depth=False)
    with pytest.raises(ConfigError, match="no co3d sequence found"):
        Co3dSource(str(tmp_path)).sequences()
    (tmp_path / "apple/set_lists/set_lists_fewview_dev.json").write_text('{"train": [], "val": [], "test": []}')
    kept = Co3dSource(str(tmp_path), min_quality=-1.0)
    assert kept.sequences()[0].split == "train"
    assert kept.read(kept.sequences()[0], 0, 4).depth is None
    with pytest.raises(ConfigError, match="--option min_quality is 'good', expected a number"):
        Co3dSource(str(tmp_path), min_quality="good")


def test_bad_lists_and_annotations_are_errors(tmp_path, scene, write_image) -> None:
    write(tmp_path, scene, write_image, with_depth=False)
    source = Co3dSource(str(tmp_path))
    (tmp_path / "apple/set_lists/set_lists_fewview_dev.json").write_text('{"train": []}')
    with pytest.raises(DataError, match=r"set_lists_fewview_dev\.json: no lists `train`, `val`, `test`"):
        source.sequences()
    (tmp_path / "apple/sequence_annotations.jgz").write_bytes(b"no gzip")
    (tmp_path / "apple/set_lists/set_lists_fewview_dev.json").write_text('{"train": [], "val": [], "test": []}')
    with pytest.raises(DataError, match=r"sequence_annotations\.jgz: not a gzipped JSON list of records"):
        source.sequences()

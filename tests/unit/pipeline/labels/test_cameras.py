"""Label sets of cameras: what lies on disk, what comes back, what is refused, and how they meet a clip in a stream."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError, DataError
from pipeline.labels import (
    LabelRow,
    decode_row,
    encode_rows,
    read_label_shard,
    read_labels_as,
    write_label_set,
    write_label_shard,
)
from pipeline.records import CameraLabels, LabelSet
from pipeline.records.views import mirror
from pipeline.stream import ClipStream, StreamConfig
from tests.labelled_dataset import LabelledClip, write_dataset

NUM_FRAMES, SIZE = 6, (36, 48)
CAMERA_SET = LabelSet(labeler="by-hand", configuration={"pose_scale": "relative"}, kind="cameras")


def make_cameras(seed: int = 0, *, num_frames: int = NUM_FRAMES, **fields: object) -> CameraLabels:
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(draw.normal(0, 0.3, (num_frames, 3))).as_matrix()
    poses[:, :3, 3] = draw.normal(0, 2, (num_frames, 3))
    intrinsics = np.tile(np.array([[40.0, 0, 23.5], [0, 42, 17.5], [0, 0, 1]]), (num_frames, 1, 1))
    known: dict[str, object] = {"pose_valid": draw.random(num_frames) < 0.8, "intrinsics": intrinsics.astype(np.float32)}
    return CameraLabels(**{"camera_to_world": poses.astype(np.float32), "scale": "relative", **known, **fields})


def row(key: str, labels: CameraLabels) -> LabelRow:
    return LabelRow(
        key=key, status="ok", labels=labels, clip_sha256="ab" * 32, num_frames=len(labels.pose_valid), width=SIZE[1], height=SIZE[0]
    )


def assert_equal(found: CameraLabels, expected: CameraLabels) -> None:
    assert found.scale == expected.scale
    for name in ("camera_to_world", "pose_valid", "intrinsics", "reprojection_px"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize(
    "labels", [make_cameras(1), make_cameras(2, intrinsics=None, reprojection_px=np.array([0, 1, np.nan, 2, 3, 4], np.float32))]
)
def test_cameras_come_back_bit_for_bit(labels):
    assert_equal(decode_row(encode_rows([row("a", labels)], "cameras"), 0).labels, labels)


def test_any_tool_reads_the_columns(tmp_path):
    labels, failed = make_cameras(3), LabelRow(key="b", status="failed", error="no tracks")
    write_label_set(str(tmp_path), CAMERA_SET)
    write_label_shard(str(tmp_path), CAMERA_SET.name, shard=0, rows=[row("a", labels), failed], kind="cameras")
    path = tmp_path / f"labels/{CAMERA_SET.name}/000000.parquet"
    table = pq.read_table(path)
    assert table.schema.metadata[b"label_kind"] == b"cameras"
    poses = table["camera_to_world"].to_pylist()
    assert poses[0][16 * 4 + 3] == labels.camera_to_world[4, 0, 3]  # x of the fifth camera
    assert poses[1] is None
    assert not path.with_suffix(".tar").exists()
    ((key, found),) = read_labels_as(tmp_path, CAMERA_SET.name, CameraLabels)
    assert key == "a"
    assert_equal(found, labels)
    assert_equal(read_label_shard(str(tmp_path), CAMERA_SET.name, 0).labels("a"), labels)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("camera_to_world", [1.0] * 17, "camera_to_world holds 17 values, 6 frames have 96"),
        ("camera_to_world", None, "camera_to_world is null"),
        ("pose_valid", [True] * 5, "pose_valid holds 5 values"),
        ("scale", "feet", "the scale of poses is 'feet'"),
        ("camera_to_world", [2.0] * 96, "camera_to_world is not rigid in 6 frames"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_naming_the_clip(column, value, message):
    table = encode_rows([row("a", make_cameras())], "cameras")
    place = table.schema.get_field_index(column)
    spoilt = table.set_column(place, table.schema.field(column), pa.array([value], table.schema.field(column).type))
    with pytest.raises(DataError, match=f"clip a: {message}"):
        decode_row(spoilt, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"camera_to_world": np.full((6, 4, 4), np.nan, np.float32)}, "NaN"),
        ({"camera_to_world": np.tile(np.diag([-1, 1, 1, 1]).astype(np.float32), (6, 1, 1))}, "not rigid in 6 frames, the first is 0"),
        ({"pose_valid": np.ones(5, bool)}, r"camera_to_world is float32\[6, 4, 4\], expected float32\[5, 4, 4\]"),
        ({"intrinsics": np.zeros((6, 3, 3), np.float32)}, "no pinhole camera's in 6 frames"),
        ({"reprojection_px": np.full(6, -1, np.float32)}, "negative"),
    ],
)
def test_cameras_that_are_none_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make_cameras(**changes)


def test_cameras_of_another_length_are_no_row():
    with pytest.raises(DataError, match="clip a: cameras of 6 frames, the clip has 7"):
        replace(row("a", make_cameras()), num_frames=7)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """A stream's options of one clip with a set of cameras, and these cameras."""
    root, labels = tmp_path_factory.mktemp("cameras"), make_cameras(4)
    grey = np.random.default_rng(0).integers(0, 255, (NUM_FRAMES, *SIZE)).astype(np.uint8)
    write_dataset(root, [[LabelledClip(key="a", grey=grey, status="failed")]])
    write_label_set(str(root), CAMERA_SET)
    write_label_shard(str(root), CAMERA_SET.name, shard=0, rows=[row_of_video(root, labels)], kind="cameras")
    return {"root": root, "labels": CAMERA_SET.name, "epochs": 1, "shuffle": False}, labels


def row_of_video(root, labels):
    from pipeline.shards.index import read_index

    (entry,) = read_index(str(root), 0)
    return replace(row("a", labels), clip_sha256=entry.record.sha256)


def test_a_stream_gives_the_cameras_of_its_window_at_its_size(streamed):
    options, labels = streamed
    sample = next(iter(ClipStream(StreamConfig(**options, num_frames=3, size=(18, 24)))))
    assert (sample.pose_source, sample.pose_scale, sample.supervision) == ("pseudo", "relative", "pseudo")
    np.testing.assert_array_equal(sample.camera_to_world, labels.camera_to_world[sample.frame_indices])
    np.testing.assert_array_equal(sample.pose_valid, labels.pose_valid[sample.frame_indices])
    half = [[20, 0, 11.5], [0, 21, 8.5], [0, 0, 1]]  # (23.5 + 0.5) / 2 - 0.5, (17.5 + 0.5) / 2 - 0.5
    np.testing.assert_allclose(sample.intrinsics, [half] * 3)


def test_points_of_another_world_are_not_streamed_beside_the_cameras(streamed):
    options, _ = streamed
    points = LabelSet(labeler="by-hand", configuration={"world": "first camera"}, kind="tracks3d")
    write_label_set(str(options["root"]), points)
    with pytest.raises(ConfigError, match=f"points of {points.name} .* not that of the cameras {CAMERA_SET.name}; a stream takes one"):
        next(iter(ClipStream(StreamConfig(**{**options, "labels": (CAMERA_SET.name, points.name)}))))


def test_a_mirrored_camera_sees_a_mirrored_point_at_the_mirrored_pixel(streamed):
    options, _ = streamed
    sample = next(iter(ClipStream(StreamConfig(**options, num_frames=None))))
    turned = mirror(sample)
    world = np.random.default_rng(1).normal(0, 1, (20, 3))
    pixels, mirrored_pixels = (
        project(points, each.camera_to_world, each.intrinsics) for points, each in ((world, sample), (world * [-1, 1, 1], turned))
    )
    np.testing.assert_allclose(mirrored_pixels[..., 0], SIZE[1] - 1 - pixels[..., 0], atol=1e-2, rtol=1e-4)
    np.testing.assert_allclose(mirrored_pixels[..., 1], pixels[..., 1], atol=1e-2, rtol=1e-4)


def project(points, camera_to_world, intrinsics):
    to_camera = np.linalg.inv(camera_to_world.astype(float))
    seen = (points @ to_camera[:, :3, :3].transpose(0, 2, 1) + to_camera[:, None, :3, 3]) @ intrinsics.transpose(0, 2, 1)
    return seen[..., :2] / seen[..., 2:]

"""Flow label sets: KITTI's files, what comes back of them, which frames a map is of, and what is refused."""

import struct
import tarfile
from dataclasses import replace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.labels import LabelRow, decode_row, encode_rows, read_label_set, read_label_shard, read_labels_as, write_label_shard
from pipeline.labels.kinds.flow import decode_flow, encode_flow
from pipeline.labels.kinds.png import encode_png
from pipeline.labels.sets import write_label_set
from pipeline.records import FlowLabels, LabelSet

SIZE = (6, 8)


def make_flow(seed: int = 0, *, num_frames: int = 4, stride: int = 1, confidence: bool = True) -> FlowLabels:
    """Flow from frame t to frame t + stride."""
    draw = np.random.default_rng(seed)
    valid = draw.random((num_frames, *SIZE)) < 0.8
    valid[num_frames - stride :] = False
    flow = np.where(valid[..., None], draw.normal(0, 30, (num_frames, *SIZE, 2)), 0).astype(np.float32)
    frames = np.arange(num_frames)
    has_pair = frames + stride < num_frames
    return FlowLabels(
        flow=flow,
        valid=valid,
        from_frame=np.where(has_pair, frames, -1).astype(np.int32),
        to_frame=np.where(has_pair, frames + stride, -1).astype(np.int32),
        confidence=draw.random(valid.shape, np.float32) if confidence else None,
    )


def row(key: str, labels: FlowLabels) -> LabelRow:
    size = {"num_frames": len(labels.flow), "height": SIZE[0], "width": SIZE[1]}
    return LabelRow(key=key, status="ok", labels=labels, clip_sha256="ab" * 32, **size)


@pytest.fixture
def flow_set() -> LabelSet:
    return LabelSet(labeler="by-hand", configuration={"flow_pairs": "t -> t + 1"}, kind="flow")


@pytest.fixture
def root(tmp_path, flow_set):
    write_label_set(str(tmp_path), flow_set)
    failed = LabelRow(key="b", status="failed", error="frame 3 does not decode")
    rows = [row("a", make_flow(1)), failed, row("c", make_flow(2, stride=2, confidence=False))]
    write_label_shard(str(tmp_path), flow_set.name, shard=0, rows=rows, kind="flow")
    return str(tmp_path)


def test_a_pixel_is_what_kitti_says():
    flow, valid = np.array([[0, 0], [1, -1], [-512, 511.984375], [7, 7]], np.float32), np.array([True, True, True, False])
    codes = encode_flow(flow, valid)
    assert codes.tolist() == [[32768, 32768, 1], [32832, 32704, 1], [0, 65535, 1], [0, 0, 0]]
    decoded, known = decode_flow(codes)
    assert decoded.tolist() == [[0, 0], [1, -1], [-512, 511.984375], [0, 0]]
    assert known.tolist() == valid.tolist()


def test_flow_comes_back_within_half_a_step_and_validity_and_frames_exactly():
    labels = make_flow(3)
    found = decode_row(encode_rows([row("a", labels)], "flow"), 0).labels
    assert 0.9 / 128 < np.abs(found.flow - labels.flow).max() <= 1 / 128
    assert np.abs(found.confidence - labels.confidence).max() <= 0.5 / 255 + 1e-6
    np.testing.assert_array_equal(found.valid, labels.valid)
    assert (found.from_frame.tolist(), found.to_frame.tolist()) == ([0, 1, 2, -1], [1, 2, 3, -1])


def test_any_tool_that_reads_kitti_s_flow_reads_the_files(root, flow_set):
    with tarfile.open(f"{root}/labels/{flow_set.name}/000000.tar") as tar:
        names = tar.getnames()
        data = tar.extractfile("c.0001.flow.png").read()
    assert names[:3] == ["a.0000.flow.png", "a.0000.confidence.png", "a.0001.flow.png"]
    assert struct.unpack(">IIBB", data[16:26]) == (8, 6, 16, 2)  # an RGB PNG of 16 bits
    blue_green_red = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR).astype(float)
    known, expected = blue_green_red[..., 0] == 1, make_flow(2, stride=2)
    np.testing.assert_array_equal(known, expected.valid[1])
    np.testing.assert_allclose(((blue_green_red[..., :0:-1] - 2**15) / 64)[known], expected.flow[1][known], atol=1 / 128)
    table = pq.read_table(f"{root}/labels/{flow_set.name}/000000.parquet")
    assert table["to_frame"].to_pylist() == [[1, 2, 3, -1], None, [2, 3, -1, -1]]
    assert table.schema.metadata[b"label_kind"] == b"flow"


def test_a_set_is_read_by_its_kind_and_a_clip_in_some_frames(root, flow_set):
    assert read_label_set(root, flow_set.name).kind == "flow"
    assert [key for key, _ in read_labels_as(root, flow_set.name, FlowLabels)] == ["a", "c"]
    shard = read_label_shard(root, flow_set.name, 0)
    whole, some = shard.labels("a"), shard.labels("a", frames=[1, 3])
    np.testing.assert_array_equal(some.flow, whole.flow[[1, 3]])
    assert (some.from_frame.tolist(), some.to_frame.tolist()) == ([1, -1], [2, -1])


def test_files_of_another_encoding_are_refused_naming_the_clip(monkeypatch):
    table = encode_rows([row("a", make_flow(1, num_frames=1, confidence=False))], "flow")
    codes = np.zeros((*SIZE, 3), np.uint16)
    codes[2, 3, 2] = 256
    others = {
        "validity is 256 somewhere, expected 0 or 1": codes,
        "0000.flow.png is damaged, or no RGB PNG of 8x6 with 16 bits": codes.astype(np.uint8),
        "no RGB PNG of 8x6": codes[..., 0],
        "or no RGB PNG of 8x6 with": codes[:4],
    }
    for message, image in others.items():
        monkeypatch.setattr("pipeline.labels.rows.row_files", lambda *_, image=image: {"0000.flow.png": encode_png(image)})
        with pytest.raises(DataError, match=f"clip a: .*{message}"):
            decode_row(table, 0)


def test_flow_beyond_the_codes_and_of_frames_that_are_not_is_refused_naming_the_clip():
    labels = make_flow(1, confidence=False)
    flow = labels.flow.copy()
    flow[0][labels.valid[0]] = 513
    far = replace(labels, flow=flow)
    with pytest.raises(DataError, match=r"clip a: flow reaches 513 px, expected within 512 px; .*invalid"):
        encode_rows([row("a", far)], "flow")
    late = replace(labels, to_frame=np.array([2, 3, 4, -1], np.int32))
    with pytest.raises(DataError, match=r"clip a: to_frame is \[2, 3, 4, -1\], expected 4 frames of the clip"):
        encode_rows([row("a", late)], "flow")
    with pytest.raises(DataError, match=r"clip a: flow is \[4, 6, 8\], the clip is \[4, 6, 9\]"):
        LabelRow(key="a", status="ok", labels=labels, clip_sha256="ab" * 32, num_frames=4, width=9, height=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flow": np.full((1, 2, 2, 2), np.nan, np.float32)}, "NaN"),
        ({"valid": np.zeros((1, 2, 2), bool)}, "0 where it is invalid"),
        ({"from_frame": np.array([-1], np.int32)}, "-1 together"),
        ({"from_frame": np.array([-1], np.int32), "to_frame": np.array([-1], np.int32)}, "map 0 has valid pixels, but no pair"),
        ({"confidence": np.full((1, 2, 2), 1.5, np.float32)}, r"\[0, 1\]"),
    ],
)
def test_flow_that_is_none_is_refused(changes, message):
    fields = {"flow": np.ones((1, 2, 2, 2), np.float32), "valid": np.ones((1, 2, 2), bool)}
    with pytest.raises(DataError, match=message):
        FlowLabels(**{**fields, "from_frame": np.zeros(1, np.int32), "to_frame": np.zeros(1, np.int32), **changes})

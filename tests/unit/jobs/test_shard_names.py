"""jobs/shard.py on names and inputs as they are in the field."""

import io
import os

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from jobs.shard import app


def video():
    """An H.264 mp4 of 8 frames, as bytes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for index in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * index, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.fixture
def shard(tmp_path):
    """Run jobs/shard.py inline and give the exit code, its plan (source, first frame, frames, mode) and its notes."""

    def run(*arguments):
        root = tmp_path / "root"
        result = CliRunner().invoke(app, [*map(str, arguments), "--root", str(root), "--executor", "inline"])
        plan = pq.read_table(root / "plan/000000.parquet").to_pylist() if (root / "plan").exists() else []
        clips = [row for path in sorted((root / "shards").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
        rows = [(row["source"], row["first_frame"], row["num_frames"], row["video"]) for row in plan]
        return result.exit_code, rows, [(clip["source"], clip["frames"], clip["notes"]) for clip in clips]

    return run


def test_a_name_that_is_no_utf8_is_cut_beside_one_that_holds_its_escape(tmp_path, shard):
    (tmp_path / "d").mkdir()
    data = video()
    for name in (b"caf\xe9.mp4", b"caf%E9.mp4", b"b.mp4"):
        (tmp_path / os.fsdecode(b"d/" + name)).write_bytes(data)
    code, plan, clips = shard(tmp_path / "d")
    assert code == 0
    assert [row[:3] for row in plan] == [("b.mp4", 0, 8), ("caf%25E9.mp4", 0, 8), ("caf%E9.mp4", 0, 8)]
    assert [clip[:2] for clip in clips] == [("b.mp4", 8), ("caf%25E9.mp4", 8), ("caf%E9.mp4", 8)]


def test_a_folder_of_pictures_is_encoded_and_says_so(tmp_path, shard):
    (tmp_path / "seq").mkdir()
    for index in range(8):
        (tmp_path / f"seq/{index}.png").write_bytes(cv2.imencode(".png", np.full((16, 16), 20 * index, np.uint8))[1].tobytes())
    assert shard(tmp_path / "seq")[0] == 2
    code, plan, clips = shard(tmp_path / "seq", "--fps", "10")
    assert (code, plan) == (0, [("seq", 0, 8, "h264")])
    assert clips == [("seq", 8, ["pictures taken to be 10 a second", "greyscale pictures"])]


def test_pictures_cannot_be_copied(tmp_path, shard):
    (tmp_path / "seq").mkdir()
    for index in range(8):
        (tmp_path / f"seq/{index}.png").write_bytes(cv2.imencode(".png", np.zeros((16, 16), np.uint8))[1].tobytes())
    code, plan, _ = shard(tmp_path / "seq", "--fps", "10", "--video", "copy")
    assert (code, plan) == (3, [])
    errors = pq.read_table(next((tmp_path / "root/errors/plan").glob("*.parquet"))).to_pylist()
    assert errors[0]["message"] == "seq: pictures video cannot be copied into mp4; use --video auto or h264"

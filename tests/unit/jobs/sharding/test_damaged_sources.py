"""jobs/shard.py on a file with one lost packet: four clips of five and one error row, whichever way clips are made."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.shard import app
from pipeline.shards.errors_table import read_errors
from pipeline.shards.plan import read_shard_plan

FIELD = Path(__file__).parents[3] / "golden" / "field"


@pytest.mark.parametrize(("options", "way"), [
    (["--video", "copy"], "copy"), (["--video", "auto"], "copy"), (["--video", "h264"], "h264"), (["--snap", "key-frames"], "copy"),
])  # fmt: skip
def test_one_lost_packet_costs_one_clip(options, way, tmp_path):
    arguments = [str(FIELD / "one_lost_packet.ts"), "--root", str(tmp_path), "--executor", "inline", "--clip-frames", "12", *options]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 3, done.output  # one of five is more than the error rate allows
    assert {(clip.first_frame, clip.num_frames, clip.video) for clip in read_shard_plan(str(tmp_path), 0)} == {
        (first, 12, way) for first in (0, 12, 24, 36, 48)
    }
    (row,) = read_errors(str(tmp_path), "shards")
    assert "one_lost_packet.ts: 4 of frames 24..35 rest on damaged or missing data (from frame 32 on)" in row.message

"""Inputs as they are in the field: every one gives the frames that a player shows, or an error row that says what to do."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from jobs.shard import app as shard_app
from pipeline.shards.errors_table import ErrorRow, read_errors
from pipeline.stream import ClipStream, StreamConfig

FIELD = Path(__file__).parents[1] / "golden/field"


@pytest.fixture
def shard(run_app, tmp_path):
    """shard(input, *options, code=0) -> (samples in order, error rows) of a new root."""

    def run(given, *options, code=0):
        root = tmp_path / f"root-{len(list(tmp_path.iterdir()))}"
        run_app(shard_app, given, "--root", root, "--executor", "inline", "--max-error-rate", 1, *options, code=code)
        errors = [row for stage in ("manifest", "plan", "shards") for row in read_errors(str(root), stage)]
        return list(_samples(root)), errors

    return run


def _samples(root):
    config = StreamConfig(root=root, num_frames=None, epochs=1, shuffle=False)
    return ClipStream(config) if any((root / "shards").glob("*.parquet")) and _has_clips(config) else ()


def _has_clips(config) -> bool:
    from pipeline.shards.index import read_index
    from pipeline.shards.plan import read_plan_counts

    return any(entry.record for shard in read_plan_counts(config.root).shards.tolist() for entry in read_index(config.root, shard))


def numbers(frames: np.ndarray) -> list[int]:
    """The numbers painted into frames "T H W 3"."""
    height, width = frames.shape[1:3]
    strip = frames[:, height // 32 : 3 * height // 32].mean((1, 3))  # "T W"
    levels = np.stack([strip[:, (2 * bit + 1) * width // 24 - 1 : (2 * bit + 1) * width // 24 + 2].mean(1) for bit in range(12)], 1)
    return ((levels > 127) @ (1 << np.arange(12))).tolist()


def corners(frame: np.ndarray) -> np.ndarray:
    """Mean colours of the four patches "4 3": top left, top right, bottom left, bottom right."""
    height, width = frame.shape[:2]
    places = [(y, x) for y in (height // 4, height - height // 8) for x in (width // 12, width - width // 12)]
    return np.stack([frame[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(0) for y, x in places])


def says(rows: list[ErrorRow], *words: str) -> bool:
    return any(all(word in row.message for word in words) for row in rows) and not any(row.unexpected for row in rows)


@pytest.mark.parametrize("video", ["copy", "h264", "auto"])
def test_colours_are_those_of_the_source_in_every_mode(shard, video):
    (first, *_), errors = shard(FIELD / "bt709.mp4", "--video", video, "--clip-frames", 60)
    assert errors == []
    assert numbers(first.frames) == list(range(60))
    expected = np.array([(200, 60, 40), (40, 160, 70), (50, 60, 190), (235, 235, 235)])
    assert np.abs(corners(first.frames[30]) - expected).max() <= 4


@pytest.mark.parametrize("video", ["copy", "h264", "auto"])
def test_b_frames_in_avi_come_in_order_or_are_refused_with_a_remedy_and_others_are_cut(shard, tmp_path, video):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(FIELD / "h264_bframes.avi", folder)
    shutil.copy(FIELD / "bt709.mp4", folder / "other.mp4")
    samples, errors = shard(folder, "--video", video, "--clip-frames", 60)
    found = {sample.source: numbers(sample.frames) for sample in samples}
    assert found.pop("other.mp4") == list(range(60))
    if found:
        assert found == {"h264_bframes.avi": list(range(60))}
    else:
        assert says(errors, "h264_bframes.avi", "ffmpeg")


@pytest.mark.parametrize("video", ["h264", "auto"])
def test_pixels_are_square(shard, video):
    (sample,), _ = shard(FIELD / "anamorphic.mp4", "--video", video)
    assert sample.frames.shape == (24, 96, 160, 3)
    assert numbers(sample.frames) == list(range(24))


def test_every_video_of_a_sample_is_a_clip(shard):
    samples, errors = shard(FIELD / "dotted_names.tar", "--preset", "webdataset")
    assert [numbers(sample.frames) for sample in samples] == [list(range(first, first + 10)) for first in (0, 10, 20)]
    assert errors == []
    assert len({sample.key for sample in samples}) == 3


def test_member_names_that_are_no_utf8_are_registered(shard):
    samples, errors = shard(FIELD / "latin1_name.tar", "--preset", "webdataset")
    assert len(samples) == 2
    assert errors == []


def test_a_compressed_tar_says_so(shard):
    samples, errors = shard(FIELD / "gzipped.tar.gz", "--preset", "webdataset")
    assert samples == []
    assert says(errors, "gzipped.tar.gz", "gunzip")


def test_dropped_frames_keep_their_gap(shard):
    (sample,), errors = shard(FIELD / "dropped_frames.avi")
    ids = [number for number in range(14) if number % 7 != 3]
    assert numbers(sample.frames) == ids
    np.testing.assert_allclose(sample.frame_times, np.array(ids) / 30, atol=1e-3)
    assert errors == []


def test_the_default_stream_is_taken(shard):
    (sample,), _ = shard(FIELD / "second_stream_default.mkv")
    assert sample.frames.shape == (24, 96, 160, 3)
    assert numbers(sample.frames) == list(range(24))


@pytest.mark.parametrize("video", ["copy", "h264", "auto"])
def test_a_lost_packet_costs_the_clip_that_it_hits(shard, video):
    samples, errors = shard(FIELD / "one_lost_packet.ts", "--clip-frames", 12, "--video", video)
    assert [numbers(sample.frames) for sample in samples] == [list(range(first, first + 12)) for first in (0, 12, 36, 48)]
    assert len(errors) == 1
    assert says(errors, "one_lost_packet.ts")


def test_file_names_that_are_no_utf8_are_cut(shard, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(FIELD / "bt709.mp4", folder / "b.mp4")
    shutil.copy(FIELD / "bt709.mp4", os.fsencode(folder) + b"/caf\xe9.mp4")
    samples, errors = shard(folder, "--clip-frames", 60)
    assert [numbers(sample.frames) for sample in samples] == [list(range(60))] * 2
    assert errors == []

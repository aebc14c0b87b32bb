"""What becomes of a clip, as a row."""

import errno
import re

import numpy as np
import pytest

from jobs.labeling.outcome import Unlabelled, at_border, encode_clip
from pipeline.errors import ConfigError, DataError, MemoryExhausted, StorageError
from pipeline.records import ClipRecord, TrackLabels
from pipeline.shards.index import ClipEntry


@pytest.fixture
def entry() -> ClipEntry:
    record = ClipRecord(
        key="a-00000000-w0", source="a.mp4", source_id="a", split="train", start_s=0.0, end_s=0.1, fps=30.0, frames=3, width=8, height=6,
        codec="h264", video="copy", sha256="ab" * 32, timestamps=(0.0, 0.033, 0.067),
    )  # fmt: skip
    return ClipEntry(key=record.key, sample_key=record.key, tar="000000.tar", source="a.mp4", source_id="a", split="train", record=record)


def labels(x: float = 2.0, num_frames: int = 3, degraded: str | None = None) -> TrackLabels:
    return TrackLabels(
        queries=np.array([[0, 2, 3], [0, 4, 5]], np.float32),
        tracks_px=np.full((num_frames, 2, 2), x, np.float32),
        visibility=np.ones((num_frames, 2), bool),
        degraded=degraded,
    )


def raising(error: Exception):
    def work() -> None:
        raise error

    return work


def test_what_a_labeler_raises_decides_the_status():
    assert at_border("k", lambda: 7) == 7
    assert at_border("k", raising(MemoryExhausted("clip k: too large"))) == Unlabelled(status="quarantined", reason="clip k: too large")
    assert at_border("k", raising(DataError("frame 3"))) == Unlabelled(status="failed", reason="frame 3")
    assert at_border("k", raising(ConfigError("no"))) == Unlabelled(status="failed", reason="no")
    with pytest.raises(StorageError, match="disk"):
        at_border("k", raising(StorageError("disk")))


@pytest.mark.unexpected
def test_what_nobody_foresaw_is_a_failed_clip_that_says_where_it_came_from():
    made = at_border("k", raising(KeyError("x")))
    assert made.status == "failed"
    assert re.fullmatch(r"clip k: unexpected KeyError at test_outcome.py:\d+ in work: 'x'", made.reason)
    assert (made.unexpected.kind, "in work" in made.unexpected.trace) == ("KeyError", True)
    assert at_border("k", raising(MemoryError())).status == "quarantined"
    with pytest.raises(StorageError, match="no space left"):
        at_border("k", raising(OSError(errno.ENOSPC, "No space left on device")))


def test_how_labels_were_made_stands_in_the_notes(entry):
    encoded = encode_clip(entry, labels(degraded="rung 2"), "tracks")
    assert encoded.table.select(["status", "notes", "error", "num_tracks"]).to_pylist() == [
        {"status": "ok", "notes": "rung 2", "error": None, "num_tracks": 2}
    ]
    assert encoded.num_values == 6
    assert encode_clip(entry, labels(), "tracks").row.notes is None


def test_a_clip_without_labels_says_why(entry):
    encoded = encode_clip(entry, Unlabelled(status="quarantined", reason="too large"), "tracks")
    assert (encoded.row.status, encoded.row.error, encoded.num_values) == ("quarantined", "too large", 0)
    assert encoded.table["clip_sha256"].to_pylist() == ["ab" * 32]


@pytest.mark.parametrize(
    ("made", "says"), [(labels(x=1e9), "ran away"), (labels(num_frames=4), "labels cover 4 frames, the clip has 3")], ids=["far", "long"]
)
def test_labels_that_do_not_fit_are_a_failed_clip_not_a_lost_shard(entry, made, says):
    row = encode_clip(entry, made, "tracks").row
    assert row.status == "failed"
    assert says in row.error

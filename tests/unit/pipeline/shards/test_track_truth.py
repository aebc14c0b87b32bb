"""True tracks of a clip, read from a tar by byte range."""

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipRecord, TrackTruth
from pipeline.shards.index import ClipEntry, Member
from pipeline.shards.tar import arrays_npz
from pipeline.shards.track_truth import read_track_truth

TRUTH = {
    "tracks2d": np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    "visibility": np.array([[1, 0], [1, 1], [0, 1]], bool),
    "track_valid": np.array([[1, 1], [1, 0], [1, 1]], bool),
    "query_frame": np.array([0, 1], np.int32),
}


@pytest.fixture(name="read")
def _read(tmp_path):
    """read(arrays or bytes or None) -> what is found of a clip of three frames with such a member."""

    def read(arrays) -> TrackTruth | None:
        data = arrays if isinstance(arrays, bytes) else arrays_npz(arrays or {})
        (tmp_path / "shards").mkdir(exist_ok=True)
        (tmp_path / "shards" / "0.tar").write_bytes(b"before" + data)
        record = ClipRecord(
            key="clip", source="s", source_id="s", split="val", start_s=0.0, end_s=3.0, fps=1.0, frames=3, width=4, height=4, codec="h264",
            video="h264", sha256="", timestamps=(0.0, 1.0, 2.0),
        )  # fmt: skip
        members = (Member(name="arrays.npz", offset=6, length=len(data)),) if arrays is not None else ()
        entry = ClipEntry(
            key="clip", sample_key="clip", tar="0.tar", source="s", source_id="s", split="val", members=members, record=record
        )  # fmt: skip
        return read_track_truth(str(tmp_path), entry)

    return read


def test_the_arrays_come_back_and_others_are_left_alone(read):
    found = read({**TRUTH, "depth": np.ones((3, 4, 4), np.float16)})
    for name, array in zip(("tracks_px", "visibility", "track_valid", "query_frame"), TRUTH.values(), strict=True):
        np.testing.assert_array_equal(getattr(found, name), array)
    assert found.seen.tolist() == [[True, False], [True, False], [False, True]]


def test_some_of_the_tracks_can_be_chosen_in_any_order(read):
    chosen = read(TRUTH).chosen(np.array([1, 0, 1]))
    np.testing.assert_array_equal(chosen.tracks_px, TRUTH["tracks2d"][:, [1, 0, 1]])
    assert chosen.query_frame.tolist() == [1, 0, 1]


def test_a_clip_without_arrays_or_without_tracks_has_no_truth(read):
    assert read(None) is None
    assert read({"depth": np.ones((3, 4, 4), np.float16)}) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visibility": TRUTH["visibility"].astype(np.float32)}, r"visibility is float32\[3, 2\], expected bool"),
        ({"tracks2d": np.full((3, 2, 2), np.nan, np.float32)}, "tracks2d holds NaN"),
        ({name: array[:2] for name, array in TRUTH.items() if name != "query_frame"}, "cover 2 frames, the clip has 3"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error_that_names_the_clip(read, change, message):
    with pytest.raises(DataError, match=f"clip clip: .*{message}.*; convert this dataset again"):
        read({**TRUTH, **change})


def test_tracks_without_their_companions_are_an_error(read):
    with pytest.raises(DataError, match="clip clip: arrays.npz has tracks2d without track_valid, query_frame"):
        read({name: TRUTH[name] for name in ("tracks2d", "visibility")})


def test_a_damaged_member_is_an_error(read):
    data = bytearray(arrays_npz(TRUTH))
    for damaged in (bytes(data[:50]), b"", bytes(data[:60]) + bytes(40) + bytes(data[100:])):
        with pytest.raises(DataError, match="clip clip: arrays.npz does not read"):
            read(damaged)

"""The part of an audit that training reads: the same values as the whole row, and no silence about a file that changed."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.audit.clips import ClipMeasures
from pipeline.audit.records import StaticPair, measure_names
from pipeline.audit.stored.audit_rows import read_audit_shard
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.verdict import verdict_of
from pipeline.errors import DataError
from pipeline.layout import Layout
from tests.audited_clips import write_audit_shard

T, N = 5, 3
MEASURES = ClipMeasures(**{each.name: N if each.type is int else 0.5 for each in fields(ClipMeasures)})


def clip(key: str, seed: int) -> ClipAudit:
    draw = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return draw.random(shape).astype(np.float32)

    likeness = (draw.integers(-127, 128, (T, N)) / np.float32(127)).astype(np.float32)
    likeness[2, 1] = np.nan
    pairs = (StaticPair(start=0, end=4, model="fundamental", num_candidates=40, static_inlier_ratio=0.75, parallax_px=2.5),)
    tracks = TrackAudit(
        queries=drawn(N, 3), weight=drawn(N), bad_probability=None, contract_error=np.zeros(N, bool), collapsed=np.zeros(N, bool),
        speed_px=drawn(N), measures={name: drawn(N) for name in measure_names()}, ncc=likeness, static_pairs=pairs,
    )  # fmt: skip
    return ClipAudit(key=key, verdict=verdict_of([]), clip_sha256="ab" * 32, num_frames=T, measures=MEASURES, tracks=tracks)


def test_it_is_what_the_whole_row_says(tmp_path):
    clips = [clip("a", 1), ClipAudit(key="b", verdict=verdict_of(["few_tracks"])), clip("c", 3)]
    write_audit_shard(str(tmp_path), "mine", 0, clips)
    shard = read_audit_shard(str(tmp_path), "mine", 0)
    for written in (clips[0], clips[2]):
        trust, tracks = shard.trust(written.key), written.tracks
        for name in ("queries", "weight", "static_score"):
            np.testing.assert_array_equal(getattr(trust, name), getattr(tracks, name))
        np.testing.assert_allclose(trust.ncc, tracks.ncc, rtol=1e-6)
        assert trust.static_pairs == tracks.static_pairs
    assert shard.trust("b") is None


def test_a_file_that_was_replaced_is_refused(tmp_path):
    write_audit_shard(str(tmp_path), "mine", 0, [clip("a", 1), clip("b", 2)])
    shard = read_audit_shard(str(tmp_path), "mine", 0)
    write_audit_shard(str(tmp_path), "mine", 0, [clip("b", 2), clip("a", 1)])
    with pytest.raises(DataError, match="row 1 no longer holds clip b: the file was replaced; open the shard again"):
        shard.trust("b")
    write_audit_shard(str(tmp_path), "mine", 0, [clip("a", 1)])
    with pytest.raises(DataError, match="clip b was in row 1, it has 1; open the shard again"):
        shard.trust("b")


def test_damage_is_found_by_the_page_s_checksum(tmp_path):
    write_audit_shard(str(tmp_path), "mine", 0, [clip("a", 1)])
    file = Path(Layout(str(tmp_path)).audit_shard("mine", 0))
    group = pq.read_metadata(file).row_group(0)
    column = next(group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema.startswith("weight"))
    data = bytearray(file.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(
        DataError, match=r"clip a cannot be read \(.*\); if it stays so, delete 000000.parquet and run jobs/audit.py run again"
    ):
        read_audit_shard(str(tmp_path), "mine", 0).trust("a")

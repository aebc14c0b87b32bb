"""A plan in parts: each begins where the one before ends, and an index knows by which rows its shard was made."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from pipeline.errors import AlreadyThereError, DataError
from pipeline.shards.index import read_index, write_index
from pipeline.shards.known import PlannedSources, Window
from pipeline.shards.plan import PlannedClip, plan_end, read_plan_counts, read_shard_plan, shard_hash, write_plan


def clip(shard: int, number: int, source: str = "a.mp4", **more) -> PlannedClip:
    return PlannedClip(
        shard=shard, key=f"{source[0]}-00000000-w{number:04d}", source=source, source_uri=f"root://0/{source}", source_id=source,
        split="train", probe=0, first_frame=12 * number, num_frames=12, span_first=0, span_frames=48, rows_sha256="0" * 32, **more,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path) -> str:
    """Two parts: shards 0 and 1, then shard 2."""
    root = str(tmp_path)
    write_plan(root, iter([clip(0, 0), clip(0, 1), clip(1, 2)]), probe_end=1)
    write_plan(root, iter([clip(2, 3), clip(2, 0, "b.mp4")]), end=plan_end(root), probe_end=2)
    return root


def test_a_part_begins_where_the_one_before_ends(root):
    end = plan_end(root)
    assert (end.part, end.shard, end.probe) == (2, 3, 2)
    counts = read_plan_counts(root)
    assert counts.counts().tolist() == [2, 1, 2]
    assert end.plan_hash == counts.plan_hash
    assert [len(read_shard_plan(root, shard)) for shard in range(3)] == [2, 1, 2]
    first = read_plan_counts(root, num_parts=1)
    assert (first.counts().tolist(), first.plan_hashes) == ([2, 1], counts.plan_hashes[:1])


def test_a_part_is_made_once(root):
    with pytest.raises(AlreadyThereError):
        write_plan(root, iter([clip(2, 7)]), end=replace(plan_end(root), part=1))


def test_the_hash_after_a_part_is_of_all_parts_before_it_too(tmp_path, root):
    other = str(tmp_path / "other")
    write_plan(other, iter([clip(0, 0), clip(0, 1), clip(1, 4)]), probe_end=1)
    write_plan(other, iter([clip(2, 3), clip(2, 0, "b.mp4")]), end=plan_end(other), probe_end=2)
    assert read_plan_counts(other).plan_hash != read_plan_counts(root).plan_hash


def test_a_part_that_is_gone_is_named(tmp_path, root):
    (tmp_path / "plan/000000.parquet").unlink()
    with pytest.raises(DataError, match="one of those before them is gone"):
        read_plan_counts(root)


@pytest.mark.parametrize("edit", [lambda t: t.drop_columns(["key"]), lambda t: t.set_column(0, "shard", t["key"])])
def test_a_plan_that_was_edited_is_named(tmp_path, root, edit):
    path = tmp_path / "plan/000001.parquet"
    pq.write_table(edit(pq.read_table(path)), path)
    for read in (read_plan_counts, plan_end, PlannedSources, lambda root: read_shard_plan(root, 2)):
        with pytest.raises(DataError, match="000001.parquet"):
            read(root)


def test_what_is_planned_of_a_source_is_found(root):
    planned = PlannedSources(root)
    assert planned.num_clips == 5
    of_a = planned["a.mp4"]
    assert (of_a.next_number, of_a.source_id, of_a.rows_sha256) == (4, "a.mp4", "0" * 32)
    assert of_a.without_planned([Window(0, 12, 0, 48), Window(0, 12, 0, 48), Window(48, 12, 0, 60)]) == [1, 2]
    assert planned["c.mp4"].next_number == 0


def test_an_index_of_another_plan_is_refused(root):
    counts = read_plan_counts(root)
    rows = read_shard_plan(root, 0)
    assert counts.shard_hash(0) == shard_hash(rows) != shard_hash([replace(row, num_frames=24) for row in rows])
    assert shard_hash(rows) == shard_hash([replace(row, source_uri="/moved") for row in rows])
    write_index(root, 0, [], planned=shard_hash(rows))
    assert read_index(root, 0, planned=counts.shard_hash(0)) == []
    write_index(root, 0, [], planned=shard_hash(rows[:1]))
    with pytest.raises(DataError, match="another plan than the one that is there now"):
        read_index(root, 0, planned=counts.shard_hash(0))

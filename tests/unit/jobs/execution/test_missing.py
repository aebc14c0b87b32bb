"""What a stage has to do, from the names of the files that are there."""

from jobs.execution.missing import shards_to_do
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.plan import PlannedClip, write_plan


def test_what_is_missing_follows_from_what_is_committed(tmp_path):
    root, layout = str(tmp_path), Layout(str(tmp_path))
    clips = [PlannedClip(shard=n // 2, key=f"k{n}", source="a", source_uri="a", source_id="a", split="train") for n in range(9)]
    write_plan(root, iter(clips))
    for uri in [*map(layout.shard_index, (0, 1, 2, 4, 7)), *map(layout.screen_shard, (1, 2, 3, 7))]:  # 7 is not planned
        (tmp_path / uri).parent.mkdir(exist_ok=True)
        (tmp_path / uri).write_bytes(b"")
    for shard, traceback in ((1, None), (2, "Traceback"), (0, "Traceback")):  # 0 is not screened
        write_errors(
            root, "screen", shard, [ErrorRow(stage="screen", key="k", source="a", exception="E", message="m", traceback=traceback)]
        )
    todo = shards_to_do(root, needs=layout.shards, makes=layout.screen, errors="screen")
    assert (todo.fresh, todo.again, todo.done, todo.not_ready) == ((0, 4), (2,), (1,), (3,))
    assert (todo.missing, todo.ready, todo.num_clips(todo.missing)) == ((0, 4, 2), (0, 1, 2, 4), 5)
    assert shards_to_do(root, makes=layout.shards).missing == (3,)
    assert shards_to_do(root, needs=layout.shards, makes=None).fresh == (0, 1, 2, 4)

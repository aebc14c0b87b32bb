"""jobs/forget.py: take-down requests are checked against the plan, added to what is there, and obeyed."""

from dataclasses import replace

import pytest

from jobs.forget import app as forget_app
from jobs.shard import app as shard_app
from pipeline.layout import Layout
from pipeline.shards.index import read_index
from pipeline.shards.plan import PlanEnd, PlannedClip, plan_end, write_plan
from pipeline.shards.tombstones import Tombstones, read_tombstones, write_tombstones
from pipeline.storage import exists, read_bytes
from pipeline.stream import ClipStream, StreamConfig


def plan(root: str) -> str:
    """Sources `walk-1` (walks/one.mp4) and `walk-2` of three clips each, and `ride` of one, which was planned twice."""
    clips = [
        PlannedClip(shard=0, key=f"{source}-w{number}", source=name, source_uri=name, source_id=source, split="train")
        for source, name, count in (("walk-1", "walks/one.mp4", 3), ("walk-2", "walks/two.mp4", 3), ("ride", "ride.mp4", 1))
        for number in range(count)
    ]
    write_plan(root, iter(clips))
    end = plan_end(root)
    write_plan(root, iter([replace(clips[-1], shard=1, attempt=2)]), end=PlanEnd(part=1, shard=1, plan_hash=end.plan_hash))
    return root


def test_requests_add_up_and_are_counted_in_clips(tmp_path, run_app):
    root = plan(str(tmp_path))
    said = run_app(forget_app, "--root", root, "--source", "walk-1", "--clip", "ride-w0", "--clip", "walk-1-w2").output
    assert read_tombstones(root) == Tombstones(keys=frozenset(["ride-w0", "walk-1-w2"]), source_ids=frozenset(["walk-1"]))
    assert "4 clips more" in said
    assert "4 of 7 clips, of 2 sources" in said
    assert "No byte was removed" in said
    before = read_bytes(Layout(root).tombstones)
    assert "0 clips more" in run_app(forget_app, "--root", root, "--source", "walk-1").output
    assert read_bytes(Layout(root).tombstones) == before
    said = run_app(forget_app, "--root", root, "--clip", "walk-2-w1", "--list").output
    assert said.splitlines()[:4] == ["source walk-1: 3 clips", "clip ride-w0", "clip walk-1-w2", "clip walk-2-w1"]
    assert "5 of 7 clips, of 3 sources" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source", "walk1"), r"no source has the id 'walk1' (near: 'walk-1', 'walk-2')"),
        (("--clip", "Walk-2-w1"), r"no clip has the key 'Walk-2-w1' (near: 'walk-2-w1'"),
        (("--source", "walks/one.mp4"), r"no source has the id 'walks/one.mp4' (the source of this name has the id 'walk-1')"),
        (("--clip", "walk-1"), r"no clip has the key 'walk-1' (it is the id of a source)"),
        (("--clip", "zebra"), r"no clip has the key 'zebra' (nor is one near it)"),
        (("--source", "ride", "--source", "walk-3"), "no source has the id 'walk-3'"),
        ((), "nothing to forget"),
    ],
)
def test_an_unknown_name_is_refused_with_those_near_it_and_nothing_is_written(arguments, said, tmp_path, run_app):
    root = plan(str(tmp_path))
    assert said in run_app(forget_app, "--root", root, *arguments, code=2).output
    assert not exists(Layout(root).tombstones)


def test_names_that_were_forgotten_before_stay_even_if_the_plan_has_them_not(tmp_path, run_app):
    root = plan(str(tmp_path))
    write_tombstones(root, [], ["of-another-root"])
    assert "source of-another-root: 0 clips" in run_app(forget_app, "--root", root, "--source", "ride", "--list").output
    assert read_tombstones(root).source_ids == {"of-another-root", "ride"}


def test_a_trial_writes_nothing_and_a_root_without_plan_is_refused(tmp_path, run_app):
    root = plan(str(tmp_path))
    said = run_app(forget_app, "--root", root, "--source", "ride", "--dry-run").output
    assert "1 clip more" in said
    assert "(not written)" in said
    assert not exists(Layout(root).tombstones)
    assert "holds no plan" in run_app(forget_app, "--root", tmp_path / "nowhere", "--list", code=2).output


def test_a_bucket_is_a_root_too(bucket, run_app):
    root = plan(f"{bucket}/root")
    run_app(forget_app, "--root", root, "--source", "ride")
    assert read_tombstones(root) == Tombstones(source_ids=frozenset(["ride"]))


def test_readers_obey_at_once(make_video, tmp_path, run_app):
    make_video("videos/a.mp4", num_frames=12)
    make_video("videos/b.mp4", num_frames=12)
    root = tmp_path / "root"
    run_app(shard_app, tmp_path / "videos", "--root", root, "--executor", "inline", "--clip-frames", 6)
    clips = list(ClipStream(StreamConfig(root=str(root), num_frames=None, epochs=1, shuffle=False)))
    assert [sample.source for sample in clips] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    (gone,) = {entry.source_id for entry in read_index(str(root), 0) if entry.source == "b.mp4"}
    run_app(forget_app, "--root", root, "--source", gone, "--clip", clips[0].key)
    assert [sample.key for sample in ClipStream(StreamConfig(root=str(root), num_frames=None, epochs=1))] == [clips[1].key]

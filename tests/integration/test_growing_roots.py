"""A root grows: more inputs are appended, what is there keeps its names and bytes, and whatever went wrong may be tried again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from jobs.audit import app as audit_app
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.pseudolabel import app as label_app
from jobs.shard import app as shard_app
from jobs.sharding.job import cut_shards
from pipeline.errors import StorageError
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.policy import ClipPolicy
from pipeline.stream import ClipStream, StreamConfig

# what a run may write anew: made of all shards together, or, source_roots.json, made to be changed
DERIVED = ("dataset.json", "source_roots.json", "report.html", "summary.json", "clips.parquet", "shards.parquet")
POLICY = ClipPolicy(clip_frames=12, clips_per_shard=2, video="h264")


@pytest.fixture
def videos(make_video, tmp_path):
    """Eight videos of 24 frames: two clips of 12 each."""
    for number in range(8):
        make_video(f"all/v{number}.mp4", num_frames=24, seed=number)
    return [tmp_path / f"all/v{number}.mp4" for number in range(8)]


@pytest.fixture
def shard(run_app):
    """shard(root, *inputs and options, code=0) -> result."""

    def run(root, *arguments, code=0):
        options = ("--clip-frames", 12, "--clips-per-shard", 2, "--executor", "inline", "--video", "h264", "--max-error-rate", 1)
        return run_app(shard_app, "--root", root, *options, *arguments, code=code)

    return run


def into(folder: Path, videos) -> Path:
    folder.mkdir(exist_ok=True)
    for video in videos:
        if not (folder / video.name).exists():
            shutil.copy(video, folder / video.name)
    return folder


def lasting(published, root) -> dict[str, str]:
    return {name: digest for name, digest in published(root).items() if Path(name).name not in DERIVED}


def label_and_audit(run_app, root) -> None:
    done = run_app(label_app, "--root", root, "--labeler", "lucas-kanade", "--queries", 16, "--executor", "inline")
    name = done.stdout.strip().splitlines()[-1]
    run_app(audit_app, "run", "--root", root, "--labels", name, "--executor", "inline", "--no-gate")


def test_a_root_of_three_videos_then_five_then_eight_keeps_every_byte(videos, tmp_path, shard, run_app, published):
    folder, root = tmp_path / "videos", tmp_path / "root"
    before: dict[str, str] = {}
    for number, gone in ((3, None), (5, "v1.mp4"), (8, None)):
        into(folder, videos[:number])
        if gone:
            (folder / gone).unlink()
        elif number == 8:
            (folder / "v1.mp4").unlink()  # put back by `into`, away again
        shard(root, folder)
        label_and_audit(run_app, root)
        now = lasting(published, root)
        assert {name: now.get(name) for name in before} == before
        assert len(now) > len(before)
        before = now
    counts = read_plan_counts(str(root))
    assert (counts.num_parts, counts.counts().tolist()) == (3, [2] * 8)
    rows = duckdb.sql(
        f"select source, count(*) from '{root}/labels/*/*.parquet' join '{root}/plan/*.parquet' using (key) group by 1"
    ).fetchall()
    assert dict(rows) == {f"v{number}.mp4": 2 for number in range(8)}
    shard(root, folder)  # nothing new: nothing changes
    assert lasting(published, root) == before
    assert sum(json.loads((root / "dataset.json").read_text())["licenses"].values()) == 8


def test_kills_in_between_change_nothing(videos, tmp_path, shard, published, run_job):
    folder, whole, killed = tmp_path / "videos", tmp_path / "whole", tmp_path / "killed"
    options = ("--clip-frames", 12, "--clips-per-shard", 2, "--executor", "inline", "--video", "h264")
    for number, kills in ((1, [("before publishing", 2)]), (3, [("before publishing", 1), ("in the middle of a tar", 2)])):
        into(folder, videos[:number])
        shard(whole, folder)
        for point, count in kills:
            run_job("shard.py", folder, "--root", killed, *options, through=(point, str(count)), code=137)
        run_job("shard.py", folder, "--root", killed, *options)
        assert published(killed) == published(whole)


def test_two_appends_at_once_end_with_one_consistent_root(videos, tmp_path, shard, published):
    root = tmp_path / "root"
    shard(root, into(tmp_path / "a", videos[:1]))
    old = lasting(published, root)
    command = [sys.executable, str(Path(__file__).parents[2] / "jobs/shard.py"), "--root", str(root), "--clip-frames", "12"]
    command += ["--clips-per-shard", "2", "--executor", "inline", "--video", "h264"]
    running = [
        subprocess.Popen([*command, str(into(tmp_path / name, some))], stderr=subprocess.PIPE, text=True)
        for name, some in (("b", videos[1:3]), ("c", videos[3:5]))
    ]
    said = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    now = lasting(published, root)
    assert {name: now.get(name) for name in old} == old
    counts = read_plan_counts(str(root))
    assert (counts.num_parts, int(counts.counts().sum())) == (3, 10)
    samples = list(ClipStream(StreamConfig(root=root, num_frames=None, epochs=1)))
    assert len({sample.key for sample in samples}) == 10
    assert not [name for name in now if name.endswith(".tmp") or name.startswith("locks")]


def test_a_stream_goes_on_in_the_parts_that_it_knew_and_a_fresh_one_takes_all(videos, tmp_path, shard, caplog):
    root, folder = tmp_path / "root", tmp_path / "videos"
    shard(root, into(folder, videos[:2]))
    config = StreamConfig(root=root, num_frames=None, seed=3)
    stream = iter_first = ClipStream(config)
    samples = iter(iter_first)
    next(samples)
    state = stream.state_dict()
    expected = [next(samples).key for _ in range(8)]
    shard(root, into(folder, videos[:4]))
    resumed = ClipStream(config)
    resumed.load_state_dict(json.loads(json.dumps(state)))
    samples = iter(resumed)
    assert [next(samples).key for _ in range(8)] == expected
    assert "1 parts were added to the plan since this state was saved" in caplog.text
    assert resumed.state_dict()["parts"] == 1
    assert len({sample.key for sample in ClipStream(StreamConfig(root=root, num_frames=None, epochs=1))}) == 8


def test_new_rows_of_a_known_source_are_numbered_after_its_last_and_changed_columns_are_told(videos, tmp_path, shard, caplog):
    root, table = tmp_path / "root", tmp_path / "all/clips.jsonl"
    rows = [{"path": "v0.mp4", "start_s": 0.0, "end_s": 0.4, "caption": "a"}]
    table.write_text("\n".join(map(json.dumps, rows)))
    shard(root, table)
    rows.insert(0, {"path": "v0.mp4", "start_s": 0.4, "end_s": 0.8, "caption": "b"})
    table.write_text("\n".join(map(json.dumps, rows)))
    shard(root, table)
    planned = duckdb.sql(f"select key, first_frame from '{root}/plan/*.parquet' order by key").fetchall()
    assert [(key[-5:], first) for key, first in planned] == [("w0000", 0), ("w0001", 12)]
    rows[1]["caption"] = "another"
    table.write_text("\n".join(map(json.dumps, rows)))
    done = shard(root, table)
    assert "nothing" in done.stdout
    assert "1 known sources have other columns now" in caplog.text


def test_a_limit_is_a_total_and_may_be_raised(videos, tmp_path, shard, published):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:3])
    shard(root, folder, "--limit", 3)
    assert read_plan_counts(str(root)).counts().tolist() == [2, 1]
    shard(root, folder, "--limit", 3)
    assert read_plan_counts(str(root)).num_parts == 1
    shard(root, folder)
    assert read_plan_counts(str(root)).counts().tolist() == [2, 1, 2, 1]
    keys = duckdb.sql(f"select key from '{root}/shards/*.parquet' where status = 'ok'").fetchall()
    assert len({key for (key,) in keys}) == 6
    shard(root, folder, "--clip-frames", 8, code=2)


def test_a_dry_run_publishes_nothing(videos, tmp_path, shard):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:2])
    done = shard(root, folder, "--dry-run")
    assert "4, 48 frames in all, in 2 shards" in done.stdout
    assert not root.exists()


def test_a_missing_file_is_tried_again_and_a_missing_folder_stops_the_job(videos, tmp_path, shard, published):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:3])
    shard(root, folder)
    before = published(root)
    folder.rename(tmp_path / "unmounted")
    assert "holds none of the sources that it gave before" in shard(root, folder, code=1).stderr
    folder.mkdir()  # what an unmounted disk leaves behind
    done = shard(root, folder, code=1)
    assert "--source-root" in done.stderr
    assert published(root) == before
    table = tmp_path / "unmounted/more.csv"
    table.write_text("path\nv0.mp4\nv1.mp4\nlate.mp4\n")
    done = shard(root, table)
    assert "late.mp4" in done.stderr


def test_rows_none_of_whose_videos_is_there_stop_the_job(videos, tmp_path, shard, published):
    root, folder, table = tmp_path / "root", into(tmp_path / "videos", videos[:2]), tmp_path / "clips.csv"
    table.write_text("path\nv0.mp4\nv1.mp4\n")
    shard(root, table, "--video-root", folder)
    before = published(root)
    for path in folder.iterdir():
        path.unlink()
    done = shard(root, table, "--video-root", folder, code=1)
    assert "none of the 2 videos that the rows name is there" in done.stderr
    assert published(root) == before


def test_a_moved_folder_is_found_again_by_one_line(videos, tmp_path, shard, published):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:2])
    shard(root, folder)
    before = lasting(published, root)
    moved = folder.rename(tmp_path / "elsewhere")
    shutil.copy(videos[2], moved / "v2.mp4")
    shard(root, moved, "--source-root", f"0={moved}")
    now = lasting(published, root)
    assert {name: digest for name, digest in now.items() if name in before and name != "source_roots.json"} == {
        name: digest for name, digest in before.items() if name != "source_roots.json"
    }
    assert read_plan_counts(str(root)).counts().tolist() == [2, 2, 2]


def test_clips_that_failed_are_appended_under_their_keys_and_the_later_counts(videos, tmp_path, shard, published):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:2])
    good = (folder / "v1.mp4").read_bytes()
    (folder / "v1.mp4").write_bytes(b"not a video")
    done = shard(root, folder)
    assert "v1.mp4" in done.stderr
    before = lasting(published, root)
    (folder / "v1.mp4").write_bytes(good)
    shard(root, folder)  # known to be broken: nothing is tried
    assert lasting(published, root) == before
    done = shard(root, folder, "--retry-errors")
    now = lasting(published, root)
    assert {name: now[name] for name in before} == before
    assert "v1.mp4" not in done.stderr
    assert read_plan_counts(str(root)).counts().tolist() == [2, 2]
    shard(root, folder, "--retry-errors")
    assert lasting(published, root) == now


def test_a_source_that_goes_away_before_it_is_cut_is_tried_again_by_the_next_run(videos, tmp_path, shard):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:2])
    shard(root, folder)
    for path in (root / "shards").iterdir():  # planned, and not cut yet
        path.unlink()
    good = (folder / "v1.mp4").read_bytes()
    (folder / "v1.mp4").unlink()
    done = shard(root, folder)
    assert "v1.mp4: there is no file" in done.stderr
    assert len(list(ClipStream(StreamConfig(root=root, num_frames=None, epochs=1)))) == 2
    (folder / "v1.mp4").write_bytes(good)
    done = shard(root, folder)
    assert "v1.mp4" not in done.stderr
    samples = list(ClipStream(StreamConfig(root=root, num_frames=None, epochs=1)))
    assert len({sample.key for sample in samples}) == len(samples) == 4
    for path in (root / "shards").iterdir():
        path.unlink()
    for path in folder.iterdir():  # what an unmounted disk leaves behind
        path.unlink()
    with pytest.raises(StorageError, match="is gone, and its sources with it"):
        cut_shards(str(root), POLICY, Executor(name="inline", limits=Limits()))
    assert list((root / "shards").iterdir()) == []


def test_other_options_are_refused_while_and_after_a_job_runs(videos, tmp_path, shard):
    root = tmp_path / "root"
    shard(root, into(tmp_path / "videos", videos[:1]))
    done = shard(root, tmp_path / "videos", "--min-frames", 7, code=2)
    assert "min_frames: 6 -> 7" in done.stderr


def test_roots_with_a_single_plan_file_are_read_and_grow(videos, tmp_path, shard, published):
    root, folder = tmp_path / "root", into(tmp_path / "videos", videos[:2])
    shard(root, folder)
    as_before_parts(root, folder)
    old = published(root)
    assert len(list(ClipStream(StreamConfig(root=root, num_frames=None, epochs=1)))) == 4
    shard(root, into(folder, videos[:3]))
    now = published(root)
    assert {name: now.get(name) for name in old if name != "dataset.json"} == {name: old[name] for name in old if name != "dataset.json"}
    assert read_plan_counts(str(root)).counts().tolist() == [2, 2, 2]


def as_before_parts(root: Path, folder: Path) -> None:
    """Give a root the files that it would have had before plans had parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "source_roots.json").unlink()
    table = pq.read_table(root / "plan/000000.parquet").drop_columns(["shard_hash", "rows_sha256", "attempt"])
    uris = pa.array([uri.replace("root://0", str(folder)) for uri in table["source_uri"].to_pylist()])
    table = table.set_column(table.column_names.index("source_uri"), "source_uri", uris)
    pq.write_table(
        table.replace_schema_metadata({b"trackmill_kind": b"plan", b"schema_version": b"1", b"plan_hash": b"0" * 64}), root / "plan.parquet"
    )
    shutil.rmtree(root / "plan")
    for path in (root / "probe").iterdir():
        probe = pq.read_table(path)
        uris = pa.array([uri.replace("root://0", str(folder)) for uri in probe["uri"].to_pylist()])
        pq.write_table(probe.set_column(probe.column_names.index("uri"), "uri", uris), path)
    for path in (root / "shards").glob("*.parquet"):
        index = pq.read_table(path)
        kept = {name: value for name, value in index.schema.metadata.items() if name != b"planned"}
        pq.write_table(index.replace_schema_metadata(kept), path)
    document = json.loads((root / "dataset.json").read_text())
    document["inputs_sha256"], document["policy"]["limit"] = "0" * 64, None
    (root / "dataset.json").write_text(json.dumps(document))

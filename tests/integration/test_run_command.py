"""`trackmill run` and `trackmill status`: the chain as a user runs it, stopped and gone on with, and the state of what it leaves."""

import re
import shlex

import cv2
import pyarrow.parquet as pq
import pytest

from pipeline.stream import ClipStream, StreamConfig


@pytest.fixture
def trackmill(run_job, monkeypatch):
    """trackmill("status", "--root", root, code=0) -> what it printed, called by the console script."""
    monkeypatch.setattr("sys.argv", ["trackmill"])
    return lambda *words, code=0: run_job("trackmill.py", *words, code=code)


@pytest.fixture
def videos(make_video, tmp_path):
    make_video("v/a.mp4", num_frames=60, size=(144, 192), seed=1)
    make_video("v/b.mp4", num_frames=30, size=(144, 192), seed=2)
    return tmp_path / "v"


FAST = ("--labeler", "lucas-kanade", "--queries", "100", "--clip-frames", "30", "--executor", "inline")


def next_lines(shown: str) -> list[list[str]]:
    """Words of each command below `next:`."""
    return [shlex.split(line) for line in re.findall(r"^  (trackmill .*)$", shown, re.MULTILINE)]


def named(shown: str, name: str) -> str:
    """The row of this name in a printed table, its lines joined without blanks."""
    found = re.search(rf"│ {name} +│(.*)│\n((?:│ +│.*│\n)*)", shown)
    assert found, shown
    return " ".join([found[1].strip(), *(line.strip("│ \n") for line in found[2].splitlines())])


def test_run_goes_from_videos_to_audited_tracks_and_on_where_it_stopped(trackmill, videos, tmp_path, published):
    root = tmp_path / "root"
    trackmill("shard", videos, "--root", root, "--clip-frames", "30", "--executor", "inline")  # as if stopped after the first step
    (videos / "broken.mp4").write_bytes(b"no video")
    done = trackmill("run", videos, "--root", root, *FAST, "--max-error-rate", "0.5")
    assert [line[:3] for line in done.stderr.splitlines() if line[1:3] == "/5"] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert named(done.stdout, "clips").startswith("3 cut from 2 videos; 1 error,")
    assert named(done.stdout, "audit") == "keep 3"
    label_set = named(done.stdout, "label set")
    assert (root / "audit" / label_set / "report.html").exists()
    assert cv2.imread(str(root / "audit" / label_set / "contact_sheet.webp")).shape[1] > 500
    (sample, *_) = ClipStream(StreamConfig(root=str(root), audit=label_set, epochs=1))
    assert sample.track_weights.shape == (100,)
    assert [line[1] for line in next_lines(done.stdout)] == ["show", "synthesize", "train"]
    before = published(root)
    trackmill("run", videos, "--root", root, *FAST, "--max-error-rate", "0.5")
    assert published(root) == before


def test_run_says_why_clips_are_lost_what_helps_and_exits_with_the_gate(trackmill, make_video, tmp_path):
    make_video("v/still.mp4", num_frames=30, size=(144, 192))
    root = tmp_path / "root"
    done = trackmill("run", tmp_path / "v", "--root", root, *FAST, "--queries", "40", code=4)  # 64 usable tracks are the least
    assert named(done.stdout, "worst reason").startswith("few_tracks, 1 clip: ")
    assert "--queries N" in named(done.stdout, "remedy")
    assert [line[1] for line in next_lines(done.stdout)] == ["show"]


def test_run_refuses_a_labeler_before_anything_is_cut(trackmill, videos, tmp_path):
    done = trackmill("run", videos, "--root", tmp_path / "root", "--labeler", "dis-flaw", "--executor", "inline", code=2)
    assert "unknown labeler 'dis-flaw'" in done.stderr
    assert not (tmp_path / "root").exists()
    trackmill("run", videos, "--root", tmp_path / "root", "--out", "sheet.txt", code=2)


def test_a_run_without_one_good_video_ends_with_too_many_errors(trackmill, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    done = trackmill("run", tmp_path / "a.mp4", "--root", tmp_path / "root", "--executor", "inline", code=3)
    assert "no clip could be cut" in done.stderr
    assert "0 cut from 0 videos; 1 error," in named(done.stdout, "clips")


def test_a_dry_run_shows_the_plan_and_writes_nothing(trackmill, videos, tmp_path):
    done = trackmill("run", videos, "--root", tmp_path / "root", "--executor", "inline", "--dry-run")
    assert named(done.stdout, "clips") == "3, 90 frames in all, in 1 shard"
    assert not (tmp_path / "root").exists()


def test_status_leads_from_a_half_done_dataset_to_the_end(trackmill, videos, tmp_path):
    root = tmp_path / "root"
    trackmill("shard", videos, "--root", root, "--clip-frames", "30", "--clips-per-shard", "1", "--executor", "inline")
    for lost in ("000002.parquet", "000002.tar"):
        (root / "shards" / lost).unlink()
    plan = pq.read_table(root / "plan/000000.parquet")
    shown = trackmill("status", "--root", root).stdout
    assert named(shown, "shards") == "2 of 3 cut"
    follow(trackmill, shown)
    assert pq.read_table(root / "plan/000000.parquet").equals(plan)
    assert [path.name for path in (root / "plan").iterdir()] == ["000000.parquet"]

    shown = trackmill("status", "--root", root).stdout
    assert named(shown, "shards") == "3 of 3 cut"
    assert [line[1] for line in next_lines(shown)] == ["screen", "label"]
    trackmill("screen", "--root", root, "--executor", "inline")
    label = ("label", "--root", root, "--labeler", "lucas-kanade", "--queries", "81", "--option", "round_trip_px=2.0", "--cycle")
    label_set = trackmill(*label, "--executor", "inline").stdout.splitlines()[-1]
    (root / "labels" / label_set / "000001.parquet").unlink()

    shown = trackmill("status", "--root", root).stdout
    assert named(shown, "label set").startswith(f"{label_set}: tracks by lucas-kanade, 2 of 3 shards; 2 ok")
    assert trackmill_line(follow(trackmill, shown)) == label_set
    assert [path.name for path in (root / "labels").iterdir()] == [label_set]

    follow(trackmill, trackmill("status", "--root", root).stdout)
    shown = trackmill("status", "--root", root).stdout
    assert named(shown, "audit").startswith(f"{label_set}: keep 3; mean weight 0.")
    assert named(shown, "missing").startswith("nothing")


def follow(trackmill, shown: str):
    """Run the first recommended command, in this process."""
    words = next_lines(shown)[0][1:]
    return trackmill(*words, "--executor", "inline")


def trackmill_line(done) -> str:
    return done.stdout.splitlines()[-1]


def test_status_counts_errors_and_take_downs(trackmill, videos, tmp_path):
    (videos / "broken.mp4").write_bytes(b"no video")
    root = tmp_path / "root"
    trackmill("shard", videos, "--root", root, "--clip-frames", "30", "--executor", "inline", "--max-error-rate", "1")
    keys = pq.read_table(root / "shards/000000.parquet")["key"].to_pylist()
    trackmill("forget", "--root", root, "--clip", keys[0])
    shown = trackmill("status", "--root", root).stdout
    assert named(shown, "errors") == "1 in probe; see errors/ below the root"
    assert named(shown, "forgotten").startswith("1 clip,")


def test_status_reads_a_root_in_an_object_store(trackmill, videos, bucket):
    root = f"{bucket}/root"
    trackmill("shard", videos, "--root", root, "--clip-frames", "30", "--executor", "inline")
    shown = trackmill("status", "--root", root).stdout
    assert named(shown, "clips").startswith("3 of 3 planned have a video")
    assert next_lines(shown)[0] == ["trackmill", "screen", "--root", root]


@pytest.mark.parametrize(("made", "said"), [(False, "does not exist"), (True, "no dataset.json")])
def test_status_of_what_is_no_dataset(trackmill, tmp_path, made, said):
    if made:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/a.jpg").write_bytes(b"")
    done = trackmill("status", "--root", tmp_path / "photos", code=2)
    assert said in done.stderr
    assert f"trackmill run VIDEOS --root {tmp_path}/photos" in done.stderr

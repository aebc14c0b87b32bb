"""jobs/pseudolabel.py: resumable, quarantining, the same on Ray and in one process; shown by jobs/show.py."""

import io
import shutil
from pathlib import Path

import av
import cv2
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset

from pipeline.labels import read_labels
from pipeline.shards.tombstones import write_tombstones
from pipeline.stream import ClipStream, StreamConfig

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _our_labelers(monkeypatch):
    monkeypatch.syspath_prepend(HERE)


def write_plain(path: Path, colour: tuple[int, int, int], num_frames: int = 12) -> None:
    """A video of one colour, with a little texture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "6", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(num_frames):
            picture = np.clip(np.full((64, 96, 3), colour) + rng.integers(-6, 6, (64, 96, 1)), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def sharded(tmp_path_factory, run_job):
    """Nine clips in three shards; one of them is red. Not to be changed."""
    folder = tmp_path_factory.mktemp("sharded")
    for index in range(9):
        write_plain(folder / f"videos/v{index}.mp4", (230, 20, 20) if index == 4 else (20, 90 + 10 * index, 160))
    run_job("shard.py", folder / "videos", "--root", folder / "root", "--clips-per-shard", 3, "--executor", "inline")
    return folder / "root"


@pytest.fixture
def root(sharded, tmp_path):
    """A copy of `sharded` for this test."""
    return shutil.copytree(sharded, tmp_path / "root")


def statuses(root, label_set) -> dict[str, tuple[str, str | None]]:
    rows = duckdb.sql(f"select key, status, error from '{root}/labels/{label_set}/*.parquet'").fetchall()
    return {key[:2]: (status, error) for key, status, error in rows}


def test_labels_are_read_by_plain_tools_and_by_ours(make_video, tmp_path, run_job):
    make_video("v/a.mp4", num_frames=30)
    root = tmp_path / "root"
    run_job("shard.py", tmp_path / "v", "--root", root, "--clip-frames", 15, "--executor", "inline")
    done = run_job(
        "pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", 49, "--query-policy", "corners", "--executor", "inline"
    )
    label_set = done.stdout.strip().splitlines()[-1]
    assert label_set.startswith("dis-flow-")
    ours = dict(read_labels(str(root), label_set))
    table = pq.read_table(root / "labels" / label_set / "000000.parquet")
    for row in table.to_pylist():
        x = np.array(row["tracks_x"]).reshape(49, 15).T / 32
        np.testing.assert_array_equal(x.astype(np.float32), ours[row["key"]].tracks_px[..., 0])
    track, frame = 7, 3
    sql = f"select key, tracks_x[{track} * num_frames + {frame} + 1] / 32.0 from '{root}/labels/{label_set}/*.parquet' where status = 'ok'"
    for key, x in duckdb.sql(sql).fetchall():
        assert float(x) == pytest.approx(float(ours[key].tracks_px[frame, track, 0]))
    labels = next(iter(ours.values()))
    moved = labels.tracks_px[10] - labels.tracks_px[0]
    kept = labels.visibility[10] & labels.visibility[0]
    np.testing.assert_allclose(np.median(moved[kept], axis=0), [20, 10], atol=0.5)  # 2 px right and 1 down per frame


def test_a_second_run_does_nothing_and_other_queries_are_another_set(root, run_job, published):
    arguments = ("--root", root, "--labeler", "misbehaving:Standing", "--executor", "inline")
    first = run_job("pseudolabel.py", *arguments, "--queries", 16).stdout.splitlines()[-1]
    before = published(root)
    assert run_job("pseudolabel.py", *arguments, "--queries", 16).stdout.splitlines()[-1] == first
    assert published(root) == before
    other = run_job("pseudolabel.py", *arguments, "--queries", 25).stdout.splitlines()[-1]
    assert other != first
    assert {name: digest for name, digest in published(root).items() if other not in name} == before


@pytest.mark.unexpected
@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("raise", "unexpected RuntimeError at misbehaving.py:40 in _make_trouble: this labeler does not like red"),
        ("nan", "tracks_px holds NaN"),
    ],
)
def test_a_clip_that_cannot_be_labelled_is_a_row(root, run_job, trouble, says):
    done = run_job(
        "pseudolabel.py",
        "--root",
        root,
        "--labeler",
        "misbehaving:Standing",
        "--option",
        f"trouble={trouble}",
        "--executor",
        "inline",
        "--clips-per-batch",
        3,
        code=3,
    )
    found = statuses(root, done.stdout.splitlines()[-1])
    assert [status for status, _ in found.values()].count("ok") == 8
    assert found["v4"][0] == "failed"
    assert says in found["v4"][1]


@pytest.mark.usefixtures("local_ray")
def test_a_clip_that_kills_its_worker_is_quarantined_and_the_job_ends(root, run_job):
    done = run_job(
        "pseudolabel.py",
        "--root",
        root,
        "--labeler",
        "misbehaving:Standing",
        "--option",
        "trouble=exit",
        "--max-error-rate",
        0.5,
        "--num-workers",
        2,
    )
    label_set = done.stdout.splitlines()[-1]
    found = statuses(root, label_set)
    assert [status for status, _ in found.values()].count("ok") == 8
    assert found["v4"][0] == "quarantined"
    assert "its worker was lost 2 times (the process died)" in found["v4"][1]
    errors = duckdb.sql(f"select key, exception from '{root}/errors/labels/{label_set}/*.parquet'").fetchall()
    assert [(key[:2], exception) for key, exception in errors] == [("v4", "quarantined")]
    samples = list(ClipStream(StreamConfig(root=str(root), labels=label_set, num_frames=8, epochs=1)))
    assert len(samples) == 8


@pytest.mark.usefixtures("local_ray")
def test_a_clip_that_never_ends_is_stopped(root, run_job):
    done = run_job(
        "pseudolabel.py", "--root", root, "--labeler", "misbehaving:Standing", "--option", "trouble=sleep", "--max-error-rate", 0.5,
        "--clip-time-limit", 6, "--max-attempts", 1, "--num-workers", 1,
    )  # fmt: skip
    found = statuses(root, done.stdout.splitlines()[-1])
    assert found["v4"][0] == "quarantined"
    assert "took longer than 6 s" in found["v4"][1]
    assert [status for status, _ in found.values()].count("ok") == 8


@pytest.mark.usefixtures("local_ray")
def test_a_labeler_that_cannot_be_made_on_a_worker_ends_the_job(root, run_job, tmp_path):
    arguments = ("--root", root, "--labeler", "misbehaving:OnlyOnce", "--option", f"mark={tmp_path / 'mark'}")
    done = run_job("pseudolabel.py", *arguments, "--num-workers", 1, code=1)
    assert "a labeler could not be made on a worker" in done.stderr
    assert "no such checkpoint on this node" in done.stderr


@pytest.mark.usefixtures("local_ray")
def test_a_mistake_that_shows_only_on_a_worker_ends_the_job_as_bad_usage(root, run_job, tmp_path):
    arguments = ("--root", root, "--labeler", "misbehaving:OnlyOnce", "--option", f"mark={tmp_path / 'mark'}")
    done = run_job("pseudolabel.py", *arguments, "--option", "mistake=true", "--num-workers", 1, code=2)
    assert done.stderr.strip().splitlines()[-1] == "error: this node cannot do that on cpu"
    assert "Traceback" not in done.stderr
    assert not (root / "errors").exists()


@pytest.mark.parametrize("executor", [pytest.param("ray", marks=pytest.mark.soak), "inline"])
def test_a_device_that_a_worker_does_not_have_costs_no_clip(root, run_job, tmp_path, executor):
    arguments = ("--root", root, "--labeler", "misbehaving:OnlyOnce", "--option", f"mark={tmp_path / 'mark'}")
    done = run_job("pseudolabel.py", *arguments, "--option", "device=cuda:99", "--executor", executor, code=2)
    assert "has no device 'cuda:99' for the labeler" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((root / "labels").glob("*/*.parquet"))


@pytest.mark.usefixtures("local_ray")
def test_gpus_that_are_not_there_or_not_of_use_are_named(root, run_job, tmp_path):
    arguments = ("--root", root, "--labeler", "misbehaving:OnlyOnce", "--option", f"mark={tmp_path / 'mark'}")
    done = run_job("pseudolabel.py", *arguments, "--num-gpus-per-worker", 99, "--num-workers", 1, code=2)
    assert "no worker of 1 CPUs and 99 GPUs fits" in done.stderr
    done = run_job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--num-gpus-per-worker", 1, "--dry-run", code=2)
    assert "labeler dis-flow runs on the CPU" in done.stderr


@pytest.mark.parametrize("executor", [pytest.param("ray", marks=pytest.mark.soak), "inline"])
def test_a_clip_that_does_not_fit_into_memory_is_quarantined_and_counted(root, run_job, executor):
    arguments = ("--root", root, "--labeler", "misbehaving:Standing", "--option", "trouble=crowd", "--clips-per-batch", 3)
    done = run_job("pseudolabel.py", *arguments, "--max-error-rate", 0.2, "--executor", executor)
    label_set = done.stdout.splitlines()[-1]
    found = statuses(root, label_set)
    assert found["v4"] == ("quarantined", "red does not fit into 8 MB; give the labeler more memory, or fewer queries")
    assert [status for status, _ in found.values()].count("ok") == 8
    errors = duckdb.sql(f"select key, exception from '{root}/errors/labels/{label_set}/*.parquet'").fetchall()
    assert [(key[:2], exception) for key, exception in errors] == [("v4", "quarantined")]
    notes = duckdb.sql(f"select distinct notes from '{root}/labels/{label_set}/*.parquet' where status = 'ok'").fetchall()
    assert notes == [("labelled alone: a batch of 3 clips did not fit into memory",)]
    summary = " ".join(done.stdout.split())
    assert "0, quarantined 1, left out on purpose 0" in summary
    assert "8 clips labelled otherwise than configured" in summary


@pytest.mark.usefixtures("local_ray")
def test_ray_and_inline_write_the_same_bytes(root, run_job, published):
    arguments = ("--root", root, "--labeler", "dis-flow", "--queries", 64)
    label_set = run_job("pseudolabel.py", *arguments, "--executor", "ray", "--clips-per-batch", 2).stdout.splitlines()[-1]
    on_ray = published(root / "labels" / label_set)
    for path in (root / "labels" / label_set).iterdir():
        path.unlink()
    run_job("pseudolabel.py", *arguments, "--executor", "inline")
    assert published(root / "labels" / label_set) == on_ray


def test_labels_of_a_shard_that_changed_since_are_refused(root, run_job, tmp_path):
    label_set = run_job("pseudolabel.py", "--root", root, "--labeler", "misbehaving:Standing", "--executor", "inline").stdout.splitlines()[
        -1
    ]
    path = root / "labels" / label_set / "000000.parquet"
    table = pq.read_table(path)
    column = table.schema.get_field_index("clip_sha256")
    pq.write_table(table.set_column(column, "clip_sha256", [["0" * 64] * len(table)]), path)
    done = run_job("show.py", "--root", root, "--labels", label_set, "--out", tmp_path / "sheet.png", code=1)
    assert "was labelled on another video" in done.stderr
    assert "run jobs/pseudolabel.py again" in done.stderr


def test_usage_mistakes_are_named(root, run_job, tmp_path):
    cases = {
        ("--root", tmp_path / "nothing", "--labeler", "dis-flow"): "make it with jobs/shard.py first",
        ("--root", root, "--labeler", "dis"): "unknown labeler 'dis'",
        ("--root", root, "--labeler", "dis-flow", "--option", "presets=fast"): "has no option presets",
        ("--root", root, "--labeler", "dis-flow", "--query-policy", "best"): "best",
        ("--root", root, "--labeler", "dis-flow", "--executor", "slurm"): "is not one of",
    }
    for arguments, says in cases.items():
        assert says in run_job("pseudolabel.py", *arguments, code=2).stderr


def test_clips_and_sheets_are_drawn(root, run_job, tmp_path):
    label_set = run_job("pseudolabel.py", "--root", root, "--labeler", "misbehaving:Standing", "--executor", "inline").stdout.splitlines()[
        -1
    ]
    run_job("show.py", "--root", root, "--labels", label_set, "--out", tmp_path / "sheet.png", "--clips", 4)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 300
    run_job("show.py", "--root", root, "--labels", label_set, "--out", tmp_path / "tracks.mp4")
    with av.open(str(tmp_path / "tracks.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert "no clip nobody" in run_job("show.py", "--root", root, "--clip", "nobody", "--out", tmp_path / "x.png", code=2).stderr
    assert ".png, .webp, .jpg, .jpeg, .mp4" in run_job("show.py", "--root", root, "--out", tmp_path / "x.jpeg2", code=2).stderr


def test_registered_tars_are_labelled_and_joined_in_a_plain_webdataset_pipeline(make_video, tmp_path, run_job):
    import tarfile

    from pipeline.stream import join_labels
    from pipeline.stream.webdataset_pipeline import webdataset_pipeline

    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        tar.add(make_video("a.mp4", num_frames=12), "00000_1.mp4")
        tar.add(make_video("b.mp4", num_frames=9), "00000_2.mp4")
    root = tmp_path / "root"
    run_job("shard.py", tmp_path / "*.tar", "--preset", "webdataset", "--root", root, "--executor", "inline")
    label_set = run_job(
        "pseudolabel.py", "--root", root, "--labeler", "lucas-kanade", "--queries", 25, "--executor", "inline"
    ).stdout.splitlines()[-1]
    joined = list(webdataset.WebDataset(str(tmp_path / "00000.tar"), shardshuffle=False).map(join_labels(str(root), label_set)))
    assert [sample["labels.tracks_px"].shape for sample in joined] == [(12, 25, 2), (9, 25, 2)]
    with av.open(io.BytesIO(joined[0]["mp4"])) as container:
        assert container.streams.video[0].frames == 12
    config = StreamConfig(root=str(root), labels=label_set, num_frames=None, epochs=1, shuffle=False)
    assert [len(sample.frames) for sample in ClipStream(config)] == [12, 9]
    for sample, same in zip(webdataset_pipeline(config), joined, strict=True):
        assert sample["mp4"] == same["mp4"]
        np.testing.assert_array_equal(sample["labels.tracks_px"], same["labels.tracks_px"])


def test_real_clips_go_all_the_way_on_ray(real_videos, tmp_path, run_job):
    root = tmp_path / "root"
    run_job("shard.py", *real_videos, "--root", root, "--executor", "ray", "--clips-per-shard", 4)
    done = run_job("pseudolabel.py", "--root", root, "--labeler", "lucas-kanade", "--queries", 256, "--executor", "ray")
    label_set = done.stdout.splitlines()[-1]
    labelled = dict(read_labels(str(root), label_set))
    assert len(labelled) == duckdb.sql(f"select count(*) from '{root}/shards/*.parquet' where status = 'ok'").fetchall()[0][0]
    assert all(labels.tracks_px.shape[1] == 256 for labels in labelled.values())
    run_job("show.py", "--root", root, "--labels", label_set, "--out", tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_a_clip_whose_bytes_changed_in_the_tar_is_not_labelled(root, run_job):
    index = pq.read_table(root / "shards/000001.parquet").to_pylist()
    video = next(member for member in index[2]["members"] if member["name"] == "mp4")
    tar = root / "shards/000001.tar"
    data = bytearray(tar.read_bytes())
    data[video["offset"] + video["length"] // 2] ^= 1
    tar.write_bytes(data)
    done = run_job("pseudolabel.py", "--root", root, "--labeler", "lucas-kanade", "--executor", "inline", code=3)
    status, error = statuses(root, done.stdout.splitlines()[-1])["v5"]
    assert status == "failed"
    assert "000001.tar" in error
    assert "damaged or replaced since it was written" in error


def test_a_source_to_be_forgotten_is_neither_labelled_nor_shown_nor_read(root, run_job, tmp_path):
    arguments = ("--root", root, "--labeler", "misbehaving:Standing", "--executor", "inline")
    before = run_job("pseudolabel.py", *arguments).stdout.splitlines()[-1]
    write_tombstones(str(root), source_ids=["v3.mp4"])
    assert not [key for key, _ in read_labels(str(root), before) if key.startswith("v3-")]
    assert len(list(read_labels(str(root), before))) == 8
    after = run_job("pseudolabel.py", *arguments, "--queries", 9).stdout.splitlines()[-1]
    assert statuses(root, after)["v3"] == ("screened", "tombstoned")
    (key,) = (row["key"] for row in pq.read_table(root / "plan/000000.parquet").to_pylist() if row["source"] == "v3.mp4")
    assert f"no clip {key}" in run_job("show.py", "--root", root, "--clip", key, "--out", tmp_path / "x.png", code=2).stderr


def test_a_long_clip_is_labelled_as_a_stream_and_drawn_in_part(make_video, tmp_path, run_job):
    make_video("v/long.mp4", num_frames=530, size=(48, 64))
    root = tmp_path / "root"
    run_job("shard.py", tmp_path / "v", "--root", root, "--clip-frames", 0, "--executor", "inline")
    done = run_job(
        "pseudolabel.py", "--root", root, "--labeler", "lucas-kanade", "--queries", 16, "--query-frames", 3, "--executor", "inline"
    )
    label_set = done.stdout.splitlines()[-1]
    ((_, labels),) = read_labels(str(root), label_set)
    assert labels.tracks_px.shape == (530, 16, 2)
    assert sorted(set(labels.queries[:, 0])) == [0, 176, 353]
    run_job("show.py", "--root", root, "--labels", label_set, "--out", tmp_path / "tracks.mp4")
    with av.open(str(tmp_path / "tracks.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 300

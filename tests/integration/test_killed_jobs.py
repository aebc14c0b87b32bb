"""A job killed at a named point and run again ends with the bytes of an undisturbed run, and leaves nothing temporary."""

import pytest

KILLED = 137


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos, enough for three shards of two clips."""
    from fractions import Fraction

    import av
    import numpy as np

    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (30, 60, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    for name in ("a.mp4", "b.mp4"):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"g": "24", "bf": "2"})
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            for index in range(36):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[index : index + 96, index : index + 160]), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 30)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return folder


def shard_arguments(videos, root) -> tuple:
    return (videos, "--root", root, "--clip-frames", 12, "--clips-per-shard", 2, "--executor", "inline")


def label_arguments(root) -> tuple:
    return ("--root", root, "--labeler", "dis-flow", "--queries", 64, "--executor", "inline")


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory, run_job, published):
    """sha256 of every file of a run that nobody killed, shards and labels."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    run_job("shard.py", *shard_arguments(videos, root))
    run_job("pseudolabel.py", *label_arguments(root))
    return published(root)


# (point, how often it is passed first): early, in the middle, and late
SHARD_POINTS = [
    ("before publishing", 1),
    ("before publishing", 7),
    ("between publishing and commit", 3),
    ("in the middle of a tar", 4),
    pytest.param("before publishing", 4, marks=pytest.mark.soak),
    pytest.param("between publishing and commit", 1, marks=pytest.mark.soak),
    pytest.param("in the middle of a tar", 1, marks=pytest.mark.soak),
]
LABEL_POINTS = [
    ("before publishing", 3),
    ("in the middle of a label file", 1),
    pytest.param("before publishing", 1, marks=pytest.mark.soak),
    pytest.param("in the middle of a label file", 3, marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("point", "count"), SHARD_POINTS)
def test_sharding_continues_to_the_same_bytes(point, count, videos, undisturbed, tmp_path, run_job, published):
    root = tmp_path / "root"
    run_job("shard.py", *shard_arguments(videos, root), through=(point, str(count)), code=KILLED)
    assert published(root).keys() != undisturbed.keys()  # the kill did interrupt something
    run_job("shard.py", *shard_arguments(videos, root))
    assert published(root) == {name: digest for name, digest in undisturbed.items() if not name.startswith("labels/")}


@pytest.mark.parametrize(("point", "count"), LABEL_POINTS)
def test_labelling_continues_to_the_same_bytes(point, count, videos, undisturbed, tmp_path, run_job, published):
    root = tmp_path / "root"
    run_job("shard.py", *shard_arguments(videos, root))
    run_job("pseudolabel.py", *label_arguments(root), through=(point, str(count)), code=KILLED)
    run_job("pseudolabel.py", *label_arguments(root))
    assert published(root) == undisturbed


STOPS = [(0, "between publishing and commit", "2:SIGINT", 130), (1, "in the middle of a label file", "2:SIGTERM", 143)]  # which job


@pytest.mark.parametrize(("which", "point", "place", "code"), STOPS)
def test_a_stopped_job_leaves_in_order_and_continues(which, point, place, code, videos, undisturbed, tmp_path, run_job, published):
    root = tmp_path / "root"
    jobs = [("shard.py", shard_arguments(videos, root)), ("pseudolabel.py", label_arguments(root))]
    for name, arguments in jobs[:which]:
        run_job(name, *arguments)
    name, arguments = jobs[which]
    done = run_job(name, *arguments, through=(point, place), code=code)
    assert done.stderr.splitlines()[-1] == "stopped; run the same command again to continue"
    assert "Traceback" not in done.stderr
    left = published(root)
    assert not [file for file in left if file.endswith(".parquet") and undisturbed[file] != left[file]]  # nothing is half-written
    run_job("shard.py", *[each for each in shard_arguments(videos, root) if each not in ("--clips-per-shard", 2)])  # as the root records
    run_job("pseudolabel.py", *label_arguments(root))
    assert published(root) == undisturbed

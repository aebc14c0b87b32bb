"""jobs/evaluate.py labels: label sets of a dataset with truth, against a computation by hand from the files."""

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.labels import read_labels
from pipeline.layout import Layout
from pipeline.metrics import tapvid_metrics
from pipeline.records import ClipRecord
from pipeline.shards.index import ClipEntry, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tar import ShardWriter, TarSample, arrays_npz
from pipeline.tables import document_bytes

HEIGHT, WIDTH, FRAMES = 96, 128, 12
KEYS = {"moving-a": ("val", (1.7, 0.6)), "moving-b": ("val", (-1.2, 1.1)), "moving-c": ("train", (0.5, -0.9)), "bare": ("val", (1.0, 0.0))}


def world(key: str, velocity: tuple[float, float]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A textured plane that slides by `velocity` pixels a frame behind a still grey pillar, and where its points are."""
    rng = np.random.default_rng(list(key.encode()))
    canvas = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT * 2, WIDTH * 2, 3)).astype(np.float32), (0, 0), 1.6)
    canvas = np.clip((canvas - 127) * 4 + 127, 0, 255)
    pillar = slice(70, 90)
    y, x = np.meshgrid(np.arange(8, HEIGHT, 12), np.arange(6, WIDTH, 12), indexing="ij")
    start = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    moved = (np.arange(FRAMES)[:, None] * np.array(velocity)).astype(np.float32)
    tracks = start[None] + moved[:, None]
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(FRAMES):
        shift = np.array([[1, 0, moved[t, 0] - WIDTH / 2], [0, 1, moved[t, 1] - HEIGHT / 2]])
        frames[t] = cv2.warpAffine(canvas, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC).clip(0, 255)
        frames[t, :, pillar] = 110
    inside = ((tracks >= -0.5) & (tracks <= np.array([WIDTH, HEIGHT]) - 0.5)).all(axis=-1)
    hidden = (tracks[..., 0] > pillar.start - 1) & (tracks[..., 0] < pillar.stop)
    visibility = inside & ~hidden
    valid = np.ones(visibility.shape, bool)
    valid[5, :7] = False  # nobody knows where these are in frame 5
    query_frame = np.zeros(len(start), np.int32)
    query_frame[::5] = 2
    return frames, {"tracks2d": tracks, "visibility": visibility, "track_valid": valid, "query_frame": query_frame}


def encoded(frames: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "6", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt, stream.thread_count = HEIGHT, WIDTH, "yuv420p", 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def write_dataset(root: Path) -> dict[str, dict[str, np.ndarray]]:
    """One shard of four clips; the last has no truth. Gives the arrays."""
    truth, entries = {}, []
    (root / "shards").mkdir(parents=True)
    write_plan(str(root), (PlannedClip(shard=0, key=key, source=key, source_uri=key, source_id=key, split=KEYS[key][0]) for key in KEYS))
    with ShardWriter(root / "shards" / "000000.tar") as writer:
        for key, (split, velocity) in KEYS.items():
            frames, arrays = world(key, velocity)
            video = encoded(frames)
            record = ClipRecord(
                key=key, source=key, source_id=key, split=split, start_s=0.0, end_s=FRAMES / 10, fps=10.0, frames=FRAMES, width=WIDTH,
                height=HEIGHT, codec="h264", video="h264", sha256=hashlib.sha256(video).hexdigest(),
                timestamps=tuple(t / 10 for t in range(FRAMES)),
            )  # fmt: skip
            document = document_bytes(json.loads(json.dumps(asdict(record))), "clip")
            sample = TarSample(record=record, video=video, document=document, arrays=None if key == "bare" else arrays_npz(arrays))
            entry = ClipEntry(key=key, sample_key=key, tar="000000.tar", source=key, source_id=key, split=split)
            entries.append(writer.add(entry, sample))
            truth[key] = arrays
    write_index(str(root), 0, writer.located(entries))
    return truth


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, run_job):
    """(root, truth, names of two label sets made with --query-policy truth)."""
    root = tmp_path_factory.mktemp("evaluate") / "root"
    truth = write_dataset(root)
    names = []
    for labeler in ("dis-flow", "lucas-kanade"):
        done = run_job(
            "pseudolabel.py", "--root", root, "--labeler", labeler, "--query-policy", "truth", "--queries", 60, "--executor", "inline",
            code=3,  # one clip of four has no truth to take queries from
        )  # fmt: skip
        names.append(done.stdout.split()[-1])
    return root, truth, names


def raster(tracks: np.ndarray) -> np.ndarray:
    return tracks.swapaxes(0, 1)[None] * np.array([256 / WIDTH, 256 / HEIGHT])


def by_hand(labels, arrays: dict[str, np.ndarray]) -> list[float]:
    """AJ, delta_avg and OA of one clip. Where the truth is not valid, a prediction equal to the truth is put in and taken out again."""
    numbers = [
        next(n for n in range(arrays["tracks2d"].shape[1]) if (arrays["tracks2d"][int(t), n] == (x, y)).all()) for t, x, y in labels.queries
    ]
    tracks, visible, valid = arrays["tracks2d"][:, numbers], arrays["visibility"][:, numbers], arrays["track_valid"][:, numbers]
    seen, said = visible & valid, labels.visibility & valid
    found = tapvid_metrics(
        labels.queries[None, :, [0, 2, 1]], ~seen.T[None], raster(tracks), ~said.T[None], raster(labels.tracks_px), query_mode="first"
    )
    after = np.arange(FRAMES)[:, None] > labels.queries[:, 0]
    agreeing = ((labels.visibility == visible) & after & valid).sum() / (after & valid).sum()
    return [float(found.average_jaccard[0]), float(found.average_pts_within_thresh[0]), float(agreeing)]


def test_the_values_are_those_of_a_direct_computation(labelled, run_job, tmp_path):
    root, truth, names = labelled
    done = run_job("evaluate.py", "labels", "--root", root, "--labels", names[0], "--labels", names[1], "--out", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    for name, found in zip(names, document["label_sets"], strict=True):
        expected = {key: by_hand(labels, truth[key]) for key, labels in read_labels(root, name)}
        assert [clip["key"] for clip in found["clips"]] == ["moving-a", "moving-b", "moving-c"] == list(expected)
        for clip in found["clips"]:
            values = [clip[measure] for measure in ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")]
            np.testing.assert_allclose(values, expected[clip["key"]], atol=1e-6)
        means = np.mean(list(expected.values()), axis=0)
        assert found["mean_over_clips"]["average_jaccard"] == pytest.approx(means[0], abs=1e-6)
        assert f"{100 * means[0]:.1f}" in done.stdout
        assert f"{100 * means[2]:.1f}" in done.stdout
        assert found["provenance"]["configuration"]["queries"]["policy"] == "truth"
        assert 0.5 < means[0] <= 1, "a plane that slides by two pixels is easy"
    assert document["left_out"] == {"no true tracks": 1}
    assert document["settings"]["query_mode"] == "first"
    assert document["settings"]["thresholds_px"] == [1, 2, 4, 8, 16]
    assert (tmp_path / "out" / "evaluation.png").read_bytes()[:4] == b"\x89PNG"


def test_a_second_run_writes_the_same_bytes(labelled, run_job, tmp_path, published):
    root, _, names = labelled
    for out in ("a", "b"):
        run_job("evaluate.py", "labels", "--root", root, "--labels", names[0], "--mode", "strided", "--out", tmp_path / out)
    assert published(tmp_path / "a") == published(tmp_path / "b")


def test_a_split_is_evaluated_alone(labelled, run_job, tmp_path):
    root, _, names = labelled
    run_job("evaluate.py", "labels", "--root", root, "--labels", names[0], "--split", "train", "--out", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [clip["key"] for clip in document["label_sets"][0]["clips"]] == ["moving-c"]


def test_queries_that_are_no_true_points_are_refused_with_the_remedy(labelled, run_job):
    root, *_ = labelled
    done = run_job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", 20, "--executor", "inline")
    done = run_job("evaluate.py", "labels", "--root", root, "--labels", done.stdout.split()[-1], code=2)
    assert "--query-policy truth" in done.stderr


def test_an_unknown_set_is_bad_usage(labelled, run_job):
    root, *_ = labelled
    assert (
        "no label set 'nobody-12345678'" in run_job("evaluate.py", "labels", "--root", root, "--labels", "nobody-12345678", code=2).stderr
    )


def test_a_clip_without_truth_says_so_in_its_row(labelled):
    import duckdb

    root, _, names = labelled
    ((error,),) = duckdb.sql(f"select error from '{Layout(str(root)).label_shard(names[0], 0)}' where status = 'failed'").fetchall()
    assert "clip bare has no true tracks" in error

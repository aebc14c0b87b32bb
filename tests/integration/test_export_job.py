"""jobs/export.py: every format read back by the text of its layout, what is left out and why, and going on after a kill."""

import io
import json
import os
import pickle
import shutil
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest

from pipeline.datasets.kubric import KubricSource
from pipeline.datasets.tapvid3d import TapVid3dSource
from pipeline.shards.tombstones import write_tombstones
from tests.exported_dataset import (
    CENTRE,
    FOCAL,
    STEP_M,
    WALL_M,
    WEIGHTS,
    Clip,
    H,
    T,
    W,
    audit,
    frames_of,
    label,
    labels_of,
    start_px,
    truth_of,
    write_root,
)

ANY = ("--trainer", "any")


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """(root, audit) of three kept clips in two shards, one of the split val, one that the audit drops and one that was not cut."""
    root = write_root(
        tmp_path_factory.mktemp("audited") / "root",
        [Clip(key="s0c0"), Clip(key="s0c1", split="val"), Clip(key="s0c2", cut=False), Clip(key="s1c0"), Clip(key="s1c1")],
    )
    label(root, (0, 1))
    return root, audit(root, (0, 1), reasons={"s1c1": ("dark",)})


def read_kubric(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames "T H W 3", positions "T N 2" and visibility "T N", as CoTracker's class takes them from the files."""
    names = sorted(os.listdir(folder / "frames"))
    frames = np.stack([cv2.imread(str(folder / "frames" / name))[..., ::-1] for name in names])
    annotation = np.load(folder / f"{folder.name}.npy", allow_pickle=True).item()
    return frames, np.transpose(annotation["coords"], (1, 0, 2)), np.transpose(np.logical_not(annotation["visibility"]), (1, 0))


def test_kubric_holds_what_the_audit_keeps(audited, tmp_path, run_job):
    root, name = audited
    done = run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "out", *ANY)
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["s0c0", "s0c1", "s1c0"]
    kept = np.flatnonzero(WEIGHTS > 0)
    for key in ("s0c0", "s1c0"):
        frames, coords, visible = read_kubric(tmp_path / "out" / key)
        np.testing.assert_array_equal(frames, frames_of(key))
        np.testing.assert_array_equal(coords, labels_of(key).tracks_px[:, kept] + np.float32(0.5))
        np.testing.assert_array_equal(visible, labels_of(key).visibility[:, kept])
        assert (coords.dtype, visible.dtype) == (np.float32, bool)
    assert "3 of 5, split all" in done.stdout
    assert "1 audit drop, 1 failed" in done.stdout
    said = json.loads((tmp_path / "out" / "s0c0" / "export.json").read_text())
    assert (said["license"], said["labels"], said["tracks"]) == ("CC-BY-4.0", [name], 9)


def test_splits_limits_and_least_weights_are_obeyed(audited, tmp_path, run_job):
    root, name = audited
    run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "val", "--split", "val", "--min-weight", 0.5, *ANY)
    assert [path.name for path in (tmp_path / "val").iterdir() if path.is_dir()] == ["s0c1"]
    np.testing.assert_array_equal(
        read_kubric(tmp_path / "val" / "s0c1")[1], labels_of("s0c1").tracks_px[:, np.flatnonzero(WEIGHTS >= 0.5)] + np.float32(0.5)
    )
    run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "one", "--limit", 1, *ANY)
    assert [path.name for path in (tmp_path / "one").iterdir() if path.is_dir()] == ["s0c0"]
    run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "one", "--limit", 4, *ANY)
    assert sorted(path.name for path in (tmp_path / "one").iterdir() if path.is_dir()) == ["s0c0", "s0c1", "s1c0"]


def test_pickles_name_no_module_that_older_numpy_lacks(audited, tmp_path, run_job):
    root, name = audited
    run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "out", "--limit", 1, *ANY)
    data = (tmp_path / "out/s0c0/s0c0.npy").read_bytes()
    assert b"numpy.core.multiarray" in data
    assert b"numpy._core" not in data


def test_our_own_reader_converts_the_kubric_folder_back(audited, tmp_path, run_job):
    root, name = audited
    run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "out", *ANY)
    source = KubricSource(str(tmp_path / "out"))
    sequences = {sequence.name: sequence for sequence in source.sequences()}
    assert sorted(sequences) == ["s0c0", "s0c1", "s1c0"]
    truth = source.read(sequences["s1c0"], 0, T)
    kept = np.flatnonzero(WEIGHTS > 0)
    np.testing.assert_array_equal(truth.tracks2d, labels_of("s1c0").tracks_px[:, kept])
    np.testing.assert_array_equal(truth.visibility, labels_of("s1c0").visibility[:, kept])


def test_alltracker_is_found_two_folders_deep_with_its_own_names(audited, tmp_path, run_job):
    root, name = audited
    run_job("export.py", "alltracker", "--root", root, "--audit", name, "--out", tmp_path / "out", *ANY)
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").glob("*/*/") if path.is_dir())
    assert found == ["000000/s0c0", "000000/s0c1", "000001/s1c0"]
    annotation = np.load(tmp_path / "out/000001/s1c0/annot.npy", allow_pickle=True).item()
    kept = np.flatnonzero(WEIGHTS > 0)
    np.testing.assert_array_equal(annotation["point_xys"], labels_of("s1c0").tracks_px[:, kept] + np.float32(0.5))
    np.testing.assert_array_equal(annotation["point_visibs"], labels_of("s1c0").visibility[:, kept])
    assert annotation["point_xys_valid"].all()
    assert annotation["point_xys_valid"].shape == (T, 9)
    assert len(os.listdir(tmp_path / "out/000001/s1c0/frames")) == T


def test_clips_that_the_trainer_would_drop_are_refused_with_the_options_that_help(audited, tmp_path, run_job):
    root, name = audited
    common = ("kubric", "--root", root, "--audit", name, "--out", tmp_path / "out")
    short = run_job("export.py", *common, code=2).stderr
    assert "3 fewer than 60 frames" in short
    assert "jobs/shard.py --clip-frames 64" in short
    # nine tracks with weight; of those visible in frame 0, and of those in frame 3: entries to draw from
    visible = labels_of("s0c0").visibility[:, WEIGHTS > 0]
    entries = int(visible[0].sum() + visible[3].sum())
    few = run_job("export.py", *common, "--trainer-frames", T, "--trainer-points", entries + 1, code=2).stderr
    assert f"{entries} points are visible in the first or middle frame" in few
    assert "jobs/pseudolabel.py --queries 1024 --query-frames 2" in few
    assert "3 of 5" in run_job("export.py", *common, "--trainer-frames", T, "--trainer-points", entries).stdout


def test_tapip3d_gives_points_that_lie_on_the_wall(tmp_path, run_job):
    root = write_root(tmp_path / "root", [Clip(key="s0c0"), Clip(key="s0c1", truth=False)])
    done = run_job("export.py", "tapip3d", "--root", root, "--out", tmp_path / "out")
    assert "1 no depth" in done.stdout
    data = np.load(tmp_path / "out/s0c0.npz")  # nothing in it is pickled
    np.testing.assert_array_equal(data["video"], frames_of("s0c0"))
    assert (data["depths"] == np.float32(WALL_M)).all()
    assert data["depths"].shape == (T, H, W)
    expected = np.tile(np.eye(4, dtype=np.float32), (T, 1, 1))
    expected[:, 0, 3] = -np.float32(STEP_M) * np.arange(T)
    np.testing.assert_allclose(data["extrinsics"], expected, atol=1e-7)
    visible = truth_of()["visibility"][np.arange(12) % 2, np.arange(12)]
    queries = data["query_point"]
    np.testing.assert_array_equal(queries[:, 0], (np.arange(12) % 2)[visible])
    np.testing.assert_allclose(queries[:, 1:3], ((start_px() - CENTRE) / FOCAL * WALL_M)[visible], atol=1e-6)
    np.testing.assert_allclose(queries[:, 3], WALL_M)
    np.testing.assert_array_equal(data["intrinsics"][0], np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]], np.float32))


def test_tapip3d_lifts_labels_by_the_depth_and_speaks_spatialtrackers_layout(tmp_path, run_job):
    root = write_root(tmp_path / "root", [Clip(key="s0c0")])
    name = label(root)
    run_job("export.py", "tapip3d", "--root", root, "--labels", name, "--out", tmp_path / "out", "--video-layout", "tchw")
    data = np.load(tmp_path / "out/s0c0.npz")
    np.testing.assert_array_equal(np.rint(data["video"] * 255).astype(np.uint8).transpose(0, 2, 3, 1), frames_of("s0c0"))
    assert data["video"].shape == (T, 3, H, W)
    labels = labels_of("s0c0")
    seen = labels.visibility[0]
    np.testing.assert_allclose(data["query_point"][:, 1:3], ((labels.tracks_px[0] - CENTRE) / FOCAL * WALL_M)[seen], atol=1e-6)


def test_tapvid_is_one_pickle_of_all_clips(audited, tmp_path, run_job):
    root, name = audited
    run_job("export.py", "tapvid", "--root", root, "--audit", name, "--out", tmp_path / "out")
    with (tmp_path / "out/tapvid.pkl").open("rb") as handle:
        found = pickle.load(handle)
    assert list(found) == ["s0c0", "s0c1", "s1c0"]
    for key, video in found.items():
        labels, kept = labels_of(key), np.flatnonzero(WEIGHTS > 0)
        np.testing.assert_array_equal(video["video"], frames_of(key))
        raster = video["points"] * np.array([W, H])  # as readers do: pixels from the image's corner
        np.testing.assert_allclose(raster.swapaxes(0, 1) - 0.5, labels.tracks_px[:, kept], atol=1e-5)
        np.testing.assert_array_equal(video["occluded"], ~labels.visibility[:, kept].T)
        assert (video["points"].dtype, video["occluded"].dtype) == (np.float32, bool)
    with (tmp_path / "out/clips/s1c0.pkl").open("rb") as handle:
        assert list(pickle.load(handle)) == ["s1c0"]


def test_tapvid3d_is_read_by_its_layout_and_by_our_reader(tmp_path, run_job):
    root = write_root(tmp_path / "root", [Clip(key="s0c0")])
    run_job("export.py", "tapvid3d", "--root", root, "--out", tmp_path / "out", "--jpeg-quality", 100)
    data, truth = np.load(tmp_path / "out/s0c0.npz", allow_pickle=True), truth_of()
    np.testing.assert_array_equal(data["tracks_XYZ"], truth["tracks3d"])
    np.testing.assert_array_equal(data["visibility"], truth["visibility"])
    np.testing.assert_array_equal(data["fx_fy_cx_cy"], np.array([FOCAL, FOCAL, *CENTRE], np.float32))
    at = np.arange(12) % 2
    np.testing.assert_array_equal(data["queries_xyt"], np.column_stack([truth["tracks2d"][at, np.arange(12)], at]).astype(np.float32))
    np.testing.assert_allclose(data["extrinsics_w2c"][:, 0, 3], -np.float32(STEP_M) * np.arange(T), atol=1e-7)
    picture = cv2.imdecode(np.frombuffer(data["images_jpeg_bytes"][4], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(picture.astype(int) - frames_of("s0c0")[4]).mean() < 3
    source = TapVid3dSource(str(tmp_path / "out"))
    (sequence,) = source.sequences()
    clip = source.read(sequence, 0, T)
    np.testing.assert_allclose(clip.tracks2d, truth["tracks2d"], atol=1e-4)
    np.testing.assert_allclose(clip.camera_to_world, truth["camera_to_world"], atol=1e-6)


def test_labels_have_no_place_in_space_and_say_so(tmp_path, run_job):
    root = write_root(tmp_path / "root", [Clip(key="s0c0")])
    said = run_job("export.py", "tapvid3d", "--root", root, "--labels", label(root), "--out", tmp_path / "out", code=2).stderr
    assert "1 no tracks in space" in said
    assert "leave --labels and --audit out" in said


def test_a_run_after_a_kill_makes_only_what_is_missing_and_ends_with_the_same_bytes(audited, tmp_path, run_job, published):
    root, name = audited
    common = ("export.py", "kubric", "--root", root, "--audit", name, *ANY, "--out")
    run_job(*common, tmp_path / "whole")
    run_job(*common, tmp_path / "out")
    left = tmp_path / "out/s1c0"
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/s0c0").rglob("*") if path.is_file()}
    for path in (tmp_path / "out/export.000001.json", tmp_path / "out/export.000000.json"):
        path.unlink()
    shutil.rmtree(left)  # killed before this sequence was there; another lies half made beside the folder
    (tmp_path / ".out.making/s1c0/frames").mkdir(parents=True)
    run_job(*common, tmp_path / "out")
    assert published(tmp_path / "out") == published(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in times} == times  # a finished sequence is not made again
    assert not (tmp_path / ".out.making").exists()


def test_a_forgotten_clip_leaves_the_export_with_the_next_run(audited, tmp_path, run_job):
    root, name = audited
    own = shutil.copytree(root, tmp_path / "root")
    common = ("export.py", "tapvid", "--root", own, "--audit", name, "--out", tmp_path / "out")
    run_job(*common)
    write_tombstones(str(own), ["s0c0"])
    assert "1 tombstoned" in run_job(*common).stdout
    assert sorted(path.name for path in (tmp_path / "out/clips").glob("*.pkl")) == ["s0c1.pkl", "s1c0.pkl"]
    with (tmp_path / "out/tapvid.pkl").open("rb") as handle:
        assert list(pickle.load(handle)) == ["s0c1", "s1c0"]


def test_a_damaged_clip_is_an_error_and_the_others_are_exported(tmp_path, run_job):
    root = Path(write_root(tmp_path / "root", [Clip(key="s0c0"), Clip(key="s0c1")]))
    label(str(root))
    tar = root / "shards/000000.tar"
    data = bytearray(tar.read_bytes())
    data[700:720] = bytes(20)  # within the first clip's first image
    tar.write_bytes(bytes(data))
    done = run_job("export.py", "kubric", "--root", root, "--labels", label(str(root)), "--out", tmp_path / "out", *ANY, code=3)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["s0c1"]
    assert "1 of 2 went wrong" in done.stderr
    (error,) = json.loads((tmp_path / "out/export.000000.json").read_text())["errors"]
    assert error["key"] == "s0c0"
    assert "sha256" in error["message"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("kubric", "--trainer", "pips"), "--trainer is 'pips', expected one of cotracker3-offline"),
        (("kubric", "--labels", "nothing"), "no label set 'nothing'"),
        (("tapip3d", "--video-layout", "chw"), "--video-layout is 'chw', expected one of thwc, tchw"),
        (("tapvid", "--split", "train", "--limit", "0"), "--limit is 0"),
    ],
)
def test_bad_usage_is_explained(more, said, audited, tmp_path, run_job):
    assert said in run_job("export.py", *more, "--root", audited[0], "--out", tmp_path / "out", code=2).stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_within_the_root_and_other_options_are_refused(audited, tmp_path, run_job):
    root, name = audited
    assert "lies in the dataset" in run_job("export.py", "tapvid", "--root", root, "--out", f"{root}/out", code=2).stderr
    run_job("export.py", "tapvid", "--root", root, "--audit", name, "--out", tmp_path / "out", "--limit", 1)
    said = run_job("export.py", "tapvid", "--root", root, "--out", tmp_path / "out", code=2).stderr
    assert "holds another export" in said
    assert "audit: " in said


def test_a_bucket_takes_the_export_too(audited, run_job, bucket):
    root, name = audited
    common = ("export.py", "kubric", "--root", root, "--audit", name, "--out", f"{bucket}/out", *ANY)
    run_job(*common)
    run_job(*common)
    store = fsspec.filesystem("s3")
    assert len(store.ls(f"{bucket}/out/s1c0/frames")) == T
    annotation = np.load(io.BytesIO(store.cat_file(f"{bucket}/out/s1c0/s1c0.npy")), allow_pickle=True).item()
    np.testing.assert_array_equal(annotation["coords"][0, :, 0], labels_of("s1c0").tracks_px[:, 1, 0] + np.float32(0.5))


def test_a_dry_run_counts_and_writes_nothing(audited, tmp_path, run_job):
    root, name = audited
    done = run_job("export.py", "kubric", "--root", root, "--audit", name, "--out", tmp_path / "out", "--dry-run")
    assert "3 fewer than 60 frames" in done.stdout
    assert not (tmp_path / "out").exists()

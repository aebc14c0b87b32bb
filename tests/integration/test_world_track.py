"""WorldTrack as a user runs it: files of the benchmark, or of one's own clips, converted, and a fresh tiny St4RTrack measured on them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import build_model
from networks.inputs import fitted_size, resize_frames
from networks.weights import save_weights
from pipeline.metrics.world_tracks import world_track_metrics
from pipeline.stream import ClipStream, StreamConfig
from tests.tiny_network import TINY
from tests.world_track_files import H, W, make_wall, write_file
from trainer.inference import predict

FRAMES, PIXELS = 6, 3000
TWIN = {
    **{"enc_embed_dim": 32, "enc_depth": 1, "enc_num_heads": 2, "dec_embed_dim": 32, "dec_depth": 4, "dec_num_heads": 2, "patch_size": 16},
    **{"dpt_feature_dim": 16, "dpt_last_dim": 8, "dpt_layer_dims": [8, 8, 16, 16]},
}


@pytest.fixture(scope="module")
def work(tmp_path_factory, run_job) -> Path:
    """Three files, converted: two with tracks, one of them with depth, and one for reconstruction alone; two checkpoints."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world_track")
    walls = [make_wall(FRAMES, seed) for seed in range(3)]
    write_file(folder / "data/po_mini/a.npz", walls[0], depth_map=walls[0].depth)
    write_file(folder / "data/ds_mini/b.npz", walls[1])
    write_file(folder / "data/tum/c.npz", walls[2], tracks_XYZ=None, visibility=None, depth_map=walls[2].depth)
    run_job("convert.py", "worldtrack", folder / "data", "--root", folder / "root", "--reprojected-tracks", 0, "--executor", "inline")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_weights(str(folder / "twin.safetensors"), build_model("st4rtrack", TWIN))
        save_weights(str(folder / "pi3.safetensors"), build_model("pi3", TINY))
    return folder


def measured(work: Path, out: str) -> dict:
    return json.loads((work / out / "model_evaluation.json").read_text())


def test_the_table_is_that_of_the_metrics_on_what_the_model_says(work, run_job) -> None:
    checkpoints = ("--checkpoint", work / "twin.safetensors", "--checkpoint", work / "pi3.safetensors")
    arguments = ("--root", work / "root", *checkpoints, "--pixels", PIXELS, "--device", "cpu", "--out", work / "report")
    done = run_job("evaluate.py", "worldtrack", *arguments)
    for expected in ("WorldTrack tracks", "WorldTrack reconstruction", "APD dyn", "EPE all", "po_mini, 1 clips", "tum, 1 clips"):
        assert expected in done.stdout
    twin, pi3 = measured(work, "report")["checkpoints"]
    clips = {clip["subset"]: clip for clip in twin["clips"]}
    wall = make_wall(FRAMES, 1)
    expected = metrics_of_head_1(work, wall)
    for name, value in expected.items():
        assert clips["ds_mini"]["values"][name] == pytest.approx(value, abs=2e-6), name
    assert clips["ds_mini"]["num_tracks"] == wall.world.shape[1] - 1  # all that frame 0 shows
    assert clips["ds_mini"]["num_frames"] == FRAMES
    assert clips["tum"]["undefined"]["world_track_apd_all_median"] == "no true tracks to ask for"
    values = [clip["values"]["world_track_epe_m_all_median"] for clip in (clips["po_mini"], clips["ds_mini"])]
    assert twin["mean"]["world_track_epe_m_all_median"] == pytest.approx(np.mean(values), abs=2e-6)
    assert twin["mean_of_subset"]["po_mini"]["world_track_epe_m_all_median"] == values[0]
    assert twin["clips_where_defined"]["world_points_epe_m_sim3"] == 2
    assert pi3["mean"]["world_track_apd_all_median"] is None  # it tracks nothing
    assert pi3["mean"]["world_points_epe_m_median"] > 0


def metrics_of_head_1(work: Path, wall) -> dict[str, float]:
    """Values of the clip of ds_mini, from the model's tracks at the first frame's visible points and the truth in closed form."""
    from networks.weights import load_model

    config = StreamConfig(root=str(work / "root"), num_frames=None, epochs=1, shuffle=False)
    (sample,) = [clip for clip in ClipStream(config) if clip.extra["subset"] == "ds_mini"]
    size = fitted_size(W / H, PIXELS, patch=16)
    asked = np.flatnonzero(wall.visible[0])
    pixels = wall.camera[0, asked, :2] / wall.camera[0, asked, 2:] * 60 + [(W - 1) / 2, (H - 1) / 2]
    queries = (pixels + 0.5) * [size[1] / W, size[0] / H] - 0.5
    prediction = predict(load_model(str(work / "twin.safetensors")), resize_frames(sample.frames, size), queries.astype(np.float32))
    assert prediction.tracks is not None
    np.testing.assert_allclose(prediction.camera_to_world[0], np.eye(4), atol=1e-5)  # its world is the first camera
    truth, dynamic = wall.world[:, asked], wall.dynamic[asked]
    found = {}
    for points, tracks in (("all", None), ("dynamic", dynamic)):
        for fit, alignment in (("median", "median_scale"), ("sim3", "sim3")):
            metrics = world_track_metrics(prediction.tracks.world, truth, alignment=alignment, tracks=tracks)
            found |= {f"world_track_apd_{points}_{fit}": metrics.apd, f"world_track_epe_m_{points}_{fit}": metrics.epe_m}
    return found


def test_the_first_frames_count_and_what_is_done_is_kept(work, run_job, monkeypatch) -> None:
    short = ("--root", work / "root", "--checkpoint", work / "twin.safetensors", "--pixels", PIXELS, "--clip-frames", 3)
    short = (*short, "--device", "cpu", "--limit", 1)
    run_job("evaluate.py", "worldtrack", *short, "--out", work / "short")
    report = (work / "short/model_evaluation.json").read_bytes()
    document = measured(work, "short")
    assert (document["settings"]["frames"]["first"], document["settings"]["num_tracks"]) == (3, None)
    assert [clip["num_frames"] for clip in document["checkpoints"][0]["clips"]] == [3]
    monkeypatch.setattr("jobs.evaluating.subjects.load_checkpoint", None)  # nothing is left to be measured
    run_job("evaluate.py", "worldtrack", *short, "--out", work / "short")
    assert (work / "short/model_evaluation.json").read_bytes() == report


def test_what_cannot_be_measured_is_refused_first(work, run_job) -> None:
    arguments = ("--root", work / "root", "--checkpoint", work / "none.safetensors")
    assert "first is 0, expected at least 1" in run_job("evaluate.py", "worldtrack", *arguments, "--clip-frames", 0, code=2).stderr
    assert "'icp' is not one of" in run_job("evaluate.py", "worldtrack", *arguments, "--sim3", "icp", code=2).stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory, run_job) -> Path:
    """Two rendered clips, exported as the benchmark's files, and these converted back."""
    folder = tmp_path_factory.mktemp("own_world_track")
    size = ("--clip-frames", FRAMES, "--height", H, "--width", W, "--queries", 40)
    run_job(
        "synthesize.py", "--root", folder / "studio", "--domain", "studio", "--num-clips", 2, "--seed", 5, "--executor", "inline", *size
    )
    done = run_job("export.py", "worldtrack", "--root", folder / "studio", "--out", folder / "files", "--jpeg-quality", 100)
    assert "2 of 2, split all" in done.stdout
    run_job("convert.py", "worldtrack", folder / "files", "--root", folder / "root", "--reprojected-tracks", 0, "--executor", "inline")
    return folder


def test_rendered_clips_come_back_from_the_files_that_were_written_of_them(own) -> None:
    rendered = {clip.key: clip for clip in ClipStream(StreamConfig(root=str(own / "studio"), num_frames=None, epochs=1, shuffle=False))}
    converted = list(ClipStream(StreamConfig(root=str(own / "root"), num_frames=None, epochs=1, shuffle=False)))
    assert sorted(path.stem for path in (own / "files/po_mini").glob("*.npz")) == sorted(rendered)
    assert len(converted) == len(rendered) == 2
    for found in converted:
        clip = rendered[Path(found.source).stem]
        whole = np.flatnonzero(clip.track_valid.all(axis=0) & clip.visibility.any(axis=0))
        assert 10 < len(whole) == found.tracks3d.shape[1]
        np.testing.assert_array_equal(found.tracks3d, clip.tracks3d[:, whole])
        np.testing.assert_array_equal(found.visibility, clip.visibility[:, whole])
        np.testing.assert_allclose(found.tracks2d, clip.tracks2d[:, whole], atol=1e-3)
        np.testing.assert_allclose(found.intrinsics, clip.intrinsics, rtol=1e-7)
        np.testing.assert_array_equal(found.depth, clip.depth)
        np.testing.assert_allclose(found.camera_to_world, np.linalg.inv(clip.camera_to_world[0]) @ clip.camera_to_world, atol=1e-5)
        assert np.abs(found.frames.astype(int) - clip.frames).mean() < 3
        assert (found.is_metric, found.extra["subset"]) == (True, "po_mini")


def test_a_model_is_measured_on_clips_of_ones_own(own, work, run_job) -> None:
    arguments = ("--checkpoint", work / "twin.safetensors", "--pixels", PIXELS, "--device", "cpu", "--out", own / "report")
    run_job("evaluate.py", "worldtrack", "--root", own / "root", *arguments)
    (twin,) = measured(own, "report")["checkpoints"]
    defined = twin["clips_where_defined"]
    assert defined["world_track_epe_m_all_median"] == defined["world_points_epe_m_median"] == 2
    for clip in twin["clips"]:
        assert 0 < clip["values"]["world_track_epe_m_all_median"] < 100


def test_a_network_of_other_channels_than_rgb_is_refused_before_a_frame_is_read(own, work, run_job, tmp_path) -> None:
    said = "the network takes images of 5 channels (input_channels), and data and videos have 3, RGB: set model.config.input_channels to 3"
    wide = tmp_path / "wide.safetensors"
    save_weights(str(wide), build_model("st4rtrack", {**TWIN, "input_channels": 5}))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        (pictures / f"{number}.jpg").write_bytes(b"no picture")
    assert said in run_job("infer.py", pictures, "--checkpoint", wide, "--out", tmp_path / "out", "--device", "cpu", code=2).stderr
    arguments = ("--root", own / "root", "--checkpoint", wide, "--pixels", PIXELS, "--device", "cpu", "--out", tmp_path / "report")
    assert said in run_job("evaluate.py", "worldtrack", *arguments, code=2).stderr
    train = ("train.py", "--config", "st4rtrack_tiny", "--set", "model.config.input_channels=5", "--set", f"out={tmp_path / 'run'}")
    for more in (("--dry-run",), ()):
        assert said in run_job(*train, "--set", f"data.labelled.0.root={own / 'studio'}", *more, code=2).stderr
    assert not (tmp_path / "run").exists()

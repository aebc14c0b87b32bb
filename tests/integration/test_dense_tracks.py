"""jobs/infer.py with a Track4World checkpoint, as a user runs it: dense tracks of a few images, chained and from one frame."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs.infer import app
from networks import build_model
from networks.weights import save_weights
from pipeline.dense_tracks import read_dense_npz, read_dense_parquet
from tests.tiny_network import TINY
from tests.tiny_track4world import save_still

NUM_FRAMES = 5


def run(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, (done.output, done.stderr, done.exception)
    return done


def said(done: Result) -> str:
    return " ".join(done.stdout.replace("│", " ").split())


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """Five times one image, and a network without motion: what it should say is known, though its points are not."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("dense")
    (folder / "still").mkdir()
    texture = cv2.resize(np.random.default_rng(0).integers(0, 255, (9, 12, 3)).astype(np.uint8), (96, 72), interpolation=cv2.INTER_CUBIC)
    for number in range(NUM_FRAMES):
        cv2.imwrite(str(folder / f"still/{number}.png"), texture)
    save_still(folder / "t4w.safetensors")
    return folder


@pytest.fixture(scope="module")
def chained(work) -> Result:
    options = ("--every", 3, "--pixels", 6912, "--parquet", "--round-trip", 0.5, "--device", "cpu")
    return run(work / "still", "--checkpoint", work / "t4w.safetensors", "--out", work / "chained", *options)


def test_chained_tracks_of_a_still_video_stand_still(work, chained):
    tracks = read_dense_npz(str(work / "chained/dense_tracks.npz"))
    assert (tracks.num_frames, tracks.size, tracks.space) == (NUM_FRAMES, (72, 96), "world")
    assert tracks.num_tracks > 20
    assert (set(tracks.starts.tolist()), set(tracks.lengths.tolist())) == ({0}, {NUM_FRAMES})
    assert (tracks.queries[:, 1:] % 3 == 1).all()  # middles of cells of 3 pixels
    assert tracks.visibility.all()
    assert tracks.visibility_score.min() > 0.9
    by_track = tracks.in_frames(np.arange(NUM_FRAMES))
    np.testing.assert_allclose(by_track.pixels, np.broadcast_to(tracks.queries[:, 1:], by_track.pixels.shape), atol=1e-3)
    with np.load(work / "chained/predictions.npz") as file:
        cloud, extrinsics, colours = (file[name] for name in ("world_points", "extrinsics", "colors"))
    x, y = tracks.queries[:, 1:].astype(int).T
    scale = np.abs(cloud).max()
    np.testing.assert_allclose(by_track.points, cloud[:, y * 96 + x], atol=1e-3 * scale)  # tracks lie on the cloud, frame by frame
    np.testing.assert_allclose(extrinsics, np.broadcast_to(extrinsics[0], extrinsics.shape), atol=1e-3)
    np.testing.assert_array_equal(tracks.colours, colours[0, y * 96 + x])


def test_the_other_files_say_the_same(work, chained):
    tracks, table = read_dense_npz(str(work / "chained/dense_tracks.npz")), read_dense_parquet(str(work / "chained/dense_tracks.parquet"))
    np.testing.assert_array_equal(table.points, tracks.points)
    ply = (work / "chained/trajectories.ply").read_bytes()
    assert f"element vertex {len(tracks.pixels)}\n".encode() in ply
    assert f"element edge {len(tracks.pixels) - tracks.num_tracks}\n".encode() in ply
    document = json.loads((work / "chained/inference.json").read_text())
    assert document["settings"] == {"every_px": 3, "reference": None, "round_trip_px": 0.5, "visible": 0.3, "least_confidence": 0.1}
    counts = {"num_tracks": tracks.num_tracks, "num_positions": len(tracks.pixels), "num_whole": tracks.num_tracks}
    assert document["dense_tracks"] == {"mode": "chained", **counts, "median_length": 5.0, "seen_share": 1.0}
    assert document["frames"]["at_once"] == 256
    assert f"{tracks.num_tracks:,} chained, {len(tracks.pixels):,} positions; 5 frames long in the median" in said(chained)
    assert len(np.loadtxt(work / "chained/poses.txt")) == NUM_FRAMES
    assert cv2.imread(str(work / "chained/preview.png")).shape[1] == 1352


def test_the_pixels_of_one_frame_reach_all_frames(work):
    options = ("--reference", 2, "--pixels", 6912, "--device", "cpu")
    done = run(work / "still", "--checkpoint", work / "t4w.safetensors", "--out", work / "reference", *options)
    tracks = read_dense_npz(str(work / "reference/dense_tracks.npz"))
    assert (tracks.queries[:, 0] == 2).all()
    assert (set(tracks.starts.tolist()), set(tracks.lengths.tolist())) == ({0}, {NUM_FRAMES})
    by_track = tracks.in_frames(np.arange(NUM_FRAMES))
    np.testing.assert_allclose(by_track.pixels, np.broadcast_to(tracks.queries[:, 1:], by_track.pixels.shape), atol=1e-3)
    assert tracks.num_tracks == 18 * 24  # 4 pixels apart, of 72 x 96: with such confidence all are valid
    assert f"{tracks.num_tracks} from frame 2" in said(done)


def test_what_cannot_be_tracked_is_said_with_its_remedy(work, tmp_path):
    source, checkpoint = work / "still", ("--checkpoint", work / "t4w.safetensors", "--out", tmp_path / "out", "--device", "cpu")
    assert "1 frame is taken, and tracks need 2 or more" in run(source, *checkpoint, "--limit", 1, code=1).stderr
    assert "has more than 3 frames" in run(source, *checkpoint, "--frames", 3, code=2).stderr
    assert "--every N is the distance of its tracks" in run(source, *checkpoint, "--grid", 8, code=2).stderr
    assert "--overlap is not for Track4World" in run(source, *checkpoint, "--overlap", 2, code=2).stderr
    assert "--round-trip checks the steps of chained tracks" in run(source, *checkpoint, "--round-trip", 1, "--reference", 0, code=2).stderr
    assert "--reference is 7, and 5 frames are taken: 0 to 4" in run(source, *checkpoint, "--reference", 7, code=2).stderr
    assert "--every is 0" in run(source, *checkpoint, "--every", 0, code=2).stderr
    other = tmp_path / "pi3.safetensors"
    save_weights(str(other), build_model("pi3", TINY))
    refused = run(source, "--checkpoint", other, "--out", tmp_path / "out", "--every", 4, "--parquet", code=2).stderr
    assert "--every, --parquet: dense tracks are Track4World's, and the checkpoint is of pi3" in refused


def test_frames_below_the_pyramids_smallest_size_are_refused_with_the_pixels_that_do(work, tmp_path):
    wide = save_still(tmp_path / "levels5.safetensors", levels=5)
    arguments = (work / "still", "--checkpoint", wide, "--out", tmp_path / "out", "--device", "cpu", "--every", 8, "--limit", 2)
    refused = run(*arguments, "--pixels", 4000, code=2).stderr
    assert "frames of 73x54 pixels are too small: this Track4World needs 65 or more both ways" in refused
    enough = refused.split("allow --pixels ")[1].split()[0]
    run(*arguments, "--pixels", enough)


def test_a_geometry_that_trusts_no_pixel_and_a_decoder_alone_are_refused(work, tmp_path):
    blind = save_still(tmp_path / "blind.safetensors", confidence=-20.0)
    options = ("--out", tmp_path / "out", "--device", "cpu", "--pixels", 3000)
    assert "none of the clip's pixels is valid" in run(work / "still", "--checkpoint", blind, *options, code=1).stderr
    alone = save_still(tmp_path / "alone.safetensors", backbone="none")
    refused = run(work / "still", "--checkpoint", alone, *options, code=2).stderr
    assert "decoder alone" in refused
    assert "Pi3X or TrajVG below the decoder" in refused

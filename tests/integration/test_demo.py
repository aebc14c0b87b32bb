"""The demo does what the README says: the table of truth, the pictures, the whole way on one's own files."""

import re
from functools import partial

import av
import cv2
import numpy as np
import pytest

from pipeline.synthetic.walk import walk_scene


@pytest.fixture
def _smaller_walk(monkeypatch):
    """A third of the demo's frames and a quarter of their pixels: rendering is most of its time."""
    monkeypatch.setattr("jobs.demo._SECONDS", 1)
    monkeypatch.setattr("pipeline.synthetic.walk.walk_scene", partial(walk_scene, height=144, width=256))


@pytest.mark.usefixtures("_smaller_walk")
def test_the_demo_measures_labels_against_the_truth(tmp_path, run_job):
    shown = run_job("demo.py", "--out", tmp_path / "demo").stdout
    share = {name: float(value) for name, value in re.findall(r"\((AJ|delta_avg|OA)\)\s+│\s+([\d.]+)%", shown)}
    assert share["delta_avg"] > 80
    assert share["AJ"] > 70
    assert share["OA"] > 85
    assert cv2.imread(str(tmp_path / "demo/contact_sheet.webp")).shape[1] > 1000
    with av.open(str(tmp_path / "demo/videos/walk.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 24
    (first,) = sorted((tmp_path / "demo/truth").glob("*.tracks.npz"))
    with np.load(first) as truth:
        assert truth["tracks_px"].shape == (24, 256, 2)
        assert truth["visibility"].dtype == bool
    with np.load(tmp_path / "demo/truth/walk.npz") as truth:
        assert truth["depth"].shape == (24, 144, 256)


def test_the_demo_runs_on_ones_own_files(make_video, tmp_path, run_job):
    make_video("mine/a.mp4", num_frames=30)
    shown = run_job("demo.py", "--out", tmp_path / "own", "--videos", tmp_path / "mine").stdout
    assert "1 samples; the first has frames (24, 96, 160, 3) and tracks (24, 256, 2)" in shown
    assert (tmp_path / "own/tracks.mp4").exists()

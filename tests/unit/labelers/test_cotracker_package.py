"""The adapter against a stand-in for the package, whose tracks are a closed form of all that it is handed."""

import sys

import numpy as np
import pytest
import torch

from labelers.cotracker_package import INSTALL, CoTrackerPackageLabeler
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FramesInMemory

STAND_IN = '''
import torch

torch.manual_seed(0)  # as the real one does

class CoTrackerPredictor(torch.nn.Module):
    """Moves each point by (2, 1) px per frame; red where and when it is queried makes it visible, green hides it before."""

    def __init__(self, checkpoint=None, offline=True, v2=False, window_len=60):
        super().__init__()
        weights = torch.load(checkpoint, weights_only=True)
        self.shift = torch.nn.Parameter(weights["shift"])
        torch.rand(3)
        assert (offline, window_len) in ((True, 60), (False, 16)) and not v2

    def forward(self, video, queries=None, segm_mask=None, grid_size=0, grid_query_frame=0, backward_tracking=False):
        assert video.dtype == torch.float32 and video.shape[:1] + video.shape[2:3] == (1, 3) and not torch.is_grad_enabled()
        t, x, y = queries[0].T
        steps = torch.arange(video.shape[1])[:, None] - t
        tracks = queries[:, None, :, 1:] + steps[None, ..., None] * torch.tensor([2.0, 1.0]) + self.shift
        red, green, blue = video[0, t.long(), :, y.long(), x.long()].T
        visible = (red == 255).expand(len(steps), -1) & (backward_tracking | (steps >= 0) | (green == 0))
        return tracks, visible[None]
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "cotracker"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "predictor.py").write_text(STAND_IN)
    _forget(monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


@pytest.fixture
def checkpoint(tmp_path):
    return _checkpoint(tmp_path / "offline.pth", 60)


def _forget(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "cotracker"]:
        monkeypatch.delitem(sys.modules, name)


def _checkpoint(path, window_len):
    torch.save({"time_emb": torch.zeros(1, window_len, 1110), "shift": torch.tensor([0.5, 0.0])}, path)
    return str(path)


def _clip(num_frames=5):
    """Two points: one on red at its frame, one on black."""
    frames = np.zeros((num_frames, 12, 20, 3), np.uint8)
    frames[3, 4, 7] = (255, 9, 0)
    queries = np.array([[3, 7, 4], [0, 2, 1]], np.float32)
    return ClipFrames(key="clip", reader=FramesInMemory(frames), queries=queries)


def test_frames_queries_and_tracks_keep_their_axes(package, checkpoint):
    labels = CoTrackerPackageLabeler(checkpoint=checkpoint).label([_clip(), _clip(num_frames=4)])
    assert [found.tracks_px.shape for found in labels] == [(5, 2, 2), (4, 2, 2)]
    np.testing.assert_array_equal(labels[0].tracks_px[:, 0], [[1.5, 1], [3.5, 2], [5.5, 3], [7.5, 4], [9.5, 5]])
    np.testing.assert_array_equal(labels[0].tracks_px[:2, 1], [[2.5, 1], [4.5, 2]])
    np.testing.assert_array_equal(labels[0].visibility, [[True, False]] * 5)
    np.testing.assert_array_equal(labels[0].queries, _clip().queries)
    assert labels[0].visibility_score is None
    assert labels[0].confidence is None


def test_without_the_backward_pass_the_package_is_told_so(package, checkpoint):
    labels = CoTrackerPackageLabeler(checkpoint=checkpoint, backward=False).label([_clip()])[0]
    np.testing.assert_array_equal(labels.visibility[:, 0], [False, False, False, True, True])


def test_a_clip_without_queries_has_labels_of_no_tracks(package, checkpoint):
    clip = ClipFrames(key="none", reader=_clip().reader, queries=np.zeros((0, 3), np.float32))
    assert CoTrackerPackageLabeler(checkpoint=checkpoint).label([clip])[0].tracks_px.shape == (5, 0, 2)


def test_provenance_names_package_checkpoint_and_licences(package, checkpoint):
    found = CoTrackerPackageLabeler(checkpoint=checkpoint, device="cpu").provenance()
    assert found.options == {"variant": "offline", "backward": True}
    assert found.versions["cotracker"] == "unknown"  # a folder on the path, no distribution
    assert found.checkpoint == checkpoint
    assert len(found.checkpoint_sha256) == 64
    assert "scores are hidden" in found.visibility_rule
    assert found.license.count("NC") == 2


def test_torchs_random_numbers_go_on_as_if_the_package_had_not_been_imported(package, checkpoint):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)  # a state that seeding by the package cannot lead to
        expected = torch.get_rng_state()
        CoTrackerPackageLabeler(checkpoint=checkpoint)
        assert torch.equal(torch.get_rng_state(), expected)
    assert "cotracker.predictor" in sys.modules


def test_the_online_model_refuses_what_the_package_gets_wrong(package, tmp_path):
    labeler = CoTrackerPackageLabeler(checkpoint=_checkpoint(tmp_path / "online.pth", 16), variant="online")
    assert len(labeler.label([_clip(num_frames=9)])) == 1
    with pytest.raises(DataError, match="clip: 8 frames .* zeros"):
        labeler.label([_clip(num_frames=8)])
    with pytest.raises(DataError, match="594 frames .* pads them to 608 and encodes only 600"):
        labeler.label([_clip(num_frames=594)])


def test_the_online_model_claims_nothing_before_a_query_without_the_backward_pass(package, tmp_path):
    clip = _clip(num_frames=9)
    clip.reader.frames[3, 4, 7, 1] = 0  # the stand-in calls it visible in every frame
    labeler = CoTrackerPackageLabeler(checkpoint=_checkpoint(tmp_path / "online.pth", 16), variant="online", backward=False)
    np.testing.assert_array_equal(labeler.label([clip])[0].visibility[:, 0], np.arange(9) >= 3)
    assert "never before the query" in labeler.provenance().visibility_rule


def test_the_missing_package_is_an_error_that_says_how_to_get_it(tmp_path, monkeypatch, checkpoint):
    _forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "cotracker", None)  # absent, also where it happens to be installed
    with pytest.raises(ConfigError, match="cotracker3-offline") as caught:
        CoTrackerPackageLabeler(checkpoint=checkpoint)
    assert INSTALL in str(caught.value)


def test_the_other_variants_checkpoint_is_refused(package, checkpoint):
    with pytest.raises(ConfigError, match="windows of 60 frames, the online model 16; give variant=offline"):
        CoTrackerPackageLabeler(checkpoint=checkpoint, variant="online")


def test_a_checkpoint_that_the_package_cannot_load_is_a_users_error(package, tmp_path):
    torch.save({"time_emb": torch.zeros(1, 60, 1110)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="does not take .*other.pth"):
        CoTrackerPackageLabeler(checkpoint=str(tmp_path / "other.pth"))


@pytest.mark.parametrize(("option", "value"), [("variant", "both"), ("backward", "no")])
def test_an_option_out_of_range_is_refused(option, value):
    with pytest.raises(ConfigError, match=f"{option} is '{value}'"):
        CoTrackerPackageLabeler(checkpoint="x", **{option: value})

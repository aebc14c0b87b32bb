"""The recipe's losses against values worked out by hand, and which places receive gradient."""

import math
from dataclasses import replace

import pytest
import torch

from trainer.families.tracker2d.losses import TrackTargets, WindowPrediction, position_losses, score_losses
from trainer.families.tracker2d.settings import TrackerSettings

SETTINGS = TrackerSettings(iterations=2)


def make_targets(num_frames=2, num_tracks=2, **changes):
    """Everything at (100, 50), seen and counted."""
    place = (1, num_frames, num_tracks)
    plain = {
        "tracks_px": torch.tensor([100.0, 50.0]).expand(*place, 2),
        "visible": torch.ones(place, dtype=torch.bool),
        "counted": torch.ones(place, dtype=torch.bool),
        "weights": torch.ones(1, num_tracks),
    }
    return TrackTargets(**{**plain, **changes})


def make_window(residuals, *, start=0, num_frames=2, num_tracks=2, logits=0.0):
    """One window whose iterations are off by these residuals, everywhere alike."""
    tracks = torch.tensor([100.0, 50.0]) + torch.tensor(residuals)[None, :, None, None]
    tracks = tracks.expand(1, len(residuals), num_frames, num_tracks, 2).clone().requires_grad_()
    scores = torch.full(tracks.shape[:-1], logits)
    return WindowPrediction(
        start=start, tracks_px=tracks, visibility_logits=scores.clone().requires_grad_(), confidence_logits=scores.clone().requires_grad_()
    )


def test_visible_positions_are_huber_of_6_px_decayed_by_0_8_and_hidden_ones_absolute():
    window = make_window([(3.0, -4.0), (10.0, 0.0)])
    seen = torch.tensor([[[True, False], [True, False]]])
    found = position_losses([window], make_targets(visible=seen), SETTINGS)
    # (9 / 2 + 16 / 2) / 2 = 6.25; 6 (10 - 3) / 2 = 21; (3 + 4) / 2 = 3.5; 10 / 2 = 5
    assert found.visible.tolist() == pytest.approx([(0.8 * 6.25 + 21) / 2])
    assert found.occluded.tolist() == pytest.approx([(0.8 * 3.5 + 5) / 2])
    meant = position_losses([window], make_targets(visible=seen), replace(SETTINGS, occluded_penalty="huber"))
    assert meant.occluded.tolist() == pytest.approx(found.visible.tolist())


def test_windows_are_averaged_and_a_frame_in_two_of_them_counts_in_both():
    windows = [make_window([(4.0, 4.0)]), make_window([(2.0, 2.0)], start=1)]
    found = position_losses(windows, make_targets(num_frames=3), SETTINGS)
    assert found.visible.tolist() == pytest.approx([(8 + 2) / 2])
    late = make_targets(num_frames=3, counted=torch.tensor([False, False, True])[None, :, None].expand(1, 3, 2))
    assert position_losses(windows, late, SETTINGS).visible.tolist() == pytest.approx([2 / 2])  # the first window has no place that counts


def test_a_track_counts_as_its_weight_says_and_weights_do_not_change_the_divisor():
    found = position_losses([make_window([(2.0, 2.0)])], make_targets(weights=torch.tensor([[1.0, 0.25]])), SETTINGS)
    assert found.visible.tolist() == pytest.approx([2 * (1 + 0.25) / 2])


def test_gradient_reaches_the_places_that_count_alone_and_is_clipped():
    window = make_window([(3.0, -40.0)])
    counted = torch.tensor([[[True, True], [False, True]]])
    seen = torch.tensor([[[True, False], [True, False]]])
    found = position_losses([window], make_targets(counted=counted, visible=seen), SETTINGS)
    (to_visible,) = torch.autograd.grad(found.visible.sum(), window.tracks_px, retain_graph=True)
    assert to_visible[0, 0].flatten(0, 1).tolist() == [[1.5, -3.0], [0, 0], [0, 0], [0, 0]]  # half of each coordinate, clipped to 6
    (to_hidden,) = torch.autograd.grad(found.occluded.sum(), window.tracks_px)
    assert to_hidden[0, 0].flatten(0, 1).tolist() == [[0, 0], [0.25, -0.25], [0, 0], [0.25, -0.25]]
    nothing = position_losses([window], make_targets(counted=counted & False), SETTINGS)
    (to_nothing,) = torch.autograd.grad((nothing.visible + nothing.occluded).sum(), window.tracks_px)
    assert not to_nothing.any()


def test_scores_are_cross_entropies_and_confidence_is_right_within_12_px():
    window = make_window([(11.0, 0.0), (13.0, 0.0)], logits=2.0)
    seen = torch.tensor([[[True, False], [True, False]]])
    found = score_losses([window], make_targets(visible=seen), SETTINGS)
    yes, no = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert found.visibility.tolist() == pytest.approx([(yes + no) / 2], rel=1e-5)
    assert found.confidence.tolist() == pytest.approx([(yes + no) / 2], rel=1e-5)  # the first iteration is near, the second is not
    (found.visibility + found.confidence).sum().backward()
    assert window.tracks_px.grad is None  # the label of confidence is detached
    assert window.visibility_logits.grad.abs().min() > 0
    assert window.confidence_logits.grad[0, :, :, 0].abs().min() > 0
    assert not window.confidence_logits.grad[0, :, :, 1].any()  # hidden points say nothing of confidence

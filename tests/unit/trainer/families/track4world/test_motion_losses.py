"""Losses of Track4World's motion stage against independent computations; which inputs they teach."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.families.track4world.motion_losses import (
    PlanarTargets,
    SpatialTargets,
    TrackPrediction,
    neighbourhoods,
    planar_loss,
    planar_terms,
    roughness,
    spatial_loss,
)
from trainer.families.track4world.settings import MotionSettings, PlanarWeights, SpatialWeights

PAPER, ANCESTOR = MotionSettings(), MotionSettings(reduction="alltracker")


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[4] / "golden" / "seeds" / "t4w_losses.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def predicted(golden):
    return TrackPrediction(
        tracks_px=golden["pred2d"].clone().requires_grad_(),
        visibility_logits=golden["vis_prob"].logit().requires_grad_(),
        confidence_logits=golden["conf_prob"].logit().requires_grad_(),
    )


def planar(golden, **changes):
    trust = torch.ones_like(golden["vis_gt"])
    targets = PlanarTargets(tracks_px=golden["gt2d"], visible=golden["vis_gt"] > 0, position_trust=trust, visibility_trust=trust)
    return replace(targets, **changes)


def spatial(golden, **changes):
    visible = golden["vis_gt"] > 0
    targets = SpatialTargets(source=golden["P0"], points=golden["gt3d"], known=torch.ones_like(visible), visible=visible)
    return replace(targets, **changes)


def total(terms, weights):
    return sum(getattr(weights, name) * getattr(terms, name) for name in weights.__slots__)


def test_terms_of_2d_flow_iteration_by_iteration(golden):
    terms = planar_terms(predicted(golden), planar(golden), PAPER)
    for found, name in ((terms.trajectory, "l_traj"), (terms.visibility, "l_vis"), (terms.confidence, "l_conf")):
        torch.testing.assert_close(found.detach(), golden[f"{name}_per_iter"], rtol=1e-6, atol=1e-6, check_dtype=False)


def test_both_reductions_of_2d_flow_under_the_default_weights(golden):
    for settings, name in ((PAPER, "loss2d_paper"), (ANCESTOR, "loss2d_alltracker")):
        found = total(planar_loss(predicted(golden), planar(golden), settings), PlanarWeights())
        assert float(found.detach()) == pytest.approx(float(golden[name]), rel=1e-6)


def test_3d_flow_and_its_smoothness(golden):
    around = neighbourhoods(golden["gt3d"][0], golden["anchors"], int(golden["knn"]))
    assert torch.equal(around[:, 0], golden["anchors"])
    torch.testing.assert_close(roughness(golden["flow3d"], around), golden["l_smooth_per_iter"], rtol=1e-6, atol=1e-9)
    found = total(spatial_loss(golden["flow3d"], spatial(golden), around, PAPER), SpatialWeights())
    assert float(found) == pytest.approx(float(golden["loss3d"]), rel=1e-6)


def test_positions_learn_from_distances_alone_and_not_from_the_label_of_confidence(golden):
    prediction = predicted(golden)
    total(planar_loss(prediction, planar(golden), PAPER), PlanarWeights(trajectory=0.0)).backward()
    assert float(prediction.tracks_px.grad.abs().sum()) == 0
    hidden = (golden["vis_gt"] <= 0).expand(3, -1, -1)
    assert float(prediction.confidence_logits.grad[hidden].abs().sum()) == 0  # no confidence is asked for there
    assert bool((prediction.visibility_logits.grad != 0).all())


@pytest.mark.parametrize("settings", [PAPER, ANCESTOR])
def test_places_count_as_far_as_they_are_trusted(golden, settings):
    trust = torch.ones_like(golden["vis_gt"])
    trust[:, 3] = 0
    trust[:, 4] = 0.25
    prediction = predicted(golden)
    found = planar_loss(prediction, planar(golden, position_trust=trust, visibility_trust=trust), settings)
    total(found, PlanarWeights()).backward()
    whole = predicted(golden)
    total(planar_loss(whole, planar(golden), settings), PlanarWeights()).backward()
    for name in ("tracks_px", "visibility_logits", "confidence_logits"):
        mine, theirs = getattr(prediction, name).grad, getattr(whole, name).grad
        assert float(mine[:, :, 3].abs().sum()) == 0
        if settings is PAPER:  # means over all places, so that others do not change
            torch.testing.assert_close(mine[:, :, 4], 0.25 * theirs[:, :, 4])
            torch.testing.assert_close(mine[:, :, 5:], theirs[:, :, 5:])


def test_points_that_are_not_known_teach_nothing(golden):
    known = torch.ones_like(golden["vis_gt"], dtype=torch.bool)
    known[:, 2], known[1] = False, False
    flow = golden["flow3d"].clone().requires_grad_()
    alone = torch.zeros(1, 1, dtype=torch.long)  # an anchor without neighbours: no roughness
    found = spatial_loss(flow, spatial(golden, known=known), alone, PAPER)
    assert float(found.smoothness.detach()) == 0
    found.position.backward()
    assert torch.equal((flow.grad != 0).any(-1).any(0), known)


def test_clips_of_one_visibility_and_smooth_flow_are_finite(golden):
    visible = torch.ones_like(golden["vis_gt"], dtype=torch.bool)
    for chosen in (visible, ~visible):
        prediction = predicted(golden)
        total(planar_loss(prediction, planar(golden, visible=chosen), ANCESTOR), PlanarWeights()).backward()
        assert bool(prediction.tracks_px.grad.isfinite().all())
    same = torch.ones(2, 5, 14, 3, dtype=torch.float64)
    assert roughness(same, neighbourhoods(golden["gt3d"][0], torch.arange(4), 8)).tolist() == [0, 0]  # 3 neighbours, all there are

"""Losses of Track4World's motion stage against independent computations; which inputs they teach."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.families.track4world.motion_losses import (
    MotionWeights,
    TrackPrediction,
    ancestor_planar_loss,
    neighbourhoods,
    planar_loss,
    planar_terms,
    roughness,
    spatial_loss,
)

WEIGHTS = MotionWeights()


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


def test_terms_of_2d_flow_iteration_by_iteration(golden):
    terms = planar_terms(predicted(golden), golden["gt2d"], golden["vis_gt"] > 0, WEIGHTS)
    for found, name in ((terms.trajectory, "l_traj"), (terms.visibility, "l_vis"), (terms.confidence, "l_conf")):
        torch.testing.assert_close(found.detach(), golden[f"{name}_per_iter"], rtol=1e-6, atol=1e-6, check_dtype=False)


def test_both_reductions_of_2d_flow(golden):
    truth = golden["gt2d"], golden["vis_gt"] > 0
    assert float(planar_loss(predicted(golden), *truth, WEIGHTS).detach()) == pytest.approx(float(golden["loss2d_paper"]), rel=1e-6)
    found = float(ancestor_planar_loss(predicted(golden), *truth, WEIGHTS).detach())
    assert found == pytest.approx(float(golden["loss2d_alltracker"]), rel=1e-6)


def test_3d_flow_and_its_smoothness(golden):
    around = neighbourhoods(golden["gt3d"][0], golden["anchors"], int(golden["knn"]))
    assert torch.equal(around[:, 0], golden["anchors"])
    torch.testing.assert_close(roughness(golden["flow3d"], around), golden["l_smooth_per_iter"], rtol=1e-6, atol=1e-9)
    found = spatial_loss(golden["flow3d"], golden["P0"], golden["gt3d"], golden["vis_gt"] > 0, around, WEIGHTS)
    assert float(found) == pytest.approx(float(golden["loss3d"]), rel=1e-6)


def test_positions_learn_from_distances_alone_and_not_from_the_label_of_confidence(golden):
    prediction = predicted(golden)
    weights = MotionWeights(trajectory=0.0)
    planar_loss(prediction, golden["gt2d"], golden["vis_gt"] > 0, weights).backward()
    assert float(prediction.tracks_px.grad.abs().sum()) == 0
    hidden = (golden["vis_gt"] <= 0).expand(3, -1, -1)
    assert float(prediction.confidence_logits.grad[hidden].abs().sum()) == 0  # no confidence is asked for there
    assert bool((prediction.visibility_logits.grad != 0).all())


def test_clips_of_one_visibility_and_smooth_flow_are_finite(golden):
    visible = torch.ones_like(golden["vis_gt"], dtype=torch.bool)
    for chosen in (visible, ~visible):
        prediction = predicted(golden)
        ancestor_planar_loss(prediction, golden["gt2d"], chosen, WEIGHTS).backward()
        assert bool(prediction.tracks_px.grad.isfinite().all())
    same = torch.ones(2, 5, 14, 3, dtype=torch.float64)
    assert roughness(same, neighbourhoods(golden["gt3d"][0], torch.arange(4), 8)).tolist() == [0, 0]  # 3 neighbours, all there are

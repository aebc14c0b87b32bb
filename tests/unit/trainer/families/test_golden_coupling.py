"""TrajVG's coupling losses against an independent evaluation in float64."""

import pytest
import torch

from trainer.families.trajvg.coupling import (
    anchor_targets,
    labelled_coupling,
    point_map_consistency,
    point_term,
    pose_term,
    track_consistency,
)
from trainer.families.trajvg.settings import CouplingSettings, CouplingWeights, GateSettings
from trainer.families.trajvg.static_gates import residual_gate
from trainer.families.trajvg.tracking import normalise_tracks, static_mask, static_reference
from trainer.geometry import fundamental_matrices, masked_median, motion_to_anchor, sample_maps, sampson_squared, transform_points
from trainer.losses.penalties import huber

SUM, MEAN = CouplingSettings(reduction="sum"), CouplingSettings()


@pytest.fixture
def samples(golden):
    return golden["p_tilde"][None]


def test_samples_of_point_maps(golden, close):
    close(sample_maps(golden["pointmap"][None], golden["q"][None])[0], golden["p_tilde"])


@pytest.mark.parametrize(("settings", "suffix"), [(SUM, "sum"), (MEAN, "wmean")])
def test_consistency(golden, samples, close, settings, suffix):
    tracks, weight = golden["p_hat"][None], golden["w"][None]
    close(point_map_consistency(samples, tracks, weight, settings)[0], golden[f"cons_pointmap_term_{suffix}"])
    close(track_consistency(samples, tracks, weight, settings)[0], golden[f"cons_track_term_{suffix}"])


def test_the_radial_penalty_is_one_of_a_single_coordinate(golden, samples, close):
    length = (samples[0] - golden["p_hat"]).norm(dim=-1, keepdim=True)
    close((golden["w"] * huber(length, 0.1)).sum(), golden["cons_term_sum_radial"])


def test_gradients_of_consistency(golden, golden_clip, close):
    prediction, observed, truth = golden_clip
    terms = labelled_coupling(prediction, observed, truth, scale=torch.ones(1, dtype=torch.float64), settings=SUM)
    (to_map,) = torch.autograd.grad(terms.consistency_points.sum(), prediction.local_points, retain_graph=True)
    (to_tracks,) = torch.autograd.grad(terms.consistency_tracks.sum(), prediction.tracks)
    close(to_map[0], golden["cons_pointmap_term_sum_grad_pointmap"])
    close(to_tracks[0], golden["cons_track_term_sum_grad_p_hat"])


def test_true_tracks_in_the_anchor_camera(golden, close):
    truth = normalise_tracks(
        golden["gt_tracks_world"][None],
        golden["gt_poses"][None],
        golden["gt_visible"][None],
        norm=torch.ones(1, dtype=torch.float64),
        tau=golden["tau_static"][None],
    )
    close(truth.anchor_points[0], golden["p_bar"])
    assert torch.equal(truth.static[0], golden["static_mask"])
    from_anchor = transform_points(motion_to_anchor(golden["gt_poses"][None], 0), truth.camera_points)
    close(from_anchor[0], golden["p_bar"])


def test_static_mask(golden, close):
    points, visible, tau = golden["p_bar"][None], golden["gt_visible"][None], golden["tau_static"][None]
    close(static_reference(points, visible)[0], golden["static_reference"])
    mask = static_mask(points, visible, tau)[0]
    assert torch.equal(mask, golden["static_mask"])
    assert not torch.equal(mask, golden["static_mask_vs_anchor_frame"])  # so that the file tells the two definitions apart


def test_motion_to_the_anchor(golden, samples, close):
    motion = motion_to_anchor(golden["poses"][None], 0)
    close(motion[0], golden["rel_pose_to_anchor"])
    close(transform_points(motion, samples)[0], golden["p_tilde_in_anchor"])


def test_pose_term_towards_the_truth(golden, golden_clip, close):
    prediction, observed, truth = golden_clip
    terms = labelled_coupling(prediction, observed, truth, scale=torch.ones(1, dtype=torch.float64), settings=SUM)
    close(terms.camera_poses[0], golden["cam_pose_term_sum_gt_target"])
    (gradient,) = torch.autograd.grad(terms.camera_poses.sum(), prediction.camera_to_world)
    close(gradient[0, :, :3, 3], golden["cam_pose_term_gt_target_grad_translations"])


@pytest.mark.parametrize(("reduction", "suffix"), [("sum", "sum"), ("mean", "wmean")])
def test_pose_term_towards_the_anchor(golden, golden_clip, close, reduction, suffix):
    prediction, observed, truth = golden_clip
    settings = CouplingSettings(reduction=reduction, cam_target="anchor")
    terms = labelled_coupling(prediction, observed, truth, scale=torch.ones(1, dtype=torch.float64), settings=settings)
    close(terms.camera_poses[0], golden[f"cam_pose_term_{suffix}_anchor_target"])
    if reduction == "sum":
        (gradient,) = torch.autograd.grad(terms.camera_poses.sum(), prediction.camera_to_world)
        close(gradient[0, :, :3, 3], golden["cam_pose_term_anchor_target_grad_translations"])


def test_point_term(golden, golden_clip, close):
    prediction, observed, truth = golden_clip
    terms = labelled_coupling(prediction, observed, truth, scale=torch.ones(1, dtype=torch.float64), settings=SUM)
    close(terms.camera_points[0], golden["cam_point_term_sum"])
    (gradient,) = torch.autograd.grad(terms.camera_points.sum(), prediction.local_points)
    close(gradient[0], golden["cam_point_term_sum_grad_pointmap"])


def test_point_term_on_tracks_and_on_both(golden, golden_clip, close):
    prediction, observed, truth = golden_clip
    for points, expected in (
        ("track", golden["cam_point_term_sum_using_p_hat"]),
        ("both", golden["cam_point_term_sum_using_p_hat"] + golden["cam_point_term_sum"]),
    ):
        settings = CouplingSettings(reduction="sum", points=points)
        terms = labelled_coupling(prediction, observed, truth, scale=torch.ones(1, dtype=torch.float64), settings=settings)
        close(terms.camera_points[0], expected)


def test_terms_by_themselves(golden, samples, close):
    weight, cameras = golden["w"][None], golden["poses"][None]
    target, pair_weight = anchor_targets(samples, weight, 0)
    static = golden["static_mask"][None]
    close(pose_term(samples, cameras, target, pair_weight * static, SUM)[0], golden["cam_pose_term_sum_anchor_target"])
    close(point_term(samples, cameras, golden["p_bar"][None], weight, SUM)[0], golden["cam_point_term_sum"])


def test_residual_gate(golden, samples, close):
    settings = GateSettings(residual_mads=golden["gate_k"].item(), residual_floor=golden["gate_tau_min"].item())
    gate = residual_gate(samples, golden["poses"][None], golden["w"][None], 0, settings)
    close(gate.residual[0], golden["gate_residual"])
    close(gate.threshold[0], golden["gate_threshold"])
    assert torch.equal(gate.passes[0], golden["gate_mask"])


def test_sampson_distance(golden, close):
    frames = len(golden["poses"])
    intrinsics = golden["K"].expand(1, frames, 3, 3)
    fundamental = fundamental_matrices(golden["poses"][None], intrinsics, 0)
    close(fundamental[0], golden["sampson_F"], atol=1e-9)
    q = golden["q"][None]
    close(sampson_squared(fundamental, q[:, :1].expand_as(q), q)[0], golden["sampson_sq_px"], atol=1e-9)


def test_the_weighted_total_adds_up(golden, golden_clip, close):
    prediction, observed, truth = golden_clip
    terms = labelled_coupling(prediction, observed, truth, scale=torch.ones(1, dtype=torch.float64), settings=SUM)
    weights = CouplingWeights(consistency_points=2, consistency_tracks=3, camera_poses=5, camera_points=7)
    expected = 2 * 0.42680554900115486 + 3 * 0.42680554900115486 + 5 * 1.7099121342361085 + 7 * 2.1729389637426797
    close(terms.total(weights)[0], torch.tensor(expected))


def test_a_median_of_an_even_number_lies_between():
    values = torch.tensor([[4.0, 1, float("nan"), 2, 8]])
    assert masked_median(values, torch.tensor([[True, True, False, True, True]])).item() == 3
    assert masked_median(values, torch.tensor([[True, True, False, True, False]])).item() == 2
    assert masked_median(values, torch.zeros(1, 5, dtype=torch.bool)).item() == 0

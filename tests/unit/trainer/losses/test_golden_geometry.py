"""π³'s supervised losses, the scale solver and the tracker's losses against an independent evaluation in float64."""

import pytest
import torch

from trainer.families.trajvg.settings import TrackingSettings
from trainer.families.trajvg.tracking import NormalisedTracks, track_loss, visibility_loss
from trainer.geometry import invert_rigid, transform_points
from trainer.losses import ClipGeometry, GeometrySettings, GeometryTruth, GeometryWeights, align_geometry, geometry_terms, normalise_truth
from trainer.losses.alignment import make_positive, normalise_prediction, solve_scale
from trainer.losses.geometry_terms import depth_edges, normal_loss, point_errors


@pytest.fixture
def truth(golden):
    cameras = golden["pi3_in_gt_poses"][None]
    world = golden["pi3_in_gt_world_points"][None]
    local = transform_points(invert_rigid(cameras), world.flatten(2, 3)).unflatten(2, world.shape[2:4])
    return GeometryTruth(local_points=local, camera_to_world=cameras, valid=golden["pi3_in_mask"][None])


@pytest.fixture
def prediction(golden):
    return ClipGeometry(local_points=golden["pi3_in_pred_local"][None], camera_to_world=golden["pi3_in_pred_poses"][None])


def test_normalisation(golden, truth, prediction, close):
    normalised = normalise_truth(truth)
    close(normalised.norm[0], golden["pi3_gt_norm"])
    close(normalised.truth.local_points[0], golden["pi3_gt_local_normalised"], atol=1e-9)
    close(normalise_prediction(prediction, truth.valid)[1][0], golden["pi3_pred_norm"])


def test_scale_and_weights(golden, truth, prediction, close):
    aligned = align_geometry(prediction, normalise_truth(truth), GeometrySettings())
    valid = golden["pi3_in_mask"]
    close(aligned.solved_scale[0], golden["pi3_scale_all_points"])
    close(aligned.solved_scale[0], golden["pi3_scale_resampled_4096"])
    close(aligned.weight[0][valid], golden["pi3_weights"][valid])
    close(aligned.scale[0], golden["pi3_scale_all_points"] / golden["pi3_pred_norm"])
    # the objective is the sum of the weighted errors over coordinates
    objective = 3 * point_errors(aligned, normalise_truth(truth).truth).sum()
    close(objective, golden["pi3_scale_objective"])


def test_losses(golden, truth, prediction, close):
    normalised = normalise_truth(truth)
    settings = GeometrySettings()
    aligned = align_geometry(prediction, normalised, settings)
    logits = golden["pi3_in_pred_conf_logit"][None, ..., 0]
    terms = geometry_terms(aligned, normalised, settings, logits)
    close(terms.points[0], golden["pi3_point_loss"])
    close(terms.normals[0], golden["pi3_normal_loss_with_edges"])
    close(terms.translation[0], golden["pi3_trans_loss"])
    close(terms.rotation[0], golden["pi3_rot_loss"])
    close(terms.camera[0], golden["pi3_camera_loss"])
    close(terms.confidence[0], golden["pi3_conf_bce"])
    without = geometry_terms(aligned, normalised, settings)
    close(without.total(GeometryWeights())[0], golden["pi3_total_stage12"])
    right = point_errors(aligned, normalised.truth)[0] < settings.confident_below
    assert torch.equal(right[golden["pi3_in_mask"]], golden["pi3_conf_label"])


def test_normals_without_the_edge_test(golden, truth, prediction, close):
    normalised = normalise_truth(truth)
    aligned = align_geometry(prediction, normalised, GeometrySettings())
    loss = normal_loss(aligned.local_points, normalised.truth.local_points, truth.valid)
    close(loss[0], golden["pi3_normal_loss_no_edge_test"])


def test_normals_of_a_smooth_surface(golden, close):
    predicted, true, valid = (golden[key][None] for key in ("normal_in_pred", "normal_in_gt", "pi3_in_mask"))
    edges = depth_edges(true[..., 2], golden["pi3_edge_rtol_used_in_code"].item())
    assert (edges & valid).sum() == golden["normal_edge_pixels"]
    close(normal_loss(predicted, true, valid & ~edges)[0], golden["normal_loss_smooth"])


def test_solver(golden, close):
    x, y, weight = golden["solver_x"], golden["solver_y"], golden["solver_w"]
    scale = solve_scale(x, y, weight)
    close(scale, golden["solver_scale_signed"])
    close(make_positive(scale), golden["solver_scale_after_sign_flip"])
    close((weight[..., None] * (scale[:, None, None] * x - y).abs()).sum(dim=(1, 2)), golden["solver_objective"])


def test_tracks_and_visibility(golden, close):
    known = golden["seq_valid"][None] > 0
    truth = NormalisedTracks(
        camera_points=golden["seq_target"][None],
        anchor_points=golden["seq_target"][None],
        track_valid=known,
        visibility=known,
        static=known,
    )
    unit = torch.ones(1, dtype=torch.float64)
    for huber, key in ((None, "seq_loss_l1"), (0.1, "seq_loss_huber_delta0.1")):
        settings = TrackingSettings(huber=huber, depth_weighted=False)
        close(track_loss(list(golden["seq_preds"][:, None]), truth, scale=unit, settings=settings)[0], golden[key])
    close(visibility_loss([golden["vis_logits"][None]], golden["gt_visible"][None])[0], golden["vis_bce"])

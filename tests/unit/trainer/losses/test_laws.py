"""Values by hand, laws, and the awkward places of the losses."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.errors import ConfigError, DataError
from trainer.data.track_weights import pseudo_track_weights
from trainer.families.trajvg.coupling import labelled_coupling, self_supervised_coupling
from trainer.families.trajvg.settings import CouplingSettings, CouplingWeights, GateSettings, TrackingSettings
from trainer.families.trajvg.tracking import NormalisedTracks, normalise_tracks, static_mask, static_tau, track_loss, visibility_loss
from trainer.losses import ClipGeometry, GeometrySettings, GeometryTruth, TrackObservations, align_geometry, geometry_terms, normalise_truth
from trainer.losses.alignment import choose_evenly, depth_weights, solve_scale
from trainer.losses.geometry_terms import depth_edges, normal_loss
from trainer.losses.penalties import huber


def make_truth(clips=1, frames=3, height=6, width=7, seed=0) -> GeometryTruth:
    """Rough surfaces 2 to 4 away, cameras side by side."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(clips, frames, height, width, 3, generator=generator, dtype=torch.float64)
    points[..., 2] = 3 + points[..., 2].tanh()
    cameras = torch.eye(4, dtype=torch.float64).repeat(clips, frames, 1, 1)
    cameras[..., :3, 3] = torch.randn(clips, frames, 3, generator=generator, dtype=torch.float64)
    return GeometryTruth(local_points=points, camera_to_world=cameras, valid=torch.rand(points.shape[:4], generator=generator) < 0.8)


def prediction_of(truth: GeometryTruth, scale: float = 1.0) -> ClipGeometry:
    cameras = truth.camera_to_world.clone()
    cameras[..., :3, 3] *= scale
    return ClipGeometry(local_points=(truth.local_points * scale).requires_grad_(), camera_to_world=cameras.requires_grad_())


def test_huber_by_hand():
    residual = torch.tensor([[0.05, -0.1, 0.3], [0.0, 0.0, -2.0]], requires_grad=True)
    value = huber(residual, 0.1)
    torch.testing.assert_close(value, torch.tensor([0.00125 + 0.005 + 0.025, 0.195]))
    (gradient,) = torch.autograd.grad(value.sum(), residual)
    torch.testing.assert_close(gradient, torch.tensor([[0.05, -0.1, 0.1], [0.0, 0.0, -0.1]]))


def test_a_perfect_prediction_of_any_size_costs_nothing():
    truth = make_truth(clips=2)
    normalised = normalise_truth(truth)
    for scale in (0.02, 1.0, 70.0):
        prediction = prediction_of(truth, scale)
        aligned = align_geometry(prediction, normalised, GeometrySettings())
        terms = geometry_terms(aligned, normalised, GeometrySettings())
        assert terms.points.max() < 1e-12
        assert terms.translation.max() < 1e-12
        assert terms.rotation.max() < 1.5e-3  # the clamped angle of no turn
        torch.testing.assert_close(aligned.scale, 1 / (scale * normalised.norm))


def test_normalised_truth_has_size_one_seen_from_the_first_camera():
    truth = make_truth(clips=2)
    normalised = normalise_truth(truth)
    cameras, points = normalised.truth.camera_to_world, normalised.truth.local_points
    assert torch.equal(cameras[:, 0], torch.eye(4, dtype=torch.float64).expand(2, 4, 4))
    for clip in range(2):
        world = points[clip] + cameras[clip, :, None, None, :3, 3]  # nothing turns in this scene
        assert world[truth.valid[clip]].norm(dim=-1).mean().item() == pytest.approx(1)


def test_each_clip_of_a_batch_is_on_its_own():
    truth = make_truth(clips=2)
    noise = torch.randn(truth.local_points.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def terms_of(rows: slice):
        part = GeometryTruth(local_points=truth.local_points[rows], camera_to_world=truth.camera_to_world[rows], valid=truth.valid[rows])
        shaken = ClipGeometry(local_points=part.local_points + 0.1 * noise[rows], camera_to_world=part.camera_to_world * 1.0)
        normalised = normalise_truth(part)
        return geometry_terms(align_geometry(shaken, normalised, GeometrySettings()), normalised, GeometrySettings())

    both, second = terms_of(slice(0, 2)), terms_of(slice(1, 2))
    for name in ("points", "normals", "camera"):
        torch.testing.assert_close(getattr(both, name)[1:], getattr(second, name))
    assert both.points[0] != both.points[1]


def test_what_is_not_valid_plays_no_part_and_gets_no_gradient():
    truth = make_truth(clips=2)
    prediction = prediction_of(make_truth(clips=2, seed=3))
    spoiled = replace(truth, local_points=torch.where(truth.valid[..., None], truth.local_points, float("nan")))
    losses = []
    for each in (truth, spoiled):
        normalised = normalise_truth(each)
        terms = geometry_terms(align_geometry(prediction, normalised, GeometrySettings()), normalised, GeometrySettings())
        losses.append(terms.points)
        (gradient,) = torch.autograd.grad(terms.points.sum(), prediction.local_points)
        assert gradient.isfinite().all()
        assert not gradient[~truth.valid].any()
    torch.testing.assert_close(*losses)


def test_a_clip_without_a_valid_point_costs_nothing():
    truth = make_truth(clips=2)
    valid = truth.valid.clone()
    valid[0] = False
    normalised = normalise_truth(replace(truth, valid=valid))
    prediction = prediction_of(make_truth(clips=2, seed=3))
    logits = torch.zeros(valid.shape, dtype=torch.float64)
    aligned = align_geometry(prediction, normalised, GeometrySettings())
    terms = geometry_terms(aligned, normalised, GeometrySettings(), logits)
    assert (terms.points[0], terms.normals[0], terms.confidence[0], aligned.scale[0], normalised.norm[0]) == (0, 0, 0, 1, 1)
    loss = terms.points + terms.normals + terms.camera
    assert all(each.isfinite().all() for each in torch.autograd.grad(loss.sum(), (prediction.local_points, prediction.camera_to_world)))


def test_one_frame_has_no_pair_and_poses_that_are_not_valid_do_not_count():
    single = make_truth(frames=1)
    normalised = normalise_truth(single)
    terms = geometry_terms(align_geometry(prediction_of(single), normalised, GeometrySettings()), normalised, GeometrySettings())
    assert terms.camera.item() == 0
    truth = replace(make_truth(), pose_valid=torch.tensor([[True, False, True]]))
    wrong = prediction_of(truth)
    wrong.camera_to_world.data[0, 1, :3, 3] += 5
    normalised = normalise_truth(truth)
    terms = geometry_terms(align_geometry(wrong, normalised, GeometrySettings()), normalised, GeometrySettings())
    assert terms.translation.item() < 1e-12


def test_confidence_is_asked_to_be_low_in_the_sky():
    truth = replace(make_truth(), sky_mask=torch.ones(1, 3, 6, 7, dtype=torch.bool))
    normalised = normalise_truth(truth)
    aligned = align_geometry(prediction_of(truth), normalised, GeometrySettings())
    logits = torch.full(truth.valid.shape, 2.0, dtype=torch.float64, requires_grad=True)
    loss = geometry_terms(aligned, normalised, GeometrySettings(), logits).confidence
    expected = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))  # right points; sky without points
    assert loss.item() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert (gradient[truth.valid] < 0).all()
    assert (gradient[~truth.valid] > 0).all()


def test_the_solver_finds_the_best_of_all_candidates():
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 5, 30, 3, generator=generator, dtype=torch.float64)
    weight = torch.rand(5, 30, generator=generator, dtype=torch.float64)
    weight[:, ::4] = 0
    x[:, 1] = 0

    def objective(scale):
        return (weight[..., None] * (scale[:, None, None] * x - y).abs()).sum(dim=(1, 2))

    best = objective(solve_scale(x, y, weight))
    candidates = (y / x).flatten(1)
    for column in candidates.T:
        ratio = torch.where(column.isfinite(), column, 0)
        assert (best <= objective(ratio) + 1e-12).all()
    assert solve_scale(x, y, torch.zeros_like(weight)).tolist() == [1] * 5


def test_points_are_chosen_evenly():
    valid = torch.tensor([[True, False, True, True, False, True], [False, False, True, False, False, False]])
    places, real = choose_evenly(valid, 2)
    assert places[0].tolist() == [0, 3]  # the 0th and the 2nd of four
    assert real.tolist() == [[True, True], [True, False]]
    assert places[1, 0].item() == 2
    places, real = choose_evenly(valid, 100)
    assert places[0][real[0]].tolist() == [0, 2, 3, 5]


def test_normals_of_a_tilted_plane_by_hand():
    y, x = torch.meshgrid(torch.arange(5.0, dtype=torch.float64), torch.arange(8.0, dtype=torch.float64), indexing="ij")
    flat = torch.stack([x, y, torch.full_like(x, 9)], dim=-1)[None, None]
    tilted = torch.stack([x, y, 9 + x], dim=-1)[None, None].requires_grad_()
    usable = torch.ones(1, 1, 5, 8, dtype=torch.bool)
    loss = normal_loss(tilted, flat, usable)
    angle, beta = math.radians(45), math.radians(3)
    assert loss.item() == pytest.approx(4 * (angle - beta / 2) / (4 * 8))
    assert torch.autograd.grad(loss.sum(), tilted)[0].isfinite().all()
    same = normal_loss(flat.clone().requires_grad_(), flat, usable)
    assert same.item() == pytest.approx(4 * math.radians(1) ** 2 / (2 * beta) / (4 * 8))  # the smallest angle that counts
    collapsed = torch.zeros_like(flat, requires_grad=True)
    assert torch.autograd.grad(normal_loss(collapsed, flat, usable).sum(), collapsed)[0].isfinite().all()


def test_no_normal_is_taken_across_an_edge_of_depth():
    """A step between columns 3 and 4: both columns are edges, and the three pairs of columns that touch them lose corners."""
    depth = torch.full((1, 1, 5, 8), 2.0, dtype=torch.float64)
    depth[..., 4:] = 2.05  # 2.5 %
    assert not depth_edges(depth, 0.03).any()
    depth[..., 4:] = 2.1
    edges = depth_edges(depth, 0.03)
    assert edges.any(-2).flatten().tolist() == [False] * 3 + [True] * 2 + [False] * 3
    y, x = torch.meshgrid(torch.arange(5.0, dtype=torch.float64), torch.arange(8.0, dtype=torch.float64), indexing="ij")
    flat, tilted = (torch.stack([x, y, 9 + slope * x], dim=-1)[None, None] for slope in (0, 1))
    # of 7 columns of cells, 2-3, 3-4 and 4-5 lose their normals: each corner needs a pixel of both columns
    everything = normal_loss(tilted, flat, torch.ones_like(edges))
    torch.testing.assert_close(normal_loss(tilted, flat, ~edges), everything * 4 / 7)
    depth[0, 0, 2, 1] = 0  # unknown
    assert depth_edges(depth, 0.03)[0, 0, 1:4, :3].sum() == 9


def test_static_tracks_by_hand():
    still = torch.zeros(1, 5, 4, 3)
    still[0, 2, 0] = 9.0  # one outlier
    still[0, :, 1, 0] = torch.arange(5.0)  # walks on
    still[0, :, 2, 0] = 0.02 * torch.arange(5.0)  # creeps within tau
    visible = torch.ones(1, 5, 4, dtype=torch.bool)
    visible[..., 3] = False
    mask = static_mask(still, visible, torch.tensor([0.05]))[0]
    assert mask[:, 0].tolist() == [True, True, False, True, True]
    assert mask[:, 1].tolist() == [False, False, True, False, False]
    assert mask[:, 2].all()
    assert not mask[:, 3].any()  # never seen


def test_the_threshold_of_static_is_metres_where_the_data_are():
    tau = static_tau(torch.tensor([2.0, 2.0]), torch.tensor([True, False]), CouplingSettings())
    torch.testing.assert_close(tau, torch.tensor([0.025, 0.02]))


def test_unknown_places_of_true_tracks_cost_nothing():
    world = torch.rand(1, 3, 2, 3, dtype=torch.float64)
    world[0, 1, 0] = float("nan")
    cameras = torch.eye(4, dtype=torch.float64).expand(1, 3, 4, 4)
    unit = torch.ones(1, dtype=torch.float64)
    truth = normalise_tracks(world, cameras, torch.ones(1, 3, 2, dtype=torch.bool), norm=unit, tau=unit)
    assert truth.track_valid.flatten().tolist() == [True, True, False, True, True, True]
    tracks = torch.rand(1, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    loss = track_loss([tracks, tracks], truth, scale=unit, settings=TrackingSettings())
    (gradient,) = torch.autograd.grad(loss.sum(), tracks)
    assert gradient.isfinite().all()
    assert (gradient != 0).any(-1)[0].tolist() == truth.track_valid[0].tolist()


def test_later_iterations_count_more():
    known = torch.ones(1, 1, 1, dtype=torch.bool)
    zero = torch.zeros(1, 1, 1, 3)
    truth = NormalisedTracks(camera_points=zero, anchor_points=zero, track_valid=known, visibility=known, static=known)
    settings = TrackingSettings(gamma=0.5, depth_weighted=False)
    loss = track_loss([zero + 4, zero + 8], truth, scale=torch.tensor([0.5]), settings=settings)
    assert loss.item() == (0.5 * 2 + 4) / 2
    hidden = replace(truth, visibility=~known)
    settings = replace(settings, occluded_weight=0.0)
    assert track_loss([zero + 4], hidden, scale=torch.ones(1), settings=settings).item() == 0


def test_visibility_by_hand():
    logits = torch.tensor([[[0.0, 2.0]]])
    visible = torch.tensor([[[True, False]]])
    assert visibility_loss([logits], visible).item() == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2)
    assert visibility_loss([logits], visible, torch.tensor([[[True, False]]])).item() == pytest.approx(math.log(2))
    assert visibility_loss([logits], visible, torch.zeros(1, 1, 2, dtype=torch.bool)).item() == 0


def test_weights_of_pseudo_tracks():
    pixels = torch.tensor([[[[0.0, 0], [9, 0]], [[0, 0], [3, 2]]]])
    trust = torch.full((1, 2, 2), 0.7)
    weight = pseudo_track_weights(trust, pixels, (3, 4), torch.tensor([[1, 0]]))
    torch.testing.assert_close(weight, torch.tensor([[[0.0, 0], [0.7, 0.7]]]))


def make_pair(**settings):
    generator = torch.Generator().manual_seed(4)
    points = torch.rand(1, 3, 5, 5, 3, generator=generator) + 1
    prediction = ClipGeometry(
        local_points=points.requires_grad_(),
        camera_to_world=torch.eye(4).repeat(1, 3, 1, 1).requires_grad_(),
        tracks=torch.rand(1, 3, 4, 3, generator=generator).requires_grad_(),
    )
    observed = TrackObservations(tracks_px=2 * torch.ones(1, 3, 4, 2), frame_weights=torch.ones(1, 3, 4))
    return prediction, observed, CouplingSettings(**settings)


@pytest.mark.parametrize("gates", [(), ("residual",), ("epipolar",)])
def test_a_clip_that_sees_nothing_costs_nothing(gates):
    prediction, observed, settings = make_pair(gate=GateSettings(gates=gates))
    blind = replace(observed, frame_weights=torch.zeros(1, 3, 4))
    terms = self_supervised_coupling(prediction, blind, settings)
    total = terms.total(CouplingWeights())
    assert total.item() == 0
    leaves = (prediction.local_points, prediction.camera_to_world, prediction.tracks)
    assert all(not gradient.any() for gradient in torch.autograd.grad(total.sum(), leaves))


def test_every_track_is_trusted_as_it_deserves():
    """Doubling one track's trust is like seeing it twice."""
    prediction, observed, settings = make_pair(reduction="sum", gate=GateSettings(gates=()))
    half = replace(observed, frame_weights=torch.tensor([1.0, 1, 1, 0.5]).expand(1, 3, 4))
    none = replace(observed, frame_weights=torch.tensor([1.0, 1, 1, 0.0]).expand(1, 3, 4))
    # the size of the scene is fixed by hand, as it is a mean over the tracks that count
    settings = replace(settings, scale_gradient="detached")
    prediction.local_points.data.fill_(1.0)
    full, part, without = (
        self_supervised_coupling(prediction, each, settings).consistency_tracks.item() for each in (observed, half, none)
    )
    assert part == pytest.approx((full + without) / 2, rel=1e-5)


def test_mistakes_are_named():
    prediction, observed, settings = make_pair()
    with pytest.raises(DataError, match="audit their label set"):
        self_supervised_coupling(prediction, observed, settings)
    no_gate = CouplingSettings(gate=GateSettings(gates=()))
    with pytest.raises(DataError, match="model that tracks"):
        self_supervised_coupling(replace(prediction, tracks=None), observed, no_gate)
    with pytest.raises(DataError, match="anchor frame 3 of clips of 3 frames"):
        self_supervised_coupling(prediction, observed, replace(no_gate, anchor=3))
    with pytest.raises(DataError, match="observations are"):
        self_supervised_coupling(replace(prediction, tracks=prediction.tracks[:, :, :3]), observed, no_gate)
    with pytest.raises(DataError, match="half precision"):
        ClipGeometry(local_points=prediction.local_points.half(), camera_to_world=prediction.camera_to_world)
    with pytest.raises(DataError, match="predicted points are"):
        align_geometry(prediction, normalise_truth(make_truth()), GeometrySettings())
    for wrong in (
        lambda: CouplingSettings(cam_target="truth"),
        lambda: CouplingSettings(huber=0.0),
        lambda: GateSettings(gates=("sampson",)),
        lambda: GateSettings(vote_share=1.5),
        lambda: CouplingWeights(camera_poses=-1.0),
        lambda: TrackingSettings(gamma=0.0),
        lambda: CouplingSettings(anchor=-1),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_labelled_frames_and_scale_cancel():
    """A prediction that is the truth in another unit costs nothing in any term."""
    world = torch.tensor([[[1.0, 1, 4], [0, -1, 5]]]).expand(1, 3, 2, 3).to(torch.float64)
    cameras = torch.eye(4, dtype=torch.float64).repeat(1, 3, 1, 1)
    cameras[0, :, 0, 3] = torch.tensor([0.0, 0.5, 1.0])
    visible = torch.ones(1, 3, 2, dtype=torch.bool)
    norm = torch.tensor([4.0], dtype=torch.float64)
    truth = normalise_tracks(world, cameras, visible, norm=norm, tau=torch.full((1,), 0.1, dtype=torch.float64))
    assert truth.static.all()
    local = 10 * (world - cameras[:, :, None, :3, 3])
    point_map = local[:, :, None].expand(1, 3, 2, 2, 3)  # column i shows point i
    moved = cameras.clone()
    moved[..., :3, 3] *= 10
    pixels = torch.tensor([[0.0, 0], [1, 0]], dtype=torch.float64).expand(1, 3, 2, 2)
    observed = TrackObservations(tracks_px=pixels, frame_weights=visible.to(torch.float64))
    prediction = ClipGeometry(local_points=point_map, camera_to_world=moved, tracks=local)
    for target in ("gt", "anchor"):
        settings = CouplingSettings(cam_target=target, points="both")
        terms = labelled_coupling(prediction, observed, truth, scale=1 / (10 * norm), settings=settings)
        assert terms.total(CouplingWeights()).item() < 1e-20
        assert terms.static_share.item() == 1


def test_points_at_the_camera_itself_leave_the_gradient_finite():
    truth = make_truth()
    prediction = prediction_of(make_truth(seed=3))
    prediction.local_points.data[~truth.valid] = 0
    normalised = normalise_truth(truth)
    aligned = align_geometry(prediction, normalised, GeometrySettings())
    loss = geometry_terms(aligned, normalised, GeometrySettings()).points
    for value in (loss, aligned.scale):
        assert torch.autograd.grad(value.sum(), prediction.local_points, retain_graph=True)[0].isfinite().all()
    assert not aligned.solved_scale.requires_grad


def test_a_point_right_before_the_camera_weighs_no_more_than_one_at_a_tenth_of_the_mean_depth():
    depth = torch.tensor([[[0.001, 1.999, 4.0, 50.0], [1.0, 1.0, 1.0, 1.0]]])
    valid = torch.tensor([[[True, True, True, False], [True, False, False, False]]])
    weight = depth_weights(depth, valid, 0.1)[0]
    torch.testing.assert_close(weight, torch.tensor([[5.0, 1 / 1.999, 0.25, 0], [1, 0, 0, 0]]), rtol=1e-4, atol=0)


def test_only_tracks_that_pass_the_gate_move_cameras():
    prediction, observed, settings = make_pair()
    pixels = torch.rand(observed.tracks_px.shape, generator=torch.Generator().manual_seed(8)) * 4
    scores = torch.tensor([[1.0, 0.1, float("nan"), 0.9]])
    gated = self_supervised_coupling(prediction, replace(observed, tracks_px=pixels, static_score=scores), settings)
    dynamic = self_supervised_coupling(prediction, replace(observed, tracks_px=pixels, static_score=0 * scores.nan_to_num()), settings)
    everything = self_supervised_coupling(prediction, replace(observed, tracks_px=pixels), replace(settings, gate=GateSettings(gates=())))
    assert (gated.static_share.item(), dynamic.static_share.item(), everything.static_share.item()) == (0.5, 0, 1)
    assert dynamic.camera_poses.item() == 0
    assert gated.camera_poses.item() != everything.camera_poses.item()
    assert gated.consistency_points.item() == everything.consistency_points.item()

"""Track4World behind the protocol: which losses teach which parts, targets of truth and of audited tracks, a run stopped and resumed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import build_model
from networks.track4world import DenseFlow
from networks.weights import load_model
from pipeline.errors import ConfigError, DataError
from tests.tiny_network import TINY
from tests.unit.trainer.loop.rendered import FOCAL, Planes, make_clips, make_data
from trainer.data import StepBatch
from trainer.families import ClipShares, Objective, family_of
from trainer.families.track4world import Track4WorldLosses
from trainer.families.track4world.family import dense_flows
from trainer.families.track4world.losses import planar_losses
from trainer.families.track4world.motion_losses import TrackPrediction
from trainer.families.track4world.reading import TrackReadings, read_tracks
from trainer.families.track4world.settings import GeometryStageSettings, GeometryStageWeights, MotionSettings, PlanarWeights, SpatialWeights
from trainer.families.track4world.targets import batch_bundle, bundle_fit, pseudo_targets, spatial_targets, true_targets
from trainer.inference import predict
from trainer.loop import read_journal, train
from trainer.loop.config import ModelSettings, TrainConfig
from trainer.loop.optimisation import OptimiserSettings, make_optimiser
from trainer.loop.step_report import ProcessRank

SIDE = 64
DECODER = {
    **{"flow_dim": 16, "flow3d_dim": 16, "flow_depth": 1, "depth3d": 1, "heads": 2, "ctx": [8, 8, 8], "ctx_depth": [1, 1, 1]},
    **{"ctx_dim": 16, "hdim": 16, "n2d": 1, "n3d": 1, "levels": 2, "corr_radius": 2, "dim_feature": 16, "seqlen": 4, "layer_scale": 0.1},
}
ALONE = {**DECODER, "backbone": "none"}
BELOW = {**TINY, "metric_decoder": {"dec_embed_dim": 16, "depth": 1, "out_dim": 8}}
OVER_PI3X = {**DECODER, "backbone": "pi3x", "backbone_config": BELOW}
CPU = ProcessRank(device=torch.device("cpu"))
FEW = MotionSettings(iterations=2)
PLANAR = {"flow_aggregator", "dot_fc1", "ctx_encoder", "dot_conv", "flow_update_block", "flow_visconf_head", "flow_upsample_weight"}
SPATIAL = {"flow_aggregator3d", "dot_fc2", "flow3d_head", "flow_3d_upsample_weight"}


def network(config, seed=0):
    return build_model("track4world", config, generator=torch.Generator().manual_seed(seed))


def batch(labelled=2, pseudo=1):
    sides = {"labelled": make_clips(0, labelled, labelled=True, side=SIDE), "pseudo": make_clips(1, pseudo, labelled=False, side=SIDE)}
    return StepBatch(step=0, **sides)


def only(**groups):
    """Losses of these groups alone."""
    return Track4WorldLosses(**{"planar": None, "spatial": None, "pseudo": None, **groups}, motion_settings=FEW)


def reached(losses, clips, config=ALONE, seed=0):
    """Top parts of the network whose parameters get a gradient from a step."""
    model = network(config, seed)
    objective = Objective(family_of("track4world"), model, losses)
    objective(clips, ClipShares(labelled=0.5, pseudo=1.0)).total.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())
    return {name.split(".")[0] for name, gradient in gradients.items() if bool(gradient.any())}


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (only(planar=PlanarWeights(visibility=0.0, confidence=0.0)), PLANAR | {"flow_2d_head"}),
        (only(planar=PlanarWeights(trajectory=0.0, confidence=0.0)), PLANAR),
        (only(planar=PlanarWeights(trajectory=0.0, visibility=0.0)), PLANAR),
        (only(pseudo=PlanarWeights()), PLANAR | {"flow_2d_head"}),
        (only(spatial=SpatialWeights(smoothness=0.0)), SPATIAL),
        (only(spatial=SpatialWeights(position=0.0)), SPATIAL),
    ],
)
def test_a_loss_of_motion_teaches_its_own_branch_alone(losses, expected):
    assert reached(losses, batch()) == expected


def test_motion_never_teaches_the_backbone_and_geometry_nothing_else():
    clips = batch(labelled=1)
    assert reached(only(planar=PlanarWeights(), pseudo=PlanarWeights()), clips, OVER_PI3X) == PLANAR | {"flow_2d_head"}
    few = GeometryStageSettings(solver_points=64, without_scale="scale_alone", local_levels=(), local_anchors=(), local_sides=())
    for name in ("pi3x", "trajvg"):
        losses = replace(only(geometry=GeometryStageWeights()), geometry_settings=few)
        assert reached(losses, clips, {**OVER_PI3X, "backbone": name}) == {"backbone"}
    with pytest.raises(ConfigError, match="geometry teaches the backbone, and model.config.backbone is none"):
        family_of("track4world").keep_start(network(ALONE), only(geometry=GeometryStageWeights()))


def test_both_stages_in_one_step_share_one_pass_of_the_backbone(monkeypatch):
    model, clips = network(OVER_PI3X), make_clips(0, 1, labelled=True, side=SIDE)
    calls = []
    whole = type(model).raw_geometry
    monkeypatch.setattr(type(model), "raw_geometry", lambda *given, **options: calls.append(1) or whole(*given, **options))
    settings = only(geometry=GeometryStageWeights(), planar=PlanarWeights())
    output = family_of("track4world").forward(model, clips, settings)
    assert (len(calls), output.raw.points.requires_grad, output.bundle.points.requires_grad) == (1, True, False)
    geometry_alone = family_of("track4world").forward(model, clips, only(geometry=GeometryStageWeights()))
    assert geometry_alone.raw.confidence is None  # which only a bundle's mask needs


def test_a_small_backbone_learns_the_geometry_of_a_clip():
    model, clips = network(OVER_PI3X), make_clips(0, 2, labelled=True, side=SIDE)
    few = GeometryStageSettings(solver_points=64, without_scale="scale_alone", local_levels=(4,), local_anchors=(6,), local_sides=(5,))
    objective = Objective(family_of("track4world"), model, replace(only(geometry=GeometryStageWeights()), geometry_settings=few))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    points = []
    for _ in range(16):
        optimiser.zero_grad()
        losses = objective.labelled_losses(objective.predict(clips), clips)
        losses.total().sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        points.append({term.name: float(term.values.detach().mean()) for term in losses.terms}["geometry/points"])
    assert np.mean(points[-3:]) < 0.6 * points[0]


def test_true_geometry_gives_targets_that_the_true_flow_meets_exactly():
    clips = make_clips(3, 2, labelled=True, side=SIDE)
    bundle = batch_bundle(clips, token_width=16)
    frames = slice(1, None)
    for clip in range(2):
        fit = bundle_fit(clips, clip, bundle, GeometryStageSettings(), from_truth=True)
        solved = bundle_fit(clips, clip, bundle, GeometryStageSettings(solver_points=64), from_truth=False)
        assert solved.scale == pytest.approx(fit.scale, rel=1e-3)  # the exact solver finds the masked mean scale again
        targets = spatial_targets(clips, clip, frames, bundle, fit, FEW).targets
        assert bool(targets.known.all())
        step = float(clips.geometry.camera_to_world[clip, 1, 0, 3])  # a static point goes left by what the camera goes right
        flow = torch.tensor([-step, 0, 0]) / fit.scale
        seen = clips.observations.frame_weights[clip, 0] > 0
        torch.testing.assert_close(targets.source, (clips.tracks3d_world[clip, 0, seen] / fit.scale), atol=1e-4, rtol=0)
        torch.testing.assert_close(targets.points[0], targets.source + flow, atol=1e-4, rtol=0)
        planar = true_targets(clips, clip, frames)
        moved = clips.query_points[clip, seen] - torch.tensor([step * FOCAL / 4, 0])
        torch.testing.assert_close(planar.tracks_px[0], moved, atol=1e-3, rtol=0)


def test_what_is_not_known_in_space_teaches_the_image_alone():
    clips = make_clips(0, 1, labelled=True, side=SIDE)
    bundle = batch_bundle(clips, token_width=16)
    fit = bundle_fit(clips, 0, bundle, GeometryStageSettings(), from_truth=True)
    world, valid, local = clips.tracks3d_world.clone(), clips.geometry.valid.clone(), clips.geometry.local_points.clone()
    world[0, 1, 0] = torch.nan  # track 0 is lost in frame 1
    column, row = (int(place) for place in clips.query_points[0, 1].round())
    valid[0, 0, row, column], local[0, 0, row, column] = False, 0  # the map does not know the source of track 1
    column, row = (int(place) for place in clips.query_points[0, 2].floor())
    local[0, 0, row : row + 2, column : column + 2] *= 0.5  # the map shows another surface where track 2 begins
    geometry = replace(clips.geometry, valid=valid, local_points=local)
    changed = replace(clips, tracks3d_world=world, geometry=geometry, track_valid=world.isfinite().all(-1))
    targets = spatial_targets(changed, 0, slice(0, None), bundle, fit, FEW).targets
    assert targets.known.tolist() == [[True, False, False, True, True], [False, False, False, True, True]]
    assert bool(targets.points.isfinite().all())
    planar = true_targets(changed, 0, slice(0, None))
    assert bool((planar.position_trust[:, 1:] == 1).all())


def test_hidden_true_positions_count_where_they_are_known_and_within_reach():
    clips = make_clips(0, 1, labelled=True, side=SIDE)
    weights, pixels, world = clips.observations.frame_weights.clone(), clips.observations.tracks_px.clone(), clips.tracks3d_world.clone()
    weights[0, 1, :4] = 0  # hidden in frame 1: track 0 as it is,
    world[0, 1, 1] = torch.nan  # track 1 not known,
    world[0, 1, 2, 2] = -1.0  # track 2 behind the camera,
    pixels[0, 1, 3] = torch.tensor([5000.0, 3.0])  # track 3 far outside
    seen = replace(clips.observations, frame_weights=weights, tracks_px=pixels)
    targets = true_targets(replace(clips, observations=seen, tracks3d_world=world), 0, slice(1, None))
    assert targets.position_trust.tolist() == [[1, 0, 0, 0, 1]]
    assert targets.visibility_trust.tolist() == [[1, 0, 1, 1, 1]]
    assert targets.visible.tolist() == [[False] * 4 + [True]]


def test_labelled_tracks_count_as_their_audit_says_and_hidden_ones_say_only_that_they_are_hidden():
    clips = make_clips(1, 1, labelled=False, side=SIDE)
    weights = torch.tensor([[0.5, 1.0, 0.2, 0.0, 0.9], [0.25, 0.0, 0.4, 0.0, 0.9]])[None]  # track 3 fills the batch up
    clips = replace(clips, observations=replace(clips.observations, frame_weights=weights))
    targets = pseudo_targets(clips, 0, slice(1, None))
    torch.testing.assert_close(targets.position_trust, torch.tensor([[0.25, 0, 0.4, 0.9]]))
    torch.testing.assert_close(targets.visibility_trust, torch.tensor([[0.5, 1, 0.4, 0.9]]))
    assert targets.visible.tolist() == [[True, False, True, True]]
    readings = TrackReadings(
        tracks_px=(clips.observations.tracks_px[:, None, 1:] + 3).clone().requires_grad_(),
        flow3d=torch.zeros(1, 1, 1, 5, 3),
        logits=torch.zeros(1, 1, 1, 5, 2, requires_grad=True),
    )
    terms = planar_losses(readings, clips, {"trajectory": 1.0, "visibility": 1.0, "confidence": 1.0}, FEW, group="pseudo")
    values = {term.name: float(term.values[0].detach()) for term in terms}
    assert values["pseudo/trajectory"] == pytest.approx(3 * (0.25 + 0.4 + 0.9) / 4, rel=1e-6)
    assert values["pseudo/visibility"] == pytest.approx(np.log(2) * (0.5 + 1 + 0.4 + 0.9) / 4, rel=1e-6)
    assert values["pseudo/confidence"] == pytest.approx(np.log(2) * (0.25 + 0.4 + 0.9) / 4, rel=1e-6)
    terms[0].values.sum().backward()
    taught = (readings.tracks_px.grad != 0).any(-1).flatten().tolist()
    assert taught == [True, False, True, False, True]


def test_flow_is_read_bilinearly_and_visibility_at_the_nearest_pixel():
    ramp = torch.arange(20.0).view(1, 1, 1, 4, 5)
    flow = DenseFlow(flow=ramp.expand(1, 1, 2, 4, 5), flow3d=ramp.expand(1, 1, 3, 4, 5), visconf_logits=ramp.expand(1, 1, 2, 4, 5))
    found = read_tracks([flow], torch.tensor([[[1.25, 2.0], [3.6, 0.4]]]))
    torch.testing.assert_close(found.tracks_px[0, 0, 0, :, 0], torch.tensor([1.25 + 11.25, 3.6 + 5.6]))
    torch.testing.assert_close(found.flow3d[0, 0, 0, :, 2], torch.tensor([11.25, 5.6]))
    assert found.logits[0, 0, 0, :, 0].tolist() == [11.0, 4.0]
    prediction = found.planar(0, torch.tensor([1]))
    assert isinstance(prediction, TrackPrediction)
    assert prediction.visibility_logits.tolist() == [[[4.0]]]


def test_2d_flow_does_not_depend_on_geometry_so_that_clips_without_any_teach_it():
    model, clips = network(ALONE).eval(), make_clips(0, 1, labelled=True, side=SIDE)
    bare = replace(clips, geometry=None, tracks3d_world=None, track_valid=None, visibility=None)
    with torch.no_grad():
        known, unknown = (dense_flows(model, one, batch_bundle(one, token_width=16), 3)[-1] for one in (clips, bare))
    torch.testing.assert_close(unknown.flow, known.flow, rtol=0, atol=0)
    torch.testing.assert_close(unknown.visconf_logits, known.visconf_logits, rtol=0, atol=0)
    assert float((unknown.flow3d - known.flow3d).abs().max()) > 1e-5


def test_the_lifting_prior_can_be_set_to_zeros_and_is_kept_with_the_weights():
    clips = make_clips(0, 1, labelled=True, side=SIDE)
    bundle = batch_bundle(clips, token_width=16)
    with torch.no_grad():
        with_prior, without = (network({**ALONE, "lifting_prior": given})(clips.images, bundle)[-1] for given in (True, False))
    torch.testing.assert_close(with_prior.flow, without.flow, rtol=0, atol=0)
    assert float((with_prior.flow3d - without.flow3d).abs().max()) > 1e-6
    assert network({**ALONE, "lifting_prior": False}).sizes()["lifting_prior"] is False


def test_a_frame_without_depth_has_a_plane_and_no_targets_in_space_at_its_source():
    clips = make_clips(0, 1, labelled=True, side=SIDE)
    valid = clips.geometry.valid.clone()
    valid[0, 0] = False
    cut = replace(clips, geometry=replace(clips.geometry, valid=valid))
    bundle = batch_bundle(cut, token_width=16)
    assert float(bundle.mask[0, 0].max()) == 0
    assert float(bundle.mask[0, 1].min()) == 1
    fit = bundle_fit(cut, 0, bundle, GeometryStageSettings(), from_truth=True)
    assert not bool(spatial_targets(cut, 0, slice(1, None), bundle, fit, FEW).targets.known.any())
    nothing = replace(clips, geometry=replace(clips.geometry, valid=valid & False))
    objective = Objective(family_of("track4world"), network(ALONE), Track4WorldLosses(motion_settings=FEW))
    values = {term.name: float(term.values[0].detach()) for term in objective.labelled_losses(objective.predict(nothing), nothing).terms}
    assert values["spatial/position"] == values["spatial/known"] == 0
    assert values["planar/trajectory"] > 0


def test_the_loop_learns_from_truth_and_tracks_stops_and_goes_on_as_if_nothing_had_happened(tmp_path: Path):
    class Both(Planes):
        """Two labelled clips and one with tracks, the same at every step."""

        def __iter__(self):
            while True:
                self.step += 1
                yield replace(batch(), step=self.step - 1)

    settings = OptimiserSettings(learning_rate=3e-3, betas=(0.9, 0.999), weight_decay=1e-5)
    whole = TrainConfig(
        out=str(tmp_path / "whole"),
        steps=16,
        data=make_data(),
        model=ModelSettings(name="track4world", config=ALONE),
        losses=Track4WorldLosses(motion_settings=FEW),
        optimiser=settings,
        loss_guard=None,
    )
    train(whole, CPU, open_batches=Both)
    rows = read_journal(str(tmp_path / "whole"))
    assert np.mean([row["loss"] for row in rows[-3:]]) < 0.6 * rows[0]["loss"]
    assert {"planar/trajectory", "spatial/position", "spatial/smoothness", "spatial/known", "pseudo/visibility"} <= set(rows[0]["terms"])

    class StopError(Exception):
        pass

    def stop(report) -> None:
        if report.step == 9:
            raise StopError

    parts = replace(whole, out=str(tmp_path / "parts"), checkpoints=replace(whole.checkpoints, every_steps=8))
    with pytest.raises(StopError):
        train(parts, CPU, open_batches=Both, on_step=stop)
    assert train(parts, CPU, open_batches=Both, resume=True).resumed_from == 8
    last = "checkpoints/00000016.safetensors"
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "parts" / last).read_bytes()
    model = load_model(str(tmp_path / "whole" / last))
    assert model.config == network(ALONE).config
    assert [family_of("track4world").infers(one) for one in (model, network(OVER_PI3X))] == [False, True]
    with pytest.raises(ConfigError, match="has no backbone, and infers from geometry that it is given"):
        predict(model, np.zeros((2, 64, 64, 3), np.uint8))


def test_a_network_with_a_backbone_predicts_geometry_and_tracks_from_images():
    frames = np.random.default_rng(0).integers(0, 255, (3, 64, 72, 3), np.uint8)
    queries = np.array([[0.0, 0.0], [71.0, 63.0], [20.4, 31.0]], np.float32)
    for length in (2, 3):
        found = predict(network(OVER_PI3X), frames[:length], queries)
        assert found.points.shape == (length, 64, 72, 3)
        assert found.tracks.world.shape == (length, 3, 3)
        rotation, centre = found.camera_to_world[:, :3, :3], found.camera_to_world[:, :3, 3]
        np.testing.assert_allclose(found.tracks.world, found.tracks.camera @ rotation.swapaxes(1, 2) + centre[:, None], atol=1e-4)
        if length == 2:  # of a pair the first frame is the source itself
            np.testing.assert_allclose(found.tracks.camera[0], found.local_points[0][[0, 63, 31], [0, 71, 20]], atol=1e-5)


def test_layer_scales_do_not_decay():
    model = network(ALONE)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = make_optimiser(model, OptimiserSettings(weight_decay=0.1)).param_groups
    decaying = {names[id(parameter)] for group in groups if group["weight_decay"] > 0 for parameter in group["params"]}
    assert not [name for name in decaying if name.endswith(("layer_scale", "gamma", "bias"))]
    assert "flow_update_block.compressor.weight" in decaying


def test_clips_of_one_frame_and_losses_of_nothing_are_refused():
    clips = make_clips(0, 1, labelled=False, side=SIDE)
    one = replace(
        clips,
        images=clips.images[:, :1],
        observations=replace(
            clips.observations, tracks_px=clips.observations.tracks_px[:, :1], frame_weights=clips.observations.frame_weights[:, :1]
        ),
    )
    with pytest.raises(DataError, match="clips pseudo-0-0 of 1 frame, in which nothing moves: set data.shape.frames"):
        family_of("track4world").forward(network(ALONE), one, Track4WorldLosses())
    with pytest.raises(ConfigError, match="no loss is taken"):
        only()
    with pytest.raises(DataError, match="both sides must have 65 pixels or more for a correlation of 5 levels"):
        family_of("track4world").check_shape(network({**ALONE, "levels": 5}), Track4WorldLosses(), 64, 128)

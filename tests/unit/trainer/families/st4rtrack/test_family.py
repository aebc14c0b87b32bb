"""St4RTrack behind the protocol: supervised pairs, adaptation with and without a frozen reconstruction, prediction."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import build_model
from pipeline.errors import ConfigError, DataError
from tests.unit.trainer.loop.rendered import Planes, make_clips, make_data
from trainer.data import StepBatch
from trainer.families import ClipShares, Objective, family_of
from trainer.families.st4rtrack import St4RTrackLosses
from trainer.families.st4rtrack.family import pair_maps, world_of_maps
from trainer.families.st4rtrack.losses import clip_maps
from trainer.families.st4rtrack.regression import PairTargets
from trainer.families.st4rtrack.settings import AdaptationSettings, AdaptationWeights, SupervisedWeights
from trainer.families.st4rtrack.targets import maps_to_tracks, pair_targets, tracks_to_maps
from trainer.geometry import invert_rigid, transform_points
from trainer.inference import predict
from trainer.loop import read_journal, train
from trainer.loop.config import ModelSettings, TrainConfig
from trainer.loop.optimisation import OptimiserSettings
from trainer.loop.step_report import ProcessRank

SIDE = 48
TINY = {
    **{"enc_embed_dim": 32, "enc_depth": 1, "enc_num_heads": 2, "dec_embed_dim": 32, "dec_depth": 4, "dec_num_heads": 2},
    **{"dpt_feature_dim": 16, "dpt_last_dim": 16, "dpt_layer_dims": [8, 8, 16, 16]},
}
ENCODER = ("mask_token", "patch_embed", "enc_blocks")
CPU = ProcessRank(device=torch.device("cpu"))


def with_depth(clips):
    depth = torch.full((*clips.images.shape[:2], SIDE, SIDE), 4.0)
    return replace(clips, pseudo_depth=depth, pseudo_depth_is_inverse=torch.zeros(len(clips.keys), dtype=torch.bool))


class Pairs(Planes):
    """Two labelled clips and one with pseudo tracks and depth, the same at every step."""

    def __iter__(self):
        while True:
            self.step += 1
            sides = {
                "labelled": make_clips(0, 2, labelled=True, side=SIDE),
                "pseudo": with_depth(make_clips(1, 1, labelled=False, side=SIDE)),
            }
            yield StepBatch(step=self.step - 1, **sides)


@cache
def _taught():
    """Weights that have seen one clip of a plane for some steps: its points lie before the camera."""
    model = build_model("st4rtrack", TINY, generator=torch.Generator().manual_seed(0))
    objective = Objective(family_of("st4rtrack"), model, St4RTrackLosses(adaptation=None))
    clips = make_clips(1, 1, labelled=True, side=SIDE)
    optimiser = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=2e-3)
    for _ in range(60):
        optimiser.zero_grad()
        objective.labelled_losses(objective.predict(clips), clips).total().sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model


def seeing():
    """A network of one's own with those weights."""
    return copy.deepcopy(_taught())


def stage(out: Path, **changes) -> TrainConfig:
    settings = OptimiserSettings(learning_rate=2e-3, encoder_learning_rate=2e-3)
    values = {"steps": 12, "data": make_data(), "model": ModelSettings(name="st4rtrack", config=TINY), "optimiser": settings}
    return TrainConfig(**{**values, "out": str(out), "loss_guard": None, **changes})


def test_targets_there_and_back() -> None:
    clips = make_clips(3, 1, labelled=True, side=SIDE)
    targets = pair_targets(clips)[0]
    seen = clips.visibility[0, 0]
    back = maps_to_tracks(targets.trajectory, clips.query_points[0])
    world = transform_points(invert_rigid(clips.geometry.camera_to_world[0, :1]), clips.tracks3d_world[0])
    torch.testing.assert_close(back[:, seen], world[:, seen])
    assert int(targets.trajectory_mask[0].sum()) == int(seen.sum())
    torch.testing.assert_close(
        targets.geometry[1],
        clips.geometry.local_points[0, 1] + clips.geometry.camera_to_world[0, 1, :3, 3] - clips.geometry.camera_to_world[0, 0, :3, 3],
    )


def test_of_two_tracks_at_one_pixel_the_earlier_counts_and_unknown_frames_do_not() -> None:
    queries = torch.tensor([[3.2, 5.0], [2.9, 5.4], [7.0, 1.0]])
    tracks = torch.arange(18.0).reshape(2, 3, 3)
    known = torch.tensor([[True, True, True], [True, True, False]])
    found = tracks_to_maps(queries, tracks, known, torch.zeros(2, 8, 10, 3), torch.ones(2, 8, 10, dtype=torch.bool))
    assert isinstance(found, PairTargets)
    torch.testing.assert_close(found.trajectory[:, 5, 3], tracks[:, 0])
    assert found.trajectory_mask.nonzero().tolist() == [[0, 1, 7], [0, 5, 3], [1, 5, 3]]


def test_supervised_pairs_learn_by_the_same_loop(tmp_path: Path) -> None:
    config = stage(tmp_path, losses=St4RTrackLosses(adaptation=None))
    train(config, CPU, open_batches=Pairs)
    rows = read_journal(str(tmp_path))
    assert np.mean([row["loss"] for row in rows[-3:]]) < 0.8 * rows[0]["loss"]
    assert set(rows[0]["terms"]) == {"supervised/trajectory", "supervised/geometry", "supervised/velocity"}


def test_labelled_and_unlabelled_clips_in_one_run_that_is_stopped_and_resumed(tmp_path: Path) -> None:
    losses = St4RTrackLosses(adaptation_weight=0.1, adaptation_settings=AdaptationSettings(pnp_pixels=200))
    frozen = (*ENCODER, "enc_norm", "decoder_embed", "dec_norm", "dec_blocks2", "downstream_head2")
    whole = stage(tmp_path / "whole", steps=4, losses=losses, frozen=frozen)
    train(whole, CPU, open_batches=Pairs)

    class StopError(Exception):
        pass

    def stop(report) -> None:
        if report.step == 2:
            raise StopError

    parts = replace(whole, out=str(tmp_path / "parts"), checkpoints=replace(whole.checkpoints, every_steps=2))
    with pytest.raises(StopError):
        train(parts, CPU, open_batches=Pairs, on_step=stop)
    assert train(parts, CPU, open_batches=Pairs, resume=True).resumed_from == 2
    rows = read_journal(str(tmp_path / "whole"))
    assert {"adaptation/trajectory", "adaptation/depth", "adaptation/alignment", "adaptation/failed_poses"} <= set(rows[0]["terms"])
    last = "checkpoints/00000004.safetensors"
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "parts" / last).read_bytes()


def step_of(model, losses, clips):
    """Gradient step of the adaptation on one batch; the output of head 2 that its losses read (points, confidence), before and after."""
    family = family_of("st4rtrack")
    family.keep_start(model, losses)
    objective = Objective(family, model, losses)
    before = of_head_2(objective.predict(clips))
    total = objective(StepBatch(step=0, labelled=None, pseudo=clips), ClipShares(labelled=1.0, pseudo=1.0)).total
    total.backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None and bool(parameter.grad.any())}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-2 * parameter.grad / parameter.grad.norm().clamp_min(1e-9))
    return before, of_head_2(objective.predict(clips)), reached


def of_head_2(output):
    return torch.cat([output.point_map_2, output.confidence_2[..., None]], dim=-1).detach()


def adapting(adapt: str, **changes) -> St4RTrackLosses:
    return St4RTrackLosses(supervised=None, adaptation_settings=AdaptationSettings(adapt=adapt, pnp_pixels=300), **changes)


def freeze(model, *parts: str):
    for name, parameter in model.named_parameters():
        if name.startswith(parts):
            parameter.requires_grad_(False)
    return model


def test_a_true_freeze_holds_the_reconstruction_and_freezing_weights_alone_does_not() -> None:
    clips = with_depth(make_clips(1, 1, labelled=False, side=SIDE))
    held = freeze(seeing(), *ENCODER)
    before, after, reached = step_of(held, adapting("tracking"), clips)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not [name for name in reached if name.startswith("downstream_head2")]
    assert any(name.startswith("dec_blocks.") for name in reached)
    weights_alone = freeze(seeing(), *ENCODER, "dec_blocks2", "downstream_head2")
    before, after, _ = step_of(weights_alone, adapting("all"), clips)
    assert float((after - before).abs().max()) > 1e-4


def test_a_prediction_with_a_kept_start_has_its_reconstruction_and_the_adapted_tracks() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, SIDE, 3), np.uint8)
    queries = np.array([[4.0, 3.0], [20.0, 11.0]], np.float32)
    start, adapted = seeing(), copy.deepcopy(seeing())
    with torch.no_grad():
        adapted.dec_blocks[0].mlp.fc2.weight *= 4
    alone, before = predict(adapted, frames, queries), predict(start, frames, queries)
    adapted.kept_start = (start,)
    found = predict(adapted, frames, queries)
    assert np.abs(alone.points - before.points).max() > 1e-3  # branch 2 reads branch 1
    for name in ("points", "confidence", "camera_to_world"):
        np.testing.assert_array_equal(getattr(found, name), getattr(before, name))
    np.testing.assert_array_equal(found.tracks.world, alone.tracks.world)


def test_depth_alone_moves_nothing_where_the_reconstruction_is_held() -> None:
    clips = with_depth(make_clips(1, 1, labelled=False, side=SIDE))
    only_depth = AdaptationWeights(trajectory=0.0, alignment=0.0)
    _, _, reached = step_of(freeze(seeing(), *ENCODER), adapting("all", adaptation=only_depth), clips)
    assert any(name.startswith("dec_blocks.") for name in reached)
    assert any(name.startswith("downstream_head2") for name in reached)
    assert not [name for name in reached if name.startswith("downstream_head1")]
    model = freeze(seeing(), *ENCODER)
    family, losses = family_of("st4rtrack"), adapting("tracking", adaptation=only_depth)
    family.keep_start(model, losses)
    total = Objective(family, model, losses)(StepBatch(step=0, labelled=None, pseudo=clips), ClipShares(labelled=1.0, pseudo=1.0)).total
    assert not total.requires_grad


SHARED = {"enc_norm", "decoder_embed", "dec_norm"}
BOTH = SHARED | {"dec_blocks", "dec_blocks2"}  # either branch reads the other's tokens, so that whatever reaches a head reaches both
POINTS_1, POINTS_2, SURE_1, SURE_2 = "points 1", "points 2", "confidence 1", "confidence 2"
REACHES = {  # term, by its group: what of the network it moves, the encoder frozen
    ("adaptation, all", "trajectory"): BOTH | {POINTS_1, POINTS_2, SURE_2},
    ("adaptation, all", "depth"): BOTH | {POINTS_2, SURE_2},
    ("adaptation, all", "alignment"): BOTH | {POINTS_1, POINTS_2},
    ("adaptation, all", "rigidity"): BOTH | {POINTS_1},
    ("adaptation, tracking", "trajectory"): BOTH | {POINTS_1},
    ("adaptation, tracking", "depth"): set(),
    ("adaptation, tracking", "alignment"): BOTH | {POINTS_1},
    ("supervised", "trajectory"): BOTH | {POINTS_1, SURE_1, POINTS_2},  # head 2 by the unit of length, which head 1 borrows
    ("supervised", "geometry"): BOTH | {POINTS_2, SURE_2},
    ("supervised", "velocity"): BOTH | {POINTS_1, SURE_1, POINTS_2},
}


@pytest.mark.parametrize(("group", "term"), list(REACHES))
def test_what_each_term_moves(group: str, term: str) -> None:
    model, family = freeze(seeing(), *ENCODER), family_of("st4rtrack")
    if group == "supervised":
        losses, clips = St4RTrackLosses(adaptation=None), make_clips(1, 1, labelled=True, side=SIDE)
    else:
        losses = adapting(group.split(", ")[1], adaptation=AdaptationWeights(rigidity=1.0))
        clips = with_depth(make_clips(1, 1, labelled=False, side=SIDE))
    family.keep_start(model, losses)
    computed = family.labelled_losses if group == "supervised" else family.pseudo_losses
    values = {found.name.split("/")[1]: found.values for found in computed(family.forward(model, clips, losses), clips, losses).terms}
    if values[term].requires_grad:
        values[term].sum().backward()
    assert reached_parts(model) == REACHES[group, term]
    for start in model.kept_start:
        assert not reached_parts(start)


def reached_parts(model) -> set[str]:
    """Parts with a gradient that is not 0; of heads, what the last layer gives: points (channels 0 to 2) and confidence (3)."""
    found = {
        name.split(".")[0]
        for name, weight in model.named_parameters()
        if not name.startswith("downstream_head") and weight.grad is not None and bool(weight.grad.any())
    }
    for number, head in ((1, model.downstream_head1), (2, model.downstream_head2)):
        last = head.dpt.head[-1].weight.grad
        if last is not None:
            found |= {f"{name} {number}" for name, rows in (("points", last[:3]), ("confidence", last[3:])) if bool(rows.any())}
    return found


def test_an_encoder_that_learns_cannot_hold_the_reconstruction() -> None:
    with pytest.raises(ConfigError, match="patch_embed, enc_blocks are not frozen; freeze them"):
        family_of("st4rtrack").keep_start(seeing(), adapting("tracking"))


def test_inverse_depth_is_fitted_with_a_shift() -> None:
    clips = with_depth(make_clips(1, 1, labelled=False, side=SIDE))
    family, model = family_of("st4rtrack"), seeing()
    losses = adapting("all")
    inverse = replace(clips, pseudo_depth=0.7 / clips.pseudo_depth + 0.3, pseudo_depth_is_inverse=torch.ones(1, dtype=torch.bool))
    with torch.no_grad():
        output = family.forward(model, clips, losses)
        values = [
            {term.name: float(term.values) for term in family.pseudo_losses(output, batch, losses).terms} for batch in (clips, inverse)
        ]
    assert values[1]["adaptation/depth"] < 1e-3  # the labels are constant: any map fits them once scale and shift are free
    assert values[0]["adaptation/trajectory"] == values[1]["adaptation/trajectory"]


def test_bad_clips_are_named(caplog: pytest.LogCaptureFixture) -> None:
    family, losses, clips = family_of("st4rtrack"), adapting("all"), make_clips(1, 1, labelled=False, side=SIDE)
    model = seeing()
    output = family.forward(model, clips, losses)
    with pytest.raises(DataError, match="pseudo-1-0: no depth labels.*jobs/pseudolabel.py --labeler transformers-depth"):
        family.pseudo_losses(output, clips, losses)
    clips = with_depth(clips)
    unseen = replace(clips, observations=replace(clips.observations, frame_weights=clips.observations.frame_weights * 0))
    with pytest.raises(DataError, match="pseudo-1-0: no track is seen in the first frame"):
        family.pseudo_losses(output, unseen, losses)
    with torch.no_grad():
        model.downstream_head1.dpt.head[-1].weight.zero_()
        model.downstream_head1.dpt.head[-1].bias.zero_()
    found = family.pseudo_losses(family.forward(model, clips, losses), clips, losses)
    assert "pseudo-1-0: its first frame's points give no focal length" in caplog.text
    assert float(found.total().detach()) == 0
    assert {term.name: float(term.values.detach()) for term in found.terms}["adaptation/failed_poses"] == 1


@pytest.mark.parametrize(("height", "width"), [(32, SIDE), (SIDE, 32)])
def test_prediction_is_the_world_of_the_first_camera(height: int, width: int) -> None:
    model = seeing()
    frames = np.random.default_rng(0).integers(0, 255, (3, height, width, 3), np.uint8)
    queries = np.array([[4.0, 5.0], [width - 7.8, height - 1.2]], np.float32)
    found = predict(model, frames, queries)
    with torch.no_grad():
        maps = pair_maps(model, torch.from_numpy(frames).permute(0, 3, 1, 2)[None] / 255)
    np.testing.assert_allclose(found.points, maps.point_map_2.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.tracks.world[:, 1], maps.point_map_1[:, height - 1, width - 8].numpy(), atol=1e-5)
    moved = np.einsum("tij,thwj->thwi", found.camera_to_world[:, :3, :3], found.local_points) + found.camera_to_world[:, None, None, :3, 3]
    np.testing.assert_allclose(moved, found.points, atol=1e-3)
    np.testing.assert_allclose(found.camera_to_world[0], np.eye(4), atol=1e-5)


def test_bfloat16_computes_losses_in_float32_near_those_of_float32() -> None:
    model, family = seeing(), family_of("st4rtrack")
    labelled = make_clips(1, 1, labelled=True, side=SIDE)
    pseudo = with_depth(make_clips(1, 1, labelled=False, side=SIDE))
    values = []
    for precision in ("float32", "bfloat16"):
        objective = Objective(family, model, adapting("all", adaptation=AdaptationWeights(depth=0.0)), precision=precision)
        terms = [*objective.pseudo_losses(objective.predict(pseudo), pseudo).terms]
        objective = Objective(family, model, St4RTrackLosses(adaptation=None), precision=precision)
        terms += objective.labelled_losses(objective.predict(labelled), labelled).terms
        assert {term.values.dtype for term in terms} == {torch.float32}
        values.append({term.name: float(term.values.detach()) for term in terms if "failed" not in term.name})
    assert values[1] != values[0]
    assert values[1] == pytest.approx(values[0], rel=0.1, abs=0.02)


def test_bfloat16_predicts_nearly_the_same_world_in_float32() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 48, 32, 3), np.uint8)
    queries = np.array([[4.0, 3.0]], np.float32)
    exact, near = (predict(seeing(), frames, queries, precision=precision) for precision in ("float32", "bfloat16"))
    assert near.points.dtype == near.camera_to_world.dtype == np.float32
    size = np.linalg.norm(exact.points, axis=-1).mean()
    difference = np.linalg.norm(near.points - exact.points, axis=-1).mean()
    assert 0 < difference < 0.05 * size


def test_one_frame_is_a_pair_with_itself() -> None:
    found = predict(seeing(), np.random.default_rng(0).integers(0, 255, (1, 32, SIDE, 3), np.uint8), np.array([[4.0, 5.0]], np.float32))
    assert found.camera_found.tolist() == [True]
    np.testing.assert_allclose(found.camera_to_world[0], np.eye(4), atol=1e-5)
    assert found.tracks.world.shape == (1, 1, 3)


def test_frames_without_a_camera_are_named(caplog: pytest.LogCaptureFixture) -> None:
    clips, model = make_clips(1, 1, labelled=False, side=SIDE), seeing()
    with torch.no_grad():
        maps = clip_maps(pair_maps(model, clips.images), 1)[0]
    assert world_of_maps(maps, None).camera_found.tolist() == [[True, True]]
    maps.point_map_2[1] = torch.nan
    found = world_of_maps(maps, None)
    assert found.camera_found.tolist() == [[True, False]]
    assert "1 of 2 frames: no camera sees their points so" in caplog.text
    maps.point_map_1.zero_()
    assert world_of_maps(maps, None).camera_found.tolist() == [[False, False]]  # cameras by a focal length that was guessed
    assert "give no focal length" in caplog.text


def test_a_frame_whose_camera_is_not_found_counts_and_leaves_the_other_frames_their_gradient() -> None:
    family, clips = family_of("st4rtrack"), with_depth(make_clips(1, 1, labelled=False, side=SIDE))
    losses = St4RTrackLosses(supervised=None, adaptation_settings=AdaptationSettings(adapt="all", pnp_pixels=None))
    output = family.forward(seeing(), clips, losses)
    broken = output.confidence_2.clone()
    broken[1, 0, 0] = torch.inf  # of frame 1
    found = family.pseudo_losses(replace(output, confidence_2=broken), clips, losses)
    values = {term.name: float(term.values.detach()) for term in found.terms}
    assert values["adaptation/failed_poses"] == 0.5
    (gradient,) = torch.autograd.grad(found.total().sum(), output.point_map_1)
    assert gradient.isfinite().all()
    assert gradient[0].any()


def test_pictures_and_settings() -> None:
    clips = make_clips(0, 1, labelled=True, side=SIDE)
    objective = Objective(family_of("st4rtrack"), seeing(), St4RTrackLosses())
    assert set(objective.pictures(clips)) == {"frames", "depth", "points_from_above", "tracks_from_above"}
    with pytest.raises(ConfigError, match="no loss is taken"):
        St4RTrackLosses(supervised=SupervisedWeights(trajectory=0, geometry=0), adaptation=None)

"""2D trackers behind the protocol: what learns from what, frozen heads, the full size without memory, and the way back into the labeler."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelers import make_labeler
from networks import build_model
from networks.weights import TrainingOrigin, TrainingSource, save_weights
from pipeline.errors import ConfigError
from pipeline.records import ClipFrames, FramesInMemory
from tests.unit.trainer.loop.rendered import make_clips
from trainer.data import ClipBatch, StepBatch
from trainer.data.track_queries import TrackQueries
from trainer.families import ClipShares, Objective, check_predicts, family_of
from trainer.families.tracker2d import Tracker2dLosses
from trainer.families.tracker2d.family import SCORES, track_targets
from trainer.families.tracker2d.settings import PositionWeights, SupervisedWeights, TrackerSettings
from trainer.loop import read_config
from trainer.loop.optimisation import freeze, make_optimiser
from trainer.losses import TrackObservations

SMALL = {
    **{"model_resolution": [32, 48], "encoder": [8, 8, 8, 8], "features": 8, "correlation_hidden": 8, "embedding": 8},
    **{"hidden": 16, "heads": 2, "depth": 1, "virtual_tracks": 2},
}
FEW = TrackerSettings(iterations=2)
STUDENT = Tracker2dLosses(supervised=None, settings=FEW)


def network(name="cotracker3-online", **changes):
    return build_model(name, {**SMALL, **changes})


def moving(num_frames=12, num_tracks=6, device="cpu", size=(32, 48), queries_at=(0, 3)) -> ClipBatch:
    """A texture that drifts by (1, 0.5) px a frame, and points on it."""
    draw = torch.Generator().manual_seed(3)
    height, width = size
    texture = torch.rand(3, height + num_frames, width + num_frames, generator=draw)
    frames = [texture[:, num_frames - t // 2 :, num_frames - t :][:, :height, :width] for t in range(num_frames)]
    start = torch.rand(num_tracks, 2, generator=draw) * torch.tensor([width - 24.0, height - 16.0]) + 4
    tracks = start + torch.arange(num_frames)[:, None, None] * torch.tensor([1.0, 0.5])
    asked = torch.tensor(queries_at)[torch.arange(num_tracks) % len(queries_at)]
    seen = torch.ones(1, num_frames, num_tracks, dtype=torch.bool)
    seen[:, 6:, -1] = False
    batch = ClipBatch(
        keys=("drift",),
        datasets=("drifts",),
        licenses=("CC0",),
        images=torch.stack(frames)[None],
        query_points=tracks[asked, torch.arange(num_tracks)][None],
        observations=TrackObservations(tracks_px=tracks[None], frame_weights=seen.float()),
        is_metric=torch.zeros(1, dtype=torch.bool),
        queries=TrackQueries(frames=asked[None], visible=seen, known=torch.ones_like(seen), weights=torch.ones(1, num_tracks)),
    )
    return batch.to(device)


def labelled() -> ClipBatch:
    """Clips with truth, two frames, asked where they are seen first."""
    clips = make_clips(0, 2, labelled=True, side=40)
    seen = clips.visibility
    queries = TrackQueries(
        frames=torch.zeros(2, seen.shape[2], dtype=torch.int64), visible=seen, known=clips.track_valid, weights=torch.ones(2, seen.shape[2])
    )
    return replace(clips, queries=queries)


def step(model, losses, batch):
    objective = Objective(family_of("cotracker3-online"), model, losses)
    found = objective(batch, ClipShares(labelled=1.0, pseudo=1.0))
    found.total.backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None and bool(parameter.grad.any())}


def test_a_student_learns_everywhere_but_in_its_frozen_scores_which_do_not_move():
    model = network()
    freeze(model, [SCORES])
    family_of("cotracker3-online").keep_start(model, STUDENT)
    before = {name: entry.clone() for name, entry in model.state_dict().items()}
    reached = step(model, STUDENT, StepBatch(step=0, labelled=None, pseudo=moving()))
    assert reached == {name for name, _ in model.named_parameters() if not name.startswith(SCORES)}
    make_optimiser(model, read_config("cotracker3_student").optimiser).step()
    moved = {name for name, entry in model.state_dict().items() if not torch.equal(entry, before[name])}
    assert "updateformer.flow_head.weight" in moved
    assert not any(name.startswith(SCORES) or name == "time_emb" for name in moved)


def test_scores_that_nothing_teaches_must_be_frozen():
    with pytest.raises(ConfigError, match=r"no loss teaches visibility and confidence.*add updateformer\.vis_conf_head to frozen"):
        family_of("cotracker3-online").keep_start(network(), STUDENT)
    family_of("cotracker3-online").keep_start(network(), Tracker2dLosses())


def test_true_tracks_teach_both_scores():
    model = network("cotracker3-offline")
    losses = Tracker2dLosses(supervised=SupervisedWeights(visible=0.0, occluded=0.0), pseudo=None, settings=FEW)
    assert f"{SCORES}.weight" in step(model, losses, StepBatch(step=0, labelled=labelled(), pseudo=None))


def test_online_models_count_frames_from_the_query_on_and_offline_ones_all():
    clips = moving()
    for name, first in (("cotracker3-online", 3), ("cotracker3-offline", 0)):
        family = family_of(name)
        with torch.no_grad():
            output = family.forward(network(name), clips, STUDENT)
        counted = track_targets(output, clips, FEW).counted[0]
        assert int(counted[:, 1].int().argmax()) == first  # asked in frame 3
        assert bool(counted[:, 0].all())
        assert [window.start for window in output.windows] == [0]
    with torch.no_grad():
        windows = family_of("cotracker3-online").forward(network(), moving(num_frames=20), STUDENT).windows
    assert [(window.start, window.tracks_px.shape[2]) for window in windows] == [(0, 16), (8, 12)]


def test_audit_weights_count_where_they_are_asked_for():
    clips = moving()
    judged = replace(clips, queries=replace(clips.queries, weights=torch.full((1, 6), 0.25)))
    family = family_of("cotracker3-online")
    with torch.no_grad():
        output = family.forward(network(), judged, STUDENT)
    plain, weighed = (
        family.pseudo_losses(output, judged, replace(STUDENT, settings=replace(FEW, audit_weights=taken))).terms for taken in (False, True)
    )
    assert [term.name for term in plain] == ["pseudo/visible", "pseudo/occluded", "pseudo/share_near"]
    torch.testing.assert_close(weighed[0].values, 0.25 * plain[0].values)


def test_checkpointing_changes_memory_and_no_gradient():
    gradients = []
    for again in (False, True):
        model = network(computing={"gradient_checkpointing": again, "correlation_mb": 0.5})
        freeze(model, [SCORES])
        step(model, STUDENT, StepBatch(step=0, labelled=None, pseudo=moving()))
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None})
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)


def test_what_cannot_be_trained_on_is_refused_with_the_remedy():
    family = family_of("cotracker3-online")
    with pytest.raises(ConfigError, match="set data.queries to own"):
        family.forward(network(), replace(moving(), queries=None), STUDENT)
    with pytest.raises(ConfigError, match="8 frames hold no window of an online model: set data.shape.frames to 9 or more"):
        family.forward(network(), moving(num_frames=8), STUDENT)
    with pytest.raises(ConfigError, match="CoTracker3Online tracks points in the image alone"):
        check_predicts(family, network())
    with pytest.raises(ConfigError, match="jobs/pseudolabel.py"):
        family.predict(network(), torch.zeros(1, 9, 3, 32, 48), None)


def test_the_full_size_student_takes_a_step_of_shapes():
    config = read_config("cotracker3_student", ["model.start=null"])
    with torch.device("meta"):
        model = build_model(config.model.name, config.model.config)
    freeze(model, config.frozen)
    family = family_of(config.model.name)
    family.keep_start(model, config.loss_settings)
    clips = moving(num_frames=24, num_tracks=384, size=(384, 512), device="meta")
    output = family.forward(model, clips, config.loss_settings)
    assert [tuple(window.tracks_px.shape) for window in output.windows] == [(1, 4, 16, 384, 2)] * 2
    family.pseudo_losses(output, clips, config.loss_settings).total().sum().backward()
    assert sum(parameter.numel() for parameter in model.parameters()) == 25_385_700
    assert {name for name, parameter in model.named_parameters() if parameter.grad is None} == {f"{SCORES}.weight", f"{SCORES}.bias"}


def test_a_small_student_learns_a_clip_and_its_file_labels_by_the_labeler_s_own_loader(tmp_path):
    model, clips = network(), moving()
    freeze(model, [SCORES])
    objective = Objective(family_of("cotracker3-online"), model, replace(STUDENT, pseudo=PositionWeights(occluded=0.05)))
    optimiser = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=3e-3)
    values = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = objective.pseudo_losses(objective.predict(clips), clips).total().sum()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert np.mean(values[-3:]) < 0.5 * values[0]
    pictures = objective.pictures(clips)
    assert pictures["frames"].shape == pictures["predicted_frames"].shape
    origin = TrainingOrigin(sources=(TrainingSource(dataset="walks", labels=("dis-flow-1a2b3c4d",)),), licenses=("CC BY 4.0",))
    file = str(tmp_path / "student.safetensors")
    save_weights(file, model, origin=origin)
    labeler = make_labeler("cotracker3-online", checkpoint=file, iterations=2)
    assert (labeler.height, labeler.width) == (32, 48)  # as it was trained
    for name, entry in model.state_dict().items():
        assert torch.equal(entry, labeler._model.state_dict()[name]), name
    made = labeler.provenance()
    assert made.license == "CC BY 4.0"
    assert made.parents == {"sources": [{"dataset": "walks", "labels": ["dis-flow-1a2b3c4d"], "audit": None}], "licenses": ["CC BY 4.0"]}
    frames = (clips.images[0].permute(0, 2, 3, 1) * 255).byte().numpy()
    (labels,) = labeler.label([ClipFrames(key="drift", reader=FramesInMemory(frames), queries=np.array([[0, 10, 10]], np.float32))])
    assert labels.tracks_px.shape == (12, 1, 2)
    with pytest.raises(ConfigError, match="holds weights of cotracker3-online; label with --labeler cotracker3-online"):
        make_labeler("cotracker3-offline", checkpoint=file)


def test_the_network_of_public_size_loads_in_the_public_class():
    package = pytest.importorskip("cotracker.models.core.cotracker.cotracker3_online")
    public = package.CoTrackerThreeOnline(stride=4, corr_radius=3, window_len=16)
    ours = build_model("cotracker3-online")
    public.load_state_dict(ours.state_dict(), strict=True)

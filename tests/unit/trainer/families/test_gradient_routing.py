"""Which branch learns from which loss, at the heads: the contract of the coupling losses."""

import pytest
import torch
from torch import Tensor

from trainer.families.trajvg.coupling import CouplingTerms, labelled_coupling, self_supervised_coupling
from trainer.families.trajvg.settings import CouplingSettings, GateSettings
from trainer.losses import ClipGeometry, TrackObservations
from trainer.losses.penalties import huber

UNIT = torch.ones(1, dtype=torch.float64)


def gradients(loss: Tensor, prediction: ClipGeometry) -> tuple[Tensor, Tensor, Tensor]:
    """To point map, tracks and cameras, without the batch axis; unconnected counts as zero."""
    leaves = (prediction.local_points, prediction.tracks, prediction.camera_to_world)
    found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, retain_graph=True)
    return tuple(torch.zeros_like(leaf)[0] if each is None else each[0] for leaf, each in zip(leaves, found, strict=True))


def touches(gradient: Tensor) -> Tensor:
    """Where it is more than the rounding of an integer coordinate, 1e-16."""
    return gradient.abs().amax(-1) > 1e-13


def footprint(observed: TrackObservations, tracks: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels around places that are seen, of the chosen tracks: bool "T H W"; counted one by one."""
    frames, num_tracks = observed.frame_weights.shape[1:]
    touched = torch.zeros(frames, *size, dtype=torch.bool)
    for t in range(frames):
        for i in range(num_tracks):
            if tracks[t, i] and observed.frame_weights[0, t, i] > 0:
                x, y = observed.tracks_px[0, t, i].tolist()
                for row in range(size[0]):
                    for column in range(size[1]):
                        touched[t, row, column] |= abs(row - y) < 1 and abs(column - x) < 1
    return touched


@pytest.fixture
def labelled(golden_clip):
    """Terms of the labelled clip, by settings."""
    prediction, observed, truth = golden_clip

    def compute(**settings) -> CouplingTerms:
        return labelled_coupling(prediction, observed, truth, scale=UNIT, settings=CouplingSettings(**settings))

    return compute


@pytest.fixture
def pseudo(golden_clip):
    """Terms of the same clip without labels, every track counted as static unless said otherwise."""
    prediction, observed, _ = golden_clip

    def compute(gates: tuple[str, ...] = (), **settings) -> CouplingTerms:
        return self_supervised_coupling(prediction, observed, CouplingSettings(gate=GateSettings(gates=gates), **settings))

    return compute


@pytest.mark.parametrize("kind", ["labelled", "pseudo"])
def test_consistency_a_moves_the_point_map_where_tracks_are_seen(request, golden_clip, kind):
    prediction, observed, _ = golden_clip
    to_map, to_tracks, to_cameras = gradients(request.getfixturevalue(kind)().consistency_points, prediction)
    everything = torch.ones_like(observed.frame_weights[0], dtype=torch.bool)
    touched = footprint(observed, everything, to_map.shape[1:3])
    assert 0 < touched.sum() < touched.numel()
    assert torch.equal(touches(to_map), touched)
    assert not to_tracks.any()
    assert not to_cameras.any()


@pytest.mark.parametrize("kind", ["labelled", "pseudo"])
def test_consistency_b_moves_the_tracks_that_are_seen(request, golden_clip, kind):
    prediction, observed, _ = golden_clip
    to_map, to_tracks, to_cameras = gradients(request.getfixturevalue(kind)().consistency_tracks, prediction)
    assert not to_map.any()
    assert torch.equal((to_tracks != 0).any(-1), observed.frame_weights[0] > 0)
    assert not to_cameras.any()


def test_consistency_b_leaves_tracks_alone_that_agree(golden, golden_clip):
    prediction, observed, truth = golden_clip
    tracks = prediction.tracks.detach().clone()
    tracks[0, :, 2] = golden["p_tilde"][:, 2]
    agreeing = ClipGeometry(
        local_points=prediction.local_points, camera_to_world=prediction.camera_to_world, tracks=tracks.requires_grad_()
    )
    loss = labelled_coupling(agreeing, observed, truth, scale=UNIT, settings=CouplingSettings()).consistency_tracks
    (to_tracks,) = torch.autograd.grad(loss.sum(), tracks)
    assert to_tracks[0, :, 2].abs().max() < 1e-15
    assert to_tracks[0, :, 1].abs().max() > 1e-6


@pytest.mark.parametrize("cam_target", ["gt", "anchor"])
def test_pose_term_moves_cameras_that_see_static_tracks(golden, golden_clip, cam_target):
    prediction, observed, truth = golden_clip
    lone = observed.frame_weights.clone()
    lone[0, 2] = 0  # frame 2 sees nothing; frame 3 only what moves
    lone[0, 3] = torch.where(truth.static[0, 3], 0, lone[0, 3])
    seen = TrackObservations(tracks_px=observed.tracks_px, frame_weights=lone)
    assert ((lone[0] > 0) & (lone[0, 0] > 0) & truth.static[0]).any(-1).tolist() == [True, True, False, False, True]
    assert (lone[0, 3] > 0).any()
    terms = labelled_coupling(prediction, seen, truth, scale=UNIT, settings=CouplingSettings(cam_target=cam_target))
    to_map, to_tracks, to_cameras = gradients(terms.camera_poses, prediction)
    assert not to_map.any()
    assert not to_tracks.any()
    assert (to_cameras[:, :3, 3] != 0).any(-1).tolist() == [True, True, False, False, True]
    assert (to_cameras[:, :3, :3] != 0).any(-1).any(-1).tolist() == [True, True, False, False, True]


def test_pose_term_of_the_anchor_alone_moves_no_camera(golden_clip, golden):
    prediction, observed, truth = golden_clip
    lone = torch.zeros_like(observed.frame_weights)
    lone[0, 0] = observed.frame_weights[0, 0]
    seen = TrackObservations(tracks_px=observed.tracks_px, frame_weights=lone)
    terms = labelled_coupling(prediction, seen, truth, scale=UNIT, settings=CouplingSettings())
    assert terms.camera_poses.item() > 0  # the anchor's samples are not where the truth is
    assert not any(each.any() for each in gradients(terms.camera_poses, prediction))


def test_pose_term_without_labels_moves_cameras_only(pseudo, golden_clip):
    prediction = golden_clip[0]
    terms = pseudo()
    assert terms.camera_points is None
    to_map, to_tracks, to_cameras = gradients(terms.camera_poses, prediction)
    assert not to_map.any()
    assert not to_tracks.any()
    assert (to_cameras[:, :3, 3] != 0).any(-1).all()


def test_frames_without_pose_signal_move_no_camera(golden_clip):
    prediction, observed, _ = golden_clip
    signal = torch.tensor([[1.0, 1, 0, 1, 1]], dtype=torch.float64)
    seen = TrackObservations(tracks_px=observed.tracks_px, frame_weights=observed.frame_weights, pose_weight=signal)
    terms = self_supervised_coupling(prediction, seen, CouplingSettings(gate=GateSettings(gates=())))
    moved = (gradients(terms.camera_poses, prediction)[2] != 0).flatten(1).any(1)
    assert moved.tolist() == [True, True, False, True, True]
    assert (gradients(terms.consistency_tracks, prediction)[1][2] != 0).any()


@pytest.mark.parametrize("kind", ["labelled", "pseudo"])
def test_a_track_that_the_anchor_does_not_see_moves_no_camera_towards_it(golden_clip, kind):
    """Its sample there is of whatever hides it."""
    prediction, observed, truth = golden_clip
    weight = observed.frame_weights.clone()
    weight[0, 0] = 0
    seen = TrackObservations(tracks_px=observed.tracks_px, frame_weights=weight)
    settings = CouplingSettings(cam_target="anchor", gate=GateSettings(gates=()))
    if kind == "labelled":
        terms = labelled_coupling(prediction, seen, truth, scale=UNIT, settings=settings)
    else:
        terms = self_supervised_coupling(prediction, seen, settings)
    assert terms.camera_poses.item() == 0
    assert not gradients(terms.camera_poses, prediction)[2].any()


@pytest.mark.parametrize("points", ["pointmap", "track", "both"])
def test_point_term_moves_whom_the_settings_name(labelled, golden_clip, points):
    prediction, observed, truth = golden_clip
    to_map, to_tracks, to_cameras = gradients(labelled(points=points).camera_points, prediction)
    assert to_map.any() == (points != "track")
    assert to_tracks.any() == (points != "pointmap")
    assert not to_cameras.any()
    if points != "track":
        everything = torch.ones_like(observed.frame_weights[0], dtype=torch.bool)
        assert torch.equal(touches(to_map), footprint(observed, everything, to_map.shape[1:3]))
    if points != "pointmap":
        dynamic = (observed.frame_weights[0] > 0) & ~truth.static[0]
        assert dynamic.any()
        assert (to_tracks[dynamic] != 0).any(-1).all()


def test_the_first_term_as_printed_trains_nothing(golden):
    samples = golden["p_tilde"].clone().requires_grad_()
    printed = (golden["w"] * huber(samples.detach() - samples, 0.1)).sum()
    (gradient,) = torch.autograd.grad(printed, samples)
    assert printed.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize(("scale_gradient", "carried"), [("detached", set()), ("invariant", {"consistency_points", "camera_points"})])
def test_the_scale_of_the_alignment_counts_for_point_maps_alone(golden_clip, scale_gradient, carried):
    prediction, observed, truth = golden_clip
    scale = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    settings = CouplingSettings(scale_gradient=scale_gradient)
    terms = labelled_coupling(prediction, observed, truth, scale=scale, settings=settings)
    names = ("consistency_points", "consistency_tracks", "camera_poses", "camera_points")
    pulls = {name: torch.autograd.grad(getattr(terms, name).sum(), scale, retain_graph=True, allow_unused=True)[0] for name in names}
    assert {name for name, pull in pulls.items() if pull is not None} == carried

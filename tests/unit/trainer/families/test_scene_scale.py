"""The size of the scene in the network's unit must neither change the coupling losses nor be changed by them, with labels and without."""

from dataclasses import replace

import pytest
import torch

from trainer.families.trajvg.coupling import labelled_coupling, scene_scale, self_supervised_coupling
from trainer.families.trajvg.settings import CouplingSettings, GateSettings
from trainer.geometry import scale_motion
from trainer.losses import ClipGeometry, TrackObservations

NAMES = ("consistency_points", "consistency_tracks", "camera_poses")


def terms_at(golden, factor, scale_gradient="invariant", gates=()):
    """Coupling terms of the golden clip with point maps, tracks and cameras' travels times a factor."""
    cameras = scale_motion(golden["poses"][None], factor * torch.ones(1, dtype=torch.float64))
    prediction = ClipGeometry(
        local_points=golden["pointmap"][None] * factor, camera_to_world=cameras, tracks=golden["p_hat"][None] * factor
    )
    observed = TrackObservations(tracks_px=golden["q"][None], frame_weights=golden["w"][None])
    settings = CouplingSettings(scale_gradient=scale_gradient, gate=GateSettings(gates=gates))
    return self_supervised_coupling(prediction, observed, settings)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 40.0])
@pytest.mark.parametrize("gates", [(), ("residual",), ("residual", "epipolar")])
def test_scaling_the_scene_changes_no_term(golden, close, factor, gates):
    before, after = terms_at(golden, 1.0, gates=gates), terms_at(golden, factor, gates=gates)
    for name in NAMES:
        close(getattr(after, name), getattr(before, name), rtol=1e-9)
    close(after.scene_scale, factor * before.scene_scale, rtol=1e-9)


@pytest.mark.parametrize(("scale_gradient", "shrinks"), [("invariant", False), ("detached", True)])
def test_the_point_maps_size_feels_no_pull(golden, scale_gradient, shrinks):
    """Only the point map is scaled: it alone learns from term A."""
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    prediction = ClipGeometry(
        local_points=golden["pointmap"][None] * factor, camera_to_world=golden["poses"][None], tracks=golden["p_hat"][None]
    )
    observed = TrackObservations(tracks_px=golden["q"][None], frame_weights=golden["w"][None])
    settings = CouplingSettings(scale_gradient=scale_gradient, gate=GateSettings(gates=()))
    terms = self_supervised_coupling(prediction, observed, settings)
    (pull,) = torch.autograd.grad(terms.consistency_points.sum() + terms.camera_poses.sum(), factor)
    if shrinks:
        assert pull > 1e-4  # a step downhill makes the scene smaller
    else:
        assert abs(pull) < 1e-15


def test_the_joint_pull_on_everything_at_once(golden):
    """Along a common factor of point maps, tracks and travels: what is left pulls tracks and cameras towards the point maps, no map."""
    pulls = {}
    for scale_gradient in ("invariant", "detached"):
        factor = torch.ones((), dtype=torch.float64, requires_grad=True)
        terms = terms_at(golden, factor, scale_gradient)
        pulls[scale_gradient] = torch.stack(
            [torch.autograd.grad(getattr(terms, name).sum(), factor, retain_graph=True)[0] for name in NAMES]
        )
    assert abs(pulls["invariant"][0]) < 1e-15
    assert pulls["detached"][0] > 1e-4
    assert torch.equal(pulls["invariant"][1:], pulls["detached"][1:])


@pytest.mark.parametrize(("scale_gradient", "pulled"), [("invariant", False), ("detached", True)])
def test_labels_do_not_pull_on_the_size_either(golden_clip, scale_gradient, pulled):
    """The clip's scale is solved anew at every step: were it a constant, each step would pull the same way, and nothing would hold it."""
    prediction, observed, truth = golden_clip
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    points = prediction.local_points.detach() * factor
    size = points.norm(dim=-1).mean()
    settings = CouplingSettings(scale_gradient=scale_gradient)
    scaled = replace(prediction, local_points=points)
    terms = labelled_coupling(scaled, observed, truth, scale=(1.3 / size)[None], settings=settings)
    for term in (terms.consistency_points, terms.camera_points):
        (pull,) = torch.autograd.grad(term.sum(), factor, retain_graph=True)
        assert abs(pull) > 1e-4 if pulled else abs(pull) < 1e-15


def test_descent_does_not_shrink_the_scene(golden):
    """Two hundred steps on all terms: the point maps' mean distance stays within a few percent, and detached it does not."""
    sizes = {}
    for scale_gradient in ("invariant", "detached"):
        leaves = [golden[key][None].clone().requires_grad_() for key in ("pointmap", "poses", "p_hat")]
        settings = CouplingSettings(scale_gradient=scale_gradient, gate=GateSettings(gates=()))
        observed = TrackObservations(tracks_px=golden["q"][None], frame_weights=golden["w"][None])
        for _ in range(200):
            prediction = ClipGeometry(local_points=leaves[0], camera_to_world=leaves[1], tracks=leaves[2])
            terms = self_supervised_coupling(prediction, observed, settings)
            loss = terms.consistency_points + terms.consistency_tracks
            steps = torch.autograd.grad(loss.sum(), (leaves[0], leaves[2]))
            for leaf, step in zip((leaves[0], leaves[2]), steps, strict=True):
                leaf.data -= 5 * step
        sizes[scale_gradient] = (terms.scene_scale / terms_at(golden, 1.0).scene_scale).item()
    assert abs(sizes["invariant"] - 1) < 0.01
    assert abs(sizes["invariant"] - 1) < abs(sizes["detached"] - 1)


def test_a_clip_that_sees_nothing_has_size_one():
    samples = torch.full((1, 2, 3, 3), float("nan"))
    assert scene_scale(samples, torch.zeros(1, 2, 3)).tolist() == [1.0]

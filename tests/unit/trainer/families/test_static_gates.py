"""Gates on a scene whose movers are known: seventy tracks stand, thirty move."""

import pytest
import torch

from trainer.families.trajvg.settings import GateSettings
from trainer.families.trajvg.static_gates import audit_gate, epipolar_gate, paired_frames, residual_gate, rigidity_vote, static_tracks
from trainer.geometry import invert_rigid, transform_points
from trainer.losses import ClipGeometry, TrackObservations

FOCAL, HEIGHT, WIDTH, FRAMES, TRACKS, MOVING = 100.0, 60, 80, 8, 100, 30


class Scene:
    """Points in front of a camera that goes to the right; the last thirty move `per_frame`."""

    def __init__(self, per_frame: tuple[float, float, float], step: float = 0.1, noise_px: float = 0.2) -> None:
        generator = torch.Generator().manual_seed(11)
        start = torch.rand(TRACKS, 3, generator=generator) * torch.tensor([2.4, 1.6, 3]) + torch.tensor([-0.8, -0.8, 4])
        time = torch.arange(FRAMES, dtype=torch.float32)
        world = start.repeat(FRAMES, 1, 1)
        world[:, -MOVING:] += time[:, None, None] * torch.tensor(per_frame)
        self.cameras = torch.eye(4).repeat(1, FRAMES, 1, 1)
        self.cameras[0, :, 0, 3] = step * time
        self.samples = transform_points(invert_rigid(self.cameras), world[None])
        middle = torch.tensor([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
        exact = FOCAL * self.samples[..., :2] / self.samples[..., 2:] + middle
        self.pixels = exact + noise_px * torch.randn(exact.shape, generator=generator)
        y, x = torch.meshgrid(torch.arange(float(HEIGHT)), torch.arange(float(WIDTH)), indexing="ij")
        rays = torch.stack([(x - middle[0]) / FOCAL, (y - middle[1]) / FOCAL, torch.ones_like(x)], dim=-1)
        self.prediction = ClipGeometry(local_points=(5 * rays).repeat(1, FRAMES, 1, 1, 1), camera_to_world=self.cameras)
        self.observed = TrackObservations(tracks_px=self.pixels, frame_weights=torch.ones(1, FRAMES, TRACKS))

    def static(self, *gates: str) -> torch.Tensor:
        return static_tracks(self.prediction, self.samples, self.observed, 0, GateSettings(gates=gates))[0]


@pytest.mark.parametrize("gates", [("residual",), ("epipolar",), ("residual", "epipolar")])
def test_movers_across_epipolar_lines_are_found(gates):
    static = Scene((0.0, 0.2, 0.0)).static(*gates)
    assert static[:-MOVING].float().mean() > 0.97
    assert not static[-MOVING:].any()


def test_only_geometry_sees_motion_along_epipolar_lines():
    scene = Scene((-0.2, 0.0, 0.0))
    assert scene.static("epipolar")[-MOVING:].all()
    assert not scene.static("residual")[-MOVING:].any()
    assert not scene.static("epipolar", "residual")[-MOVING:].any()


def test_a_camera_that_stands_still_leaves_no_epipolar_lines_but_movers_are_found():
    static = Scene((0.2, 0.0, 0.0), step=1e-4).static("epipolar")
    assert static[:-MOVING].all()
    assert not static[-MOVING:].any()


def test_without_gates_everything_is_static():
    assert Scene((0.0, 0.2, 0.0)).static().all()


def test_one_outlier_does_not_unmake_a_static_track_and_a_slow_mover_does_not_pass():
    scene = Scene((0.0, 0.06, 0.0), noise_px=0.0)
    scene.samples[0, 3, 0] += 1.0
    passes = residual_gate(scene.samples, scene.cameras, scene.observed.frame_weights, 0, GateSettings()).passes
    assert not passes[0, 3, 0]
    assert passes[0, 1, -MOVING:].any()  # not yet
    static = scene.static("residual")
    assert static[0]
    assert not static[-MOVING:].any()


def test_frames_that_are_not_seen_have_no_vote():
    passes = torch.tensor([[[True], [False], [True], [True], [True], [True]]])
    seen = torch.ones_like(passes)
    assert rigidity_vote(passes, seen, 0.8).item() is True  # five of six
    seen[0, 4:] = False
    assert rigidity_vote(passes, seen, 0.8).item() is False  # three of four
    assert rigidity_vote(passes, torch.zeros_like(seen), 0.8).item() is False
    weight = torch.tensor([[[1.0, 0.0], [0.5, 1.0], [0.0, 1.0]]])
    assert paired_frames(weight, 0)[0].tolist() == [[False, False], [True, False], [False, False]]


def test_the_audits_gate_takes_no_unknown_track():
    scores = torch.tensor([[0.5, 0.49, float("nan"), 1.0]])
    observed = TrackObservations(tracks_px=torch.zeros(1, 2, 4, 2), frame_weights=torch.ones(1, 2, 4), static_score=scores)
    assert audit_gate(observed, GateSettings()).tolist() == [[True, False, False, True]]


def test_gates_carry_no_gradient():
    scene = Scene((0.0, 0.2, 0.0))
    cameras, samples = scene.cameras.clone().requires_grad_(), scene.samples.clone().requires_grad_()
    prediction = ClipGeometry(local_points=scene.prediction.local_points.clone().requires_grad_(), camera_to_world=cameras)
    gate = residual_gate(samples, cameras, scene.observed.frame_weights, 0, GateSettings())
    assert not gate.residual.requires_grad
    assert not epipolar_gate(prediction, samples, scene.pixels, 0, GateSettings()).requires_grad

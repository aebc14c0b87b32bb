"""Which parameters a loss reaches, and that recomputing changes no gradient."""

import pytest
import torch

from networks import build_model
from networks.trajvg.track_head import frame_boxes

QUERIES = torch.tensor([[[10.0, 20.0], [30.5, 5.25], [54.0, 55.0]]])
POINT_BRANCH = ("point_head.", "point_decoder.")


def images(num_frames: int = 3) -> torch.Tensor:
    return torch.rand(1, num_frames, 3, 56, 56, generator=torch.Generator().manual_seed(2))


def reached(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None and bool(parameter.grad.any())}


def track_loss(output) -> torch.Tensor:
    return sum((points - 1).square().sum() for points in output.traj3d_camera) + output.visibility_logits[-1].square().sum()


@pytest.fixture
def lively(tiny_config):
    """Weights large enough for every path to show."""

    def build(name="trajvg", **sections):
        model = build_model(name, {**tiny_config, **sections})
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        return model

    return build


def test_losses_on_tracks_leave_the_point_branch_alone(lively):
    model = lively()
    track_loss(model(images(), QUERIES)).backward()
    names = reached(model)
    assert not [name for name in names if name.startswith((*POINT_BRANCH, "conf_", "camera_"))]
    assert all(
        any(name.startswith(part) for name in names) for part in ("track_head.", "track_decoder.", "decoder.0.", "encoder.blocks.0.")
    )


def test_unless_the_configuration_lets_them(lively, tiny_config):
    model = lively(track_head={**tiny_config["track_head"], "detach_inputs": False})
    track_loss(model(images(), QUERIES)).backward()
    assert all(any(name.startswith(part) for name in reached(model)) for part in POINT_BRANCH)


def test_world_tracks_reach_cameras(lively):
    model = lively()
    model(images(), QUERIES).traj3d_world[-1].square().sum().backward()
    names = reached(model)
    assert any(name.startswith("camera_head.") for name in names)
    assert not [name for name in names if name.startswith(POINT_BRANCH)]


@pytest.mark.parametrize("name", ["pi3", "trajvg"])
def test_every_parameter_is_reached_by_some_loss(name, lively):
    model = lively(name)
    output = model(images(), QUERIES)
    loss = output.points.square().mean() + output.conf.square().mean()
    (loss + track_loss(output) if name == "trajvg" else loss).backward()
    missed = {key for key, _ in model.named_parameters()} - reached(model)
    # a bias common to all keys changes no softmax of them, and the third map of refinenet4 is what its unit sees
    assert {key for key in missed if not key.endswith("k_proj.bias")} == set()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_what_pi3x_carries_is_frozen(lively):
    model = lively("pi3x")
    output = model(images())
    (output.points.square().mean() + output.conf.square().mean()).backward()
    free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert reached(model) == free
    assert {name.split(".")[0] for name, _ in model.named_parameters() if name not in free} == {
        *("depth_emb", "metric_token", "depth_encoder", "ray_embed", "pose_inject_blk", "metric_decoder", "metric_head")
    }


@pytest.mark.parametrize("autocast", [False, True])
def test_recomputing_changes_no_gradient(lively, autocast):
    gradients = []
    for again in (False, True):
        model = lively(computing={"gradient_checkpointing": again, "frames_at_once": 2})
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = model(images(), QUERIES)
        (output.points.square().mean() + output.conf.mean() + track_loss(output)).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    torch.testing.assert_close(gradients[1], gradients[0], atol=0, rtol=0)


def test_recomputing_keeps_fewer_tensors(lively):
    kept = []
    for again in (False, True):
        model, sizes = lively(computing={"gradient_checkpointing": again}), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t):
            model(images(), QUERIES)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


def test_iterations_do_not_reach_through_each_other(lively):
    model = lively()
    output = model(images(), QUERIES)
    loss = output.traj3d_camera[-1].sum() + output.visibility_logits[-1].sum()
    found = torch.autograd.grad(loss, model.get_parameter("track_head.tracker.updateformer.flow_head.bias"))[0]
    # of two steps the last alone counts: once for each query and frame, in half sides of the frame's box
    half_sides = frame_boxes(output.local_points[:, :, 1::2, 1::2].flatten(2, 3)).size[0] / 2
    torch.testing.assert_close(found, 3 * torch.cat([half_sides.sum(0), torch.tensor([3.0])]))

"""Images and queries in, everything out."""

import pytest
import torch


@pytest.mark.parametrize(
    ("field", "name", "atol"),
    [
        ("points", "points", 2e-5),
        ("local_points", "local_points", 2e-5),
        ("conf", "conf", 2e-5),
        ("camera_poses", "camera_poses", 2e-6),
        ("visibility", "vis_scores", 1e-6),
    ],
)
def test_outputs(output, io, field, name, atol, close):
    close(getattr(output, field), io[f"out_{name}"], atol)


def test_tracks_of_every_iteration(output, io, close):
    assert len(output.traj3d_world) == len(output.traj3d_camera) == len(output.visibility_logits) == 4
    for index in range(4):
        close(output.traj3d_world[index], io[f"out_traj3d_{index}"], 1e-5)
        close(output.traj3d_camera[index], io[f"track_local_{index}"], 1e-5)
    close(output.visibility_logits[-1].sigmoid(), output.visibility, 0)


def test_pi3_shares_everything_but_the_dense_heads(pi3, output, io, stages, close):
    found = pi3(io["imgs"], io["query_points"])
    close(found.camera_poses, output.camera_poses, 0)
    close(found.conf, stages["pi3_conf"])
    assert float(((found.local_points - stages["pi3_local_points"]).abs() / stages["pi3_local_points"][..., 2:]).max()) < 1e-4
    assert found.traj3d_camera is found.traj3d_world is found.visibility is found.visibility_logits is None


def test_a_clip_is_the_same_alone_and_in_a_batch(trajvg, output, io, close):
    other = torch.rand(io["imgs"].shape, generator=torch.Generator().manual_seed(3))
    batch = trajvg(torch.cat([other, io["imgs"]]), io["query_points"].flip(1).repeat(2, 1, 1))
    close(batch.points[1:], output.points, 5e-6)
    close(batch.traj3d_world[-1][1:].flip(2), output.traj3d_world[-1], 5e-6)
    close(batch.visibility[1:].flip(2), output.visibility, 1e-6)


def test_later_frames_may_come_in_any_order(trajvg, io, close):
    images = torch.rand(1, 10, 3, 56, 70, generator=torch.Generator().manual_seed(4))
    order = [0, 7, 2, 9, 4, 1, 6, 3, 8, 5]
    plain, permuted = trajvg(images, io["query_points"]), trajvg(images[:, order], io["query_points"])
    close(permuted.points, plain.points[:, order])
    close(permuted.camera_poses, plain.camera_poses[:, order], 5e-6)
    close(permuted.traj3d_camera[-1], plain.traj3d_camera[-1][:, order])
    close(permuted.visibility, plain.visibility[:, order], 5e-6)


def test_without_queries_a_grid_is_tracked(trajvg, io, close):
    plain = trajvg(io["imgs"])
    grid = torch.tensor([[x, y] for y in (8.0, 24.0, 40.0) for x in (8.0, 24.0, 40.0, 56.0)])[None]
    close(plain.traj3d_world[-1], trajvg(io["imgs"], grid).traj3d_world[-1], 0)

"""Sampling, rigid motions and two-view geometry: values by hand and laws."""

import math

import pytest
import torch

from trainer.geometry import (
    assemble_rigid,
    fundamental_matrices,
    in_image,
    invert_rigid,
    masked_mean,
    motion_to_anchor,
    point_map_intrinsics,
    rotate_pixels,
    rotation_angle,
    sample_maps,
    sampson_squared,
    scale_motion,
    transform_points,
)

QUARTER_TURN = [[0.0, 0, 1, 2], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]  # 2 to the right, looking along +x
INTRINSICS = torch.tensor([[100.0, 0, 39.5], [0, 100, 29.5], [0, 0, 1]], dtype=torch.float64)


def random_cameras(num_frames: int, generator: torch.Generator) -> torch.Tensor:
    """ "1 T 4 4", turned by up to about 20 degrees, a unit apart."""
    draw = torch.randn(2, num_frames, 3, generator=generator, dtype=torch.float64)
    skew = torch.zeros(num_frames, 3, 3, dtype=torch.float64)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        skew[:, i, j], skew[:, j, i] = -0.15 * draw[0, :, k], 0.15 * draw[0, :, k]
    return assemble_rigid(torch.linalg.matrix_exp(skew), 0.3 * draw[1])[None]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


def test_bilinear_values_by_hand():
    maps = torch.tensor([[0.0, 10], [20, 70]]).reshape(1, 1, 2, 2, 1)
    pixels = torch.tensor([[[[0.0, 0], [1, 0], [0.5, 0.5], [0.25, 1], [-3, 0], [9, 9]]]])
    assert sample_maps(maps, pixels).flatten().tolist() == [0, 10, 25, 32.5, 0, 70]


def test_every_frame_is_sampled_in_its_own_map():
    maps = torch.arange(6.0).reshape(1, 6, 1, 1, 1).expand(1, 6, 3, 4, 2).reshape(2, 3, 3, 4, 2)
    assert sample_maps(maps, torch.ones(2, 3, 5, 2))[..., 0].tolist() == [[[0] * 5, [1] * 5, [2] * 5], [[3] * 5, [4] * 5, [5] * 5]]


def test_an_image_ends_half_a_pixel_beyond_the_last_centre():
    pixels = torch.tensor([[-0.5, 0], [-0.6, 0], [3.5, 2.5], [3.6, 0], [0, 2.6]])
    assert in_image(pixels, (3, 4)).tolist() == [True, False, True, False, False]


def test_a_static_point_stands_still_in_the_anchor_camera():
    cameras = torch.stack([torch.eye(4), torch.tensor(QUARTER_TURN)])[None]
    seen = torch.tensor([[[[2.0, 0, 5]], [[-5.0, 0, 0]]]])  # the world point (2, 0, 5) in each camera, by hand
    for anchor in (0, 1):
        moved = transform_points(motion_to_anchor(cameras, anchor), seen)
        torch.testing.assert_close(moved, seen[:, anchor, None].expand_as(moved))


def test_an_inverse_undoes(generator):
    cameras = random_cameras(4, generator)
    torch.testing.assert_close(invert_rigid(cameras) @ cameras, torch.eye(4, dtype=torch.float64).expand(1, 4, 4, 4))


def test_the_anchor_itself_is_a_constant(generator):
    cameras = random_cameras(3, generator).requires_grad_()
    motion = motion_to_anchor(cameras, 1)
    assert torch.equal(motion[0, 1], torch.eye(4, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(motion[0, 1].sum(), cameras)
    assert not gradient.any()


def test_no_product_of_poses_loses_precision_under_autocast(generator):
    cameras, points = random_cameras(3, generator).float(), torch.randn(1, 3, 7, 3, generator=generator)
    exact = transform_points(motion_to_anchor(cameras, 0), points)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(transform_points(motion_to_anchor(cameras, 0), points), exact)


def test_scaling_moves_cameras_apart_and_turns_none(generator):
    cameras = random_cameras(3, generator).expand(2, -1, -1, -1)
    scaled = scale_motion(cameras, torch.tensor([1.0, 3], dtype=torch.float64))
    assert torch.equal(scaled[0], cameras[0])
    torch.testing.assert_close(scaled[1, :, :3, 3], 3 * cameras[1, :, :3, 3])
    assert torch.equal(scaled[1, :, :3, :3], cameras[1, :, :3, :3])


@pytest.mark.parametrize("degrees", [0.0, 0.2, 90.0, 180.0])
def test_angles_of_known_turns(degrees):
    angle = math.radians(degrees)
    turned = torch.eye(3, dtype=torch.float64)
    turned[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    turned.requires_grad_()
    found = rotation_angle(torch.eye(3, dtype=torch.float64), turned)
    assert abs(found.item() - angle) < 1.5e-3 if degrees in (0.0, 180.0) else abs(found.item() - angle) < 1e-9
    (gradient,) = torch.autograd.grad(found, turned)
    assert gradient.isfinite().all()


def test_projections_of_static_points_obey_the_epipolar_geometry(generator):
    cameras = random_cameras(4, generator)
    world = torch.randn(1, 1, 20, 3, generator=generator, dtype=torch.float64) + torch.tensor([0, 0, 6.0])
    seen = transform_points(invert_rigid(cameras), world)
    pixels = (seen @ INTRINSICS.mT)[..., :2] / seen[..., 2:]
    fundamental = fundamental_matrices(cameras, INTRINSICS.expand(1, 4, 3, 3), 2)
    before = pixels[:, 2, None].expand_as(pixels)
    assert sampson_squared(fundamental, before, pixels).max() < 1e-15
    assert not fundamental[0, 2].any()
    moved = pixels + torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert (sampson_squared(fundamental, before, moved)[0, [0, 1, 3]] > 0.01).any()


def test_sampson_distance_of_a_sideways_camera_by_hand():
    """Epipolar lines are rows: two pixels across the rows are 2 / sqrt(2) from a common row, along them 0."""
    cameras = torch.eye(4).repeat(1, 2, 1, 1)
    cameras[0, 1, 0, 3] = 1
    fundamental = fundamental_matrices(cameras, torch.eye(3).expand(1, 2, 3, 3), 0)
    before = torch.tensor([[[[5.0, 7], [5, 7]]]])
    after = torch.tensor([[[[5.0, 9], [1, 7]]]])
    torch.testing.assert_close(sampson_squared(fundamental[:, 1:], before, after).flatten(), torch.tensor([2.0, 0]))


def test_a_turning_camera_takes_pixels_along(generator):
    cameras = random_cameras(3, generator)
    cameras[..., :3, 3] = 0
    world = torch.tensor([[[[0.3, -0.2, 5], [-0.4, 0.1, 2]]]], dtype=torch.float64)
    seen = transform_points(invert_rigid(cameras), world)
    pixels = (seen @ INTRINSICS.mT)[..., :2] / seen[..., 2:]
    torch.testing.assert_close(rotate_pixels(cameras, INTRINSICS.expand(1, 3, 3, 3), pixels[:, 1], 1), pixels)


def test_the_focal_length_of_a_point_map(generator):
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    depth = 1 + 4 * torch.rand(60, 80, generator=generator)
    point_map = torch.stack([(x - 39.5) / 100 * depth, (y - 29.5) / 100 * depth, depth], dim=-1)
    torch.testing.assert_close(point_map_intrinsics(point_map[None, None])[0, 0], INTRINSICS.float())
    behind = -point_map[None, None]
    assert point_map_intrinsics(behind)[0, 0, 0, 0].item() == 80


def test_a_mean_over_nothing_is_zero_and_has_no_gradient():
    values = torch.full((1, 3), float("nan"), requires_grad=True)
    mean = masked_mean(values, torch.zeros(1, 3, dtype=torch.bool))
    assert mean.item() == 0
    assert not torch.autograd.grad(mean.sum(), values)[0].any()

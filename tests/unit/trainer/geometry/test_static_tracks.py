"""Depth at tracks, points in space, and the mask of what moves: values by hand."""

import pytest
import torch

from trainer.geometry.static_tracks import lift_tracks, sample_depth, static_by_mask


def test_depth_on_a_slanted_plane_is_exact_between_pixels():
    x, y = torch.meshgrid(torch.arange(20.0), torch.arange(10.0), indexing="xy")
    depth = (1 / (0.1 + 0.002 * x + 0.001 * y))[None]
    pixels = torch.tensor([[[3.25, 4.5], [0.0, 0.0], [18.9, 8.1]]])
    expected = 1 / (0.1 + 0.002 * pixels[..., 0] + 0.001 * pixels[..., 1])
    torch.testing.assert_close(sample_depth(depth, pixels), expected.double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        ((1.0, 2.0), 5.0),
        ((3.5, 2.0), 0.0),  # between the surfaces at 5 and 8
        ((6.5, 2.0), 8.0),
        ((6.5, 4.5), 0.0),  # beside the unknown pixel
        ((-0.4, 0.0), 5.0),  # on the outermost half pixel
        ((-0.6, 0.0), 0.0),
        ((9.6, 0.0), 0.0),
    ],
)
def test_no_depth_outside_the_image_across_an_edge_or_beside_the_unknown(pixel, expected):
    depth = torch.full((1, 6, 10), 5.0)
    depth[..., 4:] = 8
    depth[0, 5, 7] = 0
    assert float(sample_depth(depth, torch.tensor([[pixel]]))) == pytest.approx(expected)


def test_tracks_are_lifted_through_each_frame_s_camera():
    intrinsics = torch.tensor([[[10.0, 0, 4], [0, 20, 3], [0, 0, 1]], [[20.0, 0, 4], [0, 20, 3], [0, 0, 1]]])
    pixels, depth = torch.tensor([[[9.0, 3.0]], [[9.0, 5.0]]]), torch.tensor([[2.0], [4.0]])
    tracks = lift_tracks(pixels, torch.tensor([[True], [True]]), depth, intrinsics, torch.ones(1))
    torch.testing.assert_close(tracks.points, torch.tensor([[[1.0, 0.0, 2.0]], [[1.0, 0.4, 4.0]]], dtype=torch.float64))
    hidden = lift_tracks(pixels, torch.tensor([[False], [True]]), depth * 0, intrinsics, torch.ones(1))
    assert (hidden.seen.tolist(), hidden.lifted.tolist()) == ([[False], [True]], [[False], [False]])


def test_a_track_is_static_if_it_is_never_seen_on_a_moving_pixel():
    moving = torch.zeros(2, 4, 6, dtype=torch.bool)
    moving[1, :, 3:] = True
    pixels = torch.tensor([[[1.0, 1.0], [2.0, 1.0], [4.0, 1.0], [1.0, 1.0]], [[2.4, 1.0], [2.6, 1.0], [4.0, 1.0], [1.0, 1.0]]])
    visibility = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert static_by_mask(moving, pixels, visibility).tolist() == [True, False, True, False]

"""What the golden vectors do not pin."""

import math

import pytest
import torch

from networks import build_model
from networks.layers.blocks import Block, rotary_angles, rotate
from networks.pi3.geometry import camera_to_world, decode_points
from networks.trajvg.correlation import build_pyramid, sample_bilinear, sample_nearest
from networks.trajvg.track_head import frame_boxes
from networks.trajvg.trajvg import clean_patches, reference_patches
from pipeline.errors import DataError


def images(num_frames: int = 2, size: tuple[int, int] = (56, 56)) -> torch.Tensor:
    return torch.rand(1, num_frames, 3, *size, generator=torch.Generator().manual_seed(2))


QUERIES = torch.tensor([[[10.0, 20.0], [30.5, 5.25], [54.0, 55.0]]])


def test_norms_have_the_published_epsilons(tiny_config):
    model = build_model("trajvg", tiny_config)
    found = {(name.split(".")[0], name.split(".")[-1], module.eps) for name, module in model.named_modules() if hasattr(module, "eps")}
    small = {(part, eps) for part, name, eps in found if name in ("norm1", "norm2", "norm") and part in ("encoder", "decoder")}
    assert small == {("encoder", 1e-6), ("decoder", 1e-6)}
    assert {eps for _, name, eps in found if name in ("q_norm", "k_norm")} == {1e-5}
    assert {eps for part, _, eps in found if part in ("track_decoder", "track_head", "point_head", "conf_head")} == {1e-5}
    assert {eps for part, _, eps in found if part in ("point_decoder", "conf_decoder", "camera_decoder")} == {1e-6}


def test_a_blocks_norm_at_the_scale_of_its_epsilon():
    block = Block(4, 1)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        block.norm1.weight.fill_(1.0)
    x = torch.tensor([[[1e-3, -1e-3, 1e-3, -1e-3]]])
    torch.testing.assert_close(block.norm1(x), x / math.sqrt(2e-6))  # variance 1e-6 and epsilon 1e-6


def test_trajvg_clamps_depth_and_pi3_does_not(tiny_config):
    bias = {"trajvg": "point_head.output_block.1.2.bias", "pi3": "point_head.proj.bias"}
    depths = {}
    for name, entry in bias.items():
        model = build_model(name, tiny_config)
        with torch.no_grad():
            model.get_parameter(entry)[-196:] = 17.0
        depths[name] = model(images()).local_points[..., 2].max()
    torch.testing.assert_close(depths["trajvg"], torch.tensor(math.exp(15.0)))
    assert depths["pi3"] > math.exp(16.0)


def test_points_by_hand():
    points = decode_points(torch.tensor([2.0, -1.0]), torch.tensor([math.log(3.0)]))
    torch.testing.assert_close(points, torch.tensor([6.0, -3.0, 3.0]))
    pose = torch.tensor([[0.0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]])  # a quarter turn about z, x to y
    torch.testing.assert_close(camera_to_world(points.view(1, 1, 1, 3), pose.view(1, 1, 4, 4)), torch.tensor([[[[13.0, 26, 33]]]]))


def test_rotated_products_depend_on_the_difference_of_positions():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 16, dtype=torch.float64, generator=generator)

    def product(one: list[int], other: list[int]) -> torch.Tensor:
        angles = [rotary_angles(torch.tensor([position]), head_size=16, frequency=100.0).double() for position in (one, other)]
        return (rotate(q, angles[0]) * rotate(k, angles[1])).sum()

    torch.testing.assert_close(product([3, 5], [4, 9]), product([10, 1], [11, 5]), atol=1e-5, rtol=0)
    assert abs(product([3, 5], [4, 9]) - product([3, 5], [9, 4])) > 1e-2


def test_the_position_table_is_untouched_where_it_fits(tiny_config):
    encoder = build_model("pi3", tiny_config).encoder
    assert encoder.positions(4, 4) is encoder.pos_embed
    with torch.no_grad():
        encoder.pos_embed[:, 1:] = 0.25
    torch.testing.assert_close(encoder.positions(3, 7)[:, 1:], torch.full((1, 21, 16), 0.25))


def test_layouts_of_patches_by_hand():
    tokens = torch.arange(6).view(1, 3, 2)  # 3 tokens, one of them a register, of 2 channels
    assert clean_patches(tokens, 1).tolist() == [[[2, 3], [4, 5]]]
    assert reference_patches(tokens, 1).tolist() == [[[1, 2], [4, 5]]]  # rows of three: 0 1 2, 3 4 5; their first is dropped


def test_the_clean_layout_is_another_model(small_config, trajvg, io, output):
    clean = build_model("trajvg", {**small_config, "track_decoder": {**small_config["track_decoder"], "token_layout": "clean"}})
    clean.load_state_dict(trajvg.state_dict())
    with torch.no_grad():
        found = clean(io["imgs"], io["query_points"])
    assert torch.equal(found.points, output.points)
    assert float((found.traj3d_world[-1] - output.traj3d_world[-1]).abs().max()) == pytest.approx(6e-3, abs=2e-3)


def test_sampling_by_hand():
    maps = torch.arange(12.0).view(1, 1, 3, 4)  # value 4y + x
    pixels = torch.tensor([[[1.0, 2.0], [0.4, 0.25], [-3.0, 9.0], [2.6, 1.2]]])
    torch.testing.assert_close(sample_bilinear(maps, pixels)[0, :, 0], torch.tensor([9.0, 1.4, 8.0, 7.4]))
    assert sample_nearest(maps, pixels)[0, :, 0].tolist() == [9, 0, 8, 7]


def test_boxes_by_hand():
    points = torch.tensor([[[[1.0, 0, 5], [3, 0, 5]]]])  # sample deviation of 1 and 3: the root of 2
    boxes = frame_boxes(points)
    third = 1 / (3 * math.sqrt(2))
    torch.testing.assert_close(boxes.normalise(points)[0, 0, :, 0], torch.tensor([-third, third]))
    torch.testing.assert_close(boxes.denormalise(boxes.normalise(points)), points)
    assert boxes.normalise(points).isfinite().all()


def test_pyramids_take_the_later_point_and_the_mean_feature():
    values = torch.arange(20.0).view(1, 1, 4, 5)
    points, features = values.expand(1, 3, 4, 5), values
    fine, coarse = build_pyramid(points, features, num_levels=2, num_neighbours=4)
    assert (fine.size, coarse.size) == ((4, 5), (2, 2))
    assert coarse.points[0, :, 0].tolist() == [6, 8, 16, 18]
    assert coarse.features[0, :, 0].tolist() == [3, 5, 13, 15]
    torch.testing.assert_close(coarse.relief[0, :, 3].std(), torch.tensor(1.0))


@pytest.mark.parametrize("name", ["pi3", "pi3x", "trajvg"])
def test_bfloat16_keeps_geometry_in_float32(name, tiny_config):
    model = build_model(name, tiny_config)
    with torch.no_grad():
        exact = model(images(), QUERIES)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = model(images(), QUERIES)
    for field in ("points", "local_points", "conf", "camera_poses"):
        assert getattr(rounded, field).dtype == torch.float32
    rotations = rounded.camera_poses[..., :3, :3]
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)
    world = camera_to_world(rounded.local_points, rounded.camera_poses)
    torch.testing.assert_close(rounded.points, world, atol=1e-6, rtol=0)
    assert 0 < float((rounded.points - exact.points).abs().max()) < 0.02
    if name == "trajvg":
        assert {tensor.dtype for tensor in (*rounded.traj3d_world, *rounded.traj3d_camera, rounded.visibility)} == {torch.float32}


def test_images_that_cannot_be(tiny_config):
    model = build_model("trajvg", tiny_config)
    with pytest.raises(DataError, match="images of 56 x 60 pixels: both sides must be multiples of 14"):
        model(images(size=(56, 60)), QUERIES)
    with pytest.raises(DataError, match=r"images are torch.uint8\[1, 2, 3, 56, 56\], expected floating"):
        model(images().byte(), QUERIES)
    with pytest.raises(DataError, match=r"too small for the tracker: of 7 x 7 feature cells the coarsest of 2 levels keeps 3 x 3"):
        build_model("trajvg", {**tiny_config, "track_head": {**tiny_config["track_head"], "k_neighbors": 10}})(
            images(size=(14, 14)), QUERIES
        )


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 2), (1, 3, 3)])
def test_queries_that_cannot_be(shape, tiny_config):
    with pytest.raises(DataError, match=r"expected floating \[1, N, 2\]"):
        build_model("trajvg", tiny_config)(images(), torch.zeros(shape))


def test_no_query_is_refused(tiny_config):
    with pytest.raises(DataError, match=r"hold no query; give one at least, or call geometry\(\)"):
        build_model("trajvg", tiny_config)(images(), torch.zeros(1, 0, 2))

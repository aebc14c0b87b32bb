import numpy as np
import pytest
import torch

from labelers.depth.maps import depth_of
from labelers.depth.preprocessing import parse_preprocessing
from pipeline.errors import ConfigError
from pipeline.labels.kinds.depth import encode_depth

IMAGENET = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.5]}


@pytest.mark.parametrize(
    ("table", "size", "expected"),
    [
        # of DPT's documentation, and of Depth Anything V2: 518 / 720 x 1280 = 920.9 becomes 66 x 14
        ({"size": 384, "keep_aspect_ratio": True, "ensure_multiple_of": 32}, (480, 640), (384, 512)),
        ({"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}, (720, 1280), (518, 924)),
        ({"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}, (1280, 720), (924, 518)),
        ({"size": {"height": 384, "width": 384}}, (480, 640), (384, 384)),
        ({"size_divisor": 32}, (100, 70), (96, 64)),  # GLPN's
        ({"do_resize": False}, (33, 47), (33, 47)),
    ],
)
def test_frames_are_seen_at_the_size_that_the_checkpoint_asks_for(table, size, expected):
    assert parse_preprocessing(IMAGENET | table, "p.json").fitted_size(*size) == expected


def test_values_are_scaled_per_channel():
    frames = np.full((1, 2, 2, 3), (0, 255, 51), np.uint8)
    images = parse_preprocessing(IMAGENET | {"do_resize": False}, "p.json")(frames, torch.device("cpu"))
    torch.testing.assert_close(images[0, :, 0, 0], torch.tensor([-1.0, 2.0, -0.6]))


def test_a_resize_keeps_a_plain_picture_and_its_values_within_bytes():
    frames = np.zeros((1, 40, 40, 3), np.uint8)
    frames[:, :, 20:] = 255
    table = {"size": 80, "do_rescale": False, "do_normalize": False, "resample": 3}
    images = parse_preprocessing(table, "p.json")(frames, torch.device("cpu"))
    assert images.shape == (1, 3, 80, 80)
    assert (images.min(), images.max()) == (0, 255)  # bicubic overshoots, bytes do not
    assert (images[..., :30] == 0).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"size": {"shortest_edge": 384}}, "p.json: size is .*shortest_edge"),
        ({"size": 384, "resample": 1}, "resample is 1, expected 2"),
        ({"size": 384, "ensure_multiple_of": 0}, "multiples of 0"),
        ({"size": 384, "image_std": [1, 1]}, "image_std is"),
        ({"size": 384, "rescale_factor": "x"}, "rescale_factor is 'x', expected a number"),
    ],
)
def test_what_cannot_be_done_here_names_file_and_entry(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_preprocessing(IMAGENET | table, "p.json")


def test_depth_is_known_where_the_prediction_is_a_positive_number_that_a_label_set_can_hold():
    given = torch.tensor([[[2.0, 0.0, -1.0, torch.nan, torch.inf, 2e9, 1.9e6, 1e-12, 1e-6]]])  # one value near 0 costs itself alone
    assert depth_of(given, "metric").tolist() == [[[2, 0, 0, 0, 0, 0, pytest.approx(1.9e6), 0, pytest.approx(1e-6)]]]
    encode_depth(depth_of(torch.tensor([[[1e-9, 1e9]]]), "relative"))
    inverse = torch.tensor([[[2.0, 0.0, -1.0, torch.nan, 1e-6, 0.5]]])
    assert depth_of(inverse, "inverse").tolist() == [[[0.5, 0, 0, 0, 0, 2]]]

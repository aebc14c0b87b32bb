"""The goldens would notice the mistakes that are easily made: each altered variant is run and seen to fail its file."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from networks.cotracker3 import correlation, refinement
from networks.cotracker3.correlation import blend


def swapped_axes(block, fraction):
    return blend(block, fraction).transpose(-3, -2)


def swapped_inputs(block, fraction):
    """x for y all through: the block is read as if y came first."""
    return blend(block.transpose(-3, -2), fraction)


def nearest(block, fraction):
    return blend(block, fraction.round())


def truncated_time(embedding, length):
    return embedding[:, :length]


def aligned_time(embedding, length):
    return F.interpolate(embedding.mT, length, mode="linear", align_corners=True).mT


def channel_major(motion):
    scales = 2.0 ** torch.arange(10)
    angles = (motion.unsqueeze(-1) * scales).flatten(-2)
    return torch.cat([motion, angles.sin(), (angles + 0.5 * np.pi).sin()], -1)


interpolate = F.interpolate


def half_pixel_maps(x, size, *, mode, align_corners):
    return interpolate(x, size, mode=mode, align_corners=align_corners and mode != "bilinear")


ALTERED = {
    "a target patch with its axes swapped": ([(correlation, "blend")], swapped_axes),
    "the fraction of the other axis": ([(correlation, "blend")], swapped_inputs),
    "nearest instead of bilinear samples": ([(correlation, "blend")], nearest),
    "a time embedding cut instead of stretched": ([(refinement, "resample_time")], truncated_time),
    "a time embedding stretched end to end": ([(refinement, "resample_time")], aligned_time),
    "a motion encoding by channel": ([(refinement, "encode_motion")], channel_major),
    "feature maps resized by half-pixel centres": ([(F, "interpolate")], half_pixel_maps),
}


def furthest(model, expected):
    video = torch.from_numpy(expected["video_u8"])[None].float()
    output = model(video, torch.from_numpy(expected["queries"]), iters=2)
    return np.abs(output.tracks.numpy() - expected["tracks_all"][1]).max()


def test_unaltered_it_meets_the_golden(golden, filled_model):
    assert furthest(filled_model("offline"), golden("offline_T8")) < 5e-4


@pytest.mark.parametrize("name", ALTERED)
def test_the_golden_catches(name, golden, filled_model, monkeypatch):
    places, altered = ALTERED[name]
    for module, attribute in places:
        monkeypatch.setattr(module, attribute, altered)
    assert furthest(filled_model("offline"), golden("offline_T8")) > 0.1, f"{name}: nobody would notice"

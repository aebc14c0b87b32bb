from dataclasses import fields, replace

import pytest

from pipeline.audit.clips.video import VideoMeasures
from pipeline.audit.comparing.comparison import MOTION_BINS, motion_bin

ZERO = VideoMeasures(**{each.name: () if each.name == "cut_frames" else 0 for each in fields(VideoMeasures)})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pan_width_share": 0.001}, "still"),
        ({"pan_width_share": 0.002}, "slow pan"),
        ({"pan_width_share": 0.05}, "fast pan"),
        ({"pan_width_share": 0.05, "roll_deg": 0.5}, "zoom or roll"),
        ({"zoom_percent": 1.5}, "zoom or roll"),
        ({"pan_width_share": float("nan"), "roll_deg": float("nan"), "zoom_percent": float("nan")}, "motion unknown"),
    ],
)
def test_a_clip_is_in_the_bin_of_its_camera(change, expected):
    assert motion_bin(replace(ZERO, **change)) == expected
    assert expected in MOTION_BINS


def test_a_clip_without_a_screen_says_so():
    assert motion_bin(None) == "not screened"

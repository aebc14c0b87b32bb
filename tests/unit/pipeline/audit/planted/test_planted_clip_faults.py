"""What is wrong with a whole clip is named by the screen, from its picture alone."""

import cv2
import numpy as np
import pytest

from pipeline.audit.clips import measure_video
from pipeline.audit.verdict import ScreenRules, screen_verdict
from pipeline.records import FramesInMemory


def dark(rgb):
    return (rgb * 0.08).astype(np.uint8)


def blank(rgb):
    rgb[10:20] = 128
    return rgb


def letterboxed(rgb):
    rgb[:, :18] = rgb[:, -18:] = 6
    return rgb


def static(rgb):
    return np.repeat(rgb[:1], len(rgb), axis=0)


def doubled(rgb):
    rgb[1::2] = rgb[::2]
    return rgb


def cut(rgb):
    rgb[16:] = 255 - rgb[16:, ::-1, ::-1]
    return rgb


def credits(rgb):
    """Light lines of text that roll up over black."""
    sheet = np.zeros((rgb.shape[1] + 2 * len(rgb) + 40, rgb.shape[2], 3), np.uint8)
    for line, y in enumerate(range(20, len(sheet), 30)):
        cv2.putText(sheet, f"NAME {line * 37 % 91}", (24, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (230, 230, 230), 1)
    return np.stack([sheet[2 * t : 2 * t + rgb.shape[1]] for t in range(len(rgb))])


@pytest.mark.parametrize(
    ("fault", "reason", "decision"),
    [
        (dark, "dark", "drop"),
        (blank, "blank", "drop"),
        (letterboxed, "letterbox", "quarantine"),
        (static, "static", "drop"),
        (doubled, "duplicate_frames", "quarantine"),
        (cut, "cut_inside", "drop"),
        (credits, "credits", "drop"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_of_the_picture_is_named(filmed, fault, reason, decision):
    verdict = screen_verdict(measure_video(FramesInMemory(fault(filmed.rgb.copy()))), ScreenRules())
    assert reason in verdict.reasons
    assert verdict.decision == decision


def test_the_clip_itself_passes(filmed):
    assert screen_verdict(measure_video(FramesInMemory(filmed.rgb)), ScreenRules()).reasons == ()

"""Frames that inference chooses: by options, by the checkpoint's training, or as published; and read no further than asked."""

import cv2
import numpy as np
import pytest

from jobs.inferring.frames import FrameChoice, FrameRequest, InputFrames, find_input
from networks.weights import TrainingShape
from pipeline.errors import ConfigError
from trainer.families import InferenceDefaults

TRAINED = TrainingShape(frames=(2, 24), pixels=(3200, 4800), aspect=(1.0, 1.6), strides=(3, 5))
PUBLISHED = InferenceDefaults(pixels=255_000, video_stride=10)


def images(folder, count: int, size: tuple[int, int] = (40, 60)):
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.png"), np.full((*size, 3), number, np.uint8))
    return folder


def choice(**changes: int | None) -> FrameChoice:
    return FrameChoice(**{"stride": 1, "at_once": 4, "overlap": 2, "at_most": None, "pixel_budget": 2400, **changes})


def test_what_is_not_asked_for_is_what_training_had():
    found = FrameRequest().resolve(TRAINED, PUBLISHED, is_video=True)
    assert found == choice(stride=3, at_once=24, overlap=6, pixel_budget=4800)
    assert FrameRequest().resolve(TRAINED, PUBLISHED, is_video=False).stride == 1


def test_a_file_that_does_not_say_is_used_as_its_family_publishes():
    found = FrameRequest().resolve(None, PUBLISHED, is_video=True)
    assert found == choice(stride=10, at_once=64, overlap=16, pixel_budget=255_000)


def test_options_come_before_both():
    asked = FrameRequest(stride=2, at_once=5, overlap=3, at_most=9, pixel_budget=1000)
    assert asked.resolve(TRAINED, PUBLISHED, is_video=True) == choice(stride=2, at_once=5, overlap=3, at_most=9, pixel_budget=1000)
    assert FrameRequest(at_once=2).resolve(TRAINED, PUBLISHED, is_video=True).overlap == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"stride": 0}, "--stride is 0"), ({"at_most": 0}, "--limit is 0"), ({"overlap": 4}, "1 to 3"), ({"at_once": 1}, "--limit 1")],
)
def test_values_that_do_not_fit_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        choice(**wrong)


def test_frames_are_read_as_they_are_asked_for_and_no_further(tmp_path):
    given = InputFrames(source=str(images(tmp_path, 9)), choice=choice(stride=2, at_most=3), patch=10, is_video=find_input(str(tmp_path)))
    assert given.expected() == 3
    walk = iter(given)
    assert next(walk)[0, 0].tolist() == [0, 0, 0]
    assert given.times_s == [0]
    assert [int(frame[0, 0, 0]) for frame in walk] == [2, 4]
    assert (given.times_s, given.all_taken, given.stored_size) == ([0, 2, 4], False, (40, 60))


def test_all_of_an_input_that_ends_is_taken(tmp_path):
    given = InputFrames(source=str(images(tmp_path, 3)), choice=choice(at_most=3), patch=10, is_video=False)
    assert [frame.shape for frame in given] == [(40, 60, 3)] * 3
    assert given.all_taken

import re

import pytest

from pipeline.datasets.files import FrameFile
from pipeline.datasets.recordings import RecordingSource
from pipeline.datasets.source import SequenceInfo, clip_frames_of, min_frames_of
from pipeline.errors import ConfigError, DataError


class Numbers(RecordingSource):
    name = "numbers"
    terms = "none"
    images = re.compile(r"/([a-z]+)/(\d+)\.png$")
    layout = "a/0.png"

    def _sequence(self, tree, folder):
        return SequenceInfo(name=folder.parts[0], num_frames=folder.num_frames, extra={"folder": folder.relative})

    def read(self, sequence, first_frame, num_frames):
        frames = [FrameFile(number=number, uri=str(number)) for number in range(10)]
        return [frame.number for frame in self._chosen(frames, sequence, first_frame, num_frames)]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a").mkdir()
    for number in range(10):
        (tmp_path / f"a/{number}.png").touch()
    return str(tmp_path)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({}, list(range(10))),
        ({"every": 4}, [0, 4, 8]),
        ({"first": 3}, [0, 1, 2]),
        ({"every": 3, "first": 2}, [0, 3]),
        ({"every": 20}, [0]),
    ],
)
def test_the_frames_that_are_asked_for_are_taken(root, options, taken):
    source = Numbers(root, **options)
    (sequence,) = source.sequences()
    assert sequence.num_frames == len(taken)
    assert source.read(sequence, 0, len(taken)) == taken
    assert source.read(sequence, len(taken) - 1, 1) == taken[-1:]


def test_what_is_taken_tells_conversions_apart(root):
    assert Numbers(root).sequences() != Numbers(root, first=10).sequences()
    assert Numbers(root, every=4).sequences() != Numbers(root, every=4, first=3).sequences()
    with pytest.raises(DataError, match="10 frames found, 5 when the dataset was listed"):
        Numbers(root).read(Numbers(root, every=2).sequences()[0], 0, 5)


def test_a_recording_is_one_clip_of_however_few_frames_unless_asked_otherwise(root):
    assert (clip_frames_of(Numbers(root), None), min_frames_of(Numbers(root), None)) == (0, 1)
    assert (clip_frames_of(Numbers(root), 24), min_frames_of(Numbers(root), 3)) == (24, 3)


@pytest.mark.parametrize(("option", "value"), [("every", 0), ("every", 1.5), ("first", -1), ("first", True)])
def test_numbers_that_cannot_be_are_errors(root, option, value):
    with pytest.raises(ConfigError, match=f"--option {option} is {value}, expected a whole number"):
        Numbers(root, **{option: value})

import pickle

import pytest

from pipeline.datasets.source import SequenceInfo, TruthSource
from pipeline.errors import ConfigError, DataError
from pipeline.synthetic.source import SyntheticSource


def test_each_clip_is_a_sequence_and_more_clips_only_add_to_them() -> None:
    few, many = (SyntheticSource("wild", count, 3, num_frames=9).sequences() for count in (2, 4))
    assert [sequence.name for sequence in few] == ["seed3/000000", "seed3/000001"]
    assert [sequence.num_frames for sequence in few] == [9, 9]
    assert list(many[:2]) == list(few)
    assert SyntheticSource("wild", 2, 3, num_frames=9, num_tracks=7).sequences()[0] != few[0]  # other content, another identity


def test_a_pickled_source_reads_the_same_clip() -> None:
    source = SyntheticSource("studio", 2, 1, num_frames=3, size=(32, 48), num_tracks=12)
    again: TruthSource = pickle.loads(pickle.dumps(source))
    sequence = again.sequences()[1]
    assert (again.name, again.license, again.keep_images) == ("synthetic-studio", "CC0 (synthetic, rendered by trackmill)", False)
    clip, other = source.read(sequence, 0, 3), again.read(sequence, 0, 3)
    assert clip.frames.tobytes() == other.frames.tobytes()
    assert clip.frames.shape == (3, 32, 48, 3)
    assert clip.tracks2d is not None
    assert clip.tracks2d.shape == (3, 12, 2)
    assert clip.meta["clip"] == 1


def test_a_window_outside_the_clip_is_refused() -> None:
    source = SyntheticSource("studio", 1, 1, num_frames=4, size=(32, 48))
    with pytest.raises(DataError, match="seed1/000000: frames 2..5 of 4"):
        source.read(source.sequences()[0], 2, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("garden", 1, 0), "unknown domain 'garden'; known are studio, wild"),
        (("studio", 0, 0), "0 clips of seed 0"),
        (("studio", 1, -1), "seed -1"),
        (("studio", 1, 0, 1), "1 frames"),
        (("studio", 1, 0, 8, (33, 48)), "48x33: expected even sides"),
        (("studio", 1, 0, 8, (32, 48), -1), "-1 tracks"),
    ],
)
def test_options_that_make_no_clip_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SyntheticSource(*arguments)  # type: ignore[arg-type]


def test_a_sequence_of_another_number_is_another_clip() -> None:
    source = SyntheticSource("studio", 1, 1, num_frames=2, size=(16, 24), num_tracks=0)
    first, second = (source.read(SequenceInfo(name="x", num_frames=2, extra={"number": number}), 0, 2).frames for number in (0, 1))
    assert (first != second).any()

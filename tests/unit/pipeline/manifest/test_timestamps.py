from datetime import timedelta

import pytest

from pipeline.errors import DataError
from pipeline.manifest.timestamps import parse_frame, parse_list, parse_spans, parse_time


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (12.25, 12.25),
        ("7", 7.0),
        ("07.5", 7.5),
        (" 90.125 ", 90.125),
        (".5", 0.5),
        ("1e2", 100.0),
        ("02:03", 123.0),
        ("75:30", 4530.0),
        ("2:3.5", 123.5),
        ("0:00:16.300", 16.3),
        ("1:02:03.457", 3723.457),
        ("100:00:00", 360000.0),
        ("00:00:00.", 0.0),
        (timedelta(minutes=1, milliseconds=500), 60.5),
    ],
)
def test_times_are_read_by_the_grammar(value, seconds):
    assert parse_time(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "-1",
        -0.5,
        float("nan"),
        float("inf"),
        "nan",
        "1:60",
        "1:60:00",
        "1:2:3:4",
        "1:5:",
        "1_0",
        True,
        None,
        [1],
        "0x10",
        10**400,
    ]
    + ["9" * 400, "9" * 5000 + ":00:00"],
)
def test_what_is_no_time_is_refused_with_the_grammar(value):
    with pytest.raises(DataError, match="is not a time; write seconds, MM:SS.fff or H:MM:SS.fff"):
        parse_time(value)


@pytest.mark.parametrize(("value", "frame"), [(0, 0), ("0085528", 85528), (12.0, 12), (" 7.0 ", 7)])
def test_frame_numbers_may_be_padded_or_floats_of_whole_value(value, frame):
    assert parse_frame(value) == frame
    assert isinstance(parse_frame(value), int)


@pytest.mark.parametrize("value", ["1.5", 1.5, -1, "-1", "x", float("nan"), True, "9" * 5000])
def test_what_is_no_frame_number_is_refused(value):
    with pytest.raises(DataError, match="not a frame number"):
        parse_frame(value)


@pytest.mark.parametrize(
    ("cell", "spans"),
    [
        ("[['0:00:16.300', '0:00:32.566'], ['0:01:00', '0:01:09.5']]", [["0:00:16.300", "0:00:32.566"], ["0:01:00", "0:01:09.5"]]),
        ('[["1.5", 2]]', [["1.5", 2]]),
        ("['0:00:12.000', '0:00:20.500']", [["0:00:12.000", "0:00:20.500"]]),
        ("[12, 20.5]", [[12, 20.5]]),
        ("[(1, 2), (3, 4)]", [(1, 2), (3, 4)]),
        ([[1.0, 2.0]], [[1.0, 2.0]]),
        ([1.0, 2.0], [[1.0, 2.0]]),
    ],
)
def test_spans_come_nested_or_flat_as_text_or_as_lists(cell, spans):
    assert parse_spans(cell) == spans


@pytest.mark.parametrize("cell", ["__import__('os').getcwd()", "[1,", "hello", "{'a': 1}", "3", 3, "[" * 100_000])
def test_what_is_no_list_is_refused_and_never_executed(cell):
    with pytest.raises(DataError, match="not a list"):
        parse_list(cell)


def test_an_empty_list_of_spans_is_refused():
    with pytest.raises(DataError, match="list of clips is empty"):
        parse_spans("[]")

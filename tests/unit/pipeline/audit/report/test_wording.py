"""Numbers as they are written, by hand."""

import pytest

from pipeline.audit.report.wording import counted, counted_share, duration, figure, large, percent, percentage, reason_remedy, size

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (0.5, "0.5"), (12.0, "12"), (1234.5, "1,234"), (0.0, "0"), (100.0, "100"), (-1.0, "-1"), (NAN, "–"), (4.0, "4")],
)
def test_figures(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0 %"), (1.0, "100 %"), (0.125, "12.5 %"), (0.003, "0.30 %"), (NAN, "–")])
def test_percentages(share: float, text: str) -> None:
    assert percentage(share) == text


def test_counts_and_shares() -> None:
    assert counted(1, "clip") == "1 clip"
    assert counted(1234, "clip") == "1,234 clips"
    assert counted_share(25, 200) == "25 (12.5 %)"
    assert percent(1, 0) == "–"


@pytest.mark.parametrize(("seconds", "text"), [(12.34, "12.3 s"), (270.0, "4.5 min"), (24_120.0, "6.7 h"), (NAN, "–")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes() -> None:
    assert [large(999), large(12_300_000), large(4_500_000_000)] == ["999", "12.3 million", "4.5 billion"]
    assert [size(12_300), size(4_500_000)] == ["12.3 kB", "4.5 MB"]


@pytest.mark.parametrize(
    ("queries", "text"),
    [
        (
            {"policy": "grid", "num_queries": 256, "num_query_frames": 1},
            "label again with --query-frames 4: these tracks begin in 1 frame of a clip",
        ),
        (
            {"policy": "sift", "num_queries": 64, "num_query_frames": 3},
            "label again with --query-frames 4: these tracks begin in 3 frames of a clip",
        ),
        ({"policy": "grid", "num_queries": 64, "num_query_frames": 4}, "label again with --queries 128: these clips have 64 tracks"),
        ({"policy": "truth", "num_queries": 64, "num_query_frames": 1}, ""),
        ({}, ""),
    ],
)
def test_low_coverage_names_the_option_that_the_labels_lacked(queries: dict[str, object], text: str) -> None:
    assert reason_remedy("low_coverage", queries) == text
    assert reason_remedy("dark", queries) == ""

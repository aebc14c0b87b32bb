"""Charts by hand: where bars, lines and dots stand."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.audit.calibrating.records import ReliabilityBin
from pipeline.audit.report.charts import cell_grid, decision_bar, histogram_chart, position, reliability_chart
from pipeline.audit.report.limits import Limit
from pipeline.audit.report.page import environment
from pipeline.audit.summing.records import Histogram
from pipeline.drawing.style import NUM_LEVELS, hexadecimal, levels, ramp

UNEVEN = (0.0, 1.0, 10.0, 100.0)


def histogram(*counts: int, edges: tuple[float, ...] = UNEVEN) -> Histogram:
    return Histogram(measure="fb_cycle", edges=edges, counts=counts, unknown=0)


def drawn(macro: str, chart: object) -> str:
    return str(getattr(environment().get_template("macros.html").module, macro)(chart))


@pytest.mark.parametrize(
    ("value", "place"), [(-1.0, 0.0), (0.0, 0.0), (0.5, 1 / 6), (1.0, 1 / 3), (5.5, 0.5), (100.0, 1.0), (1e6, 1.0), (55.0, 5 / 6)]
)
def test_a_value_lies_within_its_bin_however_wide(value: float, place: float) -> None:
    assert position(UNEVEN, value) == pytest.approx(place)


def test_heights_are_shares_and_empty_bins_have_no_bar() -> None:
    tree = ElementTree.fromstring(drawn("histogram", histogram_chart(histogram(30, 0, 10), title="There & back")))
    bars = [each for each in tree if each.get("class") == "bar"]
    heights = [float(bar.get("height", "nan")) for bar in bars]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert [bar[0].text for bar in bars] == ["below 1: 30 (75.0 %)", "from 10: 10 (25.0 %)"]
    assert "There & back" in tree.get("aria-label", "")


def test_limits_stand_at_their_values_with_their_words() -> None:
    chart = histogram_chart(histogram(1, 1, 1), limits=[Limit(1.0, "<here>"), Limit(100.0, "there")], title="Error")
    tree = ElementTree.fromstring(drawn("histogram", chart))
    lines = [float(each.get("x1", "nan")) for each in tree if each.tag == "line" and each.get("class") == "limit"]
    assert lines == [pytest.approx(8 + 304 / 3, abs=0.01), 312.0]
    words = [each for each in tree if each.tag == "text" and each.get("class") == "limit"]
    assert [(each.text, each.get("text-anchor")) for each in words] == [("1 · <here>", "start"), ("100 · there", "end")]


def test_the_baseline_is_drawn_only_over_equal_bins() -> None:
    same, other = histogram(3, 2, 1), histogram(3, 2, edges=(0.0, 1.0, 2.0))
    charts = [histogram_chart(histogram(1, 2, 3), baseline=baseline, title="Error") for baseline in (same, other)]
    assert ['class="outline"' in drawn("histogram", chart) for chart in charts] == [True, False]


def test_reliability_lies_on_the_diagonal_where_it_is_right() -> None:
    bins = [ReliabilityBin(predicted=share, observed=share, num_tracks=100) for share in (0.0, 0.5, 1.0)]
    empty = ReliabilityBin(predicted=float("nan"), observed=float("nan"), num_tracks=0)
    dots = [each for each in ElementTree.fromstring(drawn("reliability", reliability_chart([*bins, empty]))) if each.tag == "circle"]
    places = np.array([[float(dot.get("cx", "nan")), float(dot.get("cy", "nan"))] for dot in dots])
    np.testing.assert_allclose(places.sum(axis=1), places.sum(axis=1)[0])
    assert places[0, 0] < places[1, 0] < places[2, 0]
    assert places[0, 1] > places[2, 1]


def test_decisions_share_one_bar() -> None:
    tree = ElementTree.fromstring(drawn("stack", decision_bar({"keep": 3, "error": 1, "drop": 0})))
    assert [(each.get("class"), float(each.get("x", "nan"))) for each in tree] == [("fill-keep", 0.0), ("fill-error", 750.0)]
    assert "drop 0 (0 %)" in tree.get("aria-label", "")


def test_a_small_bar_stays_within_its_track() -> None:
    assert [re.findall(r'width="([\d.]+)"', drawn("meter", share))[1] for share in (-1, 0.25, 7)] == ["0.0", "25.0", "100.0"]


def test_cells_take_the_colour_of_their_value() -> None:
    tree = ElementTree.fromstring(drawn("cells", cell_grid({(0, 1): 1.0, (1, 0): 0.0}, (2, 2), ["#000000", "#ffffff"])))
    squares = [(each.get("x"), each.get("y"), each.get("fill")) for each in tree if each.tag == "rect"]
    assert squares == [("21", "1", "#ffffff"), ("1", "21", "#000000")]


def test_the_ramp_grows_lighter_evenly_and_parts_bad_from_good() -> None:
    colours = ramp().astype(float)
    assert colours.shape == (NUM_LEVELS, 3)
    luma = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) > 0).all()
    assert colours[0, 0] > colours[0, 2] + 100  # orange ...
    assert colours[-1, 2] > colours[-1, 0] + 100  # ... to cyan: the axis that red-green blindness keeps


def test_levels_take_what_is_unknown_as_the_lowest() -> None:
    np.testing.assert_array_equal(levels(np.array([0.0, 1.0, np.nan, -3.0, 9.0])), [0, 31, 0, 0, 31])
    assert hexadecimal(np.array([255, 0, 10], np.uint8)) == "#ff000a"

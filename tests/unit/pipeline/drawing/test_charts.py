import numpy as np
import pytest

from pipeline.drawing.charts import COLOURS, Axes, Series, bar_chart, chart_sheet, line_chart
from pipeline.errors import ConfigError

AXES = Axes(title="t", x_range=(0.0, 10.0), y_range=(0.0, 100.0))


def where(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(y, x) of the pixels of exactly this colour."""
    return np.argwhere((image == colour).all(axis=2))


def test_a_bar_is_as_high_as_its_value():
    low, high = (where(bar_chart(AXES, ["AJ"], [Series(name="a", y=np.array([value]))]), COLOURS[0]) for value in (25.0, 50.0))
    assert np.ptp(high[:, 0]) == pytest.approx(2 * np.ptp(low[:, 0]), abs=2)
    assert high[:, 0].max() == low[:, 0].max(), "both stand on the axis"


def test_a_bar_that_is_undefined_is_not_drawn():
    image = bar_chart(AXES, ["AJ", "OA"], [Series(name="a", y=np.array([np.nan, 50.0]))])
    assert where(image, COLOURS[0])[:, 1].min() > image.shape[1] / 2


def test_bars_of_two_sets_stand_side_by_side():
    image = bar_chart(AXES, ["AJ"], [Series(name=name, y=np.array([50.0])) for name in "ab"])
    assert where(image, COLOURS[0])[:, 1].max() < where(image, COLOURS[1])[:, 1].min()


def test_a_line_rises_to_the_right_and_breaks_at_nan():
    x = np.arange(11.0)
    whole = where(line_chart(AXES, [Series(name="a", x=x, y=10 * x)]), COLOURS[0])
    left, right = whole[whole[:, 1].argmin()], whole[whole[:, 1].argmax()]
    assert left[0] > right[0], "rows count downwards"
    broken = where(line_chart(AXES, [Series(name="a", x=x, y=np.where((x > 3) & (x < 7), np.nan, 10 * x))]), COLOURS[0])
    assert set(broken[:, 1]) < set(whole[:, 1])


def test_values_beyond_the_range_stay_within_the_chart():
    image = line_chart(AXES, [Series(name="a", x=np.array([0.0, 5, 10]), y=np.array([50.0, 900, -900]))])
    rows = where(image, COLOURS[0])[:, 0]
    assert rows.min() >= 42
    assert rows.max() <= image.shape[0] - 46


def test_a_sheet_holds_its_charts_side_by_side_and_is_the_same_every_time():
    chart = bar_chart(AXES, ["AJ"], [Series(name="a", y=np.array([50.0]))])
    sheet = chart_sheet([chart, chart], title="two", names=["a"])
    assert sheet.shape[1] > 2 * chart.shape[1]
    np.testing.assert_array_equal(sheet[-12 - chart.shape[0] : -12, 12 : 12 + chart.shape[1]], chart)
    np.testing.assert_array_equal(sheet, chart_sheet([chart, chart], title="two", names=["a"]))


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (0.0, float("nan"))])
def test_an_empty_range_is_refused(bounds):
    with pytest.raises(ConfigError, match=r"chart t: y_range is .*, the lower one first"):
        Axes(title="t", y_range=bounds)


def test_a_chart_too_small_for_its_margins_is_refused():
    with pytest.raises(ConfigError, match="is too small"):
        Axes(title="t", size=(50, 300))

"""The result as one picture: the values of each set, their distribution over the clips, the error after the query."""

from collections.abc import Sequence

import numpy as np

from jobs.console import counted
from jobs.evaluating.job import Evaluation, SetEvaluation
from jobs.evaluating.measures import mean_measures
from pipeline.drawing.charts import Axes, Series, bar_chart, chart_sheet, line_chart

_BARS = {"average_jaccard": "AJ", "average_pts_within_thresh": "delta_avg", "occlusion_accuracy": "OA"}


def evaluation_sheet(evaluation: Evaluation) -> np.ndarray:
    """uint8 "H W 3", RGB. At least one clip must have been measured."""
    title = f"labels against truth: {counted(len(evaluation.keys), 'clip')}, TAP-Vid ({evaluation.config.query_mode}), 256 x 256"
    charts = [_means(evaluation.sets), _distribution(evaluation.sets), _errors(evaluation.sets)]
    return chart_sheet(charts, title=title, names=[one.label_set.name for one in evaluation.sets])


def _means(sets: Sequence[SetEvaluation]) -> np.ndarray:
    series = []
    for one in sets:
        means = mean_measures(one.clips)
        series.append(Series(name=one.label_set.name, y=100 * np.array([means[name].value for name in _BARS])))
    return bar_chart(Axes(title="mean over clips", y_label="%", y_range=(0.0, 100.0)), tuple(_BARS.values()), series)


def _distribution(sets: Sequence[SetEvaluation]) -> np.ndarray:
    """AJ of the clips in rising order, each set in its own."""
    series = []
    for one in sets:
        values = np.sort([clip.values.average_jaccard for clip in one.clips])  # NaN comes last
        values = 100 * values[np.isfinite(values)]
        series.append(Series(name=one.label_set.name, x=100 * (np.arange(len(values)) + 0.5) / max(len(values), 1), y=values))
    axes = Axes(
        title="AJ of the clips, in rising order", x_label="share of the clips, %", y_label="%", x_range=(0.0, 100.0), y_range=(0.0, 100.0)
    )
    return line_chart(axes, series)


def _errors(sets: Sequence[SetEvaluation]) -> np.ndarray:
    curves = [one.errors.quantile_by_age(0.5) for one in sets]
    highest = max((float(np.nanmax(curve)) for curve in curves if np.isfinite(curve).any()), default=1.0)
    series = [Series(name=one.label_set.name, x=np.arange(len(curve)), y=curve) for one, curve in zip(sets, curves, strict=True)]
    longest = max(2, *(len(curve) for curve in curves))
    axes = Axes(
        title="median error of visible points",
        x_label="frames from the query",
        y_label="px",
        x_range=(0.0, longest - 1.0),
        y_range=(0.0, 1.05 * highest),
    )
    return line_chart(axes, series)

"""Shares as one bar, or as a bar each, in SVG."""

from collections.abc import Mapping, Sequence

from pipeline.audit.report.markup import Markup, element
from pipeline.audit.report.wording import counted_share
from pipeline.audit.verdict import DECISIONS

_WIDTH, _GAP = 1000.0, 4.0


def decision_bar(decisions: Mapping[str, int]) -> Markup:
    """All clips as one bar, in the colours of their decisions, from good to bad."""
    total = sum(decisions.values())
    shapes, left = [], 0.0
    for decision in DECISIONS:
        width = _WIDTH * decisions.get(decision, 0) / max(total, 1)
        if width:
            hint = element("title", f"{decision}: {counted_share(decisions[decision], total)}")
            drawn = {"x": round(left, 2), "width": round(max(width - _GAP, 2), 2), "y": 0, "height": 22}
            shapes.append(element("rect", hint, class_=f"fill-{decision}", **drawn))
        left += width
    words = ", ".join(f"{decision} {counted_share(decisions.get(decision, 0), total)}" for decision in DECISIONS)
    return element("svg", *shapes, viewBox="0 0 1000 22", preserveAspectRatio="none", role="img", aria_label=words, class_="stack")


def share_bar(share: float) -> Markup:
    """One small bar, for a table's cell; the number stands beside it."""
    filled = round(100 * min(max(share, 0.0), 1.0), 2)
    shapes = [element("rect", class_="track", width=100, height=8), element("rect", class_="bar", width=filled, height=8)]
    return element("svg", *shapes, viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true", class_="meter")


def cell_grid(values: Mapping[tuple[int, int], float], size: tuple[int, int], colours: Sequence[str]) -> Markup:
    """Values in [0, 1] of the cells (row, column) of the picture, in the colours of a ramp; a cell without a value stays empty."""
    rows, columns = size
    shapes = []
    for (row, column), value in sorted(values.items()):
        colour = colours[round(min(max(value, 0.0), 1.0) * (len(colours) - 1))]
        hint = element("title", f"row {row + 1}, column {column + 1}: mean weight {value:.2f}")
        shapes.append(element("rect", hint, x=20 * column + 1, y=20 * row + 1, width=18, height=18, fill=colour))
        words = {"x": 20 * column + 10, "y": 20 * row + 13, "text_anchor": "middle", "class_": "cell"}
        shapes.append(element("text", f"{100 * value:.0f}", **words))
    box = f"0 0 {20 * columns} {20 * rows}"
    label = f"Mean weight over the picture, {rows} by {columns} cells"
    return element("svg", *shapes, viewBox=box, role="img", aria_label=label, class_="chart cells")

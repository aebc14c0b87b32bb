"""Who keeps the weight: a filter that only trusts easy tracks makes a poor training set."""

import re
from collections.abc import Sequence

from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.share_bars import cell_grid, share_bar
from pipeline.audit.summing.records import WeightMass
from pipeline.drawing.ramp import hexadecimal, ramp

_CELL = re.compile(r"cell: (\d+),(\d+)")


def weight_groups(masses: Sequence[WeightMass]) -> Markup:
    """Mean weight of each group of tracks as a table, and over the picture as a map."""
    cells = {(int(match[1]), int(match[2])): mass for mass in masses if (match := _CELL.fullmatch(mass.group))}
    others = [mass for mass in masses if not _CELL.fullmatch(mass.group)]
    known = {place: mass.mean for place, mass in cells.items() if mass.num_tracks}
    parts = [_table(others) if others else None]
    if known:
        size = (max(row for row, _ in cells) + 1, max(column for _, column in cells) + 1)
        drawing = cell_grid(known, size, [hexadecimal(colour) for colour in ramp()])
        caption = "Mean weight in percent by where in the picture the query lies, from orange, 0, to cyan, 100."
        parts.append(element("figure", drawing, element("p", caption, class_="note"), class_="panel"))
    words = (
        "What the clips that are kept give of their tracks' weight, by kind of track. If fast or dynamic tracks lose most of theirs, what"
        " is left to train on is easy: still scenes and slow motion."
    )
    return joined([element("p", words), element("div", *parts, class_="columns")])


def _table(masses: Sequence[WeightMass]) -> Markup:
    head = element("tr", *(element("th", name, scope="col") for name in ("group of tracks", "tracks", "mean weight")))
    rows = [
        element(
            "tr",
            element("td", mass.group),
            element("td", f"{mass.num_tracks:,}", class_="number"),
            element(
                "td", f"{mass.mean:.2f}" if mass.num_tracks else "–", share_bar(mass.mean) if mass.num_tracks else None, class_="number"
            ),
        )
        for mass in masses
    ]
    return element("table", element("thead", head), element("tbody", *rows))

"""Whether the labels drifted away from those of the audit that was accepted last."""

import math
from collections.abc import Sequence

from pipeline.audit.comparing.records import ALL_CLIPS, DriftRow
from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.measure_texts import measure_text
from pipeline.audit.report.wording import figure

_NONE = "No baseline was given, so nothing is said about drift. Give the audit that was accepted last with --baseline."
_MEANING = (
    "PSI, the population stability index, compares two histograms: below 0.1 is no drift, above 0.25 fails. KS is the largest distance"
    " of the two cumulative distributions; Wasserstein says how far values moved on average, in the measure's own unit."
)
_SIGNS = {"fine": "✓", "warn": "▲", "fail": "✕"}
_ORDER = ("fail", "warn", "fine")


def drift_panel(lines: Sequence[DriftRow] | None) -> Markup:
    """A table of measures, the most drifted first."""
    if lines is None:
        return element("p", _NONE, class_="callout")
    ordered = sorted(lines, key=lambda line: (_place(line.level), -line.psi if math.isfinite(line.psi) else math.inf, line.measure))
    head = element("tr", *(element("th", name, scope="col") for name in ("measure", "", "PSI", "KS", "Wasserstein", "remark")))
    rows = [_row(line) for line in ordered]
    table = element("table", element("thead", head), element("tbody", *rows))
    region = element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Drift of each measure")
    return joined([region, element("p", _MEANING, class_="note")])


def _place(level: str) -> int:
    return _ORDER.index(level) if level in _ORDER else len(_ORDER)


def _row(line: DriftRow) -> Markup:
    sign = element("span", f"{_SIGNS.get(line.level, '')} {line.level}", class_=f"level {line.level}")
    moved = f"{figure(line.wasserstein)} {line.unit}".rstrip()
    group = None if line.group == ALL_CLIPS else f", {line.group}"
    return element(
        "tr",
        element("td", measure_text(line.measure).title, " ", element("code", line.measure), group),
        element("td", sign),
        *(element("td", value, class_="number") for value in (figure(line.psi), figure(line.ks), moved)),
        element("td", line.note),
    )

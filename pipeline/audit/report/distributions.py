"""How the measures are distributed: a histogram each, with the rules' lines and the last accepted audit in outline."""

from collections.abc import Sequence

from pipeline.audit.report.histogram_chart import histogram_chart
from pipeline.audit.report.limits import limits_of
from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.measure_texts import measure_text
from pipeline.audit.report.wording import counted_share
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, Histogram


def distributions(audit: AuditSet, summary: AuditSummary, baseline: AuditSummary | None) -> Markup:
    """Histograms of the measures of tracks, then of clips."""
    outline = " The dashed outline is the baseline." if baseline is not None else ""
    reading = (
        "Each bar is a bin of the measure, its height the share of what is known; bins are drawn equally wide whatever their bounds, and"
        f" values beyond the ends lie in the outer bins. A vertical line is a limit of the rules.{outline} Point at a bar for its numbers."
    )
    return joined(
        [
            element("p", reading, class_="note"),
            element("h3", "Tracks"),
            _grid(audit, summary.track_histograms, baseline.track_histograms if baseline else (), "tracks"),
            element("h3", "Clips"),
            _grid(audit, summary.clip_histograms, baseline.clip_histograms if baseline else (), "clips"),
        ]
    )


def _grid(audit: AuditSet, histograms: Sequence[Histogram], before: Sequence[Histogram], noun: str) -> Markup:
    known = [each for each in histograms if sum(each.counts)]
    unknown = [each for each in histograms if not sum(each.counts)]
    baselines = {each.measure: each for each in before}
    panels = [_panel(audit, each, baselines.get(each.measure), noun) for each in known]
    missing = ", ".join(f"{measure_text(each.measure).title} ({each.measure})" for each in unknown)
    note = element("p", f"Not known in this audit: {missing}.", class_="note") if unknown else None
    return joined([element("div", *panels, class_="charts"), note])


def _panel(audit: AuditSet, histogram: Histogram, baseline: Histogram | None, noun: str) -> Markup:
    text = measure_text(histogram.measure)
    limits = limits_of(histogram.measure, audit)
    total = sum(histogram.counts) + histogram.unknown
    unit = f" Unit: {text.unit}." if text.unit else ""
    unknown = f" Unknown for {counted_share(histogram.unknown, total)} of the {noun}." if histogram.unknown else ""
    changed = " The baseline has other bins and is not drawn." if baseline is not None and baseline.edges != histogram.edges else ""
    head = element("h4", text.title, " ", element("code", histogram.measure))
    words = element("p", text.sentence, unit, unknown, changed)
    return element("figure", head, histogram_chart(histogram, limits=limits, baseline=baseline, title=text.title), words, class_="panel")

"""What the weights rest on: a calibration with its test on clips that it was not fitted on, or none."""

import math
from collections.abc import Sequence

from pipeline.audit.calibrating.records import CalibrationRecord, DomainReport, GateReport, MeasureReport, SuiteHalf
from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.measure_texts import measure_text
from pipeline.audit.report.reliability_chart import reliability_chart
from pipeline.audit.report.wording import counted, figure, percentage

_MISSING = (
    "There is no calibration for this labeler. Weights come from fixed formulas on how far a track misses its query on the way back, how"
    " much it moves unlike its neighbours, and how much its patch resembles the query's. They order tracks sensibly, but a weight of 0.8"
    " does not mean that 80 % of such tracks are good. Fit a calibration on clips with known truth, with jobs/audit.py calibrate."
)
_AUROC = (
    "AUROC is the chance that a bad track scores worse than a good one: 0.5 is guessing, 1 never errs. Each measure stands alone here;"
    " tracks of which it is unknown are left out of its row."
)


def calibration_card(calibration: CalibrationRecord | None) -> Markup:
    """What the calibration rests on and how it did; what its absence means where there is none."""
    if calibration is None:
        return element("p", _MISSING, class_="callout")
    held_out, fit = calibration.held_out, calibration.fit
    facts = [
        ("a bad track is", calibration.bad_definition),
        ("holds for", _holds_for(calibration)),
        ("fitted on", _suite(fit)),
        ("tested on", _suite(held_out.suite)),
        ("AUROC", f"{figure(held_out.auroc)} over all tracks, {figure(held_out.auroc_mean)} on average over clips"),
        ("error of its probabilities", f"expected calibration error {figure(held_out.ece)}, Brier score {figure(held_out.brier)}"),
    ]
    listed = element("dl", *(joined([element("dt", name), element("dd", value)]) for name, value in facts), class_="facts")
    plot = element(
        "figure",
        element("h4", "Reliability"),
        reliability_chart(held_out.reliability),
        element("p", "Tracks of about the same predicted probability. On the dashed diagonal the calibration is right.", class_="note"),
        class_="panel",
    )
    numbers = joined([_gates(held_out.gates), _domains(held_out.domains)])
    return joined([listed, element("div", plot, element("div", numbers), class_="columns"), _measures(held_out.measures)])


def _holds_for(calibration: CalibrationRecord) -> str:
    options = ", ".join(f"{name}={value}" for name, value in sorted(calibration.options.items()))
    checkpoint = calibration.checkpoint_sha256
    return f"{calibration.labeler}{f', checkpoint {checkpoint[:12]}…' if checkpoint else ''}{f', options {options}' if options else ''}"


def _suite(half: SuiteHalf) -> str:
    counts = f"{counted(half.num_clips, 'clip')}, {counted(half.num_tracks, 'track')}, {percentage(half.bad_share)} of them bad"
    return f"{', '.join(half.datasets)}: {counts}"


def _gates(gates: Sequence[GateReport]) -> Markup:
    rows = [
        [
            f"below {figure(gate.threshold)}",
            percentage(gate.kept_share),
            percentage(gate.bad_before),
            percentage(gate.bad_after),
        ]
        for gate in gates
    ]
    return _table("If only tracks with a low probability were kept", ("probability of being bad", "kept", "bad before", "bad after"), rows)


def _domains(domains: Sequence[DomainReport]) -> Markup:
    rows = [[each.dataset, f"{each.num_clips:,}", figure(each.auroc), figure(each.ece), percentage(each.bad_share)] for each in domains]
    return _table("Each dataset of the test by itself", ("dataset", "clips", "AUROC", "calibration error", "bad"), rows)


def _measures(measures: Sequence[MeasureReport]) -> Markup:
    rows = [
        [
            joined([measure_text(each.measure).title, " ", element("code", each.measure)]),
            f"{figure(each.auroc_mean)} ± {figure(each.auroc_sd, 2)}",
            *(figure(getattr(each, name)) for name in ("auroc_min", "average_precision", "precision_at_90_recall")),
            percentage(each.coverage),
        ]
        for each in sorted(measures, key=lambda each: _rank(each.auroc_mean))
    ]
    columns = ("measure alone", "AUROC, mean ± sd over clips", "least", "average precision", "precision at 90 % recall", "known for")
    return joined([_table("How well each measure tells bad tracks", columns, rows), element("p", _AUROC, class_="note")])


def _rank(auroc: float) -> float:
    return -auroc if math.isfinite(auroc) else math.inf


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    head = element("tr", *(element("th", name, scope="col") for name in columns))
    body = [element("tr", *(element("td", cell, class_="number" if place else None) for place, cell in enumerate(row))) for row in rows]
    table = element("table", element("thead", head), element("tbody", *body))
    return joined([element("h4", title), element("div", table, class_="scroll", tabindex="0", role="region", aria_label=title)])

"""The top of the page: may one train on this, and what was judged."""

from collections.abc import Mapping

from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.reason_texts import reason_sentence
from pipeline.audit.report.share_bars import decision_bar, share_bar
from pipeline.audit.report.wording import counted, counted_share, duration, figure, large, percent
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, GateCheck, GateResult
from pipeline.audit.verdict import DECISIONS, REASONS

MEANING = {
    "keep": "trained on",
    "quarantine": "set aside, not trained on unless asked for",
    "drop": "not trained on",
    "error": "could not be judged, not trained on",
}
_CYCLES = {
    "stored": "as the labels hold it",
    "retrack": "followed back again for this audit",
    "none": "not measured",
}


def banner(gate: GateResult) -> Markup:
    """The verdict in one line, and every rule with what was found: broken ones first."""
    warned = [check for check in gate.checks if not check.holds and not check.blocks]
    state = "pass" if gate.passes else "fail"
    words = "Passes: these labels may be trained on" if gate.passes else "Fails: do not train on these labels yet"
    if gate.passes and warned:
        words += f", with {counted(len(warned), 'warning')}"
    ordered = sorted(gate.checks, key=lambda check: (check.holds, not check.blocks))
    rules = element("ul", *(_check(check) for check in ordered), class_="checks")
    mark = element("span", "✓" if gate.passes else "✕", class_="mark", aria_hidden="true")
    return element("section", element("h2", mark, words), rules, class_=f"banner {state}", id="verdict")


def totals(summary: AuditSummary) -> Markup:
    """Sums over all clips."""
    clips, mean = summary.num_clips, summary.weight_sum / summary.num_tracks if summary.num_tracks else float("nan")
    tiles = [
        _tile(f"{clips:,}", "clips"),
        _tile(duration(summary.video_s), f"of video; {duration(summary.video_s_kept)} kept"),
        _tile(large(summary.num_tracks), "tracks"),
        _tile(large(summary.num_visible), "visible points"),
        _tile(figure(mean), "mean weight of a track, 0 to 1"),
        _tile(percent(summary.trusted_tracks, summary.num_tracks), f"of the tracks ({summary.trusted_tracks:,}) weigh 0.5 or more"),
    ]
    legend = [
        element("li", element("span", class_=f"swatch fill-{name}"), element("strong", name), f" {_clips(summary, name)}: {MEANING[name]}")
        for name in DECISIONS
    ]
    return joined(
        [
            element("div", *tiles, class_="tiles"),
            element("h3", "What became of the clips"),
            decision_bar(summary.decisions),
            element("ul", *legend, class_="legend"),
            element("div", _reasons(summary), _licenses(summary), class_="columns"),
        ]
    )


def provenance(audit: AuditSet) -> Markup:
    """Which labels were judged, and by which rules."""
    calibration = audit.calibration and audit.calibration.get("calibration", {}).get("version")
    screen = "not screened" if audit.screen is None else str(audit.screen.get("rules", {}).get("version", "by rules without a version"))
    rows: list[tuple[str, object]] = [
        ("label set", element("code", audit.label_set)),
        ("made by", audit.labeler),
        ("checkpoint of the labeler", element("code", audit.checkpoint_sha256) if audit.checkpoint_sha256 else "none: it has none"),
        ("measures of tracks", f"version {audit.measures}"),
        ("weights of tracks", f"version {audit.weights}"),
        ("calibration", f"version {calibration}" if calibration else "none"),
        ("rules for clips", f"version {audit.rules.get('version', 'unknown')}"),
        ("screen of the picture", screen),
        ("there and back", _CYCLES[audit.cycle]),
        ("second opinion", element("code", audit.second) if audit.second else "none"),
    ]
    return _definitions(rows)


def _definitions(rows: list[tuple[str, object]]) -> Markup:
    return element("dl", *(joined([element("dt", name), element("dd", value)]) for name, value in rows), class_="facts")


def _check(check: GateCheck) -> Markup:
    state, mark, word = ("held", "✓", "holds") if check.holds else ("broken", "✕", "broken") if check.blocks else ("warned", "▲", "warning")
    sign = element("span", mark, class_="mark", aria_hidden="true")
    return element(
        "li", sign, element("span", word, class_="word"), element("span", check.rule, "; found: ", element("b", check.value)), class_=state
    )


def _tile(value: str, words: str) -> Markup:
    return element("div", element("b", value), element("span", words), class_="tile")


def _clips(summary: AuditSummary, decision: str) -> str:
    return counted_share(summary.decisions.get(decision, 0), summary.num_clips)


def _reasons(summary: AuditSummary) -> Markup:
    if not summary.reasons:
        return element("div", element("h3", "Reasons"), element("p", "No clip has a reason against it, nor a remark."))
    ordered = sorted(summary.reasons.items(), key=lambda item: (-DECISIONS.index(REASONS.get(item[0], "keep")), -item[1], item[0]))
    rows = [
        element(
            "tr",
            element("td", reason_sentence(reason), element("br"), element("code", reason)),
            element("td", chip(REASONS.get(reason, "keep"))),
            element("td", counted_share(count, summary.num_clips), share_bar(count / max(summary.num_clips, 1)), class_="number"),
        )
        for reason, count in ordered
    ]
    head = element("tr", *(element("th", name, scope="col") for name in ("reason", "leads to", "clips")))
    note = element("p", "A clip counts once for each of its reasons. Reasons that lead to keep are remarks.", class_="note")
    return element("div", element("h3", "Reasons"), element("table", element("thead", head), element("tbody", *rows)), note)


def _licenses(summary: AuditSummary) -> Markup:
    return _counts("Licences of the sources", "licence", summary.licenses, summary.num_clips)


def _counts(title: str, column: str, counts: Mapping[str, int], total: int) -> Markup:
    rows = [
        element("tr", element("td", name), element("td", counted_share(count, total), class_="number"))
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    head = element("tr", element("th", column, scope="col"), element("th", "clips", scope="col"))
    return element("div", element("h3", title), element("table", element("thead", head), element("tbody", *rows)))


def chip(decision: str) -> Markup:
    """A decision as a small coloured word."""
    return element("span", decision, class_=f"chip {decision}")

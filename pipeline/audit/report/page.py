"""The report: one HTML file that holds all it needs and may load nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from pipeline.audit.comparing.records import DriftRow
from pipeline.audit.report.calibration_card import calibration_card
from pipeline.audit.report.clip_section import clip_groups
from pipeline.audit.report.distributions import distributions
from pipeline.audit.report.drift_panel import drift_panel
from pipeline.audit.report.glossary import glossary
from pipeline.audit.report.limits import calibration_of
from pipeline.audit.report.markup import Markup, data_block, element
from pipeline.audit.report.overview import banner, provenance, totals
from pipeline.audit.report.shard_table import shard_table
from pipeline.audit.report.weight_groups import weight_groups
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, GateResult
from pipeline.drawing.ramp import ramp
from pipeline.drawing.style import palette
from pipeline.shards.dataset import code_version

MAX_BYTES = 25_000_000


def build_report(
    root: str,
    audit: AuditSet,
    summary: AuditSummary,
    gate: GateResult,
    *,
    drift: Sequence[DriftRow] | None = None,
    baseline: AuditSummary | None = None,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """The page, UTF-8. Equal inputs give equal bytes; wherever the dataset lies.

    Args:
        root: the dataset, from which the clips' pictures and tracks are read, one clip at a time.
        drift: how each measure moved since the baseline; None where there is none.
        baseline: the summary of the audit that was accepted last, drawn in outline.
        max_bytes: of the page; where they do not suffice, later clips show stills instead of motion.
    """
    sections = [
        ("labels", "What was judged", element("div", _introduction(audit), provenance(audit), class_="columns")),
        ("totals", "Totals", totals(summary)),
        ("groups", "Who keeps the weight", weight_groups(summary.masses)),
        ("measures", "Measures", distributions(audit, summary, baseline)),
        ("calibration", "Calibration", calibration_card(None if audit.calibration is None else calibration_of(audit.calibration))),
        ("shards", "Shards", shard_table(summary.shards)),
    ]
    last = [("drift", "Drift", drift_panel(drift)), ("glossary", "Glossary and limits", glossary())]
    empty = _page(audit, gate, [*sections, ("clips", "Clips", Markup()), *last])
    clips = clip_groups(root, audit, summary, max_bytes - len(empty))
    return _page(audit, gate, [*sections, ("clips", "Clips", clips), *last])


def _introduction(audit: AuditSet) -> Markup:
    before = "Each clip of this dataset carries points that a program followed through its frames: the label set "
    after = (
        f", made by {audit.labeler}. This audit judged every track and every clip without knowing the truth: from how tracks move,"
        " whether they agree with their neighbours and with the scene, and whether what is under them stays alike. It says which clips to"
        " train on, and how much each track should count. Nothing was deleted or changed."
    )
    return element("p", before, element("code", audit.label_set), after)


def _page(audit: AuditSet, gate: GateResult, sections: Sequence[tuple[str, str, Markup]]) -> bytes:
    title = f"Audit of {audit.label_set}" if audit.name == audit.label_set else f"Audit {audit.name} of {audit.label_set}"
    links = [element("a", name, href=f"#{place}") for place, name, _ in sections]
    header = element(
        "header",
        element("div", element("h1", title), element("p", f"Label audit by trackmill {code_version()}", class_="note")),
        element("button", "Dark or light", type="button", id="theme", title="Switch between dark and light"),
        class_="top",
    )
    body = [element("section", element("h2", name), content, id=place) for place, name, content in sections]
    colours = {"ramp": ramp().tolist(), "rainbow": palette().tolist()}
    main = element("main", banner(gate), element("nav", *links, aria_label="Sections"), *body, id="top")
    noscript = element(
        "noscript", element("p", "Clips are drawn, and tables sorted, by a script in this page, which is off.", class_="callout")
    )
    content = element("body", header, noscript, main, data_block(colours, id="colours"), _script(_asset("page.js")))
    return f"<!doctype html>\n{element('html', _head(title), content, lang='en')}\n".encode()


def _head(title: str) -> Markup:
    """Nothing may be loaded or run but what is in the page: the policy names the digests of its own style and script."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = [
        "default-src 'none'",
        "img-src data:",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content="; ".join(policy)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        Markup(f"<style>{style}</style>"),
    )


def _script(text: str) -> Markup:
    return Markup(f"<script>{text}</script>")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

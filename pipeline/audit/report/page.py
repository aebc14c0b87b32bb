"""The report: one HTML file that holds all it needs and may load nothing else."""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.audit.comparing.records import DriftRow
from pipeline.audit.report import wording
from pipeline.audit.report.charts import filled_width
from pipeline.audit.report.clip_card import ClipCard
from pipeline.audit.report.clip_section import Player, clips_with_cards, clips_without_cards, provenance_of
from pipeline.audit.report.commands import baseline_command, calibrate_command, stream_code
from pipeline.audit.report.measures import calibration_card, distributions, drift_lines
from pipeline.audit.report.overview import shard_table, sort_key, totals, verdict_banner, weight_groups
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, GateResult
from pipeline.drawing.style import palette, ramp
from pipeline.shards.dataset import code_version

MAX_BYTES = 25_000_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_FILTERS = (
    wording.counted,
    wording.counted_share,
    wording.duration,
    wording.figure,
    wording.grouped,
    wording.large,
    wording.measure_text,
    wording.percent,
    wording.percentage,
    filled_width,
    sort_key,
)


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
    """The page, UTF-8. Equal inputs give equal bytes.

    Args:
        root: the dataset, from which the clips' pictures and tracks are read, one clip at a time; the page's commands name it.
        drift: how each measure moved since the baseline; None where there is none.
        baseline: the summary of the audit that was accepted last, drawn in outline.
        max_bytes: of the page, if its words take less; where they do not suffice, later clips show stills instead of motion.
    """
    templates = environment()
    card = templates.get_template("card.html")

    def write_card(shown: ClipCard, player: Player | None) -> str:
        return card.render(card=shown, player=player)

    sections = {
        "root": root,
        "verdict": verdict_banner(gate, use=stream_code(root, audit)),
        "audit": audit,
        "totals": totals(summary, provenance_of(root, audit)),
        "groups": weight_groups(summary.masses),
        "measures": distributions(audit, summary, baseline),
        "calibration": calibration_card(audit),
        "calibrate_command": calibrate_command(audit),
        "shards": shard_table(summary.shards),
        "drift": None if drift is None else drift_lines(drift),
        "baseline_command": baseline_command(root, audit),
    }
    style, script = _asset("page.css"), _asset("page.js")
    frame = {
        "title": f"Audit of {audit.label_set}" if audit.name == audit.label_set else f"Audit {audit.name} of {audit.label_set}",
        "version": code_version(),
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "colours": {"ramp": ramp().tolist(), "rainbow": palette().tolist()},
    }
    page = templates.get_template("page.html")
    clips = clips_without_cards(summary)
    budget = max_bytes - len(page.render(frame, **sections, clips=clips).encode())
    clips = clips_with_cards(root, audit, clips, budget, write_card)
    return page.render(frame, **sections, clips=clips).encode()


@cache
def environment() -> Environment:
    """The templates. Whatever they print is escaped, and a name that they do not know is an error."""
    templates = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {function.__name__: function for function in _FILTERS}
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": True, "allow_nan": False, "separators": (",", ":"), "sort_keys": True}
    return templates


def _printable(value: object) -> object:
    """Characters that no document may hold become U+FFFD; what is HTML already stays."""
    return value if hasattr(value, "__html__") else _CONTROL.sub("\ufffd", str(value))


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded or run but what is in the page: the digests are those of its own style and script."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

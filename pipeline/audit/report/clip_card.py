"""One clip: in motion with its tracks, its verdict with every reason, and where it lies."""

import math
from dataclasses import dataclass

from pipeline.audit.report.clip_material import ClipMaterial
from pipeline.audit.report.commands import audit_command, relabel_command, show_command
from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.overview import chip
from pipeline.audit.report.player import Player
from pipeline.audit.report.reason_texts import reason_evidence, reason_sentence
from pipeline.audit.report.wording import counted, duration, figure, size
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.records import LabelSet

_FORGOTTEN = "This clip is to be forgotten: nothing of it is shown."


@dataclass(frozen=True, kw_only=True, slots=True)
class CardContext:
    """What all cards of a page share."""

    audit: AuditSet
    labels: LabelSet | None  # None where their provenance cannot be read


def clip_card(material: ClipMaterial, player: Player | None, context: CardContext) -> Markup:
    """A card; without a player where there is nothing to play."""
    brief = material.brief
    head = element("header", chip(brief.verdict.decision), element("h4", element("code", brief.key)), class_="card-head")
    if material.forgotten:
        return element("article", head, element("p", _FORGOTTEN, class_="remark"), class_="card")
    remarks = [element("p", remark, class_="remark") for remark in material.remarks]
    facts = element("p", _facts(material), class_="note")
    body = [player.markup if player else None, *remarks, _reasons(material, context.audit), facts, _details(material, context)]
    return element("article", head, *body, class_="card")


def _facts(material: ClipMaterial) -> str:
    brief, record = material.brief, material.entry.record if material.entry else None
    facts = [f"shard {brief.shard:06d}"]
    if record is not None:
        facts.append(f"{counted(record.frames, 'frame')}, {duration(brief.video_s)} at {figure(record.fps)} per second")
        facts.append(f"{record.width} × {record.height}")
    facts.append(counted(brief.num_tracks, "track"))
    if math.isfinite(brief.mean_weight):
        facts.append(f"mean weight {brief.mean_weight:.2f}")
    if material.audit is not None and material.audit.measures is not None:
        facts.append(f"{material.audit.measures.usable_tracks:,} of them usable")
    return " · ".join(facts)


def _reasons(material: ClipMaterial, audit: AuditSet) -> Markup:
    error = material.audit.error if material.audit is not None else None
    lines = [_reason(reason, material, audit) for reason in material.brief.verdict.reasons]
    if error:
        lines.append(element("li", error))
    if not lines:
        lines.append(element("li", "No reason against it."))
    return element("ul", *lines, class_="reasons")


def _reason(reason: str, material: ClipMaterial, audit: AuditSet) -> Markup:
    evidence = reason_evidence(
        reason,
        measures=None if material.audit is None else material.audit.measures,
        rules=audit.rules,
        screen=None if material.screen is None else material.screen.measures,
        screen_rules=(audit.screen or {}).get("rules", {}),
    )
    found = element("span", f" {evidence[0].upper()}{evidence[1:]}.") if evidence else None
    return element("li", element("strong", reason_sentence(reason)), found, " ", element("code", reason))


def _details(material: ClipMaterial, context: CardContext) -> Markup:
    key, shard = material.brief.key, material.brief.shard
    rows: list[tuple[str, object]] = [("source", _source(material)), *_places(material)]
    listed = element("dl", *(joined([element("dt", name), element("dd", value)]) for name, value in rows), class_="facts")
    commands = [("see it larger", show_command(context.audit, key))]
    if context.labels is not None:
        commands.append(("label its shard again", relabel_command(context.audit, context.labels, shard)))
    commands.append(("audit its shard again", audit_command(context.audit, shard)))
    shown = [
        joined([element("p", words, class_="note"), element("pre", element("code", text, class_="command"))]) for words, text in commands
    ]
    return element("details", element("summary", "Where it lies, and commands"), listed, *shown)


def _source(material: ClipMaterial) -> object:
    uri = material.source_uri or (material.entry.source if material.entry else "unknown")
    shown = element("a", uri, href=uri, rel="noreferrer noopener") if uri.startswith(("https://", "http://")) else element("code", uri)
    record = material.entry.record if material.entry else None
    return shown if record is None else joined([shown, f", {record.start_s:.2f} s to {record.end_s:.2f} s"])


def _places(material: ClipMaterial) -> list[tuple[str, object]]:
    entry = material.entry
    if entry is None:
        return []
    rows: list[tuple[str, object]] = [("licence", entry.license or "unknown")]
    for member in entry.members[:1] if entry.images else [entry.video] if entry.record else []:
        where = f"byte {member.offset:,}, {size(member.length)}: "
        rows.append(("file", joined([element("code", entry.tar), f", {where}", element("code", f"{entry.sample_key}.{member.name}")])))
    if entry.record is not None:
        rows.append(("sha256", element("code", entry.record.sha256)))
    return rows

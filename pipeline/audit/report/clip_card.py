"""A card of the report: one clip with its verdict and every reason, where it lies, and the commands that make its parts again."""

import math
from dataclasses import dataclass

from pipeline.audit.report.clip_material import ClipMaterial
from pipeline.audit.report.commands import Command, clip_commands
from pipeline.audit.report.limits import reason_evidence
from pipeline.audit.report.wording import counted, duration, figure, reason_remedy, reason_sentence, size
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.records import LabelSet
from pipeline.shards.index import ClipEntry, is_video


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonLine:
    """One reason of a verdict; evidence and remedy are "" where nothing is known."""

    name: str
    sentence: str
    evidence: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFile:
    """The bytes of a clip, or of the first picture of a sequence."""

    tar: str
    where: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipCard:
    """Contents of a card; its pictures come apart. Of a clip that is to be forgotten, the key and the decision alone."""

    key: str
    decision: str
    forgotten: bool
    remarks: tuple[str, ...] = ()
    reasons: tuple[ReasonLine, ...] = ()
    error: str | None = None
    facts: tuple[str, ...] = ()
    source: str = ""
    linked: bool = False  # the source is an address of the web
    span: str = ""  # of the source, in seconds
    license: str | None = None  # None where the shard's index cannot be read
    file: ClipFile | None = None
    sha256: str | None = None
    commands: tuple[Command, ...] = ()


def clip_card(material: ClipMaterial, root: str, audit: AuditSet, labels: LabelSet | None) -> ClipCard:
    """The card of a clip.

    Args:
        labels: None where their provenance cannot be read.
    """
    brief, entry = material.brief, material.entry
    if material.forgotten:
        return ClipCard(key=brief.key, decision=brief.verdict.decision, forgotten=True)
    record = entry.record if entry else None
    source = material.source_uri or (entry.source if entry else "unknown")
    return ClipCard(
        key=brief.key,
        decision=brief.verdict.decision,
        forgotten=False,
        remarks=material.remarks,
        reasons=tuple(_reason_line(reason, material, audit, labels) for reason in brief.verdict.reasons),
        error=material.audit.error if material.audit is not None else None,
        facts=_facts(material),
        source=source,
        linked=source.startswith(("https://", "http://")),
        span=f"{record.start_s:.2f} s to {record.end_s:.2f} s" if record else "",
        license=(entry.license or "unknown") if entry else None,
        file=_file(entry) if entry else None,
        sha256=record.sha256 if record else None,
        commands=clip_commands(root, brief.key, brief.shard, audit=audit, labels=labels),
    )


def _facts(material: ClipMaterial) -> tuple[str, ...]:
    brief, record = material.brief, material.entry.record if material.entry else None
    facts = [f"shard {brief.shard:06d}"]
    if record is not None:
        facts.append(f"{counted(record.frames, 'frame')}, {duration(brief.video_s)} at {figure(record.fps)} fps")
        facts.append(f"{record.width} × {record.height}")
    usable = material.audit.measures.usable_tracks if material.audit is not None and material.audit.measures is not None else None
    facts.append(counted(brief.num_tracks, "track") + ("" if usable is None else f", {usable:,} of them usable"))
    if math.isfinite(brief.mean_weight):
        facts.append(f"mean weight {brief.mean_weight:.2f}")
    return tuple(facts)


def _reason_line(reason: str, material: ClipMaterial, audit: AuditSet, labels: LabelSet | None) -> ReasonLine:
    evidence = reason_evidence(
        reason,
        measures=None if material.audit is None else material.audit.measures,
        rules=audit.rules,
        screen=None if material.screen is None else material.screen.measures,
        screen_rules=(audit.screen or {}).get("rules", {}),
    )
    return ReasonLine(
        name=reason,
        sentence=reason_sentence(reason),
        evidence=evidence[:1].upper() + evidence[1:],
        remedy=reason_remedy(reason, {} if labels is None else labels.queries),
    )


def _file(entry: ClipEntry) -> ClipFile | None:
    member = entry.members[0] if entry.images else next((each for each in entry.members if is_video(each.name)), None)
    if member is None:
        return None
    where = f"byte {member.offset:,}, {size(member.length)}"
    return ClipFile(tar=entry.tar, where=where, name=f"{entry.sample_key}.{member.name}")

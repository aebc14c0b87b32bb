"""A card of the report: one clip with its verdict and every reason, where it lies, and the commands that make its parts again."""

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.audit.report.clip_material import ClipMaterial
from pipeline.audit.report.limits import reason_evidence
from pipeline.audit.report.wording import counted, duration, figure, reason_remedy, reason_sentence, size
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.records import LabelSet
from pipeline.shards.index import ClipEntry, is_video

ROOT = '"$ROOT"'  # the dataset's folder, which the page fills in if it lies there


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
class Command:
    """A command line and what it does."""

    words: str
    line: str


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


def clip_card(material: ClipMaterial, audit: AuditSet, labels: LabelSet | None) -> ClipCard:
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
        commands=_commands(brief.key, brief.shard, audit, labels),
    )


def _facts(material: ClipMaterial) -> tuple[str, ...]:
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


def _commands(key: str, shard: int, audit: AuditSet, labels: LabelSet | None) -> tuple[Command, ...]:
    commands = [Command(words="see it larger", line=show_command(audit, key))]
    if labels is not None:
        commands.append(Command(words="label its shard again", line=relabel_command(audit, labels, shard)))
    return (*commands, Command(words="audit its shard again", line=audit_command(audit, shard)))


def show_command(audit: AuditSet, key: str) -> str:
    """Draws the clip with its tracks into a file."""
    return (
        f"python jobs/show.py --root {ROOT} --labels {shlex.quote(audit.label_set)} --clip {shlex.quote(key)} --out {shlex.quote(key)}.mp4"
    )


def relabel_command(audit: AuditSet, labels: LabelSet, shard: int) -> str:
    """Makes the labels of the clip's shard again: a shard is the least that is committed."""
    configuration, queries = labels.configuration, labels.queries
    flags = {"--queries": "num_queries", "--query-policy": "policy", "--query-frames": "num_query_frames"}
    words = ["--labeler", shlex.quote(labels.labeler)]
    words += [f"{flag} {shlex.quote(str(queries[name]))}" for flag, name in flags.items() if name in queries]
    words += [f"--checkpoint {shlex.quote(labels.checkpoint)}"] if labels.checkpoint else []
    options: Mapping[str, Any] = configuration.get("options", {})
    words += [f"--option {shlex.quote(f'{name}={_value(value)}')}" for name, value in sorted(options.items()) if name != "checkpoint"]
    words += ["--cycle"] if configuration.get("cycle") else []
    return (
        f"rm {ROOT}/labels/{shlex.quote(audit.label_set)}/{shard:06d}.parquet && python jobs/pseudolabel.py --root {ROOT} {' '.join(words)}"
    )


def audit_command(audit: AuditSet, shard: int) -> str:
    """Audits the clip's shard again."""
    name = f" --name {shlex.quote(audit.name)}" if audit.name != audit.label_set else ""
    second = f" --second {shlex.quote(audit.second)}" if audit.second else ""
    calibration = " --calibration none" if audit.calibration is None else ""
    words = f"--labels {shlex.quote(audit.label_set)}{name} --cycle {audit.cycle}{second}{calibration}"
    return f"rm {ROOT}/audit/{shlex.quote(audit.name)}/{shard:06d}.parquet && python jobs/audit.py run --root {ROOT} {words}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

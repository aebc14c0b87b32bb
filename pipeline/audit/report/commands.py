"""Commands that the report prints, ready to paste: the dataset's real folder, the label set and the audit, quoted for a shell."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.audit.stored.audit_set import AuditSet
from pipeline.consensus.provenance import is_consensus, recorded_options
from pipeline.layout import Layout
from pipeline.records import LabelSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command line and what it does."""

    words: str
    line: str


def clip_commands(root: str, key: str, shard: int, *, audit: AuditSet, labels: LabelSet | None) -> tuple[Command, ...]:
    """What one may want to do with a clip: look at it, and make its labels and its audit again.

    Args:
        labels: provenance of the label set; None where it cannot be read, so that nobody knows how the labels are made.
    """
    layout = Layout(root)
    commands = [Command(words="Watch it at full size, with its weights:", line=show_command(root, audit, key))]
    if labels is not None:
        line = relabel_command(root, labels)
        commands.append(_again("Label its shard again", layout.label_shard(audit.label_set, shard), line))
    return (*commands, _again("Audit its shard again", layout.audit_shard(audit.name, shard), audit_command(root, audit)))


def _again(words: str, uri: str, line: str) -> Command:
    """A command whose result is deleted before; a file of an object store is deleted by that store's own tools."""
    if "://" in uri:
        return Command(words=f"{words}, once {uri} is deleted:", line=line)
    return Command(words=f"{words}:", line=f"rm {shlex.quote(uri)} && {line}")


def show_command(root: str, audit: AuditSet, key: str) -> str:
    """Draws the clip, its tracks coloured by the audit's weights, into a file."""
    return _line(
        "jobs/show.py",
        ("--root", root),
        ("--labels", audit.label_set),
        ("--audit", audit.name),
        ("--clip", key),
        ("--out", f"{key}.mp4"),
    )


def relabel_command(root: str, labels: LabelSet) -> str:
    """Makes what is missing of the label set, with the settings that it was made with."""
    if is_consensus(labels):
        return _line("jobs/consensus.py", ("--root", root), *_consensus_words(labels))
    configuration = labels.configuration
    queries: Mapping[str, Any] = labels.queries
    flags = {"--queries": "num_queries", "--query-policy": "policy", "--query-frames": "num_query_frames"}
    words = [(flag, str(queries[name])) for flag, name in flags.items() if name in queries]
    words += [("--checkpoint", labels.checkpoint)] if labels.checkpoint else []
    options: Mapping[str, Any] = configuration.get("options", {})
    words += [("--option", f"{name}={_value(value)}") for name, value in sorted(options.items()) if name != "checkpoint"]
    words += [("--cycle", "")] if configuration.get("cycle") else []
    return _line("jobs/pseudolabel.py", ("--root", root), ("--labeler", labels.labeler), *words)


def _consensus_words(labels: LabelSet) -> list[tuple[str, str]]:
    words = []
    for name, value in recorded_options(labels).items():
        flag = f"--{name.replace('_', '-')}"
        words += [(flag, "" if each is True else str(each)) for each in (value if isinstance(value, list) else [value])]
    return words


def audit_command(root: str, audit: AuditSet, *, baseline: str = "") -> str:
    """Audits what is missing, with the settings of this audit.

    Args:
        baseline: an audit to compare with; "" for none.
    """
    words = [("--labels", audit.label_set)]
    words += [("--name", audit.name)] if audit.name != audit.label_set else []
    words += [("--cycle", audit.cycle)]
    words += [("--second", audit.second)] if audit.second else []
    words += [("--calibration", "none")] if audit.calibration is None else []
    words += [("--baseline", baseline)] if baseline else []
    return _line("jobs/audit.py run", ("--root", root), *words)


def baseline_command(root: str, audit: AuditSet) -> str:
    """Compares this audit with another one, whose name the reader puts in."""
    return audit_command(root, audit, baseline="BASELINE_AUDIT")


def calibrate_command(audit: AuditSet) -> str:
    """Fits a calibration for this labeler on datasets of known truth, whose folders the reader puts in."""
    labels = ("--labels", audit.label_set)
    return _line("jobs/audit.py calibrate", ("--root", "FIT_ROOT"), labels, ("--held-out", "TEST_ROOT"), ("--out", f"{audit.labeler}.json"))


def stream_code(root: str, audit: AuditSet) -> str:
    """Python that streams the clips that the audit keeps, with the weights of their tracks."""
    return f"ClipStream(StreamConfig(root={root!r}, audit={audit.name!r}))"


def _line(job: str, *words: tuple[str, str]) -> str:
    """A command line; a flag without a value has an empty one."""
    return " ".join([f"python {job}", *(f"{flag} {shlex.quote(value)}" if value else flag for flag, value in words)])


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

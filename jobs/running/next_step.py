"""The next step of a dataset, as commands ready to paste: those that finish what was begun go on with its own recorded options."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.console import counted
from jobs.next_commands import after_audit, after_conversion, after_labels, after_screen, after_shards
from jobs.running.root_status import AuditProgress, LabelProgress, RootStatus
from jobs.trackmill import command_line, options
from labelers import LABELERS, QueryPolicy
from pipeline.consensus.provenance import is_consensus, recorded_options
from pipeline.labels.kinds import is_kind, kind_named
from pipeline.records import TrackLabels
from pipeline.records.factories import load_factory
from pipeline.shards.plan import read_plan_columns
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.source_roots import read_source_roots

_SAME = "run the command that began it again: it goes on where it was stopped"


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStep:
    """What is missing, and the commands for it; no command where only the user knows it."""

    missing: str
    commands: tuple[str, ...] = ()


def next_step(status: RootStatus, root: str) -> NextStep:
    """The first of these that is not done: shards, screen, labels, audit, training.

    Args:
        root: as the user wrote it.
    """
    left = len(status.shards) - len(status.cut)
    if status.plan is None:
        return NextStep(missing=f"no clip is planned yet: {_SAME}")
    if left:
        return NextStep(missing=f"{counted(left, 'shard')} to cut: go on", commands=_cutting(status, root))
    if not status.plan.clips or not status.clips_cut:
        return NextStep(missing="clips: none could be cut; see errors/ below the root", commands=_cutting(status, root, retry=True))
    if status.screened is not None and status.screened != status.cut:
        waiting = counted(len(status.cut - status.screened), "shard")
        return NextStep(missing=f"{waiting} to screen: go on", commands=_screening(root))
    return _labels_and_audits(status, root)


def _labels_and_audits(status: RootStatus, root: str) -> NextStep:
    if not status.labels:
        if status.dataset.get("kind") == "converted":
            use = "measured on" if status.stores_images else "trained on"
            following = after_conversion(root, evaluation=status.stores_images)
            return NextStep(missing=f"nothing: it has its truth, and can be {use}", commands=tuple(following))
        following = after_shards(root) if status.screened is None else after_screen(root)
        return NextStep(missing="labels", commands=tuple(following))
    for labels in sorted(status.labels, key=lambda labels: is_consensus(labels.label_set)):  # what it is made from comes first
        if labels.shards != status.cut:
            waiting = counted(len(status.cut - labels.shards), "shard")
            return NextStep(missing=f"{waiting} to label in {labels.label_set.name}: go on", commands=_labelling(labels, status, root))
    for audit in status.audits:
        judged = next((each for each in status.labels if each.label_set.name == audit.audit.label_set), None)
        if judged is not None and (audit.shards != judged.shards or audit.passes is None):
            return NextStep(missing=f"audit {audit.audit.name} is not finished: go on", commands=_auditing(audit, root))
    judged_sets = {audit.audit.label_set for audit in status.audits}
    for labels in status.labels:
        if is_kind(labels.label_set.kind, TrackLabels.kind) and labels.label_set.name not in judged_sets:
            name, policy = labels.label_set.name, _query_policy(labels)
            missing = "their accuracy" if policy == "truth" else "an audit"
            following = after_labels(root, name, kind=labels.label_set.kind, query_policy=policy)
            return NextStep(missing=f"{missing} of {name}", commands=tuple(following))
    return _after_audits(status, root)


def _after_audits(status: RootStatus, root: str) -> NextStep:
    passing = [audit for audit in status.audits if audit.passes]
    if not status.audits:  # dense labels alone
        labels = status.labels[0].label_set
        return NextStep(missing="nothing", commands=tuple(after_labels(root, labels.name, kind=labels.kind, query_policy="")))
    chosen = max(passing or status.audits, key=lambda audit: audit.decisions.get("keep", 0))
    missing = "nothing: look at the tracks, train" if passing else "an audit that lets its labels through: read report.html, look at them"
    return NextStep(missing=missing, commands=tuple(after_audit(root, chosen.audit.name, passes=bool(passing))))


def _cutting(status: RootStatus, root: str, *, retry: bool = False) -> tuple[str, ...]:
    """Go on cutting: one known source, and the limit that lets nothing be added, make it the same plan whatever it was made from."""
    if status.dataset.get("kind") != "cut" or status.plan is None:
        return ()
    sources = read_plan_columns(status.root, ["source_uri"])["source_uri"].to_pylist()
    if not sources:
        return ()
    source = read_source_roots(status.root).resolve(sources[0])
    policy = policy_options(status.dataset.get("policy", {}))
    return (command_line("shard", source, *options(root=root, limit=status.plan.clips, retry_errors=retry), *policy),)


def policy_options(policy: Mapping[str, Any]) -> list[str]:
    """Options of jobs/shard.py that make this policy of a dataset.json, where it differs from the defaults."""
    default = ClipPolicy().document()
    given = {**policy, **policy.get("encode", {})}
    usual = {**default, **default["encode"]}
    changed = {name: value for name, value in given.items() if name not in ("encode", "limit") and value != usual.get(name)}
    if "split_shares" in changed:
        shares = changed["split_shares"]
        changed["split_shares"] = ",".join(f"{name}={share}" for name, share in shares.items())
    return options(**changed)


def _screening(root: str) -> tuple[str, ...]:
    return (command_line("screen", *options(root=root)),)


def _labelling(labels: LabelProgress, status: RootStatus, root: str) -> tuple[str, ...]:
    """Go on labelling, by the options that are recorded. Only the user knows how to call a labeler of his own."""
    label_set = labels.label_set
    if is_consensus(label_set):
        return (command_line("consensus", *options(root=root, **recorded_options(label_set))),)
    if label_set.labeler not in LABELERS:
        return ()
    found, asked = label_set.configuration, label_set.queries
    return (
        command_line(
            "label",
            *options(
                root=root,
                labeler=label_set.labeler,
                queries=asked.get("num_queries"),
                query_policy=asked.get("policy") if asked.get("policy") != QueryPolicy().policy else None,
                query_frames=asked.get("num_query_frames"),
                checkpoint=label_set.checkpoint,
                option=labeler_changes(label_set.labeler, found.get("options", {})),
                cycle=bool(found.get("cycle")),
                screen="ignore" if status.screened is not None and "screen" not in found else None,
            ),
        ),
    )


def labeler_changes(labeler: str, recorded: Mapping[str, Any]) -> list[str]:
    """Options of a labeler, as NAME=VALUE, that are recorded with another value than its default."""
    parameters = inspect.signature(load_factory(LABELERS[labeler], "labeler")).parameters
    changed = {name: value for name, value in recorded.items() if name in parameters and parameters[name].default != value}
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in changed.items()]


def _auditing(progress: AuditProgress, root: str) -> tuple[str, ...]:
    audit = progress.audit
    named = None if audit.name == audit.label_set else audit.name
    settings = options(root=root, labels=audit.label_set, name=named, cycle=audit.cycle, second=audit.second)
    return (command_line("audit run", *settings),)


def _query_policy(labels: LabelProgress) -> str:
    if not kind_named(labels.label_set.kind).has_queries:
        return ""
    return str(labels.label_set.configuration.get("queries", {}).get("policy", ""))

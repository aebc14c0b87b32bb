"""Trust of a stream in labels: the audit that it was told to obey, or a warning that there is none."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline import storage
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.errors import ConfigError
from pipeline.labels import is_kind, read_label_set
from pipeline.layout import Layout
from pipeline.records import CameraLabels, LabelSet, TrackLabels, Tracks3dLabels
from pipeline.stream.config import StreamConfig

_log = logging.getLogger(__name__)


def with_audited_labels(config: StreamConfig) -> StreamConfig:
    """The configuration with the label set that its audit judged, where it names none of that kind.

    Raises: ConfigError for an unknown label set or audit, for two sets of one kind (or of tracks and tracks3d), for tracks3d beside
        cameras, and for an audit of other labels.
    """
    sets = label_sets_by_kind(config.root, config.label_sets)
    if config.audit is not None:
        judged = audited_labels(config.root, config.audit, _tracks_among(sets))
        sets[read_label_set(config.root, judged).kind] = judged
    if Tracks3dLabels.kind in sets and CameraLabels.kind in sets:
        raise ConfigError(
            f"{config.root}: the points of {sets[Tracks3dLabels.kind]} are in a world of their own, which is not that of the cameras"
            f" {sets[CameraLabels.kind]}; a stream takes one of the two"
        )
    return replace(config, labels=tuple(sets.values()) or None)


def label_sets_of(config: StreamConfig) -> tuple[LabelSet, ...]:
    """Provenance of the label sets that a stream joins: those that it names, and the one that its audit judged.

    Raises: ConfigError as `with_audited_labels`.
    """
    return tuple(read_label_set(config.root, name) for name in with_audited_labels(config).label_sets)


def label_sets_by_kind(root: str, names: Sequence[str]) -> dict[str, str]:
    """Names of label sets by the kind of their labels.

    Raises: ConfigError for an unknown set, for two of one kind, and for tracks beside tracks3d, which fill the same fields.
    """
    sets: dict[str, str] = {}
    for name in names:
        kind = read_label_set(root, name).kind
        if kind in sets:
            raise ConfigError(f"{root}: the label sets {sets[kind]} and {name} both hold {kind}; a stream takes one set per kind")
        rival = _tracks_among(sets)
        if rival is not None and is_kind(kind, TrackLabels.kind):
            raise ConfigError(f"{root}: the label sets {rival} and {name} both hold tracks; a clip has room for one of them")
        sets[kind] = name
    return sets


def _tracks_among(sets: Mapping[str, str]) -> str | None:
    """The set of tracks, or of tracks3d."""
    return next((name for kind, name in sets.items() if is_kind(kind, TrackLabels.kind)), None)


def audited_labels(root: str, audit: str, labels: str | None) -> str:
    """The label set that an audit judged. Raises ConfigError if there is no such audit, or `labels` names other ones."""
    judged = read_audit_set(root, audit).label_set
    if labels not in (None, judged):
        raise ConfigError(
            f"{root}: audit {audit!r} judged the label set {judged!r}, not {labels!r}; ask for labels={judged!r}, or for an audit of"
            f" {labels!r}: {audit_command(root, str(labels), str(labels))} makes one"
        )
    return judged


def announce_unjudged(config: StreamConfig) -> None:
    """Warn where tracks are streamed without an audit: there are none of other kinds."""
    labels = None if config.audit is not None else _tracks_among(label_sets_by_kind(config.root, config.label_sets))
    if labels is not None:
        warn_unjudged(config.root, labels)


def warn_unjudged(root: str, labels: str) -> None:
    """Say in the log that labels are used whose audit, if there is one, is not obeyed, and what helps."""
    remedy = "" if storage.exists(Layout(root).audit_json(labels)) else f"run {audit_command(root, labels, labels)} and "
    _log.warning(
        "%s: the labels %s are used without an audit, wrong tracks like right ones; %sset audit=%r to leave out bad clips and weigh tracks",
        root,
        labels,
        remedy,
        labels,
    )


def audit_command(root: str, labels: str, audit: str) -> str:
    """The command that makes or completes an audit."""
    named = "" if audit == labels else f" --name {audit}"
    return f"jobs/audit.py run --root {root} --labels {labels}{named}"

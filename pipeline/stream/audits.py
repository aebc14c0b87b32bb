"""Which labels a stream may trust: the audit that it was told to obey, or a warning that there is none."""

import logging
from dataclasses import replace

from pipeline import storage
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.errors import ConfigError
from pipeline.labels import read_label_set
from pipeline.layout import Layout
from pipeline.stream.config import StreamConfig

_log = logging.getLogger(__name__)


def with_audited_labels(config: StreamConfig) -> StreamConfig:
    """The configuration with the label set that its audit judged, where it names none.

    Raises: ConfigError for an unknown label set or audit, and for an audit of other labels.
    """
    labels = config.labels if config.audit is None else audited_labels(config.root, config.audit, config.labels)
    if labels is not None:
        read_label_set(config.root, labels)  # an unknown name is a mistake to hear of now
    return replace(config, labels=labels)


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
    """Warn where labels are streamed without an audit."""
    if config.labels is not None and config.audit is None:
        warn_unjudged(config.root, config.labels)


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

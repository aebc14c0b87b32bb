"""The commands that show, label and audit a clip again; `$ROOT` is the dataset's folder, which the page fills in if it lies there."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from pipeline.audit.stored.audit_set import AuditSet
from pipeline.records import LabelSet

ROOT = '"$ROOT"'


def show_command(audit: AuditSet, key: str) -> str:
    """Draws the clip with its tracks into a file."""
    return (
        f"python jobs/show.py --root {ROOT} --labels {shlex.quote(audit.label_set)} --clip {shlex.quote(key)} --out {shlex.quote(key)}.mp4"
    )


def relabel_command(audit: AuditSet, labels: LabelSet, shard: int) -> str:
    """Makes the labels of the clip's shard again: a shard is the least that is committed."""
    configuration = labels.configuration
    queries: Mapping[str, Any] = configuration.get("queries", {})
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
